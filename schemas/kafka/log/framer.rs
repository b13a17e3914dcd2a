//! A line with a time begins a record.

use tahoe_seams::{Cut, Framer};

use crate::lines;
use crate::time::{self, Stamp};

pub(super) struct LogFramer;

impl Framer for LogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let begins = |_: &[u8], line: &[u8]| stamp(line).is_some();
        lines::cut(bytes, scanned, ended, &begins, &|record| stamp(record).is_none())
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        if let Some((_, length)) = stamp(record) {
            lines::carry_stamp(&record[..length], context);
        }
    }
}

/// `[time]` or `time ` at the start of a line, and its length.
pub(super) fn stamp(line: &[u8]) -> Option<(Stamp, usize)> {
    let bracket = usize::from(line.starts_with(b"["));
    let (stamp, length) = time::parse_iso(&line[bracket..])?;
    let end = bracket + length;
    let close = if bracket == 1 { b']' } else { b' ' };
    (line.get(end) == Some(&close)).then_some((stamp, end + 1))
}
