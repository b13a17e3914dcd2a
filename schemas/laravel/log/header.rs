//! `[2026-03-04 09:27:05.123456+01:00] channel.LEVEL: `, the only mark of a record's beginning.

use memchr::memchr_iter;

use crate::time::{self, Stamp};
use crate::{Event, zone_is_known};

/// Monolog's levels with their numbers.
pub(super) const LEVELS: [(&str, u16); 8] = [
    ("DEBUG", 100),
    ("INFO", 200),
    ("NOTICE", 250),
    ("WARNING", 300),
    ("ERROR", 400),
    ("CRITICAL", 500),
    ("ALERT", 550),
    ("EMERGENCY", 600),
];

/// Bytes within which a header ends; channels are short words.
pub(super) const HEADER_BYTES_MAX: usize = 192;

/// Where the pieces of a header are in its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// One past the last byte of the stamp, which begins at 1.
    pub stamp_end: usize,
    /// The channel; the level's name follows after a dot.
    pub channel: (usize, usize),
    pub level_end: usize,
}

impl Header {
    /// Whether `text` begins with a header. The stamp has the shape of one and may be impossible.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = &text[..text.len().min(HEADER_BYTES_MAX)];
        let date = text.strip_prefix(b"[")?.first_chunk::<19>()?;
        let shaped = date.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => matches!(byte, b' ' | b'T'),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
        if !shaped {
            return None;
        }
        let stamp_end = 20 + text[20..].iter().position(|byte| matches!(byte, b']' | b'\n'))?;
        let from = stamp_end + 2;
        let rest = text.get(stamp_end..)?.strip_prefix(b"] ")?;
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        memchr_iter(b':', line).find_map(|colon| {
            if !matches!(line.get(colon + 1), None | Some(b' ' | b'\r')) {
                return None;
            }
            let dot = memchr::memrchr(b'.', &line[..colon])?;
            let name = &line[dot + 1..colon];
            LEVELS.iter().find(|(level, _)| level.as_bytes() == name)?;
            Some(Self { stamp_end, channel: (from, from + dot), level_end: from + colon })
        })
    }
}

/// The stamp between the brackets, and the zone that it names if that is a word.
pub(super) fn stamp(text: &str) -> Option<(Stamp, Option<&str>)> {
    let (stamp, used) = time::parse_iso(text.as_bytes())?;
    let zone = text.get(used..)?.trim_start();
    if zone.is_empty() {
        return Some((stamp, None));
    }
    zone_is_known(zone).then_some((stamp, Some(zone)))
}

/// As [`stamp`], for a day that its month does not have (`2015-01-00`, `2023-02-30`): the nearest
/// one that it has.
pub(super) fn nearest_stamp<'a>(
    text: &'a str,
    event: &Event<'a>,
) -> Option<(Stamp, Option<&'a str>)> {
    let days: &[&str] = match text.get(8..10)? {
        "00" => &["01"],
        "29" | "30" | "31" => &["30", "29", "28"],
        _ => return None,
    };
    let (before, after) = (&text[..8], &text[10..]);
    days.iter().find_map(|day| stamp(event.format(format_args!("{before}{day}{after}"))))
}
