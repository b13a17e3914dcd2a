//! The stamps that a line of syslog may begin with: RFC 3164's as it is really written (the day not
//! padded, the month in another language, a year before, inside or behind it, a zone behind it),
//! C's `asctime`, and ISO 8601; and those that journalctl, dmesg and the loggers of daemontools,
//! runit and s6 write ([`super::clock`]).

use super::clock;
use crate::time::{self, Stamp};
use crate::zone::one_meaning;

/// Bytes of `Mmm dd HH:MM:SS`.
const BSD_BYTES: usize = 15;
/// Bytes of ` YYYY`.
const YEAR_BYTES: usize = 5;
/// The longest abbreviation of a zone that is known.
const ZONE_BYTES_MAX: usize = 4;

/// A stamp of any kind and its length.
pub fn stamp(bytes: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let (mut stamp, mut used) = without_zone(bytes, read_at_ms)?;
    if stamp.offset_s.is_none()
        && let Some((offset_s, length)) = zone(&bytes[used..])
    {
        stamp.offset_s = Some(offset_s);
        used += length;
    }
    Some((stamp, used))
}

fn without_zone(bytes: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    match bytes.first()? {
        b'0'..=b'9' => {
            return time::parse_iso(bytes)
                .or_else(|| in_pairs(bytes))
                .or_else(|| year_first(bytes, read_at_ms))
                .or_else(|| clock::underscored(bytes))
                .or_else(|| clock::epoch(bytes));
        }
        b'[' => return clock::in_brackets(bytes),
        b'@' => return clock::tai64n(bytes),
        _ => {}
    }
    if let Some(found) = time::parse_rfc3164(bytes, read_at_ms) {
        // What follows is mostly a host.
        let is_year = matches!(bytes.get(found.1 + 1), Some(b'1' | b'2'));
        return is_year.then(|| year_last(bytes, found)).flatten().or(Some(found));
    }
    if let Some(found) = time::parse_month_first(bytes) {
        return Some(found);
    }
    if let Some(found) = of_other_month_name(bytes, read_at_ms) {
        return Some(found);
    }
    // `Oct 1 22:14:15`: the day is not padded.
    let head = bytes.first_chunk::<14>()?;
    if head[5] != b' ' {
        return time::parse_asctime(bytes).or_else(|| clock::behind_weekday(bytes));
    }
    let mut padded = [b' '; BSD_BYTES];
    padded[..4].copy_from_slice(&head[..4]);
    padded[5..].copy_from_slice(&head[4..]);
    time::parse_rfc3164(&padded, read_at_ms).map(|(stamp, _)| (stamp, 14))
}

/// `2026 Oct 11 22:14:15[.fraction]`, as Cisco's NX-OS writes it.
fn year_first(bytes: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    if bytes.get(4) != Some(&b' ') {
        return None;
    }
    let (clock, used) = time::parse_rfc3164(&bytes[YEAR_BYTES..], read_at_ms)?;
    let (stamp, _) = with_year(&bytes[YEAR_BYTES..], &bytes[..4])?;
    Some((Stamp { nanos: clock.nanos, digits: clock.digits, ..stamp }, YEAR_BYTES + used))
}

/// `Oct 11 22:14:15[.fraction] 2026 `: RFC 3164 (5.1) says that some write it so; Junos does.
fn year_last(bytes: &[u8], (clock, used): (Stamp, usize)) -> Option<(Stamp, usize)> {
    let [b' ', year @ .., b' '] = bytes.get(used..=used + YEAR_BYTES)? else { return None };
    if !matches!(year, [b'1', b'9', ..] | [b'2', b'0', ..]) {
        return None;
    }
    let (stamp, _) = with_year(bytes, year)?;
    Some((Stamp { nanos: clock.nanos, digits: clock.digits, ..stamp }, used + YEAR_BYTES))
}

/// `Mmm dd HH:MM:SS` with a year from elsewhere, which must be digits.
fn with_year(bytes: &[u8], year: &[u8]) -> Option<(Stamp, usize)> {
    let mut text = [b' '; BSD_BYTES + YEAR_BYTES];
    text[..7].copy_from_slice(bytes.get(..7)?);
    text[7..11].copy_from_slice(year);
    text[12..].copy_from_slice(bytes.get(7..BSD_BYTES)?);
    time::parse_month_first(&text)
}

/// `2026-10-11 time=22:14:15`, as Fortinet's devices write it.
fn in_pairs(bytes: &[u8]) -> Option<(Stamp, usize)> {
    let clock = bytes.get(10..24)?.strip_prefix(b" time=")?;
    let mut text = [b' '; 19];
    text[..10].copy_from_slice(&bytes[..10]);
    text[11..].copy_from_slice(clock);
    time::parse_iso(&text).map(|(stamp, _)| (stamp, 24))
}

/// A zone behind a stamp: an offset, ` UTC` and ` GMT`, or an abbreviation with one meaning before
/// a colon, as Cisco's devices write it; and its length.
fn zone(rest: &[u8]) -> Option<(i32, usize)> {
    let space = usize::from(*rest.first()? == b' ');
    let name = &rest[space..];
    if matches!(name.first(), Some(b'+' | b'-')) {
        let (offset_s, length) = time::parse_offset(name)?;
        let ends = matches!(name.get(length), None | Some(b' ' | b':'));
        return (length > 3 && ends).then_some((offset_s, space + length));
    }
    // What follows is mostly a host.
    if space == 0 || !name.first()?.is_ascii_uppercase() {
        return None;
    }
    let length = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let ends = match name.get(length) {
        None | Some(b':') => true,
        Some(b' ') => matches!(&name[..length], b"UTC" | b"GMT"),
        Some(_) => false,
    };
    if !ends || !(1..=ZONE_BYTES_MAX).contains(&length) {
        return None;
    }
    Some((one_meaning(&name[..length])?, 1 + length))
}

