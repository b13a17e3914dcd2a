//! One object a line, alone, after `data: ` or after a record separator: values are texts; lists of numbers where they are not UTF-8 or not printable,
//! lists of both where a field occurs several times, and `null` where journalctl found them too
//! long.

use tahoe_seams::Rejection;

use super::entry::Named;
use crate::find::find;
use crate::object::{scalar, whole};
use crate::scan::{Entries, Entry, Flaw, Scan};
use crate::{Event, Transformation, fields};

/// Every entry has it, and hardly anything else.
const MARK: &[u8] = b"\"__REALTIME_TIMESTAMP\"";

pub(super) fn is_entry(bytes: &[u8]) -> bool {
    object(bytes).starts_with(b"{") && find(bytes, MARK).is_some()
}

/// The object of a line of `json`, `json-sse` or `json-seq`.
fn object(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"data: ").unwrap_or(line);
    line.strip_prefix(b"\x1e").unwrap_or(line)
}

/// Gives the fields of an entry.
pub(super) fn fields<'a>(
    bytes: &'a [u8],
    event: &mut Event<'a>,
    mut visit: impl FnMut(Named<'a>),
) -> Result<(), Rejection> {
    let object = object(bytes);
    let before = bytes.len() - object.len();
    let text = event.text(object);
    for Entry { key, value } in entries(text.as_bytes(), before)? {
        let name = event.sound(key).unwrap_or_default();
        if let Some(value) = one(value, event) {
            visit(Named { name, value });
        } else if value == b"null" && name == "MESSAGE" {
            event.null_removed(fields::MESSAGE);
        } else if value == b"null" {
            event.transformation_of(Transformation::NullRemoved, name);
        } else {
            for value in several(value, name, event)? {
                visit(Named { name, value });
            }
        }
    }
    Ok(())
}

/// The fields of an object that fills `text`; a field that occurs again has several values. So many
/// bytes of the record are before it.
fn entries(text: &[u8], before: usize) -> Result<Entries<'_>, Rejection> {
    let malformed =
        |reason: &'static str, at| Rejection::at("malformed_entry", reason, before + at);
    let mut scan = Scan::of_any_keys(text);
    match scan.run() {
        Ok(length) if text[length..].trim_ascii().is_empty() => Ok(scan.entries),
        Ok(at) | Err(Flaw::At(at)) => Err(malformed("the entry is no JSON from here on", at)),
        Err(Flaw::Unfinished) => Err(malformed("the entry does not end", text.len())),
    }
}

/// The values of a field that occurs several times.
fn several<'a>(value: &'a [u8], name: &str, event: &Event<'a>) -> Result<Vec<&'a [u8]>, Rejection> {
    let refuse = |what: &str| Rejection::whole("malformed_entry", format!("{name} is {what}"));
    let list = value.starts_with(b"[").then(|| whole(value)).flatten();
    let list = list.ok_or_else(|| refuse("neither text nor list"))?;
    let text = |entry: &Entry<'a>| {
        let is_text = matches!(entry.value[0], b'"' | b'[');
        one(entry.value, event).filter(|_| is_text)
    };
    let values: Option<Vec<_>> = list.iter().map(text).collect();
    values.ok_or_else(|| refuse("a list of neither texts nor bytes"))
}

/// One value: a text, the bytes of one, or a number that another program left bare.
fn one<'a>(value: &'a [u8], event: &Event<'a>) -> Option<&'a [u8]> {
    match value[0] {
        b'"' | b'-' | b'0'..=b'9' => scalar(value, event).map(str::as_bytes),
        b'[' => {
            let list = whole(value)?;
            let byte = |entry: &Entry<'_>| scalar(entry.value, event)?.parse::<u8>().ok();
            let is_bare = list.iter().all(|entry| entry.value[0] != b'"');
            let bytes: Option<Vec<u8>> = list.iter().map(byte).collect();
            bytes.filter(|_| is_bare).map(|bytes| event.alloc_bytes(&bytes))
        }
        _ => None,
    }
}
