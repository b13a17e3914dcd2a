//! A row's document: what its change says of it, its columns as Elasticsearch can type them, and in
//! `tahoe.state` what the next change is compared with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tahoe_schemas::table::is_typed;

use super::fold::{Columns, Part, Row};

/// What `_source` is asked for where the columns do not matter.
pub(crate) const STATE: &str = "tahoe.state";

/// The document that says when a table was emptied last. No key is written so.
pub(crate) const EMPTIED: &str = "~";

#[derive(Deserialize)]
pub(crate) struct Source {
    #[serde(default)]
    row: Columns,
    #[serde(default)]
    db: Db,
    tahoe: Tahoe,
}

#[derive(Deserialize, Default)]
struct Db {
    #[serde(default)]
    after: Columns,
}

#[derive(Deserialize)]
struct Tahoe {
    state: State,
}

#[derive(Serialize, Deserialize)]
struct State {
    version: String,
    server: String,
    deleted: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Part>,
}

impl From<Source> for Row {
    fn from(source: Source) -> Self {
        let Source { row: mut columns, mut db, tahoe: Tahoe { state } } = source;
        columns.append(&mut db.after);
        Self {
            server: state.server,
            version: state.version,
            deleted: state.deleted,
            incomplete: state.incomplete,
            pending: state.pending,
            columns,
        }
    }
}

#[derive(Serialize)]
struct Written<'r> {
    #[serde(flatten)]
    about: Map<String, Value>,
    #[serde(skip_serializing_if = "Columns::is_empty")]
    row: Columns,
    db: WrittenDb,
    tahoe: WrittenTahoe<'r>,
}

#[derive(Serialize)]
struct WrittenDb {
    #[serde(flatten)]
    about: Map<String, Value>,
    #[serde(skip_serializing_if = "Columns::is_empty")]
    after: Columns,
}

#[derive(Serialize)]
struct WrittenTahoe<'r> {
    #[serde(flatten)]
    about: Map<String, Value>,
    state: &'r State,
}

/// Appends the document, which `about` is a part of.
///
/// # Errors
/// `about` is no JSON object.
pub(crate) fn write(about: &[u8], row: Row, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut about: Map<String, Value> = serde_json::from_slice(about)?;
    let mut object = |name: &str| match about.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let (mut db, mut tahoe) = (object("db"), object("tahoe"));
    // Of a document that is written again.
    about.remove("row");
    db.remove("after");
    tahoe.remove("state");
    let Row { server, version, deleted, incomplete, pending, columns } = row;
    let (row, after) = match deleted {
        true => Default::default(),
        false => columns
            .into_iter()
            .partition(|(name, value)| is_typed(name.as_bytes(), value.get().as_bytes())),
    };
    let state = State { version, server, deleted, incomplete, pending };
    let db = WrittenDb { about: db, after };
    let tahoe = WrittenTahoe { about: tahoe, state: &state };
    serde_json::to_writer(out, &Written { about, row, db, tahoe })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_document_reads_back_as_the_row_that_it_was_written_of() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let columns: Columns = [
            ("id".to_owned(), raw("12345678901234567890123")),
            ("more".to_owned(), raw(r#"{"b":[1]}"#)),
            ("a.b".to_owned(), raw("1.50")),
        ]
        .into();
        let row = Row {
            server: "s".to_owned(),
            version: "v".to_owned(),
            incomplete: true,
            columns,
            ..Row::default()
        };
        let about = br#"{"@timestamp":"2026-11-21","db":{"key":{"id":1}},"tahoe":{"x":["y"]}}"#;
        let mut out = Vec::new();
        write(about, row.clone(), &mut out).expect("about is JSON");
        let text = String::from_utf8(out).expect("JSON is text");
        assert_eq!(
            text,
            concat!(
                r#"{"@timestamp":"2026-11-21","row":{"id":12345678901234567890123},"#,
                r#""db":{"key":{"id":1},"after":{"a.b":1.50,"more":{"b":[1]}}},"#,
                r#""tahoe":{"x":["y"],"state":{"version":"v","server":"s","deleted":false,"#,
                r#""incomplete":true}}}"#
            )
        );
        let read = Row::from(serde_json::from_str::<Source>(&text).expect("it is one of ours"));
        let shown = |row: &Row| serde_json::to_string(&row.columns).expect("JSON");
        assert_eq!((read.version.as_str(), shown(&read)), ("v", shown(&row)));
        let mut gone = Vec::new();
        let deleted = Row { deleted: true, ..read };
        write(text.as_bytes(), deleted, &mut gone).expect("it is JSON");
        let gone: Value = serde_json::from_slice(&gone).expect("JSON");
        assert!(gone.get("row").is_none() && gone["db"].get("after").is_none(), "{gone}");
    }
}
