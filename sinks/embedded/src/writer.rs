//! One thread writes: it looks for duplicates, indexes, and answers only after a commit.
//!
//! A commit is an fsync and a new segment, so writes share it: it comes when no further batch
//! follows, and at the latest [`Settings::commit_every_max`] after the first event. After an error
//! nothing of the open commit is kept, and all who wait for it are told to write again.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tahoe_schemas::retention::Retention;
use tahoe_seams::{EventBatch, Outcome, Present, Rewrite, SinkError};
use tantivy::directory::error::LockError;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tantivy::{Index, IndexReader, IndexWriter, TantivyError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{info, warn};

use crate::Settings;
use crate::document::index_document;
use crate::fields::Fields;
use crate::folder::failed;
use crate::known::Known;
use crate::present::{copy_of, present_in};
use crate::retention::{Expired, expired};

/// A batch that nothing follows for so long is committed: a sender that waits for its answer
/// before it sends the next one is not held up.
const QUIET: Duration = Duration::from_millis(10);

/// Events handed to an indexing thread at once.
const HANDED_OVER: usize = 256;

/// How often old events are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(3600);

/// Smaller segments are treated as one size, so that those of single commits are merged at once.
const SEGMENT_EVENTS_SMALL: u32 = 20_000;

/// Larger segments are left alone: merging them again costs more than searching one more.
const SEGMENT_EVENTS_MAX: usize = 2_000_000;

/// A segment with more deleted events than this is rewritten.
const DELETED_SHARE_MAX: f32 = 0.3;

/// A batch and who waits for it.
pub(crate) struct Write {
    /// The events.
    pub batch: EventBatch,
    /// Where the outcomes go.
    pub answer: oneshot::Sender<Result<Vec<Outcome>, SinkError>>,
    /// Its share of the bytes in flight, given back with the answer.
    pub permit: OwnedSemaphorePermit,
}

/// What the writing thread is asked for.
pub(crate) enum Task {
    /// Events, which share a commit with others.
    Write(Write),
    /// Documents to write over or remove, and where the outcomes go.
    Rewrite(Vec<Rewrite>, oneshot::Sender<Result<Vec<Outcome>, SinkError>>),
    /// Nothing but to delete what is past its retention, and where to say what it was.
    Retire(oneshot::Sender<Result<Vec<Expired>, SinkError>>),
}

/// What reading and writing share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The store's folder, for messages.
    pub folder: Arc<PathBuf>,
    /// The index.
    pub index: Index,
    /// Its fields.
    pub fields: Fields,
    /// Sees the last commit.
    pub reader: IndexReader,
    /// First and last ids of the segments.
    pub known: Arc<Known>,
}

impl Shared {
    /// The store cannot be used now; nothing that was answered is lost.
    pub fn unavailable(&self, error: TantivyError) -> SinkError {
        let folder = self.folder.display();
        let text = format!("the store in {folder} failed: {error}; is its disk full? (--data)");
        failed(&self.folder, error, text)
    }
}

/// Far longer than the system takes to end a process.
const LET_GO_WITHIN: Duration = Duration::from_secs(3);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Opens the index for writing, which one process at a time can do. One that was killed has it
/// until the system has ended it.
pub(crate) fn open(shared: &Shared, settings: &Settings) -> Result<IndexWriter, SinkError> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(settings.threads)
        .memory_budget_per_thread(settings.heap_bytes / settings.threads)
        .num_merge_threads(1)
        .build();
    let deadline = Instant::now() + LET_GO_WITHIN;
    let opened = loop {
        match shared.index.writer_with_options(options.clone()) {
            Err(TantivyError::LockFailure(LockError::LockBusy, _)) if Instant::now() < deadline => {
                std::thread::park_timeout(LOOK);
            }
            opened => break opened,
        }
    };
    let writer = opened.map_err(|error| match error {
        TantivyError::LockFailure(LockError::LockBusy, _) => SinkError::Refused(
            format!(
                "another process writes to {}: stop it, or name another folder by --data",
                shared.folder.display()
            ),
            None,
        ),
        error => shared.unavailable(error),
    })?;
    let mut merges = LogMergePolicy::default();
    merges.set_min_layer_size(SEGMENT_EVENTS_SMALL);
    merges.set_max_docs_before_merge(SEGMENT_EVENTS_MAX);
    merges.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
    writer.set_merge_policy(Box::new(merges));
    Ok(writer)
}

struct Waiting {
    answer: oneshot::Sender<Result<Vec<Outcome>, SinkError>>,
    outcomes: Vec<Outcome>,
    _permit: OwnedSemaphorePermit,
}

