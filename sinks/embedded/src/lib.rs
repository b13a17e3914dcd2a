//! The store that `tahoe up` uses in place of Elasticsearch: a tantivy index in a folder.
//!
//! It makes Elasticsearch's promises to the loops (op `create` by `_id` within a data stream,
//! durable when it says so, a document that cannot be stored is rejected alone) and takes the same
//! questions. One process writes a folder; any number search it meanwhile.
//!
//! Memory is bounded: [`Settings::heap_bytes`] while events are indexed, 16 MiB of batches that
//! wait for their commit, and one page of hits per search.

mod counts;
mod document;
mod fields;
mod folder;
mod known;
mod present;
mod query;
mod retention;
mod search;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tahoe_schemas::retention::Retention;
use tahoe_seams::{EventBatch, Outcome, Present, RecordId, Rewrite, Sink, SinkError};
use tantivy::{Index, ReloadPolicy};
use tokio::sync::{Semaphore, oneshot};
use tracing::info;

use crate::fields::Fields;
use crate::known::Known;
use crate::present::present_in;
pub use crate::retention::Expired;
use crate::search::blocking;
use crate::writer::{Shared, Task, Write, Writer};

/// Batches that wait for their commit, in KiB: what half a second brings at 30 MB/s.
const IN_FLIGHT_KIB: u32 = 16 * 1024;

/// Batches in the channel: more than this many of a KiB and more do not fit [`IN_FLIGHT_KIB`].
const IN_FLIGHT_BATCHES: usize = IN_FLIGHT_KIB as usize;

/// How an [`EmbeddedStore`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory for events that are not on disk yet, in bytes, shared by `threads`; each needs 15 MB.
    pub heap_bytes: usize,
    /// Threads that index, at least one.
    pub threads: usize,
    /// Longest time from a write to its commit, when further writes keep coming.
    pub commit_every_max: Duration,
    /// Events that were stored longer ago than this says are deleted, about once an hour.
    pub retention: Retention,
}

impl Settings {
    /// Most that the store holds for writing: what is indexed, and what waits for its commit.
    pub fn memory_bytes_max(&self) -> usize {
        self.heap_bytes + IN_FLIGHT_KIB as usize * 1024
    }
}

impl Default for Settings {
    /// 64 MB, two threads, 400 ms, what the datasets declare.
    fn default() -> Self {
        Self {
            heap_bytes: 64_000_000,
            threads: 2,
            commit_every_max: Duration::from_millis(400),
            retention: Retention::default(),
        }
    }
}

/// A store in a folder. Dropped, it commits what is in flight and lets go of the folder.
pub struct EmbeddedStore {
    shared: Shared,
    in_flight: Arc<Semaphore>,
    writes: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store in `folder` for writing and searching, and creates it if there is none.
    ///
    /// # Errors
    /// [`SinkError::Refused`] when another process writes there, when the folder cannot be used,
    /// or holds a newer format; [`SinkError::Unavailable`] when the disk fails.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, SinkError> {
        let settings = Settings { threads: settings.threads.max(1), ..settings };
        let (schema, fields) = Fields::build();
        let shared = shared(folder, folder::open_or_create(folder, schema)?, fields)?;
        let index_writer = writer::open(&shared, &settings)?;
        let Settings { heap_bytes, threads, .. } = settings;
        let folder = folder.display();
        info!(%folder, heap_bytes, threads, IN_FLIGHT_KIB, "embedded store opened");
        let (writes, receiver) = sync_channel(IN_FLIGHT_BATCHES);
        let writer = Writer::new(shared.clone(), settings, index_writer);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|error| {
                SinkError::Unavailable("no thread for the store".to_owned(), Some(Box::new(error)))
            })?;
        Ok(Self { shared, in_flight: in_flight(), writes: Some(writes), thread: Some(thread) })
    }

    /// Opens the store in `folder` for searching only, also while another process writes it.
    ///
    /// # Errors
    /// [`SinkError::Refused`] when there is no store, or one of a newer format.
    pub fn open_read_only(folder: &Path) -> Result<Self, SinkError> {
        let (schema, fields) = Fields::build();
        let shared = shared(folder, folder::open(folder, &schema)?, fields)?;
        Ok(Self { shared, in_flight: in_flight(), writes: None, thread: None })
    }

    /// Deletes now what is past the retention that the store was opened with; what there was of each
    /// data stream. The store does it by itself too, about once an hour.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when the disk fails; [`SinkError::Refused`] when the store was
    /// opened for reading only.
    pub async fn retire(&self) -> Result<Vec<Expired>, SinkError> {
        let writes = self.writes.as_ref().ok_or_else(writer::read_only)?;
        let (answer, answered) = oneshot::channel();
        writes.try_send(Task::Retire(answer)).map_err(|_| self.stopped())?;
        answered.await.map_err(|_| self.stopped())?
    }

    /// What [`Self::retire`] would delete under other rules; nothing is changed.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] when the disk fails.
    pub async fn expired(&self, retention: &Retention) -> Result<Vec<Expired>, SinkError> {
        let retention = retention.clone();
        self.look(move |shared| {
            let (searcher, now_ms) = (shared.reader.searcher(), writer::now_ms());
            let found = retention::expired(&searcher, &shared.fields, &retention, now_ms)?;
            Ok(found.into_iter().map(|(expired, _)| expired).collect())
        })
        .await
    }

    fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// What `find` finds in the store as it is now.
    async fn look<T: Send + 'static>(
        &self,
        find: impl FnOnce(&Shared) -> tantivy::Result<T> + Send + 'static,
    ) -> Result<T, SinkError> {
        let (shared, read_only) = (self.shared(), self.writes.is_none());
        blocking(move || {
            // Who writes it reloads it after each commit.
            let reloaded = if read_only { shared.reader.reload() } else { Ok(()) };
            let found = reloaded.and_then(|()| find(&shared));
            found.map_err(|error| shared.unavailable(error))
        })
        .await
    }

    fn stopped(&self) -> SinkError {
        let folder = self.shared.folder.display();
        SinkError::Refused(format!("the store in {folder} has stopped: start again"), None)
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by its own hook.
            drop(thread.join());
        }
    }
}

