//! What the producer loop knows of each stream: what is acknowledged, and which times are decided.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tahoe_schemas::rules::Screen;
use tahoe_seams::{Batch, Log, LogError, SourceId, Stream};

use super::changes::Changes;
use super::recover::Recovery;
use crate::clock::Moment;
use crate::header;
use crate::partition;
use crate::positions::{Position, Segment};

/// A segment spans a MiB, so that it costs one stored position in some four thousand records.
const SEGMENT_BYTES: u64 = 1 << 20;

/// And a second, so that ids follow the clock.
const SEGMENT_MS: i64 = 1000;

/// A stream from which nothing came for this long is stored clean though others are busy, or a
/// crash would have to read the log from where the quietest of them stood.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// One stream.
struct State {
    position: Position,
    stream: Arc<Stream>,
    encoded_origin: Arc<[u8]>,
    /// Up to here, an earlier run may have sent records: their segments stand.
    horizon: u64,
    /// Differs from what is stored.
    unstored: bool,
    /// Where its last record ended, if the position stays before its records until it advances.
    held_until: u64,
    /// When a record of it was sent last, if one was.
    sent_at: Option<Instant>,
}

/// All streams of one owner.
pub(super) struct Streams {
    owner: String,
    states: HashMap<SourceId, State>,
    /// Positions of earlier runs whose stream was not seen yet in this one.
    recovered: HashMap<SourceId, Position>,
    partitions: HashMap<String, u32>,
    /// An offset of each partition that nothing sent from now on can be below. It is there before
    /// a resumable record goes to the partition: a fence behind records in flight would hide them.
    floors: Floors,
    /// The same as they were at the marks that a position may still be moved to.
    marks: BTreeMap<u64, Floors>,
    /// The privacy policy that comes before the log.
    pub(super) screen: Option<Arc<Screen>>,
}

/// Offsets by topic and partition.
type Floors = HashMap<(String, u32), u64>;

/// What one batch holds of one stream.
pub(super) struct Span {
    pub(super) source: SourceId,
    pub(super) first_start: u64,
    pub(super) last_start: u64,
    pub(super) end: u64,
    /// Its stream is moved to where it was at that mark.
    pub(super) mark: Option<u64>,
    pub(super) carried: Vec<u8>,
    pub(super) topic: String,
    pub(super) partition: u32,
}

/// How the records of one stream in a batch are addressed.
pub(super) struct Address {
    pub(super) partition: u32,
    pub(super) encoded_origin: Arc<[u8]>,
}

impl Streams {
    /// Stores as clean what recovery has made certain: the next crash need not look for it again.
    pub(super) fn new(
        log: &dyn Log,
        owner: &str,
        mut recovery: Recovery,
        screen: Option<Arc<Screen>>,
        now_ms: i64,
    ) -> Result<Self, LogError> {
        let mut changes = Changes::new(owner, screen.as_deref(), now_ms);
        let has_renamed = !recovery.renamed.is_empty();
        for position in recovery.positions.values_mut() {
            let is_certain = !recovery.held.contains(&position.source) && !position.clean;
            if is_certain {
                position.clean = true;
            }
            if is_certain || has_renamed {
                changes.put(position);
            }
        }
        changes.store(log)?;
        // Only now: a start between the two finds both, and takes the newer.
        let mut gone = Changes::new(owner, screen.as_deref(), now_ms);
        recovery.renamed.iter().for_each(|former| gone.remove(*former));
        gone.store(log)?;
        Ok(Self {
            owner: owner.to_owned(),
            states: HashMap::new(),
            recovered: recovery.positions,
            partitions: HashMap::new(),
            floors: recovery.fences,
            marks: BTreeMap::new(),
            screen,
        })
    }

