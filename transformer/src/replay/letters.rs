//! Dead letters through today's parser: what it accepts is stored under the id that it would have
//! had, what it rejects again stays where it is, with one attempt more.
//!
//! Nothing is ever appended to a dead-letter topic here, so that a replay cannot feed itself. A
//! letter is marked only after the store said durable; killed before that, the next replay finds the
//! events there by their ids and changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::header::Decoder;
use tahoe_pipeline::stop::Stop;
use tahoe_schemas::Foreign;
use tahoe_seams::{Log, LogError, Outcome, Rejection, Sink};
use tokio::runtime::Handle;

use super::letter::{Letter, Opened};
use super::marks::{Mark, Marks};
use super::{BATCH_BYTES, Progress, ReplayError, ReplaySettings};
use crate::delivery::{Written, keep_until_durable, write_until_durable};
use crate::intake::{Intake, Select, UNKNOWN, datasets_by_topic};
use crate::rules::Renewal;
use crate::verdict::Verdict;

/// Letters in one batch at most: as many marks may be lost by a kill, and are found again by ids.
const BATCH_LETTERS: usize = 5000;

/// Which letters are meant.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Codes; any if there are none.
    pub codes: Vec<String>,
    /// Datasets; any if there are none.
    pub datasets: Vec<String>,
    /// Read at their source at or after this, milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// Read before this.
    pub to_ms: Option<i64>,
}

/// A letter that was visited, opened, with what replays found of it.
pub struct Visited<'v, 'a> {
    /// The letter.
    pub letter: &'v Letter<'a>,
    /// Its record.
    pub opened: &'v Opened<'a>,
    /// The dataset that the record came as; `unknown` if nobody can say.
    pub dataset: &'v str,
    /// What replays found of it.
    pub mark: Mark,
}

/// What is asked of dead-letter topics.
pub struct Letters<'a> {
    log: &'a dyn Log,
    marks: Marks,
    decoder: Decoder,
    by_topic: HashMap<String, Arc<Foreign>>,
}

/// What came of a replay, in letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// That the filter meant.
    pub chosen: u64,
    /// Stored by an earlier replay, and not looked at again.
    pub stored_before: u64,
    /// Rejected too often before, and not looked at again.
    pub given_up: u64,
    /// Stored by this replay; in a dry run, those that today's parser accepts.
    pub stored: u64,
    /// Whose events were in the store already.
    pub already_there: u64,
    /// Accepted, and left out by a rule: nothing of them is to be stored.
    pub left_out: u64,
    /// Rejected again, by code.
    pub rejected: BTreeMap<String, u64>,
}

impl<'a> Letters<'a> {
    /// Of this log.
    ///
    /// # Errors
    /// Those of the log; [`LogError::Stop`] if a newer version has marked letters.
    pub fn open(log: &'a dyn Log) -> Result<Self, LogError> {
        let (marks, by_topic) = (Marks::load(log)?, datasets_by_topic());
        Ok(Self { log, marks, decoder: Decoder::default(), by_topic })
    }

    /// How many offsets the topics hold, for showing progress.
    ///
    /// # Errors
    /// Those of the log.
    pub fn count(&self, topics: &[String]) -> Result<u64, LogError> {
        let mut count = 0;
        for topic in topics {
            for partition in 0..self.log.partitions(topic)? {
                let range = self.log.offsets(topic, partition, None)?;
                count += range.end.saturating_sub(range.start);
            }
        }
        Ok(count)
    }

    /// Visits the letters of a topic that the filter means, partition by partition, oldest first.
    ///
    /// # Errors
    /// Those of the log.
    pub fn visit(
        &mut self,
        topic: &str,
        filter: &LetterFilter,
        visit: &mut dyn FnMut(Visited<'_, '_>) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        for partition in 0..self.log.partitions(topic)? {
            let range = self.log.offsets(topic, partition, None)?;
            let mut broke = false;
            self.visit_range(topic, partition, (range.start, range.end), filter, &mut |visited| {
                let flow = visit(visited);
                broke |= flow.is_break();
                flow
            })?;
            if broke {
                break;
            }
        }
        Ok(())
    }

