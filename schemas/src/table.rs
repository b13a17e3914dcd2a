//! Tables of databases, each with a data stream of its own.
//!
//! The rows and changes of a table that a setting names go to `logs-<dataset>.<table>-<namespace>`,
//! where `row` has the row's columns as Elasticsearch can type them, each under its name:
//!
//! - a column whose value is a number, a text, a truth value or a list of them is in `row`;
//! - one whose value is an object (JSON, a large value that gave way to its hash), or whose name is
//!   none for a field (it has a dot, or is blank), stays in `db.after`, which takes anything;
//! - of a document of which only parts are known, everything stays in `db.after`.
//!
//! So no value of any row can be refused for its type: text where a template expects a number or a
//! date is kept and not indexed.

use xxhash_rust::xxh3::xxh3_64;

use crate::object::object;
use crate::scan::{Entries, Entry, Scan};
use crate::{Event, Value, fields};

/// Bytes of a table's part of a data stream's name: Elasticsearch takes 100 for the dataset, of
/// which the longest name of ours needs 18.
const PART_BYTES_MAX: usize = 80;

/// `~` and sixteen digits, where a name was changed. No name that stays as it is has a `~`.
const HASH_BYTES: usize = 17;

/// A table's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableName<'a> {
    /// Database.
    pub db: &'a str,
    /// Schema; empty where the database has none.
    pub schema: &'a str,
    /// Table or collection.
    pub table: &'a str,
}

impl<'a> TableName<'a> {
    /// The table that an event is of, if it is of one.
    pub(crate) fn of(event: &Event<'a>) -> Option<Self> {
        let name = |field| event.get_str(field).unwrap_or_default();
        let table = name(fields::db::collection::NAME);
        let (db, schema) = (name(fields::db::NAMESPACE), name(fields::db::SCHEMA));
        (!table.is_empty()).then_some(Self { db, schema, table })
    }

    fn parts(&self) -> impl Iterator<Item = &'a str> {
        [self.db, self.schema, self.table].into_iter().filter(|part| !part.is_empty())
    }

    /// `shop.public.orders`, by which settings name it.
    pub fn full(&self) -> String {
        self.parts().collect::<Vec<_>>().join(".")
    }

    /// The same as a part of a data stream's name. What is not allowed there, or too long, is
    /// replaced and a hash added, so that no two tables share one.
    pub fn part(&self) -> String {
        let mut part = String::with_capacity(PART_BYTES_MAX);
        let mut same = true;
        for name in self.parts() {
            if !part.is_empty() {
                part.push('.');
            }
            for c in name.chars() {
                let allowed = matches!(c, 'a'..='z' | '0'..='9' | '_');
                same &= allowed;
                let plain = if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
                part.push(if allowed { c } else { plain });
            }
        }
        if same && part.len() <= PART_BYTES_MAX {
            return part;
        }
        part.truncate(PART_BYTES_MAX - HASH_BYTES);
        let whole = [self.db, self.schema, self.table].join("\0");
        format!("{part}~{:016x}", xxh3_64(whole.as_bytes()))
    }
}

/// A table as `tahoe setup` found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The package of the datasets that its rows and changes are of, such as `nginx` in
    /// `nginx.access`.
    pub package: &'static str,
    /// Database.
    pub db: String,
    /// Schema; empty where the database has none.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Its columns, in any order.
    pub columns: Vec<Column>,
}

impl Table {
    /// Its names.
    pub fn names(&self) -> TableName<'_> {
        TableName { db: &self.db, schema: &self.schema, table: &self.name }
    }
}

/// A column of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// What a column's values are, as far as a search and a sum need to know. Lists are of their
/// elements' kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers of 64 bits at most.
    Integer,
    /// The same without a sign.
    Unsigned,
    /// Exact decimals, written as text; digits in all and behind the point, where they are fixed.
    Decimal(Option<(u32, u32)>),
    /// Floating point.
    Float,
    /// True or false.
    Boolean,
    /// Dates, with or without a time.
    Date,
    /// Text, and all that is written as such.
    Text,
    /// Bytes and shapes: kept, and not searched.
    Opaque,
}

/// A column of this name can be a field.
pub(crate) fn is_field_name(name: &[u8]) -> bool {
    !name.contains(&b'.') && !name.trim_ascii().is_empty()
}

/// A column of this name and value, as JSON, can be a typed field.
pub fn is_typed(name: &[u8], value: &[u8]) -> bool {
    is_field_name(name) && !has_object(value)
}

/// Moves what can be typed from `db.after` to `row`.
pub(crate) fn split_row(event: &mut Event<'_>) {
    let Some(Value::Raw(after)) = event.get(fields::db::AFTER) else { return };
    if event.has(fields::db::PARTIAL) {
        return;
    }
    let mut scan = Scan::of_any_keys(after);
    if scan.run().is_err() {
        return;
    }
    let is_typed = |entry: &Entry<'_>| is_typed(entry.key, entry.value);
    let (row, rest): (Entries<'_>, Entries<'_>) = scan.entries.into_iter().partition(is_typed);
    if let Some(row) = object(&row, event) {
        event.set(fields::ROW, row);
    }
    match object(&rest, event) {
        Some(rest) => event.set(fields::db::AFTER, rest),
        None => event.remove(fields::db::AFTER),
    }
}

/// The value is an object, or a list with one in it.
fn has_object(value: &[u8]) -> bool {
    if value.first() != Some(&b'[') {
        return value.first() == Some(&b'{');
    }
    let (mut in_string, mut escaped) = (false, false);
    value.iter().any(|byte| {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'{' if !in_string => return true,
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(db: &str, schema: &str, table: &str) -> String {
        TableName { db, schema, table }.part()
    }

    #[test]
    fn a_table_keeps_its_name_where_a_data_stream_may_have_it() {
        assert_eq!(part("shop", "public", "order_items"), "shop.public.order_items");
        assert_eq!(part("shop", "", "orders2"), "shop.orders2");
    }

    #[test]
    fn no_two_tables_share_a_data_stream() {
        let long = "x".repeat(200);
        let names = [
            part("shop", "", "orders"),
            part("shop", "", "Orders"),
            part("shop", "", "ORDERS"),
            part("shop", "a.b", "c"),
            part("shop", "a", "b.c"),
            part("shop", "", "größe"),
            part("shop", "", "gr__e"),
            part("shop", "", &long),
            part("shop", "", &format!("{long}y")),
        ];
        let different: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        for name in &names {
            let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '~');
            assert!(name.len() <= PART_BYTES_MAX && name.chars().all(allowed), "{name}");
        }
    }

    #[test]
    fn objects_are_found_in_lists_and_not_in_texts() {
        for plain in [r#""{}""#, "1", "null", r#"["{", "\"{"]"#, "[[1],[2]]"] {
            assert!(!has_object(plain.as_bytes()), "{plain}");
        }
        for object in [r#"{"a":1}"#, r#"[1,{"a":1}]"#, r#"["\\",{}]"#] {
            assert!(has_object(object.as_bytes()), "{object}");
        }
    }
}
