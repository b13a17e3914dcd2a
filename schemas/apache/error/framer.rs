//! A record of Apache's own is a line. Lines between two of them are one record.

use tahoe_seams::{Cut, Framer};

use crate::find::find;
use crate::lines;
use crate::time::{self, Stamp};

pub(super) struct ErrorFramer;

impl Framer for ErrorFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let own = is_own(lines::first(bytes));
        let begins = |_: &[u8], line: &[u8]| own || is_own(line);
        lines::cut(bytes, scanned, ended, &begins, &|record| {
            lines::head(record, stamp(record).map(|(_, length)| &record[..length]))
        })
    }
}

/// `[time]` at the start of a line, and its length. The time may be compact (`%{cu}t`).
pub(super) fn stamp(line: &[u8]) -> Option<(Stamp, usize)> {
    let inside = line.strip_prefix(b"[")?;
    let (stamp, length) = time::parse_asctime(inside).or_else(|| time::parse_iso(inside))?;
    (inside.get(length) == Some(&b']')).then_some((stamp, length + 2))
}

/// A line that Apache wrote, with a time or, as it is sent to syslog, without.
fn is_own(line: &[u8]) -> bool {
    let head = &line[..line.len().min(64)];
    stamp(line).is_some() || line.starts_with(b"[") && find(head, b"] [pid ").is_some()
}
