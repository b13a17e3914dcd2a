//! The rows that were there before the stream began, read in chunks while it goes on.
//!
//! A chunk is read by one statement that says which transactions it saw. Until the stream has
//! passed the place where the log ended after that, every change of a transaction that the statement
//! did not see takes its row out of the chunk: it was given with the change, or never was there. A
//! change that leaves a large value out does not give it; then the row is given first, as it was
//! before. What is left is given in the end, so that no row is older than a change that was given
//! before it, and each row is there once.
//!
//! A change that leaves a large value out may also move a row: from where it was not read yet to
//! where it will not be read any more, or to where another row was. Then the row is read by itself,
//! under its new key.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::catalog::{Catalog, Published};
use crate::failure::Failure;
use crate::lsn::Lsn;
use crate::pgoutput::Cell;
use crate::point::{Chunk, Progress};
use crate::record::{Writer, Written};
use crate::table::Table;
use crate::visibility::Visibility;

/// Where the log ends for those who read it.
pub const LOG_END: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
                           ELSE pg_current_wal_lsn() END";

/// What the log says when there are no more rows to read, and at a start after that.
const ALL_READ: &str = "every table is read";

/// Rows of one chunk wait in memory, so many bytes of them at most; one larger row waits alone.
const CHUNK_BYTES_MAX: usize = 32 << 20;

/// Reading of the tables.
pub struct Rows {
    publication: String,
    chunk_rows_max: u64,
    /// Fewer, where the rows of a table were larger than its statistics say.
    table_rows_max: u64,
    /// What is read next, or being read.
    pub progress: Progress,
    read: Option<Read>,
}

/// A row that has got another key by a change that does not give all of it.
pub struct Moved {
    /// Its table.
    pub table: Arc<Table>,
    /// Its key now: columns and their values.
    pub key: Vec<(String, String)>,
    /// The transaction that moved it.
    pub xid: u32,
}

impl Moved {
    /// From the row as the change gives it; `None` of a table without a key.
    pub fn to(table: &Arc<Table>, row: &[Cell<'_>], xid: u32) -> Option<Self> {
        let key = table.columns.iter().zip(row).filter(|(column, _)| column.is_key);
        let key = key.map(|(column, cell)| match cell {
            Cell::Text(text) => {
                Some((column.name.clone(), String::from_utf8_lossy(text).into_owned()))
            }
            Cell::Null | Cell::Unchanged => None,
        });
        let key = key.collect::<Option<Vec<_>>>()?;
        Some(Self { table: Arc::clone(table), key, xid })
    }
}

/// A chunk that waits for the stream.
struct Read {
    table: Table,
    rows: VecDeque<Option<Written>>,
    /// Where the row of a key is.
    places: HashMap<Vec<u8>, usize>,
    given: usize,
    saw: Visibility,
    due: Lsn,
}

impl Rows {
    /// Goes on where an earlier run was.
    pub fn new(publication: String, chunk_rows_max: u64, progress: Progress) -> Self {
        if progress == Progress::Done {
            tracing::info!("{ALL_READ}");
        }
        let table_rows_max = chunk_rows_max;
        Self { publication, chunk_rows_max, table_rows_max, progress, read: None }
    }

    /// A chunk is read and waits for the stream.
    pub fn wait(&self) -> bool {
        self.read.is_some()
    }

    /// Does what is next, between two transactions: decides on a chunk, or reads it. True if
    /// [`Rows::progress`] is another.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn go_on(
        &mut self,
        catalog: &mut Catalog,
        writer: &Writer,
        at: Lsn,
    ) -> Result<bool, Failure> {
        if self.read.is_some() {
            return Ok(false);
        }
        match &self.progress {
            Progress::Done => Ok(false),
            Progress::Begin => {
                self.progress = self.first_chunk(catalog, None, at)?;
                Ok(true)
            }
            Progress::Chunk(chunk) => {
                let name = Some((chunk.schema.as_str(), chunk.table.as_str()));
                let found = catalog.published(&self.publication, name, "=")?;
                match found.filter(|found| found.key.len() == chunk.upper.len()) {
                    Some(found) => {
                        let chunk = chunk.clone();
                        self.read_chunk(catalog, writer, found, chunk)
                    }
                    None => {
                        let (schema, table) = (&chunk.schema, &chunk.table);
                        tracing::warn!(schema, table, "table is gone or has another key: left");
                        self.progress = self.first_chunk(catalog, name, at)?;
                        Ok(true)
                    }
                }
            }
        }
    }

