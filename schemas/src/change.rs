//! Rows and changes of a database, as the producers write them: one JSON object on one line.
//! Version 1.
//!
//! ```json
//! {"v":1,"op":"update","time":"2026-11-21T09:00:00.123456Z","system":"postgresql",
//!  "server":"7345…","db":"shop","schema":"public","table":"orders","key":{"id":7},
//!  "before":{…},"after":{…},"unchanged":["note"],"tx":"751","position":"0/16B3748","n":3}
//! ```
//!
//! `op` is `insert`, `update`, `delete`, `truncate` or `ddl`, or `read` for a row that was only
//! read. `time` is when the transaction was committed; a row that was read has none. `statement`
//! is there for `ddl`. Where only parts of a document are known, `partial` is true, `after` has what
//! was set, by path (`address.city`), `removed` lists the paths that are gone, and `truncated` gives
//! lists their new lengths by path. Keys without a value are left out. How a column's type becomes
//! JSON is each producer's own, and documented there.

use tahoe_seams::{Conditions, Events, Record, Rejection};

use crate::object::scalar;
use crate::rows::{Images, Place};
use crate::scan::{Entry, Flaw, Scan};
use crate::table::{TableName, split_row};
use crate::{Event, Parser, Value, fields, json, time};

/// The parser of all datasets of rows and changes.
pub(crate) struct ChangeRecord {
    /// How positions of the package's databases are ordered.
    pub place: Place,
}

impl Parser for ChangeRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim_ascii();
        let mut scan = Scan::of_unique_keys(text.as_bytes());
        match scan.run() {
            Ok(length) if length == text.len() && text.starts_with('{') => {}
            Ok(at) | Err(Flaw::At(at)) => {
                return Err(Rejection::at("malformed", "the change is no JSON object", at));
            }
            Err(Flaw::Unfinished) => {
                return Err(Rejection::at("malformed", "the change does not end", text.len()));
            }
        }
        if scan.repair {
            let end = text.bytes().position(|byte| byte.is_ascii_control()).unwrap_or(text.len());
            return Err(Rejection::at("malformed", "the change is not on one line", end));
        }
        let entries = scan.entries;
        let version = find(&entries, b"v").map(|entry| entry.value);
        if version != Some(b"1") {
            let reason = "it says no version that is known: update this binary";
            let at = version.map_or(text.len(), |version| event.place_of(version));
            return Err(Rejection::at("version", reason, at));
        }
        for entry in &entries {
            set(entry, event)?;
        }
        let Some(operation) = event.get_str(fields::db::operation::NAME) else {
            let reason = "the change does not say what was done";
            return Err(Rejection::at("malformed", reason, text.len()));
        };
        event.set(fields::event::ACTION, operation);
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, event_type(operation));
        summarise(operation, find(&entries, b"key"), event);
        if !event.has(fields::TIMESTAMP) {
            event.set(fields::TIMESTAMP, time::Time::from_ms(record.read_at_ms));
        }
        Ok(())
    }

    /// To the table's own data stream, if it has one, and to the table's rows, if they are kept.
    fn store<'a>(
        &self,
        event: &mut Event<'a>,
        record: &Record<'a>,
        given: &Conditions,
        events: &mut Events,
    ) {
        let is_asked = !given.table_streams.is_empty() || !given.latest_state.is_empty();
        let table = TableName::of(event).filter(|_| is_asked);
        let name = table.map(|table| table.full()).unwrap_or_default();
        let own = table.filter(|_| given.table_streams.has(&name));
        let kept = table.filter(|_| given.latest_state.has(&name));
        let images = kept.map(|table| Images::of(&table, self.place, event, record));
        let mut dataset = event.dataset().name;
        if let Some(table) = own {
            split_row(event);
            dataset = event.format(format_args!("{dataset}.{}", table.part()));
            event.set(fields::data_stream::DATASET, dataset);
        }
        event.store_as(dataset, record, events);
        if let Some(images) = images {
            images.store(event, events);
        }
    }
}

fn find<'e, 'a>(entries: &'e [Entry<'a>], key: &[u8]) -> Option<&'e Entry<'a>> {
    entries.iter().find(|entry| entry.key == key)
}

fn event_type(operation: &str) -> &'static str {
    match operation {
        "insert" => "creation",
        "delete" | "truncate" => "deletion",
        "read" => "access",
        _ => "change",
    }
}

fn set<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
    let field = match entry.key {
        b"op" => fields::db::operation::NAME,
        b"system" => fields::db::system::NAME,
        b"server" => fields::db::SERVER,
        b"db" => fields::db::NAMESPACE,
        b"schema" => fields::db::SCHEMA,
        b"table" => fields::db::collection::NAME,
        b"tx" => fields::db::TRANSACTION,
        b"position" => fields::db::POSITION,
        b"statement" => fields::db::query::TEXT,
        b"key" => fields::db::KEY,
        b"before" => fields::db::BEFORE,
        b"after" => fields::db::AFTER,
        b"unchanged" => fields::db::UNCHANGED,
        b"partial" => fields::db::PARTIAL,
        b"removed" => fields::db::REMOVED,
        b"truncated" => fields::db::TRUNCATED,
        b"n" => fields::db::SEQUENCE,
        b"time" => return set_time(entry, event),
        _ => return Ok(()),
    };
    match entry.value {
        b"{}" | b"[]" => {}
        b"true" => event.set(field, true),
        [b'{' | b'[', ..] => event.set(field, Value::Raw(entry.value)),
        _ => {
            let text = scalar(entry.value, event).filter(|text| !text.is_empty());
            match (text, text.and_then(|text| text.parse::<i64>().ok())) {
                (_, Some(number)) if field == fields::db::SEQUENCE => event.set(field, number),
                (Some(text), _) => event.set(field, text),
                (None, _) => {}
            }
        }
    }
    Ok(())
}

