//! Which form a record has, and its message with the notes after it.

use tahoe_seams::{Record, Rejection};

use super::entry::Entry;
use super::framer::{Start, Time, carried, is_note_of, own_time};
use super::json::{self, Object};
use super::level::Label;
use super::prefix::{Fit, Kind, LinePrefix, sql_state};
use super::syslog::{self, Chunk};
use super::{bouncer, context, csv, patroni, recognised};
use crate::find::{Find, find, place};
use crate::level::is_failure;
use crate::time::Stamp;
use crate::{Event, Parser, fields};

pub(super) struct LogRecord;

impl Parser for LogRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes);
        event.set(fields::event::KIND, "event");
        context::with_prefix(record.context, |prefix| self.forms(record, text, prefix, event))
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        Some(match carried(context, read_at_ms)? {
            Time::Named(written) => written.usual(),
            Time::Whole(stamp) => stamp,
        })
    }
}

/// Sets the time of a record without one.
fn assume_time<'a>(record: &Record<'a>, event: &mut Event<'a>) {
    let previous = carried(record.context, record.read_at_ms);
    let previous = previous.map(|time| resolved(&time, &record.origin.time_zone, event));
    event.time_assumed(previous);
}

fn resolved(time: &Time<'_>, zone: &str, event: &mut Event<'_>) -> Stamp {
    match time {
        Time::Named(written) => written.resolved(zone, event),
        Time::Whole(stamp) => *stamp,
    }
}

impl LogRecord {
    fn forms<'a>(
        &self,
        record: &Record<'a>,
        text: &'a str,
        prefix: Option<&LinePrefix>,
        event: &mut Event<'a>,
    ) -> Result<(), Rejection> {
        let zone: &'a str = &record.origin.time_zone;
        let line = first_line(text);
        let mut entry = Entry::default();
        match Start::of(line.as_bytes(), prefix) {
            Start::Object => return self.object(record, text, prefix, event),
            Start::Row => {
                entry.in_columns = true;
                csv::read(text, &mut entry, event);
            }
            Start::Message(fit) => lines(text, &fit, prefix, &mut entry, event),
            Start::Chunk(_) => {
                let chunk = syslog::parse(line.as_bytes(), record.read_at_ms);
                return self.chunks(record, (text, line), chunk, prefix, event);
            }
            Start::Pooler => {
                if let Some(head) = bouncer::Head::parse(line.as_bytes()) {
                    bouncer::read(text, &head, zone, event);
                }
                return Ok(());
            }
            Start::Timed => {
                if !patroni::read(text, event) {
                    plain(text, event);
                }
                match own_time(line.as_bytes(), record.read_at_ms) {
                    Some((time, _)) => {
                        let stamp = resolved(&time, zone, event);
                        event.time(stamp);
                    }
                    None => assume_time(record, event),
                }
                return Ok(());
            }
            Start::Other => {
                plain(text, event);
                assume_time(record, event);
                return Ok(());
            }
        }
        if !entry.finish(zone, event) {
            assume_time(record, event);
        }
        Ok(())
    }

    /// jsonlog, or a line inside of an object.
    fn object<'a>(
        &self,
        record: &Record<'a>,
        text: &'a str,
        prefix: Option<&LinePrefix>,
        event: &mut Event<'a>,
    ) -> Result<(), Rejection> {
        let zone: &'a str = &record.origin.time_zone;
        let mut entry = Entry { in_columns: true, ..Entry::default() };
        match json::read(text, &mut entry, event) {
            Some(Object::Log) => {
                if !entry.finish(zone, event) {
                    assume_time(record, event);
                }
            }
            Some(Object::Wrapped { line, stamp, severity }) => {
                entry.in_columns = false;
                bare(line, prefix, &mut entry, event);
                let timed = entry.finish(zone, event);
                if let Some(severity) = severity
                    && !event.has(fields::log::LEVEL)
                {
                    let level = event.set_named_level(severity);
                    if is_failure(level) {
                        event.set(fields::event::TYPE, "error");
                    }
                }
                match stamp {
                    _ if timed => {}
                    Some(stamp) => event.time(stamp),
                    None => assume_time(record, event),
                }
            }
            Some(Object::Unknown(stamp)) => {
                plain(text, event);
                match stamp {
                    Some(stamp) => event.time(stamp),
                    None => assume_time(record, event),
                }
            }
            None => {
                plain(text, event);
                match json::time_in_broken(text, event) {
                    Some(stamp) => event.time(stamp),
                    None => event.time_assumed(None),
                }
            }
        }
        Ok(())
    }

    /// A message that came through syslog.
    fn chunks<'a>(
        &self,
        record: &Record<'a>,
        (text, line): (&'a str, &'a str),
        chunk: Option<Chunk<'_>>,
        prefix: Option<&LinePrefix>,
        event: &mut Event<'a>,
    ) -> Result<(), Rejection> {
        let Some(chunk) = chunk else {
            plain(text, event);
            return Ok(());
        };
        let message = syslog::assemble(text, event);
        let mut entry = Entry::default();
        let pooler = chunk.program == b"pgbouncer";
        if !pooler {
            bare(message, prefix, &mut entry, event);
        }
        let part = |bytes: &[u8]| {
            let from = place(line.as_bytes(), bytes);
            &line[from..from + bytes.len()]
        };
        if entry.pid.is_none() {
            entry.pid = Some(part(chunk.pid));
        }
        let timed = entry.finish(&record.origin.time_zone, event);
        if pooler {
            bouncer::message(message, event);
        }
        if !chunk.host.is_empty() && event.set_clean(fields::host::HOSTNAME, part(chunk.host)) {
            event.set(fields::related::HOSTS, part(chunk.host));
        }
        event.set_clean(fields::process::NAME, part(chunk.program));
        if let Some(priority) = chunk.priority {
            event.set(fields::log::syslog::PRIORITY, priority);
        }
        match chunk.stamp {
            _ if timed => {}
            Some(stamp) => event.time(stamp),
            None => assume_time(record, event),
        }
        Ok(())
    }
}

