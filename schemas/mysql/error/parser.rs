//! A line with a time, a JSON object, either of them in syslog, or text without a time.

use tahoe_seams::{Record, Rejection};

use super::{crash, json, meaning, sst};
use crate::datasets::mysql::{lines, stamp, syslog};
use crate::datasets::system_syslog::envelope::{self, Envelope};
use crate::find::{Find, find};
use crate::object::whole;
use crate::scan::Entries;
use crate::time::Stamp;
use crate::{Event, Parser, fields};

/// The hexadecimal digits of a thread before MySQL 5.7.
const HEX_DIGITS_MIN: usize = 4;
const HEX_DIGITS_MAX: usize = 16;

pub(super) struct ErrorRecord;

impl Parser for ErrorRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        event.set(fields::event::CATEGORY, "database");
        event.set(fields::event::TYPE, "info");
        let mut text = event.text(record.bytes).trim_end();
        if sst::begins(lines::first(text.as_bytes())) {
            text = text.trim_start();
        }
        if syslog::is_stamped(text.as_bytes()) {
            text = open_envelope(text, event)?;
        }
        let before = self.stamp(record.context, record.read_at_ms);
        let (mut object, mut around) = (entries_of(text), Entries::new());
        if let Some(wrapped) = object.as_ref().and_then(|entries| json::line_in(entries, event)) {
            (text, around) = (wrapped.line, wrapped.around);
            object = entries_of(text);
            if let Some(stamp) = wrapped.stamp.filter(|_| stamp::parse(text.as_bytes()).is_none()) {
                event.time(stamp);
            }
        }
        if let Some(entries) = object {
            json::set(entries, around, event);
            if !event.has(fields::TIMESTAMP) {
                event.time_assumed(before);
            }
        } else {
            json::keep(&around, event);
            text_alone(text, before, event)?;
        }
        if let Some(message) = event.get_str(fields::MESSAGE) {
            meaning::set(message, event);
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        let own = stamp::parse(context).or_else(|| envelope::stamp(context, read_at_ms));
        own.map(|(stamp, _)| stamp)
    }
}

/// The keys and values of a record that is an object.
fn entries_of(text: &str) -> Option<Entries<'_>> {
    if json::is_object(text.as_bytes()) { whole(text.as_bytes()) } else { None }
}

/// The message inside of syslog; its time counts unless the message has one.
fn open_envelope<'a>(text: &'a str, event: &mut Event<'a>) -> Result<&'a str, Rejection> {
    let read_at_ms = event.read_at_ms();
    let outside = Envelope::parse(text, read_at_ms, event)?;
    let message = outside.message.trim_start();
    if message.is_empty() {
        return Err(Rejection::at("empty_message", "nothing after the header", text.len()));
    }
    if let Some(host) = outside.hostname.filter(|host| *host != "-") {
        event.set(fields::host::HOSTNAME, host);
    }
    if let Some(name) = outside.appname.filter(|name| *name != "-") {
        event.set(fields::process::NAME, name);
    }
    if let Some(pid) = outside.procid.and_then(|pid| pid.parse::<u32>().ok()) {
        event.set(fields::process::PID, pid);
    }
    let has_time = stamp::parse(message.as_bytes()).is_some();
    if let Some(stamp) = outside.stamp.filter(|_| !has_time) {
        event.time(stamp);
    }
    Ok(message)
}

fn text_alone<'a>(
    text: &'a str,
    before: Option<Stamp>,
    event: &mut Event<'a>,
) -> Result<(), Rejection> {
    match stamp::parse(text.as_bytes()) {
        Some((stamp, length)) => {
            event.time(stamp);
            line(&text[length..], length, event)
        }
        None => {
            without_stamp(text, before, event);
            Ok(())
        }
    }
}

fn without_stamp<'a>(text: &'a str, before: Option<Stamp>, event: &mut Event<'a>) {
    if text.is_empty() {
        // A blank line that something else put into an object.
        event.null_removed(fields::MESSAGE);
        if !event.has(fields::TIMESTAMP) {
            event.time_assumed(before);
        }
        return;
    }
    let title = monitor_stamp(text).or_else(|| sst::time(text));
    match (crash::clock(text.as_bytes()), title) {
        _ if event.has(fields::TIMESTAMP) => {
            // Inside of syslog, whose time it has.
            let _ = head(text, event);
            return;
        }
        (Some(clock_s), _) => crash::set_time(clock_s, before, event),
        (None, Some(stamp)) => event.time(stamp),
        (None, None) => event.time_assumed(before),
    }
    if let Some(level) = sst::level(text) {
        set_level(level, event);
    }
    event.set(fields::MESSAGE, text);
}

