//! What a BSON value is in JSON. One value has one text, so that a document that is read twice is
//! the same bytes twice.
//!
//! | BSON | JSON |
//! |---|---|
//! | double | number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | string, symbol, JavaScript code | text |
//! | document | object, in the order of its fields |
//! | array | list |
//! | binary | base64 text; of subtype 4, a UUID as text |
//! | ObjectId | text of 24 hexadecimal digits |
//! | boolean, null | the same; undefined is `null` |
//! | date | text, ISO 8601 in UTC with milliseconds; beyond the years 0 to 9999 those since 1970 |
//! | int32, int64 | number, all digits |
//! | decimal128 | text, exact; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | timestamp | `{"t":seconds,"i":increment}` |
//! | regular expression | text, `/pattern/options` |
//! | code with scope | `{"code":text,"scope":object}` |
//! | MinKey, MaxKey | `"MinKey"`, `"MaxKey"` |
//! | DBPointer | `{"$ref":namespace,"$id":ObjectId}` |
//!
//! A value that is longer than a record may be is `{"bytes":N,"sha256":"…"}` of its JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::raw::RawDbPointerRef;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawArray, RawBinaryRef, RawBsonRef, RawDocument};
use tahoe_pipeline::replicate::write_stand_in;
use tahoe_schemas::json::{write_f64, write_str};
use tahoe_schemas::time::Time;

/// Milliseconds since 1970 of the first and the last date that RFC 3339 can say.
pub(crate) const DATES_MS: std::ops::RangeInclusive<i64> =
    -62_167_219_200_000..=253_402_300_799_999;

/// Bytes that are no BSON, and what is wrong with them.
pub(crate) type Damaged = mongodb::bson::error::Error;

/// Appends a document as an object.
///
/// # Errors
/// The bytes are no BSON.
pub(crate) fn write_document(document: &RawDocument, out: &mut Vec<u8>) -> Result<(), Damaged> {
    write_fields(document, usize::MAX, out)
}

