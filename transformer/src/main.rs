//! `tahoe-transformer`: from Kafka into Elasticsearch, as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    tahoe_pipeline::service::run_service(&tahoe_transformer::Transformer)
}
