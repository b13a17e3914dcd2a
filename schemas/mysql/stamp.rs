//! The stamps of every version: `YYMMDD hh:mm:ss` up to MySQL 5.6 and MariaDB 10.0, where the hour
//! may be padded with a space; `YYYY-MM-DD hh:mm:ss`, so padded by MariaDB; and ISO 8601.

use crate::calendar::seconds_of;
use crate::find::{Find, find};
use crate::time::{self, Stamp};

/// Two-digit years from this one on are of the last century.
const CENTURY_PIVOT: i64 = 70;

/// A stamp at the start of `text`, and its length.
pub(crate) fn parse(text: &[u8]) -> Option<(Stamp, usize)> {
    match text.get(4)? {
        b'-' => of_four_digit_year(text),
        _ => of_two_digit_year(text),
    }
}

fn of_four_digit_year(text: &[u8]) -> Option<(Stamp, usize)> {
    if !matches!(text.get(10..12), Some(b"  ")) {
        return time::parse_iso(text);
    }
    let mut padded = *text.first_chunk::<19>()?;
    padded[11] = b'0';
    time::parse_iso(&padded)
}

fn of_two_digit_year(text: &[u8]) -> Option<(Stamp, usize)> {
    let head = text.first_chunk::<15>()?;
    if (head[6], head[9], head[12]) != (b' ', b':', b':') {
        return None;
    }
    let year = i64::from(two(head, 0)?);
    let year = if year < CENTURY_PIVOT { 2000 + year } else { 1900 + year };
    let hour = if head[7] == b' ' { digit(head[8])? } else { two(head, 7)? };
    let (month, day) = (two(head, 2)?, two(head, 4)?);
    let local_s = seconds_of(year, month, day, hour, two(head, 10)?, two(head, 13)?)?;
    let stamp = Stamp { local_s, nanos: 0, digits: 0, offset_s: None, year_assumed: false };
    Some((stamp, 15))
}

/// The text of the time in a row of a log's table, `{"…":…}`, that has both columns.
pub(crate) fn in_row<'a>(line: &'a [u8], time: &[u8], other: &[u8]) -> Option<&'a [u8]> {
    if !line.starts_with(b"{\"") {
        return None;
    }
    let text = &line[find(line, time)? + time.len()..];
    find(line, other)?;
    let (_, length) = parse(text)?;
    Some(&text[..length])
}

/// Seconds of the day that `hh:mm:ss` at the start of `text` says.
pub(crate) fn clock(text: &[u8]) -> Option<i64> {
    let head = text.first_chunk::<8>()?;
    if (head[2], head[5]) != (b':', b':') {
        return None;
    }
    let (hour, minute, second) = (two(head, 0)?, two(head, 3)?, two(head, 6)?);
    (hour < 24 && minute < 60 && second < 61).then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// Seconds since the epoch, with a fraction or none: `1553436105.123456`.
pub(crate) fn epoch(text: &str) -> Option<Stamp> {
    let (seconds, fraction) = text.split_on_byte(b'.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || seconds.len() > 11 || fraction.len() > 9 || !all_digits(fraction) {
        return None;
    }
    let local_s = seconds.parse::<u64>().ok()?.try_into().ok()?;
    let digits = u8::try_from(fraction.len()).ok()?;
    let scale = 10u32.pow(9 - u32::from(digits));
    let nanos = if digits == 0 { 0 } else { fraction.parse::<u32>().ok()? * scale };
    Some(Stamp::utc(local_s, nanos, digits))
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    Some(digit(*text.get(at)?)? * 10 + digit(*text.get(at + 1)?)?)
}

fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_writes_the_same_time() {
        let (expected, _) = time::parse_iso(b"2016-12-09 03:08:33").expect("a stamp");
        for text in ["161209  3:08:33", "161209 03:08:33", "2016-12-09  3:08:33"] {
            assert_eq!(parse(text.as_bytes()), Some((expected, text.len())), "{text}");
        }
        for none in ["161309  3:08:33", "16120", "161209  3-08-33", "2016-12-09  30:8:33", ""] {
            assert_eq!(parse(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn seconds_since_the_epoch_may_have_a_fraction() {
        let stamp = epoch("1553436105.250").expect("a stamp");
        assert_eq!((stamp.local_s, stamp.nanos, stamp.digits), (1_553_436_105, 250_000_000, 3));
        for none in ["", "-1", "1.x", "123456789012", "1.0123456789"] {
            assert_eq!(epoch(none), None, "{none}");
        }
    }
}
