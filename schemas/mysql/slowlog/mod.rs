//! The slow query log of MySQL 5.0 to 9 (with `log_slow_extra` too), MariaDB (with the lines of
//! `log_slow_verbosity`, `explain` among them) and Percona Server.
//!
//! <https://dev.mysql.com/doc/refman/8.4/en/slow-query-log.html>,
//! <https://mariadb.com/kb/en/slow-query-log-extended-statistics/>,
//! <https://docs.percona.com/percona-server/8.0/slow-extended.html>.
//!
//! A record is lines of `# Key: value`, perhaps `use` and `SET timestamp`, and the statement.
//! `# Time` is when it ended, and up to MySQL 5.6 stands only where it differs from the record's
//! before; `SET timestamp` is when it began, and is `@timestamp`. No `use` means no change of the
//! database, or no database at all, so none is assumed.
//!
//! Elastic's module differs where this is meant to: it lists a database twice that `Schema` and
//! `use` name, and a connection that `Id` and `Thread_id` do; it counts durations in floating
//! point, a microsecond short at times; and what the server writes when it opens the log is to it
//! part of the statement before. `message` repeats the statement, for who reads and searches by it.
//!
//! A row of the table `mysql.slow_log`, as one JSON object with its columns, is recognised too.
//!
//! `samples/mariadb_*` and `mysql_5_5.log` are recorded (tests/record/mysql); those of other
//! versions are composed by their documentation.

mod framer;
mod metrics;
mod parser;
mod row;

use crate::{Dataset, Parse};

/// `mysql.slowlog`
pub static DATASET: Dataset = Dataset {
    name: "mysql.slowlog",
    module: "mysql",
    framer: &framer::SlowFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::SlowRecord },
};
