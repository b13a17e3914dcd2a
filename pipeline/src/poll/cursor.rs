//! Where a row stands in the order in which its table is read: the values of the columns that it is
//! read by. They are compared here as the database compares them, so only numbers and texts whose
//! order is that of their bytes are taken: times of one form, UUIDs, text of a binary collation.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A value of one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// A whole number.
    #[serde(rename = "n")]
    Number(i128),
    /// Text in the order of its bytes; a time without the `Z` of its zone, which would order it
    /// behind its own fractions.
    #[serde(rename = "t")]
    Text(String),
}

/// The values of all columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub Vec<Part>);

impl Part {
    /// From the value as it stands in a record; `None` for one that has no order here.
    pub fn of_json(value: &[u8]) -> Option<Self> {
        match value.first()? {
            b'"' => serde_json::from_slice(value).ok().map(Self::of_text),
            _ => std::str::from_utf8(value).ok()?.parse().ok().map(Self::Number),
        }
    }

    fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::of_text(text.clone())),
            Value::Number(number) => number.to_string().parse().ok().map(Self::Number),
            _ => None,
        }
    }

    fn of_text(mut text: String) -> Self {
        let is_time = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
        if is_time {
            text.pop();
        }
        Self::Text(text)
    }
}

impl Cursor {
    /// From a record's bytes, where `at` names the object with the columns (`/after`), or nothing.
    pub fn of_record(record: &[u8], at: &str, columns: &[String]) -> Option<Self> {
        let record: Value = serde_json::from_slice(record).ok()?;
        let row = record.pointer(at)?;
        let parts = columns.iter().map(|column| Part::of_value(row.get(column)?));
        parts.collect::<Option<_>>().map(Self)
    }

    /// Memory that a cursor takes, about, where many are kept in order.
    pub fn bytes(&self) -> usize {
        let text = |part: &Part| match part {
            Part::Number(_) => 0,
            Part::Text(text) => text.len(),
        };
        96 + self.0.iter().map(|part| 32 + text(part)).sum::<usize>()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            match part {
                Part::Number(number) => write!(out, "{between}{number}")?,
                Part::Text(text) => write!(out, "{between}{text}")?,
            }
        }
        Ok(())
    }
}

/// What a point of a polled table says, as JSON of version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    v: u32,
    /// Columns that the table is read by: others begin anew.
    pub by: Vec<String>,
    /// Every row up to here was given, and no other will come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// No other row will come up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Cursor>,
}

impl Point {
    const VERSION: u32 = 1;

    pub fn new(by: &[String], after: Option<Cursor>, settled: Option<Cursor>) -> Self {
        Self { v: Self::VERSION, by: by.to_vec(), after, settled }
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// `None` if it is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|point: &Self| point.v == Self::VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn a_point_reads_back_as_it_was_and_nothing_else_does() {
        let after =
            Some(Cursor(vec![text("2026-11-21T09:00:00.5"), Part::Number(u64::MAX.into())]));
        let by = ["at".to_owned(), "id".to_owned()];
        let point = Point::new(&by, after, None);
        assert_eq!(Point::decode(&point.encode()), Some(point));
        assert_eq!(Point::decode(br#"{"v":2,"by":[]}"#), None);
        assert_eq!(Point::decode(b""), None);
    }

    #[test]
    fn a_cursor_is_the_same_from_a_column_and_from_its_record() {
        let record =
            br#"{"op":"read","after":{"id":18446744073709551615,"at":"2026-11-21T09:00:00Z"}}"#;
        let columns = ["at".to_owned(), "id".to_owned()];
        let found = Cursor::of_record(record, "/after", &columns).expect("both are there");
        let part = |json: &str| Part::of_json(json.as_bytes()).expect("it has an order");
        let parts = [r#""2026-11-21T09:00:00Z""#, "18446744073709551615"].map(part);
        assert_eq!(found, Cursor(parts.to_vec()));
        assert_eq!(Cursor::of_record(record, "", &columns), None);
        assert_eq!(Part::of_json(b"null"), None);
    }

    #[test]
    fn times_are_ordered_with_their_fractions_and_numbers_by_their_value() {
        let part = |json: &str| Part::of_json(json.as_bytes()).expect("it has an order");
        assert!(part(r#""2026-11-21T09:00:00Z""#) < part(r#""2026-11-21T09:00:00.25Z""#));
        assert!(part(r#""2026-11-21T09:00:00.25Z""#) < part(r#""2026-11-21T09:00:00.3Z""#));
        assert!(part("-7") < part("3") && part("9") < part("10"));
    }
}