    /// Takes note of a batch's streams; gives their addresses in the batch's own order.
    pub(super) fn admit(&mut self, log: &dyn Log, batch: &Batch) -> Result<Vec<Address>, LogError> {
        let mut addresses = Vec::with_capacity(batch.streams().len());
        for stream in batch.streams() {
            let partition = self.partition(log, stream)?;
            let encoded_origin = match self.states.get(&stream.origin.source) {
                Some(state) if Arc::ptr_eq(&state.stream, stream) => {
                    Arc::clone(&state.encoded_origin)
                }
                _ => self.open(stream, partition),
            };
            addresses.push(Address { partition, encoded_origin });
        }
        for (index, at) in batch.beginnings() {
            let source = batch.streams()[*index as usize].origin.source;
            if let Some(state) = self.states.get_mut(&source) {
                state.position.next = *at;
                state.unstored = true;
            }
        }
        for (source, identity) in batch.identities() {
            if let Some(state) = self.states.get_mut(source) {
                state.position.identity = identity.clone();
                state.unstored = true;
            } else if let Some(position) = self.recovered.get_mut(source) {
                position.identity = identity.clone();
            }
        }
        Ok(addresses)
    }

    fn partition(&mut self, log: &dyn Log, stream: &Stream) -> Result<u32, LogError> {
        let count = match self.partitions.get(&stream.topic) {
            Some(count) => *count,
            None => {
                let count = log.partitions(&stream.topic)?;
                self.partitions.insert(stream.topic.clone(), count);
                count
            }
        };
        Ok(match stream.lane {
            Some(lane) => self.stays(stream).unwrap_or(lane.number % count.max(1)),
            None => partition::of_key(&stream.key, count),
        })
    }

    /// The partition in which a lane stays, whatever partitions its topic has today: the next start
    /// must find there what this one found.
    fn stays(&self, stream: &Stream) -> Option<u32> {
        let source = &stream.origin.source;
        let now = self.states.get(source).map(|state| &state.position);
        let position = now.or(self.recovered.get(source).filter(|position| !position.clean))?;
        (position.topic == stream.topic).then_some(position.partition)
    }

    fn open(&mut self, stream: &Arc<Stream>, partition: u32) -> Arc<[u8]> {
        let origin = &stream.origin;
        let encoded_origin: Arc<[u8]> = header::encode_origin(origin).into();
        let known = match self.states.remove(&origin.source) {
            Some(state) => Some(state.position),
            None => self.recovered.remove(&origin.source),
        };
        let fresh = Position {
            source: origin.source,
            generation: origin.generation,
            next: 0,
            context: Vec::new(),
            segments: Vec::new(),
            topic: stream.topic.clone(),
            partition,
            scan_from: 0,
            clean: true,
            identity: serde_json::Value::Null,
        };
        let position = match known {
            Some(known) if known.generation == origin.generation => {
                // The topic or its partitions may have been changed since; an offset says nothing
                // of another place.
                let stays = (&known.topic, known.partition) == (&stream.topic, partition);
                let clean = known.clean || !stays;
                Position { topic: stream.topic.clone(), partition, clean, ..known }
            }
            Some(known) => Position { identity: known.identity, ..fresh },
            None => fresh,
        };
        let horizon = position.segments.iter().map(|segment| segment.1).max().unwrap_or(0);
        let state = State {
            position,
            stream: Arc::clone(stream),
            encoded_origin: Arc::clone(&encoded_origin),
            horizon,
            unstored: false,
            held_until: 0,
            sent_at: None,
        };
        self.states.insert(origin.source, state);
        encoded_origin
    }

    /// True if a stream of the batch has moved to another generation since it was seen last: what
    /// is in flight for the old one must be acknowledged first.
    pub(super) fn changes_generation(&self, batch: &Batch) -> bool {
        batch.streams().iter().any(|stream| {
            self.states
                .get(&stream.origin.source)
                .is_some_and(|state| state.position.generation != stream.origin.generation)
        })
    }

    /// Opens segments where the spans need them, and stores them durably before any record of
    /// theirs may be sent.
    pub(super) fn reserve(
        &mut self,
        log: &dyn Log,
        spans: &[Span],
        now: Moment,
    ) -> Result<(), LogError> {
        let mut changes = Changes::new(&self.owner, self.screen.as_deref(), now.ms);
        for span in spans {
            let Some(state) = self.states.get_mut(&span.source) else { continue };
            state.sent_at = Some(now.at);
            if state.is_held() {
                state.held_until = span.end;
            }
            if !state.stream.resumable || !state.reserve(span, now.ms) {
                continue;
            }
            if state.position.clean {
                state.position.scan_from = floor(&mut self.floors, log, span)?;
                state.position.clean = false;
            }
            changes.put(&state.position);
            state.unstored = false;
        }
        changes.store(log)
    }

