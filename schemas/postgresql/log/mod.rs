//! The log of PostgreSQL 9.0 to 18: lines with any `log_line_prefix`, csvlog, jsonlog, each of them
//! through syslog or inside of a collector's JSON objects too; and the logs of PgBouncer and, where
//! they share the server's, Patroni and CloudNativePG.
//!
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html>
//!
//! A message is one event with its further lines and its DETAIL, HINT, QUERY, CONTEXT, STATEMENT,
//! LOCATION and BACKTRACE, which become fields. Where another session's line comes between, what
//! follows it is an event of its own, whose level is the note's name, as Elastic's integration has
//! all of them.
//!
//! Where its values are poorer they are not followed: the message of a line that logs a statement
//! is what the server said and not the whole line, a duration is exact and no `float`, `[unknown]`
//! is nobody's name, EST is five hours behind UTC in summer too, an ERROR is an error without a
//! SQLSTATE.
//!
//! The samples `stderr`, `stderr_pgbadger`, `csv`, `json`, `syslog` and `syslog_rfc3339` are of a
//! real server (tests/record/postgresql); the others are composed by what is documented.

mod audit;
mod bouncer;
mod context;
mod csv;
mod doubt;
mod entry;
mod framer;
mod json;
mod level;
mod parser;
mod patroni;
mod prefix;
mod recognised;
mod server;
mod session;
mod stamp;
mod statement;
mod syslog;

pub use context::beginning;
pub use framer::PostgresFramer;
pub use prefix::{LinePrefix, PrefixError};

use crate::{Dataset, Parse};

/// `postgresql.log`
pub static DATASET: Dataset = Dataset {
    name: "postgresql.log",
    module: "postgresql",
    framer: &PostgresFramer::RECOGNISING,
    normalizer: &Parse { dataset: &DATASET, parser: parser::LogRecord },
};
