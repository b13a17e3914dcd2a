//! The lanes of a feed: records of one key share a lane, and a lane is a stream in one partition.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use tahoe_seams::{Batch, Known, Origin, Record, SourceId, Stream};
use xxhash_rust::xxh3::xxh3_128;

use crate::partition;
use crate::renewed::Screens;

/// Lanes of each kind of records. A number that 2, 3, 4, 6, 8 and 12 divide: a topic of so many
/// partitions has each key where Kafka's own clients would put it.
pub const LANES: u32 = 24;

/// One kind of a feed's records.
#[derive(Clone, Debug)]
pub struct RecordKind {
    /// Dataset, host, namespace, path and labels; its `source` is the feed's own name, from which
    /// the lanes' follow.
    pub origin: Origin,
    /// Topic that they go to.
    pub topic: String,
    /// A second read from the same point may give others: rows of a table, which may have changed
    /// meanwhile. What is in the log already is then known by its bytes.
    pub may_change: bool,
    /// The privacy policy that comes before the log, which has records as that leaves them.
    pub screen: Option<Arc<Screens>>,
    /// The feed's own name in an earlier version, whose positions and records are taken over.
    pub former: Option<SourceId>,
}

impl RecordKind {
    /// The same of a feed that an earlier version knew by that name.
    pub fn formerly(self, name: &str) -> Self {
        Self { former: Some(feed_id(name)), ..self }
    }
}

/// What tells a feed of that name from all others.
pub(crate) fn feed_id(name: &str) -> SourceId {
    SourceId(xxh3_128(name.as_bytes()).to_le_bytes())
}

/// Where a record belongs.
pub(super) struct Place<'a> {
    pub kind: usize,
    pub key: &'a [u8],
    /// Records of its kind before it.
    pub number: u64,
}

/// Under this name, an identity has what a feed keeps.
const KEPT: &str = "kept";

