//! Changes of documents that a change stream of MongoDB gave, one record each, as
//! [`crate::change`] describes them.

use crate::change::ChangeRecord;
use crate::{Dataset, LineFramer, Parse};

/// `mongodb.change`
pub static DATASET: Dataset = Dataset {
    name: "mongodb.change",
    module: "mongodb",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord { place } },
};

/// A resume token's text is ordered as the changes are.
pub(crate) fn place(position: &str) -> Option<String> {
    (!position.is_empty()).then(|| position.to_owned())
}
