//! A group's reader. All partitions of its topics belong to one reader at a time, which is enough
//! for one process; a second reader of the group waits and takes over when the first is dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Shared;
use super::store::Known;
use super::writer::Change;
use crate::lock::lock;
use crate::seams::{LogError, LogReader, Polled, Visit};

/// What one call visits at most, in bytes of blocks, so that it comes back often.
const READ_BYTES: usize = 1 << 20;

/// Groups that have a reader.
pub(super) type Claims = Mutex<BTreeSet<String>>;

struct Assigned {
    topic: Known,
    partition: u32,
    next: u64,
}

/// See [`LogReader`].
pub(super) struct Reader {
    shared: Arc<Shared>,
    group: String,
    assigned: Vec<Assigned>,
    /// Where the next call goes on, so that a busy partition cannot starve the others.
    turn: usize,
    claimed: bool,
    paused: bool,
}

impl Reader {
    /// The group is known from here on: nothing that it has not committed will be deleted.
    pub fn join(shared: Arc<Shared>, group: &str, topics: &[String]) -> Result<Self, LogError> {
        let mut assigned = Vec::new();
        for topic in topics {
            let topic = shared.store.topic(topic)?;
            for partition in 0..topic.partitions {
                assigned.push(Assigned { topic: topic.clone(), partition, next: 0 });
            }
        }
        let mut fresh = Vec::new();
        for one in &assigned {
            let place = one.topic.place(one.partition);
            if shared.store.committed(group, place).is_none() {
                fresh.push((place, shared.store.earliest(place)?));
            }
        }
        if !fresh.is_empty() {
            shared.write(Change::Commit { group: group.to_owned(), next: fresh }, 0)?;
        }
        let group = group.to_owned();
        let mut reader = Self { shared, group, assigned, turn: 0, claimed: false, paused: false };
        reader.claim();
        Ok(reader)
    }

    /// Becomes the group's reader if there is none, and goes on where the group has committed.
    fn claim(&mut self) -> bool {
        if !self.claimed && lock(&self.shared.claims).insert(self.group.clone()) {
            self.claimed = true;
            for one in &mut self.assigned {
                let place = one.topic.place(one.partition);
                one.next = self.shared.store.committed(&self.group, place).unwrap_or(0);
            }
        }
        self.claimed
    }

    /// Visits what is there, one partition after the other; says whether that was anything.
    fn visit(&mut self, visit: &mut Visit<'_>) -> Result<bool, LogError> {
        let store = &self.shared.store;
        let count = self.assigned.len();
        let share = (READ_BYTES / count.max(1)).max(1);
        let mut any = false;
        for step in 0..count {
            let at = (self.turn + step) % count;
            let one = &mut self.assigned[at];
            let end = store.end(one.topic.place(one.partition)).next;
            if one.next >= end {
                continue;
            }
            let span = (one.next, end);
            let visited = store.visit(&one.topic, one.partition, span, share, visit)?;
            any |= visited.next > one.next;
            one.next = visited.next;
            if visited.flow.is_break() {
                self.turn = at;
                return Ok(any);
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        Ok(any)
    }
}

impl LogReader for Reader {
    fn read(&mut self, wait: Duration, visit: &mut Visit<'_>) -> Result<Polled, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            let seen = self.shared.commits.count();
            if !self.paused && self.claim() && self.visit(visit)? {
                return Ok(Polled::Records);
            }
            if self.shared.is_closed() {
                return Err(LogError::Stopped);
            }
            if !self.shared.commits.wait(seen, deadline) {
                return Ok(Polled::Records);
            }
        }
    }

    fn commit(&mut self, next: &[(String, u32, u64)]) -> Result<(), LogError> {
        let mut places = Vec::with_capacity(next.len());
        for (topic, partition, next) in next {
            places.push((self.shared.store.topic(topic)?.place(*partition), *next));
        }
        self.shared.write(Change::Commit { group: self.group.clone(), next: places }, 0)
    }

    fn pause(&mut self, paused: bool) -> Result<(), LogError> {
        self.paused = paused;
        Ok(())
    }

    fn confirm_revoked(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn lag(&self) -> Result<Vec<(String, u32, u64)>, LogError> {
        let lag = |one: &Assigned| {
            let end = self.shared.store.end(one.topic.place(one.partition)).next;
            (one.topic.name.to_string(), one.partition, end.saturating_sub(one.next))
        };
        Ok(if self.claimed { self.assigned.iter().map(lag).collect() } else { Vec::new() })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.claimed {
            lock(&self.shared.claims).remove(&self.group);
            self.shared.commits.announce();
        }
    }
}
