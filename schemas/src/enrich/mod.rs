//! What an event is given beyond what its record says: where an address is, what a user agent is,
//! which failures and which statements are the same.
//!
//! It comes behind the privacy policy and sees what that has left, so that nothing which was hidden
//! comes back in another form: an address cut down to its network is looked up as that network, one
//! that was dropped is not, and `related.*` holds what the event still says. A field that a row of
//! the policy names is not filled in. Tables are arguments: the same record with the same tables
//! gives the same event, and identity depends on none of it.

mod agent;
mod agent_system;
mod networks;
mod related;
mod statement;
mod statement_tokens;
mod trace;

use ring::digest::{SHA256, digest};

pub use networks::{Database, Networks};
pub use statement::{Quoting, normalized};

use crate::rules::Privacy;
use crate::{Event, Field, Value};

/// Bytes of a SHA-256 that a key keeps: 128 bits are enough to tell all failures of a company.
const KEY_BYTES: usize = 16;

/// What is done; all of it is off by default.
#[derive(Clone, Debug, Default)]
pub struct Enrichment {
    /// Where addresses are and whose they are (`source.geo.*`, `source.as.*` and so on).
    pub networks: Networks,
    /// Gathers addresses, users, hosts and hashes in `related.*`.
    pub related: bool,
    /// Reads `user_agent.original`.
    pub user_agents: bool,
    /// Gives failures of the same kind the same `error.grouping_key`.
    pub errors: bool,
    /// Gives statements that differ in values alone the same `db.query.fingerprint`.
    pub statements: bool,
}

impl Enrichment {
    /// Everything that needs no table.
    pub fn all() -> Self {
        let networks = Networks::default();
        Self { networks, related: true, user_agents: true, errors: true, statements: true }
    }

    /// Applies to an event whose fields are all set and obey the policy.
    pub(crate) fn apply<'a>(&'a self, event: &mut Event<'a>, privacy: &Privacy) {
        let filling = &mut Filling { event, privacy };
        if !self.networks.is_empty() {
            self.networks.fill(filling);
        }
        if self.user_agents {
            agent::fill(filling);
        }
        if self.errors {
            trace::fill(filling);
        }
        if self.statements {
            statement::fill(filling);
        }
        if self.related {
            related::fill(filling);
        }
    }
}

/// An event that is filled in as far as the policy lets it.
struct Filling<'f, 'a> {
    event: &'f mut Event<'a>,
    privacy: &'f Privacy,
}

impl<'a> Filling<'_, 'a> {
    /// The text of a field, unless something else was put in its place.
    fn text(&self, field: Field) -> Option<&'a str> {
        let text = self.event.get_str(field)?;
        (!self.privacy.replaces(self.event.dataset(), field)).then_some(text)
    }

    /// Sets a field that has no value, unless the policy names it.
    fn set(&mut self, field: Field, value: impl Into<Value<'a>>) {
        if !self.event.has(field) && !self.privacy.names(self.event.dataset(), field) {
            self.event.set(field, value);
        }
    }

    /// The same with a value that may be missing.
    fn set_some(&mut self, field: Field, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            self.set(field, value);
        }
    }

    /// A key that is the same for the same text: the number of the rules by which the text was made,
    /// a dash, and the first 128 bits of its SHA-256 in hexadecimal digits.
    fn key(&self, rules: u32, text: &str) -> &'a str {
        let hash = digest(&SHA256, text.as_bytes());
        let bytes = hash.as_ref()[..KEY_BYTES].try_into().expect("a SHA-256 has 32");
        let number = u128::from_be_bytes(bytes);
        self.event.format(format_args!("{rules}-{number:032x}"))
    }
}
