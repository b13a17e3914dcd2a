//! How a value becomes JSON. Values arrive as text, under settings that give each one spelling.
//!
//! | type | JSON |
//! |---|---|
//! | `smallint` `integer` `bigint` `oid` | number |
//! | `numeric` | string, exact: `"12.50"`, `"NaN"` |
//! | `real` `double precision` | number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `boolean` | `true`, `false` |
//! | `text` `varchar` `char` `name` `uuid` `inet` `money` `bit` `xml`, enums, ranges, composites, geometry | string, as the server writes it |
//! | `date` `time` `timetz` | string: `"2026-11-21"`, `"09:00:00.5"`, `"09:00:00+02"` |
//! | `timestamp` | string without a zone: `"2026-11-21T09:00:00.123456"` |
//! | `timestamptz` | string in UTC: `"2026-11-21T09:00:00.123456Z"` |
//! | `infinity`, years before Christ and after 9999 | string, as the server writes it |
//! | `interval` | string of ISO 8601: `"P1DT2H"` |
//! | `bytea` | string of base64 |
//! | `json` `jsonb` | itself; as a string if a key is there twice or it is nested deeper than 12 |
//! | arrays | list, of lists where they have more dimensions |
//! | domains | as the type below |
//! | NULL | `null` |

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tahoe_schemas::json::write_str;

/// Nesting of a JSON value that every reader of the records takes.
const DEPTH_MAX: usize = 12;

/// How a type is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Digits.
    Number,
    /// Digits, or one of three words.
    Float,
    /// `t` or `f`.
    Boolean,
    /// As it is.
    Text,
    /// Date and time without a zone.
    Local,
    /// Date and time at offset zero.
    Utc,
    /// `\x` and hexadecimal digits.
    Bytes,
    /// JSON already.
    Json,
    /// The same, which the server has parsed.
    Jsonb,
    /// Elements of one kind, and what stands between them.
    List(Box<Kind>, u8),
}

/// Types that every server numbers alike, with the number of their arrays.
const BUILT_IN: [(u32, u32, Kind); 48] = [
    (16, 1000, Kind::Boolean),
    (17, 1001, Kind::Bytes),
    (18, 1002, Kind::Text),
    (19, 1003, Kind::Text),
    (20, 1016, Kind::Number),
    (21, 1005, Kind::Number),
    (23, 1007, Kind::Number),
    (25, 1009, Kind::Text),
    (26, 1028, Kind::Number),
    (114, 199, Kind::Json),
    (142, 143, Kind::Text),
    (600, 1017, Kind::Text),
    (601, 1018, Kind::Text),
    (602, 1019, Kind::Text),
    (604, 1027, Kind::Text),
    (628, 629, Kind::Text),
    (650, 651, Kind::Text),
    (700, 1021, Kind::Float),
    (701, 1022, Kind::Float),
    (718, 719, Kind::Text),
    (774, 775, Kind::Text),
    (790, 791, Kind::Text),
    (829, 1040, Kind::Text),
    (869, 1041, Kind::Text),
    (1042, 1014, Kind::Text),
    (1043, 1015, Kind::Text),
    (1082, 1182, Kind::Text),
    (1083, 1183, Kind::Text),
    (1114, 1115, Kind::Local),
    (1184, 1185, Kind::Utc),
    (1186, 1187, Kind::Text),
    (1266, 1270, Kind::Text),
    (1560, 1561, Kind::Text),
    (1562, 1563, Kind::Text),
    (1700, 1231, Kind::Text),
    (2950, 2951, Kind::Text),
    (3220, 3221, Kind::Text),
    (3614, 3643, Kind::Text),
    (3615, 3645, Kind::Text),
    (3802, 3807, Kind::Jsonb),
    (3904, 3905, Kind::Text),
    (3906, 3907, Kind::Text),
    (3908, 3909, Kind::Text),
    (3910, 3911, Kind::Text),
    (3912, 3913, Kind::Text),
    (3926, 3927, Kind::Text),
    (4072, 4073, Kind::Text),
    (5069, 271, Kind::Text),
];

/// The kind of a type that is built in; others are in the catalog.
pub fn built_in(oid: u32) -> Option<Kind> {
    BUILT_IN.iter().find_map(|(one, many, kind)| match oid {
        _ if oid == *one => Some(kind.clone()),
        _ if oid == *many => Some(Kind::List(Box::new(kind.clone()), b',')),
        _ => None,
    })
}

/// Appends a value as JSON.
pub fn write(kind: &Kind, text: &[u8], out: &mut Vec<u8>) {
    // The server converts to UTF-8, unless the database is SQL_ASCII and holds anything.
    let valid = String::from_utf8_lossy(text);
    let text: &str = &valid;
    match kind {
        Kind::Number => out.extend_from_slice(text.as_bytes()),
        Kind::Float if text.ends_with(|last: char| last.is_ascii_digit()) => {
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Boolean => out.extend_from_slice(if text == "t" { b"true" } else { b"false" }),
        Kind::Local => write_time(text, text, "", out),
        Kind::Utc => match text.strip_suffix("+00") {
            Some(local) => write_time(text, local, "Z", out),
            None => write_str(text, out),
        },
        Kind::Bytes => {
            write_str(&BASE64_STANDARD.encode(from_hex(text.trim_start_matches("\\x"))), out);
        }
        Kind::Json | Kind::Jsonb => {
            let start = out.len();
            if compact(text.as_bytes(), *kind == Kind::Jsonb, out).is_none() {
                out.truncate(start);
                write_str(text, out);
            }
        }
        Kind::List(element, between) => {
            let start = out.len();
            if write_list(element, *between, text, out).is_none() {
                out.truncate(start);
                write_str(text, out);
            }
        }
        Kind::Text | Kind::Float => write_str(text, out),
    }
}

/// `2026-11-21 09:00:00`, if it is one of four digits and of our era.
fn write_time(text: &str, local: &str, zone: &str, out: &mut Vec<u8>) {
    match (local.as_bytes().get(10), local.ends_with("BC")) {
        (Some(b' '), false) => {
            write_str(&format!("{}T{}{zone}", &local[..10], &local[11..]), out);
        }
        _ => write_str(text, out),
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[pair.len() - 1]))
        .collect()
}

