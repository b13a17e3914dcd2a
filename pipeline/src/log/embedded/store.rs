//! The tables of the embedded log, and the one place that names the engine's failures.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::block::Block;
use crate::lock::lock;
use crate::seams::{KeyValue, LogError, LogRecord, MoreHeaders, Topic, Visit};

/// Format of the tables below. A newer one stops this binary.
const FORMAT: u64 = 1;
/// What the engine may keep in memory, whatever the size of the log.
pub(super) const CACHE_BYTES: usize = 32 << 20;

/// Far longer than the system takes to end a process.
const LET_GO_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

type Place = u64;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Name of a topic to its number and its partitions.
const TOPICS: TableDefinition<'_, &str, (u32, u32)> = TableDefinition::new("topics");
/// Place and first offset to a block.
pub(super) const BLOCKS: TableDefinition<'_, (Place, u64), &[u8]> = TableDefinition::new("blocks");
/// Place to the next offset and the bytes of its blocks.
pub(super) const ENDS: TableDefinition<'_, Place, (u64, u64)> = TableDefinition::new("ends");
/// What [`crate::seams::Log::store_positions`] keeps.
pub(super) const POSITIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("positions");
/// Group and place to the next offset that the group has not committed.
pub(super) const GROUPS: TableDefinition<'_, (&str, Place), u64> = TableDefinition::new("groups");

/// A topic that is set up.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub name: Arc<str>,
    number: u32,
    pub partitions: u32,
}

impl Known {
    /// One number for a partition of a topic, by which everything is keyed.
    pub fn place(&self, partition: u32) -> Place {
        (u64::from(self.number) << 32) | u64::from(partition)
    }
}

/// Where a partition ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub next: u64,
    pub bytes: u64,
}

/// How far a visit came.
pub(super) struct Visited {
    pub next: u64,
    pub flow: ControlFlow<()>,
}

/// The engine with what is asked of it too often to be read from it.
pub(super) struct Store {
    pub path: PathBuf,
    pub database: Database,
    topics: Mutex<BTreeMap<String, Known>>,
    ends: Mutex<BTreeMap<Place, End>>,
    groups: Mutex<BTreeMap<(String, Place), u64>>,
}

impl Store {
    /// Opens or creates `folder/log.redb` and takes its lock, which dies with the process.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        let path = folder.join("log.redb");
        let io = |error: std::io::Error| {
            let text = format!("cannot write to {}: {error}: set --data", folder.display());
            LogError::Stop(text, Some(Box::new(error)))
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let database = database(&path).map_err(|error| failure(&path, error))?;
        // A new file is only durable once its folder is.
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        let mut store = Self {
            path,
            database,
            topics: Mutex::default(),
            ends: Mutex::default(),
            groups: Mutex::default(),
        };
        store.check_format()?;
        store.load().map_err(|error| failure(&store.path, error))?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), LogError> {
        let found = self.format().map_err(|error| failure(&self.path, error))?;
        if found == FORMAT {
            return Ok(());
        }
        let path = self.path.display();
        let text = format!(
            "{path} has format {found}, this binary knows {FORMAT}: start a newer one, or set --data"
        );
        Err(LogError::Stop(text, None))
    }

    /// Writes the format into a new log, and creates its tables with it.
    fn format(&self) -> Result<u64, redb::Error> {
        match self.database.begin_read()?.open_table(META) {
            Ok(meta) => return Ok(meta.get("format")?.map_or(0, |found| found.value())),
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let transaction = self.database.begin_write()?;
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.open_table(TOPICS)?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(ENDS)?;
        transaction.open_table(POSITIONS)?;
        transaction.open_table(GROUPS)?;
        transaction.commit()?;
        Ok(FORMAT)
    }

    fn load(&mut self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_read()?;
        for entry in transaction.open_table(TOPICS)?.iter()? {
            let (name, value) = entry?;
            let (number, partitions) = value.value();
            let known = Known { name: name.value().into(), number, partitions };
            lock(&self.topics).insert(name.value().to_owned(), known);
        }
        for entry in transaction.open_table(ENDS)?.iter()? {
            let (place, value) = entry?;
            let (next, bytes) = value.value();
            lock(&self.ends).insert(place.value(), End { next, bytes });
        }
        for entry in transaction.open_table(GROUPS)?.iter()? {
            let (key, next) = entry?;
            let (group, place) = key.value();
            lock(&self.groups).insert((group.to_owned(), place), next.value());
        }
        Ok(())
    }

    /// The topic, or [`LogError::NoTopic`].
    pub fn topic(&self, name: &str) -> Result<Known, LogError> {
        lock(&self.topics).get(name).cloned().ok_or_else(|| LogError::NoTopic(name.to_owned()))
    }

    /// Creates the topics that are missing.
    pub fn create(&self, topics: &[Topic]) -> Result<(), LogError> {
        let mut known = lock(&self.topics);
        let mut fresh: Vec<Known> = Vec::new();
        for topic in topics {
            let named_twice = fresh.iter().any(|new| *new.name == *topic.name);
            if known.contains_key(&topic.name) || named_twice {
                continue;
            }
            let number = u32::try_from(known.len() + fresh.len()).expect("topics are dozens");
            let partitions = topic.partitions.max(1);
            fresh.push(Known { name: topic.name.as_str().into(), number, partitions });
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(TOPICS)?;
                for topic in &fresh {
                    table.insert(&*topic.name, (topic.number, topic.partitions))?;
                }
            }
            Ok(transaction.commit()?)
        };
        write().map_err(|error| failure(&self.path, error))?;
        known.extend(fresh.into_iter().map(|topic| (topic.name.to_string(), topic)));
        Ok(())
    }

