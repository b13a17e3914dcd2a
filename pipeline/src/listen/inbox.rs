//! The bytes of one connection that are not yet records. Its memory is bounded in two steps: a
//! small buffer that every connection may have, and growth from a budget that all of them share.
//! A long message that finds the budget used up is split earlier instead of waiting for ever.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Every connection has this much: 1,024 connections hold 64 MiB at most, and mostly far less,
/// because the buffer begins small.
pub(super) const OWN_BYTES: usize = 64 << 10;
const FIRST_BYTES: usize = 4 << 10;

pub(super) struct Inbox {
    buffer: Vec<u8>,
    at: usize,
    shared: Arc<Semaphore>,
    borrowed: Option<OwnedSemaphorePermit>,
    /// The buffer is full and may not grow.
    squeezed: bool,
}

impl Inbox {
    pub(super) fn new(shared: Arc<Semaphore>) -> Self {
        Self { buffer: Vec::new(), at: 0, shared, borrowed: None, squeezed: false }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The longest text that fits now.
    pub(super) fn limit(&self, limit: usize) -> usize {
        if self.squeezed { limit.min(self.bytes().len().saturating_sub(2)).max(1) } else { limit }
    }

    /// Reads what is there; 0 at the end. Cancelling it loses nothing.
    pub(super) async fn fill(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        self.make_room();
        socket.read_buf(&mut self.buffer).await
    }

    fn make_room(&mut self) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.squeezed = false;
        if self.buffer.is_empty() && self.borrowed.is_some() {
            self.borrowed = None;
            self.buffer = Vec::new();
        }
        let capacity = self.buffer.capacity();
        if self.buffer.len() < capacity {
            return;
        }
        let wanted = (capacity * 2).max(FIRST_BYTES);
        let more = wanted - capacity;
        if wanted > OWN_BYTES && !borrow(&self.shared, &mut self.borrowed, more) {
            // `limit` made the reader take something out, so there is room after all next time.
            self.squeezed = true;
            self.buffer.reserve_exact(FIRST_BYTES);
            return;
        }
        self.buffer.reserve_exact(wanted - self.buffer.len());
    }
}

/// Takes so many bytes from what all connections share, if they are there.
pub(super) fn borrow(
    shared: &Arc<Semaphore>,
    borrowed: &mut Option<OwnedSemaphorePermit>,
    bytes: usize,
) -> bool {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    match Arc::clone(shared).try_acquire_many_owned(bytes) {
        Ok(more) => {
            match borrowed {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            }
            true
        }
        Err(_) => false,
    }
}
