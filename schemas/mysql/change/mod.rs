//! Changes of rows that MySQL's or MariaDB's binlog gave, one record each, as
//! [`crate::change`] describes them.

use crate::change::ChangeRecord;
use crate::{Dataset, LineFramer, Parse};

/// `mysql.change`
pub static DATASET: Dataset = Dataset {
    name: "mysql.change",
    module: "mysql",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord },
};
