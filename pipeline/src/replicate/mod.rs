//! A database's rows and changes, in the order in which it gives them, each once.
//!
//! A feed numbers nothing and remembers nothing: between its records it names points from which it
//! can go on. Records are counted from point to point, so that a second read of the same changes
//! gives the same numbers, and are dealt by their keys into lanes, each of which is a stream in one
//! partition. A lane's position carries the last point: when it was stored, everything before that
//! point was durable in all lanes, so a start goes on from the latest point of all, and each lane
//! leaves out what it has behind it.

mod lanes;
mod lost;
mod point;
mod stand_in;
mod there;

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use tahoe_seams::{Batch, BatchEnd, Known, Lag, Origin, Record, Source, SourceError, SourceId};

use crate::clock::now_ms;
pub(crate) use lanes::feed_id;
pub use lanes::{LANES, RecordKind};
use lanes::{Lanes, Place};
pub use lost::{OnLostPosition, gap_statement};
use point::Point;
pub use stand_in::{LARGE_MIN, write_shortened, write_stand_in, write_within};
use there::There;

/// What a database gives, in its own order. Called from one thread.
pub trait Feed: Send {
    /// Connects and goes on at a point that it gave before; without one, from where the settings
    /// say. The first step of a feed that begins is a [`Step::Point`].
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError>;
    /// Gives what is there, waits at most `wait` for the first step; a `Break` ends the call after
    /// the step that it answers, and the next call goes on behind it.
    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError>;
    /// No start will ask for anything before this point: the database need not keep it.
    fn forget(&mut self, before: &[u8]) -> Result<(), SourceError>;
    /// How far it is behind.
    fn lag(&self) -> Vec<Lag>;
    /// It says by [`Step::Repeated`] when all that it may give a second time was given; otherwise
    /// that is guessed.
    fn says_repeated(&self) -> bool {
        false
    }
    /// Called before [`Feed::open`], for each record that the log has beyond the point and that may
    /// be given again.
    fn recovered(&mut self, _bytes: &[u8]) {}
    /// Called before [`Feed::open`], for each thing that a [`Step::Keep`] kept, the last of its name.
    fn kept(&mut self, _bytes: &[u8]) {}
    /// Everything that was to be read was given.
    fn has_ended(&self) -> bool {
        false
    }
}

/// Takes one step of a feed.
pub type Take<'t> = dyn FnMut(Step<'_>) -> ControlFlow<()> + 't;

/// What a feed gives.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A record of one of the kinds that the feed was made with.
    Record {
        /// Its kind, by index.
        kind: usize,
        /// What must stay in order: table and primary key. It becomes the Kafka key.
        key: &'a [u8],
        /// The record.
        bytes: &'a [u8],
    },
    /// Everything before this was given whole: a later start may go on here. At most some hundred
    /// bytes that only the feed understands.
    Point(&'a [u8]),
    /// This place, by a number that grows, for a later [`Step::PointAt`].
    Mark(u64),
    /// A point of a marked place: a start from there may give again what was given behind the mark,
    /// in another order and with others between. Only for records that may change.
    PointAt(u64, &'a [u8]),
    /// Something of the feed's own, for a later [`Feed::kept`]; nothing, if it is no longer needed.
    /// It is stored before any record or point that follows, and so may come back at a start from
    /// an earlier point.
    Keep {
        /// What it replaces is what was kept by the same name.
        name: &'a [u8],
        /// Text, as large as a record may be.
        bytes: Option<&'a [u8]>,
    },
    /// Whatever the log had beyond the point of the last start, and has not been given since, will
    /// not be given any more; a feed that begins anew because changes are lost says so first.
    Repeated,
}

/// The streams of a feed whose records are of these kinds.
pub fn sources(kinds: &[RecordKind]) -> HashSet<SourceId> {
    Lanes::new(kinds.to_vec()).sources().collect()
}

/// The feed's own point in a stored position; `None` if there is none that can be read.
pub fn point(context: &[u8], kinds: usize) -> Option<Vec<u8>> {
    Point::decode(context, kinds).map(|point| point.bytes)
}

/// The [`Source`] over a feed.
pub struct Replicate<F> {
    feed: F,
    lanes: Lanes,
    /// The last point, and records of each kind so far.
    point: Point,
    counts: Vec<u64>,
    /// A point was given, in this or an earlier run.
    begun: bool,
    /// A point was given since the lanes were last moved.
    moved: bool,
    /// The last point is that of this mark.
    at_mark: Option<u64>,
    /// Nothing that the log had at the start was still to come at the last point.
    all_came: bool,
    /// Marks at which a point may still be given, and the records of each kind before them.
    marks: VecDeque<(u64, Vec<u64>)>,
    there: There,
    /// The last point of each batch that is not stored yet.
    points: VecDeque<(BatchEnd, Vec<u8>)>,
    closed: bool,
}

impl<F: Feed> Replicate<F> {
    /// A source of what `feed` gives, whose records are of these kinds.
    pub fn new(feed: F, kinds: Vec<RecordKind>) -> Self {
        let there = There::new(!feed.says_repeated());
        Self {
            feed,
            point: Point::new(kinds.len()),
            counts: vec![0; kinds.len()],
            lanes: Lanes::new(kinds),
            begun: false,
            moved: false,
            at_mark: None,
            all_came: true,
            marks: VecDeque::new(),
            there,
            points: VecDeque::new(),
            closed: false,
        }
    }

    /// Moves each lane that has nothing behind the last point to it.
    fn advance(&mut self, batch: &mut Batch) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.lanes.begin(batch);
        }
        let carried = self.point.encode();
        self.lanes.advance(batch, &self.point.counts, &carried, self.at_mark, self.all_came);
        self.points.push_back((batch.end(), self.point.bytes.clone()));
    }
}

