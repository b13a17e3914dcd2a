//! Stamps are read by hand, since every record has one and each format is fixed.
//!
//! A [`Stamp`] is what a text says, perhaps without zone or year; [`crate::Event::time`] makes a
//! [`Time`] of it and records what was assumed.

use crate::calendar::{SECONDS_PER_DAY, civil_from_days, civil_from_year_0, seconds_of};

/// The first second that RFC 3339 can say.
const YEAR_0: i64 = -62_167_219_200;

/// A point in time, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    seconds: i64,
    nanos: u32,
    digits: u8,
}

/// A time as a text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since the epoch as if the stamp were UTC.
    pub local_s: i64,
    /// Nanoseconds after that.
    pub nanos: u32,
    /// Digits of the fraction in the text.
    pub digits: u8,
    /// Seconds east of Greenwich, if the text says so.
    pub offset_s: Option<i32>,
    /// The text gave no year; it is the last one in which the time is past.
    pub year_assumed: bool,
}

impl Stamp {
    /// Seconds since the epoch, and nanoseconds, of which the text gave `digits` digits.
    pub(crate) fn utc(seconds: i64, nanos: u32, digits: u8) -> Self {
        Self { local_s: seconds, nanos, digits, offset_s: Some(0), year_assumed: false }
    }
}