    /// Visits those of a range; gives the offset after the last that was looked at.
    ///
    /// # Errors
    /// Those of the log.
    pub fn visit_range(
        &mut self,
        topic: &str,
        partition: u32,
        (from, to): (u64, u64),
        filter: &LetterFilter,
        visit: &mut dyn FnMut(Visited<'_, '_>) -> ControlFlow<()>,
    ) -> Result<u64, LogError> {
        let Self { log, marks, decoder, by_topic } = self;
        let (mut next, mut broke) = (from, false);
        if from < to {
            log.scan(topic, partition, from, to, &mut |found| {
                next = found.offset + 1;
                let Some(letter) = Letter::read(&found) else { return ControlFlow::Continue(()) };
                let opened = letter.open(decoder);
                let dataset = match (&opened.origin, by_topic.get(&*letter.from_topic)) {
                    (Some(origin), _) => origin.dataset.as_str(),
                    (None, Some(foreign)) if found.header.is_none() => foreign.dataset().name,
                    _ => UNKNOWN,
                };
                if !filter.means(&letter, dataset) {
                    return ControlFlow::Continue(());
                }
                let mark = marks.of(topic, partition, letter.offset);
                let flow = visit(Visited { letter: &letter, opened: &opened, dataset, mark });
                broke = flow.is_break();
                flow
            })?;
        }
        // The last offsets of a range may hold no record.
        Ok(if broke { next } else { to.max(next) })
    }
}

impl LetterFilter {
    fn means(&self, letter: &Letter<'_>, dataset: &str) -> bool {
        let among = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|wanted| wanted == name)
        };
        among(&self.codes, &letter.code)
            && among(&self.datasets, dataset)
            && self.from_ms.is_none_or(|from| letter.read_at_ms >= from)
            && self.to_ms.is_none_or(|to| letter.read_at_ms < to)
    }
}

/// A replay of dead letters.
pub struct LetterReplay<'a> {
    /// The log.
    pub log: &'a dyn Log,
    /// Where accepted records go; nowhere in a dry run.
    pub sink: Option<Arc<dyn Sink>>,
    /// How records are normalised.
    pub settings: &'a ReplaySettings,
    /// Which letters.
    pub filter: LetterFilter,
    /// A letter that was rejected so often is left alone.
    pub attempts_max: u32,
    /// Asked for between two batches.
    pub stop: &'a Stop,
    /// What the sink runs on.
    pub runtime: &'a Handle,
}

/// Letters on their way to the store.
struct Batch {
    intake: Intake,
    /// For each letter its place, its mark, and which of [`Intake::taken`] it became.
    letters: Vec<(String, u32, u64, Mark, Option<usize>)>,
}

