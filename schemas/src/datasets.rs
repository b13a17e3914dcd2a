//! The list of datasets. Each is a folder beside `src`; this is the only place that names it.

use tahoe_seams::{Framer, Normalizer};

use crate::{Declaration, declaration};

/// What one dataset's bytes mean.
pub struct Dataset {
    /// `nginx.access`
    pub name: &'static str,
    /// `nginx`
    pub module: &'static str,
    /// Where its records begin and end.
    pub framer: &'static dyn Framer,
    /// What a record means.
    pub normalizer: &'static dyn Normalizer,
}

impl Dataset {
    /// What its `dataset.yaml` says.
    pub fn declared(&self) -> &'static Declaration {
        declaration::find(self.name).expect("a test looks for each in the list")
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The dataset of that name.
pub fn find(name: &str) -> Option<&'static Dataset> {
    ALL.iter().copied().find(|dataset| dataset.name == name)
}

/// The dataset of a name that somebody gave.
///
/// # Errors
/// There is none; says which there are.
pub fn named(name: &str) -> Result<&'static Dataset, String> {
    find(name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|dataset| dataset.name).collect();
        format!("{name}: no such dataset; there are {}", names.join(", "))
    })
}

/// How a dataset's files are cut whose lines begin as a setting of their server says, and the context
/// with which each file begins; made once for each source, for as long as the process lives.
///
/// # Errors
/// The dataset's lines have no such beginning, or the prefix is none.
pub fn with_line_prefix(
    dataset: &Dataset,
    prefix: &str,
) -> Result<(&'static dyn Framer, Vec<u8>), String> {
    match dataset.name {
        "postgresql.log" => {
            let framer = postgresql_log::PostgresFramer::with_prefix(prefix);
            let framer = framer.map_err(|error| error.to_string())?;
            Ok((Box::leak(Box::new(framer)), postgresql_log::beginning(prefix)))
        }
        name => Err(format!("lines of {name} begin as their format says")),
    }
}

#[path = "../apache/access/mod.rs"]
pub mod apache_access;
#[path = "../apache/error/mod.rs"]
pub mod apache_error;
#[path = "../app/json/mod.rs"]
pub mod app_json;
#[path = "../aws/cloudwatch_logs/mod.rs"]
pub mod aws_cloudwatch_logs;
#[path = "../aws/elb_logs/mod.rs"]
pub mod aws_elb_logs;
#[path = "../container/log/mod.rs"]
pub mod container_log;
#[path = "../journald/log/mod.rs"]
pub mod journald_log;
#[path = "../kafka/log/mod.rs"]
pub mod kafka_log;
#[path = "../laravel/log/mod.rs"]
pub mod laravel_log;
#[path = "../mongodb/change/mod.rs"]
pub mod mongodb_change;
#[path = "../mongodb/log/mod.rs"]
pub mod mongodb_log;
#[path = "../mongodb/row/mod.rs"]
pub mod mongodb_row;
// What the datasets of this package share.
#[path = "../mysql/mod.rs"]
pub(crate) mod mysql;
#[path = "../mysql/audit/mod.rs"]
pub mod mysql_audit;
#[path = "../mysql/change/mod.rs"]
pub mod mysql_change;
#[path = "../mysql/error/mod.rs"]
pub mod mysql_error;
#[path = "../mysql/general/mod.rs"]
pub mod mysql_general;
#[path = "../mysql/row/mod.rs"]
pub mod mysql_row;
#[path = "../mysql/slowlog/mod.rs"]
pub mod mysql_slowlog;
#[path = "../nginx/access/mod.rs"]
pub mod nginx_access;
#[path = "../nginx/error/mod.rs"]
pub mod nginx_error;
#[path = "../postgresql/change/mod.rs"]
pub mod postgresql_change;
#[path = "../postgresql/log/mod.rs"]
pub mod postgresql_log;
#[path = "../postgresql/row/mod.rs"]
pub mod postgresql_row;
#[path = "../redis/log/mod.rs"]
pub mod redis_log;
#[path = "../system/auth/mod.rs"]
pub mod system_auth;
#[path = "../system/kern/mod.rs"]
pub mod system_kern;
#[path = "../system/syslog/mod.rs"]
pub mod system_syslog;
#[path = "../tahoe/service/mod.rs"]
pub mod tahoe_service;

/// Every dataset.
pub static ALL: &[&Dataset] = &[
    &apache_access::DATASET,
    &apache_error::DATASET,
    &app_json::DATASET,
    &aws_cloudwatch_logs::DATASET,
    &aws_elb_logs::DATASET,
    &container_log::DATASET,
    &journald_log::DATASET,
    &kafka_log::DATASET,
    &laravel_log::DATASET,
    &mongodb_change::DATASET,
    &mongodb_log::DATASET,
    &mongodb_row::DATASET,
    &mysql_audit::DATASET,
    &mysql_change::DATASET,
    &mysql_error::DATASET,
    &mysql_general::DATASET,
    &mysql_row::DATASET,
    &mysql_slowlog::DATASET,
    &nginx_access::DATASET,
    &nginx_error::DATASET,
    &postgresql_change::DATASET,
    &postgresql_log::DATASET,
    &postgresql_row::DATASET,
    &redis_log::DATASET,
    &system_auth::DATASET,
    &system_kern::DATASET,
    &system_syslog::DATASET,
    &tahoe_service::DATASET,
];
