//! Changes of rows that PostgreSQL's logical replication gave, one record each, as
//! [`crate::change`] describes them.

use crate::change::ChangeRecord;
use crate::{Dataset, LineFramer, Parse};

/// `postgresql.change`
pub static DATASET: Dataset = Dataset {
    name: "postgresql.change",
    module: "postgresql",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord },
};
