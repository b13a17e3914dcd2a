//! From a document's JSON to what is indexed of it, or to the reason why it cannot be.
//!
//! As strict as Elasticsearch where that decides between stored and dead-lettered: one JSON
//! object, a time in `@timestamp`, and no object where text belongs.

use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use tahoe_seams::{RecordId, Rejection};
use tantivy::schema::OwnedValue;
use tantivy::{DateTime, TantivyDocument};

use crate::fields::{Fields, is_text};

/// Longest exact value in bytes, as `ignore_above: 1024` of the templates: longer ones are found by
/// their words only.
const EXACT_BYTES_MAX: usize = 1024;

/// A document ready to be indexed.
pub(crate) fn index_document(
    fields: &Fields,
    id: RecordId,
    data_stream: &str,
    source: &[u8],
    stored_at_ms: i64,
) -> Result<TantivyDocument, Rejection> {
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(source) else {
        return Err(Rejection::whole("mapping", "the document is not one JSON object"));
    };
    let timestamp_ms = timestamp_ms(object.get("@timestamp"))?;
    let mut walk = Walk {
        fields,
        document: TantivyDocument::with_capacity(source.len() * 4),
        text: Vec::new(),
        path: String::with_capacity(64),
    };
    walk.document.add_bytes(fields.id, &id.0);
    walk.document.add_text(fields.index, data_stream);
    walk.document.add_date(fields.timestamp, DateTime::from_timestamp_millis(timestamp_ms));
    walk.document.add_date(fields.stored_at, DateTime::from_timestamp_millis(stored_at_ms));
    walk.document.add_bytes(fields.source, source);
    let values = walk.object(object)?;
    let Walk { mut document, text, .. } = walk;
    document.add_field_value(fields.values, &OwnedValue::Object(values));
    if !text.is_empty() {
        document.add_field_value(fields.text, &OwnedValue::Object(text));
    }
    Ok(document)
}

/// Milliseconds since the epoch, from what Elasticsearch's
/// `strict_date_optional_time||epoch_millis` takes.
fn timestamp_ms(value: Option<&Value>) -> Result<i64, Rejection> {
    let found = match value {
        Some(Value::String(text)) => parse_time(text).map(|time| time.as_millisecond()),
        Some(Value::Number(number)) => number.as_i64().filter(|ms| in_range(*ms)),
        None | Some(Value::Null) => {
            return Err(Rejection::whole("mapping", "the document has no @timestamp"));
        }
        Some(_) => None,
    };
    found.ok_or_else(|| Rejection::whole("mapping", "@timestamp is not a date"))
}

/// Nanoseconds in 64 bits reach from 1677 to 2262.
fn in_range(ms: i64) -> bool {
    (i64::MIN / 1_000_000..=i64::MAX / 1_000_000).contains(&ms)
}

/// An ISO 8601 time as Elasticsearch takes it: parts from the right may be missing, and UTC holds
/// where no zone is given.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let parsed = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok().or_else(|| {
            let date = match text.len() {
                4 => format!("{text}-01-01"),
                7 => format!("{text}-01"),
                _ => return None,
            };
            date.parse::<jiff::civil::Date>().ok().map(Into::into)
        })?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    in_range(parsed.as_millisecond()).then_some(parsed)
}

/// A text value that is a time: `2026-11-21T12:41:19Z`, fraction and offset allowed.
fn as_time(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let shaped = (20..=35).contains(&bytes.len()) && bytes[4] == b'-' && bytes[10] == b'T';
    let time = shaped.then(|| text.parse::<Timestamp>().ok()).flatten()?;
    in_range(time.as_millisecond()).then(|| to_date(time))
}

/// A time as the index keeps it.
pub(crate) fn to_date(time: Timestamp) -> DateTime {
    let nanoseconds = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_nanos(nanoseconds)
}

struct Walk<'f> {
    fields: &'f Fields,
    document: TantivyDocument,
    text: Vec<(String, OwnedValue)>,
    path: String,
}

impl Walk<'_> {
    fn object(
        &mut self,
        object: Map<String, Value>,
    ) -> Result<Vec<(String, OwnedValue)>, Rejection> {
        let mut values = Vec::with_capacity(object.len());
        for (key, value) in object {
            let outer = self.path.len();
            if outer > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            // The event's time has a field of its own.
            if self.path != "@timestamp"
                && let Some(value) = self.value(value)?
            {
                values.push((key, value));
            }
            self.path.truncate(outer);
        }
        Ok(values)
    }

    /// What is indexed exactly of a value, if anything is.
    fn value(&mut self, value: Value) -> Result<Option<OwnedValue>, Rejection> {
        Ok(match value {
            Value::Null => None,
            Value::Bool(value) => Some(OwnedValue::Bool(value)),
            Value::Number(number) => self.number(&number),
            Value::String(text) => self.string(text),
            Value::Array(values) => {
                let mut kept = Vec::with_capacity(values.len());
                for value in values {
                    kept.extend(self.value(value)?);
                }
                (!kept.is_empty()).then_some(OwnedValue::Array(kept))
            }
            Value::Object(_) if is_text(&self.path) => {
                let reason = format!("{} is an object, and text is expected", self.path);
                return Err(Rejection::whole("mapping", reason));
            }
            Value::Object(object) => {
                let values = self.object(object)?;
                (!values.is_empty()).then_some(OwnedValue::Object(values))
            }
        })
    }

    fn number(&mut self, number: &Number) -> Option<OwnedValue> {
        if is_text(&self.path) {
            return self.string(number.to_string());
        }
        if let Some(value) = number.as_i64() {
            self.document.add_text(self.fields.all, value.to_string());
            return Some(OwnedValue::I64(value));
        }
        number.as_u64().map(OwnedValue::U64).or_else(|| number.as_f64().map(OwnedValue::F64))
    }

    fn string(&mut self, text: String) -> Option<OwnedValue> {
        if is_text(&self.path) {
            self.document.add_text(self.fields.names, &self.path);
            self.text.push((self.path.clone(), OwnedValue::Str(text)));
            return None;
        }
        if let Some(time) = as_time(&text) {
            return Some(OwnedValue::Date(time));
        }
        self.document.add_text(self.fields.all, &text);
        if text.len() > EXACT_BYTES_MAX {
            self.document.add_text(self.fields.names, &self.path);
            return None;
        }
        Some(OwnedValue::Str(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(source: &str) -> Option<String> {
        let (_, fields) = Fields::build();
        index_document(&fields, RecordId([1; 16]), "logs-a-b", source.as_bytes(), 0)
            .err()
            .map(|rejection| rejection.to_string())
    }

    #[test]
    fn a_document_needs_a_time_and_text_where_text_belongs() {
        for accepted in [
            r#"{"@timestamp":"2026-11-21T12:41:19.123456Z","message":["a","b"]}"#,
            r#"{"@timestamp":"2026-11-21T12:41:19+01:00"}"#,
            r#"{"@timestamp":"2026-11-21"}"#,
            r#"{"@timestamp":1700000000000,"message":5}"#,
        ] {
            assert_eq!(rejected(accepted), None, "{accepted}");
        }
        for refused in [
            r"[]",
            r#"{"@timestamp""#,
            r#"{"message":"no time"}"#,
            r#"{"@timestamp":"yesterday"}"#,
            r#"{"@timestamp":{"not":"a date"}}"#,
            r#"{"@timestamp":"2026-11-21","message":{"a":1}}"#,
        ] {
            let reason = rejected(refused).expect("a rejection");
            assert!(reason.starts_with("mapping: "), "{refused}: {reason}");
        }
    }
}
