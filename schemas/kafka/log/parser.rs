//! The time and level, then the message and logger in the order of the pattern at hand.

use tahoe_seams::{Record, Rejection};

use super::{framer, trace};
use crate::datasets::app_json;
use crate::find::Find;
use crate::time::Stamp;
use crate::{Event, Parser, clf, fields, lines, peer};

pub(super) struct LogRecord;

impl Parser for LogRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim_end();
        if framer::is_object(text.as_bytes()) && app_json::set(text, fields::kafka::FIELDS, event) {
            object(event);
            if !event.has(fields::TIMESTAMP) {
                event.time_assumed(self.stamp(record.context, record.read_at_ms));
            }
            return Ok(());
        }
        let Some((stamp, length)) = framer::stamp(text.as_bytes()) else {
            event.time_assumed(self.stamp(record.context, record.read_at_ms));
            event.set(fields::event::TYPE, "info");
            event.set(fields::MESSAGE, text);
            return Ok(());
        };
        event.time(stamp);
        let (thread, rest) = thread_before_level(&text[length..]);
        let rest = level(rest, event);
        let mut parts = of_columns(rest).unwrap_or_else(|| of_pattern(rest));
        parts.thread = parts.thread.or(thread);
        parts.set(event);
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        framer::carried(context)
    }
}

/// What JSON's keys are called here.
fn object(event: &mut Event<'_>) {
    event.set_if_absent(fields::event::TYPE, "info");
    if let Some(logger) = event.get_str(fields::log::LOGGER) {
        event.set(fields::kafka::log::CLASS, logger);
    }
    if let Some(thread) = event.get_str(fields::process::thread::NAME) {
        event.set(fields::kafka::log::THREAD, thread);
    }
    let written = event.get_str(fields::MESSAGE).unwrap_or_default();
    set_message(written, event);
}

/// The message without its component.
fn set_message<'a>(written: &'a str, event: &mut Event<'a>) {
    let (component, message) = component(written);
    event.set(fields::kafka::log::COMPONENT, component.unwrap_or("unknown"));
    let message = message.trim_end();
    if message.trim_start().is_empty() {
        event.null_removed(fields::MESSAGE);
        return;
    }
    event.set(fields::MESSAGE, message);
    if let Some(rest) = message.strip_prefix("Failed authentication with ") {
        failed_login(rest, event);
    }
}

/// `/192.0.2.1 (SSL handshake failed)`, `host/192.0.2.1 (channelId=…) (…)`: a client was refused.
fn failed_login<'a>(text: &'a str, event: &mut Event<'a>) {
    let (peer, _) = clf::word(text);
    let Some(ip) = peer.rsplit_once('/').and_then(|(_, ip)| peer::ip(ip)) else { return };
    peer::SOURCE.set(ip, None, event);
    event.set(fields::event::CATEGORY, "authentication");
    event.set(fields::event::TYPE, "start");
    event.set(fields::event::ACTION, "logon-failed");
    event.set(fields::event::OUTCOME, "failure");
}

/// `[thread] LEVEL `: the thread, and what follows it.
fn thread_before_level(text: &str) -> (Option<&str>, &str) {
    let split = || {
        let (thread, rest) = text.trim_start().strip_prefix('[')?.split_on_byte(b']')?;
        let is_one = level_named(thread.trim()).is_none() && !thread.contains('\n');
        let rest = rest.strip_prefix(' ').filter(|_| is_one)?;
        level_named(clf::word(rest).0).map(|_| (Some(thread), rest))
    };
    split().unwrap_or((None, text))
}

fn level_named(word: &str) -> Option<&'static str> {
    Some(match word {
        "TRACE" => "trace",
        "DEBUG" => "debug",
        "INFO" => "info",
        "WARN" => "warning",
        "ERROR" => "error",
        "FATAL" => "fatal",
        _ => return None,
    })
}

/// Sets the level and gives what follows it.
fn level<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    let (word, rest) = match text.trim_start().strip_prefix('[') {
        Some(inside) => inside.split_on_byte(b']').unwrap_or((inside, "")),
        None => clf::word(text),
    };
    let Some(level) = level_named(word.trim()) else {
        event.set(fields::event::TYPE, "info");
        return text.trim_start();
    };
    event.set_level(word.trim(), level);
    let is_error = matches!(level, "error" | "fatal");
    event.set(fields::event::TYPE, if is_error { "error" } else { "info" });
    rest.trim_start_matches(' ')
}

/// What a record has after its level.
#[derive(Default)]
struct Parts<'a> {
    message: &'a str,
    logger: Option<&'a str>,
    line: Option<u64>,
    thread: Option<&'a str>,
    trace: &'a str,
    /// Lines below the logger that are no trace.
    below: &'a str,
}

impl<'a> Parts<'a> {
    fn set(&self, event: &mut Event<'a>) {
        if let Some(logger) = self.logger {
            event.set(fields::kafka::log::CLASS, logger);
            event.set(fields::log::LOGGER, logger);
        }
        if let Some(line) = self.line {
            event.set(fields::log::origin::file::LINE, line);
        }
        if let Some(thread) = self.thread {
            event.set(fields::kafka::log::THREAD, thread);
            event.set(fields::process::thread::NAME, thread);
        }
        if !self.trace.is_empty() {
            trace::set(self.trace, event);
        }
        let message = match self.below {
            "" => self.message,
            below => event.format(format_args!("{}\n{below}", self.message.trim_end())),
        };
        set_message(message, event);
    }
}

