//! The error log of MySQL, MariaDB and Percona Server, what `mysqld_safe` adds to it, and the JSON
//! objects of MySQL 8's `log_sink_json`; each line perhaps inside syslog, or inside an object of
//! Docker's or Google Cloud's.
//!
//! <https://dev.mysql.com/doc/refman/8.4/en/error-log-format.html>,
//! <https://dev.mysql.com/doc/refman/5.7/en/error-log-format.html>,
//! <https://mariadb.com/kb/en/error-log/#format>. A record goes on until the next line with a time:
//! InnoDB's monitor, which has times in it, until its own end. The number after the time is the
//! thread's, but in MySQL 5.6 the process's; the lines do not tell which of the two they have.
//!
//! A deadlock that the server reports in entries with times of their own stays as many events, as
//! in Elastic's module; one that it writes without them, or in its monitor, is one.
//!
//! `samples/mariadb_*` and `mysql_5_5.log` are recorded (tests/record/mysql); those of other
//! versions are composed by their documentation.

mod crash;
mod framer;
mod json;
mod meaning;
mod parser;
mod sst;

use crate::{Dataset, Parse};

/// `mysql.error`
pub static DATASET: Dataset = Dataset {
    name: "mysql.error",
    module: "mysql",
    framer: &framer::ErrorFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::ErrorRecord },
};
