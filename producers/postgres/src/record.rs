//! Rows and changes as records: [`tahoe_schemas::change`] has their format, [`crate::value`] that
//! of their values.

use std::convert::Infallible;

use tahoe_pipeline::replicate::{gap_statement, write_shortened, write_stand_in, write_within};
use tahoe_schemas::change::ChangeWriter;
use tahoe_schemas::json::write_str;
use tahoe_schemas::time::Time;

use crate::lsn::Lsn;
use crate::pgoutput::{Cell, Old};
use crate::table::Table;
use crate::value;

/// Beyond this a value gives way to its length and hash in a key that is the row.
const KEY_VALUE_BYTES_MAX: usize = 1 << 8;

/// Seconds from 1970 to 2000, from when PostgreSQL counts.
const EPOCH_S: i64 = 946_684_800;

/// What every record of a source has in common.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The server's system identifier.
    pub system: String,
    /// Database.
    pub database: String,
    /// Bytes of a record.
    pub bytes_max: usize,
}

/// A transaction that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    /// Where its commit record is.
    pub commit: Lsn,
    /// Microseconds since 2000.
    pub time_us: i64,
    /// Its id.
    pub xid: u32,
    /// Records of it so far.
    pub given: u64,
}

/// A change of one row, or of all.
pub struct Change<'c, 'a> {
    /// `insert`, `update`, `delete`, `truncate`.
    pub operation: &'static str,
    /// Before.
    pub old: Option<&'c Old<'a>>,
    /// After.
    pub new: Option<&'c [Cell<'a>]>,
}

/// A record and its key, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Written {
    /// The Kafka key.
    pub key: Vec<u8>,
    /// The record.
    pub bytes: Vec<u8>,
}

impl Writer {
    /// A change. Its key is that of the row as it is now, or was last.
    pub fn change(
        &self,
        table: &Table,
        at: &Transaction,
        change: &Change<'_, '_>,
        to: &mut Written,
    ) {
        let old = change.old.map(cells);
        self.key(table, change.new.or(old), old, to);
        let text = text_bytes(change.new) + text_bytes(old);
        self.within_limit(to, text, |bytes, limit| {
            let mut record = self.begin(table, change.operation, Some(at), bytes);
            if let Some(row) = change.new.or(old).filter(|_| table.has_key()) {
                let key = Fields { table, limit: None, only_key: true, row, behind: old };
                record.json("key", |out| key.write(out));
            }
            if let Some(old) = change.old {
                let only_key = matches!(old, Old::Key(_));
                let before = Fields { table, limit, only_key, row: cells(old), behind: None };
                record.json("before", |out| before.write(out));
            }
            if let Some(row) = change.new {
                let behind = change.old.and_then(full);
                let after = Fields { table, limit, only_key: false, row, behind };
                record.json("after", |out| after.write(out));
                if row.contains(&Cell::Unchanged) && behind.is_none() {
                    record.json("unchanged", |out| write_unchanged(table, row, out));
                }
            }
            record.text("tx", &at.xid.to_string());
            record.text("position", &at.commit.to_string());
            record.number("n", at.given);
            record.end();
        });
    }

