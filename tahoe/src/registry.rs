//! The one list of data sources: `up` takes its flags and its sources from here.

use tahoe_pipeline::service::Producer;

/// Every producer that `tahoe up` can run.
pub const PRODUCERS: &[&dyn Producer] = &[
    &tahoe_laravel::Laravel,
    &tahoe_syslog::Syslog,
    &tahoe_file::File,
    &tahoe_mysql::Mysql,
    &tahoe_postgres::Postgres,
    &tahoe_mongodb::MongoDb,
];
