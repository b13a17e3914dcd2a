//! Rows that were read from PostgreSQL's tables, one record each, as [`crate::change`] describes
//! them.

use crate::change::ChangeRecord;
use crate::datasets::postgresql_change::place;
use crate::{Dataset, LineFramer, Parse};

/// `postgresql.row`
pub static DATASET: Dataset = Dataset {
    name: "postgresql.row",
    module: "postgresql",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord { place } },
};