/// The months as strftime's `%b` writes them in French, German, Spanish, Italian and Portuguese
/// locales, where they differ from the English ones; no name means two months.
const OTHER_MONTHS: [(&str, &[u8; 3]); 28] = [
    ("janv", b"Jan"),
    ("ene", b"Jan"),
    ("gen", b"Jan"),
    ("févr", b"Feb"),
    ("fev", b"Feb"),
    ("mars", b"Mar"),
    ("mär", b"Mar"),
    ("märz", b"Mar"),
    ("avril", b"Apr"),
    ("avr", b"Apr"),
    ("abr", b"Apr"),
    ("mai", b"May"),
    ("mag", b"May"),
    ("juin", b"Jun"),
    ("giu", b"Jun"),
    ("juil", b"Jul"),
    ("lug", b"Jul"),
    ("août", b"Aug"),
    ("ago", b"Aug"),
    ("sept", b"Sep"),
    ("set", b"Sep"),
    ("okt", b"Oct"),
    ("ott", b"Oct"),
    ("out", b"Oct"),
    ("dez", b"Dec"),
    ("déc", b"Dec"),
    ("dic", b"Dec"),
    ("juli", b"Jul"),
];

/// The most bytes of such a name with its full stop.
const MONTH_BYTES_MAX: usize = 6;

/// `août 19 11:08:37`: RFC 3164's stamp from a system of another language.
fn of_other_month_name(bytes: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let window = &bytes[..bytes.len().min(MONTH_BYTES_MAX + 1)];
    let space = memchr::memchr(b' ', window)?;
    let name = std::str::from_utf8(&bytes[..space]).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let (_, english) = OTHER_MONTHS.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    let rest = &bytes[space..];
    // The day is one digit, two, or one after a second space.
    let padded = rest.get(2) == Some(&b' ');
    let used = if padded { 11 } else { 12 };
    let mut text = [b' '; BSD_BYTES];
    text[..3].copy_from_slice(*english);
    text[BSD_BYTES - used..].copy_from_slice(rest.get(..used)?);
    text[3] = b' ';
    let (stamp, _) = time::parse_rfc3164(&text, read_at_ms)?;
    Some((stamp, space + used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_in_the_languages_that_systems_are_set_to() {
        let read_at_ms = 1_700_000_000_000;
        let english = |text: &str| stamp(text.as_bytes(), read_at_ms);
        for (other, text) in [
            ("août 19 11:08:37 h", "Aug 19 11:08:37 h"),
            ("janv.  3 01:02:03", "Jan  3 01:02:03"),
            ("févr. 28 01:02:03", "Feb 28 01:02:03"),
            ("Okt 01 23:59:59", "Oct 01 23:59:59"),
            ("dic 7 10:00:00 x", "Dec  7 10:00:00 x"),
        ] {
            let (stamp, used) = english(other).expect("a stamp");
            assert_eq!(Some(stamp), english(text).map(|(stamp, _)| stamp), "{other}");
            assert!(other[..used].ends_with(&text[13..15]), "{other}: {used} bytes");
        }
        for none in ["août", "août 19", "août 32 11:08:37", "mais 19 11:08:37", "août 19 11:08"]
        {
            assert!(english(none).is_none(), "{none}");
        }
    }

    #[test]
    fn years_and_zones_are_read_wherever_they_stand() {
        let read = |text: &str| stamp(text.as_bytes(), 1_700_000_000_000);
        let expected = read("2023-10-11 22:14:15+00:00").map(|(stamp, _)| stamp.local_s);
        for (text, used, offset_s) in [
            ("2023 Oct 11 22:14:15 UTC: %A-1-B", 24, Some(0)),
            ("2023 Oct 11 22:14:15.123 sw1 x", 24, None),
            ("Oct 11 22:14:15 2023 h a: b", 20, None),
            ("Oct 11 22:14:15.000 2023 h a: b", 24, None),
            ("Wed Oct 11 22:14:15 2023 a: b", 24, None),
            ("Oct 11 2023 22:14:15 CEST: %A-1-B", 25, Some(7200)),
            ("Oct 11 22:14:15 CST: %A-1-B", 15, None),
            ("Oct 11 22:14:15 GMT h a: b", 19, Some(0)),
            ("Oct 11 22:14:15.5+0130 h a: b", 22, Some(5400)),
            ("Oct 11 22:14:15 +01:30 h a: b", 22, Some(5400)),
            ("Oct 11 22:14:15 CET h a: b", 15, None),
            ("Oct 11 22:14:15 2023", 15, None),
            ("2023-10-11 time=22:14:15 x", 24, None),
        ] {
            let (stamp, length) = read(text).expect(text);
            assert_eq!((length, stamp.offset_s), (used, offset_s), "{text}");
            assert_eq!(Some(stamp.local_s), expected, "{text}");
        }
        for none in ["2023 Oct 32 22:14:15 h", "20ab Oct 11 22:14:15 h", "2023-10-11 time=22:14:1"]
        {
            assert!(read(none).is_none(), "{none}");
        }
    }
}
