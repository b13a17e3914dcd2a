//! A line with a time begins a record, and so does a JSON object.

use tahoe_seams::{Beginning, Cut, Framer};

use crate::find::find;
use crate::lines;
use crate::time::{self, Stamp};

/// Keys of the time in log4j's JSON layouts.
const TIME_KEYS: [&[u8]; 5] =
    [b"\"@timestamp\":", b"\"timestamp\":", b"\"instant\":", b"\"timeMillis\":", b"\"time\":"];

pub(super) struct LogFramer;

impl Framer for LogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let begins = |_: &[u8], line: &[u8]| stamp(line).is_some() || is_object(line);
        lines::cut(bytes, scanned, ended, &begins, &head)
    }
}

fn head(record: &[u8]) -> Beginning {
    match stamp(record) {
        None if is_object(record) => Beginning::Own,
        stamp => lines::head(record, stamp.map(|(_, length)| &record[..length])),
    }
}

/// A line that is one JSON object with a time, as far as its ends tell and the key of a layout's
/// time: a message may hold JSON too.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{\"")
        && line.ends_with(b"}")
        && TIME_KEYS.iter().any(|key| find(line, key).is_some())
}

/// `[time]` or `time ` at the start of a line, and its length.
pub(super) fn stamp(line: &[u8]) -> Option<(Stamp, usize)> {
    let bracket = usize::from(line.starts_with(b"["));
    let (stamp, length) = time::parse_iso(&line[bracket..])?;
    let end = bracket + length;
    let close = if bracket == 1 { b']' } else { b' ' };
    (line.get(end) == Some(&close)).then_some((stamp, end + 1))
}
