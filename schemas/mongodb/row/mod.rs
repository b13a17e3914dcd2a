//! Documents that were read from MongoDB's collections, one record each, as [`crate::change`] describes
//! them.

use crate::change::ChangeRecord;
use crate::datasets::mongodb_change::place;
use crate::{Dataset, LineFramer, Parse};

/// `mongodb.row`
pub static DATASET: Dataset = Dataset {
    name: "mongodb.row",
    module: "mongodb",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord { place } },
};