/// The time in the title of InnoDB's monitor, below a rule.
fn monitor_stamp(text: &str) -> Option<Stamp> {
    let (rule, rest) = lines::split_first(text);
    let (title, _) = lines::split_first(rest);
    let is_title = rule.starts_with("====") && title.has("INNODB MONITOR OUTPUT");
    stamp::parse(title.as_bytes()).filter(|_| is_title).map(|(stamp, _)| stamp)
}

/// What follows a time: `[ thread] [[level] ]message`, of MySQL 8 `[code] [subsystem] text`.
fn line<'a>(rest: &'a str, at: usize, event: &mut Event<'a>) -> Result<(), Rejection> {
    if rest.trim().is_empty() {
        return Err(Rejection::at("empty_message", "nothing after the time", at));
    }
    match head(rest, event) {
        true => Ok(()),
        // An entry without words, as InnoDB writes some before what it dumps.
        false => {
            event.null_removed(fields::MESSAGE);
            Ok(())
        }
    }
}

/// Says whether there is a message.
fn head<'a>(rest: &'a str, event: &mut Event<'a>) -> bool {
    let mut rest = rest.trim_start();
    if let Some((thread, after)) = thread(rest) {
        event.set(fields::mysql::THREAD_ID, thread);
        rest = after;
    }
    if let Some((level, after)) = bracketed(rest).filter(|(level, _)| is_level(level)) {
        set_level(level, event);
        rest = after;
        // The message keeps both, as in Elastic's documents.
        if let Some((code, after)) = bracketed(rest).filter(|(code, _)| code.starts_with("MY-")) {
            event.set(fields::event::CODE, code);
            if let Some((subsystem, _)) = bracketed(after) {
                event.set(fields::event::PROVIDER, subsystem);
            }
        }
    }
    if let Some(level) = sst::level(rest) {
        set_level(level, event);
    } else if !event.has(fields::log::LEVEL)
        && let Some(level) = level_of_innodb(rest)
    {
        set_level(level, event);
    }
    if !rest.is_empty() {
        event.set(fields::MESSAGE, rest);
    }
    !rest.is_empty()
}

/// Up to MySQL 5.6 InnoDB writes its lines itself, with a level in words of its own or none.
fn level_of_innodb(message: &str) -> Option<&str> {
    let word = message.strip_prefix("InnoDB: ")?.split_on_byte(b':')?.0;
    matches!(word, "Error" | "Warning").then_some(word)
}

/// A number and what follows it, or one in hexadecimal before `InnoDB:`, perhaps with no space, or
/// at the end of the line.
fn thread(text: &str) -> Option<(u64, &str)> {
    let decimal = text.bytes().take_while(u8::is_ascii_digit).count();
    if text[decimal..].starts_with([' ', '\t']) {
        let number = text[..decimal].parse().ok()?;
        return Some((number, text[decimal..].trim_start()));
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    let rest = digits[length..].trim_start();
    let innodb = rest.starts_with("InnoDB") || rest.starts_with("INNODB");
    let alone = digits[length..].starts_with('\n');
    if !(innodb || alone) || !(HEX_DIGITS_MIN..=HEX_DIGITS_MAX).contains(&length) {
        return None;
    }
    let number = u64::from_str_radix(&digits[..length], 16).ok()?;
    (number <= i64::MAX as u64).then_some((number, rest))
}

fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (inside, rest) = text.strip_prefix('[')?.split_on_byte(b']')?;
    (!inside.contains('\n')).then(|| (inside, rest.trim_start()))
}

fn is_level(word: &str) -> bool {
    let known = ["note", "warning", "error", "system", "info", "warn", "fatal", "debug"];
    known.iter().any(|level| word.eq_ignore_ascii_case(level))
}

/// Whether a line has a time and a level, as only an entry of the log itself does.
pub(super) fn has_level(line: &[u8]) -> bool {
    let Some((_, length)) = stamp::parse(line) else { return false };
    let head = &line[length..line.len().min(length + 40)];
    let level = find(head, b"[").map(|at| &head[at + 1..]);
    let level = level.and_then(|rest| Some(&rest[..memchr::memchr(b']', rest)?]));
    level.and_then(|level| std::str::from_utf8(level).ok()).is_some_and(is_level)
}

/// The level in the words that all datasets use.
pub(super) fn set_level<'a>(level: &'a str, event: &mut Event<'a>) {
    let level = event.set_named_level(level);
    if matches!(level, "error" | "fatal") {
        event.set(fields::event::TYPE, &["error", "info"]);
    }
}
