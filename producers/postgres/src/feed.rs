//! The feed: what was there before, and every change since, in the order of commits.
//!
//! A point is the end of a transaction. The server sends transactions whole, ordered by their commit
//! records, and from a place in its log those that were committed there or later, so the same point
//! gives the same records. Only what is stored is confirmed; until then the slot keeps it.

use std::cell::Cell as Flag;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres_protocol::escape::escape_literal;
use tahoe_pipeline::replicate::{Feed, OnLostPosition, Step, Take};
use tahoe_pipeline::seams::{Lag, SourceError};

use crate::catalog::Catalog;
use crate::lsn::Lsn;
use crate::pgoutput::{Cell, Message, Old, decode};
use crate::point::{Point, Progress};
use crate::record::{Change, Transaction, Writer, Written};
use crate::rows::{LOG_END, Moved, Rows};
use crate::settings::{Settings, Snapshot};
use crate::stream::{Sent, Stream};
use crate::table::Table;

/// Kinds of records, as the source is made with them.
pub const CHANGE: usize = 0;
/// Rows that are only read.
pub const ROW: usize = 1;

/// Between two points where there is nothing to give, and two questions how far the server is.
const IDLE: Duration = Duration::from_secs(1);

/// The same while a chunk of rows waits for the stream.
const EAGER: Duration = Duration::from_millis(5);

/// Longer than was asked for, where more keeps coming: batches are not cut into small ones.
const LINGER: Duration = Duration::from_millis(20);

/// Between two looks at how far the log has gone on.
const LOOK: Duration = Duration::from_secs(10);

/// The feed of one database.
pub struct Changes {
    settings: Arc<Settings>,
    catalog: Catalog,
    open: Option<Open>,
    /// Log of the server that is still to be read, and when there was nothing last.
    behind_bytes: u64,
    caught_up: Instant,
    /// Log that the server keeps for the slot; whether it was said to be much.
    retained_bytes: u64,
    is_much: bool,
}

/// What there is once the server streams.
struct Open {
    stream: Stream,
    writer: Writer,
    tables: HashMap<u32, Arc<Table>>,
    rows: Rows,
    transaction: Option<Transaction>,
    /// Rows that the transaction has moved, and of which it does not give all.
    moved: Vec<Moved>,
    /// Before this place a row that was read by itself may be that of a later change.
    moved_until: Lsn,
    /// Everything that was committed before was given.
    at: Lsn,
    /// The last point, and when.
    pointed: Option<(Lsn, Instant)>,
    /// Up to here the server need not keep anything.
    stored: Lsn,
    looked: Option<Instant>,
    /// Changes are lost: what the log has of rows is not told by what follows.
    forgets_rows: bool,
    /// A message may be several records, and one stands for a gap.
    waiting: VecDeque<(usize, Written)>,
    written: Written,
}

impl Changes {
    /// Connects when it is opened.
    pub fn new(settings: Arc<Settings>) -> Self {
        let catalog = Catalog::new(settings.server.clone());
        Self {
            settings,
            catalog,
            open: None,
            behind_bytes: 0,
            caught_up: Instant::now(),
            retained_bytes: 0,
            is_much: false,
        }
    }

