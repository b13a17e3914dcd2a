//! The transformer: records from the log, normalised, into a sink, each shown once.
//!
//! An offset is committed only after the sink said durable for every event before it, and every
//! rejected record is in its dead-letter topic. Nothing else ends a record's way.

mod args;
mod certainty;
mod counts;
mod dead_letter;
mod delivery;
mod intake;
mod service;
mod transform;

pub use args::TransformArgs;
pub use counts::{DatasetCounts, Latency, TransformerCounts};
pub use dead_letter::topic as dead_letter_topic;
pub use service::{Transformer, readiness, sink_check};
pub use transform::{TransformError, TransformSettings, keep_transforming, transform};

/// The topics that the datasets declare.
pub fn record_topics() -> Vec<String> {
    let topic = |dataset: &&tahoe_schemas::Dataset| {
        dataset.declared().expect("the declarations are tested").topic
    };
    let mut topics: Vec<_> = tahoe_schemas::datasets::ALL.iter().map(topic).collect();
    topics.sort();
    topics.dedup();
    topics
}
