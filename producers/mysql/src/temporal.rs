//! Dates and times as JSON strings: ISO 8601, a `Z` only where the value is a moment, as many
//! digits of a second as the column has. What is no date (a month or a day of 0) stays as MySQL
//! prints it.

use std::io::Write as _;

use tahoe_schemas::time::Time;

/// A date, or a date and time, as it stands in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub year: u32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub micros: u32,
}

impl Moment {
    fn is_no_date(self) -> bool {
        self.month == 0 || self.day == 0
    }

    /// `"2026-11-21"`
    pub fn write_date(self, out: &mut Vec<u8>) {
        let Self { year, month, day, .. } = self;
        let _ = write!(out, "\"{year:04}-{month:02}-{day:02}\"");
    }

    /// `"2026-11-21T09:00:00.123"`; with `zone`, a `Z` behind it.
    pub fn write(self, digits: u32, zone: bool, out: &mut Vec<u8>) {
        let Self { year, month, day, hour, minute, second, .. } = self;
        let between = if self.is_no_date() { ' ' } else { 'T' };
        let _ = write!(
            out,
            "\"{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}"
        );
        write_fraction(self.micros, digits, out);
        if zone && !self.is_no_date() {
            out.push(b'Z');
        }
        out.push(b'"');
    }
}

/// A time of day or a span of up to 838 hours: `"-12:30:00.5"`.
pub(crate) fn write_span(
    negative: bool,
    hms: [u32; 3],
    micros: u32,
    digits: u32,
    out: &mut Vec<u8>,
) {
    let sign = if negative { "-" } else { "" };
    let [hours, minutes, seconds] = hms;
    let _ = write!(out, "\"{sign}{hours:02}:{minutes:02}:{seconds:02}");
    write_fraction(micros, digits, out);
    out.push(b'"');
}

fn write_fraction(micros: u32, digits: u32, out: &mut Vec<u8>) {
    if digits > 0 {
        let digits = digits.min(6);
        let shown = micros / 10u32.pow(6 - digits);
        let _ = write!(out, ".{shown:0width$}", width = digits as usize);
    }
}

/// A `TIMESTAMP`, seconds since the epoch; 0 is MySQL's zero date.
pub(crate) fn write_timestamp(seconds: u32, micros: u32, digits: u32, out: &mut Vec<u8>) {
    if seconds == 0 {
        return Moment { micros, ..Moment::default() }.write(digits, false, out);
    }
    let mut text = Vec::with_capacity(32);
    Time::new(i64::from(seconds), 0, 3).write(&mut text);
    out.push(b'"');
    out.extend_from_slice(&text[..19]);
    write_fraction(micros, digits, out);
    out.extend_from_slice(b"Z\"");
}