impl<F: Feed> Source for Replicate<F> {
    fn successor(&self, former: SourceId) -> Option<SourceId> {
        self.lanes.successor(former)
    }

    fn stream_of(&self, origin: &Origin) -> Option<SourceId> {
        self.lanes.stream_of(origin)
    }

    fn recover(&mut self, record: &Record<'_>, _context: &mut Vec<u8>) {
        let lane = self.lanes.stream_of(record.origin);
        if lane.is_some_and(|lane| self.may_change(lane)) {
            self.feed.recovered(record.bytes);
            self.there.add(record.bytes);
        }
    }

    fn may_change(&self, stream: SourceId) -> bool {
        self.lanes.may_change(stream)
    }

    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError> {
        for known in &known {
            self.lanes.know(known);
            if let Some(bytes) = lanes::kept(known) {
                self.feed.kept(bytes.as_bytes());
            }
            if known.context.is_empty() {
                continue;
            }
            let point = Point::decode(&known.context, self.counts.len()).ok_or_else(|| {
                let text = format!(
                    "the position of stream {} is damaged, or of a newer version: update this binary",
                    known.source
                );
                SourceError::Stop(text, None)
            })?;
            if !self.begun || point.number > self.point.number {
                self.begun = true;
                self.point = point;
            }
        }
        self.counts.clone_from(&self.point.counts);
        self.feed.open(self.begun.then_some(&self.point.bytes))
    }

    fn read(&mut self, batch: &mut Batch, wait: Duration) -> Result<(), SourceError> {
        if self.closed {
            return Ok(());
        }
        let Self {
            feed, lanes, point, counts, begun, moved, at_mark, all_came, marks, there, ..
        } = self;
        let read_at_ms = now_ms();
        let mut carried = point.encode();
        let result = feed.read(wait, &mut |step| match step {
            Step::Record { kind, key, bytes } => {
                assert!(*begun, "a feed begins with a point");
                let place = Place { kind, key, number: counts[kind] };
                counts[kind] += 1;
                // A change is known by its number: it neither uses up nor takes away a row's place.
                let may_be_there = lanes.kind_may_change(kind) && !there.is_empty();
                if !(may_be_there && there.take(&lanes.as_found(kind, bytes, read_at_ms))) {
                    lanes.push(batch, place, bytes, &carried, read_at_ms);
                }
                match batch.is_full() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            }
            Step::Mark(number) => {
                // What comes a second time may stand in the log before the mark.
                if there.is_empty() {
                    marks.push_back((number, counts.clone()));
                    batch.mark(number);
                }
                ControlFlow::Continue(())
            }
            Step::PointAt(number, bytes) => {
                marks.drain(..marks.partition_point(|(earlier, _)| *earlier < number));
                if let Some((_, counts)) = marks.front().filter(|(at, _)| *at == number) {
                    point.advance(counts, bytes);
                    carried = point.encode();
                    (*moved, *at_mark, *all_came) = (true, Some(number), there.is_empty());
                }
                ControlFlow::Continue(())
            }
            Step::Keep { name, bytes } => {
                lanes.keep(batch, name, bytes);
                ControlFlow::Continue(())
            }
            Step::Repeated => {
                there.clear();
                ControlFlow::Continue(())
            }
            Step::Point(bytes) => {
                point.advance(counts, bytes);
                carried = point.encode();
                there.expire();
                // What the log has and comes behind this point in this same call must be found again.
                (*moved, *at_mark, *all_came) = (true, None, there.is_empty());
                marks.clear();
                // Where everything begins is stored before anything is sent.
                match *begun {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            }
        });
        self.advance(batch);
        result
    }

    fn release(&mut self, _through: BatchEnd) -> Result<(), SourceError> {
        Ok(())
    }

    fn holds(&self) -> bool {
        true
    }

    fn stored(&mut self, through: BatchEnd) -> Result<(), SourceError> {
        let stored = self.points.partition_point(|(end, _)| *end <= through);
        match self.points.drain(..stored).next_back() {
            Some((_, point)) => self.feed.forget(&point),
            None => Ok(()),
        }
    }

    fn has_ended(&self) -> bool {
        self.feed.has_ended()
    }

    fn lag(&self) -> Vec<Lag> {
        self.feed.lag()
    }

    fn close(&mut self) -> Result<(), SourceError> {
        // What was not given yet can be had again.
        self.closed = true;
        Ok(())
    }
}
