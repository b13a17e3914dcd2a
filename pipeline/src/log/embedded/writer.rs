//! One thread writes: it takes everything that waits, commits it with one fsync, and only then
//! keeps the promises. While it syncs the next group gathers; a lone record waits 2 ms for company.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redb::Table;

use super::block::{self, BLOCK_BYTES};
use super::retention::Retention;
use super::store::{BLOCKS, ENDS, End, GROUPS, POSITIONS, Store, failure};
use crate::clock::now_ms;
use crate::lock::lock;
use crate::seams::{Appended, LogError, Pending};

/// With the fsync itself this keeps an append under 5 ms on a disk that syncs in 3.
const GATHER: Duration = Duration::from_millis(2);
/// As much as one commit takes in; an append of more still goes in whole.
pub(super) const GROUP_BYTES: usize = 4 << 20;

/// Records of one partition, encoded and in order.
pub(super) struct Chunk {
    pub topic: Arc<str>,
    pub partition: u32,
    pub place: u64,
    pub records: u32,
    pub bytes: Vec<u8>,
}

/// What one call wants written.
pub(super) enum Change {
    Append(Vec<Chunk>),
    Positions(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Commit { group: String, next: Vec<(u64, u64)> },
}

struct Job {
    change: Change,
    bytes: usize,
    promise: SyncSender<Result<Appended, LogError>>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

/// The way to the writer's thread, bounded by bytes.
pub(super) struct Queue {
    bytes_max: usize,
    jobs: Mutex<Jobs>,
    filled: Condvar,
    drained: Condvar,
}

impl Queue {
    pub fn new(bytes_max: usize) -> Self {
        let (filled, drained) = (Condvar::new(), Condvar::new());
        Self { bytes_max, jobs: Mutex::default(), filled, drained }
    }

