//! What a source hands to the producer loop: one buffer of bytes and the records in it.
//!
//! The buffer is bounded by bytes and reused, so that a million records cost a few allocations.

use std::sync::Arc;

use crate::{Origin, Part, SourceId};

/// A stream of records that share an [`Origin`], a topic and a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Stream {
    /// Where its records come from.
    pub origin: Origin,
    /// Topic that they go to.
    pub topic: String,
    /// Kafka key: what must stay in order, unless a record brings a key of its own.
    pub key: Vec<u8>,
    /// For records with keys of their own.
    pub lane: Option<Lane>,
    /// Positions of this stream are kept, because its source can give the records again.
    pub resumable: bool,
}

/// A stream of records with keys of their own, which all fall into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Decides the partition in place of [`Stream::key`]: a position stands for one partition.
    pub number: u32,
    /// A second read may give other records (rows of a table): the position stays before them until
    /// [`Batch::advance`] moves it.
    pub may_change: bool,
}

/// One record in a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    /// Index into [`Batch::streams`].
    pub stream: u32,
    /// Where its bytes begin in the batch's buffer, and how many they are.
    bytes: (u32, u32),
    /// The same for the context that travels with it.
    context: (u32, u32),
    /// The same for the context after it, which is kept with the position.
    carried: (u32, u32),
    /// The same for a key of its own; none if it is empty.
    key: (u32, u32),
    /// First byte, or ordinal, of its position.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Milliseconds since the epoch at which it was read.
    pub read_at_ms: i64,
    /// Set when it is a part of a longer text.
    pub part: Option<Part>,
}

/// Names the end of a batch to [`crate::Source::release`]: batches are numbered from 1 as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BatchEnd(pub u64);

/// A stream has nothing before this that is not in this batch or an earlier one.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// Index into [`Batch::streams`].
    pub stream: u32,
    /// First byte, or ordinal, of what comes next.
    pub at: u64,
    /// It is there as it was at that mark: what was sent since may come again.
    pub mark: Option<u64>,
    carried: (u32, u32),
}

/// Records on their way from a source to the log.
#[derive(Debug)]
pub struct Batch {
    buffer: Vec<u8>,
    bytes_max: usize,
    end: BatchEnd,
    records: Vec<Raw>,
    streams: Vec<Arc<Stream>>,
    beginnings: Vec<(u32, u64)>,
    advances: Vec<Advance>,
    marks: Vec<u64>,
    identities: Vec<(SourceId, serde_json::Value)>,
    forgotten: Vec<SourceId>,
    dropped: u64,
}