/// JSON without the white space between its parts, which may be new lines. None, if it is nested
/// too deep or names a key twice, which the server itself sees to where keys `are_unique`.
fn compact(text: &[u8], are_unique: bool, out: &mut Vec<u8>) -> Option<()> {
    let mut keys: Vec<HashSet<&[u8]>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = end_of_string(text, at);
                let string = &text[at..end];
                out.extend_from_slice(string);
                let after = text[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                if !are_unique && after == Some(&b':') && !keys.last_mut()?.insert(string) {
                    return None;
                }
                at = end;
                continue;
            }
            b'{' | b'[' if keys.len() == DEPTH_MAX => return None,
            b'{' | b'[' => keys.push(HashSet::new()),
            b'}' | b']' => drop(keys.pop()),
            b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => {}
        }
        out.push(byte);
        at += 1;
    }
    Some(())
}

/// Behind the closing quote of the string that begins at `start`.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// `{1,NULL,"a \"b\"",{…}}`, perhaps behind its bounds, `[0:2]=`.
fn write_list(element: &Kind, between: u8, text: &str, out: &mut Vec<u8>) -> Option<()> {
    let body = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let body = body.as_bytes();
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'{' => out.push(b'['),
            b'}' => out.push(b']'),
            b'"' => {
                let end = end_of_string(body, at);
                let mut plain = Vec::with_capacity(end - at);
                let mut inner = body.get(at + 1..end - 1)?.iter();
                while let Some(&byte) = inner.next() {
                    plain.push(if byte == b'\\' { *inner.next()? } else { byte });
                }
                write(element, &plain, out);
                at = end;
                continue;
            }
            _ if byte == between => out.push(b','),
            _ => {
                let ends = |byte: &u8| *byte == b'}' || *byte == between;
                let end = at + body[at..].iter().position(ends)?;
                match &body[at..end] {
                    b"NULL" => out.extend_from_slice(b"null"),
                    plain => write(element, plain, out),
                }
                at = end;
                continue;
            }
        }
        at += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: &Kind, text: &str) -> String {
        let mut out = Vec::new();
        write(kind, text.as_bytes(), &mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn numbers_are_exact_and_what_is_no_number_is_a_string() {
        assert_eq!(written(&Kind::Number, "-9223372036854775808"), "-9223372036854775808");
        assert_eq!(written(&Kind::Text, "12.50"), r#""12.50""#);
        assert_eq!(written(&Kind::Float, "1e-05"), "1e-05");
        assert_eq!(written(&Kind::Float, "-Infinity"), r#""-Infinity""#);
        assert_eq!(written(&Kind::Float, "NaN"), r#""NaN""#);
    }

    #[test]
    fn times_have_a_zone_only_if_their_type_has_one() {
        assert_eq!(written(&Kind::Local, "2026-11-21 09:00:00.5"), r#""2026-11-21T09:00:00.5""#);
        assert_eq!(written(&Kind::Utc, "2026-11-21 09:00:00+00"), r#""2026-11-21T09:00:00Z""#);
        assert_eq!(written(&Kind::Utc, "infinity"), r#""infinity""#);
        assert_eq!(written(&Kind::Local, "0044-03-15 12:00:00 BC"), r#""0044-03-15 12:00:00 BC""#);
    }

    #[test]
    fn json_stays_json_on_one_line_unless_its_readers_would_not_take_it() {
        let text = "{\"a b\" : [1,\n 2.0], \"c\":\"x \\\" y\"}";
        assert_eq!(written(&Kind::Json, text), r#"{"a b":[1,2.0],"c":"x \" y"}"#);
        assert_eq!(written(&Kind::Json, r#"{"a":1,"a":2}"#), r#""{\"a\":1,\"a\":2}""#);
        let pairs: Vec<_> = (0..300_000).map(|n| format!("\"{n}\":{n}")).collect();
        let large = format!("{{{}}}", pairs.join(","));
        assert_eq!(written(&Kind::Json, &large.replace(',', ", ")), large);
        assert_eq!(written(&Kind::Jsonb, &large.replace(':', ": ")), large);
        let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
        assert_eq!(written(&Kind::Json, &deep), format!("\"{deep}\""));
    }

    #[test]
    fn lists_keep_nulls_quotes_and_dimensions() {
        let list = |oid| built_in(oid).expect("an array");
        assert_eq!(written(&list(1007), "{1,NULL,3}"), "[1,null,3]");
        assert_eq!(written(&list(1007), "[0:1]={1,2}"), "[1,2]");
        assert_eq!(written(&list(1007), "{{1,2},{3,4}}"), "[[1,2],[3,4]]");
        let text = r#"{"a,b","NULL",NULL,"q\"\\",""}"#;
        assert_eq!(written(&list(1009), text), r#"["a,b","NULL",null,"q\"\\",""]"#);
        assert_eq!(written(&list(1001), r#"{"\\x00ff"}"#), r#"["AP8="]"#);
        assert_eq!(written(&list(1007), "{}"), "[]");
    }
}
