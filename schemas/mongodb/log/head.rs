//! What a line of the text log begins with, which is also how a record is told from the rest of
//! the one before.

use crate::calendar::{SECONDS_PER_DAY, civil_from_days, seconds_of};
use crate::find::Find;
use crate::time::{self, Stamp};

/// Written without a time when a server older than 2.6 opens its log again.
const RESTARTED: &[u8] = b"***** SERVER RESTARTED *****";
/// An object with this key is a part of a text's backtrace.
const BACKTRACE: &[u8] = b"{\"backtrace\"";
const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
/// A date falls on the same day of the week after 28 years at the latest, or 40 around 1900 and
/// 2100.
const YEARS_BACK_MAX: i64 = 40;
/// Components are short words: `STORAGE`, `SH_REFR`.
const COMPONENT_BYTES_MAX: usize = 24;

/// A line's parts before its message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'a> {
    /// `I`, `D2`
    pub severity: Option<&'a str>,
    /// `NETWORK`, or `-` for none.
    pub component: Option<&'a str>,
    /// `conn7`
    pub context: Option<&'a str>,
    /// What follows.
    pub message: &'a str,
}

/// Whether a line begins a record. The line is whole.
pub(super) fn begins(line: &[u8]) -> bool {
    match line.first() {
        Some(b'{') => line.starts_with(b"{\"") && !line.starts_with(BACKTRACE),
        Some(b'0'..=b'9' | b'A'..=b'Z') => {
            stamp(line, time::ANY_YEAR_MS).is_some()
                || time::parse_rfc3164(line, time::ANY_YEAR_MS).is_some()
        }
        Some(b'<') => line.get(1).is_some_and(u8::is_ascii_digit),
        Some(b'*') => line.starts_with(RESTARTED),
        _ => false,
    }
}

/// The time that a line begins with and its length: `iso8601-local`, `iso8601-utc` or `ctime`.
pub(super) fn stamp(line: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let (stamp, used) = match line.first()? {
        b'0'..=b'9' if line.get(10) == Some(&b'T') => time::parse_iso(line)?,
        b'A'..=b'Z' => ctime(line, read_at_ms)?,
        _ => return None,
    };
    matches!(line.get(used), None | Some(b' ' | b'\r' | b'\n')).then_some((stamp, used))
}

/// `Wed Mar  5 17:14:54.474`. The day of the week tells more of the year than the time of reading
/// does alone: it is the last one in which the date falls on that day.
fn ctime(line: &[u8], read_at_ms: i64) -> Option<(Stamp, usize)> {
    let name = line.first_chunk::<3>()?;
    let weekday = WEEKDAYS.iter().position(|known| *known == name)?;
    let rest = line[3..].strip_prefix(b" ")?;
    let (stamp, used) = time::parse_rfc3164(rest, read_at_ms)?;
    let local_s = of_weekday(stamp.local_s, weekday).unwrap_or(stamp.local_s);
    Some((Stamp { local_s, ..stamp }, 4 + used))
}

fn of_weekday(local_s: i64, weekday: usize) -> Option<i64> {
    let falls_on = |local_s: &i64| {
        // The first day of the epoch was a Thursday.
        (local_s.div_euclid(SECONDS_PER_DAY) + 4).rem_euclid(7) == weekday as i64
    };
    if falls_on(&local_s) {
        return Some(local_s);
    }
    let (year, month, day) = civil_from_days(local_s.div_euclid(SECONDS_PER_DAY));
    let clock = local_s.rem_euclid(SECONDS_PER_DAY);
    (1..=YEARS_BACK_MAX)
        .filter_map(|back| seconds_of(year - back, month, day, 0, 0, 0))
        .map(|midnight| midnight + clock)
        .find(falls_on)
}

impl<'a> Head<'a> {
    /// Takes `<severity> <component> [<context>] <message>` apart; what is not there is left out.
    pub fn parse(text: &'a str) -> Self {
        let mut head = Self::default();
        let mut rest = text.trim_start_matches(' ');
        if let Some((word, after)) = rest.split_on_byte(b' ')
            && is_severity(word)
        {
            head.severity = Some(word);
            rest = after.trim_start_matches(' ');
            let (word, after) = rest.split_on_byte(b' ').unwrap_or((rest, ""));
            if is_component(word) {
                head.component = Some(word);
                rest = after.trim_start_matches(' ');
            }
        }
        if let Some((context, after)) =
            rest.strip_prefix('[').and_then(|rest| rest.split_on_byte(b']'))
            && (after.is_empty() || after.starts_with(' '))
        {
            head.context = Some(context);
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
        head.message = rest;
        head
    }
}

fn is_severity(word: &str) -> bool {
    matches!(word.as_bytes(), [b'F' | b'E' | b'W' | b'I' | b'D'] | [b'D', b'1'..=b'5'])
}

fn is_component(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    word == "-" || (2..=COMPONENT_BYTES_MAX).contains(&word.len()) && word.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_without_a_year_is_of_the_last_year_in_which_it_falls_on_its_day() {
        // 2026-11-21
        let read_at_ms = 1_795_262_400_000;
        for (text, year) in [
            ("Sat Nov 21 09:00:00.123 [conn1] x", 2026),
            ("Fri Nov 21 09:00:00.123 [conn1] x", 2025),
            ("Tue Nov 21 09:00:00 [conn1] x", 2023),
        ] {
            let (stamp, used) = stamp(text.as_bytes(), read_at_ms).expect("a stamp");
            assert_eq!(Some(stamp.local_s), seconds_of(year, 11, 21, 9, 0, 0), "{text}");
            assert!(stamp.year_assumed && text[used..].starts_with(" [conn1]"));
        }
        let (leap, _) = stamp(b"Mon Feb 29 09:00:00", read_at_ms).expect("a stamp");
        assert_eq!(Some(leap.local_s), seconds_of(2016, 2, 29, 9, 0, 0));
    }

    #[test]
    fn a_message_that_begins_like_a_head_is_none() {
        let head = Head::parse("I am [no] head");
        assert_eq!((head.component, head.context), (None, None));
        let head = Head::parse("I NETWORK DNS resolution took long");
        assert_eq!((head.severity, head.component), (Some("I"), Some("NETWORK")));
        assert_eq!(head.message, "DNS resolution took long");
    }
}
