//! `tahoe-mongodb`: the producer as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    tahoe_pipeline::service::run_producer(&tahoe_mongodb::MongoDb)
}
