//! A line with a connection's number and a command begins a record; others go on with the one
//! before. What the server writes when it opens the log goes with the record that follows.

use tahoe_seams::{Cut, Framer};

use super::head::Head;
use super::row;
use crate::datasets::mysql::{banner, lines, stamp};

pub(super) struct GeneralFramer;

impl Framer for GeneralFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        lines::cut(bytes, scanned, ended, &begins, &|record| lines::head(record, stamp_of(record)))
    }
}

fn begins(before: &[u8], line: &[u8]) -> bool {
    let begins = match Head::parse(line) {
        Some(head) => head.stamp.is_some() || !stamps_every_line(before),
        None => banner::begins(line) || row::time_text(line).is_some(),
    };
    begins && !banner::is_of(lines::last(before))
}

/// MySQL from 5.7 on writes a time of ISO 8601 before every command; a line that has none is of a
/// statement, whatever it looks like.
fn stamps_every_line(before: &[u8]) -> bool {
    let is_iso = |text: &[u8]| text.get(10) == Some(&b'T') && stamp::parse(text).is_some();
    let has_banner = || banner::is_of(lines::first(before));
    is_iso(before) || has_banner() && stamp_of(before).is_some_and(is_iso)
}

/// The text of the record's own time.
fn stamp_of(record: &[u8]) -> Option<&[u8]> {
    let mut rest = record;
    if let Some(text) = row::time_text(record) {
        return Some(text);
    }
    loop {
        let line = lines::first(rest);
        if banner::is_of(line) {
            rest = &rest[memchr::memchr(b'\n', rest)? + 1..];
            continue;
        }
        let head = Head::parse(line)?;
        return head.stamp.map(|_| &line[..head.stamp_end]);
    }
}
