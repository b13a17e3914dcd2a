//! What sockets took in and the loop has not read yet, bounded by bytes. A full queue makes its
//! feeders wait: TCP and RELP senders are slowed down by their own windows, and the kernel drops
//! and counts datagrams.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tahoe_seams::{Part, SourceId, Stream};
use tokio::sync::Semaphore;

use super::lane::Lane;
use crate::lock::lock;

/// Bytes that a record costs besides its own: its entry here and its share of the chunk.
const RECORD_COST: usize = 64;

/// One record of a [`Chunk`].
pub(super) struct Entry {
    pub(super) stream: u32,
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) sequence: u64,
    pub(super) part: Option<Part>,
}

/// Many records handed over at once, so that a record costs no synchronisation of its own.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) streams: Vec<Arc<Stream>>,
    pub(super) bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    pub(super) read_at_ms: i64,
    /// The RELP conversation that all of its records belong to.
    pub(super) lane: Option<Arc<Lane>>,
    /// Streams that end with this chunk.
    pub(super) ended: Vec<SourceId>,
}

impl Chunk {
    /// An empty chunk of one stream.
    pub(super) fn of(stream: &Arc<Stream>) -> Self {
        Self { streams: vec![Arc::clone(stream)], ..Self::default() }
    }

    /// Adds a record. An empty one would read as a fence, so callers leave blanks out.
    pub(super) fn push(&mut self, stream: u32, sequence: u64, text: &[u8], part: Option<Part>) {
        debug_assert!(!text.is_empty(), "an empty value is a fence");
        let at = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.entries.push(Entry { stream, at, len: text.len(), sequence, part });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.ended.is_empty()
    }

    fn cost(&self) -> usize {
        self.bytes.len() + (self.entries.len() + self.ended.len() + 1) * RECORD_COST
    }
}

/// The one queue between every socket and the loop.
pub(super) struct Queue {
    chunks: Mutex<VecDeque<Chunk>>,
    filled: Condvar,
    room: Semaphore,
    bytes_max: usize,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            chunks: Mutex::default(),
            filled: Condvar::new(),
            room: Semaphore::new(bytes_max),
            bytes_max,
        }
    }

    /// Waits until there is room, then hands the chunk over.
    pub(super) async fn push(&self, chunk: Chunk) {
        let cost = self.charge(&chunk);
        let permit = self.room.acquire_many(cost).await;
        permit.expect("the queue's semaphore is never closed").forget();
        self.lock().push_back(chunk);
        self.filled.notify_one();
    }

    /// The next chunk, waiting at most `wait` for it.
    pub(super) fn pop(&self, wait: Duration) -> Option<Chunk> {
        let mut chunks = self.lock();
        if chunks.is_empty() && !wait.is_zero() {
            let waited = self.filled.wait_timeout_while(chunks, wait, |chunks| chunks.is_empty());
            chunks = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        chunks.pop_front()
    }

    /// Gives back the room of a chunk that has been read.
    pub(super) fn give_back(&self, chunk: &Chunk) {
        self.room.add_permits(self.charge(chunk) as usize);
    }

    /// A chunk over the bound (one long message) takes the whole queue instead of waiting for ever.
    fn charge(&self, chunk: &Chunk) -> u32 {
        u32::try_from(chunk.cost().min(self.bytes_max)).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Chunk>> {
        lock(&self.chunks)
    }
}