    /// Asks the server how far its log has gone on, and how much of it the slot keeps.
    fn look(&mut self) -> Result<(), SourceError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.looked = Some(Instant::now());
        let end: Lsn = self.catalog.value(LOG_END)?.parse().unwrap_or_default();
        self.behind_bytes = end.0.saturating_sub(open.at.0);
        let slot = &self.settings.slot;
        let name = escape_literal(slot);
        let sql = format!("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = {name}");
        // A slot of an old log has none.
        let from: Lsn = self.catalog.value(&sql)?.parse().unwrap_or(end);
        self.retained_bytes = end.0.saturating_sub(from.0);
        let is_much = self.retained_bytes > self.settings.retained_warn_bytes;
        if is_much && !self.is_much {
            tracing::warn!(
                slot,
                retained_bytes = self.retained_bytes,
                "the server keeps much log for the slot: --pg-retained-warn is passed"
            );
        }
        self.is_much = is_much;
        Ok(())
    }

    /// Where to go on: the point, unless the server has lost it; then what the policy says, and
    /// from where changes are missing.
    fn begin_at(
        &self,
        stream: &mut Stream,
        at: Option<&[u8]>,
    ) -> Result<(Point, Option<Lsn>), SourceError> {
        let (slot_name, place) = (&self.settings.slot, self.settings.server.place());
        let stop = |text: String| SourceError::Stop(text, None);
        let slot = stream.slot(slot_name).map_err(SourceError::from)?;
        let point = match at.map(Point::decode) {
            Some(None) => {
                let text = "the position is damaged, or of a newer version: update this binary";
                return Err(stop(text.to_owned()));
            }
            point => point.flatten(),
        };
        let lost = match (&point, &slot) {
            (_, None) => Some("the slot does not exist"),
            (_, Some(slot)) if slot.is_lost => {
                Some("the server has removed log that the slot needs (max_slot_wal_keep_size)")
            }
            (Some(point), Some(slot)) => lost(point, slot.confirmed, stream),
            (None, Some(_)) => None,
        };
        let slot = slot.filter(|slot| !slot.is_lost).ok_or_else(|| {
            let reason = lost.unwrap_or("it cannot be used");
            stop(format!(
                "slot {slot_name} of {place}: {reason}; --setup (or `tahoe setup`) creates it, \
                 --teardown drops an old one; then --pg-on-lost-position says how to go on"
            ))
        })?;
        let gap_from = point.as_ref().map(|point| point.lsn);
        let progress = match (point, lost) {
            (Some(point), None) => return Ok((point, None)),
            (Some(_), Some(reason)) => match self.settings.on_lost_position {
                OnLostPosition::Stop => {
                    return Err(stop(format!(
                        "the position in {place} is lost: {reason}; --pg-on-lost-position snapshot \
                         reads all rows again, latest goes on with a gap"
                    )));
                }
                policy => {
                    tracing::warn!(reason, ?policy, "the position is lost: changes are missing");
                    if policy == OnLostPosition::Snapshot {
                        Progress::Begin
                    } else {
                        Progress::Done
                    }
                }
            },
            (None, _) if self.settings.snapshot == Snapshot::Initial => Progress::Begin,
            (None, _) => Progress::Done,
        };
        let (system, timeline) = (stream.system, stream.timeline);
        Ok((Point { system, timeline, lsn: slot.confirmed, progress }, gap_from))
    }
}

/// Why the server cannot go on at that point.
fn lost(point: &Point, confirmed: Lsn, stream: &Stream) -> Option<&'static str> {
    if point.system != stream.system {
        return Some("it is another server (its system identifier is another)");
    }
    if point.timeline != stream.timeline {
        return Some("the server was promoted or restored (its timeline is another)");
    }
    if point.lsn > stream.end {
        return Some("the server's log ends before it: the server was restored");
    }
    let passed = "the slot was made anew, or another reader has confirmed what was not read here";
    (confirmed > point.lsn).then_some(passed)
}

