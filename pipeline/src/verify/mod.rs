//! Whether the log says of a database's tables what is in them: the last that was told of each key,
//! in the order of the source, against the row that is there.
//!
//! A table changes meanwhile, so both sides are taken at one place: the database's from a snapshot,
//! the log's from the changes that the snapshot has. Nothing is written on either side. Memory is
//! bounded by bytes: where the keys of all tables do not fit, they are dealt by their hashes into
//! passes, each of which reads both sides again.

mod report;
mod told;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tahoe_seams::{Log, LogError, LogRecord, SourceId};

use crate::header::Decoder;
use crate::positions;
use crate::produce::each_record;
use crate::replicate::{self, RecordKind};
pub use report::{Chunk, Compared, Report, Why};
pub use told::Told;
use told::{Overflow, State};

/// Between two looks at how far the producer has stored its position.
const LOOK: Duration = Duration::from_millis(500);

/// Tables of a database as a snapshot has them.
pub trait Truth {
    /// The server, as its records say it: those of others are passed over.
    fn server(&self) -> &str;
    /// Where the snapshot is, for people.
    fn place(&self) -> String;
    /// The tables to compare.
    fn tables(&self) -> &[Held];
    /// A producer that has stored this point of its feed has told all that the snapshot has.
    fn is_reached(&self, point: &[u8]) -> bool;
    /// The snapshot has that change.
    fn has(&self, change: &Told<'_>) -> Has;
    /// A place of the database's own log as numbers that grow; `None` if it is not one.
    fn order(&self, position: &str) -> Option<(u64, u64)>;
    /// Visits a table's rows in the order of its key, as records of `read` rows, again if it is
    /// called again.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn rows(&mut self, table: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), String>;
}

/// A table of a [`Truth`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Database.
    pub db: String,
    /// Schema; empty where there are none.
    pub schema: String,
    /// Its own name.
    pub table: String,
    /// Why it cannot be compared.
    pub left_out: Option<String>,
}

impl Held {
    /// `shop.public.orders`
    pub fn name(&self) -> String {
        let parts = [&self.db, &self.schema, &self.table];
        let parts = parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str);
        parts.collect::<Vec<_>>().join(".")
    }
}

/// Whether a snapshot has a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// It was made before.
    Yes,
    /// It was made since.
    No,
    /// It was made while the snapshot was taken.
    Perhaps,
}

/// Opens the database's side.
pub type OpenTruth = Box<dyn FnOnce() -> Result<Box<dyn Truth>, String>>;

/// What is to be compared.
pub struct Verification {
    /// As in [`crate::service::Planned::name`].
    pub name: String,
    /// What the producer's feed is made with.
    pub kinds: Vec<RecordKind>,
    /// A feed at this point has read its tables once, and goes on with their changes.
    pub is_settled: fn(&[u8]) -> bool,
    /// Takes the snapshot.
    pub open: OpenTruth,
}

/// What a comparison may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of what was told of keys, in one pass.
    pub memory_bytes: usize,
    /// Until the producer has stored the snapshot's place.
    pub wait: Duration,
    /// Rows of a chunk.
    pub chunk_rows: u64,
}

/// What it is doing.
#[derive(Clone, Copy, Debug)]
pub enum Step<'p> {
    /// Waiting for the producer to store that place.
    Waiting(&'p str),
    /// Records of the log so far.
    Reading(u64),
    /// Rows of a table so far.
    Comparing(&'p str, u64),
}

/// Told of each step.
pub type Watch<'w> = dyn FnMut(Step<'_>) + 'w;

/// Compares.
///
/// # Errors
/// Why it could not be done, with the setting to change.
pub fn verify(
    log: &dyn Log,
    verification: Verification,
    limits: &Limits,
    watch: &mut Watch<'_>,
) -> Result<Report, String> {
    let sources = replicate::sources(&verification.kinds);
    let count = verification.kinds.len();
    let wait =
        Wait { log, sources: &sources, kinds: count, deadline: Instant::now() + limits.wait };
    let settled = verification.is_settled;
    let name = &verification.name;
    wait.until(settled, &format!("all tables of {name} read"), watch)?;
    let mut truth = (verification.open)()?;
    let place = truth.place();
    wait.until(|point| truth.is_reached(point), &place, watch)?;
    let mut topics: Vec<_> = verification.kinds.iter().map(|kind| kind.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let mut comparison = Comparison { log, topics, sources: &sources, limits };
    let mut passes = 1;
    loop {
        match comparison.run(truth.as_mut(), passes, watch)? {
            Some(tables) => return Ok(Report { name: name.clone(), place, passes, tables }),
            None => passes *= 2,
        }
    }
}

/// Waits for the positions of one feed.
struct Wait<'a> {
    log: &'a dyn Log,
    sources: &'a HashSet<SourceId>,
    kinds: usize,
    deadline: Instant,
}