fn first_line(text: &str) -> &str {
    let line = &text[..memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len())];
    line.strip_suffix('\r').unwrap_or(line)
}

/// Text without anything that could be read from it.
fn plain<'a>(text: &'a str, event: &mut Event<'a>) {
    event.set(fields::event::CATEGORY, "database");
    event.set(fields::event::TYPE, "info");
    event.set(fields::MESSAGE, text.trim_end().trim_start_matches('\t'));
}

/// A message that something else has wrapped, and so may have no prefix or time of its own.
fn bare<'a>(text: &'a str, prefix: Option<&LinePrefix>, entry: &mut Entry<'a>, event: &Event<'a>) {
    let line = first_line(text).as_bytes();
    let fit = prefix
        .and_then(|prefix| prefix.fit(line, None))
        .or_else(|| recognised::fit_unseen(line, true));
    match fit {
        Some(fit) => {
            lines(text, &fit, prefix, entry, event);
            entry.lines = None;
        }
        None => entry.message = Some(text.trim_end().trim_start_matches('\t')),
    }
}

/// A message that `fit` begins, with its further lines and its notes.
fn lines<'a>(
    text: &'a str,
    fit: &Fit,
    prefix: Option<&LinePrefix>,
    entry: &mut Entry<'a>,
    event: &Event<'a>,
) {
    let first = first_line(text);
    values(first, fit, entry);
    entry.severity = first.get(fit.label_at..fit.text_at).map(word);
    let (mut label, mut from) = (fit.label, fit.text_at.min(text.len()));
    for at in memchr::memchr_iter(b'\n', text.as_bytes()) {
        let next = at + 1;
        if at < from || matches!(text.as_bytes().get(next), None | Some(b'\t' | b'\n')) {
            continue;
        }
        let line = first_line(&text[next..]);
        let found = match prefix.and_then(|prefix| prefix.fit(line.as_bytes(), None)) {
            Some(found) => Some(found),
            None => recognised::fit_unseen(line.as_bytes(), fit.range(Kind::Time).is_none()),
        };
        if let Some(found) = found
            && is_note_of((first.as_bytes(), fit), (line.as_bytes(), &found))
        {
            put(label, &text[from..at], entry, event);
            entry.lines.get_or_insert(&text[..at]);
            (label, from) = (found.label, next + found.text_at.min(line.len()));
        }
    }
    put(label, &text[from..], entry, event);
    entry.lines.get_or_insert(text.trim_end());
}

/// The word before the colon.
fn word(label: &str) -> &str {
    label.trim_end().trim_end_matches(':').trim_end()
}

/// One part of the record: the message, or a note, the first of its kind.
fn put<'a>(label: Label, text: &'a str, entry: &mut Entry<'a>, event: &Event<'a>) {
    let text = without_tabs(text.trim_end(), event);
    match label {
        Label::Note(note) if entry.message.is_some() => {
            entry.note(note).get_or_insert(text);
        }
        _ => {
            // With `log_error_verbosity = verbose` the error's code comes first.
            let coded = sql_state(text.as_bytes()) && text[5..].starts_with(": ");
            if coded {
                entry.sql_state = Some(&text[..5]);
            }
            entry.message = Some(if coded { &text[7..] } else { text });
        }
    }
}

/// The server writes a tab at the beginning of each further line.
fn without_tabs<'a>(text: &'a str, event: &Event<'a>) -> &'a str {
    let finder = find(text.as_bytes(), b"\n\t");
    let Some(mut at) = finder else { return text };
    let mut out = event.string(text.len());
    let mut rest = text;
    loop {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 2..];
        match find(rest.as_bytes(), b"\n\t") {
            Some(next) => at = next,
            None => break,
        }
    }
    out.push_str(rest);
    out.into_bump_str()
}

/// The `1` of `[%l-1]`, as prefixes have it for tools that know syslog's `[line-part]`.
fn sequence(after_line: &str) -> Option<&str> {
    let (number, _) = after_line.strip_prefix('-')?.split_on_byte(b']')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)
}

/// Puts what the prefix says into the entry.
fn values<'a>(line: &'a str, fit: &Fit, entry: &mut Entry<'a>) {
    let of = |kind| fit.range(kind).and_then(|range| line.get(range));
    entry.time = of(Kind::Time).or_else(|| of(Kind::Epoch));
    entry.user = of(Kind::User);
    entry.database = of(Kind::Database);
    entry.application = of(Kind::Application);
    entry.pid = of(Kind::Pid);
    entry.leader_pid = of(Kind::LeaderPid);
    entry.remote = of(Kind::RemoteWithPort).or_else(|| of(Kind::Remote));
    entry.local = of(Kind::Local);
    entry.session_id = of(Kind::Session);
    entry.session_line = of(Kind::Line);
    let after_line = fit.range(Kind::Line).and_then(|range| line.get(range.end..));
    entry.sequence = after_line.and_then(sequence);
    entry.session_start = of(Kind::SessionStart);
    entry.command_tag = of(Kind::CommandTag);
    entry.virtual_transaction = of(Kind::Virtual);
    entry.transaction = of(Kind::Transaction);
    entry.sql_state = of(Kind::SqlState);
    entry.backend_type = of(Kind::BackendType);
    entry.query_id = of(Kind::QueryId);
}
