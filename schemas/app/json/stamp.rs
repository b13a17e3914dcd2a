//! Times as JSON holds them: text of ISO 8601 or of a web server, or a number since the epoch.

use crate::find::{Find, trim};
use crate::time::{self, Stamp};

/// Bytes of a time that are carried.
const STAMP_BYTES_MAX: usize = 64;
/// Keys of a time, most usual first.
const KEYS: [&[u8]; 6] =
    [b"\"@timestamp\"", b"\"timestamp\"", b"\"time\"", b"\"ts\"", b"\"@t\"", b"\"datetime\""];

/// A time that fills `text`.
pub(crate) fn parse(text: &str) -> Option<Stamp> {
    let text = trim(text);
    // Apache's `%t` has brackets.
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bytes = bare.as_bytes();
    // Java names the zone behind its offset: `+02:00[Europe/Madrid]`.
    let is_zone = |rest: &[u8]| matches!(rest, [b'[', .., b']']);
    let whole = |(stamp, used): &(Stamp, usize)| {
        *used == bytes.len() || stamp.offset_s.is_some() && is_zone(&bytes[*used..])
    };
    let written =
        time::parse_iso(bytes).filter(whole).or_else(|| time::parse_clf(bytes).filter(whole));
    written.map(|(stamp, _)| stamp).or_else(|| since_epoch(text))
}

/// A number below 10^11 is of seconds (until the year 5138), a larger one of milliseconds (since
/// 1973), and from 10^14 and 10^17 on of micro- and nanoseconds. No digit is lost.
fn since_epoch(text: &str) -> Option<Stamp> {
    let (whole, fraction) = text.split_on_byte(b'.').unwrap_or((text, ""));
    let number: u64 = match whole.parse() {
        Ok(number) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => number,
        _ => return exponential(text),
    };
    let per_second: u64 = match number {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    let unit = 1_000_000_000 / per_second;
    let mut nanos = number % per_second * unit;
    let mut digits = per_second.ilog10() as u8;
    let mut worth = unit;
    for byte in fraction.bytes().take(usize::from(9 - digits)) {
        worth /= 10;
        nanos += u64::from(byte - b'0') * worth;
        digits += 1;
    }
    Some(Stamp::utc(i64::try_from(number / per_second).ok()?, u32::try_from(nanos).ok()?, digits))
}

/// `1.7726164e9` seconds.
fn exponential(text: &str) -> Option<Stamp> {
    let seconds: f64 = text.parse().ok().filter(|seconds| (0.0..1e11).contains(seconds))?;
    let nanos = (seconds.fract() * 1e6).round() * 1e3;
    Some(Stamp::utc(seconds as i64, nanos as u32, 6))
}

/// The text of an object's time, found without reading the rest: as in the document, it is that of
/// the first key that has one.
pub(super) fn text(object: &[u8]) -> Option<&[u8]> {
    let begins = |(_, [quote, first]): &(usize, &[u8; 2])| {
        *quote == b'"' && matches!(first, b'@' | b't' | b'd')
    };
    object.array_windows().enumerate().filter(begins).find_map(|(at, _)| {
        let key = KEYS.iter().find(|key| object[at..].starts_with(key))?;
        value(&object[at + key.len()..])
    })
}

/// The time behind a key.
fn value(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let rest = &rest[..rest.len().min(STAMP_BYTES_MAX)];
    if let Some((_, used)) = time::parse_iso(rest)
        && let Some(b'"' | b',' | b'}') = rest.get(used)
    {
        return Some(&rest[..used]);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b',' | b'}'))?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    parse(text).map(|_| text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Option<String> {
        let mut out = Vec::new();
        let stamp = parse(text)?;
        stamp.at_offset(stamp.offset_s.unwrap_or(0)).write(&mut out);
        Some(String::from_utf8(out).expect("it is ASCII"))
    }

    #[test]
    fn numbers_since_the_epoch_keep_all_their_digits() {
        for (text, expected) in [
            ("1772616425", "2026-03-04T09:27:05.000Z"),
            ("1772616425.123456", "2026-03-04T09:27:05.123456Z"),
            ("1772616425123", "2026-03-04T09:27:05.123Z"),
            ("1772616425123.5", "2026-03-04T09:27:05.1235Z"),
            ("1772616425123456", "2026-03-04T09:27:05.123456Z"),
            ("1772616425123456789", "2026-03-04T09:27:05.123456789Z"),
            ("1.772616425e9", "2026-03-04T09:27:05.000000Z"),
            ("04/Mar/2026:10:27:05 +0100", "2026-03-04T09:27:05.000Z"),
            ("[04/Mar/2026:10:27:05 +0100]", "2026-03-04T09:27:05.000Z"),
            ("2026-03-04T10:27:05.123+01:00[Europe/Madrid]", "2026-03-04T09:27:05.123Z"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "x", "-1", "1.2.3", "1e300", "99999999999999999999999", "12:00", "["] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn an_object_has_the_time_of_the_first_key_that_has_one() {
        for (object, expected) in [
            (r#"{"level":"info","ts":1772616425.5,"msg":"x"}"#, Some("1772616425.5")),
            (
                r#"{"time":"12 ms","@timestamp":"2026-03-04T09:27:05Z"}"#,
                Some("2026-03-04T09:27:05Z"),
            ),
            (
                r#"{"a":"\"time\":1","time" : "2026-03-04T09:27:05Z","ts":1}"#,
                Some("2026-03-04T09:27:05Z"),
            ),
            // Elasticsearch's own, whose comma ends nothing.
            (
                r#"{"type":"server","timestamp":"2026-03-04T09:27:05,123+0100","x":1}"#,
                Some("2026-03-04T09:27:05,123+0100"),
            ),
            (r#"{"times":1772616425,"tsv":2}"#, None),
            (r#"{"time""#, None),
        ] {
            assert_eq!(text(object.as_bytes()), expected.map(str::as_bytes), "{object}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in ".{0,40}", digits in "[0-9.eE+-]{0,30}") {
            let _ = (parse(&text), parse(&digits), super::text(text.as_bytes()));
        }
    }
}
