//! MySQL 8's `log_sink_json`: one object a line
//! (<https://dev.mysql.com/doc/refman/8.4/en/error-log-json.html>); and the objects that Docker
//! (`log`), Google Cloud (`textPayload`) and collectors (`message`) put around a line.

use super::parser;
use crate::datasets::mysql::stamp;
use crate::find::find;
use crate::object::{flattened, scalar};
use crate::scan::{Entries, Entry};
use crate::time::{self, Stamp};
use crate::{Event, fields};

/// A line that is such an object, as far as its ends tell.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && line.trim_ascii_end().ends_with(b"}")
}

/// The text of its time, found without reading the rest.
pub(super) fn time_text(line: &[u8]) -> Option<&[u8]> {
    if !is_object(line) {
        return None;
    }
    let key = |name: &[u8]| find(line, name).map(|at| at + name.len());
    let rest = &line[key(b"\"time\"").or_else(|| key(b"\"timestamp\""))?..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"")?;
    let (_, length) = stamp::parse(rest)?;
    Some(&rest[..length])
}

/// Sets the fields of an object, and keeps what stood around it.
pub(super) fn set<'a>(mut entries: Entries<'a>, around: Entries<'a>, event: &mut Event<'a>) {
    entries.retain(|entry| !set_key(entry, event));
    for entry in around {
        // A key that occurs twice is refused by the store.
        if !entries.iter().any(|inside| inside.key == entry.key) {
            entries.push(entry);
        }
    }
    keep(&entries, event);
}

/// Keeps the keys that have no field.
pub(super) fn keep<'a>(others: &[Entry<'a>], event: &mut Event<'a>) {
    if let Some(value) = flattened(others, fields::mysql::error::FIELDS, event) {
        event.set(fields::mysql::error::FIELDS, value);
    }
}

/// A line inside of an object, the time beside it, and the other keys.
pub(super) struct Wrapped<'a> {
    pub line: &'a str,
    pub stamp: Option<Stamp>,
    pub around: Entries<'a>,
}

/// Takes the line out of an object; `None` if it has none.
pub(super) fn line_in<'a>(entries: &Entries<'a>, event: &Event<'a>) -> Option<Wrapped<'a>> {
    let has = |key: &[u8]| entries.iter().any(|entry| entry.key == key);
    let names: [&[u8]; 3] = [b"log", b"textPayload", b"message"];
    let name = names.into_iter().find(|name| has(name)).filter(|_| !has(b"msg"))?;
    let (mut line, mut stamp, mut around) = (None, None, Entries::new());
    for entry in entries {
        let value = scalar(entry.value, event);
        match (entry.key, value) {
            (key, Some(value)) if key == name && line.is_none() => line = Some(value.trim_end()),
            (b"time" | b"timestamp" | b"@timestamp", Some(value)) if stamp.is_none() => {
                let whole = time::parse_iso(value.as_bytes());
                stamp = whole.filter(|(_, length)| *length == value.len()).map(|(stamp, _)| stamp);
                if stamp.is_none() {
                    around.push(*entry);
                }
            }
            _ => around.push(*entry),
        }
    }
    Some(Wrapped { line: line?, stamp, around })
}

/// Says whether the key became a field.
fn set_key<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    let Some(text) = scalar(entry.value, event) else { return false };
    let number = text.parse::<u64>().ok();
    match (entry.key, number) {
        (b"time", _) => match stamp::parse(text.as_bytes()) {
            Some((stamp, length)) if length == text.len() => event.time(stamp),
            _ => return false,
        },
        // The same time in milliseconds.
        (b"ts", Some(_)) => return event.has(fields::TIMESTAMP),
        (b"msg", _) => event.set(fields::MESSAGE, text),
        (b"label", _) => parser::set_level(text, event),
        (b"prio", Some(0)) => set_level_if_absent("System", event),
        (b"prio", Some(1)) => set_level_if_absent("Error", event),
        (b"prio", Some(2)) => set_level_if_absent("Warning", event),
        (b"prio", Some(3)) => set_level_if_absent("Note", event),
        (b"err_code", Some(code)) => {
            let code = event.format(format_args!("MY-{code:06}"));
            event.set(fields::event::CODE, code);
        }
        (b"err_symbol", _) => event.set(fields::mysql::error::SYMBOL, text),
        (b"SQL_state", _) => event.set(fields::mysql::error::SQL_STATE, text),
        (b"subsystem", _) => event.set(fields::event::PROVIDER, text),
        (b"thread", Some(thread)) => event.set(fields::mysql::THREAD_ID, thread),
        (b"source_file", _) => event.set(fields::log::origin::file::NAME, text),
        (b"source_line", Some(line)) => event.set(fields::log::origin::file::LINE, line),
        (b"function", _) => event.set(fields::log::origin::FUNCTION, text),
        _ => return false,
    }
    true
}

fn set_level_if_absent<'a>(level: &'a str, event: &mut Event<'a>) {
    if !event.has(fields::log::LEVEL) {
        parser::set_level(level, event);
    }
}
