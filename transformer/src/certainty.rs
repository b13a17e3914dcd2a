//! Which batches an earlier owner of their partitions may have written already: what was in the log
//! when a partition came to us, as far as that owner can have had it in flight. They are looked up
//! before they are written; all others need no look-up.

use std::collections::HashMap;

use crate::intake::Reach;

/// What an earlier owner may still know of a partition.
#[derive(Debug)]
struct Window {
    /// Records from here on were appended since the partition came to us.
    end: u64,
    /// Bytes of events that may have been in flight, less those that were looked up.
    bytes_left: usize,
}

/// The windows of all partitions that are ours.
#[derive(Debug)]
pub struct Certainty {
    /// Bytes of events that an owner has in flight at most.
    in_flight_bytes_max: usize,
    windows: HashMap<u32, Window>,
}

impl Certainty {
    /// For owners that have at most so many bytes of events in flight.
    pub fn new(in_flight_bytes_max: usize) -> Self {
        Self { in_flight_bytes_max, windows: HashMap::new() }
    }

    /// A partition of this batch came to us since the last one: [`Certainty::is_uncertain`] needs
    /// to know how many of its records are unread.
    pub fn has_new(&self, batch: &[Reach]) -> bool {
        batch.iter().any(|reach| !self.windows.contains_key(&reach.partition))
    }

    /// Whether an earlier owner may have written some of the batch. `unread` is how many records
    /// of a partition follow it in the log; if no one knows, the bytes alone decide.
    pub fn is_uncertain(&mut self, batch: &[Reach], unread: impl Fn(u32) -> Option<u64>) -> bool {
        let mut uncertain = false;
        for reach in batch {
            let window = self.windows.entry(reach.partition).or_insert_with(|| Window {
                end: unread(reach.partition).map_or(u64::MAX, |unread| reach.next + unread),
                bytes_left: self.in_flight_bytes_max,
            });
            if reach.first < window.end && window.bytes_left > 0 {
                uncertain = true;
                window.bytes_left = window.bytes_left.saturating_sub(reach.bytes.max(1));
            }
        }
        uncertain
    }

    /// The partition is someone else's now, and will have a new window if it comes back.
    pub fn forget(&mut self, partition: u32) {
        self.windows.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(partition: u32, first: u64, bytes: usize) -> [Reach; 1] {
        [Reach { partition, first, next: first + 10, bytes }]
    }

    #[test]
    fn what_was_in_the_log_when_a_partition_came_is_uncertain_and_what_came_later_is_not() {
        let mut certainty = Certainty::new(1000);
        assert!(certainty.has_new(&reach(0, 100, 1)));
        assert!(certainty.is_uncertain(&reach(0, 100, 1), |_| Some(5)));
        assert!(certainty.is_uncertain(&reach(0, 110, 1), |_| None));
        assert!(!certainty.is_uncertain(&reach(0, 115, 1), |_| None));
        assert!(!certainty.has_new(&reach(0, 115, 1)) && certainty.has_new(&reach(1, 0, 1)));
    }

    #[test]
    fn no_more_is_uncertain_than_an_owner_can_have_had_in_flight() {
        let mut certainty = Certainty::new(1000);
        assert!(certainty.is_uncertain(&reach(0, 0, 600), |_| Some(1_000_000)));
        assert!(certainty.is_uncertain(&reach(0, 10, 600), |_| None));
        assert!(!certainty.is_uncertain(&reach(0, 20, 600), |_| None));
    }

    #[test]
    fn a_partition_that_comes_back_is_uncertain_again() {
        let mut certainty = Certainty::new(1000);
        assert!(certainty.is_uncertain(&reach(0, 0, 2000), |_| None));
        assert!(!certainty.is_uncertain(&reach(0, 10, 1), |_| None));
        certainty.forget(0);
        assert!(certainty.is_uncertain(&reach(0, 20, 1), |_| None));
    }
}
