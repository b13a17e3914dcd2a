//! One value of a row event as JSON. The table of types is in the crate's documentation.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use mysql_common::binlog::jsonb;
use tahoe_schemas::json;

use crate::bytes::{Bytes, big, bit, little};
use crate::charset::write_base64;
use crate::column::{Column, Form, kind};
use crate::gtid::uuid_text;
use crate::temporal::{Moment, write_span, write_timestamp};
use crate::{decimal, geometry};

/// Takes the value of a column off the front of a row.
pub(crate) fn take<'a>(column: &Column, row: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let meta = usize::from(column.meta);
    let fraction = meta.div_ceil(2);
    let length = match column.kind {
        kind::NULL => 0,
        kind::TINY | kind::YEAR => 1,
        kind::SHORT => 2,
        kind::INT24 | kind::DATE | kind::NEWDATE | kind::TIME => 3,
        kind::LONG | kind::FLOAT | kind::TIMESTAMP => 4,
        kind::LONGLONG | kind::DOUBLE | kind::DATETIME => 8,
        kind::TIME2 => 3 + fraction,
        kind::TIMESTAMP2 => 4 + fraction,
        kind::DATETIME2 => 5 + fraction,
        kind::BIT => (meta >> 8) + usize::from(meta & 0xff > 0),
        kind::NEWDECIMAL => decimal::length(meta & 0xff, meta >> 8),
        kind::ENUM | kind::SET => meta,
        kind::VARCHAR | kind::VAR_STRING | kind::STRING => {
            usize::try_from(row.little(if meta < 256 { 1 } else { 2 })?).ok()?
        }
        _ => usize::try_from(row.little(meta.min(8))?).ok()?,
    };
    row.take(length)
}

/// Appends a value; `None` if its bytes are not what its type has.
pub(crate) fn write(column: &Column, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match column.kind {
        kind::TINY | kind::SHORT | kind::INT24 | kind::LONG | kind::LONGLONG => {
            let number = little(bytes);
            if column.unsigned {
                write_number(number, out);
            } else {
                let shift = 64 - 8 * bytes.len();
                write_number((number << shift).cast_signed() >> shift, out);
            }
        }
        kind::FLOAT => write_f32(f32::from_le_bytes(bytes.try_into().ok()?), out),
        kind::DOUBLE => json::write_f64(f64::from_le_bytes(bytes.try_into().ok()?), out),
        kind::YEAR => write_number(year(bytes[0]), out),
        kind::NEWDECIMAL => {
            out.push(b'"');
            decimal::write(bytes, column.meta as usize & 0xff, column.meta as usize >> 8, out);
            out.push(b'"');
        }
        kind::BIT => write_number(big(bytes), out),
        kind::ENUM => write_enum(column, little(bytes), out),
        kind::SET => write_set(column, bytes, out),
        kind::VARCHAR | kind::VAR_STRING | kind::STRING | kind::TINY_BLOB..=kind::BLOB => {
            write_text(column, bytes, out);
        }
        kind::GEOMETRY => write_geometry(bytes, out),
        kind::VECTOR => write_base64(bytes, out),
        kind::JSON => write_json(bytes, out)?,
        _ => write_temporal(column, bytes, out)?,
    }
    Some(())
}

fn write_number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The shortest digits that are this number as a `FLOAT`.
pub(crate) fn write_f32(number: f32, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &number).expect("a Vec takes what is written to it");
}

fn year(byte: u8) -> u16 {
    if byte == 0 { 0 } else { 1900 + u16::from(byte) }
}

/// Text in its character set. The binlog leaves the zeros out that fill up a `BINARY`.
fn write_text(column: &Column, bytes: &[u8], out: &mut Vec<u8>) {
    if column.form != Form::Plain {
        return write_form(column.form, bytes, out);
    }
    let length = usize::from(column.meta);
    let binary = column.charset == crate::charset::Charset::Binary;
    if column.kind == kind::STRING && binary && bytes.len() < length {
        let mut whole = bytes.to_vec();
        whole.resize(length, 0);
        return write_base64(&whole, out);
    }
    column.charset.write(bytes, out);
}

