//! Columns in brackets, and then a message that has some of them inside.

use tahoe_seams::{Record, Rejection};

use super::framer;
use crate::find::Find;
use crate::peer::{self, Peer};
use crate::time::Stamp;
use crate::{Event, Field, Parser, fields, url};

pub(super) struct ErrorRecord;

impl Parser for ErrorRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "web");
        let text = event.text(record.bytes).trim_end();
        let mut rest = text;
        match framer::stamp(text.as_bytes()) {
            Some((stamp, length)) => {
                event.time(stamp);
                rest = &text[length..];
            }
            None => event.time_assumed(self.stamp(record.context, record.read_at_ms)),
        }
        // A space ends the columns; those behind it are the message's, as in Python's traces.
        let rest = columns(rest, event);
        let space = rest.strip_prefix(' ').filter(|_| rest.len() < text.len());
        let message = space.unwrap_or(rest);
        if message.trim_start().is_empty() {
            event.null_removed(fields::MESSAGE);
            return Ok(());
        }
        event.set(fields::MESSAGE, message);
        inside(message, event);
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        framer::stamp(context).map(|(stamp, _)| stamp)
    }
}

/// `[module:level] [pid n:tid n] [R:request] [C:connection] [client address]`; gives what follows
/// them. `[remote address]`, of connections without a request, is left in the message, as Elastic's
/// pipeline does.
fn columns<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    let mut rest = text;
    while let Some((inside, after)) = bracketed(rest) {
        if inside.starts_with("remote ") || !set_column(inside, event) {
            break;
        }
        rest = after;
    }
    rest
}

fn bracketed(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('[')?.split_on_byte(b']')
}

/// Says whether it is a column.
fn set_column<'a>(inside: &'a str, event: &mut Event<'a>) -> bool {
    let (name, value) = inside.split_on_byte(b' ').unwrap_or((inside, ""));
    match name {
        "pid" => set_process(value, event),
        "client" => set_peer(peer::SOURCE, value, event),
        "remote" => set_peer(remote(event), value, event),
        _ if inside.starts_with("R:") => set_id(fields::http::request::ID, &inside[2..], event),
        _ if inside.starts_with("C:") => {
            set_id(fields::apache::error::CONNECTION_ID, &inside[2..], event)
        }
        _ => {
            let (module, level) = inside.split_on_byte(b':').unwrap_or(("", inside));
            if event.has(fields::log::LEVEL) || !set_level(level, event) {
                return false;
            }
            if !module.is_empty() {
                event.set(fields::apache::error::MODULE, module);
            }
            true
        }
    }
}

/// Says whether the word is a level.
fn set_level<'a>(word: &'a str, event: &mut Event<'a>) -> bool {
    let level = match word {
        "emerg" => "emergency",
        "crit" => "critical",
        "warn" => "warning",
        "alert" | "error" | "notice" | "info" | "debug" => word,
        _ if matches!(word.as_bytes(), [b't', b'r', b'a', b'c', b'e', b'1'..=b'8']) => "trace",
        _ => return false,
    };
    event.set_level(word, level);
    let is_error = matches!(word, "emerg" | "alert" | "crit" | "error" | "warn");
    event.set(fields::event::TYPE, if is_error { "error" } else { "info" });
    true
}

/// `12`, `12:tid 34`
fn set_process(value: &str, event: &mut Event<'_>) -> bool {
    let (pid, tid) = value.split_on(":tid ").unwrap_or((value, ""));
    let Ok(pid) = pid.parse::<u32>() else { return false };
    event.set(fields::process::PID, pid);
    if let Ok(tid) = tid.parse::<u64>() {
        event.set(fields::process::thread::ID, tid);
    }
    true
}

/// What `%L` says: of a request, or of a connection.
fn set_id<'a>(field: Field, id: &'a str, event: &mut Event<'a>) -> bool {
    if id.contains(' ') {
        return false;
    }
    event.set_clean(field, id);
    true
}