impl Feed for Changes {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        let settings = Arc::clone(&self.settings);
        let mut stream = Stream::open(&settings.server)?;
        let (point, gap_from) = self.begin_at(&mut stream, at)?;
        // A point that was given before is stored already.
        let goes_on = at.is_some_and(|at| Point::decode(at).as_ref() == Some(&point));
        stream.begin(&settings.slot, &settings.publication, point.lsn)?;
        let writer = Writer {
            system: stream.system.to_string(),
            database: settings.server.database.clone(),
            bytes_max: settings.record_bytes_max,
        };
        let gap = gap_from.map(|from| (CHANGE, writer.gap(from, point.lsn)));
        // An earlier run may have read rows by themselves.
        let reads_rows = at.is_some() && settings.snapshot == Snapshot::Initial;
        let moved_until = if reads_rows { stream.end } else { Lsn::default() };
        let now = Instant::now();
        self.caught_up = now;
        self.open = Some(Open {
            stream,
            writer,
            tables: HashMap::new(),
            rows: Rows::new(settings.publication.clone(), settings.chunk_rows_max, point.progress),
            transaction: None,
            moved: Vec::new(),
            moved_until,
            at: point.lsn,
            pointed: goes_on.then_some((point.lsn, now)),
            stored: point.lsn,
            looked: None,
            forgets_rows: gap.is_some(),
            waiting: gap.into_iter().collect(),
            written: Written::default(),
        });
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let deadline = Instant::now() + wait;
        let gave = Flag::new(false);
        let take: &mut Take<'_> = &mut |step| {
            gave.set(true);
            take(step)
        };
        if std::mem::take(&mut open.forgets_rows) && take(Step::Repeated).is_break() {
            return Ok(());
        }
        loop {
            while let Some((kind, written)) = open.waiting.pop_front() {
                if give(kind, &written, take).is_break() {
                    return Ok(());
                }
            }
            // Where it begins; behind the record of a gap, which a crash must not lose.
            if open.pointed.is_none() && open.point(take).is_break() {
                return Ok(());
            }
            if open.transaction.is_none() && open.read_rows(&mut self.catalog, take)?.is_break() {
                return Ok(());
            }
            open.stream.keep_alive(open.at, open.stored)?;
            let pause = if open.rows.wait() { EAGER } else { IDLE };
            // What was given does not wait for more.
            let left = match gave.get() {
                true => Duration::ZERO,
                false => deadline.saturating_duration_since(Instant::now()),
            };
            match open.stream.next(left.min(pause))? {
                Some(Sent::Change(bytes)) => {
                    if open.change(&bytes, &mut self.catalog, take)?.is_break() {
                        return Ok(());
                    }
                }
                Some(Sent::Reached { lsn, asks }) => {
                    if open.transaction.is_none() {
                        self.caught_up = Instant::now();
                        open.at = open.at.max(lsn);
                    }
                    if asks {
                        open.stream.tell(open.at, open.stored, false)?;
                    }
                }
                None => {
                    open.stream.ask(pause, open.at, open.stored)?;
                    if gave.get() || Instant::now() >= deadline {
                        break;
                    }
                }
            }
            // A stream that never pauses does not keep the caller from its other duties.
            if open.point_if_idle(take).is_break() || Instant::now() >= deadline + LINGER {
                break;
            }
        }
        match open.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            true => self.look(),
            false => Ok(()),
        }
    }

    fn forget(&mut self, before: &[u8]) -> Result<(), SourceError> {
        let (Some(open), Some(point)) = (&mut self.open, Point::decode(before)) else {
            return Ok(());
        };
        open.stored = open.stored.max(point.lsn);
        Ok(open.stream.tell(open.at, open.stored, false)?)
    }

    fn lag(&self) -> Vec<Lag> {
        let seconds = self.caught_up.elapsed().as_secs_f64();
        let of = format!("{} slot {}", self.settings.server.place(), self.settings.slot);
        let kept = Lag { of: format!("{of} retained"), bytes: self.retained_bytes, seconds: 0.0 };
        vec![Lag { of, bytes: self.behind_bytes, seconds }, kept]
    }
}

fn give(kind: usize, written: &Written, take: &mut Take<'_>) -> ControlFlow<()> {
    take(Step::Record { kind, key: &written.key, bytes: &written.bytes })
}

impl Open {
    fn point(&mut self, take: &mut Take<'_>) -> ControlFlow<()> {
        self.pointed = Some((self.at, Instant::now()));
        let (system, timeline) = (self.stream.system, self.stream.timeline);
        let progress = self.rows.progress.clone();
        let point = Point { system, timeline, lsn: self.at, progress };
        take(Step::Point(&point.encode()))
    }

    /// The log moves on without changes of ours too, and is kept until a point is stored.
    fn point_if_idle(&mut self, take: &mut Take<'_>) -> ControlFlow<()> {
        let due = |(lsn, time): (Lsn, Instant)| lsn < self.at && time.elapsed() >= IDLE;
        let between = self.transaction.is_none() && self.waiting.is_empty();
        match between && self.pointed.is_none_or(due) {
            true => self.point(take),
            false => ControlFlow::Continue(()),
        }
    }

