//! The embedded log: what `tahoe up` uses in place of Kafka, on one machine, in one process.
//!
//! It sits on redb, a copy-on-write B-tree whose commits survive kill -9 and power loss. Measured
//! against fjall and SQLite (docs/embedded-log.md): a million records of 300 bytes cost 1.0 CPU-s
//! and 46 MiB in blocks, against 2.5 CPU-s and 94 MiB, and it opens at once after a clean stop.

mod block;
mod reader;
mod retention;
mod store;
mod writer;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use self::block::BLOCK_BYTES;
use self::retention::Retention;
use self::store::Store;
use self::writer::{Change, Chunk, Commits, Queue};
use crate::lock::lock;
use crate::log::{RECORD_BYTES_MAX, durable, fence_of, start_thread};
use crate::seams::{
    KeyValue, Log, LogError, LogReader, Outgoing, Ownership, Pending, Topic, Visit,
};
use crate::stop::Patience;

/// What waits for the writer's thread at most; `append` waits while it is full.
const QUEUE_BYTES: usize = 16 << 20;

/// Most that the embedded log holds: what waits for the writer's thread, the group that it writes,
/// and what the B-tree keeps of its pages.
pub const MEMORY_BYTES_MAX: usize = QUEUE_BYTES + writer::GROUP_BYTES + store::CACHE_BYTES;

/// Settings of the embedded log.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Embedded log and store")]
pub struct EmbeddedSettings {
    /// Bytes that the embedded log may keep; what is not stored yet is kept beyond them.
    #[arg(
        long = "log-retention-bytes",
        env = "TAHOE_LOG_RETENTION_BYTES",
        default_value_t = 1 << 30,
        value_name = "BYTES"
    )]
    pub retention_bytes: u64,
    /// Days that the embedded log keeps a record; one that is not stored yet stays longer.
    #[arg(
        long = "log-retention-days",
        env = "TAHOE_LOG_RETENTION_DAYS",
        default_value_t = 7,
        value_name = "DAYS"
    )]
    pub retention_days: u32,
    /// Largest record in bytes; the caller sets it from `--kafka-record-bytes-max`.
    #[arg(skip = RECORD_BYTES_MAX)]
    pub record_bytes_max: usize,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self { retention_bytes: 1 << 30, retention_days: 7, record_bytes_max: RECORD_BYTES_MAX }
    }
}

/// What the log, its readers, its claims and its writer's thread have in common.
struct Shared {
    store: Store,
    queue: Queue,
    commits: Commits,
    claims: reader::Claims,
    /// How often each owner was claimed.
    owners: Mutex<BTreeMap<String, u64>>,
    closed: AtomicBool,
}

