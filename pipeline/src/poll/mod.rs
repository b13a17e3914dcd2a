//! Rows of a table without its changes: read in the order of some columns, again and again, each
//! version of a row that is seen once.
//!
//! Rows that come late, because their transaction was open while rows behind them were read, are
//! found by reading the end of the table again, back to where the oldest open transaction may have
//! written (`window`). What was given of that is known by its bytes (`given`). A point is the place
//! up to which nothing more will come, so behind it stands what a start gives once more; it is
//! therefore the point of the mark before the first of those rows, and the log itself then says
//! which of them it has.

mod cron;
mod cursor;
mod given;
mod pass;
mod schedule;
mod window;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tahoe_seams::{Lag, SourceError};

use crate::renewed::Screens;
use crate::replicate::{Feed, Take};
pub use cron::{Cron, offset_now};
use cursor::Point;
pub use cursor::{Cursor, Part};
use pass::Reading;
use schedule::Clock;
pub use schedule::{Schedule, Trigger};

/// A database's table, as [`Poll`] reads it. Called from one thread.
pub trait Table: Send {
    /// For people: `127.0.0.1:5432/shop public.orders`.
    fn name(&self) -> String;
    /// Columns that order the rows.
    fn by(&self) -> &[String];
    /// Where the row of a record stands, or a place behind it: up to there a start reads again what
    /// the log has.
    fn place_of(&self, record: &[u8]) -> Option<Cursor>;
    /// What a position says that was stored before this table was polled.
    fn former(&self, _position: &[u8]) -> Option<Former> {
        None
    }
    /// Connects anew.
    ///
    /// # Errors
    /// What stands in the way, with the setting to change.
    fn open(&mut self) -> Result<Opened, SourceError>;
    /// Looks up the newest row, and then the transactions that are open.
    ///
    /// # Errors
    /// The server's.
    fn look(&mut self) -> Result<Look, SourceError>;
    /// Reads the first rows in the order of the columns.
    ///
    /// # Errors
    /// The server's.
    fn read(&mut self, range: &Range<'_>) -> Result<Rows, SourceError>;
    /// Nothing will be asked for a while.
    fn rest(&mut self);
}

/// Where a reader was that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Every row up to here was given, and no other will come.
    pub after: Option<Cursor>,
    /// No other row will come up to here.
    pub settled: Option<Cursor>,
}

/// What a table is like.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// No two rows have the same values in the columns.
    pub is_unique: bool,
    /// The server says which transactions are open.
    pub sees_open: bool,
}

/// What was seen of a table at one moment.
#[derive(Debug, Default)]
pub struct Look {
    /// The last row in the order; none of an empty table.
    pub newest: Option<Cursor>,
    /// Names of the transactions that may still write rows that stand before that one; no two that
    /// ever were have the same.
    pub open: HashSet<String>,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Behind this; from the first, without it.
    pub after: Option<&'a Cursor>,
    /// Up to this.
    pub through: &'a Cursor,
    /// So many at most.
    pub rows_max: u64,
    /// No more once their records have so many bytes.
    pub bytes_max: usize,
}

/// Rows in their order.
#[derive(Debug, Default)]
pub struct Rows {
    /// As records.
    pub rows: Vec<Row>,
    /// The range has no others.
    pub is_all: bool,
}

/// A row as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub cursor: Cursor,
    /// Kafka key.
    pub key: Vec<u8>,
    /// The record.
    pub bytes: Vec<u8>,
}

/// How a table is polled.
#[derive(Clone, Debug)]
pub struct PollSettings {
    /// When.
    pub schedule: Schedule,
    /// How much later than rows behind it a row may come, beside its transaction.
    pub overlap: Option<Duration>,
    /// Rows that are read by one statement.
    pub chunk_rows_max: u64,
    /// Asks for a reading out of turn.
    pub trigger: Trigger,
    /// The privacy policy that comes before the log.
    pub screen: Option<Arc<Screens>>,
}

/// [`PollSettings::overlap`] where it is not set and the server says which transactions are open:
/// clocks that differ, numbers drawn before their transaction began.
const OVERLAP: Duration = Duration::from_secs(10);

/// The same where it does not: most transactions are over by then.
const OVERLAP_ALONE: Duration = Duration::from_secs(60);

/// How long a table that is read once waits for a transaction that does not end, beside the overlap.
const ONCE_MAX: Duration = Duration::from_secs(60);

/// The feed of one table.
pub struct Poll<T> {
    table: T,
    settings: PollSettings,
    reading: Option<Reading>,
    clock: Clock,
    /// The last row that the log has of those that may come again.
    recovered: Option<Cursor>,
    /// When everything was read last.
    caught_up: Instant,
    once: Once,
    once_max: Duration,
}

/// How far a table is that is read once.
struct Once {
    /// When all was read for the first time.
    read: Option<Instant>,
    /// All up to here is to be given for good.
    until: Option<Option<Cursor>>,
    ended: bool,
}

impl<T: Table> Poll<T> {
    /// Connects when it is opened.
    pub fn new(table: T, settings: PollSettings) -> Self {
        let clock = Clock::new(settings.schedule.clone(), settings.trigger.clone(), false);
        let caught_up = Instant::now();
        Self {
            table,
            settings,
            reading: None,
            clock,
            recovered: None,
            caught_up,
            once: Once { read: None, until: None, ended: false },
            once_max: ONCE_MAX,
        }
    }

