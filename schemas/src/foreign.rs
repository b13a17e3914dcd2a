//! Records that no producer of ours wrote, so that a ten-line script can be one.
//!
//! Three JSON shapes are recognised: `{timestamp, level, message}` (the time may be missing), a row
//! with `id`, a document with `_id`. Keys without a field of their own are kept in the dataset's
//! `<module>.fields`, or in `tahoe.fields`. Everything else is for the dataset's own parser: the
//! JSON of its own formatters, and a line that a collector wrapped into `{timestamp, message}`.

use tahoe_seams::{Conditions, Events, Normalizer, Record, Rejection};

use crate::event::Scratch;
use crate::object::{entries, flattened, scalar};
use crate::parser::in_scratch;
use crate::scan::Entry;
use crate::time::{Time, parse_iso};
use crate::{Dataset, Event, Field, fields};

/// Keys of the formatters that datasets know: an object with one of them is their parser's.
const FORMATTERS_KEYS: [&[u8]; 2] = [b"datetime", b"@timestamp"];

/// The [`Normalizer`] of a topic's records without a header of ours.
pub struct Foreign {
    dataset: &'static Dataset,
    others: Field,
}

impl Foreign {
    /// For records that are of this dataset unless they have one of the shapes.
    pub fn new(dataset: &'static Dataset) -> Self {
        let own = Field::named(&format!("{}.fields", dataset.module));
        let others = own.filter(|field| field.kind() == "flattened");
        Self { dataset, others: others.unwrap_or(fields::tahoe::FIELDS) }
    }

    /// The dataset.
    pub fn dataset(&self) -> &'static Dataset {
        self.dataset
    }

    /// Adds the event of a record that has one of the shapes; says whether it has.
    fn take<'a>(
        &self,
        scratch: &'a mut Scratch,
        record: &Record<'a>,
        given: &'a Conditions,
        events: &mut Events,
    ) -> bool {
        let mut event = Event::new(scratch, self.dataset, record, given);
        let text = event.text(record.bytes).trim();
        let Some(mut keys) = entries(text.as_bytes(), &event).filter(|keys| has_shape(keys)) else {
            return false;
        };
        let has_document_id = keys.iter().any(|entry| entry.key == b"_id");
        keys.retain(|entry| !set(entry, has_document_id, &mut event));
        if let Some(value) = flattened(&keys, self.others, &mut event) {
            event.set(self.others, value);
        }
        if !event.has(fields::TIMESTAMP) {
            event.time_assumed(None);
        }
        event.finish(record, events);
        true
    }
}

impl Normalizer for Foreign {
    fn normalize(
        &self,
        record: &Record<'_>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        let is_object = record.bytes.trim_ascii_start().starts_with(b"{");
        if is_object && in_scratch(|scratch| self.take(scratch, record, given, events)) {
            return Ok(());
        }
        self.dataset.normalizer.normalize(record, given, events)
    }
}

fn has_shape(keys: &[Entry<'_>]) -> bool {
    let has = |key: &[u8]| keys.iter().any(|entry| entry.key == key);
    if FORMATTERS_KEYS.iter().any(|key| has(key)) {
        return false;
    }
    has(b"_id") || has(b"id") || (has(b"message") && has(b"level"))
}

/// Sets the field that a key stands for. Says whether all of it is in there.
fn set<'a>(entry: &Entry<'a>, has_document_id: bool, event: &mut Event<'a>) -> bool {
    let text = scalar(entry.value, event);
    match (entry.key, text) {
        (b"timestamp", _) => set_time(entry.value, event),
        (b"level", Some(level)) if !level.is_empty() => {
            event.set_named_level(level);
            true
        }
        (b"message", Some("")) => {
            event.null_removed(fields::MESSAGE);
            true
        }
        (b"message", Some(message)) => {
            event.set(fields::MESSAGE, message);
            true
        }
        (b"_id", _) => set_id(text.or_else(|| wrapped(entry.value, b"$oid", event)), event),
        (b"id", _) if !has_document_id => set_id(text, event),
        _ => false,
    }
}

fn set_id<'a>(id: Option<&'a str>, event: &mut Event<'a>) -> bool {
    let Some(id) = id.filter(|id| !id.is_empty()) else { return false };
    event.set(fields::event::ID, id);
    true
}

/// ISO 8601, seconds or milliseconds since the epoch, or one of them as MongoDB wraps it:
/// `{"$date": …}`, `{"$date": {"$numberLong": "…"}}`
/// (<https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/>).
fn set_time<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let date = match inner(value, b"$date", event) {
        Some(date) => inner(date, b"$numberLong", event).unwrap_or(date),
        None => value,
    };
    let Some(text) = scalar(date, event).map(str::trim) else { return false };
    match parse_iso(text.as_bytes()) {
        Some((stamp, used)) if used == text.len() => event.time(stamp),
        _ => match since_epoch(text) {
            Some(time) => event.set(fields::TIMESTAMP, time),
            None => return false,
        },
    }
    true
}

/// The value of an object's only key, if it is this one.
fn inner<'a>(value: &'a [u8], key: &[u8], event: &Event<'a>) -> Option<&'a [u8]> {
    match entries(value, event)?.as_slice() {
        [only] if only.key == key => Some(only.value),
        _ => None,
    }
}

fn wrapped<'a>(value: &'a [u8], key: &[u8], event: &Event<'a>) -> Option<&'a str> {
    scalar(inner(value, key, event)?, event)
}

