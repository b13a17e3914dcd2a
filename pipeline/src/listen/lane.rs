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
//! sees its connection break long before we do. So is one whose answers its sender's machine has not
//! acknowledged. The older connection is then told to leave, gives
//! what it has taken in to the queue, and the lane goes on with the younger one. The hashes are the lane's carried context, so they are stored with
//! its position, and `recover` adds those of records found beyond it. A record that a dead run's
//! socket still delivers later has the same sequence, bytes and segment as its repetition, and so
//! the same id.
//!
//! A lane that had no connection for `--syslog-relp-forget-after` is forgotten, and its position
//! with it; until then a sender may come back and repeat what it has no answer for. When it had its
//! last connection is kept with its position, to a tenth of that time, so a restart does not begin
//! the time anew.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::line::{self, Line};
use crate::lock::lock;
use tahoe_seams::{Known, SourceId, Stream};
use tokio::sync::{Notify, watch};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of one hash in the carried context (little endian).
const HASH_BYTES: usize = 8;
/// Lanes that are kept: with the default window of 1,024 records, 64 MiB of hashes at most.
const LANES_MAX: usize = 8192;

/// A machine that is there acknowledges within this, a slow way and the kernel's own delay included.
const TAKEN_TIME: Duration = Duration::from_secs(1);
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

    /// The sender has every acknowledgement and will repeat nothing.
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

/// A lane and the place in it where a repetition may have begun.
struct Candidate {
    lane: Arc<Lane>,
    /// Sequence of the record that the next repeated one must equal.
    at: u64,
    /// A connection has the lane, and has written all answers.
    was_answered: bool,
}

/// The first records of a connection, laid against the ends of its host's lanes.
pub(super) struct Alignment {
    candidates: Vec<Candidate>,
    /// Records seen so far.
    seen: usize,
    /// The longest that reached the end of its lane.
    complete: Option<Repetition>,
}

/// The first records of a connection are the last of a lane.
#[derive(Clone)]
struct Repetition {
    lane: Arc<Lane>,
    /// How many they are.
    records: usize,
    /// Sequence behind the last of them.
    end: u64,
    /// It is one only if the answers to them were lost on their way.
    was_answered: bool,
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
            let (end, through) = (tail.next, candidate.at == tail.next);
            drop(tail);
            if through {
                let lane = Arc::clone(&candidate.lane);
                let was_answered = candidate.was_answered;
                *complete = Some(Repetition { lane, records: seen, end, was_answered });
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
    forget_after_ms: i64,
}

/// What became of lanes with time.
#[derive(Default)]
pub(super) struct Swept {
    /// They had a connection since their identity was told last.
    pub(super) seen: Vec<Arc<Lane>>,
    /// They are gone.
    pub(super) forgotten: Vec<SourceId>,
}

impl Lanes {
    pub(super) fn new(forget_after: Duration) -> Self {
        let forget_after_ms = i64::try_from(forget_after.as_millis()).unwrap_or(i64::MAX);
        Self { by_peer: Mutex::default(), tick: AtomicU64::new(1), forget_after_ms }
    }

    /// Forgets lanes that had no connection for too long, and those seen longest ago if there are
    /// too many.
    pub(super) fn sweep(&self, now_ms: i64) -> Swept {
        let mut swept = Swept::default();
        let mut by_peer = self.lock();
        let mut oldest_ms = now_ms.saturating_sub(self.forget_after_ms);
        let mut seen: Vec<i64> = Vec::new();
        for lane in by_peer.values().flatten() {
            if lane.holder() != FREE {
                lane.seen_ms.store(now_ms, Ordering::Release);
            }
            seen.push(lane.seen_ms.load(Ordering::Acquire));
        }
        if let Some(over) = seen.len().checked_sub(LANES_MAX).filter(|over| *over > 0) {
            tracing::warn!(over, "too many relp senders to remember: those seen longest ago go");
            oldest_ms = oldest_ms.max(*seen.select_nth_unstable(over - 1).1);
        }
        by_peer.retain(|_, lanes| {
            lanes.retain(|lane| {
                let seen_ms = lane.seen_ms.load(Ordering::Acquire);
                if seen_ms <= oldest_ms && lane.retire() {
                    swept.forgotten.push(lane.stream.origin.source);
                    return false;
                }
                if seen_ms - lane.told_ms.load(Ordering::Acquire) >= self.forget_after_ms / 10 {
                    lane.told_ms.store(seen_ms, Ordering::Release);
                    swept.seen.push(Arc::clone(lane));
                }
                true
            });
            !lanes.is_empty()
        });
        swept
    }