/// MariaDB's own types, as MariaDB prints them.
fn write_form(form: Form, bytes: &[u8], out: &mut Vec<u8>) {
    let mut whole = [0; 16];
    let length = bytes.len().min(16);
    whole[..length].copy_from_slice(&bytes[..length]);
    let [a, b, c, d, ..] = whole;
    let text = match form {
        Form::Inet6 => Ipv6Addr::from(whole).to_string(),
        Form::Inet4 => Ipv4Addr::new(a, b, c, d).to_string(),
        Form::Uuid | Form::Plain => uuid_text(&whole),
    };
    json::write_str(&text, out);
}

/// The label; the number of one that is not known. 0 is what an invalid value was stored as.
fn write_enum(column: &Column, number: u64, out: &mut Vec<u8>) {
    let label = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    match label.map(|at| column.labels.get(at)) {
        None => out.extend_from_slice(b"\"\""),
        Some(Some(label)) => json::write_str(label, out),
        Some(None) => write_number(number, out),
    }
}

fn write_set(column: &Column, bytes: &[u8], out: &mut Vec<u8>) {
    let bits = (0..bytes.len() * 8).filter(|at| bit(bytes, *at));
    write_labels(bits.map(|at| column.labels.get(at).cloned().unwrap_or(format!("@{at}"))), out);
}

/// The members of a set, as a list.
pub(crate) fn write_labels(labels: impl Iterator<Item: AsRef<str>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, label) in labels.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_str(label.as_ref(), out);
    }
    out.push(b']');
}

/// As text; what is no geometry that can be read, in base64.
pub(crate) fn write_geometry(bytes: &[u8], out: &mut Vec<u8>) {
    match geometry::to_text(bytes) {
        Some(text) => json::write_str(&text, out),
        None => write_base64(bytes, out),
    }
}

/// MySQL's binary JSON. A value that JSON does not have (a decimal, a date) is a text.
fn write_json(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if bytes.is_empty() {
        out.extend_from_slice(b"null");
        return Some(());
    }
    let mut buffer = mysql_common::io::ParseBuf(bytes);
    let value: jsonb::Value<'_> = buffer.parse(()).ok()?;
    let dom = value.parse().ok()?;
    let value = serde_json::Value::from(dom);
    write!(out, "{value}").ok()
}

fn write_temporal(column: &Column, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let digits = u32::from(column.meta);
    match column.kind {
        kind::DATE | kind::NEWDATE => {
            let number = little(bytes) as u32;
            let (year, month, day) = (number >> 9, number >> 5 & 15, number & 31);
            Moment { year, month, day, ..Moment::default() }.write_date(out);
        }
        kind::TIMESTAMP => write_timestamp(little(bytes) as u32, 0, 0, out),
        kind::TIMESTAMP2 => {
            write_timestamp(big(&bytes[..4]) as u32, micros(&bytes[4..]), digits, out);
        }
        kind::DATETIME => {
            let number = little(bytes);
            let (date, time) = ((number / 1_000_000) as u32, (number % 1_000_000) as u32);
            Moment {
                year: date / 10_000,
                month: date / 100 % 100,
                day: date % 100,
                hour: time / 10_000,
                minute: time / 100 % 100,
                second: time % 100,
                micros: 0,
            }
            .write(0, false, out);
        }
        kind::DATETIME2 => datetime2(bytes).write(digits, false, out),
        kind::TIME => {
            let number = (little(bytes) << 40).cast_signed() >> 40;
            let plain = number.unsigned_abs() as u32;
            let hms = [plain / 10_000, plain / 100 % 100, plain % 100];
            write_span(number < 0, hms, 0, 0, out);
        }
        kind::TIME2 => write_time2(bytes, digits, out),
        _ => return None,
    }
    Some(())
}

/// Microseconds from a fraction of 0 to 3 bytes.
fn micros(fraction: &[u8]) -> u32 {
    big(fraction) as u32 * [0, 10_000, 100, 1][fraction.len()]
}

