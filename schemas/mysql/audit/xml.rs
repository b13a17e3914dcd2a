//! An `AUDIT_RECORD` in XML: elements inside (the new form) or attributes (the old one).

use super::named::{self, Pairs};
use crate::find::{Find, find};
use crate::{Event, Value, fields, json};

/// Names and values of one record.
const PAIRS_MAX: usize = 256;

/// Says whether the text is a record.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some(rest) = text.strip_prefix("<AUDIT_RECORD") else { return false };
    let mut pairs = Pairs::new();
    match rest.strip_prefix('>') {
        Some(inside) => elements(inside, &mut pairs, event),
        None => attributes(rest, &mut pairs, event),
    }
    named::set(&pairs, event)
}

/// `<NAME>value</NAME>` one after the other, or `<NAME/>`. What is neither is kept as it is.
fn elements<'a>(mut text: &'a str, pairs: &mut Pairs<'a>, event: &mut Event<'a>) {
    while let Some((name, rest)) = opening(text) {
        if name.ends_with('/') {
            text = rest;
            continue;
        }
        let Some((value, after)) = until_closing(name, rest) else { break };
        if name == "CONNECTION_ATTRIBUTES" {
            connection_attributes(value, event);
        } else if pairs.len() < PAIRS_MAX {
            pairs.push((name, unescaped(value, event)));
        }
        text = after;
    }
    let rest = text.trim();
    if !rest.is_empty() && rest != "</AUDIT_RECORD>" {
        pairs.push(("rest", rest));
    }
}

/// The name of the next element and what follows its tag.
fn opening(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.trim_start().strip_prefix('<')?.split_on_byte(b'>')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let plain = name.strip_suffix('/').unwrap_or(name);
    (!plain.is_empty() && plain.bytes().all(is_name)).then_some((name, rest))
}

/// What an element holds, and what follows it.
fn until_closing<'a>(name: &str, text: &'a str) -> Option<(&'a str, &'a str)> {
    let mut from = 0;
    while let Some(found) = find(&text.as_bytes()[from..], b"</") {
        let at = from + found;
        if let Some(after) = text[at + 2..].strip_prefix(name).and_then(|t| t.strip_prefix('>')) {
            return Some((&text[..at], after));
        }
        from = at + 2;
    }
    None
}

/// `NAME="value"` one after the other.
fn attributes<'a>(mut text: &'a str, pairs: &mut Pairs<'a>, event: &Event<'a>) {
    while let Some((name, rest)) = text.split_on_byte(b'=') {
        let name = name.trim().trim_matches('"');
        let Some((value, after)) =
            rest.trim_start().strip_prefix('"').and_then(|v| v.split_on_byte(b'"'))
        else {
            return;
        };
        if pairs.len() < PAIRS_MAX {
            pairs.push((name, unescaped(value, event)));
        }
        text = after;
    }
}

/// `<ATTRIBUTE><NAME>…</NAME><VALUE>…</VALUE></ATTRIBUTE>` one after the other.
fn connection_attributes<'a>(mut text: &'a str, event: &mut Event<'a>) {
    let mut found = Pairs::new();
    while let Some(("ATTRIBUTE", rest)) = opening(text) {
        let Some((inside, after)) = until_closing("ATTRIBUTE", rest) else { break };
        let mut pair = Pairs::new();
        elements(inside, &mut pair, event);
        if let [("NAME", name), ("VALUE", value)] = pair[..]
            && found.len() < PAIRS_MAX
            && !found.iter().any(|(other, _)| *other == name)
        {
            found.push((name, value));
        }
        text = after;
    }
    let mut object = Vec::new();
    for (name, value) in found {
        if let ("_pid", Ok(pid)) = (name, value.parse::<u32>()) {
            event.set(fields::process::PID, pid);
            continue;
        }
        object.push(if object.is_empty() { b'{' } else { b',' });
        json::write_str(name, &mut object);
        object.push(b':');
        json::write_str(value, &mut object);
    }
    if !object.is_empty() {
        object.push(b'}');
        let object = event.alloc_bytes(&object);
        let field = fields::mysqlenterprise::audit::connection_data::CONNECTION_ATTRIBUTES;
        event.set(field, Value::Raw(object));
    }
}

/// Undoes `&lt;`, `&#10;` and the like; what is none of them stays.
fn unescaped<'a>(text: &'a str, event: &Event<'a>) -> &'a str {
    if !text.contains('&') {
        return text;
    }
    let mut out = event.string(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (character, length) = entity(&rest[at..]).unwrap_or(('&', 1));
        out.push(character);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out.into_bump_str()
}

/// The longest is `&#x10ffff;`.
const ENTITY_BYTES_MAX: usize = 10;

fn entity(text: &str) -> Option<(char, usize)> {
    let head = &text.as_bytes()[..text.len().min(ENTITY_BYTES_MAX)];
    let end = memchr::memchr(b';', head)?;
    let name = &text[1..end];
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(number)?
        }
    };
    Some((character, end + 1))
}
