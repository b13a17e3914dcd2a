//! A RELP sender and what it may send again.
//!
//! RELP numbers frames per connection, so a frame has no identity that outlives one. But a client
//! that reconnects sends every frame that it holds no acknowledgement for once more, first and in
//! order, and acknowledgements are given in order too. What it repeats of what we have is therefore
//! just the *end* of what the earlier connection brought. So each conversation (listener, sending
//! host, and a number when one host holds several at once) is a [`Lane`] with a sequence that goes
//! on from connection to connection and from run to run, and with the hashes of its last records.
//! The first frames of a connection are laid against the ends of the host's free lanes: what
//! matches up to the end is there already and is only acknowledged (once it is durable); the rest
//! goes on with the sequence. The hashes are the lane's carried context, so they are stored with
//! its position, and `recover` adds those of records found beyond it. A record that a dead run's
//! socket still delivers later has the same sequence, bytes and segment as its repetition, and so
//! the same id.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tahoe_seams::{Known, SourceId, Stream};
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of one hash in the carried context (little endian).
const HASH_BYTES: usize = 8;

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
    pub(super) identity: serde_json::Value,
    tail: Mutex<Tail>,
    released: AtomicU64,
    changed: Notify,
    busy: AtomicBool,
    used: AtomicU64,
}

#[derive(Default)]
struct Tail {
    /// Sequence of the next record.
    next: u64,
    /// Hashes of the last records before `next`.
    hashes: VecDeque<u64>,
}

impl Lane {
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

    /// The sender has every acknowledgement and will repeat nothing.
    pub(super) fn settle(&self) {
        self.tail().hashes.clear();
    }

    /// Lets the next connection of this sender go on here.
    pub(super) fn free(&self) {
        self.busy.store(false, Ordering::Release);
    }

    fn take(&self, tick: u64) -> bool {
        self.used.store(tick, Ordering::Release);
        !self.busy.swap(true, Ordering::AcqRel)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane and the place in it where a repetition may have begun.
struct Candidate {
    lane: Arc<Lane>,
    /// Sequence of the record that the next repeated one must equal.
    at: u64,
}

/// The first records of a connection, laid against the ends of its host's free lanes.
pub(super) struct Alignment {
    candidates: Vec<Candidate>,
    /// Records seen so far.
    seen: usize,
    /// The longest repetition that reached the end of its lane, and its records.
    complete: Option<(Arc<Lane>, usize)>,
}

impl Alignment {
    /// Takes the next record; false once no later one can change the answer.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        self.seen += 1;
        let seen = self.seen;
        let complete = &mut self.complete;
        self.candidates.retain_mut(|candidate| {
            let tail = candidate.lane.tail();
            let first = tail.next - tail.hashes.len() as u64;
            let index = candidate.at.checked_sub(first).and_then(|n| usize::try_from(n).ok());
            if index.and_then(|index| tail.hashes.get(index)) != Some(&hash) {
                return false;
            }
            candidate.at += 1;
            let through = candidate.at == tail.next;
            drop(tail);
            if through {
                *complete = Some((Arc::clone(&candidate.lane), seen));
            }
            !through
        });
        !self.candidates.is_empty()
    }
}

/// The lanes of a listening address and a sending host.
type ByPeer = HashMap<(String, IpAddr), Vec<Arc<Lane>>>;

/// Every lane of the listener.
pub(super) struct Lanes {
    by_peer: Mutex<ByPeer>,
    tick: AtomicU64,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { by_peer: Mutex::default(), tick: AtomicU64::new(1) }
    }

