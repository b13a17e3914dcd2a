//! Whether the log says of a database's tables what is in them: the last that was told of each key,
//! in the order of the source, against the row that is there.
//!
//! A table changes meanwhile, so both sides are taken at one place: the database's from a snapshot,
//! the log's from the changes that the snapshot has. Nothing is written on either side. Memory is
//! bounded by bytes: where the keys of all tables do not fit, they are dealt by their hashes into
//! passes, each of which reads both sides again.

mod doubts;
mod parts;
mod report;
mod state;
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
use state::{Overflow, State};
pub use told::Told;

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
    /// How its records are to be read.
    fn manner(&self) -> Manner {
        Manner::default()
    }
    /// Nothing is left of the change's table.
    fn empties(&self, change: &Told<'_>) -> bool {
        change.operation() == "truncate"
    }
    /// Called when rows were read: says whether that was at other times than the place. From then on
    /// the place is the end of the reading, and what was changed since its beginning is
    /// [`Has::Perhaps`].
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn has_moved(&mut self) -> Result<bool, String> {
        Ok(false)
    }
}

/// In what a database's records are others than those of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The column by which a row is known, whatever else its key names.
    pub named_by: Option<&'static str>,
    /// A row that was read stands behind the changes at its place, and not before them.
    pub rows_come_last: bool,
    /// A record has all of its row, so that columns that it has not are a difference, or says that it
    /// is a part, by paths.
    pub whole_rows: bool,
    /// [`Truth::has_moved`] may say so.
    pub may_move: bool,
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
    /// Until the producer has stored a place.
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
    let wait = Wait { log, sources: &sources, kinds: count, most: limits.wait };
    let settled = verification.is_settled;
    let name = &verification.name;
    wait.until(settled, &format!("all tables of {name} read"), watch)?;
    let mut truth = (verification.open)()?;
    let place = truth.place();
    wait.until(|point| truth.is_reached(point), &place, watch)?;
    let mut topics: Vec<_> = verification.kinds.iter().map(|kind| kind.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let comparison = Comparison { log, topics, sources: &sources, limits, wait };
    let mut passes = 1;
    loop {
        match comparison.run(truth.as_mut(), passes, watch)? {
            Some(tables) => {
                let place = truth.place();
                return Ok(Report { name: name.clone(), place, passes, tables });
            }
            None => passes *= 2,
        }
    }
}

/// Waits for the positions of one feed.
struct Wait<'a> {
    log: &'a dyn Log,
    sources: &'a HashSet<SourceId>,
    kinds: usize,
    most: Duration,
}

impl Wait<'_> {
    fn until(
        &self,
        reached: impl Fn(&[u8]) -> bool,
        what: &str,
        watch: &mut Watch<'_>,
    ) -> Result<(), String> {
        let deadline = Instant::now() + self.most;
        loop {
            let stored = self.log.positions().map_err(|error| error.to_string())?;
            let known = positions::of_sources(self.sources, &stored, None);
            let known = known.map_err(|error| error.to_string())?;
            let points = known.iter().filter_map(|one| replicate::point(&one.context, self.kinds));
            if points.into_iter().any(|point| reached(&point)) {
                return Ok(());
            }
            if Instant::now() >= deadline {
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
    wait: Wait<'a>,
}

/// Takes a record in.
type Take<'t> = dyn FnMut(&Told<'_>) -> Result<Result<(), Overflow>, String> + 't;

impl Comparison<'_> {
    /// All passes; `None` if there are too few.
    fn run(
        &self,
        truth: &mut dyn Truth,
        passes: u64,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Vec<Compared>>, String> {
        let mut compared: Vec<_> = truth.tables().iter().map(Compared::of).collect();
        for pass in 0..passes {
            let mut state = State::new(truth, (pass, passes), self.limits.memory_bytes);
            let mut done = self.tell(truth, &mut state, watch)?;
            for (table, compared) in compared.iter_mut().enumerate() {
                if done.is_ok() && compared.left_out.is_none() {
                    done = self.compare(truth, table, &mut state, compared, watch)?;
                }
            }
            if let Err(Overflow) = done {
                return Ok(None);
            }
            if state.doubts() && truth.has_moved()? {
                let place = truth.place();
                self.wait.until(|point| truth.is_reached(point), &place, watch)?;
                let server = truth.server().to_owned();
                let excused =
                    self.scan(&server, watch, &mut |told| state.excuse(told, truth).map(Ok))?;
                excused.expect("it takes no memory");
            }
            state.settle(&mut compared);
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
        let server = truth.server();
        let told = self.scan(server, watch, &mut |told| state.take(told, truth))?;
        if told.is_err() || !state.has_parts() {
            return Ok(told);
        }
        let told = self.scan(server, watch, &mut |told| state.take_part(told, truth))?;
        state.put_together()?;
        Ok(told)
    }

    fn compare(
        &self,
        truth: &mut dyn Truth,
        table: usize,
        state: &mut State,
        compared: &mut Compared,
        watch: &mut Watch<'_>,
    ) -> Result<Result<(), Overflow>, String> {
        let (mut row, mut ended) = (0, Ok(Ok(())));
        let name = compared.table.clone();
        truth.rows(table, &mut |record| {
            if row % 10_000 == 0 {
                watch(Step::Comparing(&name, row));
            }
            let chunk = row / self.limits.chunk_rows;
            row += 1;
            if matches!(ended, Ok(Ok(()))) {
                ended = state.compare(table, record, chunk, compared);
            }
        })?;
        if matches!(ended, Ok(Ok(()))) {
            state.finish(table, compared);
        }
        ended
    }

    /// Gives each record of that server.
    fn scan(
        &self,
        server: &str,
        watch: &mut Watch<'_>,
        take: &mut Take<'_>,
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
                    ended = self.give(server, &mut decoder, &found, take);
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

    fn give(
        &self,
        server: &str,
        decoder: &mut Decoder,
        found: &LogRecord<'_>,
        take: &mut Take<'_>,
    ) -> Result<Result<(), Overflow>, String> {
        let Some(header) = found.header.filter(|_| !found.value.is_empty()) else {
            return Ok(Ok(()));
        };
        let place = (found.topic, found.partition, found.offset);
        let header = decoder.decode(header).map_err(|error| format!("{place:?}: {error}"))?;
        if !self.sources.contains(&header.origin.source) {
            return Ok(Ok(()));
        }
        for each in each_record(&header, found.value) {
            let (.., bytes) = each.map_err(|error| format!("{place:?}: {error}"))?;
            let told = Told::parse(bytes).map_err(|error| format!("{place:?}: {error}"))?;
            if told.server() == server
                && let Err(overflow) = take(&told)?
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