/// The same, with every field that is longer than so many bytes replaced by its length and hash.
///
/// # Errors
/// The bytes are no BSON.
pub(crate) fn write_fields(
    document: &RawDocument,
    field_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Damaged> {
    out.push(b'{');
    for (index, field) in document.iter().enumerate() {
        let (name, value) = field?;
        if index > 0 {
            out.push(b',');
        }
        write_str(name.as_str(), out);
        out.push(b':');
        let from = out.len();
        write_value(value, out)?;
        if out.len() - from > field_bytes_max {
            digest(from, out);
        }
    }
    out.push(b'}');
    Ok(())
}

/// Replaces what `out` has from there on by its length and hash.
pub(crate) fn digest(from: usize, out: &mut Vec<u8>) {
    let value = out.split_off(from);
    write_stand_in(&value, out);
}

/// Appends one value.
///
/// # Errors
/// The bytes are no BSON.
pub(crate) fn write_value(value: RawBsonRef<'_>, out: &mut Vec<u8>) -> Result<(), Damaged> {
    match value {
        RawBsonRef::Double(number) => write_double(number, out),
        RawBsonRef::String(text) | RawBsonRef::Symbol(text) => write_str(text, out),
        RawBsonRef::JavaScriptCode(text) => write_str(text, out),
        RawBsonRef::Document(document) => write_document(document, out)?,
        RawBsonRef::Array(array) => write_array(array, out)?,
        RawBsonRef::Binary(binary) => write_binary(binary, out),
        RawBsonRef::ObjectId(id) => write_str(&id.to_hex(), out),
        RawBsonRef::Boolean(true) => out.extend_from_slice(b"true"),
        RawBsonRef::Boolean(false) => out.extend_from_slice(b"false"),
        RawBsonRef::Null | RawBsonRef::Undefined => out.extend_from_slice(b"null"),
        RawBsonRef::DateTime(date) => write_date(date.timestamp_millis(), out),
        RawBsonRef::Int32(number) => out.extend_from_slice(number.to_string().as_bytes()),
        RawBsonRef::Int64(number) => out.extend_from_slice(number.to_string().as_bytes()),
        RawBsonRef::Decimal128(number) => write_str(&number.to_string(), out),
        RawBsonRef::Timestamp(stamp) => {
            let text = format!("{{\"t\":{},\"i\":{}}}", stamp.time, stamp.increment);
            out.extend_from_slice(text.as_bytes());
        }
        RawBsonRef::RegularExpression(regex) => {
            write_str(&format!("/{}/{}", regex.pattern.as_str(), regex.options.as_str()), out);
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            out.extend_from_slice(b"{\"code\":");
            write_str(code.code, out);
            out.extend_from_slice(b",\"scope\":");
            write_document(code.scope, out)?;
            out.push(b'}');
        }
        RawBsonRef::MinKey => write_str("MinKey", out),
        RawBsonRef::MaxKey => write_str("MaxKey", out),
        RawBsonRef::DbPointer(pointer) => write_pointer(pointer, out),
    }
    Ok(())
}

fn write_double(number: f64, out: &mut Vec<u8>) {
    match number {
        number if number.is_nan() => write_str("NaN", out),
        f64::INFINITY => write_str("Infinity", out),
        f64::NEG_INFINITY => write_str("-Infinity", out),
        number => write_f64(number, out),
    }
}

fn write_array(array: &RawArray, out: &mut Vec<u8>) -> Result<(), Damaged> {
    out.push(b'[');
    for (index, value) in array.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(value?, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_binary(binary: RawBinaryRef<'_>, out: &mut Vec<u8>) {
    match (binary.subtype, <[u8; 16]>::try_from(binary.bytes)) {
        (BinarySubtype::Uuid, Ok(bytes)) => write_str(&uuid(bytes), out),
        _ => write_str(&STANDARD.encode(binary.bytes), out),
    }
}

/// `00112233-4455-6677-8899-aabbccddeeff`
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    mongodb::bson::Uuid::from_bytes(bytes).to_string()
}

fn write_date(ms: i64, out: &mut Vec<u8>) {
    if !DATES_MS.contains(&ms) {
        out.extend_from_slice(ms.to_string().as_bytes());
        return;
    }
    out.push(b'"');
    Time::from_ms(ms).write(out);
    out.push(b'"');
}

/// Only BSON's own extended JSON tells what such a pointer holds.
fn write_pointer(pointer: RawDbPointerRef<'_>, out: &mut Vec<u8>) {
    let extended = serde_json::to_value(pointer).unwrap_or_default();
    let extended = &extended["$dbPointer"];
    let id = &extended["$id"]["$oid"];
    let text = serde_json::json!({"$ref": extended["$ref"], "$id": id});
    out.extend_from_slice(text.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{
        Binary, Bson, DateTime, DbPointer, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
        Timestamp, cstr, doc, oid::ObjectId,
    };

    use super::*;

    fn json(value: impl Into<Bson>) -> String {
        let document = RawDocumentBuf::try_from(&doc! {"v": value.into()}).expect("it is BSON");
        let mut out = Vec::new();
        write_document(&document, &mut out).expect("it is BSON");
        let text = String::from_utf8(out).expect("JSON is UTF-8");
        serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON");
        text[5..text.len() - 1].to_owned()
    }

    #[test]
    fn every_type_of_bson_has_its_text() {
        let id = ObjectId::parse_str("65f0c0ffee65f0c0ffee65f0").expect("an id");
        let decimal = |text: &str| Bson::Decimal128(text.parse().expect("a decimal"));
        let binary = |subtype, bytes: &[u8]| Binary { subtype, bytes: bytes.to_vec() };
        let cases: Vec<(Bson, &str)> = vec![
            (0.1.into(), "0.1"),
            (f64::NAN.into(), "\"NaN\""),
            (f64::INFINITY.into(), "\"Infinity\""),
            (f64::NEG_INFINITY.into(), "\"-Infinity\""),
            ("größe \"L\"\n\0".into(), r#""größe \"L\"\n\u0000""#),
            (doc! {"b": 1, "a": [null, {}]}.into(), r#"{"b":1,"a":[null,{}]}"#),
            (binary(BinarySubtype::Generic, b"\xff\0ab").into(), "\"/wBhYg==\""),
            (binary(BinarySubtype::Uuid, &[0x11; 16]).into(), {
                "\"11111111-1111-1111-1111-111111111111\""
            }),
            (id.into(), "\"65f0c0ffee65f0c0ffee65f0\""),
            (true.into(), "true"),
            (Bson::Null, "null"),
            (Bson::Undefined, "null"),
            (DateTime::from_millis(1_772_000_000_007).into(), "\"2026-02-25T06:13:20.007Z\""),
            (DateTime::from_millis(-1).into(), "\"1969-12-31T23:59:59.999Z\""),
            (DateTime::from_millis(i64::MAX).into(), "9223372036854775807"),
            (i32::MIN.into(), "-2147483648"),
            (i64::MAX.into(), "9223372036854775807"),
            (decimal("12.50"), "\"12.50\""),
            (decimal("NaN"), "\"NaN\""),
            (decimal("9.999999999999999999999999999999999E+6144"), {
                "\"9.999999999999999999999999999999999E+6144\""
            }),
            (Timestamp { time: 7, increment: 8 }.into(), "{\"t\":7,\"i\":8}"),
            (Bson::Symbol("s".to_owned()), "\"s\""),
            (Bson::JavaScriptCode("f()".to_owned()), "\"f()\""),
            (Bson::MinKey, "\"MinKey\""),
            (Bson::MaxKey, "\"MaxKey\""),
        ];
        for (value, text) in cases {
            assert_eq!(json(value.clone()), text, "{value:?}");
        }
        let regex = Regex { pattern: cstr!("^a/\\d").to_owned(), options: cstr!("im").to_owned() };
        assert_eq!(json(Bson::RegularExpression(regex)), r#""/^a/\\d/im""#);
        let code = JavaScriptCodeWithScope { code: "f(x)".to_owned(), scope: doc! {"x": 1} };
        assert_eq!(json(Bson::JavaScriptCodeWithScope(code)), r#"{"code":"f(x)","scope":{"x":1}}"#);
        let pointer: Bson = serde_json::from_value::<DbPointer>(serde_json::json!({
            "$dbPointer": {"$ref": "shop.orders", "$id": {"$oid": "65f0c0ffee65f0c0ffee65f0"}}
        }))
        .expect("a pointer")
        .into();
        let text = r#"{"$id":"65f0c0ffee65f0c0ffee65f0","$ref":"shop.orders"}"#;
        assert_eq!(json(pointer), text);
    }

    #[test]
    fn a_field_that_is_too_long_is_its_length_and_hash_and_the_others_stay() {
        let document = doc! {"_id": 7, "photo": "x".repeat(100), "name": "a"};
        let document = RawDocumentBuf::try_from(&document).expect("it is BSON");
        let mut out = Vec::new();
        write_fields(&document, 50, &mut out).expect("it is BSON");
        let read: serde_json::Value = serde_json::from_slice(&out).expect("it is JSON");
        assert_eq!(read["_id"], 7);
        assert_eq!(read["name"], "a");
        assert_eq!(read["photo"]["bytes"], 102);
        assert_eq!(read["photo"]["sha256"].as_str().map(str::len), Some(64));
    }
}
