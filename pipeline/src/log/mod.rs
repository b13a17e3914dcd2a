//! The durable logs behind the [`Log`](crate::seams::Log) seam: Apache Kafka for real
//! installations, and an embedded one for a single machine without any service.

pub mod embedded;
pub mod kafka;

/// Key of a fence: a record with an empty value that marks "everything before me was written
/// before I started".
pub const FENCE_KEY: &[u8] = b"tahoe.fence";

/// Name of the one header that travels on the hot path.
pub const HEADER: &str = "tahoe";

/// Largest record by default: Kafka's `max.message.bytes` of our topics, 20 MiB.
pub const RECORD_BYTES_MAX: usize = 20 << 20;
