//! TABLE_MAP events: which table the rows that follow are of, and as much about its columns as
//! `binlog_row_metadata` has the server tell: with FULL all there is, with MINIMAL signs and
//! character sets, before MySQL 8.0.1 and MariaDB 10.5 nothing but types.

use std::collections::HashMap;

use crate::bytes::Bytes;
use crate::charset::Charset;
use crate::column::{Column, Form, Table, kind};

/// What of a server's table maps is its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialect {
    /// Character sets by the numbers of collations.
    pub collations: HashMap<usize, Charset>,
    /// MariaDB tells the sign of a `YEAR`, and a character set of geometry.
    pub mariadb: bool,
    /// It keeps names of databases and tables in small letters.
    pub folds_names: bool,
}

/// A table map as it was read.
pub(crate) struct TableMap {
    pub table: Table,
    /// The event had the columns' names, and with them the key.
    pub named: bool,
}

/// The table's number, which the events of its rows repeat.
pub(crate) fn table_id(data: &[u8]) -> Option<u64> {
    Bytes(data).little(6)
}

/// Reads an event; `None` if it is damaged, or has a type that is not known.
pub(crate) fn parse(data: &[u8], dialect: &Dialect) -> Option<TableMap> {
    let mut bytes = Bytes(data);
    bytes.take(8)?;
    let mut text = || {
        let count = bytes.u8()?;
        let text = String::from_utf8_lossy(bytes.take(usize::from(count))?).into_owned();
        bytes.take(1).map(|_| text)
    };
    let (database, name) = (text()?, text()?);
    let count = bytes.packed()?;
    let kinds = bytes.take(count)?;
    let mut metas = Bytes(bytes.packed_bytes()?);
    let columns = kinds.iter().enumerate();
    let columns = columns.map(|(at, kind)| column(at, *kind, &mut metas)).collect::<Option<_>>()?;
    bytes.take(count.div_ceil(8))?;
    let key_prefix = format!("{database}.{name}:");
    let mut table = Table { database, name, columns, key: Vec::new(), key_prefix };
    let mut named = false;
    while let Some(field) = bytes.u8() {
        let value = bytes.packed_bytes()?;
        named |= field == COLUMN_NAME;
        told(field, value, &mut table, dialect)?;
    }
    Some(TableMap { table, named })
}

fn column(at: usize, mut kind: u8, metas: &mut Bytes<'_>) -> Option<Column> {
    let mut meta = match kind {
        kind::FLOAT
        | kind::DOUBLE
        | kind::TINY_BLOB..=kind::BLOB
        | kind::GEOMETRY
        | kind::JSON
        | kind::VECTOR
        | kind::TIME2
        | kind::DATETIME2
        | kind::TIMESTAMP2 => metas.little(1)?,
        kind::VARCHAR
        | kind::VAR_STRING
        | kind::BIT
        | kind::NEWDECIMAL
        | kind::ENUM
        | kind::SET
        | kind::STRING => metas.little(2)?,
        kind::TINY..=kind::NEWDATE => 0,
        _ => return None,
    };
    if kind == kind::STRING {
        let (first, second) = (meta & 0xff, meta >> 8);
        // Two bits of a long length are hidden, inverted, in the type.
        kind = u8::try_from(first | 0x30).ok()?;
        meta = second | ((first & 0x30) ^ 0x30) << 4;
    }
    Some(Column {
        name: format!("@{}", at + 1),
        kind,
        meta: u16::try_from(meta).ok()?,
        unsigned: false,
        charset: Charset::Utf8,
        labels: Vec::new(),
        form: Form::Plain,
    })
}

const SIGNS: u8 = 1;
const DEFAULT_CHARSET: u8 = 2;
const COLUMN_CHARSET: u8 = 3;
const COLUMN_NAME: u8 = 4;
const SET_LABELS: u8 = 5;
const ENUM_LABELS: u8 = 6;
const KEY: u8 = 8;
const KEY_WITH_PREFIXES: u8 = 9;
const LABELS_DEFAULT_CHARSET: u8 = 10;
const LABELS_CHARSET: u8 = 11;