    /// The time in the id of a record of `source` that starts at `start`.
    pub(super) fn segment_ms(&self, source: SourceId, start: u64, now_ms: i64) -> i64 {
        let state = self.states.get(&source).filter(|state| state.stream.resumable);
        state.and_then(|state| state.position.segment_ms(start)).unwrap_or(now_ms)
    }

    /// Everything before these marks is durable.
    pub(super) fn mark(&mut self, numbers: &[u64]) {
        let floors = &self.floors;
        self.marks.extend(numbers.iter().map(|number| (*number, floors.clone())));
    }

    /// The records of these spans are durable, at `offsets` and below; `moved` are where streams
    /// are besides, before or behind those records.
    pub(super) fn acknowledge(
        &mut self,
        spans: &[Span],
        moved: &[Span],
        offsets: &[(String, u32, u64)],
    ) {
        // The offsets before this batch: its records may be behind where their stream is.
        for span in moved {
            let floors = match span.mark {
                Some(mark) => self.marks.get(&mark),
                None => Some(&self.floors),
            };
            let place = (span.topic.clone(), span.partition);
            let floor = floors.and_then(|floors| floors.get(&place)).copied();
            let Some(state) = self.states.get_mut(&span.source) else { continue };
            if state.is_held() {
                state.position.scan_from = floor.unwrap_or(0).max(state.position.scan_from);
            }
        }
        if let Some(mark) = moved.iter().filter_map(|span| span.mark).max() {
            self.marks = self.marks.split_off(&mark);
        }
        for (topic, partition, offset) in offsets {
            self.floors.insert((topic.clone(), *partition), offset + 1);
        }
        for span in spans {
            let Some(state) = self.states.get_mut(&span.source) else { continue };
            if state.is_held() {
                continue;
            }
            state.move_to(span);
            let at = offsets
                .iter()
                .find(|(topic, partition, _)| *partition == span.partition && *topic == span.topic);
            if let Some((.., offset)) = at {
                state.position.scan_from = offset + 1;
            }
        }
        for span in moved {
            if let Some(state) = self.states.get_mut(&span.source) {
                state.move_to(span);
            }
        }
    }

    /// Stores what changed. With `clean`, nothing is in flight, and no segment is kept open.
    pub(super) fn store(
        &mut self,
        log: &dyn Log,
        forgotten: &[SourceId],
        clean: bool,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let mut changes = Changes::new(&self.owner, self.screen.as_deref(), now_ms);
        for source in forgotten {
            let state = self.states.remove(source);
            let recovered = self.recovered.remove(source);
            // Of a stream that cannot be resumed nothing was stored, so there is nothing to remove.
            if recovered.is_some() || state.is_some_and(|state| state.stream.resumable) {
                changes.remove(*source);
            }
        }
        let resumable = self.states.values_mut().filter(|state| state.stream.resumable);
        for state in resumable.filter(|state| state.unstored || (clean && !state.position.clean)) {
            if clean {
                state.make_clean();
            }
            changes.put(&state.position);
            state.unstored = false;
        }
        changes.store(log)
    }

    /// Stores as clean the streams from which nothing came for a while, except those that are
    /// `in_flight`.
    pub(super) fn store_quiet(
        &mut self,
        log: &dyn Log,
        in_flight: &HashSet<SourceId>,
        now: Moment,
    ) -> Result<(), LogError> {
        let mut changes = Changes::new(&self.owner, self.screen.as_deref(), now.ms);
        for (source, state) in &mut self.states {
            let is_quiet = |sent_at| now.at.saturating_duration_since(sent_at) >= QUIET;
            let quiet = state.sent_at.is_none_or(is_quiet) && !in_flight.contains(source);
            if quiet && state.stream.resumable && !state.position.clean {
                state.make_clean();
                changes.put(&state.position);
                state.unstored = false;
            }
        }
        changes.store(log)
    }
}

impl State {
    fn is_held(&self) -> bool {
        self.stream.lane.is_some_and(|lane| lane.may_change)
    }

