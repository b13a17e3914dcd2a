//! A polled table's rows, and the transactions that may still write some.
//!
//! Who writes to a table locks it before a sequence gives a row its number, and keeps the lock to
//! the end, which `pg_locks` shows to everyone: so for rows by a number these transactions are
//! waited for, and no others. A time may be that of the transaction's beginning (`now()`), before
//! anything is locked: for rows by a time every open transaction counts. On a standby, whose locks
//! are not those of the writers, its snapshot says which transactions have written and not ended.

use std::collections::HashSet;

use postgres_protocol::escape::escape_literal;
use tahoe_pipeline::poll::{Cursor, Look, Opened, Part, Range, Row, Rows, Table};
use tahoe_pipeline::seams::SourceError;

use super::Asked;
use super::shape::Shape;
use crate::catalog::Catalog;
use crate::connection::Server;
use crate::failure::Failure;
use crate::pgoutput::Cell;
use crate::record::{Writer, Written};
use crate::statement::Row as Values;
use crate::value;

/// Every table has the types that are built in, so a table is asked for by its own conversation.
pub struct Polled {
    asked: Asked,
    server: Server,
    record_bytes_max: usize,
    /// Of times without one.
    zone: String,
    catalog: Catalog,
    open: Option<Open>,
}

struct Open {
    shape: Shape,
    writer: Writer,
    /// Asks for the transactions that are open; none, where that says nothing.
    transactions: Option<String>,
}

impl Clone for Polled {
    /// Without the conversation.
    fn clone(&self) -> Self {
        let (asked, server) = (self.asked.clone(), self.server.clone());
        Self::new(asked, server, self.record_bytes_max, self.zone.clone())
    }
}

impl Polled {
    pub(super) fn new(asked: Asked, server: Server, record_bytes_max: usize, zone: String) -> Self {
        let catalog = Catalog::new(server.clone());
        Self { asked, server, record_bytes_max, zone, catalog, open: None }
    }

    /// Columns, for people.
    pub fn by_text(&self) -> String {
        self.asked.by.join(",")
    }

    /// What the catalog says of the table, and of the server: its version, and whether it is a
    /// standby.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn shape(&mut self) -> Result<Shape, Failure> {
        Shape::look_up(&mut self.catalog, &self.asked)
    }

    /// The only value of a statement.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn value(&mut self, sql: &str) -> Result<String, Failure> {
        self.catalog.value(sql)
    }

    /// How the table's open transactions are asked for.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn transactions(&mut self, shape: &Shape) -> Result<Option<String>, Failure> {
        if !shape.is_local {
            return Ok(None);
        }
        let sql = match self.value("SELECT pg_is_in_recovery()")?.as_str() {
            "t" => "SELECT pg_snapshot_xip(pg_current_snapshot())::text".to_owned(),
            _ if shape.is_by_time() => "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE \
                 locktype IN ('virtualxid', 'transactionid') AND mode = 'ExclusiveLock' \
                 AND granted AND pid IS DISTINCT FROM pg_backend_pid()"
                .to_owned(),
            _ => format!(
                "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' \
                 AND granted AND pid IS DISTINCT FROM pg_backend_pid() \
                 AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', \
                 'AccessExclusiveLock') \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                 AND relation IN (WITH RECURSIVE part (oid) AS (SELECT {oid}::oid UNION ALL \
                 SELECT i.inhrelid FROM pg_inherits i JOIN part p ON i.inhparent = p.oid) \
                 SELECT oid FROM part)",
                oid = shape.oid
            ),
        };
        match self.catalog.query(&sql) {
            Ok(_) => Ok(Some(sql)),
            // An administrator has taken the view from everyone.
            Err(failure) if failure.code() == "42501" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn connect(&mut self) -> Result<Open, Failure> {
        let shape = self.shape()?;
        if !shape.may_read {
            let (table, user) = (&shape.from, &self.server.user);
            let table = table.trim_start_matches("ONLY ");
            return Err(Failure::Setting(format!(
                "{} may not be read: GRANT SELECT ON {table} TO \"{user}\";",
                self.name()
            )));
        }
        let transactions = self.transactions(&shape)?;
        let system = self.catalog.value("SELECT system_identifier FROM pg_control_system()");
        let writer = Writer {
            // Where that is not allowed, a record does not say it.
            system: system.unwrap_or_default(),
            database: self.server.database.clone(),
            bytes_max: self.record_bytes_max,
        };
        Ok(Open { shape, writer, transactions })
    }

    fn look_up(&mut self) -> Result<Look, Failure> {
        // A table may get another shape while it is polled.
        let shape = self.shape()?;
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1",
            columns(&shape),
            shape.from,
            shape.condition(&self.zone),
            shape.order(" DESC"),
        );
        let newest = self.catalog.query(&sql)?.into_iter().next();
        let newest = newest.map(|row| newest_of(&shape, &row)).transpose()?;
        let mut open = HashSet::new();
        let Some(state) = &mut self.open else { return Ok(Look::default()) };
        state.shape = shape;
        if let Some(sql) = &state.transactions {
            open.extend(self.catalog.query(sql)?.into_iter().flatten().flatten());
        }
        Ok(Look { newest, open })
    }

    fn read_range(&mut self, range: &Range<'_>) -> Result<Rows, Failure> {
        let Some(Open { shape, writer, .. }) = &self.open else { return Ok(Rows::default()) };
        let order = shape.order("");
        let after = range
            .after
            .map_or(String::new(), |after| format!(" AND ({order}) > ({})", literals(after)));
        let names = shape.table.columns.iter();
        let names: Vec<_> = names
            .map(|column| postgres_protocol::escape::escape_identifier(&column.name))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {}{after} AND ({order}) <= ({}) ORDER BY {order} LIMIT {}",
            names.join(", "),
            shape.from,
            shape.condition(&self.zone),
            literals(range.through),
            range.rows_max,
        );
        let (mut rows, mut bytes, mut seen) = (Vec::new(), 0, 0);
        let mut unordered = false;
        self.catalog.query_each(&sql, &mut |values| {
            seen += 1;
            // The statement is read to its end, but no more of it is kept.
            if bytes >= range.bytes_max {
                return;
            }
            let cells: Vec<_> =
                values.iter().map(|value| value.map_or(Cell::Null, Cell::Text)).collect();
            let parts = shape.by.iter().map(|by| part(shape, by.at, values.get(by.at).copied()?));
            let Some(parts) = parts.collect() else {
                unordered = true;
                return;
            };
            let mut written = Written::default();
            writer.row(&shape.table, &cells, None, &mut written);
            bytes += written.key.len() + written.bytes.len();
            let Written { key, bytes } = written;
            rows.push(Row { cursor: Cursor(parts), key, bytes });
        })?;
        if unordered {
            return Err(Failure::Setting(no_order(&self.name(), &self.asked)));
        }
        let is_all = seen < range.rows_max && seen == rows.len() as u64;
        Ok(Rows { rows, is_all })
    }
}