    /// Reads a chunk, or decides on a smaller one in its place: true then.
    fn read_chunk(
        &mut self,
        catalog: &mut Catalog,
        writer: &Writer,
        found: Published,
        chunk: Chunk,
    ) -> Result<bool, Failure> {
        if let Some(read) = read(catalog, writer, &found, &chunk)? {
            self.read = Some(read);
            return Ok(false);
        }
        self.table_rows_max = (found.rows_per_chunk.min(self.table_rows_max) / 2).max(1);
        let smaller = self.next_chunk(catalog, &found, chunk.lower.as_deref(), chunk.at)?;
        // Without one its rows are gone since; an empty chunk finds the next table.
        self.progress = Progress::Chunk(smaller.unwrap_or(chunk));
        Ok(true)
    }

    /// The first chunk of the first table with rows behind that one.
    fn first_chunk(
        &self,
        catalog: &mut Catalog,
        behind: Option<(&str, &str)>,
        at: Lsn,
    ) -> Result<Progress, Failure> {
        let mut behind = behind.map(|(schema, table)| (schema.to_owned(), table.to_owned()));
        loop {
            let name = behind.as_ref().map(|(schema, table)| (schema.as_str(), table.as_str()));
            let Some(found) = catalog.published(&self.publication, name, ">")? else {
                tracing::info!("{ALL_READ}");
                return Ok(Progress::Done);
            };
            let (schema, table) = (found.table.schema.clone(), found.table.name.clone());
            let in_publication =
                |key: &String| found.table.columns.iter().any(|column| column.name == *key);
            if found.key.is_empty() || !found.key.iter().all(in_publication) {
                tracing::warn!(
                    schema,
                    table,
                    "table has no primary key: its changes are read, its earlier rows are not"
                );
            } else if let Some(chunk) = self.next_chunk(catalog, &found, None, at)? {
                tracing::info!(schema, table, "reading the table's rows");
                return Ok(Progress::Chunk(chunk));
            }
            behind = Some((schema, table));
        }
    }

    /// The next row, once the stream is at `at`; afterwards [`Rows::finish`] has something to do.
    pub fn next(&mut self, at: Lsn) -> Option<Written> {
        let read = self.read.as_mut().filter(|read| at >= read.due)?;
        // From here on a key's place means nothing: there are no changes before the last row.
        while let Some(row) = read.rows.pop_front() {
            read.given += 1;
            if row.is_some() {
                return row;
            }
        }
        None
    }

    /// Decides on the next chunk if the last row of this one was given: true then.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn finish(&mut self, at: Lsn, catalog: &mut Catalog) -> Result<bool, Failure> {
        if !self.read.as_ref().is_some_and(|read| read.rows.is_empty() && at >= read.due) {
            return Ok(false);
        }
        let Progress::Chunk(chunk) = &self.progress else { return Ok(false) };
        let name = (chunk.schema.as_str(), chunk.table.as_str());
        let mut next = None;
        if !chunk.is_last
            && let Some(found) = catalog.published(&self.publication, Some(name), "=")?
            && found.key.len() == chunk.upper.len()
        {
            next = self.next_chunk(catalog, &found, Some(&chunk.upper), at)?;
        }
        self.progress = match next {
            Some(chunk) => Progress::Chunk(chunk),
            None => {
                self.table_rows_max = self.chunk_rows_max;
                self.first_chunk(catalog, Some(name), at)?
            }
        };
        self.read = None;
        Ok(true)
    }

    /// The chunk behind `lower`; none, if there are no rows.
    fn next_chunk(
        &self,
        catalog: &mut Catalog,
        found: &Published,
        lower: Option<&[String]>,
        at: Lsn,
    ) -> Result<Option<Chunk>, Failure> {
        let key = &found.key;
        let behind = lower.map_or(String::new(), |lower| compared(key, ">", lower));
        let select = format!("SELECT {} FROM {}{behind}", columns(key, ""), found.from);
        let skipped = found.rows_per_chunk.min(self.table_rows_max) - 1;
        let sql = format!("{select} ORDER BY {} OFFSET {skipped} LIMIT 1", columns(key, ""));
        let full = catalog.query(&sql)?.into_iter().next();
        let is_last = full.is_none();
        let upper = match full {
            Some(upper) => Some(upper),
            None => {
                let sql = format!("{select} ORDER BY {} LIMIT 1", columns(key, " DESC"));
                catalog.query(&sql)?.into_iter().next()
            }
        };
        let Some(upper) = upper else { return Ok(None) };
        let upper = upper.into_iter().map(Option::unwrap_or_default).collect();
        let (schema, table) = (found.table.schema.clone(), found.table.name.clone());
        let lower = lower.map(<[String]>::to_vec);
        Ok(Some(Chunk { schema, table, lower, upper, is_last, at }))
    }

    /// A transaction changed the row of that key: takes the row out, as it was before that.
    pub fn changed(&mut self, xid: u32, key: &[u8]) -> Option<Written> {
        let read = self.read.as_mut().filter(|read| !read.saw.saw(xid))?;
        debug_assert_eq!(read.given, 0, "changes are read between chunks");
        let place = read.places.remove(key)?;
        read.rows[place].take()
    }

    /// Reads a row that a change has moved; it is as it is now, and as of `at`. A chunk may have it
    /// too, and what a chunk told of its place in an earlier run may be older than the change.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn moved(
        &self,
        catalog: &mut Catalog,
        writer: &Writer,
        to: &Moved,
        at: Lsn,
    ) -> Result<Option<Written>, Failure> {
        let name = Some((to.table.schema.as_str(), to.table.name.as_str()));
        let Some(found) = catalog.published(&self.publication, name, "=")? else {
            return Ok(None);
        };
        let value = |name: &String| to.key.iter().find(|(of, _)| of == name);
        let key: Option<Vec<_>> =
            found.key.iter().map(|name| value(name).map(|(_, text)| text.clone())).collect();
        // Another key since: the row is told when it changes.
        let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
        let names: Vec<_> = found.table.columns.iter().map(|column| column.name.clone()).collect();
        let sql = format!(
            "SELECT {} FROM {}{}",
            columns(&names, ""),
            found.from,
            compared(&found.key, "=", &key),
        );
        let mut read = None;
        catalog.query_each(&sql, &mut |values| {
            let row: Vec<_> =
                values.iter().map(|value| value.map_or(Cell::Null, Cell::Text)).collect();
            writer.moved_row(&found.table, &row, (at, to.xid), read.insert(Written::default()));
        })?;
        Ok(read)
    }

    /// A transaction emptied a table.
    pub fn truncated(&mut self, xid: u32, table: &Table) {
        if let Some(read) = self.read.as_mut().filter(|read| !read.saw.saw(xid))
            && read.table.is(&table.schema, &table.name)
        {
            read.rows.clear();
            read.places.clear();
        }
    }
}

