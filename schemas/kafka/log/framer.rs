//! A line with a time begins a record; a JSON object is one.

use tahoe_seams::{Beginning, Cut, Framer};

use crate::datasets::app_json::json_stamp;
use crate::find::find;
use crate::time::{self, Stamp};
use crate::{LineFramer, lines};

/// Keys of the time in log4j's JSON layouts, and as others configure them.
const TIME_KEYS: [&[u8]; 6] = [
    b"\"@timestamp\":",
    b"\"timestamp\":",
    b"\"instant\":",
    b"\"timeMillis\":",
    b"\"time\":",
    b"\"ts\":",
];

pub(super) struct LogFramer;

impl Framer for LogFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        if bytes.starts_with(b"{\"")
            && let Cut::Record { text, end, .. } = LineFramer.cut(bytes, 0, ended)
            && is_object(bytes[..text].trim_ascii_end())
        {
            let text = bytes[..text].trim_ascii_end();
            // A line below that is none has the same time.
            let head = match object_stamp(text) {
                Some(stamp) => lines::head(text, Some(stamp)),
                None => Beginning::Own,
            };
            return Cut::Record { text: text.len(), end, head };
        }
        let begins = |_: &[u8], line: &[u8]| stamp(line).is_some() || is_object(line);
        lines::cut(bytes, scanned, ended, &begins, &head)
    }
}

fn head(record: &[u8]) -> Beginning {
    lines::head(record, stamp(record).map(|(_, length)| &record[..length]))
}

/// The text of an object's time; of log4j2's instant, which is an object, the seconds.
fn object_stamp(object: &[u8]) -> Option<&[u8]> {
    TIME_KEYS.iter().find_map(|key| {
        let rest = object[find(object, key)? + key.len()..].trim_ascii_start();
        let rest = rest.strip_prefix(b"{\"epochSecond\":").unwrap_or(rest);
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
        // A comma may stand before a fraction.
        let length = time::parse_iso(rest).map(|(_, length)| length);
        let end = || rest.iter().position(|byte| matches!(byte, b'"' | b',' | b'}'));
        let text = &rest[..length.or_else(end)?];
        carried(text).map(|_| text)
    })
}

/// The time of a text that was carried: a line's or an object's.
pub(super) fn carried(text: &[u8]) -> Option<Stamp> {
    let of_object = || json_stamp(std::str::from_utf8(text).ok()?);
    stamp(text).map(|(stamp, _)| stamp).or_else(of_object)
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
