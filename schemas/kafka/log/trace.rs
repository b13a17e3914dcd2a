//! An exception as Java prints it: `class: message`, lines of `at place`, `Caused by: …`.

use crate::find::{Find, find};
use crate::{Event, fields, lines};

/// Whether a text begins with an exception.
pub(super) fn begins(text: &str) -> bool {
    let (line, rest) = lines::split_first(text);
    let (class, message) = split_class(line);
    let is_exception = class.ends_with("Exception") || class.ends_with("Error");
    is_class(class) && (message.is_some() || is_exception || rest.trim_start().starts_with("at "))
}

/// Sets an exception and its trace.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim_end();
    let end = find(text.as_bytes(), b"\n\tat ").or_else(|| find(text.as_bytes(), b"\n    at "));
    let head = &text[..end.unwrap_or(text.len())];
    // One without frames of its own, as Kafka's are, goes on with what caused it.
    let others = ["\nCaused by: ", "\n\tSuppressed: ", "\n\t... "];
    let end = others.iter().filter_map(|other| find(head.as_bytes(), other.as_bytes())).min();
    let head = head[..end.unwrap_or(head.len())].trim_end();
    let (class, message) = split_class(head);
    event.set(fields::error::TYPE, class);
    event.set(fields::kafka::log::trace::CLASS, class);
    if let Some(message) = message {
        event.set(fields::error::MESSAGE, message);
        event.set(fields::kafka::log::trace::MESSAGE, message);
    }
    event.set(fields::error::STACK_TRACE, text);
}

/// `class: message`
fn split_class(line: &str) -> (&str, Option<&str>) {
    match line.split_on_byte(b':') {
        Some((class, message)) => (class, Some(message.trim()).filter(|text| !text.is_empty())),
        None => (line, None),
    }
}

/// A name with its package: `java.io.IOException`, `kafka.common.Outer$Inner`.
pub(super) fn is_class(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$');
    name.contains('.') && is_logger(name) && name.bytes().all(is_part)
}

/// A class by its name, or one of the loggers of Kafka's that end so (`state.change.logger`).
pub(super) fn is_full_class(name: &str) -> bool {
    let (_, last) = name.rsplit_once('.').unwrap_or_default();
    is_class(name) && (last == "logger" || last.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// What a logger may be called: a class, or names with dots and dashes.
pub(super) fn is_logger(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._$-".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(is_part)
}
