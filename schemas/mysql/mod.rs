//! What the datasets of MySQL, MariaDB and Percona Server have in common: their stamps, accounts,
//! the block that a server writes when it opens a log, and records that go on over lines.

pub(crate) mod account;
pub(crate) mod banner;
pub(crate) mod stamp;
pub(crate) mod syslog;

pub(crate) use crate::lines;
