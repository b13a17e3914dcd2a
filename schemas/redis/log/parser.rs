//! The head's values and the message; a record without a head has the time of the one before.

use tahoe_seams::{Record, Rejection};

use super::framer;
use super::head::Head;
use crate::time::Stamp;
use crate::{Event, Parser, fields, lines, peer, url};

pub(super) struct LogRecord;

impl Parser for LogRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, "info");
        let text = event.text(record.bytes).trim_end();
        let is_report = framer::is_report(text.as_bytes());
        let message = match Head::parse(text.as_bytes(), record.read_at_ms) {
            Some(head) => columns(text, head, event),
            None => {
                let inside = is_report.then(|| report_head(text, record.read_at_ms)).flatten();
                match inside {
                    Some(head) => {
                        process(&head, event);
                        event.time(head.stamp);
                    }
                    None => event.time_assumed(self.stamp(record.context, record.read_at_ms)),
                }
                text
            }
        };
        let message = message.trim_start_matches(['\r', '\n']);
        if message.trim_start().is_empty() {
            event.null_removed(fields::MESSAGE);
            return Ok(());
        }
        event.set(fields::MESSAGE, message);
        if is_report {
            event.set(fields::event::ACTION, "crashed");
            event.set(fields::event::TYPE, &["error", "info"]);
        }
        meaning(message, event);
        Ok(())
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        Head::parse(context, read_at_ms).map(|head| head.stamp)
    }
}

/// Sets what the head says and gives the message.
fn columns<'a>(text: &'a str, head: Head<'a>, event: &mut Event<'a>) -> &'a str {
    event.time(head.stamp);
    process(&head, event);
    let message = text.get(head.end..).unwrap_or_default();
    if !head.quoted {
        return message;
    }
    // Nothing in it is escaped: for a quotation mark stands an apostrophe.
    message.strip_suffix('"').unwrap_or(message)
}

fn process<'a>(head: &Head<'a>, event: &mut Event<'a>) {
    if let Some(pid) = head.pid {
        event.set(fields::process::PID, pid);
    }
    match head.level {
        Some(level) if head.level_written.is_empty() => event.set(fields::log::LEVEL, level),
        Some(level) => event.set_level(head.level_written, level),
        None => {}
    }
    let role = match head.role {
        Some("M" | "primary") => "master",
        Some("S" | "replica") => "slave",
        Some("C" | "RDB/AOF") => "child",
        Some("X") => "sentinel",
        Some(role) => role,
        None => return,
    };
    event.set(fields::redis::log::ROLE, role);
}

/// The first head inside of a crash report that begins without one.
fn report_head(text: &str, read_at_ms: i64) -> Option<Head<'_>> {
    text.lines().find_map(|line| Head::parse(line.as_bytes(), read_at_ms))
}

/// Sets the fields of the messages that are known.
fn meaning<'a>(message: &'a str, event: &mut Event<'a>) {
    let (line, _) = lines::split_first(message);
    if let Some(client) = line.strip_prefix("Accepted ") {
        let (address, port) = url::split_port(client);
        if peer::ip(address).is_some() {
            peer::SOURCE.set(address, port, event);
        }
    } else if let Some(version) = version(line) {
        event.set(fields::service::VERSION, version);
    }
}

/// `Redis version=7.0.15, bits=64, …`, `Server started, Redis version 2.4.6`
fn version(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("Server started, ").unwrap_or(line);
    let rest = rest.strip_prefix("Redis").or_else(|| rest.strip_prefix("Valkey"))?;
    let rest = rest.strip_prefix(" version=").or_else(|| rest.strip_prefix(" version "))?;
    rest.split([',', ' ']).next().filter(|version| !version.is_empty())
}