/// `[Component id=1] message`, in older versions with `,`, `:` or `.` after the bracket.
fn component(message: &str) -> (Option<&str>, &str) {
    let split = || {
        let (component, rest) = message.strip_prefix('[')?.split_on_byte(b']')?;
        let rest = rest.strip_prefix([',', ':', '.']).unwrap_or(rest);
        let text = rest.trim_start_matches(' ');
        let is_component = text.len() < rest.len() && !component.contains('\n');
        (is_component && !component.is_empty()).then_some((component, text))
    };
    // Java's collector of garbage pads it.
    split().map_or((None, message), |(component, text)| (Some(component.trim_end()), text))
}

/// `[thread] [logger] - message`, `[thread] logger:line - message`, either without the line or the
/// thread, or `logger: [thread]: message`
fn of_columns(text: &str) -> Option<Parts<'_>> {
    let Some(inside) = text.strip_prefix('[') else {
        let (head, rest) = clf::word(text);
        if let Some(rest) = rest.strip_prefix("- ") {
            let is_pattern = || logger(lines::split_first(rest).0).is_some();
            let (logger, line) = dashed(head, rest).filter(|_| !is_pattern())?;
            return Some(Parts { logger: Some(logger), line, ..message(rest) });
        }
        let (logger, rest) = text.split_on(": [").filter(|(name, _)| trace::is_class(name))?;
        let (thread, rest) = rest.split_on("]: ")?;
        return Some(Parts { logger: Some(logger), thread: Some(thread), ..message(rest) });
    };
    let (thread, rest) = inside.split_on("] ")?;
    let (head, rest) = rest.split_on(" - ")?;
    let (logger, line) = match head.strip_prefix('[') {
        Some(inside) => (inside.strip_suffix(']')?, None),
        None => dashed(head, rest)?,
    };
    let known = trace::is_logger(logger) && !thread.contains('\n');
    known.then(|| Parts { logger: Some(logger), line, thread: Some(thread), ..message(rest) })
}

/// `logger` or `logger:line` before a dash; a word and a dash may be a message's too, but then a
/// logger ends the line.
fn dashed<'a>(head: &'a str, rest: &str) -> Option<(&'a str, Option<u64>)> {
    let (name, line) = match head.split_on_byte(b':') {
        Some((name, line)) => (name, Some(line.parse().ok()?)),
        None => (head, None),
    };
    let is_named = if line.is_some() { trace::is_logger(name) } else { trace::is_class(name) };
    let is_one = is_named && (line.is_some() || logger(lines::split_first(rest).0).is_none());
    is_one.then_some((name, line))
}

/// A message, and an exception below its first line that begins one.
fn message(text: &str) -> Parts<'_> {
    let below = memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1);
    let at = below.into_iter().find(|at| trace::begins(&text[*at..])).unwrap_or(text.len());
    Parts { message: &text[..at], trace: &text[at..], ..Parts::default() }
}

/// `message (logger)`, perhaps ` [thread]`, and an exception below: the first line that ends with
/// a logger and has nothing but an exception below it ends the message.
fn of_pattern(text: &str) -> Parts<'_> {
    let mut at = 0;
    while at < text.len() {
        let end = memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |n| at + n);
        if let Some((length, parts)) = logger(&text[at..end]) {
            let below = text[end..].trim_start_matches(['\n', '\r']);
            if below.is_empty() || trace::begins(below) {
                return Parts { message: &text[..at + length], trace: below, ..parts };
            }
        }
        at = end + 1;
    }
    // What stands below may come from elsewhere: Java itself, or what writes to the same file.
    let (first, below) = lines::split_first(text);
    let of_class = |parts: &Parts<'_>| parts.logger.is_some_and(trace::is_full_class);
    match logger(first).filter(|(_, parts)| !below.is_empty() && of_class(parts)) {
        Some((length, parts)) => {
            let Parts { message: below, trace, .. } = message(below);
            Parts { message: &text[..length], below: below.trim_end(), trace, ..parts }
        }
        None => message(text),
    }
}

/// `… (logger)`, `… (logger:line)` or either with ` [thread]` at the end of a line: what precedes
/// it, and the parts.
fn logger(line: &str) -> Option<(usize, Parts<'_>)> {
    let line = line.trim_end();
    let (head, thread) = match line.strip_suffix(']').and_then(|line| line.rsplit_on(") [")) {
        Some((head, thread)) => (head, Some(thread)),
        None => (line.strip_suffix(')')?, None),
    };
    let (before, inside) = head.rsplit_once('(')?;
    if !(before.is_empty() || before.ends_with(' ')) {
        return None;
    }
    let (logger, line) = match inside.split_on_byte(b':') {
        Some((logger, line)) => (logger, Some(line.parse().ok()?)),
        None => (inside, None),
    };
    let parts = Parts { logger: Some(logger), line, thread, ..Parts::default() };
    trace::is_logger(logger).then_some((before.len(), parts))
}
