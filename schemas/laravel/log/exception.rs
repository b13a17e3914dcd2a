//! Exceptions as Monolog and PHP write them.
//!
//! `[object] (Class(code: N): message at file:line)`, then `[stacktrace]` and its lines, then the
//! same for each previous one; or as a message, `Class: message in file:line`, `Stack trace:`.

use crate::find::{Find, find, find_iter};
use crate::object::{entries, scalar};
use crate::{Event, fields};

const STACK: &[u8] = b"[stacktrace]\n";
const PREVIOUS: &str = "\n[previous exception] ";
/// Exceptions that led to one; more are in its stack trace only.
const PREVIOUS_MAX: usize = 16;

/// `(Class(code: N): message at file:line)`
struct Thrown<'a> {
    class: &'a str,
    code: &'a str,
    /// What a SoapFault says behind its code: `faultcode: … faultactor: … detail: …`.
    fault: &'a str,
    message: &'a str,
    place: Option<(&'a str, u64)>,
}

impl<'a> Thrown<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let head = text.trim_end();
        let head = head.strip_prefix("[object] (")?.strip_suffix(')')?;
        let (class, rest) = head.split_on("(code: ")?;
        let (code, rest) = rest.split_on("): ")?;
        let (code, fault) = code.split_on_byte(b' ').unwrap_or((code, ""));
        let (message, place) = split_place(rest, " at ");
        Some(Self { class, code, fault, message, place })
    }
}

/// `message at file:line`
fn split_place<'a>(text: &'a str, between: &str) -> (&'a str, Option<(&'a str, u64)>) {
    let split = || {
        let (message, place) = text.rsplit_on(between)?;
        let (file, line) = place.rsplit_once(':')?;
        Some((message, (file, line.trim().parse().ok()?)))
    };
    split().map_or((text, None), |(message, place)| (message, Some(place)))
}

fn set_place<'a>(place: Option<(&'a str, u64)>, event: &mut Event<'a>) {
    if let Some((file, line)) = place {
        event.set(fields::log::origin::file::NAME, file);
        event.set(fields::log::origin::file::LINE, line);
    }
}

/// What stands before a trace, and the trace. The line that says so may be indented, as it is by
/// `indentStacktraces`.
fn split_stack(text: &str) -> Option<(&str, &str)> {
    find_iter(text.as_bytes(), STACK).find_map(|at| {
        let before = text[..at].trim_end_matches([' ', '\t']).strip_suffix('\n')?;
        Some((before, &text[at + STACK.len()..]))
    })
}

/// Sets what one `[object] (…)` says. Says whether it was one.
fn set_thrown<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some(thrown) = Thrown::parse(text) else { return false };
    event.set(fields::error::TYPE, thrown.class);
    event.set(fields::error::CODE, thrown.code);
    if !thrown.fault.is_empty() {
        event.set(fields::laravel::exception::FAULT, thrown.fault);
    }
    event.set(fields::error::MESSAGE, thrown.message);
    set_place(thrown.place, event);
    true
}

/// The value of the context's `exception`. Says whether it was one.
pub(super) fn from_context<'a>(value: &'a [u8], event: &mut Event<'a>) -> bool {
    if value.starts_with(b"{") {
        return from_object(value, event).is_some();
    }
    let Some(text) = scalar(value, event) else { return false };
    // A trace begins on a line of its own.
    if memchr::memchr(b'\n', text.as_bytes()).is_none() {
        return set_thrown(text, event);
    }
    // A file whose line ends were converted has them inside its records too.
    let text = match text.has("\r\n") {
        true => event.alloc_str(&text.replace("\r\n", "\n")),
        false => text,
    };
    let (head, trace) = split_stack(text).unwrap_or((text, ""));
    if !set_thrown(head.split(PREVIOUS).next().unwrap_or(head), event) {
        return false;
    }
    if !trace.is_empty() {
        event.set(fields::error::STACK_TRACE, trace.trim_end());
    }
    let mut previous = event.list::<&'a str>();
    for text in text.split(PREVIOUS).skip(1).take(PREVIOUS_MAX) {
        let head = split_stack(text).map_or(text, |(head, _)| head);
        if let Some(Thrown { class, message, .. }) = Thrown::parse(head) {
            previous.push(event.format(format_args!("{class}: {message}")));
        }
    }
    if !previous.is_empty() {
        event.set(fields::laravel::exception::PREVIOUS, previous.into_bump_slice());
    }
    true
}

