//! All lanes of a listener, by address and sending host.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tahoe_seams::{Known, SourceId, Stream};

use super::alignment::{Alignment, Repetition};
use super::{Lane, Tail};
use crate::lock::lock;

/// Lanes that are kept: with the default window of 1,024 records, 64 MiB of hashes at most.
pub(super) const LANES_MAX: usize = 8192;

/// The lanes of a listening address and a sending host.
type ByPeer = HashMap<(String, IpAddr), Vec<Arc<Lane>>>;

/// Every lane of the listener.
pub struct Lanes {
    by_peer: Mutex<ByPeer>,
    tick: AtomicU64,
    forget_after_ms: i64,
}

/// What became of lanes with time.
#[derive(Default)]
pub struct Swept {
    /// They had a connection since their identity was told last.
    pub seen: Vec<Arc<Lane>>,
    /// They are gone.
    pub forgotten: Vec<SourceId>,
}

impl Lanes {
    pub fn new(forget_after: Duration) -> Self {
        let forget_after_ms = i64::try_from(forget_after.as_millis()).unwrap_or(i64::MAX);
        Self { by_peer: Mutex::default(), tick: AtomicU64::new(1), forget_after_ms }
    }

    /// Forgets lanes that had no connection for too long, and those seen longest ago if there are
    /// too many.
    pub fn sweep(&self, now_ms: i64) -> Swept {
        let mut swept = Swept::default();
        let mut by_peer = self.lock();
        let mut oldest_ms = now_ms.saturating_sub(self.forget_after_ms);
        let mut seen: Vec<i64> = Vec::new();
        for lane in by_peer.values().flatten() {
            if !lane.is_free() {
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
    pub fn restore(
        &self,
        known: &Known,
        now_ms: i64,
        stream: impl FnOnce(&str, IpAddr, SourceId) -> Arc<Stream>,
    ) {
        let text = |name: &str| known.identity.get(name).and_then(Value::as_str);
        let Some(path) = text("relp") else { return };
        let Some(peer) = text("peer").and_then(|peer| peer.parse().ok()) else { return };
        let tail = Tail::restored(known.next, &known.context);
        let seen_ms = known.identity.get("seen_ms").and_then(Value::as_i64);
        let stream = stream(path, peer, known.source);
        let lane = Lane::new(stream, tail, seen_ms.unwrap_or(now_ms));
        self.lock().entry((path.to_owned(), peer)).or_default().push(Arc::new(lane));
    }

    /// Every place in the peer's lanes that a repetition could begin with this record.
    pub fn align(&self, path: &str, peer: IpAddr, hash: u64) -> Alignment {
        let lanes = self.lock();
        let known = lanes.get(&(path.to_owned(), peer)).map(Vec::as_slice).unwrap_or_default();
        Alignment::begin(known, hash)
    }

    /// The lane in which the aligned records go on, and how many of them it has already. A
    /// connection that has it is told to leave first; had that one a further record, it was alive.
    pub async fn settle(&self, alignment: &Alignment) -> Option<(Arc<Lane>, usize)> {
        let Repetition { lane, records, end, was_answered } = alignment.repetition()?;
        if was_answered && lane.is_heard().await {
            return None;
        }
        lane.reclaim().await;
        let taken = lane.next() == end && lane.take(self.tick.fetch_add(1, Ordering::Relaxed));
        taken.then_some((lane, records))
    }

    /// The lane for a connection that repeats nothing: the free one used last, or a new one.
    pub fn take(
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
        by_use.sort_by_key(|lane| Reverse(lane.used.load(Ordering::Acquire)));
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