fn has_sign(column: &Column) -> bool {
    matches!(
        column.kind,
        kind::TINY
            | kind::SHORT
            | kind::INT24
            | kind::LONG
            | kind::LONGLONG
            | kind::FLOAT
            | kind::DOUBLE
            | kind::NEWDECIMAL
    )
}

fn is_text(column: &Column) -> bool {
    matches!(
        column.kind,
        kind::VARCHAR | kind::VAR_STRING | kind::STRING | kind::TINY_BLOB..=kind::BLOB
    )
}

fn is_text_or_geometry(column: &Column) -> bool {
    is_text(column) || column.kind == kind::GEOMETRY
}

fn has_labels(column: &Column) -> bool {
    matches!(column.kind, kind::ENUM | kind::SET)
}

/// One field of the optional metadata; one that is not known says nothing that is needed.
fn told(field: u8, value: &[u8], table: &mut Table, dialect: &Dialect) -> Option<()> {
    let mut value = Bytes(value);
    let columns = &mut table.columns;
    let is_text = if dialect.mariadb { is_text_or_geometry } else { is_text };
    let collations = &dialect.collations;
    match field {
        SIGNS => {
            let numbers = columns
                .iter_mut()
                .filter(|column| has_sign(column) || dialect.mariadb && column.kind == kind::YEAR);
            for (at, column) in numbers.enumerate() {
                // The first column is the highest bit.
                let byte = value.0.get(at / 8)?;
                column.unsigned = byte >> (7 - at % 8) & 1 == 1;
            }
        }
        DEFAULT_CHARSET => default_charset(value, columns, is_text, collations)?,
        LABELS_DEFAULT_CHARSET => default_charset(value, columns, has_labels, collations)?,
        COLUMN_CHARSET => charsets(value, columns, is_text, collations)?,
        LABELS_CHARSET => charsets(value, columns, has_labels, collations)?,
        COLUMN_NAME => {
            for column in columns {
                column.name = String::from_utf8_lossy(value.packed_bytes()?).into_owned();
            }
        }
        SET_LABELS => labels(value, columns, kind::SET)?,
        ENUM_LABELS => labels(value, columns, kind::ENUM)?,
        KEY | KEY_WITH_PREFIXES => {
            while !value.0.is_empty() {
                table.key.push(value.packed()?);
                if field == KEY_WITH_PREFIXES {
                    value.packed()?;
                }
            }
        }
        _ => {}
    }
    Some(())
}

fn charset(collation: usize, collations: &HashMap<usize, Charset>) -> Charset {
    /// The collation of bytes.
    const BINARY: usize = 63;
    let known = collations.get(&collation).copied();
    known.unwrap_or(if collation == BINARY { Charset::Binary } else { Charset::Utf8 })
}

/// The collation of most columns, and those of the others by their place among their like.
fn default_charset(
    mut value: Bytes<'_>,
    columns: &mut [Column],
    among: fn(&Column) -> bool,
    collations: &HashMap<usize, Charset>,
) -> Option<()> {
    let usual = charset(value.packed()?, collations);
    let mut others = HashMap::new();
    while !value.0.is_empty() {
        others.insert(value.packed()?, charset(value.packed()?, collations));
    }
    for (at, column) in columns.iter_mut().filter(|column| among(column)).enumerate() {
        column.charset = others.get(&at).copied().unwrap_or(usual);
    }
    Some(())
}

fn charsets(
    mut value: Bytes<'_>,
    columns: &mut [Column],
    among: fn(&Column) -> bool,
    collations: &HashMap<usize, Charset>,
) -> Option<()> {
    for column in columns.iter_mut().filter(|column| among(column)) {
        column.charset = charset(value.packed()?, collations);
    }
    Some(())
}

fn labels(mut value: Bytes<'_>, columns: &mut [Column], kind: u8) -> Option<()> {
    for column in columns.iter_mut().filter(|column| column.kind == kind) {
        let count = value.packed()?;
        let label = |_| value.packed_bytes().map(|text| String::from_utf8_lossy(text).into_owned());
        column.labels = (0..count).map(label).collect::<Option<_>>()?;
    }
    Some(())
}
