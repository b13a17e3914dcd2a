//! The general query log of MySQL 5.0 to 9 and MariaDB, as a file, or as rows of the table
//! `mysql.general_log`, each one JSON object with its columns.
//!
//! <https://dev.mysql.com/doc/refman/8.4/en/query-log.html>,
//! <https://mariadb.com/kb/en/general-query-log/>. `Time Id Command Argument`, between them tabs
//! and padding; an argument may go on over lines. Up to MySQL 5.6 and in MariaDB the time stands
//! only where the second is another than that of the record before, so it is carried; from MySQL
//! 5.7 on every command has one, and no line without one begins a record.
//!
//! `samples/mariadb_*` and `mysql_5_5.log` are recorded (tests/record/mysql); those of other
//! versions are composed by their documentation.

mod framer;
mod head;
mod parser;
mod row;

use crate::{Dataset, Parse};

/// `mysql.general`
pub static DATASET: Dataset = Dataset {
    name: "mysql.general",
    module: "mysql",
    framer: &framer::GeneralFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::GeneralRecord },
};
