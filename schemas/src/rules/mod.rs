//! What the operator's own files say of events: which company one belongs to, what an
//! application's keys mean, what is private. They are read once, and are an argument of normalising like the time
//! of reading, so that the same record with the same files gives the same events.

mod app_fields;
mod cipher;
mod company;
mod detect;
mod json_token;
mod look;
mod part;
mod passage;
mod pattern;
mod place;
mod privacy;
mod privacy_rule;
mod sampling;
mod screen;
mod secret;
mod spelling;
mod table;

use std::sync::Arc;

use tahoe_seams::RecordId;

pub use app_fields::AppFields;
pub(crate) use app_fields::{Target, Unit};
pub use cipher::Keys;
pub(crate) use cipher::is_encrypted;
pub use company::{Allowed, Companies, is_namespace};
pub(crate) use look::take_over;
pub(crate) use part::{before_cut, behind_cut, shown};
pub(crate) use privacy::MASK;
pub use privacy::Privacy;
pub use sampling::Sampling;
pub use screen::{Screen, Screened};

use crate::enrich::Enrichment;
use crate::{Event, Transformation};

/// The namespace of what belongs to no company that is known.
pub(crate) const NAMESPACE_DEFAULT: &str = "default";

/// Everything that the operator's files say. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct EventRules {
    /// Which events are stored, where not all of them are wanted.
    pub sampling: Arc<Sampling>,
    /// Which namespace an event belongs to by what it says.
    pub companies: Arc<Companies>,
    /// Which namespaces there may be.
    pub allowed: Arc<Allowed>,
    /// What an application's own keys mean.
    pub app_fields: Arc<AppFields>,
    /// What is private, and what becomes of it.
    pub privacy: Arc<Privacy>,
    /// What events are given beyond what their records say.
    pub enrichment: Enrichment,
}

impl EventRules {
    /// The rules that hold for the records of a topic.
    pub fn of_topic(&self, topic: &str) -> Self {
        Self { allowed: Arc::new(self.allowed.of_topic(topic)), ..self.clone() }
    }

    /// As an argument of a [`tahoe_seams::Normalizer`].
    pub fn given(self) -> tahoe_seams::Rules {
        tahoe_seams::Rules::new(self)
    }

    /// Applies to an event whose fields are all set.
    pub(crate) fn apply<'a>(&'a self, event: &mut Event<'a>, id: RecordId) {
        // By what it says before anything in it is hidden.
        if let Some(rule) = self.sampling.leaves_out(event, id) {
            event.leave_out(rule);
        }
        if let Some(namespace) = self.companies.namespace(event) {
            event.set_namespace(namespace);
        }
        let namespace = event.namespace();
        if namespace != NAMESPACE_DEFAULT && !self.allowed.has(namespace) {
            event.transformation_of(Transformation::NamespaceRefused, namespace);
            event.set_namespace(NAMESPACE_DEFAULT);
        }
        self.privacy.apply(event);
        if event.left_out().is_none() {
            self.enrichment.apply(event, &self.privacy);
        }
    }
}