/// Names of columns, each with what stands after it.
pub fn columns(names: &[String], after: &str) -> String {
    let names = names.iter().map(|name| escape_identifier(name) + after);
    names.collect::<Vec<_>>().join(", ")
}

fn compared(key: &[String], how: &str, bound: &[String]) -> String {
    let bound: Vec<_> = bound.iter().map(|value| escape_literal(value)).collect();
    format!(" AND ({}) {how} ({})", columns(key, ""), bound.join(", "))
}

/// Reads a chunk, and what its statement saw. None, if its rows are too many bytes.
fn read(
    catalog: &mut Catalog,
    writer: &Writer,
    found: &Published,
    chunk: &Chunk,
) -> Result<Option<Read>, Failure> {
    let lower = chunk.lower.as_ref().map(|lower| compared(&found.key, ">", lower));
    let names: Vec<_> = found.table.columns.iter().map(|column| column.name.clone()).collect();
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_current_snapshot(); \
         SELECT {} FROM {}{}{} ORDER BY {}; COMMIT",
        columns(&names, ""),
        found.from,
        lower.unwrap_or_default(),
        compared(&found.key, "<=", &chunk.upper),
        columns(&found.key, ""),
    );
    let (mut saw, mut bytes) = (None, 0);
    let (mut rows, mut places) = (VecDeque::new(), HashMap::new());
    let outcome = catalog.query_each(&sql, &mut |values| {
        if saw.is_none() {
            let text = values.first().copied().flatten().unwrap_or_default();
            saw = Some(Visibility::parse(&String::from_utf8_lossy(text)));
            return;
        }
        // The statement is read to its end, but no more of it is kept.
        if bytes > CHUNK_BYTES_MAX && rows.len() > 1 {
            return;
        }
        let row: Vec<_> = values.iter().map(|value| value.map_or(Cell::Null, Cell::Text)).collect();
        let mut written = Written::default();
        writer.row(&found.table, &row, Some(chunk.at), &mut written);
        bytes += written.key.len() * 2 + written.bytes.len();
        places.insert(written.key.clone(), rows.len());
        rows.push_back(Some(written));
    });
    if let Err(failure) = outcome {
        // The transaction stands in the way of the next statement.
        catalog.query("ROLLBACK")?;
        return Err(failure);
    }
    let due = catalog.value(LOG_END)?;
    let (Some(saw), Ok(due)) = (saw.flatten(), due.parse()) else {
        return Err(Failure::Setting(format!("no snapshot of the server: {due}")));
    };
    let whole = bytes <= CHUNK_BYTES_MAX || rows.len() == 1;
    let table = found.table.clone();
    Ok(whole.then_some(Read { table, rows, places, given: 0, saw, due }))
}
