//! The transformer: records from the log, normalised, into a sink, each shown once.
//!
//! An offset is committed only after the sink said durable for every event before it, and every
//! rejected record is in its dead-letter topic. Nothing else ends a record's way.

mod args;
mod certainty;
mod counts;
mod dead_letter;
mod delivery;
mod dependencies;
mod flight;
mod geoip;
mod intake;
pub mod replay;
mod rules;
mod service;
mod settings;
mod tally;
mod transform;
mod verdict;

pub use args::{NormalizeArgs, TableArgs, TransformArgs};
pub use counts::{Lag, Latency, RecordCounts, TransformerCounts};
pub use dead_letter::topic as dead_letter_topic;
pub use dependencies::Dependencies;
pub use geoip::GeoFiles;
pub use rules::{AtSourceArgs, Enrich, Renewal, RuleArgs};
pub use service::{Transformer, readiness, sink_check};
pub use settings::TransformSettings;
pub use transform::{MEMORY_BYTES_MAX, keep_transforming, transform};

/// The topics that the datasets declare.
pub fn record_topics() -> Vec<String> {
    let declared = tahoe_schemas::datasets::ALL.iter().map(|dataset| dataset.declared());
    let mut topics: Vec<_> = declared.map(|declared| declared.topic.to_owned()).collect();
    topics.sort();
    topics.dedup();
    topics
}
