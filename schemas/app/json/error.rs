//! Errors as JSON holds them: a text, a text with its stack, or an object.

use crate::find::Find;
use crate::object::{entries, object_parts, scalar};
use crate::scan::Entries;
use crate::{Event, fields};

/// What the last line of a Python traceback comes after.
const TRACEBACK: &str = "Traceback (most recent call last)";

/// Sets what an error's text says: all of it is the stack if it has lines.
pub(super) fn text<'a>(text: &'a str, event: &mut Event<'a>) {
    if text.trim_end().contains('\n') {
        stack(text, event);
    } else {
        event.set_if_absent(fields::error::MESSAGE, text);
    }
}

/// Sets stack, and type and message from the line that says them: the last of a Python traceback,
/// else the first, if `: ` or a frame (`at …`) follows what looks like a name.
pub(super) fn stack<'a>(text: &'a str, event: &mut Event<'a>) {
    event.set(fields::error::STACK_TRACE, text);
    let text = text.trim_end();
    let (line, next) = match text.has(TRACEBACK) {
        true => (text.rsplit('\n').find(|line| !line.starts_with([' ', '\t'])), "at "),
        false => {
            let mut lines = text.split('\n');
            (lines.next(), lines.next().unwrap_or_default().trim_start())
        }
    };
    let line = line.unwrap_or_default().trim_end();
    let (name, message) = line.split_on(": ").unwrap_or((line, ""));
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'\\');
    let says_type = !message.is_empty() || next.starts_with("at ");
    if !says_type || name.is_empty() || !name.bytes().all(is_name) {
        return;
    }
    event.set_if_absent(fields::error::TYPE, name);
    if !message.is_empty() {
        event.set_if_absent(fields::error::MESSAGE, message);
    }
}

/// structlog's list of exceptions, of which the first is the one that was caught. It is kept too.
pub(super) fn list<'a>(value: &'a [u8], event: &mut Event<'a>) {
    let Some(first) = entries(value, event).and_then(|list| list.first().copied()) else { return };
    for entry in entries(first.value, event).unwrap_or_default() {
        let field = match entry.key {
            b"exc_type" => fields::error::TYPE,
            b"exc_value" => fields::error::MESSAGE,
            _ => continue,
        };
        if let Some(text) = scalar(entry.value, event) {
            event.set_if_absent(field, text);
        }
    }
}

/// A stack as a list of its lines, or of objects, each a frame. Says whether all of it is in the
/// text.
pub(super) fn frames<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    let (mut joined, mut all) = (event.list::<u8>(), true);
    for entry in entries(value, event).unwrap_or_default() {
        let line = match entry.value.first() {
            Some(b'"') => scalar(entry.value, event),
            Some(b'{') => {
                all = false;
                frame(entry.value, event)
            }
            _ => None,
        };
        let Some(line) = line else { return false };
        joined.extend_from_slice(line.trim_end_matches('\n').as_bytes());
        joined.push(b'\n');
    }
    let text = event.text(joined.into_bump_slice()).trim_end();
    if text.is_empty() {
        return false;
    }
    stack(text, event);
    all
}

/// `at class.method(file:line)` of log4j2's `class`, `method`, `file` and `line`, or zerolog's
/// `func`, `source` and `line`.
fn frame<'a>(value: &'a [u8], event: &Event<'a>) -> Option<&'a str> {
    let parts = object_parts(value);
    let text = |names: [&[u8]; 2]| {
        let part = parts.iter().find(|part| names.contains(&part.key))?;
        scalar(part.value, event)
    };
    let name = text([b"method", b"func"])?;
    let mut line = event.string(64);
    line.push_str("at ");
    if let Some(class) = text([b"class", b"className"]) {
        line.push_str(class);
        line.push('.');
    }
    line.push_str(name);
    if let Some(file) = text([b"file", b"source"]) {
        line.push('(');
        line.push_str(file);
        if let Some(number) = text([b"line", b"lineNumber"]) {
            line.push(':');
            line.push_str(number);
        }
        line.push(')');
    }
    Some(line.into_bump_str())
}

/// Whether a value is an object of Lambda's for an error: `{"errorType":…,"errorMessage":…}`.
pub(super) fn is_failure<'a>(value: &'a [u8], event: &Event<'a>) -> bool {
    let is_type = |keys: Entries<'_>| keys.iter().any(|entry| entry.key == b"errorType");
    value.starts_with(b"{") && entries(value, event).is_some_and(is_type)
}
