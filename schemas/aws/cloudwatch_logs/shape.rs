//! The objects that log events come in.

use crate::object::{object_parts, parts, whole};
use crate::scan::{Entries, Entry};

/// Keys that only a log event has, of which an object needs one to be taken for it.
const MARKS: [&[u8]; 10] = [
    b"logGroup",
    b"logGroupName",
    b"log_group",
    b"logStream",
    b"logStreamName",
    b"log_stream",
    b"ingestionTime",
    b"ingestion_time",
    b"eventId",
    b"owner",
];
/// More log events in one object make their list grow.
const EVENTS_USUAL: usize = 64;
/// Keys that hold the log events of an object.
const LISTS: [&[u8]; 2] = [b"logEvents", b"events"];

/// An object of log events.
pub(super) struct Envelope<'a> {
    /// What is said of all of them.
    pub common: Entries<'a>,
    pub events: Vec<LogEvent<'a>>,
}

/// One log event.
pub(super) struct LogEvent<'a> {
    /// All of its object.
    pub text: &'a [u8],
    pub keys: Entries<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads a text; `None` if it is no such object. A list of log events is one too.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let keys = whole(text)?;
        if text.starts_with(b"[") {
            return Some(Self { common: Entries::new(), events: LogEvent::list(&keys)? });
        }
        let list =
            keys.iter().find(|entry| LISTS.contains(&entry.key) && entry.value.starts_with(b"["));
        let Some(list) = list else {
            let is_marked = keys.iter().any(|entry| MARKS.contains(&entry.key));
            let event = LogEvent { text, keys };
            let is_one = is_marked && event.is_one();
            return is_one.then(|| Self { common: Entries::new(), events: vec![event] });
        };
        let key = list.key;
        let events = LogEvent::list(&parts(list.value))?;
        let common = keys.into_iter().filter(|entry| entry.key != key).collect();
        Some(Self { common, events })
    }
}

impl<'a> LogEvent<'a> {
    /// Those of a list; `None` if it has others, or none.
    fn list(list: &[Entry<'a>]) -> Option<Vec<Self>> {
        let mut events = Vec::with_capacity(list.len().min(EVENTS_USUAL));
        for Entry { value: text, .. } in list {
            let event = Self { text, keys: object_parts(text) };
            if !event.is_one() {
                return None;
            }
            events.push(event);
        }
        (!events.is_empty()).then_some(events)
    }

    /// Has a time in milliseconds and a message; what stands alone needs more to be known by.
    fn is_one(&self) -> bool {
        let value = |key: &[u8]| {
            self.keys.iter().find(|entry| entry.key == key).map_or(&b""[..], |entry| entry.value)
        };
        let time = value(b"timestamp");
        let is_time = !time.is_empty() && time.iter().all(u8::is_ascii_digit);
        is_time && value(b"message").starts_with(b"\"")
    }
}