    /// Waits while the queue is full. One change over the bound is taken when it is empty.
    pub fn push(&self, change: Change, bytes: usize) -> Result<Pending, LogError> {
        let (promise, pending) = Pending::channel();
        let mut jobs = lock(&self.jobs);
        while jobs.bytes > 0 && jobs.bytes + bytes > self.bytes_max && !jobs.closed {
            jobs = self.drained.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        if jobs.closed {
            return Err(LogError::Stopped);
        }
        jobs.bytes += bytes;
        jobs.waiting.push_back(Job { change, bytes, promise });
        self.filled.notify_one();
        Ok(pending)
    }

    /// No further change is taken; what waits is still written.
    pub fn close(&self) {
        lock(&self.jobs).closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// The next group, empty when nothing came within `idle`; `None` once closed and written.
    fn take(&self, idle: Duration) -> Option<Vec<Job>> {
        let mut jobs = lock(&self.jobs);
        if jobs.waiting.is_empty() && !jobs.closed {
            jobs = self.filled.wait_timeout(jobs, idle).unwrap_or_else(PoisonError::into_inner).0;
        }
        if jobs.waiting.is_empty() {
            return if jobs.closed { None } else { Some(Vec::new()) };
        }
        let until = Instant::now() + GATHER;
        while jobs.bytes < GROUP_BYTES && !jobs.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            jobs = self.filled.wait_timeout(jobs, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while bytes < GROUP_BYTES
            && let Some(job) = jobs.waiting.pop_front()
        {
            bytes += job.bytes;
            jobs.bytes -= job.bytes;
            group.push(job);
        }
        self.drained.notify_all();
        Some(group)
    }
}

/// Counts commits, so that readers wake without asking again and again.
#[derive(Default)]
pub(super) struct Commits {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Commits {
    pub fn count(&self) -> u64 {
        *lock(&self.count)
    }

    pub fn announce(&self) {
        *lock(&self.count) += 1;
        self.changed.notify_all();
    }

    /// Waits until there were more than `seen`, or until `deadline`.
    pub fn wait(&self, seen: u64, deadline: Instant) -> bool {
        let mut count = lock(&self.count);
        while *count == seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            count =
                self.changed.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Runs until the queue is closed and everything in it is written.
pub(super) fn run(store: &Store, queue: &Queue, commits: &Commits, mut retention: Retention) {
    while let Some(group) = queue.take(Duration::from_secs(1)) {
        if !group.is_empty() {
            write(store, commits, group);
        }
        retention.apply_when_due(store, now_ms());
    }
}

fn write(store: &Store, commits: &Commits, group: Vec<Job>) {
    match commit(store, &group, now_ms()) {
        Ok((reached, ends)) => {
            store.publish(ends);
            for job in &group {
                if let Change::Commit { group, next } = &job.change {
                    store.publish_group(group, next);
                }
            }
            commits.announce();
            for (job, reached) in group.into_iter().zip(reached) {
                // The caller may have gone without waiting.
                let _ = job.promise.send(Ok(reached));
            }
        }
        Err(error) => {
            tracing::error!(%error, path = %store.path.display(), "the log cannot be written");
            let kind = failure(&store.path, error);
            for job in group {
                let _ = job.promise.send(Err(again(&kind)));
            }
        }
    }
}

/// The same decision for each caller of a group that failed as one.
fn again(error: &LogError) -> LogError {
    match error {
        LogError::Retry(text, _) => LogError::Retry(text.clone(), None),
        other => LogError::Stop(other.to_string(), None),
    }
}

type Committed = (Vec<Appended>, BTreeMap<u64, End>);

fn commit(store: &Store, group: &[Job], now_ms: i64) -> Result<Committed, redb::Error> {
    let transaction = store.database.begin_write()?;
    let mut reached = Vec::with_capacity(group.len());
    let mut ends = BTreeMap::new();
    {
        let mut blocks = Blocks {
            table: transaction.open_table(BLOCKS)?,
            open: BTreeMap::new(),
            ends: &mut ends,
            now_ms,
        };
        for job in group {
            let mut appended = Appended::new();
            match &job.change {
                Change::Append(chunks) => {
                    for chunk in chunks {
                        let last = blocks.add(store, chunk)?;
                        note(&mut appended, chunk, last);
                    }
                }
                Change::Positions(changes) => {
                    let mut table = transaction.open_table(POSITIONS)?;
                    for (key, value) in changes {
                        match value {
                            Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                            None => table.remove(key.as_slice())?,
                        };
                    }
                }
                Change::Commit { group, next } => {
                    let mut table = transaction.open_table(GROUPS)?;
                    for (place, next) in next {
                        table.insert((group.as_str(), *place), *next)?;
                    }
                }
            }
            reached.push(appended);
        }
        blocks.finish()?;
        let mut table = transaction.open_table(ENDS)?;
        for (place, end) in &ends {
            table.insert(*place, (end.next, end.bytes))?;
        }
    }
    transaction.commit()?;
    Ok((reached, ends))
}

fn note(appended: &mut Appended, chunk: &Chunk, last: u64) {
    let known = appended.iter_mut().find(|(topic, partition, _)| {
        *partition == chunk.partition && topic.as_str() == &*chunk.topic
    });
    match known {
        Some((_, _, offset)) => *offset = last,
        None => appended.push((chunk.topic.to_string(), chunk.partition, last)),
    }
}

/// Blocks being filled, one per partition: small appends of one group share a block.
struct Blocks<'t, 'e> {
    table: Table<'t, (u64, u64), &'static [u8]>,
    open: BTreeMap<u64, (u64, u32, Vec<u8>)>,
    ends: &'e mut BTreeMap<u64, End>,
    now_ms: i64,
}

impl Blocks<'_, '_> {
    /// Gives the chunk its offsets and says the last of them.
    fn add(&mut self, store: &Store, chunk: &Chunk) -> Result<u64, redb::Error> {
        let end = self.ends.entry(chunk.place).or_insert_with(|| store.end(chunk.place));
        let first = end.next;
        end.next += u64::from(chunk.records);
        let last = end.next - 1;
        let full = self.open.get(&chunk.place);
        if full.is_some_and(|(_, _, bytes)| bytes.len() + chunk.bytes.len() > BLOCK_BYTES) {
            self.close(chunk.place)?;
        }
        let now_ms = self.now_ms;
        let begin = || (first, 0, block::begin(now_ms));
        let (_, records, bytes) = self.open.entry(chunk.place).or_insert_with(begin);
        *records += chunk.records;
        bytes.extend_from_slice(&chunk.bytes);
        Ok(last)
    }

    fn close(&mut self, place: u64) -> Result<(), redb::Error> {
        if let Some((first, records, mut bytes)) = self.open.remove(&place) {
            block::finish(&mut bytes, records);
            self.table.insert((place, first), bytes.as_slice())?;
            self.ends.entry(place).or_default().bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), redb::Error> {
        while let Some(place) = self.open.keys().next().copied() {
            self.close(place)?;
        }
        Ok(())
    }
}
