//! `2026-11-21 09:00:00.123 CET`: PostgreSQL writes the zone of `log_timezone` by its abbreviation.
//!
//! An abbreviation is an offset, except where it has several meanings: then the zone that the
//! source was configured with decides, or the most usual meaning, and the event says so.

use super::level::Label;
use crate::time::{self, Stamp};
use crate::zone::{abbreviation, one_meaning};
use crate::{Event, Transformation};

/// A stamp and what its zone is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    pub stamp: Stamp,
    /// The zone as it is written, unless that is an offset.
    zone: &'a [u8],
    /// Bytes of it all.
    pub length: usize,
}

/// A date, a space, a time, perhaps a fraction, and perhaps a space and a zone.
pub(super) fn parse(text: &[u8]) -> Option<Written<'_>> {
    if text.get(10) != Some(&b' ') {
        return None;
    }
    let (mut stamp, mut length) = time::parse_iso_local(text)?;
    let rest = &text[length..];
    let space = usize::from(rest.first() == Some(&b' '));
    let rest = &rest[space..];
    if let Some((offset, used)) = time::parse_offset(rest) {
        stamp.offset_s = Some(offset);
        return Some(Written { stamp, zone: b"", length: length + space + used });
    }
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    // A process in brackets follows mostly.
    let is_label = || !rest[letters..].starts_with(b" [") && Label::at(rest).is_some();
    let zone = if space == 0 || !(1..=5).contains(&letters) || is_label() {
        &[]
    } else {
        length += space + letters;
        &rest[..letters]
    };
    if let Some(offset_s) = one_meaning(zone) {
        stamp.offset_s = Some(offset_s);
    }
    Some(Written { stamp, zone, length })
}

/// `%n`: seconds since the epoch, with milliseconds from PostgreSQL 10 on. Gives its length too.
pub(super) fn epoch(text: &[u8]) -> Option<(Stamp, usize)> {
    let count = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = |text: &[u8]| text.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let digits = count(text);
    if !(9..=11).contains(&digits) {
        return None;
    }
    let mut stamp = Stamp::utc(number(&text[..digits]), 0, 0);
    if text.get(digits) == Some(&b'.') && count(&text[digits + 1..]) == 3 {
        let millis = number(&text[digits + 1..digits + 4]);
        stamp.nanos = u32::try_from(millis).unwrap_or(0) * 1_000_000;
        stamp.digits = 3;
        return Some((stamp, digits + 4));
    }
    Some((stamp, digits))
}

impl Written<'_> {
    /// The stamp, with the usual meaning of its abbreviation.
    pub(super) fn usual(&self) -> Stamp {
        let offset_s =
            self.stamp.offset_s.or_else(|| abbreviation(self.zone).map(|(offset, _)| offset));
        Stamp { offset_s, ..self.stamp }
    }

    /// The stamp, with the usual meaning of an abbreviation that has several if the source has no
    /// zone of its own, `source_zone`.
    pub(super) fn resolved(&self, source_zone: &str, event: &mut Event<'_>) -> Stamp {
        let mut stamp = self.stamp;
        if let Some((offset_s, true)) = abbreviation(self.zone)
            && matches!(source_zone, "" | "UTC")
        {
            stamp.offset_s = Some(offset_s);
            let (sign, of) = (if offset_s < 0 { '-' } else { '+' }, offset_s.unsigned_abs());
            let text = event.format(format_args!("{sign}{:02}:{:02}", of / 3600, of / 60 % 60));
            event.transformation_of(Transformation::TimezoneAssumed, text);
        }
        stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (usize, Option<i32>, u32) {
        let written = parse(text.as_bytes()).expect("it is a stamp");
        (written.length, written.stamp.offset_s, written.stamp.nanos)
    }

    #[test]
    fn a_zone_is_an_abbreviation_or_an_offset() {
        assert_eq!(read("2026-11-21 09:00:00.123 CET [7] "), (27, Some(3600), 123_000_000));
        assert_eq!(read("2026-11-21 09:00:00 UTC-5eefe116.22f4-"), (23, Some(0), 0));
        assert_eq!(read("2026-11-21 09:00:00 -03 [7]"), (23, Some(-10_800), 0));
        assert_eq!(read("2026-11-21 09:00:00 CST:[local]:"), (23, None, 0));
        assert_eq!(read("2026-11-21 09:00:00 LOG:  x"), (19, None, 0));
        assert!(parse(b"2026-11-21T09:00:00 UTC").is_none());
    }

    #[test]
    fn an_epoch_has_milliseconds_or_none() {
        let (stamp, length) = epoch(b"1795251600.123 [7]").expect("it is an epoch");
        assert_eq!((stamp.local_s, stamp.nanos, length), (1_795_251_600, 123_000_000, 14));
        assert_eq!(epoch(b"1795251600 [7]").map(|(_, length)| length), Some(10));
        assert!(epoch(b"4711").is_none());
    }
}
