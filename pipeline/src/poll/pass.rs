//! One reading of a table after the other: which rows are given, and where a start goes on.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tahoe_seams::SourceError;

use super::cursor::Point;
use super::given::Given;
use super::window::Window;
use super::{Cursor, Look, Range, Row, Table};
use crate::replicate::{Step, Take};

/// Rows that are remembered because others may still come before them: some 200,000. What follows
/// waits until the first of them can be forgotten.
const GIVEN_BYTES_MAX: usize = 32 << 20;

/// Records that are read by one statement wait in memory.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Between two marks at least; and this part of the window, so that there are never many.
const MARK_EVERY: Duration = Duration::from_secs(1);
const MARKS_PER_WINDOW: u32 = 64;

/// How far a table is read.
pub(super) struct Reading {
    by: Vec<String>,
    /// Every row up to here was given, and no other will come.
    after: Option<Cursor>,
    /// No other row will come up to here.
    settled: Option<Cursor>,
    window: Window,
    given: Given,
    /// Up to here every row that was there at the time was given.
    read_to: Option<Cursor>,
    /// The last row of all that were given.
    greatest: Option<Cursor>,
    pass: Option<Pass>,
    is_unique: bool,
    chunk_rows_max: u64,
    held_back: bool,
    /// The last row that may come again; all of them, until one reading is over.
    repeats: Option<Option<Cursor>>,
    marks: Marks,
    point_due: bool,
    repeated_due: bool,
}

/// A reading from a place to the newest row.
struct Pass {
    at: Option<Cursor>,
    through: Cursor,
    rows: VecDeque<Row>,
    /// The rows are the last.
    is_last: bool,
    /// They are to be counted as read once the last of them was given.
    is_chunk: bool,
    /// More than usual, where more rows share a place.
    factor: usize,
}

#[derive(Default)]
struct Marks {
    last: u64,
    /// Each with the last row given before it.
    placed: VecDeque<(u64, Option<Cursor>)>,
    began: Option<Instant>,
    at: Option<Instant>,
    /// Rows were given since.
    is_stale: bool,
    is_due: bool,
}

impl Reading {
    pub fn new(
        point: Point,
        is_unique: bool,
        overlap: Duration,
        chunk_rows_max: u64,
        recovered: Option<Cursor>,
    ) -> Self {
        Self {
            by: point.by,
            window: Window::new(overlap, point.settled.clone()),
            given: Given::new(is_unique),
            read_to: point.after.clone(),
            greatest: point.after.clone(),
            after: point.after,
            settled: point.settled,
            pass: None,
            is_unique,
            chunk_rows_max,
            held_back: false,
            repeats: Some(recovered),
            marks: Marks::default(),
            point_due: false,
            repeated_due: false,
        }
    }

    /// Every row up to here was given, and no other will come.
    pub fn after(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }

    pub fn is_reading(&self) -> bool {
        self.pass.is_some()
    }

    /// The last pass was broken off since too many rows have to be remembered.
    pub fn is_held_back(&self) -> bool {
        self.held_back
    }

    /// Rows that the log has may still come again.
    pub fn has_to_repeat(&self) -> bool {
        self.repeats.is_some()
    }

    /// Open transactions.
    pub fn waits_for(&self) -> usize {
        self.window.waits_for()
    }

    /// The next step is a point.
    pub fn give_point(&mut self) {
        self.point_due = true;
    }

    /// Reads again from where rows may have come late, after a look that began then.
    pub fn begin_pass(&mut self, looked: Instant, look: Look) {
        let times = (looked, Instant::now());
        let seen = self.window.look(times, look.newest.clone(), look.open);
        let has_moved = seen.settled != self.settled;
        self.settled = seen.settled;
        if self.held_back && !has_moved {
            return;
        }
        let from = seen.from.min(self.read_to.clone()).max(self.after.clone());
        self.given.begin();
        self.pass = look.newest.map(|through| Pass {
            at: from,
            through,
            rows: VecDeque::new(),
            is_last: false,
            is_chunk: false,
            factor: 1,
        });
        if self.pass.is_none() {
            self.held_back = false;
            self.repeated(None, true);
        }
    }

    /// Gives what is read.
    pub fn give(&mut self, take: &mut Take<'_>) -> ControlFlow<()> {
        self.give_steps(take)?;
        let Some(pass) = &mut self.pass else { return ControlFlow::Continue(()) };
        while let Some(row) = pass.rows.pop_front() {
            let kept = self.settled.as_ref().is_none_or(|settled| row.cursor > *settled);
            if !self.given.take(&row.cursor, &row.bytes, kept) {
                continue;
            }
            self.marks.is_stale = true;
            if self.greatest.as_ref().is_none_or(|greatest| *greatest < row.cursor) {
                self.greatest = Some(row.cursor);
            }
            take(Step::Record { kind: 0, key: &row.key, bytes: &row.bytes })?;
        }
        ControlFlow::Continue(())
    }

