//! RFC 5424's structured data (6.3) as a JSON object of its elements.

use crate::find::Find;
use crate::{Event, json};

/// More parameters than this are no header; they stay in the message.
const PARAMETERS_MAX: usize = 128;

/// One parameter; an element without any has an empty name.
#[derive(Clone, Copy)]
struct Parameter<'a> {
    element: &'a str,
    name: &'a str,
    value: &'a str,
}

/// `[id name="value" …][…]` at the start of `text`: a JSON object, and what follows. `None` if it
/// is not well formed.
pub(super) fn parse<'a>(text: &'a str, event: &mut Event<'a>) -> Option<(&'a [u8], &'a str)> {
    let mut parameters = event.list::<Parameter<'a>>();
    let mut rest = text;
    while let Some(body) = rest.strip_prefix('[') {
        let end = body.bytes().position(|byte| matches!(byte, b' ' | b']'))?;
        let element = &body[..end];
        if element.is_empty() || element.bytes().any(|byte| matches!(byte, b'"' | b'=')) {
            return None;
        }
        rest = body[end..].trim_start_matches(' ');
        if rest.starts_with(']') {
            parameters.push(Parameter { element, name: "", value: "" });
        }
        while !rest.starts_with(']') {
            let (name, after) = rest.split_on_byte(b'=')?;
            let (value, after) = quoted(after.trim_start_matches(' '), event)?;
            if name.is_empty() || name.bytes().any(|byte| matches!(byte, b' ' | b']' | b'"')) {
                return None;
            }
            if parameters.len() == PARAMETERS_MAX {
                return None;
            }
            parameters.push(Parameter { element, name, value });
            rest = after.trim_start_matches(' ');
        }
        rest = &rest[1..];
    }
    if parameters.is_empty() {
        return None;
    }
    Some((object(&parameters, event), rest))
}

/// A quoted text, unescaped, and what follows.
fn quoted<'a>(text: &'a str, event: &mut Event<'a>) -> Option<(&'a str, &'a str)> {
    let body = text.strip_prefix('"')?;
    let bytes = body.as_bytes();
    let (mut at, mut escaped) = (0, false);
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            break;
        }
        let special = matches!(bytes.get(at + 1), Some(b'"' | b'\\' | b']'));
        escaped |= special;
        at += 1 + usize::from(special);
    }
    let (value, rest) = (&body[..at], &body[at + 1..]);
    if !escaped {
        return Some((value, rest));
    }
    let mut plain = event.string(value.len());
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        let special = character == '\\' && matches!(characters.peek(), Some('"' | '\\' | ']'));
        plain.push(if special { characters.next().unwrap_or('\\') } else { character });
    }
    Some((plain.into_bump_str(), rest))
}

/// Elements and names are written once, where they come first; of two equal names the first
/// counts.
fn object<'a>(parameters: &[Parameter<'a>], event: &Event<'a>) -> &'a [u8] {
    let mut out = Vec::with_capacity(128);
    for (index, first) in parameters.iter().enumerate() {
        if parameters[..index].iter().any(|earlier| earlier.element == first.element) {
            continue;
        }
        out.push(if out.is_empty() { b'{' } else { b',' });
        json::write_str(first.element, &mut out);
        out.extend_from_slice(b":{");
        let mut comma = false;
        for (index, one) in parameters.iter().enumerate() {
            let same =
                |other: &Parameter<'_>| other.element == one.element && other.name == one.name;
            let mine = one.element == first.element && !one.name.is_empty();
            if !mine || parameters[..index].iter().any(same) {
                continue;
            }
            if comma {
                out.push(b',');
            }
            comma = true;
            json::write_str(one.name, &mut out);
            out.push(b':');
            json::write_str(one.value, &mut out);
        }
        out.push(b'}');
    }
    out.push(b'}');
    event.alloc_bytes(&out)
}
