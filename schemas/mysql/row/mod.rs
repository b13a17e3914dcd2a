//! Rows that were read from the tables of MySQL or MariaDB, one record each, as
//! [`crate::change`] describes them.

use crate::change::ChangeRecord;
use crate::datasets::mysql_change::place;
use crate::{Dataset, LineFramer, Parse};

/// `mysql.row`
pub static DATASET: Dataset = Dataset {
    name: "mysql.row",
    module: "mysql",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord { place } },
};