    fn move_to(&mut self, span: &Span) {
        self.position.next = span.end;
        self.position.context.clone_from(&span.carried);
        self.unstored = true;
    }

    /// Nothing of it is in flight, and no segment is kept open.
    fn make_clean(&mut self) {
        if self.is_held() && self.held_until > self.position.next {
            return;
        }
        let (next, horizon) = (self.position.next, self.horizon);
        self.position.clean = true;
        // A reservation that a crashed run made stands until it is used up.
        self.position.segments.retain(|segment| segment.1 > next && segment.0 < horizon);
    }

    /// Makes sure that every record of the span has a time; true if the position must be stored.
    fn reserve(&mut self, span: &Span, now_ms: i64) -> bool {
        let from = span.first_start.max(self.horizon);
        if span.last_start < from {
            return self.position.clean;
        }
        let fresh = self.position.segments.last().is_some_and(|Segment(start, end, ms)| {
            let is_now = (0..SEGMENT_MS).contains(&(now_ms - ms));
            *start <= from && span.last_start < *end && is_now
        });
        if fresh {
            return self.position.clean;
        }
        let next = self.position.next;
        let segments = &mut self.position.segments;
        // A segment reaches to the next one's beginning; those before `next` are used up.
        while segments.get(1).is_some_and(|second| second.0 <= next) {
            segments.remove(0);
        }
        segments.push(Segment(from, span.end.max(from + SEGMENT_BYTES), now_ms));
        true
    }
}

fn floor(floors: &mut Floors, log: &dyn Log, span: &Span) -> Result<u64, LogError> {
    let place = (span.topic.clone(), span.partition);
    if let Some(floor) = floors.get(&place) {
        return Ok(*floor);
    }
    let floor = log.fence(&span.topic, span.partition)?;
    floors.insert(place, floor);
    Ok(floor)
}

#[cfg(test)]
mod tests {
    use tahoe_seams::{Origin, Topic};

    use super::*;
    use crate::log::embedded::{EmbeddedLog, EmbeddedSettings};
    use crate::positions;

    fn stream(n: u8) -> Arc<Stream> {
        let source = SourceId([n; 16]);
        let origin = Origin { source, dataset: "a.b".into(), ..Origin::default() };
        Arc::new(Stream { origin, topic: "t".into(), key: vec![n], lane: None, resumable: true })
    }

    /// One with a topic of so many partitions.
    fn log_of(partitions: u32) -> (EmbeddedLog, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = EmbeddedLog::open(folder.path(), &EmbeddedSettings::default()).expect("opens");
        let topics = [("t", partitions, false), ("tahoe.positions", 1, true)].map(
            |(name, partitions, compacted)| Topic { name: name.into(), partitions, compacted },
        );
        log.setup(&topics).expect("topics can be created");
        (log, folder)
    }

    /// A lane whose records may change, and what was stored of it before a crash.
    fn held(n: u8, lane: u32) -> (Arc<Stream>, Position) {
        let mut held = Arc::into_inner(stream(n)).expect("ours alone");
        held.lane = Some(tahoe_seams::Lane { number: lane, may_change: true });
        let crashed = Position {
            source: held.origin.source,
            generation: 0,
            next: 0,
            context: Vec::new(),
            segments: Vec::new(),
            topic: "t".to_owned(),
            partition: 0,
            scan_from: 3,
            clean: false,
            identity: serde_json::Value::Null,
        };
        (Arc::new(held), crashed)
    }

    fn span(n: u8, from: u64) -> Span {
        Span {
            source: SourceId([n; 16]),
            first_start: from,
            last_start: from,
            end: from + 10,
            mark: None,
            carried: Vec::new(),
            topic: "t".to_owned(),
            partition: 0,
        }
    }