/// Whom `[remote …]` names: a client that is served by another process or stream than took it, or
/// the server that a proxy, and its TLS, connected to.
fn remote(event: &Event<'_>) -> Peer {
    let module = event.get_str(fields::apache::error::MODULE).unwrap_or_default();
    let is_backend = module == "ssl" || module.starts_with("proxy");
    if is_backend { peer::DESTINATION } else { peer::SOURCE }
}

/// An address or name, perhaps with a port.
fn set_peer<'a>(peer: Peer, value: &'a str, event: &mut Event<'a>) -> bool {
    // From 2.4 on there is always a port, and nothing brackets an address of IPv6 before it.
    let last = value.rsplit_once(':').filter(|(address, _)| address.contains(':'));
    let last = last.filter(|_| event.has(fields::apache::error::MODULE));
    let (address, port) = match last {
        Some((address, port)) => (address, port.parse().ok()),
        None => url::split_port(value),
    };
    // A module may repeat it in its message.
    let known = event.has(peer.address());
    if known || address.is_empty() || address.contains(' ') {
        return false;
    }
    peer.set(address, port, event);
    true
}

/// `file.c(12): (2)No such file: [client address] AH00128: File does not exist: path, referer: …`
fn inside<'a>(message: &'a str, event: &mut Event<'a>) {
    let mut rest = peer_in(message, event);
    if let Some((file, line, after)) = place(rest) {
        event.set(fields::log::origin::file::NAME, file);
        event.set(fields::log::origin::file::LINE, line);
        rest = after;
    }
    if let Some((code, text, after)) = failure(rest) {
        event.set(fields::error::CODE, code);
        event.set(fields::error::MESSAGE, text);
        rest = after;
    }
    rest = peer_in(rest, event);
    if let Some((code, after)) = rest.split_on(": ").filter(|(code, _)| is_code(code)) {
        event.set(fields::event::CODE, code);
        rest = after;
    }
    if let Some((before, referrer)) = rest.rsplit_on(", referer").and_then(referrer) {
        event.set_clean(fields::http::request::REFERRER, referrer);
        rest = before;
    }
    if let Some((_, path)) = rest.split_on("File does not exist: ") {
        event.set_clean(fields::file::PATH, path);
    }
}

/// What is behind `, referer`: `: …`, or ` …` as the documentation's own format has it, where it
/// could be other words.
fn referrer<'a>((before, rest): (&'a str, &'a str)) -> Option<(&'a str, &'a str)> {
    let written = rest.strip_prefix(": ");
    let referrer = written.or_else(|| rest.strip_prefix(' ').filter(|text| text.has("://")))?;
    Some((before, referrer))
}

/// Sets the peer that a text begins with, if none is known, and gives what follows it.
fn peer_in<'a>(text: &'a str, event: &mut Event<'a>) -> &'a str {
    match bracketed(text) {
        Some((column, after))
            if (column.starts_with("client ") || column.starts_with("remote "))
                && set_column(column, event) =>
        {
            after.trim_start()
        }
        _ => text,
    }
}

/// `file.c(12): ` and what follows it.
fn place(text: &str) -> Option<(&str, u64, &str)> {
    let (head, rest) = text.split_on("): ")?;
    let (file, line) = head.split_on_byte(b'(')?;
    let is_file = !file.is_empty() && !file.contains([' ', ':', '[']);
    Some((file, line.parse().ok()?, rest)).filter(|_| is_file)
}

/// `(2)No such file or directory: ` and what follows it.
fn failure(text: &str) -> Option<(&str, &str, &str)> {
    let (code, rest) = text.strip_prefix('(')?.split_on_byte(b')')?;
    let (text, rest) = rest.split_on(": ")?;
    let is_number = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((code, text, rest))
}

/// `AH00128`, as every message of 2.4 and later has.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix("AH").unwrap_or_default();
    digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit())
}