impl Shared {
    /// Writes and waits until it is durable: the writer's thread answers for as long as we live.
    fn write(&self, change: Change, bytes: usize) -> Result<(), LogError> {
        durable(&self.queue.push(change, bytes)?, &Patience::default()).map(drop)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The embedded log. Dropped, it writes what it took and frees its folder once its readers and
/// claims are gone too.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    record_bytes_max: usize,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedLog {
    /// Opens or creates the log in the folder `path`.
    ///
    /// # Errors
    /// [`LogError::Stop`] if another instance has it open, if a newer version wrote it, or if the
    /// folder cannot be written; the text names `--data`.
    pub fn open(path: &Path, settings: &EmbeddedSettings) -> Result<Self, LogError> {
        let shared = Arc::new(Shared {
            store: Store::open(path)?,
            queue: Queue::new(QUEUE_BYTES),
            commits: Commits::default(),
            claims: reader::Claims::default(),
            owners: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let age_ms_max = i64::from(settings.retention_days) * 24 * 60 * 60 * 1000;
        let retention = Retention::new(settings.retention_bytes, age_ms_max);
        let of_writer = Arc::clone(&shared);
        let writer = start_thread("log-writer", move || {
            let Shared { store, queue, commits, .. } = &*of_writer;
            writer::run(store, queue, commits, retention);
        })?;
        let record_bytes_max = settings.record_bytes_max;
        Ok(Self { shared, record_bytes_max, writer: Some(writer) })
    }

    /// Encodes the records by partition, in order, in chunks of at most a block.
    fn chunks(&self, records: &[Outgoing<'_>]) -> Result<(Vec<Chunk>, usize), LogError> {
        let mut chunks: Vec<Chunk> = Vec::new();
        // Index of the chunk being filled, by place.
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        let mut topic: Option<store::Known> = None;
        let mut total = 0;
        for record in records {
            let bytes = block::size(record);
            if bytes > self.record_bytes_max {
                return Err(LogError::TooLarge { bytes, limit: self.record_bytes_max });
            }
            let known = match topic.take() {
                Some(known) if *known.name == *record.topic => known,
                _ => self.shared.store.topic(record.topic)?,
            };
            let known = topic.insert(known);
            check_partition(known, record.partition)?;
            let place = known.place(record.partition);
            let at = match open.get(&place) {
                Some(at) if chunks[*at].bytes.len() + bytes <= BLOCK_BYTES => *at,
                _ => {
                    let (topic, partition) = (Arc::clone(&known.name), record.partition);
                    chunks.push(Chunk { topic, partition, place, records: 0, bytes: Vec::new() });
                    open.insert(place, chunks.len() - 1);
                    chunks.len() - 1
                }
            };
            block::encode(record, &mut chunks[at].bytes);
            chunks[at].records += 1;
            total += bytes;
        }
        Ok((chunks, total))
    }
}

fn check_partition(topic: &store::Known, partition: u32) -> Result<(), LogError> {
    if partition < topic.partitions {
        return Ok(());
    }
    let (name, partitions) = (&topic.name, topic.partitions);
    Err(LogError::Stop(format!("topic {name} has {partitions} partitions, no {partition}"), None))
}

impl Log for EmbeddedLog {
    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        Ok(self.shared.store.topic(topic)?.partitions)
    }

    fn setup(&self, topics: &[Topic]) -> Result<(), LogError> {
        self.shared.store.create(topics)
    }

    fn append(&self, records: &[Outgoing<'_>]) -> Result<Pending, LogError> {
        let (chunks, bytes) = self.chunks(records)?;
        self.shared.queue.push(Change::Append(chunks), bytes)
    }

    fn fence(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        let fence = fence_of(topic, partition, 0);
        let appended = durable(&self.append(&[fence])?, &Patience::default())?;
        Ok(appended.first().map_or(0, |(_, _, offset)| *offset))
    }

    fn scan(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        let topic = self.shared.store.topic(topic)?;
        check_partition(&topic, partition)?;
        self.shared.store.visit(&topic, partition, (from, to), usize::MAX, visit).map(drop)
    }

    /// A block does not say when its records were read, so the time narrows nothing down.
    fn offsets(
        &self,
        topic: &str,
        partition: u32,
        _from_ms: Option<i64>,
    ) -> Result<Range<u64>, LogError> {
        let store = &self.shared.store;
        let topic = store.topic(topic)?;
        check_partition(&topic, partition)?;
        let place = topic.place(partition);
        Ok(store.earliest(place)?..store.end(place).next)
    }

    fn positions(&self) -> Result<Vec<KeyValue>, LogError> {
        self.shared.store.positions()
    }

    fn store_positions(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LogError> {
        let sizes =
            changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        self.shared.write(Change::Positions(changes.to_vec()), sizes.sum())
    }

    fn own(&self, owner: &str) -> Result<Box<dyn Ownership>, LogError> {
        let mut owners = lock(&self.shared.owners);
        let claims = owners.entry(owner.to_owned()).or_default();
        *claims += 1;
        let (shared, owner) = (Arc::clone(&self.shared), owner.to_owned());
        Ok(Box::new(Claim { shared, owner, claim: *claims }))
    }

    fn check(&self, topics: &[String]) -> Result<String, LogError> {
        topics.iter().try_for_each(|topic| self.partitions(topic).map(drop))?;
        Ok(format!("embedded log, {} topics", topics.len()))
    }

    fn reader(&self, group: &str, topics: &[String]) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(reader::Reader::join(Arc::clone(&self.shared), group, topics)?))
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
        self.shared.closed.store(true, Ordering::Release);
        self.shared.commits.announce();
    }
}

/// Other processes are kept out by the lock on the folder; this one only knows its own claims.
struct Claim {
    shared: Arc<Shared>,
    owner: String,
    claim: u64,
}

impl Ownership for Claim {
    fn lost(&self) -> Option<LogError> {
        let latest = lock(&self.shared.owners).get(&self.owner).copied();
        (latest != Some(self.claim)).then(|| LogError::Fenced(self.owner.clone()))
    }
}