/// The columns that order rows.
fn columns(shape: &Shape) -> String {
    let names = shape.by.iter();
    let names = names.map(|by| postgres_protocol::escape::escape_identifier(&by.name));
    names.collect::<Vec<_>>().join(", ")
}

fn newest_of(shape: &Shape, row: &Values) -> Result<Cursor, Failure> {
    let parts = shape
        .by
        .iter()
        .zip(row)
        .map(|(by, value)| part(shape, by.at, value.as_deref().map(str::as_bytes)));
    let parts = parts.collect::<Option<_>>().map(Cursor);
    let table = format!("{}.{}", shape.table.schema, shape.table.name);
    parts.ok_or_else(|| Failure::Setting(format!("{table}: the newest row has no place")))
}

fn part(shape: &Shape, at: usize, value: Option<&[u8]>) -> Option<Part> {
    let mut json = Vec::new();
    value::write(&shape.table.columns[at].kind, value?, &mut json);
    Part::of_json(&json)
}

fn literals(cursor: &Cursor) -> String {
    let literal = |part: &Part| match part {
        Part::Number(number) => number.to_string(),
        Part::Text(text) => escape_literal(text),
    };
    cursor.0.iter().map(literal).collect::<Vec<_>>().join(", ")
}

fn no_order(table: &str, asked: &Asked) -> String {
    let by = asked.by.join(",");
    format!("{table}: a row has no place by {by}; name other columns in --pg-poll")
}

impl Table for Polled {
    fn name(&self) -> String {
        format!("{} {}.{}", self.server.place(), self.asked.schema, self.asked.table)
    }

    fn by(&self) -> &[String] {
        &self.asked.by
    }

    fn place_of(&self, record: &[u8]) -> Option<Cursor> {
        Cursor::of_record(record, "/after", &self.asked.by)
    }

    fn open(&mut self) -> Result<Opened, SourceError> {
        let open = self.connect()?;
        let opened =
            Opened { is_unique: open.shape.is_unique, sees_open: open.transactions.is_some() };
        self.open = Some(open);
        Ok(opened)
    }

    fn look(&mut self) -> Result<Look, SourceError> {
        Ok(self.look_up()?)
    }

    fn read(&mut self, range: &Range<'_>) -> Result<Rows, SourceError> {
        Ok(self.read_range(range)?)
    }

    fn rest(&mut self) {
        self.catalog.disconnect();
    }
}
