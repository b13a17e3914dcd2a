//! What a server writes when it opens its general or slow log: its version, its port and socket,
//! and the heads of columns that the slow log does not have. No time is in it, so it goes with the
//! record that follows; where none follows soon, it is a record of its own.

use super::lines;
use crate::find::{Find, find};
use crate::time::Stamp;
use crate::{Event, fields};

/// A line that begins such a block: `mysqld, Version: 8.0.15 (…). started with:`.
pub(crate) fn begins(line: &[u8]) -> bool {
    line.ends_with(b"started with:") && find(line, b", Version: ").is_some()
}

/// Any line of such a block.
pub(crate) fn is_of(line: &[u8]) -> bool {
    line.starts_with(b"Tcp port: ")
        || line.starts_with(b"TCP Port: ")
        || (line.starts_with(b"Time ") || line.starts_with(b"Time\t"))
            && line.ends_with(b"Argument")
        || begins(line)
}

/// Splits a record into such blocks and what follows them.
pub(crate) fn split(text: &str) -> (&str, &str) {
    let mut at = 0;
    while at < text.len() {
        let (line, rest) = lines::split_first(&text[at..]);
        if !is_of(line.as_bytes()) {
            break;
        }
        at = text.len() - rest.len();
    }
    text.split_at(at)
}

/// Sets what a block says: `kept`, if it goes with a record; otherwise it is the message.
pub(crate) fn set<'a>(block: &'a str, kept: Option<crate::Field>, event: &mut Event<'a>) {
    let block = block.trim_end();
    if block.is_empty() {
        return;
    }
    event.set(kept.unwrap_or(fields::MESSAGE), block);
    let version = block.rsplit_on(", Version: ").map_or("", |(_, rest)| rest);
    let version = version.split([' ', '\n']).next().unwrap_or_default();
    if !version.is_empty() {
        event.set(fields::service::VERSION, version.trim_end_matches('.'));
    }
}

/// The event of a record that has nothing else in it.
pub(crate) fn alone<'a>(block: &'a str, before: Option<Stamp>, event: &mut Event<'a>) {
    set(block, None, event);
    event.time_assumed(before);
}
