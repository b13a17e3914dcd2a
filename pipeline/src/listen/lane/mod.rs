//! A RELP sender and what it may send again.
//!
//! RELP numbers frames per connection, so a frame has no identity that outlives one. But a client
//! that reconnects sends every frame that it holds no acknowledgement for once more, first and in
//! order, and acknowledgements are given in order too. What it repeats of what we have is therefore
//! just the *end* of what the earlier connection brought. So each conversation (listener, sending
//! host, and a number when one host holds several at once) is a [`Lane`] with a sequence that goes
//! on from connection to connection and from run to run, and with the hashes of its last records.
//! The first frames of a connection are laid against the ends of the host's lanes: what matches up
//! to the end is there already and is only acknowledged (once it is durable); the rest goes on with
//! the sequence. A lane that another connection has is meant too if that one has frames without an
//! answer and the match begins with the first of them at the latest, as a repetition must: a sender
//! sees its connection break long before we do. So is one whose answers its sender's machine has
//! not acknowledged. The older connection is then told to leave, gives what it has taken in to the
//! queue, and the lane goes on with the younger one.
//!
//! The hashes are the lane's carried context, so they are stored with its position, and `recover`
//! adds those of records found beyond it. A record that a dead run's socket still delivers later
//! has the same sequence, bytes and segment as its repetition, and so the same id.
//!
//! A lane that had no connection for `--syslog-relp-forget-after` is forgotten, and its position
//! with it; until then a sender may come back and repeat what it has no answer for. When it had its
//! last connection is kept with its position, to a tenth of that time, so a restart does not begin
//! the time anew.

mod alignment;
mod lanes;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tahoe_seams::Stream;
use tokio::sync::{Notify, watch};
use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::alignment::Alignment;
pub(super) use self::lanes::Lanes;
use super::line::{self, Line};
use crate::lock::lock;

/// Bytes of one hash in the carried context (little endian).
const HASH_BYTES: usize = 8;

/// A machine that is there acknowledges within this, slow way and the kernel's delay included.
const TAKEN_TIME: Duration = Duration::from_secs(1);
/// Between two looks at whether it has.
const TAKEN_LOOK: Duration = Duration::from_millis(50);

/// No connection has the lane.
const FREE: u64 = 0;
/// It is gone for good.
const RETIRED: u64 = u64::MAX;

/// The hash that stands for a record when it comes again.
pub(super) fn hash(record: &[u8]) -> u64 {
    xxh3_64(record)
}

/// Adds a record to a carried context of at most `window` records.
pub(super) fn carry(record: &[u8], context: &mut Vec<u8>, window: usize) {
    context.extend_from_slice(&hash(record).to_le_bytes());
    let over = context.len().saturating_sub(window * HASH_BYTES);
    context.drain(..over);
}

/// One conversation with one sender.
pub(super) struct Lane {
    pub(super) stream: Arc<Stream>,
    tail: Mutex<Tail>,
    released: AtomicU64,
    changed: Notify,
    /// The connection that has it, by the tick at which it took it; 0 if none has.
    holder: watch::Sender<u64>,
    /// The connection that was told to leave last.
    leaving: watch::Sender<u64>,
    /// What its connection is to the kernel.
    line: AtomicU64,
    used: AtomicU64,
    /// Milliseconds since the epoch at which it had a connection last, and what was told of that.
    seen_ms: AtomicI64,
    told_ms: AtomicI64,
}

#[derive(Default)]
struct Tail {
    /// Sequence of the next record.
    next: u64,
    /// Hashes of the last records before `next`.
    hashes: VecDeque<u64>,
}

impl Tail {
    /// Before the record `next`, with the hashes of a carried context.
    fn restored(next: u64, context: &[u8]) -> Self {
        let hash = |bytes: &[u8]| {
            u64::from_le_bytes(bytes.try_into().expect("chunks of just this length"))
        };
        Self { next, hashes: context.chunks_exact(HASH_BYTES).map(hash).collect() }
    }

    /// Sequence of the first record whose hash is there.
    fn first(&self) -> u64 {
        self.next - self.hashes.len() as u64
    }
}