/// The writing thread.
pub(crate) struct Writer {
    shared: Shared,
    settings: Settings,
    /// None after an error, until the next batch.
    writer: Option<IndexWriter>,
    waiting: Vec<Waiting>,
    uncommitted: HashSet<([u8; 16], u32)>,
    data_streams: HashMap<String, u32>,
    first_at: Instant,
    last_at: Instant,
    next_commit: Instant,
    next_retention: Instant,
}

impl Writer {
    /// Takes over an index that [`open`] opened.
    pub fn new(shared: Shared, settings: Settings, writer: IndexWriter) -> Self {
        let now = Instant::now();
        Self {
            shared,
            settings,
            writer: Some(writer),
            waiting: Vec::new(),
            uncommitted: HashSet::new(),
            data_streams: HashMap::new(),
            first_at: now,
            last_at: now,
            next_commit: now,
            next_retention: now,
        }
    }

    /// Runs until every sender is gone, and commits what is open then.
    pub fn run(mut self, tasks: &Receiver<Task>) {
        loop {
            let wait = match self.waiting.is_empty() {
                true => self.next_retention.saturating_duration_since(Instant::now()),
                false => self.commit_at().saturating_duration_since(Instant::now()),
            };
            match tasks.recv_timeout(wait) {
                Ok(Task::Write(write)) => self.take(write),
                Ok(Task::Rewrite(changes, answer)) => {
                    // A document is looked for among those that are committed.
                    if !self.waiting.is_empty() {
                        self.commit();
                    }
                    // Nobody may wait any more: the changes are durable all the same.
                    drop(answer.send(self.rewrite(&changes)));
                }
                Ok(Task::Retire(answer)) => {
                    if !self.waiting.is_empty() {
                        self.commit();
                    }
                    drop(answer.send(self.retire()));
                }
                // An error was logged, and the next hour comes.
                Err(RecvTimeoutError::Timeout) if self.waiting.is_empty() => drop(self.retire()),
                Err(RecvTimeoutError::Timeout) => self.commit(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if !self.waiting.is_empty() && Instant::now() >= self.commit_at() {
                self.commit();
            }
        }
        if !self.waiting.is_empty() {
            self.commit();
        }
    }

    fn commit_at(&self) -> Instant {
        let latest = self.first_at + self.settings.commit_every_max;
        (self.last_at + QUIET).max(self.next_commit).min(latest)
    }

    fn take(&mut self, write: Write) {
        let Write { batch, answer, permit } = write;
        if self.waiting.is_empty() {
            self.first_at = Instant::now();
        }
        match self.index(&batch) {
            Ok(outcomes) => self.waiting.push(Waiting { answer, outcomes, _permit: permit }),
            Err(error) => {
                self.fail(&error.to_string());
                drop(answer.send(Err(error)));
            }
        }
        self.last_at = Instant::now();
    }

    /// Hands the new events of a batch to the indexing threads.
    fn index(&mut self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        if self.writer.is_none() {
            self.writer = Some(open(&self.shared, &self.settings)?);
            self.shared.reader.reload().map_err(|error| self.shared.unavailable(error))?;
        }
        let wanted: Vec<_> =
            batch.events.iter().map(|event| (event.id.0, batch.data_stream(event))).collect();
        let searcher = self.shared.reader.searcher();
        let known = self.shared.known.contains(&searcher, &self.shared.fields, &wanted);
        let known = known.map_err(|error| self.shared.unavailable(error))?;
        let now_ms = now_ms();
        let mut outcomes = Vec::with_capacity(batch.events.len());
        let mut operations = Vec::with_capacity(HANDED_OVER);
        for (event, known) in batch.events.iter().zip(known) {
            let key = (event.id.0, self.data_stream(batch.data_stream(event)));
            if known || self.uncommitted.contains(&key) {
                outcomes.push(Outcome::AlreadyThere);
                continue;
            }
            let source = batch.document(event);
            let data_stream = batch.data_stream(event);
            match index_document(&self.shared.fields, event.id, data_stream, source, now_ms) {
                Ok(document) => {
                    self.uncommitted.insert(key);
                    operations.push(UserOperation::Add(document));
                    outcomes.push(Outcome::Stored);
                }
                Err(rejection) => outcomes.push(Outcome::Rejected(rejection)),
            }
            if operations.len() == HANDED_OVER {
                self.hand_over(&mut operations)?;
            }
        }
        self.hand_over(&mut operations)?;
        Ok(outcomes)
    }

    /// Writes over each document that is as it was seen, in one commit.
    fn rewrite(&mut self, changes: &[Rewrite]) -> Result<Vec<Outcome>, SinkError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => open(&self.shared, &self.settings)?,
        };
        match rewrite_in(&self.shared, &mut writer, changes) {
            Ok(outcomes) => {
                self.writer = Some(writer);
                Ok(outcomes)
            }
            Err(error) => {
                // What is not committed goes with the writer.
                drop(writer);
                self.fail(&error.to_string());
                Err(self.shared.unavailable(error))
            }
        }
    }

