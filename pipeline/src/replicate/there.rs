//! Rows that the log has beyond the point at which a start goes on, by their hashes: a second read
//! of a table from there may give them again, in another order and with others between them.
//!
//! Until the last of them has come, the lanes of rows stay where they are: the next start, after
//! another crash, must find in the log what this one found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_128;

/// What has not come for so long is given up, if no further rows come at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often each row is there.
pub(super) struct There {
    counts: HashMap<u128, u32>,
    /// The rest is given up after a while: rows that are gone from the table since. Otherwise it
    /// stays until the feed says that it will not come.
    gives_up: bool,
    /// Records until then.
    patience: usize,
    /// When one was found last.
    found: Option<Instant>,
}

impl There {
    pub fn new(gives_up: bool) -> Self {
        Self { counts: HashMap::new(), gives_up, patience: 0, found: None }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn clear(&mut self) {
        // The memory too.
        self.counts = HashMap::new();
    }

    pub fn expire(&mut self) {
        if self.gives_up && self.found.is_some_and(|found| found.elapsed() > PATIENCE) {
            self.clear();
        }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        self.found = Some(Instant::now());
        *self.counts.entry(xxh3_128(bytes)).or_default() += 1;
        // The rows come again at once, among at most as many that the log does not have.
        self.patience = self.counts.len() * 2 + 1024;
    }

    /// True if the log has it; once for each.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        if self.counts.is_empty() {
            return false;
        }
        let there = match self.counts.entry(xxh3_128(bytes)) {
            Entry::Occupied(mut entry) => {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
                self.found = Some(Instant::now());
                true
            }
            Entry::Vacant(_) => false,
        };
        self.patience = self.patience.saturating_sub(1);
        if self.gives_up && self.patience == 0 {
            self.clear();
        }
        there
    }
}