impl Time {
    /// Milliseconds since the epoch.
    pub fn from_ms(ms: i64) -> Self {
        let nanos = u32::try_from(ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        Self::new(ms.div_euclid(1000), nanos, 3)
    }

    /// Seconds since the epoch and nanoseconds, of which the source gave `digits` digits. Times
    /// outside the years 0 to 9999, which RFC 3339 cannot say, become the nearest that it can.
    pub fn new(seconds: i64, nanos: u32, digits: u8) -> Self {
        const YEAR_9999_END: i64 = 253_402_300_799;
        let seconds = seconds.clamp(YEAR_0, YEAR_9999_END);
        Self { seconds, nanos: nanos.min(999_999_999), digits: digits.clamp(3, 9) }
    }

    /// Milliseconds since the epoch.
    pub fn ms(self) -> i64 {
        self.seconds * 1000 + i64::from(self.nanos / 1_000_000)
    }

    /// `2026-11-21T09:00:00.000Z`, with more digits only if the source had them.
    pub fn write(self, out: &mut Vec<u8>) {
        let (text, length) = self.text();
        out.extend_from_slice(&text[..length]);
    }

    /// The same, and how long it is; what is behind it is nothing.
    pub(crate) fn text(self) -> ([u8; 32], usize) {
        // Not before the year 0: nothing is negative.
        let (seconds, day) = ((self.seconds - YEAR_0) as u64, SECONDS_PER_DAY as u64);
        let (year, month, day) = civil_from_year_0((seconds / day) as u32);
        let second = (seconds % SECONDS_PER_DAY as u64) as u32;
        let mut text = *b"0000-00-00T00:00:00.000000000Z  ";
        put2(&mut text, 0, year / 100);
        put2(&mut text, 2, year % 100);
        put2(&mut text, 5, month);
        put2(&mut text, 8, day);
        put2(&mut text, 11, second / 3600);
        put2(&mut text, 14, second / 60 % 60);
        put2(&mut text, 17, second % 60);
        let (millis, rest) = (self.nanos / 1_000_000, self.nanos % 1_000_000);
        text[20] = b'0' + (millis / 100) as u8;
        put2(&mut text, 21, millis % 100);
        if self.digits > 3 {
            put2(&mut text, 23, rest / 10_000);
            put2(&mut text, 25, rest / 100 % 100);
            put2(&mut text, 27, rest % 100);
        }
        let end = 20 + usize::from(self.digits);
        text[end] = b'Z';
        (text, end + 1)
    }
}

fn put2(text: &mut [u8; 32], at: usize, number: u32) {
    // A power of two, so that no index is beyond the table.
    let pair = PAIRS[number as usize % PAIRS.len()];
    (text[at], text[at + 1]) = (pair[0], pair[1]);
}

/// `00` to `99`, and what no number has.
const PAIRS: [[u8; 2]; 128] = {
    let mut pairs = [[b'0'; 2]; 128];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

impl Stamp {
    /// The same time with `offset_s` as its zone.
    pub fn at_offset(self, offset_s: i32) -> Time {
        Time::new(self.local_s - i64::from(offset_s), self.nanos, self.digits)
    }
}

/// `YYYY-MM-DD[T ]HH:MM:SS[.,fraction][Z|±HH[:]MM]` at the start of `text`, a space allowed before
/// the zone's sign or ` UTC`; `/` between the date's parts too. Gives the stamp and its length.
pub fn parse_iso(text: &[u8]) -> Option<(Stamp, usize)> {
    let (stamp, mut used) = parse_iso_local(text)?;
    let rest = &text[used..];
    let offset_s = if matches!(rest, [b'Z' | b'z', ..]) {
        used += 1;
        Some(0)
    } else if rest.starts_with(b" UTC") {
        used += 4;
        Some(0)
    } else {
        let space = usize::from(matches!(rest, [b' ', b'+' | b'-', ..]));
        parse_offset(&rest[space..]).map(|(offset, length)| {
            used += space + length;
            offset
        })
    };
    Some((Stamp { offset_s, ..stamp }, used))
}

/// The same as far as its zone.
#[inline]
pub(crate) fn parse_iso_local(text: &[u8]) -> Option<(Stamp, usize)> {
    let head = text.first_chunk::<19>()?;
    let dashes = matches!((head[4], head[7]), (b'-', b'-') | (b'/', b'/'));
    let colons = (head[13], head[16]) == (b':', b':');
    if !(dashes && colons && matches!(head[10], b'T' | b't' | b' ')) {
        return None;
    }
    let [century, year, month, day, hour, minute, second] = pairs(head, [0, 2, 5, 8, 11, 14, 17])?;
    let local_s = seconds_of(i64::from(century * 100 + year), month, day, hour, minute, second)?;
    let (nanos, digits, fraction) = parse_fraction(&text[19..]);
    let stamp = Stamp { local_s, nanos, digits, offset_s: None, year_assumed: false };
    Some((stamp, 19 + fraction))
}

/// `Mmm dd HH:MM:SS[.fraction]` at the start of `text` (RFC 3164, 4.1.2; the day padded with a
/// space or zero). Its year is the last in which it is not more than a week after `read_at_ms`.
pub fn parse_rfc3164(text: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let head = text.first_chunk::<15>()?;
    let month = month_named(head)?;
    if head[3] != b' ' || head[6] != b' ' {
        return None;
    }
    let day = match head[4] {
        b' ' => u32::from(head[5].checked_sub(b'0').filter(|digit| *digit <= 9)?),
        _ => digits2(head, 4)?,
    };
    let (hour, minute, second) = clock(head, 7)?;
    let local_s = in_last_year(month, day, (hour, minute, second), read_at_ms)?;
    let (nanos, digits, fraction) = parse_fraction(&text[15..]);
    Some((Stamp { local_s, nanos, digits, offset_s: None, year_assumed: true }, 15 + fraction))
}

/// `Mmm [d]d YYYY HH:MM:SS[.fraction]`, as network devices write RFC 3164's stamp when they are
/// told to add the year. Gives the stamp and its length.
pub fn parse_month_first(text: &[u8]) -> Option<(Stamp, usize)> {
    let month = month_named(text)?;
    let is_short = text.get(5) == Some(&b' ');
    let (day, at) = match text.get(3..5)? {
        [b' ', digit @ b'1'..=b'9'] if is_short => (u32::from(digit - b'0'), 6),
        b"  " => (u32::from(text.get(5)?.checked_sub(b'0').filter(|digit| *digit <= 9)?), 7),
        [b' ', _] => (digits2(text, 4)?, 7),
        _ => return None,
    };
    if *text.get(at - 1)? != b' ' || *text.get(at + 4)? != b' ' {
        return None;
    }
    let year = i64::from(digits2(text, at)? * 100 + digits2(text, at + 2)?);
    let (hour, minute, second) = clock(text, at + 5)?;
    let local_s = seconds_of(year, month, day, hour, minute, second)?;
    let (nanos, digits, fraction) = parse_fraction(&text[at + 13..]);
    let stamp = Stamp { local_s, nanos, digits, offset_s: None, year_assumed: false };
    Some((stamp, at + 13 + fraction))
}

/// `dd Mmm [YYYY ]HH:MM:SS[.fraction]`. Without a year, it is the last in which the time is
/// not more than a week after `read_at_ms`. Gives the stamp and its length.
pub fn parse_day_first(text: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let (day, month) = (digits2(text, 0)?, month_named(text.get(3..)?)?);
    if (text[2], *text.get(6)?) != (b' ', b' ') {
        return None;
    }
    let year_assumed = *text.get(9)? == b':';
    let at = if year_assumed { 7 } else { 12 };
    let (hour, minute, second) = clock(text, at)?;
    let local_s = if year_assumed {
        in_last_year(month, day, (hour, minute, second), read_at_ms)?
    } else {
        let year = i64::from(digits2(text, 7)? * 100 + digits2(text, 9)?);
        seconds_of(year, month, day, hour, minute, second).filter(|_| text[11] == b' ')?
    };
    let (nanos, digits, fraction) = parse_fraction(&text[at + 8..]);
    Some((Stamp { local_s, nanos, digits, offset_s: None, year_assumed }, at + 8 + fraction))
}

/// A time of reading for who asks whether a stamp without a year is there and how long it is: the
/// last day of a leap year, which has every day.
pub(crate) const ANY_YEAR_MS: i64 = 978_220_800_000;
const EPOCH_YEAR: i64 = 1970;
/// Of the Gregorian calendar: 365.2425 days.
const MEAN_YEAR_S: i64 = 31_556_952;

/// How far a clock may be ahead: a date without a year that is later than this is last year's.
const AHEAD_MAX_S: i64 = 7 * SECONDS_PER_DAY;
/// Less than the shortest time between the same days of two years, and the above.
const WITHIN_A_YEAR_S: i64 = 350 * SECONDS_PER_DAY;
/// The most years between two leap days.
const LEAP_YEARS: i64 = 8;

/// The last time of a date without a year that is not later than `read_at_ms` and a week.
fn in_last_year(month: u32, day: u32, clock: (u32, u32, u32), read_at_ms: i64) -> Option<i64> {
    let (hour, minute, second) = clock;
    let read_at_s = read_at_ms.div_euclid(1000);
    let is_past = |at: &i64| *at <= read_at_s + AHEAD_MAX_S;
    // On the days around New Year it may be the year beside it, in which nothing else is nearer.
    let near = EPOCH_YEAR + read_at_s.div_euclid(MEAN_YEAR_S);
    let at = seconds_of(near, month, day, hour, minute, second);
    if let Some(at) = at.filter(|at| is_past(at) && read_at_s - at < WITHIN_A_YEAR_S) {
        return Some(at);
    }
    let (year, ..) = civil_from_days(read_at_s.div_euclid(SECONDS_PER_DAY));
    let years = (year - LEAP_YEARS..=year + 1).rev();
    years.filter_map(|year| seconds_of(year, month, day, hour, minute, second)).find(is_past)
}

/// `dd/Mmm/YYYY:HH:MM:SS[.fraction] ±HHMM`, as web servers write it. Gives the stamp and its
/// length.
pub fn parse_clf(text: &[u8]) -> Option<(Stamp, usize)> {
    let head = text.first_chunk::<20>()?;
    if (head[2], head[6], head[11]) != (b'/', b'/', b':') {
        return None;
    }
    let year = digits2(head, 7)? * 100 + digits2(head, 9)?;
    let (hour, minute, second) = clock(head, 12)?;
    let month = month_named(&head[3..])?;
    let local_s = seconds_of(i64::from(year), month, digits2(head, 0)?, hour, minute, second)?;
    let (nanos, digits, fraction) = parse_fraction(&text[20..]);
    let end = 20 + fraction;
    let zone = match &text[end..] {
        [b' ', rest @ ..] => parse_offset(rest),
        _ => None,
    };
    let offset_s = zone.map(|(offset, _)| offset);
    let stamp = Stamp { local_s, nanos, digits, offset_s, year_assumed: false };
    Some((stamp, end + zone.map_or(0, |(_, length)| 1 + length)))
}

/// `Www Mmm dd HH:MM:SS[.fraction] YYYY`, as C's `asctime` writes it (the day padded with a space
/// or zero). Gives the stamp and its length.
pub fn parse_asctime(text: &[u8]) -> Option<(Stamp, usize)> {
    let head = text.first_chunk::<19>()?;
    if !head[..3].iter().all(u8::is_ascii_alphabetic) || (head[3], head[7]) != (b' ', b' ') {
        return None;
    }
    let day = if head[8] == b' ' { digits2(&[b'0', head[9]], 0)? } else { digits2(head, 8)? };
    let (hour, minute, second) = clock(head, 11)?;
    let (nanos, digits, fraction) = parse_fraction(&text[19..]);
    let year = text.get(19 + fraction..)?.strip_prefix(b" ")?;
    let year = i64::from(digits2(year, 0)? * 100 + digits2(year, 2)?);
    let local_s = seconds_of(year, month_named(&head[4..])?, day, hour, minute, second)?;
    let stamp = Stamp { local_s, nanos, digits, offset_s: None, year_assumed: false };
    Some((stamp, 24 + fraction))
}

/// `±HH`, `±HHMM` or `±HH:MM`: seconds east of Greenwich, and the length.
pub fn parse_offset(text: &[u8]) -> Option<(i32, usize)> {
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = digits2(text, 1)?;
    let (minutes, length) = match text.get(3) {
        Some(b':') => digits2(text, 4).map_or((0, 3), |minutes| (minutes, 6)),
        _ => digits2(text, 3).map_or((0, 3), |minutes| (minutes, 5)),
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours <= 18 && minutes < 60).then_some((sign * seconds, length))
}

/// The number of a month by the first three letters of its English name.
pub fn month_named(text: &[u8]) -> Option<u32> {
    Some(match text.first_chunk::<3>()? {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// `.123` or `,123`: nanoseconds, digits, length. Digits after the ninth are skipped.
pub(crate) fn parse_fraction(text: &[u8]) -> (u32, u8, usize) {
    let [b'.' | b',', rest @ ..] = text else { return (0, 0, 0) };
    let (number, digits) = leading_number(rest.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 8];
        padded[..rest.len()].copy_from_slice(rest);
        padded
    }));
    let nanos = number * WORTH[digits];
    match (digits, rest.get(8).map(|byte| byte.wrapping_sub(b'0'))) {
        (0, _) => (0, 0, 0),
        (8, Some(digit @ 0..=9)) => {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (nanos + u32::from(digit), 9, 1 + length)
        }
        _ => (nanos, digits as u8, 1 + digits),
    }
}

/// The number that the digits at the start of a text make, and how many they are; all eight bytes
/// at once.
fn leading_number(text: [u8; 8]) -> (u32, usize) {
    const ONES: u64 = u64::MAX / 255;
    let values = u64::from_le_bytes(text) ^ (ONES * u64::from(b'0'));
    // The high bit of each byte that is more than 9; exact up to and including the first.
    let others = (values.wrapping_add(ONES * 0x76) | values) & (ONES << 7);
    let digits = (others.trailing_zeros() / 8) as usize;
    if digits == 0 {
        return (0, 0);
    }
    // Zeros before the digits; then tens of ones, hundreds of tens and ten thousands of hundreds.
    let digits_last = values << (64 - 8 * digits);
    let pairs = digits_last * 10 + (digits_last >> 8);
    let (high, low) = (pairs & 0x0000_00ff_0000_00ff, pairs >> 16 & 0x0000_00ff_0000_00ff);
    let number = high.wrapping_mul(100 + (1_000_000 << 32)) + low.wrapping_mul(1 + (10_000 << 32));
    ((number >> 32) as u32, digits)
}

/// Nanoseconds of a fraction's last digit, by the number of its digits.
const WORTH: [u32; 9] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10];

fn clock(text: &[u8], at: usize) -> Option<(u32, u32, u32)> {
    let text = text.get(at..)?.first_chunk::<8>()?;
    let [hour, minute, second] = pairs(text, [0, 3, 6])?;
    ((text[2], text[5]) == (b':', b':')).then_some((hour, minute, second))
}

/// The numbers that two digits make at each of those places.
#[inline(always)]
fn pairs<const N: usize, const M: usize>(text: &[u8; N], at: [usize; M]) -> Option<[u32; M]> {
    let digit = |at: usize| text[at].wrapping_sub(b'0');
    let digits = at.map(|at| (digit(at), digit(at + 1)));
    // Without a branch for each, all are compared at once.
    let other = digits.iter().fold(false, |other, (tens, ones)| other | (*tens > 9) | (*ones > 9));
    (!other).then(|| digits.map(|(tens, ones)| u32::from(tens) * 10 + u32::from(ones)))
}

/// The number that two digits at `at` make.
fn digits2(text: &[u8], at: usize) -> Option<u32> {
    let [number] = pairs(text.get(at..)?.first_chunk::<2>()?, [0])?;
    Some(number)
}

/// The `@timestamp` of a document that [`crate::Event::write`] wrote: no other field precedes it.
pub fn time_of(document: &[u8]) -> Option<Time> {
    let (stamp, _) = parse_iso(document.strip_prefix(b"{\"@timestamp\":\"")?)?;
    Some(stamp.at_offset(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iso(text: &str) -> String {
        let (stamp, used) = parse_iso(text.as_bytes()).expect("it is a stamp");
        format!(
            "{} {:?} {used}",
            written(stamp.at_offset(stamp.offset_s.unwrap_or(0))),
            stamp.offset_s
        )
    }

    fn written(time: Time) -> String {
        let mut out = Vec::new();
        time.write(&mut out);
        String::from_utf8(out).expect("it is ASCII")
    }

    #[test]
    fn iso_stamps_keep_their_digits_and_say_their_zone() {
        assert_eq!(iso("2026-11-21T09:00:00Z x"), "2026-11-21T09:00:00.000Z Some(0) 20");
        assert_eq!(iso("2026-11-21 09:00:00"), "2026-11-21T09:00:00.000Z None 19");
        assert_eq!(iso("2024-02-29 23:59:59,5+0530"), "2024-02-29T18:29:59.500Z Some(19800) 26");
        assert_eq!(
            iso("2026-11-21T09:00:00.123456-08:00"),
            "2026-11-21T17:00:00.123456Z Some(-28800) 32"
        );
        assert!(parse_iso(b"2026-02-29 09:00:00").is_none());
        assert!(parse_iso(b"2026-11-21 24:00:00").is_none());
    }

    #[test]
    fn the_year_is_the_last_in_which_the_time_is_past() {
        let read = |text: &str, at: &str| {
            let (read_at, _) = parse_iso(at.as_bytes()).expect("it is a stamp");
            let (stamp, used) =
                parse_rfc3164(text.as_bytes(), read_at.local_s * 1000).expect("it is a stamp");
            assert_eq!((used, stamp.year_assumed), (15, true));
            written(stamp.at_offset(0))
        };
        assert_eq!(read("Dec 31 23:59:59 h", "2026-01-01 00:00:01"), "2025-12-31T23:59:59.000Z");
        assert_eq!(read("Jan  1 00:00:00 h", "2025-12-31 23:59:59"), "2026-01-01T00:00:00.000Z");
        assert_eq!(read("Nov 05 01:02:03 h", "2026-11-21 12:00:00"), "2026-11-05T01:02:03.000Z");
        assert_eq!(read("Feb 29 01:02:03 h", "2026-11-21 12:00:00"), "2024-02-29T01:02:03.000Z");
        assert_eq!(read("Feb 29 01:02:03 h", "2104-02-20 12:00:00"), "2096-02-29T01:02:03.000Z");
        // A clock may be a week ahead; what seems further off was written a year ago.
        assert_eq!(read("Mar 01 01:02:03 h", "2026-11-21 12:00:00"), "2026-03-01T01:02:03.000Z");
        assert_eq!(read("Nov 27 01:02:03 h", "2026-11-21 12:00:00"), "2026-11-27T01:02:03.000Z");
        assert_eq!(read("Nov 29 01:02:03 h", "2026-11-21 12:00:00"), "2025-11-29T01:02:03.000Z");
        assert_eq!(read("Nov 20 01:02:03 h", "2026-11-28 12:00:00"), "2026-11-20T01:02:03.000Z");
    }

    #[test]
    fn a_year_may_follow_the_day() {
        let read = |text: &str| {
            let (stamp, used) = parse_month_first(text.as_bytes())?;
            Some((written(stamp.at_offset(0)), &text[used..])).map(|(at, rest)| (at, rest.len()))
        };
        for (text, at, rest) in [
            ("Oct 11 2023 22:14:15 fw1", "2023-10-11T22:14:15.000Z", 4),
            ("Oct  1 2023 22:14:15.123: x", "2023-10-01T22:14:15.123Z", 3),
            ("Oct 1 2023 22:14:15: x", "2023-10-01T22:14:15.000Z", 3),
        ] {
            assert_eq!(read(text), Some((at.to_owned(), rest)), "{text}");
        }
        for none in ["Oct 11 22:14:15 h", "Oct 32 2023 22:14:15", "Oct 11 2023", "Oct 0 2023 22:14"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_year_is_found_as_by_trying_all(
            read_at_s in 0i64..10_000_000_000,
            month in 0u32..14,
            day in 0u32..33,
            second_of_day in 0u32..86_400,
        ) {
            let clock = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
            let of = |year| seconds_of(year, month, day, clock.0, clock.1, clock.2);
            let last = (1950..2300).filter_map(of).rfind(|at| *at <= read_at_s + AHEAD_MAX_S);
            prop_assert_eq!(in_last_year(month, day, clock, read_at_s * 1000), last);
            let any = in_last_year(month, day, clock, ANY_YEAR_MS);
            prop_assert_eq!(any.is_some(), last.is_some());
        }

        #[test]
        fn a_written_time_reads_back(ms in -62_167_219_200_000i64..253_402_300_799_999) {
            let text = written(Time::from_ms(ms));
            let (stamp, used) = parse_iso(text.as_bytes()).expect("it is a stamp");
            prop_assert_eq!(used, text.len());
            prop_assert_eq!(stamp.at_offset(0).ms(), ms);
        }

        #[test]
        fn a_fraction_is_its_first_nine_digits(digits in "[0-9]{1,12}", rest in "([^0-9].{0,9})?") {
            let text = format!(".{digits}{rest}");
            let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
            let expected = (nine.parse().expect("digits"), digits.len().min(9) as u8, 1 + digits.len());
            prop_assert_eq!(parse_fraction(text.as_bytes()), expected);
            prop_assert_eq!(parse_fraction(format!(".{rest}").as_bytes()).2, 0);
        }

        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), at: i64) {
            let _ = (parse_iso(&bytes), parse_rfc3164(&bytes, at), parse_clf(&bytes));
            let _ = (parse_asctime(&bytes), parse_day_first(&bytes, at), parse_month_first(&bytes));
        }
    }
}
