//! Stamps that stand before a message by the doing of its logger or reader, and not of syslog.
//! Behind most of them no host follows ([`precedes_a_message`]).

use crate::time::{self, Stamp};
use crate::zone::one_meaning;

/// Digits of a number of seconds since the epoch, from 2001 until 2286.
const EPOCH_DIGITS: usize = 10;
/// The longest name of a zone in the zone database.
const ZONE_BYTES_MAX: usize = 5;
/// `YYYY-MM-DD`
const DATE_BYTES: usize = 10;
/// `YYYY-MM-DD_HH:MM:SS.` and nine digits.
const UNDERSCORED_BYTES_MAX: usize = 29;

/// What TAI64N counts from, as daemontools, runit and the readers of Elastic and Logstash have it:
/// 1970 as if there had been ten leap seconds and none since. s6, which knows the others, is ahead
/// by their number, 27 since 2017; the text does not say whose it is.
const TAI64N_EPOCH: u64 = (1 << 62) + 10;

/// Whether the text behind a stamp is a message that no host precedes.
pub(super) fn precedes_a_message(stamp: &[u8]) -> bool {
    match stamp {
        [b'[' | b'@', ..] => true,
        [b'0'..=b'9', ..] => is_of_svlogd(stamp) || is_of_dmesg(stamp),
        _ => false,
    }
}

fn is_of_svlogd(stamp: &[u8]) -> bool {
    stamp.get(DATE_BYTES) == Some(&b'_')
}

/// `2026-11-21T09:00:21,123456+01:00`: a comma, microseconds and an offset (`dmesg --time-format
/// iso`). Others who write a comma write milliseconds.
fn is_of_dmesg(stamp: &[u8]) -> bool {
    stamp.get(19) == Some(&b',')
        && stamp.get(DATE_BYTES) == Some(&b'T')
        && matches!(stamp.get(26), Some(b'+' | b'-'))
}

/// `[Sat Nov 21 09:00:20 2026]` (`dmesg --ctime`).
pub(super) fn in_brackets(bytes: &[u8]) -> Option<(Stamp, usize)> {
    let (stamp, used) = time::parse_asctime(bytes.get(1..)?)?;
    (bytes.get(1 + used) == Some(&b']')).then_some((stamp, used + 2))
}

/// `@`, 16 digits for the second and eight for the nanosecond (multilog, svlogd, s6-log).
pub(super) fn tai64n(bytes: &[u8]) -> Option<(Stamp, usize)> {
    const DIGITS: usize = 24;
    let digits = bytes.get(1..=DIGITS)?;
    let is_alone = matches!(bytes.get(DIGITS + 1), None | Some(b' '));
    if !is_alone || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let (label, nanos) = std::str::from_utf8(digits).ok()?.split_at(DIGITS - 8);
    let seconds = u64::from_str_radix(label, 16).ok()?.checked_sub(TAI64N_EPOCH)?;
    let nanos = u32::from_str_radix(nanos, 16).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some((Stamp::utc(i64::try_from(seconds).ok()?, nanos, 9), DIGITS + 1))
}

/// `2026-11-21_09:00:32.12345`, in UTC (`svlogd -tt`).
pub(super) fn underscored(bytes: &[u8]) -> Option<(Stamp, usize)> {
    if !is_of_svlogd(bytes) {
        return None;
    }
    let mut text = [0; UNDERSCORED_BYTES_MAX];
    let length = bytes.len().min(UNDERSCORED_BYTES_MAX);
    text[..length].copy_from_slice(&bytes[..length]);
    text[DATE_BYTES] = b'T';
    let (stamp, used) = time::parse_iso_local(&text)?;
    Some((Stamp { offset_s: Some(0), ..stamp }, used))
}

/// `1795251613.123456 `: seconds since the epoch with a fraction (journalctl's `short-unix`).
pub(super) fn epoch(bytes: &[u8]) -> Option<(Stamp, usize)> {
    let (stamp, used) = seconds(bytes)?;
    (stamp.digits > 0 && matches!(bytes.get(used), None | Some(b' '))).then_some((stamp, used))
}