    /// Puts back a lane of an earlier run. `stream` makes its stream from path and peer.
    pub(super) fn restore(
        &self,
        known: &Known,
        stream: impl FnOnce(&str, IpAddr, SourceId) -> Arc<Stream>,
    ) {
        let text = |name: &str| known.identity.get(name).and_then(|value| value.as_str());
        let Some(path) = text("relp") else { return };
        let Some(peer) = text("peer").and_then(|peer| peer.parse().ok()) else { return };
        let hashes = known.context.chunks_exact(HASH_BYTES);
        let hashes = hashes
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("chunks of just this length")));
        let lane = Lane {
            stream: stream(path, peer, known.source),
            identity: known.identity.clone(),
            tail: Mutex::new(Tail { next: known.next, hashes: hashes.collect() }),
            released: AtomicU64::new(known.next),
            changed: Notify::new(),
            busy: AtomicBool::new(false),
            used: AtomicU64::new(0),
        };
        self.lock().entry((path.to_owned(), peer)).or_default().push(Arc::new(lane));
    }

    /// Every place in the peer's free lanes that a repetition could begin with this record.
    pub(super) fn align(&self, path: &str, peer: IpAddr, hash: u64) -> Alignment {
        let lanes = self.lock();
        let known = lanes.get(&(path.to_owned(), peer)).map(Vec::as_slice).unwrap_or_default();
        let mut candidates = Vec::new();
        for lane in known.iter().filter(|lane| !lane.busy.load(Ordering::Acquire)) {
            let tail = lane.tail();
            let first = tail.next - tail.hashes.len() as u64;
            let places = (first..).zip(&tail.hashes).filter(|(_, known)| **known == hash);
            candidates.extend(places.map(|(at, _)| Candidate { lane: Arc::clone(lane), at }));
        }
        Alignment { candidates, seen: 0, complete: None }
    }

    /// The lane in which the aligned records go on, and how many of them it has already.
    pub(super) fn settle(&self, alignment: &Alignment) -> Option<(Arc<Lane>, usize)> {
        let (lane, records) = alignment.complete.as_ref()?;
        let taken = lane.take(self.tick.fetch_add(1, Ordering::Relaxed));
        taken.then(|| (Arc::clone(lane), *records))
    }

    /// The lane for a connection that repeats nothing: the free one used last, or a new one.
    pub(super) fn take(
        &self,
        path: &str,
        peer: IpAddr,
        stream: impl FnOnce() -> Arc<Stream>,
    ) -> Arc<Lane> {
        let tick = self.tick.fetch_add(1, Ordering::Relaxed);
        let mut lanes = self.lock();
        let known = lanes.entry((path.to_owned(), peer)).or_default();
        let mut by_use: Vec<&Arc<Lane>> = known.iter().collect();
        by_use.sort_by_key(|lane| std::cmp::Reverse(lane.used.load(Ordering::Acquire)));
        if let Some(lane) = by_use.into_iter().find(|lane| lane.take(tick)) {
            return Arc::clone(lane);
        }
        let identity = serde_json::json!({
            "relp": path, "peer": peer.to_string(), "lane": known.len(),
        });
        let lane = Arc::new(Lane {
            stream: stream(),
            identity,
            tail: Mutex::default(),
            released: AtomicU64::new(0),
            changed: Notify::new(),
            busy: AtomicBool::new(true),
            used: AtomicU64::new(tick),
        });
        known.push(Arc::clone(&lane));
        lane
    }

    fn lock(&self) -> MutexGuard<'_, ByPeer> {
        self.by_peer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn lanes_holding(records: &[u64]) -> Lanes {
        let lanes = Lanes::new();
        let context: Vec<u8> = records.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let identity = serde_json::json!({"relp": "relp://a", "peer": PEER.to_string(), "lane": 0});
        let source = SourceId([1; 16]);
        let next = 100 + records.len() as u64;
        let known = Known { source, generation: 0, next, context, identity };
        lanes.restore(&known, |_, _, _| stream());
        lanes
    }

    fn stream() -> Arc<Stream> {
        let origin = tahoe_seams::Origin::default();
        Arc::new(Stream { origin, topic: String::new(), key: Vec::new(), resumable: true })
    }

    /// How many of `sent` are taken for a repetition of the end of `held`.
    fn repeated(held: &[u64], sent: &[u64]) -> usize {
        let lanes = lanes_holding(held);
        let mut alignment = lanes.align("relp://a", PEER, sent[0]);
        let _ = sent.iter().all(|hash| alignment.take(*hash));
        lanes.settle(&alignment).map_or(0, |(_, records)| records)
    }

    #[test]
    fn only_what_reaches_the_end_of_a_lane_is_a_repetition() {
        assert_eq!(repeated(&[1, 2, 3, 4], &[3, 4, 5, 6]), 2);
        assert_eq!(repeated(&[1, 2, 3, 4], &[1, 2, 3, 4]), 4);
        assert_eq!(repeated(&[1, 2, 3, 4], &[2, 3, 5]), 0);
        assert_eq!(repeated(&[1, 2, 3, 4], &[5, 4]), 0);
        assert_eq!(repeated(&[], &[5, 4]), 0);
    }

    #[test]
    fn equal_records_are_counted_and_not_merged() {
        assert_eq!(repeated(&[7, 7, 7, 7], &[7, 7, 8]), 2);
        assert_eq!(repeated(&[1, 2, 1, 2], &[1, 2, 3]), 2);
        assert_eq!(repeated(&[1, 2, 1, 2], &[1, 2, 1, 2]), 4);
    }

    #[test]
    fn a_lane_goes_on_for_the_next_connection_and_a_second_one_gets_its_own() {
        let lanes = lanes_holding(&[1]);
        let first = lanes.take("relp://a", PEER, stream);
        assert_eq!((first.append(9, 2), first.append(8, 2)), (101, 102));
        assert_eq!(first.carried(102), 9u64.to_le_bytes());
        let second = lanes.take("relp://a", PEER, stream);
        assert_eq!(second.next(), 0);
        first.free();
        assert_eq!(lanes.take("relp://a", PEER, stream).next(), 103);
    }
}
