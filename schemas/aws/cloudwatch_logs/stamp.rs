//! The time that a record says itself: of an object, of a line's beginning, or in a line. Its text is
//! carried for records below that say none.

use crate::find::rfind;
use crate::object::whole;
use crate::time::{self, Stamp};

/// Bytes of a time that are carried.
const BYTES_MAX: usize = 40;
/// Bytes before which the time of an access log stands; S3's begins with 64 digits and a bucket.
const HEAD_BYTES_MAX: usize = 256;
/// Digits of milliseconds since the epoch; fewer may count something else.
const MS_DIGITS: std::ops::RangeInclusive<usize> = 11..=14;
/// Keys of a time in the messages that AWS's services write: of WAF, Lambda, Route 53, CloudTrail,
/// API Gateway and Kubernetes.
const KEYS: [&[u8]; 6] =
    [b"timestamp", b"time", b"query_timestamp", b"eventTime", b"requestTime", b"stageTimestamp"];

/// The time of a record that does not begin with one.
pub(super) fn own(record: &[u8]) -> Option<Stamp> {
    parse(if record.starts_with(b"{") { of_object(record)? } else { in_line(record)? })
}

/// The text of a record's last time: milliseconds of an object, or what a line begins with.
pub(super) fn text(record: &[u8]) -> Option<&[u8]> {
    if !matches!(record.first(), Some(b'{' | b'[')) {
        let head = time::parse_iso(record).map(|(_, used)| &record[..used]);
        return head.or_else(|| in_line(record)).filter(|text| text.len() <= BYTES_MAX);
    }
    of_log_event(record).or_else(|| of_object(record))
}

/// A time as it is carried.
pub(super) fn parse(text: &[u8]) -> Option<Stamp> {
    let whole = |(stamp, used): (Stamp, usize)| (used == text.len()).then_some(stamp);
    if let Some(stamp) = time::parse_clf(text).or_else(|| time::parse_iso(text)).and_then(whole) {
        return Some(stamp);
    }
    if !MS_DIGITS.contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let ms: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let nanos = u32::try_from(ms.rem_euclid(1000)).ok()? * 1_000_000;
    Some(Stamp::utc(ms.div_euclid(1000), nanos, 3))
}

/// The last of those that are in milliseconds, as log events have them.
fn of_log_event(record: &[u8]) -> Option<&[u8]> {
    let at = rfind(record, b"\"timestamp\"")? + b"\"timestamp\"".len();
    let rest = record[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    MS_DIGITS.contains(&digits).then(|| &rest[..digits])
}

/// The time of a service's message, which is one of its outermost keys.
fn of_object(record: &[u8]) -> Option<&[u8]> {
    let keys = whole(record.trim_ascii_end())?;
    KEYS.iter().find_map(|name| {
        let value = keys.iter().find(|entry| entry.key == *name)?.value;
        let inside = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        let text = inside.unwrap_or(value);
        (text.len() <= BYTES_MAX && parse(text).is_some()).then_some(text)
    })
}

/// A time in brackets, as web servers and S3 write it (`[dd/Mmm/yyyy:hh:mm:ss ±hhmm]`), or behind
/// the version of a query that Route 53 answered.
fn in_line(line: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = line.strip_prefix(super::route53::VERSION.as_bytes()) {
        return time::parse_iso(rest).map(|(_, used)| &rest[..used]);
    }
    let head = &line[..line.len().min(HEAD_BYTES_MAX)];
    let text = &head[memchr::memchr(b'[', head)? + 1..];
    time::parse_clf(text).map(|(_, used)| &text[..used])
}