impl Wait<'_> {
    fn until(
        &self,
        reached: impl Fn(&[u8]) -> bool,
        what: &str,
        watch: &mut Watch<'_>,
    ) -> Result<(), String> {
        loop {
            let stored = self.log.positions().map_err(|error| error.to_string())?;
            let known = positions::of_sources(self.sources, &stored);
            let known = known.map_err(|error| error.to_string())?;
            let points = known.iter().filter_map(|one| replicate::point(&one.context, self.kinds));
            if points.into_iter().any(|point| reached(&point)) {
                return Ok(());
            }
            if Instant::now() >= self.deadline {
                return Err(format!(
                    "the producer has not stored its position at {what} in time: let it run, with \
                     the same settings and the same --host, or raise --verify-wait"
                ));
            }
            watch(Step::Waiting(what));
            std::thread::sleep(LOOK);
        }
    }
}

struct Comparison<'a> {
    log: &'a dyn Log,
    topics: Vec<&'a str>,
    sources: &'a HashSet<SourceId>,
    limits: &'a Limits,
}

impl Comparison<'_> {
    /// All passes; `None` if there are too few.
    fn run(
        &mut self,
        truth: &mut dyn Truth,
        passes: u64,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Vec<Compared>>, String> {
        let mut compared: Vec<_> = truth.tables().iter().map(Compared::of).collect();
        for pass in 0..passes {
            let mut state = State::new(truth.tables(), (pass, passes), self.limits.memory_bytes);
            if let Err(Overflow) = self.tell(&*truth, &mut state, watch)? {
                return Ok(None);
            }
            for (table, compared) in compared.iter_mut().enumerate() {
                if compared.left_out.is_some() {
                    continue;
                }
                let (mut row, mut failure) = (0, None);
                let name = compared.table.clone();
                truth.rows(table, &mut |record| {
                    if row % 10_000 == 0 {
                        watch(Step::Comparing(&name, row));
                    }
                    let chunk = row / self.limits.chunk_rows;
                    row += 1;
                    if let Err(error) = state.compare(table, record, chunk, compared) {
                        failure.get_or_insert(error);
                    }
                })?;
                if let Some(failure) = failure {
                    return Err(failure);
                }
                state.finish(table, compared);
            }
        }
        Ok(Some(compared))
    }

    /// Takes in what the log says.
    fn tell(
        &self,
        truth: &dyn Truth,
        state: &mut State,
        watch: &mut Watch<'_>,
    ) -> Result<Result<(), Overflow>, String> {
        let (mut decoder, mut records) = (Decoder::default(), 0);
        for topic in &self.topics {
            let partitions = self.log.partitions(topic).map_err(|error| error.to_string())?;
            for partition in 0..partitions {
                let mut ended = Ok(Ok(()));
                let visit = &mut |found: LogRecord<'_>| {
                    records += 1;
                    if records % 10_000 == 1 {
                        watch(Step::Reading(records));
                    }
                    ended = self.take(truth, &mut decoder, &found, state);
                    match ended {
                        Ok(Ok(())) => ControlFlow::Continue(()),
                        _ => ControlFlow::Break(()),
                    }
                };
                let scanned = self.log.scan(topic, partition, 0, u64::MAX, visit);
                scanned.map_err(|error| not_whole(topic, &error))?;
                if let Err(Overflow) = ended? {
                    return Ok(Err(Overflow));
                }
            }
        }
        Ok(Ok(()))
    }

    fn take(
        &self,
        truth: &dyn Truth,
        decoder: &mut Decoder,
        found: &LogRecord<'_>,
        state: &mut State,
    ) -> Result<Result<(), Overflow>, String> {
        let Some(header) = found.header.filter(|_| !found.value.is_empty()) else {
            return Ok(Ok(()));
        };
        let place = (found.topic, found.partition, found.offset);
        let header = decoder.decode(header).map_err(|error| format!("{place:?}: {error}"))?;
        if !self.sources.contains(&header.origin.source) {
            return Ok(Ok(()));
        }
        for (_, _, _, bytes) in each_record(&header, found.value) {
            let told = Told::parse(bytes).map_err(|error| format!("{place:?}: {error}"))?;
            if told.server() == truth.server()
                && let Err(overflow) = state.take(&told, truth)?
            {
                return Ok(Err(overflow));
            }
        }
        Ok(Ok(()))
    }
}

fn not_whole(topic: &str, error: &LogError) -> String {
    format!("{topic} cannot be read from its beginning, which a comparison needs: {error}")
}

#[cfg(test)]
mod tests;
