//! What the tests of several datasets need.

use serde_json::Value;
use tahoe_seams::{Conditions, Events, Origin, Record};

use crate::Dataset;

/// The one document of a record.
pub(crate) fn document(dataset: &Dataset, record: &[u8], origin: &Origin) -> Value {
    let mut events = Events::default();
    let record = Record::new(record, origin);
    let stored = dataset.normalizer.normalize(&record, &Conditions::default(), &mut events);
    stored.expect("an event");
    assert_eq!(events.len(), 1, "{events:?}");
    serde_json::from_slice(events.document(0).expect("it is there")).expect("it is JSON")
}
