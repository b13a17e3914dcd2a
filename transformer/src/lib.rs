//! The transformer: records from the log, normalised, into a sink, each shown once.
//!
//! An offset is committed only after the sink said durable for every event before it, and every
//! rejected record is in its dead-letter topic. Nothing else ends a record's way.

mod counts;
mod dead_letter;
mod delivery;
mod intake;
mod transform;

pub use counts::{DatasetCounts, Latency, TransformerCounts};
pub use dead_letter::topic as dead_letter_topic;
pub use transform::{TransformError, TransformSettings, keep_transforming, transform};
