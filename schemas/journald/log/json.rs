//! One object a line, alone, after `data: ` or after a record separator: values are texts; lists of
//! numbers where they are not UTF-8 or not printable, lists of both where a field occurs several
//! times, and `null` where journalctl found them too long. Collectors (Fluent Bit, Fluentd, Vector)
//! pass on the same fields with some of their own beside them, and may write the names in lower
//! case and without underscores before them.

use tahoe_seams::Rejection;

use super::collected;
use super::entry::Named;
use crate::find::find_iter;
use crate::object::{flattened, object_parts, scalar, whole};
use crate::scan::{Entries, Entry, Flaw, Scan};
use crate::{Event, Transformation, Value, fields};

/// What becomes of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    /// It is an entry.
    Entry,
    /// It is an entry whose message journalctl found too long.
    WithoutMessage,
    /// It is something else.
    Other,
}

pub(super) fn is_entry(bytes: &[u8]) -> bool {
    if !object(bytes).starts_with(b"{") {
        return false;
    }
    let key_at = |at: usize| {
        let rest = &bytes[at + 1..];
        let length = rest.iter().take(collected::NAME_BYTES_MAX).position(|byte| *byte == b'"');
        length.is_some_and(|length| collected::is_trusted(&rest[..length]))
    };
    find_iter(bytes, b"\"_").any(key_at) || collected::has_identifier(bytes)
}

/// The object of a line of `json`, `json-sse` or `json-seq`.
fn object(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"data: ").unwrap_or(line);
    line.strip_prefix(b"\x1e").unwrap_or(line)
}

/// Gives the fields of an entry, if it is one.
pub(super) fn fields<'a>(
    bytes: &'a [u8],
    event: &mut Event<'a>,
    mut visit: impl FnMut(Named<'a>),
) -> Result<Object, Rejection> {
    let object = object(bytes);
    let before = bytes.len() - object.len();
    let text = event.text(object);
    let entries = entries(text.as_bytes(), before)?;
    let Some(names) = collected::names(&entries) else { return Ok(Object::Other) };
    let mut found = Object::Entry;
    for Entry { key, value } in entries {
        let name = names.of_journal(event.sound(key).unwrap_or_default(), event);
        let field = |value| Named { name, value, is_json: false };
        if collected::is_of_collector(name) {
            match value[0] {
                b'{' => visit(of_collector(name, value, event)),
                b'n' => event.transformation_of(Transformation::NullRemoved, name),
                b'[' => match several(value, before + event.place_of(value), name, event) {
                    Ok(values) => values.into_iter().for_each(|value| visit(field(value))),
                    Err(_) => visit(field(value)),
                },
                _ => visit(field(scalar(value, event).map_or(value, str::as_bytes))),
            }
        } else if let Some(value) = one(value, event) {
            visit(field(value));
        } else if value == b"null" && name == "MESSAGE" {
            event.null_removed(fields::MESSAGE);
            found = Object::WithoutMessage;
        } else if value == b"null" {
            event.transformation_of(Transformation::NullRemoved, name);
        } else {
            several(value, before + event.place_of(value), name, event)?
                .into_iter()
                .for_each(|value| visit(field(value)));
        }
    }
    Ok(found)
}

/// An object that a collector adds, such as where a pod runs; one that is not to be had as an
/// object stays text.
fn of_collector<'a>(name: &'a str, value: &'a [u8], event: &mut Event<'a>) -> Named<'a> {
    let entry = [Entry { key: name.as_bytes(), value }];
    let object = whole(value).and_then(|_| flattened(&entry, fields::journald::CUSTOM, event));
    let inside = match object {
        Some(Value::Raw(object)) => object_parts(object).first().map(|entry| entry.value),
        _ => None,
    };
    Named { name, value: inside.unwrap_or(value), is_json: inside.is_some() }
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

/// The values, from that byte of the record on, of a field that occurs several times.
fn several<'a>(
    value: &'a [u8],
    at: usize,
    name: &str,
    event: &Event<'a>,
) -> Result<Vec<&'a [u8]>, Rejection> {
    let refuse = |what: &str| Rejection::at("malformed_entry", format!("{name} is {what}"), at);
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