impl Batch {
    /// An empty batch that is full at `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(bytes_max),
            bytes_max,
            end: BatchEnd(1),
            records: Vec::new(),
            streams: Vec::new(),
            beginnings: Vec::new(),
            advances: Vec::new(),
            marks: Vec::new(),
            identities: Vec::new(),
            forgotten: Vec::new(),
            dropped: 0,
        }
    }

    /// Empties it for the next read and numbers that one.
    pub fn next(&mut self) {
        self.buffer.clear();
        self.records.clear();
        self.streams.clear();
        self.beginnings.clear();
        self.advances.clear();
        self.marks.clear();
        self.identities.clear();
        self.forgotten.clear();
        self.dropped = 0;
        self.end.0 += 1;
    }

    /// The number that [`crate::Source::release`] will be called with once this batch is durable.
    pub fn end(&self) -> BatchEnd {
        self.end
    }

    /// No further record should be added. The first record is taken whatever its size.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= self.bytes_max
    }

    /// Bytes of records that it still takes.
    pub fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.buffer.len())
    }

    /// The index by which records of this batch name `stream`. Cheap for the stream used last.
    pub fn stream(&mut self, stream: &Arc<Stream>) -> u32 {
        let found = self.streams.iter().rposition(|known| Arc::ptr_eq(known, stream));
        let index = found.unwrap_or_else(|| {
            self.streams.push(Arc::clone(stream));
            self.streams.len() - 1
        });
        u32::try_from(index).expect("a batch of some MiB holds fewer than 2^32 streams")
    }

    /// Adds a record of `stream` at `span`. `context` travels with it (empty unless it needs one);
    /// `carried` is what the framer holds after it, kept with the position.
    #[expect(clippy::too_many_arguments, reason = "each is a plain field of the record")]
    pub fn push(
        &mut self,
        stream: u32,
        span: (u64, u64),
        bytes: &[u8],
        context: &[u8],
        carried: &[u8],
        read_at_ms: i64,
        part: Option<Part>,
    ) {
        let bytes = self.keep(bytes);
        let context = self.keep(context);
        // The carried context changes rarely (once a second for a log's time): share it if it did not.
        let carried = match self.records.last() {
            Some(last) if self.slice(last.carried) == carried => last.carried,
            _ => self.keep(carried),
        };
        let (start, end) = span;
        let key = (0, 0);
        self.records.push(Raw {
            stream,
            bytes,
            context,
            carried,
            key,
            start,
            end,
            read_at_ms,
            part,
        });
    }

    /// Gives the record that was added last a Kafka key of its own.
    pub fn key_last(&mut self, key: &[u8]) {
        let key = self.keep(key);
        if let Some(last) = self.records.last_mut() {
            last.key = key;
        }
    }

    /// Once everything before is durable, the stream's position is at `at`, which its own records in
    /// the batch do not say. With a `mark`, a place that [`Batch::mark`] named: what a lane was given
    /// since then may be given again after a start from there.
    pub fn advance(&mut self, stream: u32, at: u64, carried: &[u8], mark: Option<u64>) {
        // The streams of one source advance together, with one context.
        let carried = match self.advances.last() {
            Some(last) if self.slice(last.carried) == carried => last.carried,
            _ => self.keep(carried),
        };
        self.advances.push(Advance { stream, at, mark, carried });
    }

    /// Names this place, by a number that grows, for a later [`Batch::advance`].
    pub fn mark(&mut self, number: u64) {
        self.marks.push(number);
    }

    /// A stream (or a new generation of it) begins at `at`, which is stored even before it has a
    /// record: a file first seen at its end must not be first seen again after a crash.
    pub fn begin(&mut self, stream: u32, at: u64) {
        self.beginnings.push((stream, at));
    }

    /// Says what the source needs to know the stream again; kept with its next position.
    pub fn identify(&mut self, source: SourceId, identity: serde_json::Value) {
        self.identities.push((source, identity));
    }

    /// The stream is gone for good: its position is removed.
    pub fn forget(&mut self, source: SourceId) {
        self.forgotten.push(source);
    }

    /// Counts records that were lost before they could be read, such as the kernel's UDP drops.
    pub fn count_dropped(&mut self, records: u64) {
        self.dropped += records;
    }

    /// The records, in the order in which they were read.
    pub fn records(&self) -> &[Raw] {
        &self.records
    }

    /// The streams that [`Raw::stream`] names.
    pub fn streams(&self) -> &[Arc<Stream>] {
        &self.streams
    }

    /// What [`Batch::begin`] was told.
    pub fn beginnings(&self) -> &[(u32, u64)] {
        &self.beginnings
    }

    /// What [`Batch::advance`] was told, with the context to keep.
    pub fn advances(&self) -> impl ExactSizeIterator<Item = (Advance, &[u8])> {
        self.advances.iter().map(|advance| (*advance, self.slice(advance.carried)))
    }

    /// What [`Batch::mark`] was told.
    pub fn marks(&self) -> &[u64] {
        &self.marks
    }

    /// What [`Batch::identify`] was told.
    pub fn identities(&self) -> &[(SourceId, serde_json::Value)] {
        &self.identities
    }

    /// What [`Batch::forget`] was told.
    pub fn forgotten(&self) -> &[SourceId] {
        &self.forgotten
    }

    /// What [`Batch::count_dropped`] was told.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Neither records nor news about streams.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.beginnings.is_empty()
            && self.advances.is_empty()
            && self.marks.is_empty()
            && self.identities.is_empty()
            && self.forgotten.is_empty()
            && self.dropped == 0
    }

    /// The bytes of a record.
    pub fn bytes(&self, raw: &Raw) -> &[u8] {
        self.slice(raw.bytes)
    }

    /// The context that travels with a record.
    pub fn context(&self, raw: &Raw) -> &[u8] {
        self.slice(raw.context)
    }

    /// The context after a record, kept with the position.
    pub fn carried(&self, raw: &Raw) -> &[u8] {
        self.slice(raw.carried)
    }

    /// The Kafka key of a record.
    pub fn key<'a>(&'a self, raw: &Raw) -> &'a [u8] {
        match self.slice(raw.key) {
            [] => &self.streams[raw.stream as usize].key,
            own => own,
        }
    }

    /// It was given by [`Batch::key_last`].
    pub fn has_own_key(&self, raw: &Raw) -> bool {
        raw.key.1 > 0
    }

    fn keep(&mut self, bytes: &[u8]) -> (u32, u32) {
        let offset = |n: usize| u32::try_from(n).expect("a batch is bounded well below 4 GiB");
        let at = offset(self.buffer.len());
        self.buffer.extend_from_slice(bytes);
        (at, offset(bytes.len()))
    }

    fn slice(&self, (at, len): (u32, u32)) -> &[u8] {
        &self.buffer[at as usize..(at + len) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_pushed_and_is_reused() {
        let stream = Arc::new(Stream {
            origin: Origin::default(),
            topic: "laravel_logs".into(),
            key: b"k".to_vec(),
            lane: None,
            resumable: true,
        });
        let mut batch = Batch::new(8);
        let index = batch.stream(&stream);
        batch.push(index, (0, 4), b"abc", b"", b"t1", 1, None);
        batch.push(index, (4, 9), b"defg", b"t1", b"t1", 2, None);
        assert!(batch.is_full());
        let read: Vec<_> = batch
            .records()
            .iter()
            .map(|raw| (batch.bytes(raw), batch.context(raw), batch.carried(raw)))
            .collect();
        assert_eq!(read, [(&b"abc"[..], &b""[..], &b"t1"[..]), (b"defg", b"t1", b"t1")]);
        batch.next();
        assert!(batch.is_empty() && !batch.is_full());
        assert_eq!(batch.end(), BatchEnd(2));
    }
}
