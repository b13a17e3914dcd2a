//! The dashboards that `tahoe kibana export` prints: each is sound as Kibana 8.19 keeps it, each of its
//! questions is asked of a real Elasticsearch, and an import sends what Kibana takes. Kibana itself
//! cannot be had as a package: that it draws them is not shown here.

mod export;
mod import;
#[path = "../../../schemas/tests/database/mod.rs"]
mod places;
mod queries;
mod report;
mod samples;
mod structure;
