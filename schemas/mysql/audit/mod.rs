//! Audit logs: MariaDB's server_audit (and Amazon's), as a file or in syslog; MySQL Enterprise
//! Audit's JSON and both of its XML forms; Percona's JSON, CSV and XML, and its audit log filter.
//!
//! <https://mariadb.com/kb/en/mariadb-audit-plugin-log-format/>,
//! <https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html>,
//! <https://docs.percona.com/percona-server/8.0/audit-log-plugin.html>,
//! <https://docs.percona.com/percona-server/8.4/audit-log-filter-formats.html>. What they have in
//! common has the names that Elastic gave to MySQL Enterprise's JSON, whichever of them wrote it.
//!
//! `samples/mariadb_10_11.log` is recorded (tests/record/mysql); the others are composed by their
//! documentation.

mod accounts;
mod enterprise;
mod filter;
mod framer;
mod mariadb;
mod meaning;
mod named;
mod parser;
mod percona;
mod xml;

use crate::{Dataset, Parse};

/// `mysql.audit`
pub static DATASET: Dataset = Dataset {
    name: "mysql.audit",
    module: "mysql",
    framer: &framer::AuditFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::AuditRecord },
};