/// What a feed kept in that position, if it is one of those.
pub(super) fn kept(known: &Known) -> Option<&str> {
    known.identity.get(KEPT)?.as_str()
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

struct Lane {
    stream: Arc<Stream>,
    /// First number that the log does not have.
    next: u64,
}

pub(super) struct Lanes {
    kinds: Vec<RecordKind>,
    /// [`LANES`] of each kind.
    lanes: Vec<Lane>,
    /// What stands for a lane in the log and among the positions of an earlier version.
    former: HashMap<SourceId, SourceId>,
}

impl Lanes {
    pub fn new(kinds: Vec<RecordKind>) -> Self {
        let lanes = kinds.iter().flat_map(|kind| (0..LANES).map(|lane| Lane::new(kind, lane)));
        let mut former = HashMap::new();
        for kind in &kinds {
            let Some(feed) = kind.former else { continue };
            let dataset = &kind.origin.dataset;
            former.extend((0..LANES).map(|lane| {
                (lane_id(feed, dataset, lane), lane_id(kind.origin.source, dataset, lane))
            }));
        }
        Self { lanes: lanes.collect(), kinds, former }
    }

    /// Those of an earlier version too.
    pub fn sources(&self) -> impl Iterator<Item = SourceId> {
        let now = self.lanes.iter().map(|lane| lane.stream.origin.source);
        now.chain(self.former.keys().copied())
    }

    /// The lane that took over from this one of an earlier version.
    pub fn successor(&self, former: SourceId) -> Option<SourceId> {
        self.former.get(&former).copied()
    }

    /// The lane of a record in the log. Its id follows from a name that two producers may have had
    /// in common; but they own positions by their host's name, which a record says too.
    pub fn stream_of(&self, origin: &Origin) -> Option<SourceId> {
        let source = self.successor(origin.source).unwrap_or(origin.source);
        let is_ours = self.kind_of(source).is_none_or(|(_, kind)| kind.origin.host == origin.host);
        is_ours.then_some(source)
    }

    fn kind_of(&self, source: SourceId) -> Option<(usize, &RecordKind)> {
        let at = self.lanes.iter().position(|lane| lane.stream.origin.source == source)?;
        Some((at, &self.kinds[at / LANES as usize]))
    }

    /// The records of that stream may be others when they are read again.
    pub fn may_change(&self, source: SourceId) -> bool {
        self.kind_of(source).is_some_and(|(_, kind)| kind.may_change)
    }

    /// The records of that kind may be others when they are read again.
    pub fn kind_may_change(&self, kind: usize) -> bool {
        self.kinds[kind].may_change
    }

    /// A record of that kind as a start finds it in the log.
    pub fn as_found<'b>(&self, kind: usize, bytes: &'b [u8], read_at_ms: i64) -> Cow<'b, [u8]> {
        let kind = &self.kinds[kind];
        let Some(screen) = kind.screen.as_ref().map(|screens| screens.now()) else {
            return Cow::Borrowed(bytes);
        };
        let record = Record { read_at_ms, ..Record::new(bytes, &kind.origin) };
        // What is encrypted as a whole is found as it was read.
        match screen.screened(&record).filter(|screened| !screened.is_sealed) {
            Some(screened) => Cow::Owned(screened.bytes),
            None => Cow::Borrowed(bytes),
        }
    }

    /// Takes note of a stored position.
    pub fn know(&mut self, known: &Known) {
        if let Some((at, _)) = self.kind_of(known.source) {
            self.lanes[at].next = known.next;
        }
    }

    /// Adds a record to its lane, unless the log has it by that number.
    pub fn push(
        &mut self,
        batch: &mut Batch,
        place: Place<'_>,
        bytes: &[u8],
        carried: &[u8],
        read_at_ms: i64,
    ) {
        let lane = partition::of_key(place.key, LANES) as usize;
        let lane = &mut self.lanes[place.kind * LANES as usize + lane];
        let span = (place.number, place.number + 1);
        if !self.kinds[place.kind].may_change {
            if span.0 < lane.next {
                return;
            }
            lane.next = span.1;
        }
        let index = batch.stream(&lane.stream);
        batch.push(index, span, bytes, &[], carried, read_at_ms, None);
        batch.key_last(place.key);
    }

    /// Keeps something under a name, as the identity of a stream without records: a stream that
    /// begins is stored before anything of its batch is sent.
    pub fn keep(&self, batch: &mut Batch, name: &[u8], bytes: Option<&[u8]>) {
        let kind = &self.kinds[0];
        let mut stream = kind.origin.source.0.to_vec();
        stream.extend_from_slice(b"kept");
        stream.extend_from_slice(name);
        let source = SourceId(xxh3_128(&stream).to_le_bytes());
        let Some(bytes) = bytes else { return batch.forget(source) };
        let origin = Origin { source, ..kind.origin.clone() };
        let path = origin.path.clone();
        let topic = kind.topic.clone();
        let stream = Stream { origin, topic, key: Vec::new(), lane: None, resumable: true };
        let index = batch.stream(&Arc::new(stream));
        batch.begin(index, 0);
        let name = String::from_utf8_lossy(name);
        let identity = serde_json::json!({"path": path, "name": name, KEPT: text(bytes)});
        batch.identify(source, identity);
    }

    /// Every lane begins, before any has a record.
    pub fn begin(&self, batch: &mut Batch) {
        for (number, lane) in self.lanes.iter().enumerate() {
            let index = batch.stream(&lane.stream);
            batch.begin(index, lane.next);
            let origin = &lane.stream.origin;
            let lane = number % LANES as usize;
            let identity = serde_json::json!({"path": origin.path, "lane": lane});
            batch.identify(origin.source, identity);
        }
    }

    /// Moves every lane to the point, perhaps that of a mark, except those that have passed it; and,
    /// unless it is to be `all`, those whose records may change.
    pub fn advance(
        &mut self,
        batch: &mut Batch,
        counts: &[u64],
        carried: &[u8],
        mark: Option<u64>,
        all: bool,
    ) {
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let kind = number / LANES as usize;
            let count = counts[kind];
            if lane.next <= count && (all || !self.kinds[kind].may_change) {
                lane.next = count;
                let index = batch.stream(&lane.stream);
                batch.advance(index, count, carried, mark);
            }
        }
    }
}

fn lane_id(feed: SourceId, dataset: &str, lane: u32) -> SourceId {
    let mut name = feed.0.to_vec();
    name.extend_from_slice(dataset.as_bytes());
    name.extend_from_slice(&lane.to_le_bytes());
    SourceId(xxh3_128(&name).to_le_bytes())
}

impl Lane {
    fn new(kind: &RecordKind, lane: u32) -> Self {
        let source = lane_id(kind.origin.source, &kind.origin.dataset, lane);
        let origin = Origin { source, ..kind.origin.clone() };
        let stream = Stream {
            origin,
            topic: kind.topic.clone(),
            key: Vec::new(),
            lane: Some(tahoe_seams::Lane { number: lane, may_change: kind.may_change }),
            resumable: true,
        };
        Self { stream: Arc::new(stream), next: 0 }
    }
}