fn in_flight() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(IN_FLIGHT_KIB as usize))
}

fn shared(folder: &Path, index: Index, fields: Fields) -> Result<Shared, SinkError> {
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into();
    let reader = reader.map_err(|error: tantivy::TantivyError| {
        let text = format!("cannot read the store in {}: {error} (--data)", folder.display());
        folder::failed(folder, error, text)
    })?;
    let known = Arc::new(Known::default());
    Ok(Shared { folder: Arc::new(folder.to_owned()), index, fields, reader, known })
}

#[async_trait::async_trait]
impl Sink for EmbeddedStore {
    async fn write(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        if batch.events.is_empty() {
            return Ok(Vec::new());
        }
        let writes = self.writes.as_ref().ok_or_else(writer::read_only)?;
        let kib = u32::try_from(batch.body.len() / 1024 + 1).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.in_flight).acquire_many_owned(kib.min(IN_FLIGHT_KIB)).await;
        let permit = permit.expect("the semaphore is never closed");
        let (answer, answered) = oneshot::channel();
        let sent = writes.try_send(Task::Write(Write { batch: batch.clone(), answer, permit }));
        sent.map_err(|_| self.stopped())?;
        answered.await.map_err(|_| self.stopped())?
    }

    async fn present(&self, ids: &[RecordId]) -> Result<Vec<Present>, SinkError> {
        let ids = ids.to_vec();
        self.look(move |shared| present_in(&shared.reader.searcher(), &shared.fields, &ids)).await
    }

    async fn rewrite(&self, changes: &[Rewrite]) -> Result<Vec<Outcome>, SinkError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let writes = self.writes.as_ref().ok_or_else(writer::read_only)?;
        let (answer, answered) = oneshot::channel();
        let sent = writes.try_send(Task::Rewrite(changes.to_vec(), answer));
        sent.map_err(|_| self.stopped())?;
        answered.await.map_err(|_| self.stopped())?
    }

    async fn find(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
        let batch = batch.clone();
        self.look(move |shared| {
            let wanted = batch.events.iter();
            let wanted = wanted.map(|event| (event.id.0, batch.data_stream(event)));
            let wanted: Vec<_> = wanted.collect();
            shared.known.contains(&shared.reader.searcher(), &shared.fields, &wanted)
        })
        .await
    }

    async fn setup(&self) -> Result<(), SinkError> {
        // Opening created the folder, and a data stream is a value of a field here.
        Ok(())
    }

    async fn check(&self) -> Result<String, SinkError> {
        let shared = self.shared();
        blocking(move || {
            shared.reader.reload().map_err(|error| shared.unavailable(error))?;
            let events = shared.reader.searcher().num_docs();
            Ok(format!("embedded store in {}: {events} events", shared.folder.display()))
        })
        .await
    }
}
