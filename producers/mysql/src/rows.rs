//! Events of rows: WRITE, UPDATE and DELETE of versions 1 (MariaDB, MySQL 5.5) and 2 (MySQL 5.6+).

use crate::bytes::{Bytes, bit};
use crate::column::Table;
use crate::record::Image;
use crate::value;

/// What an event does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    /// By the event's number; `None` if it is none of rows.
    pub fn of(event: u8) -> Option<Self> {
        match event {
            23 | 30 => Some(Self::Insert),
            24 | 31 => Some(Self::Update),
            25 | 32 => Some(Self::Delete),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// First number of version 2.
const VERSION_2: u8 = 30;

/// One event's rows, not yet read.
pub(crate) struct Rows<'a> {
    pub operation: Operation,
    /// Columns that are there, of the first and of the second image.
    present: [&'a [u8]; 2],
    columns: usize,
    rest: Bytes<'a>,
}

/// Value of a column in one image: `None` is NULL.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Absent,
    Null,
    Bytes(&'a [u8]),
}

/// One image of a row.
pub(crate) struct Row<'a> {
    table: &'a Table,
    cells: Vec<Cell<'a>>,
}

impl<'a> Rows<'a> {
    /// Reads what stands before the rows.
    pub fn parse(event: u8, data: &'a [u8]) -> Option<Self> {
        let operation = Operation::of(event)?;
        let mut bytes = Bytes(data);
        bytes.take(8)?;
        if event >= VERSION_2 {
            // The length of what follows counts itself.
            let more = usize::try_from(bytes.little(2)?).ok()?;
            bytes.take(more.checked_sub(2)?)?;
        }
        let columns = bytes.packed()?;
        let first = bytes.take(columns.div_ceil(8))?;
        let second = match operation {
            Operation::Update => bytes.take(columns.div_ceil(8))?,
            _ => first,
        };
        Some(Self { operation, present: [first, second], columns, rest: bytes })
    }

    /// The next row, before and after; `Some(None)` at the end and `None` if it is damaged.
    #[expect(clippy::option_option, reason = "the end is not damage")]
    pub fn next(&mut self, table: &'a Table) -> Option<Option<[Option<Row<'a>>; 2]>> {
        if self.rest.0.is_empty() {
            return Some(None);
        }
        if table.columns.len() != self.columns {
            return None;
        }
        let first = self.row(table, 0)?;
        Some(Some(match self.operation {
            Operation::Insert => [None, Some(first)],
            Operation::Delete => [Some(first), None],
            Operation::Update => [Some(first), Some(self.row(table, 1)?)],
        }))
    }

    fn row(&mut self, table: &'a Table, image: usize) -> Option<Row<'a>> {
        let present = self.present[image];
        let count = (0..self.columns).filter(|at| bit(present, *at)).count();
        let nulls = self.rest.take(count.div_ceil(8))?;
        let mut seen = 0;
        let cells = table.columns.iter().enumerate().map(|(at, column)| {
            if !bit(present, at) {
                return Some(Cell::Absent);
            }
            seen += 1;
            if bit(nulls, seen - 1) {
                return Some(Cell::Null);
            }
            value::take(column, &mut self.rest).map(Cell::Bytes)
        });
        let cells = cells.collect::<Option<_>>()?;
        Some(Row { table, cells })
    }
}

impl Image for Row<'_> {
    fn columns(&self) -> usize {
        self.cells.len()
    }

    fn name(&self, at: usize) -> &str {
        &self.table.columns[at].name
    }

    fn has(&self, at: usize) -> bool {
        !matches!(self.cells[at], Cell::Absent)
    }

    fn bytes(&self, at: usize) -> &[u8] {
        match self.cells[at] {
            Cell::Bytes(bytes) => bytes,
            Cell::Absent | Cell::Null => &[],
        }
    }

    fn write(&self, at: usize, out: &mut Vec<u8>) -> Option<()> {
        match self.cells[at] {
            Cell::Bytes(bytes) => value::write(&self.table.columns[at], bytes, out),
            Cell::Absent | Cell::Null => {
                out.extend_from_slice(b"null");
                Some(())
            }
        }
    }
}