    /// Where a partition ends now.
    pub fn end(&self, place: Place) -> End {
        lock(&self.ends).get(&place).copied().unwrap_or_default()
    }

    /// All partitions that ever had a record.
    pub fn ends(&self) -> BTreeMap<Place, End> {
        lock(&self.ends).clone()
    }

    /// After a commit: what it changed is what readers see from now on.
    pub fn publish(&self, ends: impl IntoIterator<Item = (Place, End)>) {
        lock(&self.ends).extend(ends);
    }

    /// After a commit of offsets.
    pub fn publish_group(&self, group: &str, next: &[(Place, u64)]) {
        let entries = next.iter().map(|(place, next)| ((group.to_owned(), *place), *next));
        lock(&self.groups).extend(entries);
    }

    /// What the group has committed.
    pub fn committed(&self, group: &str, place: Place) -> Option<u64> {
        lock(&self.groups).get(&(group.to_owned(), place)).copied()
    }

    /// Below this, every group that was ever seen on the partition has committed.
    pub fn committed_by_all(&self, place: Place) -> u64 {
        let groups = lock(&self.groups);
        let of_place = groups.iter().filter(|((_, of), _)| *of == place);
        of_place.map(|(_, next)| *next).min().unwrap_or(u64::MAX)
    }

    /// First offset that is still there.
    pub fn earliest(&self, place: Place) -> Result<u64, LogError> {
        let read = || -> Result<Option<u64>, redb::Error> {
            let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
            let first = blocks.range((place, 0)..=(place, u64::MAX))?.next();
            Ok(first.transpose()?.map(|(key, _)| key.value().1))
        };
        let first = read().map_err(|error| failure(&self.path, error))?;
        Ok(first.unwrap_or_else(|| self.end(place).next))
    }

    /// Visits `[from, to)` until `bytes_max` bytes of blocks are exceeded or the visitor breaks.
    pub fn visit(
        &self,
        topic: &Known,
        partition: u32,
        (from, to): (u64, u64),
        bytes_max: usize,
        visit: &mut Visit<'_>,
    ) -> Result<Visited, LogError> {
        let place = topic.place(partition);
        let engine = |error: redb::Error| failure(&self.path, error);
        let blocks = || -> Result<_, redb::Error> {
            let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
            // The block that `from` is in began at or before it.
            let before = blocks.range((place, 0)..=(place, from))?.next_back();
            let start = before.transpose()?.map_or(from, |(key, _)| key.value().1);
            Ok(blocks.range((place, start)..(place, to.max(start)))?)
        };
        let mut visited = Visited { next: from, flow: ControlFlow::Continue(()) };
        let mut bytes = 0;
        for entry in blocks().map_err(engine)? {
            let (key, value) = entry.map_err(|error| engine(error.into()))?;
            let first = key.value().1;
            bytes += value.value().len();
            let mut block = Block::open(value.value()).ok_or_else(|| self.damaged(first))?;
            for offset in first..first + u64::from(block.records) {
                let record = block.next(&topic.name, partition, offset);
                let record = record.ok_or_else(|| self.damaged(offset))?;
                if offset < visited.next {
                    continue;
                }
                if offset >= to {
                    return Ok(visited);
                }
                visited.next = offset + 1;
                let headers = block.headers();
                let more_headers = MoreHeaders::of(&headers);
                visited.flow = visit(LogRecord { more_headers, ..record });
                if visited.flow.is_break() {
                    return Ok(visited);
                }
            }
            if bytes >= bytes_max {
                return Ok(visited);
            }
        }
        Ok(visited)
    }

    /// The latest value of every key.
    pub fn positions(&self) -> Result<Vec<KeyValue>, LogError> {
        let read = || -> Result<Vec<_>, redb::Error> {
            let table = self.database.begin_read()?.open_table(POSITIONS)?;
            let mut all = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                all.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(all)
        };
        read().map_err(|error| failure(&self.path, error))
    }

    fn damaged(&self, offset: u64) -> LogError {
        let path = self.path.display();
        let text = format!("{path} is damaged at offset {offset}: restore it, or set --data");
        LogError::Stop(text, None)
    }
}

/// Opens the file, which one process at a time can do. One that was killed has it until the system
/// has ended it.
fn database(path: &Path) -> Result<Database, DatabaseError> {
    let deadline = Instant::now() + LET_GO_WITHIN;
    let mut waits = false;
    loop {
        match Database::builder().set_cache_size(CACHE_BYTES).create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < deadline => {}
            opened => return opened,
        }
        if !waits {
            waits = true;
            tracing::info!(path = %path.display(), "another instance has it: waiting for its end");
        }
        std::thread::park_timeout(LOOK);
    }
}

/// What to do about a failure of the engine. A write that failed may go through later (a full
/// disk); the engine refuses everything after it until the log is opened again.
pub(super) fn failure(path: &Path, error: impl Into<redb::Error>) -> LogError {
    let error = error.into();
    let path = path.display();
    match error {
        redb::Error::DatabaseAlreadyOpen => LogError::Stop(
            format!("{path} is in use by another instance: stop it, or set another --data"),
            Some(Box::new(error)),
        ),
        redb::Error::Io(_) => LogError::Retry(
            format!("cannot write to {path}: {error}: free space there, or set --data"),
            Some(Box::new(error)),
        ),
        redb::Error::PreviousIo => LogError::Stop(
            format!("a write to {path} failed: free space there or set --data, then start again"),
            Some(Box::new(error)),
        ),
        other => LogError::Stop(
            format!("{path}: {other}: restore it, or set another --data"),
            Some(Box::new(other)),
        ),
    }
}