    #[test]
    fn a_quiet_stream_is_stored_clean_while_others_are_busy_or_in_flight() {
        let (log, _folder) = log_of(1);
        let mut streams =
            Streams::new(&log, "o", Recovery::default(), None, 0).expect("nothing to store");
        let mut batch = Batch::new(1 << 20);
        for n in 1..=3 {
            batch.stream(&stream(n));
        }
        streams.admit(&log, &batch).expect("admitted");
        let began = Instant::now();
        // The clock is set back meanwhile, which is nothing to a span.
        let after = |at: Duration| Moment { ms: -5_000_000, at: began + at };
        let spans = [span(1, 0), span(2, 0), span(3, 0)];
        streams.reserve(&log, &spans, Moment { ms: 0, at: began }).expect("stored");
        let offsets = [("t".to_owned(), 0, 7)];
        streams.acknowledge(&[span(1, 0), span(2, 0)], &[], &offsets);
        let busy = after(QUIET - Duration::from_millis(1));
        streams.reserve(&log, &[span(2, 10)], busy).expect("stored");
        let in_flight = HashSet::from([SourceId([3; 16])]);
        streams.store_quiet(&log, &in_flight, after(QUIET)).expect("stored");
        let stored = positions::of_owner("o", &log.positions().expect("readable"), None);
        let mut found: Vec<_> = stored.expect("of this version");
        found.sort_by_key(|position| position.source.0);
        let clean: Vec<_> = found.iter().map(|position| position.clean).collect();
        assert_eq!(clean, [true, false, false], "quiet, busy, in flight");
        assert_eq!((found[0].next, found[0].scan_from), (10, 8));
    }

    #[test]
    fn a_fence_behind_records_in_flight_does_not_hide_them_from_the_next_start() {
        let (log, _folder) = log_of(1);
        let (held, crashed) = held(1, 0);
        let source = crashed.source;
        let recovery = Recovery {
            positions: HashMap::from([(source, crashed)]),
            held: HashSet::from([source]),
            fences: HashMap::from([(("t".to_owned(), 0), 5)]),
            ..Recovery::default()
        };
        // What the stream sent before another was first heard of stands at 6 and 7.
        for _ in 0..8 {
            log.fence("t", 0).expect("stored");
        }
        let mut streams = Streams::new(&log, "o", recovery, None, 0).expect("stored");
        let mut batch = Batch::new(1 << 20);
        batch.stream(&held);
        batch.stream(&stream(2));
        streams.admit(&log, &batch).expect("admitted");
        let now = Moment { ms: 0, at: Instant::now() };
        streams.reserve(&log, &[span(1, 0)], now).expect("stored");
        streams.reserve(&log, &[span(2, 0)], now).expect("stored");
        streams.mark(&[1]);
        streams.acknowledge(&[span(1, 0)], &[], &[("t".to_owned(), 0, 7)]);
        let moved = Span { mark: Some(1), ..span(1, 0) };
        streams.acknowledge(&[span(2, 0)], &[moved], &[("t".to_owned(), 0, 9)]);
        assert_eq!(streams.states[&source].position.scan_from, 5);
    }

    #[test]
    fn a_lane_stays_where_its_records_are_while_the_next_start_must_find_them() {
        let (log, _folder) = log_of(2);
        let (first, crashed) = held(1, 1);
        let (second, elsewhere) = held(2, 1);
        let (third, stopped) = held(3, 1);
        let elsewhere = Position { topic: "former".to_owned(), scan_from: 900, ..elsewhere };
        let positions = [crashed, elsewhere, Position { clean: true, ..stopped }];
        let recovery = Recovery {
            held: positions[..2].iter().map(|position| position.source).collect(),
            positions: positions.into_iter().map(|found| (found.source, found)).collect(),
            ..Recovery::default()
        };
        let mut streams = Streams::new(&log, "o", recovery, None, 0).expect("stored");
        let mut batch = Batch::new(1 << 20);
        for stream in [&first, &second, &third] {
            batch.stream(stream);
        }
        for _ in 0..2 {
            let addresses = streams.admit(&log, &batch).expect("admitted");
            assert_eq!(addresses.iter().map(|at| at.partition).collect::<Vec<_>>(), [0, 1, 1]);
        }
        let now = Moment { ms: 0, at: Instant::now() };
        let at = |n, partition| Span { partition, ..span(n, 0) };
        streams.reserve(&log, &[at(1, 0), at(2, 1), at(3, 1)], now).expect("stored");
        let from = |stream: &Stream| streams.states[&stream.origin.source].position.scan_from;
        assert_eq!([from(&first), from(&second), from(&third)], [3, 0, 0]);
    }
}