    fn hand_over(&self, operations: &mut Vec<UserOperation>) -> Result<(), SinkError> {
        let writer = self.writer.as_ref().expect("it was opened before the first event");
        let handed = writer.run(std::mem::take(operations));
        operations.reserve(HANDED_OVER);
        handed.map(drop).map_err(|error| self.shared.unavailable(error))
    }

    fn data_stream(&mut self, name: &str) -> u32 {
        if let Some(number) = self.data_streams.get(name) {
            return *number;
        }
        let number = u32::try_from(self.data_streams.len()).expect("fewer than 2^32 data streams");
        self.data_streams.insert(name.to_owned(), number);
        number
    }

    fn commit(&mut self) {
        let started = Instant::now();
        let committed = match &mut self.writer {
            Some(writer) if !self.uncommitted.is_empty() => writer.commit().map(drop),
            // Only duplicates of committed events, and rejections.
            _ => Ok(()),
        };
        let committed = committed.and_then(|()| match self.uncommitted.is_empty() {
            true => Ok(()),
            false => self.shared.reader.reload(),
        });
        if let Err(error) = committed {
            return self.fail(&error.to_string());
        }
        self.uncommitted.clear();
        // At most half of the time goes to commits.
        self.next_commit = Instant::now() + started.elapsed();
        for waiting in self.waiting.drain(..) {
            // Nobody may wait any more: the events are durable all the same.
            drop(waiting.answer.send(Ok(waiting.outcomes)));
        }
    }

    /// Forgets what is not committed. Its senders write it again, and the lock is given back.
    fn fail(&mut self, reason: &str) {
        warn!(reason, batches = self.waiting.len(), "store failed, open commit is given up");
        self.writer = None;
        self.uncommitted.clear();
        for waiting in self.waiting.drain(..) {
            let folder = self.shared.folder.display();
            let text =
                format!("the store in {folder} failed: {reason}; is its disk full? (--data)");
            drop(waiting.answer.send(Err(SinkError::Unavailable(text, None))));
        }
    }

    /// Deletes what was stored longer ago than is kept.
    fn retire(&mut self) -> Result<Vec<Expired>, SinkError> {
        self.next_retention = Instant::now() + RETENTION_EVERY;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => open(&self.shared, &self.settings)?,
        };
        match retire_in(&self.shared, &mut writer, &self.settings.retention) {
            Ok(expired) => {
                self.writer = Some(writer);
                Ok(expired)
            }
            Err(error) => {
                drop(writer);
                self.fail(&error.to_string());
                Err(self.shared.unavailable(error))
            }
        }
    }
}

fn retire_in(
    shared: &Shared,
    writer: &mut IndexWriter,
    retention: &Retention,
) -> tantivy::Result<Vec<Expired>> {
    shared.reader.reload()?;
    let found = expired(&shared.reader.searcher(), &shared.fields, retention, now_ms())?;
    let mut all = Vec::with_capacity(found.len());
    for (expired, old) in found {
        let Expired { data_stream, events, keep, .. } = &expired;
        if let Some(old) = old {
            writer.delete_query(old)?;
            info!(data_stream, events, %keep, "events past their retention deleted");
        }
        all.push(expired);
    }
    if all.iter().any(|expired| expired.events > 0) {
        writer.commit()?;
        shared.reader.reload()?;
    }
    Ok(all)
}

fn rewrite_in(
    shared: &Shared,
    writer: &mut IndexWriter,
    changes: &[Rewrite],
) -> tantivy::Result<Vec<Outcome>> {
    let Shared { fields, reader, .. } = shared;
    reader.reload()?;
    let ids: Vec<_> = changes.iter().map(|change| change.id).collect();
    let mut present = present_in(&reader.searcher(), fields, &ids)?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        let is_same = |one: &Present| one.id == change.id && one.version == change.version;
        let Some(at) = present.iter().position(is_same) else {
            outcomes.push(Outcome::Busy);
            continue;
        };
        let data_stream = &change.version.index;
        let fresh = change.document.as_ref();
        let fresh =
            fresh.map(|text| index_document(fields, change.id, data_stream, text, now_ms()));
        if let Some(Err(rejection)) = fresh {
            outcomes.push(Outcome::Rejected(rejection));
            continue;
        }
        // It is not as it was seen for whoever comes after.
        present.swap_remove(at);
        writer.delete_query(copy_of(fields, change.id, data_stream))?;
        if let Some(Ok(document)) = fresh {
            writer.add_document(document)?;
        }
        outcomes.push(Outcome::Stored);
    }
    writer.commit()?;
    reader.reload()?;
    Ok(outcomes)
}

/// The answer to a write where nothing may be written.
pub(crate) fn read_only() -> SinkError {
    SinkError::Refused("the store was opened for reading only".to_owned(), None)
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
