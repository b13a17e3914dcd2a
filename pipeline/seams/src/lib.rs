//! The seams of Tahoe: what a source, a format, a log and a store each promise, and nothing else.
//!
//! Everything here is pure and depends on no transport, format or store, so that formats
//! (`schemas`) and transports (`pipeline`) can be written without knowing each other.

mod batch;
mod event;
mod failure;
mod headers;
mod present;
mod record;
pub mod search;
mod state;
mod tables;

use std::ops::Range;
use std::time::Duration;

pub use batch::{Advance, Batch, BatchEnd, Lane, Raw, Stream};
pub use event::{EventBatch, EventMeta, Events, Outcome, data_stream_type};
pub use failure::{LogError, Rejection, SinkError, SourceError};
pub use headers::{FindHeader, MoreHeaders};
pub use present::{Present, Rewrite, Version};
pub use record::{Conditions, Origin, Part, Record, RecordId, Rules, SourceId, is_same};
pub use state::{RowChange, RowNow, RowPart};
pub use tables::TablePatterns;

/// What is read. The producer loop gives it a thread of its own and makes every call from there.
pub trait Source: Send {
    /// Called once, before the first read, with every position stored for this source's owner,
    /// already moved forward over what the log was found to hold.
    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError>;
    /// Asked at a start for each stored position: the stream that took over from that one, which an
    /// earlier version knew by another id. Its position becomes the successor's, once.
    fn successor(&self, _former: SourceId) -> Option<SourceId> {
        None
    }
    /// Asked of each record that a start finds in the log: the stream of this source that it
    /// belongs to, or none if it is another producer's, whatever its id says.
    fn stream_of(&self, origin: &Origin) -> Option<SourceId> {
        Some(origin.source)
    }
    /// Called between the start and [`Source::resume`] for every record of this owner that the log
    /// holds beyond its stored position, in order: the chance to bring the carried context forward.
    fn recover(&mut self, _record: &Record<'_>, _context: &mut Vec<u8>) {}
    /// Asked before that: true if the stream's records may be others when they are read again
    /// ([`Lane::may_change`]). Its position then stays where it is, and the source leaves out what
    /// it saw in [`Source::recover`], and advances the stream only when it has left out all of it.
    fn may_change(&self, _stream: SourceId) -> bool {
        false
    }
    /// A start tells such records again by their bytes: where a privacy policy hides something in
    /// one, it is encrypted as a whole, so that [`Source::recover`] is given what was read.
    fn knows_by_bytes(&self, _stream: &Stream) -> bool {
        false
    }
    /// Adds whole records until `batch` is full or nothing more is there now; waits at most `wait`
    /// for the first one. An error loses nothing: what was added before it is still sent.
    fn read(&mut self, batch: &mut Batch, wait: Duration) -> Result<(), SourceError>;
    /// Every record up to the end of this batch is durable in the log. Sources with an
    /// acknowledgement (RELP, an LSN) give it here, and nowhere earlier.
    fn release(&mut self, through: BatchEnd) -> Result<(), SourceError>;
    /// The server keeps what was read until [`Source::stored`] lets it go.
    fn holds(&self) -> bool {
        false
    }
    /// Only called if [`Source::holds`], about once a second: the positions up to the end of this
    /// batch are stored, so that no start will ask for anything before them.
    fn stored(&mut self, _through: BatchEnd) -> Result<(), SourceError> {
        Ok(())
    }
    /// Everything that was to be read was read: the loop finishes and ends without an error.
    fn has_ended(&self) -> bool {
        false
    }
    /// How far behind each stream is, for telemetry; called about once a second.
    fn lag(&self) -> Vec<Lag> {
        Vec::new()
    }
    /// Called once, when a stop is asked for: take nothing more in. What was taken in and cannot be
    /// had again is given still: the loop reads on until a read adds nothing, for at most half of
    /// its grace period. What can be had again is left, so that a stop waits for no backlog.
    fn close(&mut self) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Where one dataset's records begin and end. Pure: the same bytes give the same boundaries.
pub trait Framer: Send + Sync {
    /// Looks at `bytes`, which start at a boundary; the first `scanned` of them were seen by an
    /// earlier call that found no end in them, and `ended` says that no byte will ever follow.
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut;
    /// Called with the bytes of each record whose [`Beginning`] does not say what it leaves, and
    /// after a restart with those of the last record: updates what a later one without a beginning
    /// of its own needs (the last time seen, a CSV header). It becomes part of the position.
    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        if let Cut::Record { head, .. } = self.cut(record, 0, true) {
            head.leave(record, context);
        }
    }
    /// Asked before each record: it goes on with what was carried, and needs it although it has a
    /// beginning of its own.
    fn continues(&self, _context: &[u8]) -> bool {
        false
    }
}

/// What one record means. A function of its arguments: no I/O, clock, randomness or hidden state.
pub trait Normalizer: Send + Sync {
    /// Adds the record's events. A rejection is for ever: the loop dead-letters the record.
    fn normalize(
        &self,
        record: &Record<'_>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection>;
}

/// The durable log between producers and the transformer: Apache Kafka, or the embedded one.
pub trait Log: Send + Sync {
    /// How many partitions a topic has; [`LogError::NoTopic`] if it has not been set up.
    fn partitions(&self, topic: &str) -> Result<u32, LogError>;
    /// Creates what is missing of `topics`, changes nothing that is there.
    fn setup(&self, topics: &[Topic]) -> Result<(), LogError>;
    /// Takes the records in order, waiting while the log is full; [`Pending`] says when all are durable.
    fn append(&self, records: &[Outgoing<'_>]) -> Result<Pending, LogError>;
    /// Writes a fence (an empty value, no record) and gives its offset once it is durable.
    fn fence(&self, topic: &str, partition: u32) -> Result<u64, LogError>;
    /// Visits what is in `[from, to)` of a partition, in order; starts later if `from` is gone.
    fn scan(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError>;
    /// The offsets that a partition holds now; with `from_ms`, from the first record on that was
    /// stamped then or later, as far as the log can tell without reading.
    fn offsets(
        &self,
        topic: &str,
        partition: u32,
        from_ms: Option<i64>,
    ) -> Result<Range<u64>, LogError>;
    /// Where each of these partitions ends now, as one question where the log can put it; `None` of
    /// one that cannot be told now.
    ///
    /// # Errors
    /// None of them can be told.
    fn ends(&self, partitions: &[(&str, u32)]) -> Result<Vec<Option<u64>>, LogError> {
        let end = |(topic, partition): &(&str, u32)| {
            self.offsets(topic, *partition, None).ok().map(|held| held.end)
        };
        Ok(partitions.iter().map(end).collect())
    }
    /// The latest value of every key in the compacted positions topic.
    fn positions(&self) -> Result<Vec<KeyValue>, LogError>;
    /// Durably replaces positions; `None` removes a key.
    fn store_positions(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LogError>;
    /// Claims the sources of `owner`. A newer claim of the same name fences this one.
    fn own(&self, owner: &str) -> Result<Box<dyn Ownership>, LogError>;
    /// Connects, changes nothing, and says within 10 s what it found of `topics`; a line that
    /// begins with `warning:` names a setting to change. An error names what stands in the way.
    fn check(&self, topics: &[String]) -> Result<String, LogError>;
    /// Joins `group` on `topics`, from its committed offsets or else the earliest.
    fn reader(&self, group: &str, topics: &[String]) -> Result<Box<dyn LogReader>, LogError>;
}

/// One member of a consumer group. Called by the transformer loop from one thread.
pub trait LogReader: Send {
    /// Visits records that are there now, waits at most `wait` for the first. Must be called often
    /// even while everything is paused, or the group takes the partitions away.
    fn read(&mut self, wait: Duration, visit: &mut Visit<'_>) -> Result<Polled, LogError>;
    /// Stores `(topic, partition, next offset)`; only what the sink called durable comes here.
    fn commit(&mut self, next: &[(String, u32, u64)]) -> Result<(), LogError>;
    /// Stops and starts delivery of every assigned partition, while the sink is slow.
    fn pause(&mut self, paused: bool) -> Result<(), LogError>;
    /// Confirms a [`Polled::Revoking`] once its in-flight work is finished and committed.
    fn confirm_revoked(&mut self) -> Result<(), LogError>;
    /// Records that are in the log and not yet read, by `(topic, partition)`.
    fn lag(&self) -> Result<Vec<(String, u32, u64)>, LogError>;
    /// Records of this partition before this offset may have been stored at any time, by this group
    /// or another: the group had committed nothing when the partition came, or was set back. Asked
    /// of a partition of which something was read. A log whose groups cannot be set back has none.
    fn replayed_to(&self, _topic: &str, _partition: u32) -> u64 {
        0
    }
}

/// Where events are stored.
#[async_trait::async_trait]
pub trait Sink: Send + Sync {
    /// One outcome per event, in order, each durable when it says so. An error means that the fate
    /// of every event is unknown: the loop then calls [`Sink::write_again`].
    async fn write(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError>;
    /// The same for a batch that may have been written before, by us or by an earlier owner of its
    /// records. A store whose ids are not unique everywhere mends here what that may double.
    async fn write_again(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        let there = self.find(batch).await?;
        write_missing(self, batch, there).await
    }
    /// The same for a batch that may have been written at any time: its records are read again,
    /// because they are replayed or the group was told to. No store that looks everywhere anyway
    /// needs more than [`Sink::write_again`].
    async fn write_replayed(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        self.write_again(batch).await
    }
    /// Which of these events the store holds already, wherever it put them.
    async fn find(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError>;
    /// The documents of these ids, whatever data stream or backing index they are in; for a
    /// deliberate replay. What was written a moment ago counts.
    async fn present(&self, _ids: &[RecordId]) -> Result<Vec<Present>, SinkError> {
        let text = "this store looks nothing up by its id alone";
        Err(SinkError::Refused(text.to_owned(), None))
    }
    /// Writes over documents, or removes them, each only if it is still as [`Sink::present`] gave
    /// it: [`Outcome::Busy`] says that it is not, and to look again.
    async fn rewrite(&self, _changes: &[Rewrite]) -> Result<Vec<Outcome>, SinkError> {
        let text = "this store writes over nothing";
        Err(SinkError::Refused(text.to_owned(), None))
    }
    /// Keeps what rows of tables are now, one document each. One outcome per change, in order;
    /// changes may come late and twice, and end alike. An error, or [`Outcome::Busy`], means that
    /// the caller asks again. Only called where a setting names tables.
    async fn keep(&self, _changes: &[RowChange]) -> Result<Vec<Outcome>, SinkError> {
        let text = "this store keeps no latest state of rows: leave --latest-state out, or set \
                    --elasticsearch";
        Err(SinkError::Refused(text.to_owned(), None))
    }
    /// Creates templates and data streams that are missing, idempotently.
    async fn setup(&self) -> Result<(), SinkError>;
    /// Connects, changes nothing, and says what is wrong with the setting that mends it.
    async fn check(&self) -> Result<String, SinkError>;
}

/// Writes the events that are not `there`, as [`Sink::find`] says it.
///
/// # Errors
/// Those of [`Sink::write`]; the fate of the batch is unknown as before.
pub async fn write_missing<S: Sink + ?Sized>(
    sink: &S,
    batch: &EventBatch,
    there: Vec<bool>,
) -> Result<Vec<Outcome>, SinkError> {
    if !there.contains(&true) {
        return sink.write(batch).await;
    }
    let mut written = match there.contains(&false) {
        true => sink.write(&batch.subset(|at| !there[at])).await?,
        false => Vec::new(),
    }
    .into_iter();
    let outcome = |there| match there {
        true => Outcome::AlreadyThere,
        // A sink that answers for too few events has not stored the rest.
        false => written.next().unwrap_or(Outcome::Busy),
    };
    Ok(there.into_iter().map(outcome).collect())
}

/// Called per record; `Break` ends the visit after this record, which counts as visited.
pub type Visit<'v> = dyn FnMut(LogRecord<'_>) -> std::ops::ControlFlow<()> + 'v;

/// What [`Framer::cut`] found at the start of its bytes. `text` leaves the line terminator out,
/// `end` includes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole record, whatever follows.
    Record {
        /// Bytes of the record.
        text: usize,
        /// Bytes up to where the next one may begin.
        end: usize,
        /// Its beginning.
        head: Beginning,
    },
    /// A record if nothing follows soon; the reader closes it after a quiet time, and for ever.
    Open {
        /// Bytes of the record so far.
        text: usize,
        /// Bytes up to where the next one may begin.
        end: usize,
        /// Its beginning.
        head: Beginning,
    },
    /// Bytes between records (an empty line).
    Blank {
        /// How many.
        end: usize,
    },
    /// No end of line yet.
    Partial,
}

/// Whether a record has a beginning of its own or needs the context, and what it leaves of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It needs the context, and leaves it as it is.
    Missing,
    /// It needs none, and leaves it as it is.
    Own,
    /// It needs none; these of its bytes become the context.
    Stamp {
        /// The first of them.
        from: usize,
        /// One past the last.
        to: usize,
    },
    /// What it leaves, [`Framer::carry`] says.
    Asked {
        /// It needs the context.
        orphan: bool,
    },
}

impl Beginning {
    /// Of a record whose stamp is a slice of it, of which at most `bytes_max` are carried.
    pub fn of(record: &[u8], stamp: Option<&[u8]>, bytes_max: usize) -> Self {
        let Some(stamp) = stamp else { return Self::Missing };
        let from = stamp.as_ptr().addr().wrapping_sub(record.as_ptr().addr());
        debug_assert!(from <= record.len() && from + stamp.len() <= record.len());
        Self::Stamp { from, to: from + stamp.len().min(bytes_max) }
    }

    /// The record needs the context.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Missing | Self::Asked { orphan: true })
    }

    /// Changes the context to what the record leaves, if that is known.
    pub fn leave(self, record: &[u8], context: &mut Vec<u8>) {
        if let Self::Stamp { from, to } = self
            && let Some(stamp) = record.get(from..to)
        {
            context.clear();
            context.extend_from_slice(stamp);
        }
    }

    /// The same, where the framer has to be asked too.
    pub fn leave_by(self, framer: &dyn Framer, record: &[u8], context: &mut Vec<u8>) {
        match self {
            Self::Asked { .. } => framer.carry(record, context),
            known => known.leave(record, context),
        }
    }
}

/// How far a source is behind one of its streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Lag {
    /// The stream: a path, an address.
    pub of: String,
    /// Bytes that are there and not yet read.
    pub bytes: u64,
    /// Seconds since everything was read last.
    pub seconds: f64,
}

/// A stored position as the source gave it, and where to go on.
#[derive(Clone, Debug)]
pub struct Known {
    /// The stream's identity.
    pub source: SourceId,
    /// Grows by one when a file is truncated.
    pub generation: u32,
    /// First byte, or ordinal, that is not in the log.
    pub next: u64,
    /// What the framer carried up to there.
    pub context: Vec<u8>,
    /// What the source keeps to know the stream again: for files path, inode, birth time and fingerprint.
    pub identity: serde_json::Value,
}

/// One record of the log as it is read back.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Partition.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// Milliseconds since the epoch, as the producer gave them.
    pub timestamp_ms: i64,
    /// The key, empty if there is none.
    pub key: &'a [u8],
    /// The bytes; empty for a fence.
    pub value: &'a [u8],
    /// The `tahoe` header, if there is one.
    pub header: Option<&'a [u8]>,
    /// The others.
    pub more_headers: MoreHeaders<'a>,
}

/// One record on its way into the log.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Partition, chosen by the loop so that it knows where to look after a crash.
    pub partition: u32,
    /// What must stay in order has the same key.
    pub key: &'a [u8],
    /// The bytes.
    pub value: &'a [u8],
    /// Milliseconds since the epoch at which it was read.
    pub timestamp_ms: i64,
    /// The `tahoe` header, alone on the hot path.
    pub header: Option<&'a [u8]>,
    /// Further headers, on dead letters.
    pub more_headers: &'a [(&'a str, &'a [u8])],
}

/// A topic as `setup` creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Partitions if it has to be created.
    pub partitions: u32,
    /// Kept by key for ever instead of by time.
    pub compacted: bool,
}

/// A key and its latest value in the positions topic.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// The highest offset that an append reached in each partition that it touched.
pub type Appended = Vec<(String, u32, u64)>;

/// A claim on an owner's sources; dropped, it is given back.
pub trait Ownership: Send + Sync {
    /// Why this claim no longer holds, if it does not. The loop stops then.
    fn lost(&self) -> Option<LogError>;
}

/// An append that may still be in flight.
pub struct Pending(std::sync::mpsc::Receiver<Result<Appended, LogError>>);

impl Pending {
    /// The two ends of a promise that the log keeps. Dropping the sender counts as a failure.
    pub fn channel() -> (std::sync::mpsc::SyncSender<Result<Appended, LogError>>, Self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        (sender, Self(receiver))
    }

    /// The result if it is known within `wait`; after it was given once, the promise is spent.
    pub fn wait(&self, wait: Duration) -> Option<Result<Appended, LogError>> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.0.recv_timeout(wait) {
            Ok(result) => Some(result),
            Err(Timeout) => None,
            Err(Disconnected) => Some(Err(LogError::Stopped)),
        }
    }
}

/// What a [`LogReader::read`] came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// It visited what was there, perhaps nothing.
    Records,
    /// The group takes these `(topic, partition)` away: finish and commit what is in flight, then
    /// call [`LogReader::confirm_revoked`].
    Revoking(Vec<(String, u32)>),
    /// They are gone already (the session timed out): abandon what is in flight for them.
    Lost(Vec<(String, u32)>),
}