impl Lane {
    fn new(stream: Arc<Stream>, tail: Tail, seen_ms: i64) -> Self {
        Self {
            stream,
            released: AtomicU64::new(tail.next),
            tail: Mutex::new(tail),
            changed: Notify::new(),
            holder: watch::Sender::new(FREE),
            leaving: watch::Sender::new(FREE),
            line: AtomicU64::new(0),
            used: AtomicU64::new(0),
            seen_ms: AtomicI64::new(seen_ms),
            told_ms: AtomicI64::new(seen_ms),
        }
    }

    /// What is kept with its position.
    pub(super) fn identity(&self) -> serde_json::Value {
        let origin = &self.stream.origin;
        let seen_ms = self.seen_ms.load(Ordering::Acquire);
        serde_json::json!({ "relp": origin.path, "peer": origin.peer, "seen_ms": seen_ms })
    }

    /// Takes the next sequence number for a record with this hash.
    pub(super) fn append(&self, hash: u64, window: usize) -> u64 {
        let mut tail = self.tail();
        if tail.hashes.len() >= window {
            tail.hashes.pop_front();
        }
        tail.hashes.push_back(hash);
        tail.next += 1;
        tail.next - 1
    }

    /// The carried context after the record before `end`.
    pub(super) fn carried(&self, end: u64) -> Vec<u8> {
        let tail = self.tail();
        let later = usize::try_from(tail.next - end).unwrap_or(usize::MAX);
        let kept = tail.hashes.len().saturating_sub(later);
        tail.hashes.iter().take(kept).flat_map(|hash| hash.to_le_bytes()).collect()
    }

    /// Sequence of the first record that is not yet durable.
    pub(super) fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }

    /// Everything before `end` is durable.
    pub(super) fn release(&self, end: u64) {
        self.released.fetch_max(end, Ordering::AcqRel);
        self.changed.notify_one();
    }

    /// Waits for the next [`Lane::release`].
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Sequence of the next record.
    pub(super) fn next(&self) -> u64 {
        self.tail().next
    }

    /// The sender has every acknowledgement and will repeat nothing, or is not compared any more.
    pub(super) fn settle(&self) {
        self.tail().hashes.clear();
    }

    /// Lets the next connection of this sender go on here.
    pub(super) fn free(&self, now_ms: i64) {
        self.seen_ms.store(now_ms, Ordering::Release);
        self.goes_over(Line::default());
        self.holder.send_replace(FREE);
    }

    /// The connection that has it now is this one.
    pub(super) fn goes_over(&self, line: Line) {
        self.line.store(line.number(), Ordering::Release);
    }

    fn line(&self) -> Line {
        Line::of_number(self.line.load(Ordering::Acquire))
    }

    /// The connection that has it, if one does.
    fn holder(&self) -> u64 {
        *self.holder.borrow()
    }

    fn is_free(&self) -> bool {
        self.holder() == FREE
    }

    fn take(&self, tick: u64) -> bool {
        self.used.store(tick, Ordering::Release);
        self.hold(tick)
    }

    fn hold(&self, holder: u64) -> bool {
        let take = |now: &mut u64| *now == FREE && std::mem::replace(now, holder) == FREE;
        self.holder.send_if_modified(take)
    }

    /// All of it is answered, and its connection's machine takes the answers, if after a moment.
    async fn is_heard(&self) -> bool {
        let until = tokio::time::Instant::now() + TAKEN_TIME;
        while self.released() >= self.next() {
            if !self.line().is_in_doubt(&line::kernel_tables()) {
                return true;
            }
            if tokio::time::Instant::now() >= until {
                return false;
            }
            // The kernel tells nobody when it changes.
            tokio::time::sleep(TAKEN_LOOK).await;
        }
        false
    }

    /// Tells the connection that has it to leave, and waits until it has.
    async fn reclaim(&self) {
        let holder = self.holder();
        if holder != FREE {
            self.leaving.send_replace(holder);
            // Its own sender lives as long as the lane.
            let _ = self.holder.subscribe().wait_for(|now| *now != holder).await;
        }
    }

    /// Waits until the connection that has it now is told to leave.
    pub(super) async fn reclaimed(&self) {
        let holder = self.holder();
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving == holder).await;
    }

    /// Takes it for good, if no connection has it and all of it is durable.
    fn retire(&self) -> bool {
        self.released() >= self.next() && self.hold(RETIRED)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }
}