    /// What the log has of a table after a crash is told by the columns that it is read by.
    fn check_screen(&self) -> Result<(), SourceError> {
        let Some(screen) = self.settings.screen.as_ref().map(|screens| screens.now()) else {
            return Ok(());
        };
        let by = self.table.by().iter();
        match by.map(|column| format!("db.after.{column}")).find(|path| screen.names(path)) {
            None => Ok(()),
            Some(path) => {
                let table = self.table.name();
                let text = format!(
                    "--privacy: {path} is what {table} is read by, which must stay readable: keep \
                     this row to the transformer's policy"
                );
                Err(SourceError::Stop(text, None))
            }
        }
    }

    /// Where to go on, if the columns are still the same.
    fn begin_at(&self, at: Option<&[u8]>) -> Result<Point, SourceError> {
        let fresh = Point::new(self.table.by(), None, None);
        let Some(at) = at else { return Ok(fresh) };
        let former = || {
            let Former { after, settled } = self.table.former(at)?;
            Some(Point::new(self.table.by(), after, settled))
        };
        let point = Point::decode(at).or_else(former).ok_or_else(|| {
            let table = self.table.name();
            let text = format!(
                "{table}: its position is damaged, or of a newer version: update this binary"
            );
            SourceError::Stop(text, None)
        })?;
        if point.by == self.table.by() {
            return Ok(point);
        }
        let (before, now) = (point.by.join(","), self.table.by().join(","));
        let table = self.table.name();
        tracing::warn!(table, before, now, "read by other columns: every row is read again");
        Ok(fresh)
    }

    /// Looks for what is new, and begins to read it.
    fn begin_pass(&mut self) -> Result<(), SourceError> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        self.clock.begin();
        let looked = Instant::now();
        let look = self.table.look()?;
        self.once.until.get_or_insert_with(|| look.newest.clone());
        reading.begin_pass(looked, look);
        if !reading.is_reading() {
            self.end_pass();
        }
        Ok(())
    }

    /// After a pass: when the next is.
    fn end_pass(&mut self) {
        let Some(reading) = &self.reading else { return };
        if reading.is_held_back() || reading.has_to_repeat() {
            self.clock.soon();
        } else {
            self.caught_up = Instant::now();
        }
        if self.clock.is_once() {
            let until = self.once.until.as_ref().and_then(Option::as_ref);
            let given = until.is_none() || until <= reading.after();
            if !reading.is_held_back() {
                self.once.read.get_or_insert_with(Instant::now);
            }
            let late = self.once.read.is_some_and(|read| read.elapsed() > self.once_max);
            if late && !given {
                let (table, open) = (self.table.name(), reading.waits_for());
                tracing::warn!(
                    table,
                    open,
                    "ends before transactions that are open: the next run goes on"
                );
            }
            self.once.ended = given || late;
            if !self.once.ended {
                self.clock.soon();
            }
        }
        if self.clock.rests() {
            self.table.rest();
        }
    }
}

impl<T: Table> Feed for Poll<T> {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        let point = self.begin_at(at)?;
        let opened = self.table.open()?;
        self.check_screen()?;
        let usual = if opened.sees_open { OVERLAP } else { OVERLAP_ALONE };
        let overlap = self.settings.overlap.unwrap_or(usual);
        self.once_max = ONCE_MAX + overlap;
        let table = self.table.name();
        let (by, overlap_s) = (self.table.by().join(","), overlap.as_secs());
        match opened.sees_open {
            true => tracing::info!(
                table,
                by,
                overlap_s,
                "late rows are looked for back to the oldest open transaction"
            ),
            false => tracing::info!(
                table,
                by,
                overlap_s,
                "the server does not say which transactions are open: late rows are looked for \
                 some seconds back"
            ),
        }
        let broken_off = point.settled.is_some() && point.after < point.settled;
        let (schedule, trigger) = (self.settings.schedule.clone(), self.settings.trigger.clone());
        self.clock = Clock::new(schedule, trigger, broken_off);
        let chunk_rows = self.settings.chunk_rows_max;
        let recovered = self.recovered.take();
        let mut reading = Reading::new(point, opened.is_unique, overlap, chunk_rows, recovered);
        if at.is_none() {
            reading.give_point();
        }
        self.reading = Some(reading);
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let until = Instant::now() + wait;
        loop {
            let Some(reading) = &mut self.reading else { return Ok(()) };
            // A table of which all was given before does not keep the caller from its other duties.
            if reading.give(take).is_break() || Instant::now() >= until {
                return Ok(());
            }
            if reading.is_reading() {
                reading.go_on(&mut self.table)?;
                if !reading.is_reading() {
                    self.end_pass();
                }
            } else if !self.once.ended && self.clock.is_due() {
                self.begin_pass()?;
            } else {
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
                return Ok(());
            }
        }
    }

    fn forget(&mut self, _before: &[u8]) -> Result<(), SourceError> {
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        let seconds = self.caught_up.elapsed().as_secs_f64();
        vec![Lag { of: self.table.name(), bytes: 0, seconds }]
    }

    fn says_repeated(&self) -> bool {
        true
    }

    fn recovered(&mut self, bytes: &[u8]) {
        let found = self.table.place_of(bytes);
        if found > self.recovered {
            self.recovered = found;
        }
    }

    fn has_ended(&self) -> bool {
        self.once.ended
    }
}
