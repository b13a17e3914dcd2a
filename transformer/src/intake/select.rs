//! A replay's choice of records, and whose they are to be.

use std::sync::Arc;

use tahoe_seams::Origin;

/// Which records are taken in, and as whose: all of them, and as they say, unless they are replayed.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Only this one of a pack.
    pub ordinal: Option<u32>,
    /// Only those that came as this dataset.
    pub dataset: Option<String>,
    /// As if they had been read for this client company.
    pub namespace: Option<String>,
}

impl Select {
    /// Records that came as this dataset are taken in.
    pub(super) fn takes(&self, dataset: &str) -> bool {
        self.dataset.as_deref().is_none_or(|wanted| wanted == dataset)
    }

    /// Where the record comes from, as it is taken in.
    pub(super) fn origin(&self, origin: &Arc<Origin>) -> Arc<Origin> {
        match &self.namespace {
            Some(name) if *name != origin.namespace => {
                Arc::new(Origin { namespace: name.clone(), ..Origin::clone(origin) })
            }
            _ => Arc::clone(origin),
        }
    }
}