/// 40 bits from the top: sign, year × 13 + month (17), day (5), hour (5), minute (6), second (6).
fn datetime2(bytes: &[u8]) -> Moment {
    let whole = big(&bytes[..5]) & 0x7f_ffff_ffff;
    let (date, time) = ((whole >> 17) as u32, whole as u32 & 0x1_ffff);
    Moment {
        year: (date >> 5) / 13,
        month: (date >> 5) % 13,
        day: date & 31,
        hour: time >> 12,
        minute: time >> 6 & 63,
        second: time & 63,
        micros: micros(&bytes[5..]),
    }
}

/// Hours (10 bits), minutes (6), seconds (6) and the fraction as one number, offset so that
/// negative spans sort first.
fn write_time2(bytes: &[u8], digits: u32, out: &mut Vec<u8>) {
    let bits = 8 * bytes.len() as u32;
    let number = big(bytes).cast_signed() - (1i64 << (bits - 1));
    let plain = number.unsigned_abs();
    let fraction_bits = bits - 24;
    let whole = (plain >> fraction_bits) as u32;
    let scale = [0, 10_000, 100, 1][bytes.len() - 3];
    let micros = (plain & ((1 << fraction_bits) - 1)) as u32 * scale;
    let hms = [whole >> 12 & 0x3ff, whole >> 6 & 63, whole & 63];
    write_span(number < 0, hms, micros, digits, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charset::Charset;

    fn written(kind: u8, meta: u16, unsigned: bool, bytes: &[u8]) -> String {
        let name = "c".to_owned();
        let charset = Charset::Utf8;
        let column = Column {
            name,
            kind,
            meta,
            unsigned,
            charset,
            labels: vec!["a".into()],
            form: Form::Plain,
        };
        let mut row = Bytes(bytes);
        let value = take(&column, &mut row).expect("long enough");
        assert!(row.0.is_empty(), "{kind} left {:?}", row.0);
        let mut out = Vec::new();
        write(&column, value, &mut out).expect("valid");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn numbers_keep_their_sign_and_their_64_bits() {
        assert_eq!(written(kind::TINY, 0, false, &[0xff]), "-1");
        assert_eq!(written(kind::TINY, 0, true, &[0xff]), "255");
        assert_eq!(written(kind::INT24, 0, false, &[0, 0, 0x80]), "-8388608");
        assert_eq!(written(kind::LONGLONG, 0, true, &[0xff; 8]), "18446744073709551615");
        assert_eq!(written(kind::LONGLONG, 0, false, &[0xff; 8]), "-1");
        assert_eq!(written(kind::FLOAT, 4, false, &0.1f32.to_le_bytes()), "0.1");
        assert_eq!(written(kind::BIT, 0x0102, false, &[0x02, 0xff]), "767");
    }

    #[test]
    fn times_keep_their_fraction_their_sign_and_their_zeros() {
        let zero = written(kind::DATETIME2, 0, false, &[0x80, 0, 0, 0, 0]);
        assert_eq!(zero, "\"0000-00-00 00:00:00\"");
        // -00:00:01.5 with one digit: -(1 s and 50 hundredths) from the middle.
        let number = (1u64 << 31) - (1 << 8) - 50;
        let bytes = (number as u32).to_be_bytes();
        assert_eq!(written(kind::TIME2, 1, false, &bytes), "\"-00:00:01.5\"");
        let stamp = [0x41, 0x24, 0x85, 0x5a, 0x04, 0xd2];
        assert_eq!(written(kind::TIMESTAMP2, 4, false, &stamp), "\"2004-08-19T10:47:54.1234Z\"");
        assert_eq!(written(kind::TIMESTAMP, 0, false, &[0; 4]), "\"0000-00-00 00:00:00\"");
    }

    #[test]
    fn labels_are_text_and_a_set_is_a_list() {
        assert_eq!(written(kind::ENUM, 1, false, &[1]), "\"a\"");
        assert_eq!(written(kind::ENUM, 1, false, &[0]), "\"\"");
        assert_eq!(written(kind::ENUM, 1, false, &[9]), "9");
        assert_eq!(written(kind::SET, 1, false, &[1]), "[\"a\"]");
    }
}
