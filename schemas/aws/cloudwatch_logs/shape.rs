//! The objects that log events come in.

use smallvec::SmallVec;

use crate::object::whole;
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
/// Keys that hold the log events of an object.
const LISTS: [&[u8]; 2] = [b"logEvents", b"events"];

/// An object of log events.
pub(super) struct Envelope<'a> {
    /// What is said of all of them.
    pub common: Entries<'a>,
    /// Their objects.
    pub events: SmallVec<[&'a [u8]; 4]>,
}

impl<'a> Envelope<'a> {
    /// Reads a text; `None` if it is no such object. A list of log events is one too.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let entries = whole(text)?;
        if text.starts_with(b"[") {
            let events: SmallVec<[&[u8]; 4]> = entries.iter().map(|entry| entry.value).collect();
            let all = !events.is_empty() && events.iter().all(|event| is_log_event(event, false));
            return all.then(|| Self { common: Entries::new(), events });
        }
        let list = entries
            .iter()
            .find(|entry| LISTS.contains(&entry.key) && entry.value.starts_with(b"["));
        let Some(list) = list else {
            let is_one = is_log_event(text, true);
            return is_one
                .then(|| Self { common: Entries::new(), events: [text].into_iter().collect() });
        };
        let key = list.key;
        let events: SmallVec<[&[u8]; 4]> =
            whole(list.value)?.iter().map(|entry| entry.value).collect();
        let all = !events.is_empty() && events.iter().all(|event| is_log_event(event, false));
        let common = entries.into_iter().filter(|entry| entry.key != key).collect();
        all.then_some(Self { common, events })
    }
}

/// Has a time in milliseconds and a message; one that stands alone needs more to be known by.
fn is_log_event(text: &[u8], alone: bool) -> bool {
    let Some(entries) = whole(text).filter(|_| text.starts_with(b"{")) else { return false };
    let value = |key: &[u8]| entries.iter().find(|entry: &&Entry<'_>| entry.key == key);
    let is_time =
        value(b"timestamp").is_some_and(|entry| entry.value.iter().all(u8::is_ascii_digit));
    let is_text = value(b"message").is_some_and(|entry| entry.value.starts_with(b"\""));
    let is_marked = !alone || entries.iter().any(|entry| MARKS.contains(&entry.key));
    is_time && is_text && is_marked
}