/// JsonFormatter's `{"class","message","code","file":"path:line","trace":[…],"previous":{…}}`.
fn from_object<'a>(value: &'a [u8], event: &mut Event<'a>) -> Option<()> {
    let parts = entries(value, event)?;
    let raw = |key: &[u8]| parts.iter().find(|part| part.key == key).map(|part| part.value);
    let class = scalar(raw(b"class")?, event)?;
    event.set(fields::error::TYPE, class);
    for (key, field) in [(&b"message"[..], fields::error::MESSAGE), (b"code", fields::error::CODE)]
    {
        if let Some(text) = raw(key).and_then(|value| scalar(value, event)) {
            event.set(field, text);
        }
    }
    if let Some(place) = raw(b"file").and_then(|value| scalar(value, event)) {
        let place =
            place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
        set_place(place, event);
    }
    if let Some(lines) = raw(b"trace").and_then(|value| entries(value, event)) {
        let mut trace = event.string(lines.len() * 64);
        for line in lines {
            trace.push_str(if trace.is_empty() { "" } else { "\n" });
            let text = std::str::from_utf8(line.value).unwrap_or_default();
            trace.push_str(scalar(line.value, event).unwrap_or(text));
        }
        if !trace.is_empty() {
            event.set(fields::error::STACK_TRACE, trace.into_bump_str());
        }
    }
    let mut list = event.list::<&'a str>();
    let mut next = raw(b"previous");
    while let Some(parts) = next.filter(|_| list.len() < PREVIOUS_MAX) {
        let Some(parts) = entries(parts, event) else { break };
        let raw = |key: &[u8]| parts.iter().find(|part| part.key == key).map(|part| part.value);
        let text = |key: &[u8]| raw(key).and_then(|value| scalar(value, event)).unwrap_or_default();
        list.push(event.format(format_args!("{}: {}", text(b"class"), text(b"message"))));
        next = raw(b"previous");
    }
    if !list.is_empty() {
        event.set(fields::laravel::exception::PREVIOUS, list.into_bump_slice());
    }
    Some(())
}

/// Takes an exception that was logged as the message; gives what remains as the message.
pub(super) fn from_message<'a>(message: &'a str, event: &mut Event<'a>) -> &'a str {
    const TRACE: &str = "Stack trace:\n";
    if memchr::memchr(b'\n', message.as_bytes()).is_none() {
        return message;
    }
    let Some(at) = find(message.as_bytes(), b"\nStack trace:") else {
        return message;
    };
    let Some(trace) = message[at + 1..]
        .trim_start_matches('\r')
        .strip_prefix(TRACE)
        .or_else(|| message[at + 1..].strip_prefix("Stack trace:\r\n"))
    else {
        return message;
    };
    let head = message[..at].trim_end();
    event.set(fields::error::STACK_TRACE, trace);
    let (text, place) = split_place(head, " in ");
    if place.is_none() {
        return head;
    }
    let named = match text.strip_prefix("exception '") {
        Some(rest) => rest
            .split_on("' with message '")
            .map(|(class, message)| (class, message.strip_suffix('\'').unwrap_or(message))),
        None => text.split_on(": ").filter(|(class, _)| is_class(class)),
    };
    if let Some((class, message)) = named {
        event.set(fields::error::TYPE, class);
        event.set(fields::error::MESSAGE, message);
    }
    set_place(place, event);
    head
}

fn is_class(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'\\' | b'_'))
}