    /// A row that was read. One of a chunk is at least as new as `at`, where the chunk was decided
    /// on, so that a second read of the chunk says the same; a polled one is told by its values alone.
    pub fn row(&self, table: &Table, row: &[Cell<'_>], at: Option<Lsn>, to: &mut Written) {
        self.read_row(table, row, (at, None), to);
    }

    /// A row that was read because that transaction moved it, as of its end.
    pub fn moved_row(
        &self,
        table: &Table,
        row: &[Cell<'_>],
        (at, xid): (Lsn, u32),
        to: &mut Written,
    ) {
        self.read_row(table, row, (Some(at), Some(xid)), to);
    }

    fn read_row(
        &self,
        table: &Table,
        row: &[Cell<'_>],
        (at, xid): (Option<Lsn>, Option<u32>),
        to: &mut Written,
    ) {
        self.key(table, Some(row), None, to);
        self.within_limit(to, text_bytes(Some(row)), |bytes, limit| {
            let mut record = self.begin(table, "read", None, bytes);
            let key = Fields { table, limit: None, only_key: true, row, behind: None };
            record.json("key", |out| key.write(out));
            let after = Fields { table, limit, only_key: false, row, behind: None };
            record.json("after", |out| after.write(out));
            if let Some(xid) = xid {
                record.text("tx", &xid.to_string());
            }
            if let Some(at) = at {
                record.text("position", &at.to_string());
            }
            record.end();
        });
    }

    /// What is missing where the server has lost our position.
    pub fn gap(&self, from: Lsn, to: Lsn) -> Written {
        let mut written = Written::default();
        written.key.extend_from_slice(format!("{}:", self.database).as_bytes());
        ChangeWriter::begin(&mut written.bytes, "ddl")
            .text("system", "postgresql")
            .text("server", &self.system)
            .text("db", &self.database)
            .text("statement", &gap_statement(&from.to_string(), &to.to_string()))
            .text("position", &to.to_string())
            .end();
        written
    }

    /// `shop.public.orders:{"id":7}`: the key, or the whole row of a table that has none.
    pub fn key(
        &self,
        table: &Table,
        row: Option<&[Cell<'_>]>,
        old: Option<&[Cell<'_>]>,
        to: &mut Written,
    ) {
        to.key.clear();
        to.key.extend_from_slice(self.database.as_bytes());
        for part in [&table.schema, &table.name] {
            to.key.push(b'.');
            to.key.extend_from_slice(part.as_bytes());
        }
        to.key.push(b':');
        let only_key = table.has_key();
        // A row without a key goes by what it was, as long as it is known.
        let row = if only_key { row } else { old.or(row) };
        if let Some(row) = row {
            let limit = (!only_key).then_some(KEY_VALUE_BYTES_MAX);
            Fields { table, limit, only_key, row, behind: old }.write(&mut to.key);
        }
    }

    fn begin<'o>(
        &self,
        table: &Table,
        operation: &str,
        at: Option<&Transaction>,
        bytes: &'o mut Vec<u8>,
    ) -> ChangeWriter<'o> {
        let mut record = ChangeWriter::begin(bytes, operation);
        if let Some(at) = at {
            let seconds = at.time_us.div_euclid(1_000_000) + EPOCH_S;
            let micros = u32::try_from(at.time_us.rem_euclid(1_000_000)).unwrap_or_default();
            record.time(Time::new(seconds, micros * 1000, 6));
        }
        record
            .text("system", "postgresql")
            .text("server", &self.system)
            .text("db", &self.database)
            .text("schema", &table.schema)
            .text("table", &table.name);
        record
    }

    /// Writes it whole, and if that is too much, with less and less of its large values.
    fn within_limit(
        &self,
        to: &mut Written,
        text_bytes: usize,
        write: impl Fn(&mut Vec<u8>, Option<usize>),
    ) {
        // No value's JSON is shorter than half of its text, as that of bytes is.
        let is_hopeless = text_bytes / 2 > self.bytes_max;
        to.bytes.clear();
        let write = |value_bytes_max, out: &mut Vec<u8>| {
            write(out, (value_bytes_max < usize::MAX).then_some(value_bytes_max));
            Ok::<(), Infallible>(())
        };
        let Ok(()) = match is_hopeless {
            true => write_shortened(self.bytes_max, &mut to.bytes, write),
            false => write_within(self.bytes_max, &mut to.bytes, write),
        };
    }
}

fn text_bytes(row: Option<&[Cell<'_>]>) -> usize {
    let bytes = |cell: &Cell<'_>| match cell {
        Cell::Text(text) => text.len(),
        Cell::Null | Cell::Unchanged => 0,
    };
    row.into_iter().flatten().map(bytes).sum()
}

fn cells<'c, 'a>(old: &'c Old<'a>) -> &'c [Cell<'a>] {
    match old {
        Old::Key(row) | Old::Full(row) => row,
    }
}

fn full<'c, 'a>(old: &'c Old<'a>) -> Option<&'c [Cell<'a>]> {
    match old {
        Old::Full(row) => Some(row),
        Old::Key(_) => None,
    }
}

fn write_unchanged(table: &Table, row: &[Cell<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    let columns = table.columns.iter().zip(row).filter(|(_, cell)| **cell == Cell::Unchanged);
    for (index, (column, _)) in columns.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_str(&column.name, out);
    }
    out.push(b']');
}

/// The columns of a row as one JSON object.
struct Fields<'f, 'a> {
    table: &'f Table,
    /// Longer values give way to their length and hash.
    limit: Option<usize>,
    only_key: bool,
    row: &'f [Cell<'a>],
    /// Where a value is that the row says is unchanged.
    behind: Option<&'f [Cell<'a>]>,
}