    /// Puts back a lane of an earlier run. `stream` makes its stream from path and peer.
    pub(super) fn restore(
        &self,
        known: &Known,
        now_ms: i64,
        stream: impl FnOnce(&str, IpAddr, SourceId) -> Arc<Stream>,
    ) {
        let text = |name: &str| known.identity.get(name).and_then(|value| value.as_str());
        let Some(path) = text("relp") else { return };
        let Some(peer) = text("peer").and_then(|peer| peer.parse().ok()) else { return };
        let hashes = known.context.chunks_exact(HASH_BYTES);
        let hashes = hashes
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("chunks of just this length")));
        let tail = Tail { next: known.next, hashes: hashes.collect() };
        let seen_ms = known.identity.get("seen_ms").and_then(serde_json::Value::as_i64);
        let stream = stream(path, peer, known.source);
        let lane = Lane::new(stream, tail, seen_ms.unwrap_or(now_ms));
        self.lock().entry((path.to_owned(), peer)).or_default().push(Arc::new(lane));
    }

    /// Every place in the peer's lanes that a repetition could begin with this record.
    pub(super) fn align(&self, path: &str, peer: IpAddr, hash: u64) -> Alignment {
        let lanes = self.lock();
        let known = lanes.get(&(path.to_owned(), peer)).map(Vec::as_slice).unwrap_or_default();
        let mut candidates = Vec::new();
        let tables = std::cell::LazyCell::new(line::kernel_tables);
        for lane in known {
            let (is_free, released) = (lane.holder() == FREE, lane.released());
            let tail = lane.tail();
            let first = tail.next - tail.hashes.len() as u64;
            // Of a lane that has a connection everything without an answer must come again.
            let latest = match (is_free, released < tail.next) {
                (true, _) => u64::MAX,
                (false, true) => released,
                (false, false) if !tail.hashes.contains(&hash) => continue,
                (false, false) => match lane.line().is_in_doubt(&tables) {
                    true => u64::MAX,
                    false => continue,
                },
            };
            let places = (first..=latest).zip(&tail.hashes).filter(|(_, known)| **known == hash);
            let was_answered = !is_free && released >= tail.next;
            let candidate = |at| Candidate { lane: Arc::clone(lane), at, was_answered };
            candidates.extend(places.map(|(at, _)| candidate(at)));
        }
        Alignment { candidates, seen: 0, complete: None }
    }

    /// The lane in which the aligned records go on, and how many of them it has already. A
    /// connection that has it is told to leave first; had that one a further record, it was alive.
    pub(super) async fn settle(&self, alignment: &Alignment) -> Option<(Arc<Lane>, usize)> {
        let Repetition { lane, records, end, was_answered } = alignment.complete.clone()?;
        if was_answered && lane.is_heard().await {
            return None;
        }
        lane.reclaim().await;
        let taken = lane.next() == end && lane.take(self.tick.fetch_add(1, Ordering::Relaxed));
        taken.then_some((lane, records))
    }

    /// The lane for a connection that repeats nothing: the free one used last, or a new one.
    pub(super) fn take(
        &self,
        path: &str,
        peer: IpAddr,
        now_ms: i64,
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
        let lane = Arc::new(Lane::new(stream(), Tail::default(), now_ms));
        lane.take(tick);
        known.push(Arc::clone(&lane));
        lane
    }

    fn lock(&self) -> MutexGuard<'_, ByPeer> {
        lock(&self.by_peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    const HOUR: Duration = Duration::from_secs(3600);
    const HOUR_MS: i64 = 3_600_000;

    fn lanes_holding(records: &[u64]) -> Lanes {
        let lanes = Lanes::new(HOUR);
        let context: Vec<u8> = records.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let identity =
            serde_json::json!({"relp": "relp://a", "peer": PEER.to_string(), "seen_ms": 0});
        let source = SourceId([1; 16]);
        let next = 100 + records.len() as u64;
        let known = Known { source, generation: 0, next, context, identity };
        lanes.restore(&known, 0, |_, _, _| stream());
        lanes
    }

    fn stream() -> Arc<Stream> {
        let origin = tahoe_seams::Origin::default();
        Arc::new(Stream {
            origin,
            topic: String::new(),
            key: Vec::new(),
            lane: None,
            resumable: true,
        })
    }

    /// What nothing has to be waited for.
    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(output) => output,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }

    /// How many of `sent` are taken for a repetition of the end of `held`.
    fn repeated(held: &[u64], sent: &[u64]) -> usize {
        let lanes = lanes_holding(held);
        let mut alignment = lanes.align("relp://a", PEER, sent[0]);
        let _ = sent.iter().all(|hash| alignment.take(*hash));
        now(lanes.settle(&alignment)).map_or(0, |(_, records)| records)
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

    /// Whether these records of a second connection could be a repetition of what the first brought,
    /// of which so many are durable.
    fn repeats_what_is_busy(durable: u64, sent: &[u64]) -> bool {
        let lanes = lanes_holding(&[1]);
        let busy = lanes.take("relp://a", PEER, 0, stream);
        let first = busy.next();
        for hash in 2..5 {
            busy.append(hash, 8);
        }
        busy.release(first + durable);
        let mut alignment = lanes.align("relp://a", PEER, sent[0]);
        let _ = sent.iter().all(|hash| alignment.take(*hash));
        alignment.complete.is_some()
    }

    #[test]
    fn what_a_connection_has_no_answer_for_is_repeated_as_a_whole_or_not_at_all() {
        assert!(repeats_what_is_busy(0, &[2, 3, 4]));
        assert!(repeats_what_is_busy(1, &[3, 4, 5]));
        assert!(repeats_what_is_busy(1, &[1, 2, 3, 4]), "not every answer arrived");
        assert!(!repeats_what_is_busy(0, &[3, 4]), "nothing that has no answer is left out");
        assert!(!repeats_what_is_busy(3, &[2, 3, 4]), "all was answered");
    }

    #[test]
    fn a_lane_goes_on_for_the_next_connection_and_a_second_one_gets_its_own() {
        let lanes = lanes_holding(&[1]);
        let first = lanes.take("relp://a", PEER, 0, stream);
        assert_eq!((first.append(9, 2), first.append(8, 2)), (101, 102));
        assert_eq!(first.carried(102), 9u64.to_le_bytes());
        let second = lanes.take("relp://a", PEER, 0, stream);
        assert_eq!(second.next(), 0);
        first.free(0);
        assert_eq!(lanes.take("relp://a", PEER, 0, stream).next(), 103);
    }

    #[test]
    fn a_lane_is_forgotten_when_it_had_no_connection_for_long_and_all_of_it_is_durable() {
        let lanes = lanes_holding(&[1]);
        assert!(lanes.sweep(HOUR_MS - 1).forgotten.is_empty());
        let lane = lanes.take("relp://a", PEER, HOUR_MS, stream);
        let end = lane.append(2, 8) + 1;
        assert!(lanes.sweep(5 * HOUR_MS).forgotten.is_empty(), "it has a connection");
        lane.free(5 * HOUR_MS);
        assert!(lanes.sweep(7 * HOUR_MS).forgotten.is_empty(), "it is not durable");
        lane.release(end);
        assert_eq!(lanes.sweep(7 * HOUR_MS).forgotten, [lane.stream.origin.source]);
        assert_eq!(lanes.take("relp://a", PEER, 7 * HOUR_MS, stream).next(), 0);
    }

    #[test]
    fn a_lane_tells_when_it_was_seen_and_begins_there_after_a_restart() {
        let lanes = lanes_holding(&[1]);
        let lane = lanes.take("relp://a", PEER, 0, stream);
        assert!(lanes.sweep(HOUR_MS / 20).seen.is_empty());
        let seen = lanes.sweep(HOUR_MS / 2).seen;
        assert_eq!(seen.len(), 1);
        assert!(lanes.sweep(HOUR_MS / 2 + 1).seen.is_empty());
        lane.free(HOUR_MS / 2);
        let restarted = Lanes::new(HOUR);
        let known = Known {
            source: SourceId([1; 16]),
            generation: 0,
            next: 1,
            context: Vec::new(),
            identity: serde_json::json!({
                "relp": "relp://a", "peer": PEER.to_string(),
                "seen_ms": seen[0].identity()["seen_ms"],
            }),
        };
        restarted.restore(&known, HOUR_MS, |_, _, _| stream());
        assert!(restarted.sweep(HOUR_MS).forgotten.is_empty());
        assert_eq!(restarted.sweep(HOUR_MS + HOUR_MS / 2).forgotten.len(), 1);
    }

    #[test]
    fn the_senders_seen_longest_ago_go_when_there_are_too_many() {
        let lanes = Lanes::new(HOUR);
        for number in 0..LANES_MAX + 10 {
            let peer = IpAddr::from((number as u128).to_be_bytes());
            lanes.take("relp://a", peer, 0, stream).free(number as i64);
        }
        assert_eq!(lanes.sweep(HOUR_MS / 2).forgotten.len(), 10);
        assert!(lanes.sweep(HOUR_MS / 2).forgotten.is_empty());
    }
}