impl LetterReplay<'_> {
    /// Replays the letters of these topics.
    ///
    /// # Errors
    /// [`ReplayError`]; what was stored until then is marked.
    pub fn run(
        &self,
        topics: &[String],
        progress: &mut Progress<'_, LetterCounts>,
    ) -> Result<LetterCounts, ReplayError> {
        let mut letters = Letters::open(self.log)?;
        let rules = &self.settings.rules;
        let intake = Intake::new(self.settings.given.clone(), rules, Renewal::default());
        let mut batch = Batch { intake, letters: Vec::new() };
        let (mut counts, mut looked_at) = (LetterCounts::default(), 0);
        for topic in topics {
            for partition in 0..self.log.partitions(topic)? {
                let range = self.log.offsets(topic, partition, None)?;
                letters.marks.forget_before(topic, partition, range.start);
                let mut next = range.start;
                while next < range.end {
                    let from = next;
                    next = self.fill(
                        &mut letters,
                        topic,
                        partition,
                        (from, range.end),
                        (&mut batch, &mut counts),
                    )?;
                    looked_at += next - from;
                    self.settle(&mut letters, &mut batch, &mut counts)?;
                    progress(&counts, looked_at);
                    if self.stop.is_asked() {
                        return Err(ReplayError::Stopped);
                    }
                }
            }
        }
        if self.sink.is_some() {
            letters.marks.store(self.log)?;
        }
        Ok(counts)
    }

    /// Takes letters in until a batch is full; gives the offset to go on from.
    fn fill(
        &self,
        letters: &mut Letters<'_>,
        topic: &str,
        partition: u32,
        range: (u64, u64),
        (batch, counts): (&mut Batch, &mut LetterCounts),
    ) -> Result<u64, LogError> {
        batch.intake.given.ingested_ms = now_ms();
        letters.visit_range(topic, partition, range, &self.filter, &mut |visited| {
            counts.chosen += 1;
            let Visited { letter, mark, .. } = visited;
            if mark.stored {
                counts.stored_before += 1;
            } else if mark.attempts >= self.attempts_max {
                counts.given_up += 1;
            } else {
                batch.take(letter, mark);
            }
            let full = batch.intake.events.bytes() >= BATCH_BYTES
                || batch.letters.len() >= BATCH_LETTERS
                || self.stop.is_asked();
            if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// Stores what was accepted, then marks, then counts.
    fn settle(
        &self,
        letters: &mut Letters<'_>,
        batch: &mut Batch,
        counts: &mut LetterCounts,
    ) -> Result<(), ReplayError> {
        let settled = self.store(batch)?;
        for (topic, partition, offset, mark, taken) in batch.letters.drain(..) {
            let settled = taken.and_then(|at| settled.get(at));
            let rejection = match settled {
                None => Some("header"),
                Some(verdict) => verdict.rejection.as_ref().map(|rejection| rejection.code),
            };
            let mark = match rejection {
                Some(code) => {
                    *counts.rejected.entry(code.to_owned()).or_default() += 1;
                    Mark { attempts: mark.attempts.saturating_add(1), stored: false }
                }
                None if settled.is_some_and(|verdict| verdict.left_out) => {
                    counts.left_out += 1;
                    Mark { stored: true, ..mark }
                }
                None => {
                    let new = self.sink.is_none() || settled.is_some_and(|verdict| verdict.new);
                    *(if new { &mut counts.stored } else { &mut counts.already_there }) += 1;
                    Mark { stored: true, ..mark }
                }
            };
            letters.marks.set(&topic, partition, offset, mark);
        }
        if self.sink.is_some() {
            letters.marks.store(self.log)?;
        }
        Ok(())
    }

    fn store(&self, batch: &mut Batch) -> Result<Vec<Verdict>, ReplayError> {
        let rows = batch.intake.events.take_row_changes();
        let events = batch.intake.events.take();
        batch.intake.take_reached();
        let taken = std::mem::take(&mut batch.intake.taken);
        let mut settled: Vec<_> = taken.iter().map(Verdict::begin).collect();
        let Some(sink) = &self.sink else { return Ok(settled) };
        // An earlier replay may have written them, or the pipeline some of a record's events.
        let written = write_until_durable(sink.as_ref(), &events, Written::AnyTime, self.stop);
        let outcomes = self.runtime.block_on(written).ok_or(ReplayError::Stopped)?;
        for (event, outcome) in events.events.iter().zip(outcomes) {
            settled[event.record as usize].add(outcome);
        }
        let kept = keep_until_durable(sink.as_ref(), rows, self.stop);
        let rejected: Vec<(u32, Rejection)> =
            self.runtime.block_on(kept).ok_or(ReplayError::Stopped)?;
        for (record, rejection) in rejected {
            settled[record as usize].add(Outcome::Rejected(rejection));
        }
        Ok(settled)
    }
}

impl Batch {
    fn take(&mut self, letter: &Letter<'_>, mark: Mark) {
        let before = self.intake.taken.len();
        self.intake.select = Select { ordinal: Some(letter.ordinal), ..Select::default() };
        let taken = self.intake.take(&letter.original()).is_ok();
        let taken = (taken && self.intake.taken.len() > before).then_some(before);
        self.letters.push((letter.topic.to_owned(), letter.partition, letter.offset, mark, taken));
    }
}