    /// Between two transactions: gives the rows whose time has come, and reads more.
    fn read_rows(
        &mut self,
        catalog: &mut Catalog,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, SourceError> {
        while let Some(row) = self.rows.next(self.at) {
            if give(ROW, &row, take).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let moved = self.rows.finish(self.at, catalog)?;
        if moved && self.point(take).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if self.rows.go_on(catalog, &self.writer, self.at)? {
            return Ok(self.point(take));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// One message of the stream.
    fn change(
        &mut self,
        bytes: &[u8],
        catalog: &mut Catalog,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, SourceError> {
        let message = decode(bytes).ok_or_else(|| {
            let kind = bytes.first().copied().unwrap_or_default().escape_ascii().to_string();
            self.unreadable(&format!("a message `{kind}` of the stream"))
        })?;
        match message {
            Message::Begin { commit, time_us, xid } => {
                self.transaction = Some(Transaction { commit, time_us, xid, given: 0 });
            }
            Message::Commit { end } => {
                let given =
                    self.transaction.take().is_some_and(|transaction| transaction.given > 0);
                self.at = self.at.max(end);
                self.read_moved(catalog)?;
                // What waits is given before the next point.
                if given && self.waiting.is_empty() {
                    return Ok(self.point(take));
                }
            }
            Message::Relation(relation) => {
                let table = catalog.table(&relation)?;
                self.tables.insert(relation.id, Arc::new(table));
            }
            Message::Insert { relation, new } => {
                return self.row_changed(relation, "insert", None, Some(&new), take);
            }
            Message::Update { relation, old, new } => {
                return self.row_changed(relation, "update", old.as_ref(), Some(&new), take);
            }
            Message::Delete { relation, old } => {
                return self.row_changed(relation, "delete", Some(&old), None, take);
            }
            Message::Truncate { relations } => {
                for relation in relations {
                    let table = self.table(relation)?;
                    let transaction = self.transaction()?;
                    let change = Change { operation: "truncate", old: None, new: None };
                    let mut written = Written::default();
                    self.writer.change(&table, &transaction, &change, &mut written);
                    self.rows.truncated(transaction.xid, &table);
                    self.waiting.push_back((CHANGE, written));
                    self.count();
                }
            }
            Message::Aside => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn row_changed(
        &mut self,
        relation: u32,
        operation: &'static str,
        old: Option<&Old<'_>>,
        new: Option<&[Cell<'_>]>,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, SourceError> {
        let table = self.table(relation)?;
        let transaction = self.transaction()?;
        let before = old.map(|old| match old {
            Old::Key(row) | Old::Full(row) => row.as_slice(),
        });
        let fits = |row: &[Cell<'_>]| row.len() == table.columns.len();
        if !new.is_none_or(fits) || !before.is_none_or(fits) {
            return Err(self.unreadable("a row with other columns than its table"));
        }
        let is_whole = matches!(old, Some(Old::Full(_)))
            || !new.is_some_and(|row| row.contains(&Cell::Unchanged));
        if self.rows.wait() && before.is_some() {
            self.writer.key(&table, before, None, &mut self.written);
            self.take_row(transaction.xid, is_whole);
        }
        let change = Change { operation, old, new };
        self.writer.change(&table, &transaction, &change, &mut self.written);
        self.take_row(transaction.xid, is_whole);
        // A row that just left its chunk is as old as the chunk, and others may have been where it
        // was since.
        if let (false, Some(new), true) = (is_whole, new, before.is_some()) {
            self.moved.extend(Moved::to(&table, new, transaction.xid));
        }
        self.count();
        if self.waiting.is_empty() {
            return Ok(give(CHANGE, &self.written, take));
        }
        self.waiting.push_back((CHANGE, std::mem::take(&mut self.written)));
        Ok(ControlFlow::Continue(()))
    }

    /// The row of the key just written leaves its chunk; a change that does not give all of it gives
    /// way to it.
    fn take_row(&mut self, xid: u32, is_whole: bool) {
        let row = self.rows.changed(xid, &self.written.key);
        self.waiting.extend(row.filter(|_| !is_whole).map(|row| (ROW, row)));
    }

    /// At the end of a transaction: reads the rows that it has moved, while tables are read.
    fn read_moved(&mut self, catalog: &mut Catalog) -> Result<(), SourceError> {
        let moved = std::mem::take(&mut self.moved);
        if moved.is_empty() || (self.rows.progress == Progress::Done && self.at > self.moved_until)
        {
            return Ok(());
        }
        for to in moved {
            let row = self.rows.moved(catalog, &self.writer, &to, self.at)?;
            self.waiting.extend(row.map(|row| (ROW, row)));
        }
        self.moved_until = catalog.value(LOG_END)?.parse().unwrap_or(self.at);
        Ok(())
    }

    fn count(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.given += 1;
        }
    }

    fn table(&self, relation: u32) -> Result<Arc<Table>, SourceError> {
        let found = self.tables.get(&relation).cloned();
        found.ok_or_else(|| self.unreadable("a change of a table that was not described"))
    }

    fn transaction(&self) -> Result<Transaction, SourceError> {
        self.transaction.ok_or_else(|| self.unreadable("a change outside of a transaction"))
    }

    fn unreadable(&self, what: &str) -> SourceError {
        let at = self.transaction.map_or(self.at, |transaction| transaction.commit);
        SourceError::Stop(format!("{what} at {at} cannot be read: update this binary"), None)
    }
}