/// A number below 10^11 is of seconds (until the year 5138), a larger one of milliseconds (since
/// 1973), and from 10^14 and 10^17 on of micro- and nanoseconds.
fn since_epoch(text: &str) -> Option<Time> {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let ms = match number.abs() {
        ..1e11 => number * 1e3,
        ..1e14 => number,
        ..1e17 => number / 1e3,
        _ => number / 1e6,
    };
    Some(Time::from_ms(ms.round() as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tahoe_seams::Origin;

    use super::*;

    const READ_AT_MS: i64 = 1_795_262_400_000;

    fn event(dataset: &str, record: &str) -> Value {
        let origin = Origin::default();
        let record = Record { read_at_ms: READ_AT_MS, ..Record::new(record.as_bytes(), &origin) };
        let mut events = Events::default();
        let foreign = Foreign::new(crate::datasets::find(dataset).expect("it is in the list"));
        foreign.normalize(&record, &Conditions::default(), &mut events).expect("an event");
        let document = events.document(0).expect("one event");
        serde_json::from_slice(document).expect("it is JSON")
    }

    #[test]
    fn a_message_with_time_and_level_is_an_event_and_its_other_keys_are_kept() {
        let found = event(
            "system.syslog",
            r#"{"timestamp":"2026-03-04T09:27:05+01:00","level":"WARN","message":"disk \"a\" full",
               "disk":{"name":"sda1","free":0},"owner":null}"#,
        );
        assert_eq!(found["@timestamp"], "2026-03-04T08:27:05.000Z");
        assert_eq!(found["log"]["level"], "warning");
        assert_eq!(found["message"], "disk \"a\" full");
        assert_eq!(found["tahoe"]["fields"], json!({"disk": {"name": "sda1", "free": 0}}));
        let done = json!(["level_renamed:WARN", "null_removed:tahoe.fields.owner"]);
        assert_eq!(found["tahoe"]["transformations"], done);
        assert_eq!(found["event"]["dataset"], "system.syslog");
    }

    #[test]
    fn a_time_is_read_in_every_form_that_a_script_writes() {
        for (text, expected) in [
            ("\"2026-03-04T09:27:05.5Z\"", "2026-03-04T09:27:05.500Z"),
            ("\"2026-03-04 09:27:05\"", "2026-03-04T09:27:05.000Z"),
            ("1772616425", "2026-03-04T09:27:05.000Z"),
            ("1772616425.25", "2026-03-04T09:27:05.250Z"),
            ("1772616425250", "2026-03-04T09:27:05.250Z"),
            ("\"1772616425250\"", "2026-03-04T09:27:05.250Z"),
            ("{\"$date\":\"2026-03-04T09:27:05Z\"}", "2026-03-04T09:27:05.000Z"),
            ("{\"$date\":1772616425250}", "2026-03-04T09:27:05.250Z"),
            ("{\"$date\":{\"$numberLong\":\"1772616425250\"}}", "2026-03-04T09:27:05.250Z"),
        ] {
            let found =
                event("laravel.log", &format!(r#"{{"timestamp":{text},"level":3,"message":"m"}}"#));
            assert_eq!(found["@timestamp"], expected, "{text}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_is_kept_and_the_record_is_of_the_time_of_reading() {
        let found =
            event("laravel.log", r#"{"timestamp":"yesterday","level":"info","message":"m"}"#);
        assert_eq!(found["@timestamp"], "2026-11-21T12:00:00.000Z");
        assert_eq!(found["laravel"]["fields"], json!({"timestamp": "yesterday"}));
        assert_eq!(found["tahoe"]["transformations"], json!(["time_assumed:read"]));
    }

    #[test]
    fn a_row_and_a_document_keep_their_identity_and_every_column() {
        let found = event("laravel.log", r#"{"id":42,"name":"x","total":1.5}"#);
        assert_eq!(found["event"]["id"], "42");
        assert_eq!(found["laravel"]["fields"], json!({"name": "x", "total": 1.5}));
        let found = event(
            "nginx.access",
            r#"{"_id":{"$oid":"65f0"},"id":7,"tags":["a"],"timestamp":{"$date":1772616425250}}"#,
        );
        assert_eq!(found["event"]["id"], "65f0");
        assert_eq!(found["@timestamp"], "2026-03-04T09:27:05.250Z");
        assert_eq!(found["tahoe"]["fields"], json!({"id": 7, "tags": ["a"]}));
    }

    #[test]
    fn all_else_is_for_the_datasets_own_parser() {
        let monolog = r#"{"message":"m","context":{"a":1},"level":400,"level_name":"ERROR",
            "channel":"local","datetime":"2026-03-04T09:27:05+00:00","extra":{}}"#;
        let found = event("laravel.log", &monolog.replace('\n', ""));
        assert_eq!(found["laravel"]["context"], json!({"a": 1}));
        let found = event("laravel.log", "[2026-03-04 09:27:05] local.INFO: m");
        assert_eq!(found["message"], "m");
        let found = event("system.syslog", r#"{"other":1}"#);
        assert_eq!(found["message"], r#"{"other":1}"#);
        let wrapped = r#"{"timestamp":"2026-03-04T09:27:05Z","message":"sshd[7]: hello"}"#;
        let found = event("system.syslog", wrapped);
        assert_eq!((&found["message"], &found["process"]["pid"]), (&json!("hello"), &json!(7)));
    }
}