    fn give_steps(&mut self, take: &mut Take<'_>) -> ControlFlow<()> {
        if std::mem::take(&mut self.repeated_due) {
            take(Step::Repeated)?;
        }
        if std::mem::take(&mut self.marks.is_due) {
            self.marks.last += 1;
            self.marks.placed.push_back((self.marks.last, self.greatest.clone()));
            take(Step::Mark(self.marks.last))?;
        }
        if !std::mem::take(&mut self.point_due) {
            return ControlFlow::Continue(());
        }
        let point = Point::new(&self.by, self.after.clone(), self.settled.clone()).encode();
        if self.given.is_empty() {
            self.marks.placed.clear();
            self.marks.began = None;
            return take(Step::Point(&point));
        }
        let passed = self.marks.placed.partition_point(|(_, greatest)| *greatest <= self.after);
        let Some((mark, _)) = self.marks.placed.drain(..passed).next_back() else {
            return ControlFlow::Continue(());
        };
        self.marks.began = self.marks.at;
        self.marks.placed.push_front((mark, None));
        take(Step::PointAt(mark, &point))
    }

    /// Counts the rows that were given as read, and reads more.
    ///
    /// # Errors
    /// The table's.
    pub fn go_on(&mut self, table: &mut dyn Table) -> Result<(), SourceError> {
        let Some(pass) = &mut self.pass else { return Ok(()) };
        if std::mem::take(&mut pass.is_chunk) {
            let (reached, is_last) = (pass.at.clone(), pass.is_last);
            self.reach(reached, is_last);
            return Ok(());
        }
        let factor = pass.factor;
        let range = Range {
            after: pass.at.as_ref(),
            through: &pass.through,
            rows_max: self.chunk_rows_max.saturating_mul(factor as u64),
            bytes_max: CHUNK_BYTES_MAX.saturating_mul(factor),
        };
        let mut read = table.read(&range)?;
        if !read.is_all && !self.is_unique && !cut(&mut read.rows) {
            pass.factor *= 2;
            return Ok(());
        }
        pass.factor = 1;
        pass.is_last = read.is_all;
        pass.at = match read.rows.last() {
            Some(last) if !read.is_all => Some(last.cursor.clone()),
            _ => Some(pass.through.clone()),
        };
        pass.rows = read.rows.into();
        pass.is_chunk = true;
        Ok(())
    }

    /// Every row up to there was given.
    fn reach(&mut self, reached: Option<Cursor>, is_last: bool) {
        // Behind the newest row that was seen there is none.
        let after = match is_last {
            true => self.settled.clone(),
            false => self.settled.clone().min(reached.clone()),
        };
        if after > self.after {
            if let Some(after) = &after {
                self.given.forget(after);
            }
            self.after = after;
            self.point_due = true;
        }
        self.repeated(reached.as_ref(), is_last);
        let full = self.given.bytes() > GIVEN_BYTES_MAX;
        if full && !is_last && !self.held_back {
            let (rows, open) = (self.given.rows(), self.window.waits_for());
            tracing::warn!(rows, open, "later rows wait for transactions that are open");
        }
        if is_last || full {
            self.held_back = full && !is_last;
            self.read_to = reached;
            self.pass = None;
            self.marks.place(false);
        }
    }

    /// Says so once nothing will come any more that the log had at the start.
    fn repeated(&mut self, reached: Option<&Cursor>, is_all: bool) {
        let Some(last) = &self.repeats else { return };
        let passed = last.is_some() && last.as_ref() <= reached;
        if passed || is_all {
            self.repeats = None;
            self.repeated_due = true;
            self.marks.place(true);
            self.point_due = true;
        }
    }
}

impl Marks {
    /// Places one, if rows were given since the last, and it is time.
    fn place(&mut self, at_once: bool) {
        let now = Instant::now();
        let window = self.began.map_or(Duration::ZERO, |began| now - began);
        let every = MARK_EVERY.max(window / MARKS_PER_WINDOW);
        let time = self.at.is_none_or(|at| now - at >= every);
        if at_once || (self.is_stale && time) {
            self.is_stale = false;
            self.is_due = true;
            self.at = Some(now);
            self.began.get_or_insert(now);
        }
    }
}

/// Leaves out the last place, whose rows may not all be there; false if there is only one.
fn cut(rows: &mut Vec<Row>) -> bool {
    let Some(last) = rows.last().map(|row| row.cursor.clone()) else { return false };
    let whole = rows.partition_point(|row| row.cursor < last);
    rows.truncate(whole);
    whole > 0
}