/// The same with or without a fraction, whatever follows.
pub(super) fn seconds(bytes: &[u8]) -> Option<(Stamp, usize)> {
    let (whole, rest) = bytes.split_at_checked(EPOCH_DIGITS)?;
    let is_number = whole[0] != b'0' && whole.iter().all(u8::is_ascii_digit);
    if !is_number || rest.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let second = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let (nanos, digits, used) = time::parse_fraction(rest);
    Some((Stamp::utc(second, nanos, digits), EPOCH_DIGITS + used))
}

/// `Sat 2026-11-21 09:00:00[.fraction] CET `: journalctl's `short-full` and `with-unit`, in which
/// a zone always follows; one that has several meanings says nothing.
pub(super) fn behind_weekday(bytes: &[u8]) -> Option<(Stamp, usize)> {
    const WEEKDAYS: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
    const AT: usize = "Sat ".len();
    let (weekday, rest) = bytes.split_at_checked(AT)?;
    let (stamp, used) = time::parse_iso(rest).filter(|_| WEEKDAYS.contains(&weekday))?;
    let zone = match rest[used..].strip_prefix(b" ") {
        Some(zone) if stamp.offset_s.is_none() => zone,
        _ => return Some((stamp, AT + used)),
    };
    let length = zone.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if !(1..=ZONE_BYTES_MAX).contains(&length) || zone.get(length) != Some(&b' ') {
        return Some((stamp, AT + used));
    }
    Some((Stamp { offset_s: one_meaning(&zone[..length]), ..stamp }, AT + used + 1 + length))
}

#[cfg(test)]
mod tests {
    use super::super::stamp::stamp;
    use super::*;

    #[test]
    fn loggers_and_readers_have_stamps_of_their_own() {
        // 2026-11-21T09:00:20Z
        const SECOND: i64 = 1_795_251_620;
        for (text, used, nanos, offset_s, is_alone) in [
            ("[Sat Nov 21 09:00:20 2026] usb 1-1: x", 26, 0, None, true),
            ("@400000006b015dae075bcd15 x", 25, 123_456_789, Some(0), true),
            ("2026-11-21_09:00:20.12345 x", 25, 123_450_000, Some(0), true),
            ("2026-11-21_09:00:20.123456789", 29, 123_456_789, Some(0), true),
            ("2026-11-21T09:00:20,123456+01:00 usb 1-1: x", 32, 123_456_000, Some(3600), true),
            ("2026-11-21T09:00:20.123456+01:00 h a: x", 32, 123_456_000, Some(3600), false),
            ("1795251620.123456 h a: x", 17, 123_456_000, Some(0), false),
            ("Sat 2026-11-21 09:00:20 UTC h a: x", 27, 0, Some(0), false),
            ("Sat 2026-11-21 09:00:20 CET h a: x", 27, 0, Some(3600), false),
            ("Sat 2026-11-21 09:00:20 CST h a: x", 27, 0, None, false),
            ("Sat 2026-11-21 09:00:20.5 +03 h a: x", 29, 500_000_000, Some(10_800), false),
            ("Sat 2026-11-21 09:00:20", 23, 0, None, false),
        ] {
            let (stamp, length) = stamp(text.as_bytes(), 0).expect(text);
            assert_eq!((stamp.local_s, stamp.nanos), (SECOND, nanos), "{text}");
            assert_eq!((length, stamp.offset_s), (used, offset_s), "{text}");
            assert_eq!(precedes_a_message(&text.as_bytes()[..length]), is_alone, "{text}");
        }
        for none in [
            "[Sat Nov 21 09:00:20 2026 x",
            "[12.5] x",
            "@400000006b015dae075bcd1 x",
            "@400000006b015daeffffffff x",
            "@000000006b015dae075bcd15 x",
            "2026-11-21_09:00 x",
            "1795251620 x",
            "1795251620.5: x",
            "17952516200.5 x",
            "web 2026-11-21 09:00:20 x",
        ] {
            assert!(stamp(none.as_bytes(), 0).is_none(), "{none}");
        }
    }
}