fn set_time<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
    let stamp = scalar(entry.value, event).and_then(|text| time::parse_iso(text.as_bytes()));
    let Some((stamp, _)) = stamp else {
        let at = event.place_of(entry.value);
        return Err(Rejection::at("bad_timestamp", "time is no time of RFC 3339", at));
    };
    event.time(stamp);
    Ok(())
}

/// `update shop.public.orders {"id":7}`, for a list of events.
fn summarise<'a>(operation: &'a str, key: Option<&Entry<'a>>, event: &mut Event<'a>) {
    if let Some(statement) = event.get_str(fields::db::query::TEXT) {
        event.set(fields::MESSAGE, statement);
        return;
    }
    let mut text = event.string(64);
    text.push_str(operation);
    let names = [fields::db::NAMESPACE, fields::db::SCHEMA, fields::db::collection::NAME];
    let names = names.into_iter().filter_map(|name| event.get_str(name));
    for (index, name) in names.enumerate() {
        text.push(if index == 0 { ' ' } else { '.' });
        text.push_str(name);
    }
    if let Some(key) = key.and_then(|key| std::str::from_utf8(key.value).ok()) {
        text.push(' ');
        text.push_str(key);
    }
    let text = text.into_bump_str();
    event.set(fields::MESSAGE, text);
}

/// Appends one change record, field by field; used by the producers.
pub struct ChangeWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> ChangeWriter<'o> {
    /// Begins a record: `insert`, `update`, `delete`, `truncate`, `ddl` or `read`.
    pub fn begin(out: &'o mut Vec<u8>, operation: &str) -> Self {
        out.extend_from_slice(b"{\"v\":1,\"op\":");
        json::write_str(operation, out);
        Self { out }
    }

    /// A text; left out if it is empty. `key` is one of those in the module's description.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        if !value.is_empty() {
            self.key(key);
            json::write_str(value, self.out);
        }
        self
    }

    /// A number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        json::write_u64(value, self.out);
        self
    }

    /// The commit's time.
    pub fn time(&mut self, time: time::Time) -> &mut Self {
        self.key("time");
        self.out.push(b'"');
        time.write(self.out);
        self.out.push(b'"');
        self
    }

    /// Valid JSON on one line: the objects `key`, `before`, `after` and `truncated`, the
    /// lists `unchanged` and `removed`, `partial`.
    pub fn json(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.key(key);
        write(self.out);
        self
    }

    /// Ends the record.
    pub fn end(&mut self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tahoe_seams::{Origin, TablePatterns};

    use super::*;
    use crate::datasets;

    /// The data stream and the document of a change, where the patterns name its table.
    fn stored(patterns: &str, more: &str) -> (String, Value) {
        let given = Conditions {
            table_streams: TablePatterns::new([patterns.to_owned()]),
            ..Conditions::default()
        };
        let text = format!(r#"{{"v":1,"op":"update","db":"shop","table":"orders",{more}}}"#);
        let origin = Origin { namespace: "acme".to_owned(), ..Origin::default() };
        let record = Record::new(text.as_bytes(), &origin);
        let mut events = Events::default();
        let dataset = &datasets::mysql_change::DATASET;
        dataset.normalizer.normalize(&record, &given, &mut events).expect("a change");
        let batch = events.take();
        let document = serde_json::from_slice(batch.document(&batch.events[0])).expect("JSON");
        (batch.data_stream(&batch.events[0]).to_owned(), document)
    }

    #[test]
    fn a_table_that_a_setting_names_has_a_data_stream_with_its_columns_as_fields() {
        let more = r#""after":{"id":7,"tags":["a"],"extra":{"k":1},"a.b":2,"gone":null}"#;
        let (stream, event) = stored("shop.*", more);
        assert_eq!(stream, "logs-mysql.change.shop.orders-acme");
        assert_eq!(event["row"], json!({"id": 7, "tags": ["a"], "gone": null}));
        assert_eq!(event["db"]["after"], json!({"extra": {"k": 1}, "a.b": 2}));
        assert_eq!(event["event"]["dataset"], "mysql.change");
        assert_eq!(event["data_stream"]["dataset"], "mysql.change.shop.orders");
        let (stream, event) = stored("blog.*", more);
        assert_eq!(stream, "logs-mysql.change-acme");
        assert!(event.get("row").is_none() && event["db"]["after"]["id"] == 7, "{event}");
    }

    #[test]
    fn two_thousand_columns_are_fields_and_paths_of_a_part_are_none() {
        let columns: Vec<_> = (0..2000).map(|n| format!("\"c{n}\":{n}")).collect();
        let (_, event) = stored("*", &format!("\"after\":{{{}}}", columns.join(",")));
        assert_eq!(event["row"].as_object().map(serde_json::Map::len), Some(2000));
        assert!(event["db"].get("after").is_none());
        let (_, event) = stored("*", r#""partial":true,"after":{"n":1,"city.name":"Ronda"}"#);
        assert_eq!(event["db"]["after"]["city.name"], "Ronda");
        assert!(event.get("row").is_none());
    }
}
