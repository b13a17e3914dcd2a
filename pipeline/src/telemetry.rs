//! Counters in units of the law, shared by `/metrics`, the live view and the summary.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `records`.
    pub fn add(&self, records: u64) {
        self.0.fetch_add(records, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The producer's half of the law: read = appended + dropped + in flight, in records. What an
/// earlier run appended beyond its stored position is counted beside it.
#[derive(Debug, Default)]
pub struct ProducerCounts {
    /// Read from the source in this run.
    pub read: Count,
    /// Acknowledged by the log.
    pub appended: Count,
    /// Found in the log at the start, beyond the stored position.
    pub already_there: Count,
    /// Lost before they could be read, or in flight when a source without positions stopped.
    pub dropped: Count,
}
