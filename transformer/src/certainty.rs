//! Which batches may have been written already: what an earlier owner of their partitions can have
//! had in flight when these came to us, and what the group reads again because it was told to. They
//! are looked up before they are written; all others need no look-up.

use std::collections::HashMap;

use crate::delivery::Written;
use crate::intake::Reach;

/// What the log says of a partition that came to us.
#[derive(Clone, Copy, Debug, Default)]
pub struct Came {
    /// How many of its records follow the batch; none if no one knows.
    pub unread: Option<u64>,
    /// Records before this offset are read again ([`tahoe_seams::LogReader::replayed_to`]).
    pub replayed_to: u64,
}

/// What an earlier owner may still know of a partition.
#[derive(Debug)]
struct Window {
    /// Records from here on were appended since the partition came to us.
    end: u64,
    /// Bytes of events that may have been in flight, less those that were looked up.
    bytes_left: usize,
    /// Records before this may have been stored at any time.
    replayed_to: u64,
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

    /// A partition of this batch came to us since the last one: [`Certainty::of`] needs to know
    /// how it came.
    pub fn has_new(&self, batch: &[Reach]) -> bool {
        batch.iter().any(|reach| !self.windows.contains_key(&reach.partition))
    }

    /// When some of the batch may have been written. `came` is asked of partitions that are new; if
    /// no one knows how many records follow, the bytes alone decide.
    pub fn of(&mut self, batch: &[Reach], came: impl Fn(u32) -> Came) -> Written {
        let mut written = Written::Never;
        for reach in batch {
            let window = self.windows.entry(reach.partition).or_insert_with(|| {
                let Came { unread, replayed_to } = came(reach.partition);
                Window {
                    end: unread.map_or(u64::MAX, |unread| reach.next + unread),
                    bytes_left: self.in_flight_bytes_max,
                    replayed_to,
                }
            });
            if reach.first < window.replayed_to {
                written = Written::AnyTime;
            } else if reach.first < window.end && window.bytes_left > 0 {
                written = written.max(Written::Lately);
                window.bytes_left = window.bytes_left.saturating_sub(reach.bytes.max(1));
            }
        }
        written
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

    fn unread(records: u64) -> impl Fn(u32) -> Came {
        move |_| Came { unread: Some(records), replayed_to: 0 }
    }

    fn known(partition: u32) -> Came {
        panic!("{partition} came before")
    }

    #[test]
    fn what_was_in_the_log_when_a_partition_came_is_uncertain_and_what_came_later_is_not() {
        let mut certainty = Certainty::new(1000);
        assert!(certainty.has_new(&reach(0, 100, 1)));
        assert_eq!(certainty.of(&reach(0, 100, 1), unread(5)), Written::Lately);
        assert_eq!(certainty.of(&reach(0, 110, 1), known), Written::Lately);
        assert_eq!(certainty.of(&reach(0, 115, 1), known), Written::Never);
        assert!(!certainty.has_new(&reach(0, 115, 1)) && certainty.has_new(&reach(1, 0, 1)));
    }

    #[test]
    fn no_more_is_uncertain_than_an_owner_can_have_had_in_flight() {
        let mut certainty = Certainty::new(1000);
        assert_eq!(certainty.of(&reach(0, 0, 600), unread(1_000_000)), Written::Lately);
        assert_eq!(certainty.of(&reach(0, 10, 600), known), Written::Lately);
        assert_eq!(certainty.of(&reach(0, 20, 600), known), Written::Never);
    }

    #[test]
    fn what_the_group_reads_again_may_have_been_written_at_any_time_however_much_it_is() {
        let mut certainty = Certainty::new(1000);
        let came = |_| Came { unread: Some(1_000_000), replayed_to: 25 };
        for first in [0, 10, 20] {
            assert_eq!(certainty.of(&reach(0, first, 5000), came), Written::AnyTime);
        }
        // An earlier run that was in the middle of it had some of this in flight.
        assert_eq!(certainty.of(&reach(0, 30, 5000), known), Written::Lately);
        assert_eq!(certainty.of(&reach(0, 40, 5000), known), Written::Never);
    }

    #[test]
    fn a_partition_that_comes_back_is_uncertain_again() {
        let mut certainty = Certainty::new(1000);
        let no_one_knows = |_| Came::default();
        assert_eq!(certainty.of(&reach(0, 0, 2000), no_one_knows), Written::Lately);
        assert_eq!(certainty.of(&reach(0, 10, 1), known), Written::Never);
        certainty.forget(0);
        assert_eq!(certainty.of(&reach(0, 20, 1), no_one_knows), Written::Lately);
    }
}
