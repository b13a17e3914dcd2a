//! Counters in units of the law, shared by `/metrics`, the live view and the summary.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tahoe_seams::{Lag, Origin};

use crate::lock::lock;

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

/// What records are read from, as a person knows it: their dataset, and the file, address or table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceName {
    /// The dataset that the source was configured with.
    pub dataset: String,
    /// The path of its records' origin.
    pub path: String,
}

/// So many are told apart.
const SOURCES_MAX: usize = 1000;

impl SourceName {
    /// The name by which a source is told apart from those that are known; beyond a thousand it is
    /// one of the others.
    pub fn among<T>(known: &BTreeMap<Self, T>, dataset: &str, path: &str) -> Self {
        let mut name = Self { dataset: dataset.to_owned(), path: path.to_owned() };
        if known.len() >= SOURCES_MAX && !known.contains_key(&name) {
            "others".clone_into(&mut name.path);
        }
        name
    }
}

/// The producer's half of the law: read = appended + dropped + undone + in flight, in records. What
/// was found in the log at a start, beyond the stored positions, is counted beside it.
#[derive(Debug, Default)]
pub struct ProducerCounts {
    /// Read from the source in this run.
    pub read: Count,
    /// Acknowledged by the log.
    pub appended: Count,
    /// Found in the log at the start, beyond the stored position.
    pub already_there: Count,
    /// Lost before they could be read, or while they were in flight, and their source cannot give
    /// them again.
    pub dropped: Count,
    /// In flight when the loop ended early: found in the log or read again by the next one.
    pub undone: Count,
    /// Read, by dataset and path.
    by_source: Mutex<BTreeMap<SourceName, u64>>,
    /// Per stream, as of a second ago.
    lag: Mutex<Vec<Lag>>,
    /// Reads, and is not recovering, waiting for the log, or ended.
    running: AtomicBool,
}

impl ProducerCounts {
    /// Counts records that were read.
    pub fn add_read(&self, origin: &Origin, records: u64) {
        self.read.add(records);
        let mut counts = lock(&self.by_source);
        let name = SourceName::among(&counts, &origin.dataset, &origin.path);
        *counts.entry(name).or_default() += records;
    }

    /// Records read, by what they were read from.
    pub fn read_by_source(&self) -> BTreeMap<SourceName, u64> {
        lock(&self.by_source).clone()
    }

    /// How far behind each stream is.
    pub fn lag(&self) -> Vec<Lag> {
        lock(&self.lag).clone()
    }

    /// Remembers how far behind each stream is.
    pub fn set_lag(&self, lag: Vec<Lag>) {
        *lock(&self.lag) = lag;
    }

    /// Reading, and not recovering, waiting for the log, or ended.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Set by the loop.
    pub fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }
}