impl Fields<'_, '_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        for (index, (column, cell)) in self.table.columns.iter().zip(self.row).enumerate() {
            if self.only_key && !column.is_key {
                continue;
            }
            let cell = match cell {
                Cell::Unchanged => self.behind.map_or(Cell::Unchanged, |behind| behind[index]),
                cell => *cell,
            };
            if cell == Cell::Unchanged {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_str(&column.name, out);
            out.push(b':');
            match cell {
                Cell::Text(text) if self.limit.is_some_and(|limit| text.len() > limit) => {
                    write_stand_in(text, out);
                }
                Cell::Text(text) => value::write(&column.kind, text, out),
                Cell::Null | Cell::Unchanged => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;
    use crate::value::Kind;

    fn table() -> Table {
        let column = |name: &str, kind, is_key| Column { name: name.to_owned(), kind, is_key };
        let columns = vec![
            column("id", Kind::Number, true),
            column("note", Kind::Text, false),
            column("paid", Kind::Boolean, false),
        ];
        Table { schema: "public".to_owned(), name: "orders".to_owned(), columns }
    }

    fn written(change: &Change<'_, '_>, bytes_max: usize) -> (String, String) {
        let writer = Writer { system: "7".to_owned(), database: "shop".to_owned(), bytes_max };
        let commit = Lsn(0x16B_3748);
        let at = Transaction { commit, time_us: 86_400_000_001, xid: 751, given: 3 };
        let mut to = Written::default();
        writer.change(&table(), &at, change, &mut to);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("JSON is text");
        (text(to.key), text(to.bytes))
    }

    #[test]
    fn an_unchanged_value_is_named_and_not_null() {
        let new = [Cell::Text(b"8"), Cell::Unchanged, Cell::Null];
        let old = Old::Key(vec![Cell::Text(b"7"), Cell::Null, Cell::Null]);
        let update = Change { operation: "update", old: Some(&old), new: Some(&new) };
        let (key, record) = written(&update, 1 << 20);
        assert_eq!(key, r#"shop.public.orders:{"id":8}"#);
        let expected = concat!(
            r#"{"v":1,"op":"update","time":"2000-01-02T00:00:00.000001Z","system":"postgresql","#,
            r#""server":"7","db":"shop","schema":"public","table":"orders","key":{"id":8},"#,
            r#""before":{"id":7},"after":{"id":8,"paid":null},"unchanged":["note"],"tx":"751","#,
            r#""position":"0/16B3748","n":3}"#
        );
        assert_eq!(record, expected);
    }

    #[test]
    fn an_unchanged_value_is_known_where_the_old_row_is_whole() {
        let new = [Cell::Text(b"7"), Cell::Unchanged, Cell::Text(b"t")];
        let old = Old::Full(vec![Cell::Text(b"7"), Cell::Text(b"long"), Cell::Null]);
        let update = Change { operation: "update", old: Some(&old), new: Some(&new) };
        let (_, record) = written(&update, 1 << 20);
        assert!(record.contains(r#""after":{"id":7,"note":"long","paid":true}"#), "{record}");
        assert!(!record.contains("unchanged"), "{record}");
    }

    #[test]
    fn a_record_over_the_limit_keeps_its_key_and_the_hash_of_what_is_large() {
        let long = "x".repeat(5000);
        let new = [Cell::Text(b"7"), Cell::Text(long.as_bytes()), Cell::Text(b"f")];
        let insert = Change { operation: "insert", old: None, new: Some(&new) };
        let (key, record) = written(&insert, 1000);
        assert_eq!(key, r#"shop.public.orders:{"id":7}"#);
        assert!(record.contains(r#""note":{"bytes":5000,"sha256":""#), "{record}");
        assert!(record.contains(r#""paid":false"#), "{record}");
    }
}
