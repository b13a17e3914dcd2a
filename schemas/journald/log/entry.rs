//! What an entry's fields stand for.

use tahoe_seams::{Record, Rejection};

use super::named::{self, Taken};
use super::{collected, export, json};
use crate::datasets::system_syslog::{Envelope, Family, codes};
use crate::time::Stamp;
use crate::{Event, Field, Value, fields};

/// One field of an entry. A value may be any bytes, or an object in JSON, of a collector.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a [u8],
    pub(super) is_json: bool,
}

/// What an entry says beside what every syslog record says.
#[derive(Default)]
pub(crate) struct Entry<'a> {
    /// The part that it has in common with a line of syslog.
    pub(crate) envelope: Envelope<'a>,
    severity: Option<u8>,
    facility: Option<u8>,
    source_us: Option<i64>,
    journal_us: Option<i64>,
    collected: Option<Stamp>,
    syslog_pid: Option<&'a str>,
    identifier: Option<&'a str>,
    command: Option<&'a str>,
    user: Option<&'a str>,
    group: Option<&'a str>,
    login: Option<&'a str>,
}

/// What the audit subsystem has for nobody.
const NOBODY: &str = "4294967295";

/// True if the record begins as an entry in one of the two forms does.
pub(crate) fn is_entry(record: &[u8]) -> bool {
    may_be_entry(record) && (export::begins(record) || json::is_entry(record))
}

/// False if its first byte says that a record is none, as that of most lines of syslog does.
#[inline]
pub(crate) fn may_be_entry(record: &[u8]) -> bool {
    matches!(record.first(), Some(b'_' | b'{' | b'd' | 0x1e))
}

/// Takes an entry apart; `None` if the record is something else. Rejected are an entry that breaks
/// off or is no JSON (`malformed_entry`), and one that says nothing (`empty_message`).
#[inline(never)]
pub(crate) fn entry<'a>(
    record: &Record<'a>,
    event: &mut Event<'a>,
) -> Result<Option<Entry<'a>>, Rejection> {
    let mut named = event.list();
    let of_field = |field: Named<'a>| named.push(field);
    let mut without_message = false;
    if export::begins(record.bytes) {
        // The first part of a long entry breaks off, and is no less true for it.
        export::fields(record.bytes, record.part.is_some(), of_field)?;
    } else if json::is_entry(record.bytes) && record.part.is_none() {
        match json::fields(record.bytes, event, of_field)? {
            json::Object::Entry => {}
            json::Object::WithoutMessage => without_message = true,
            json::Object::Other => return Ok(None),
        }
    } else {
        return Ok(None);
    }
    let mut entry = Entry::default();
    let mut custom = event.list();
    for field in named {
        if !entry.take(field, event) && !is_of_the_journal(field.name) {
            custom.push(field);
        }
    }
    custom.retain(|field| !entry.take_of_collector(*field, record.read_at_ms, event));
    if entry.envelope.message.is_empty() && custom.is_empty() && !without_message {
        let end = record.bytes.len();
        return Err(Rejection::at("empty_message", "the entry has no MESSAGE", end));
    }
    entry.complete();
    keep(custom.into_bump_slice_mut(), event);
    Ok(Some(entry))
}

/// Fields that say where and when the journal put the entry, or what its sender's text was before
/// it was taken apart.
fn is_of_the_journal(name: &str) -> bool {
    let other = ["_SOURCE_MONOTONIC_TIMESTAMP", "_SOURCE_BOOTTIME_TIMESTAMP", "SYSLOG_TIMESTAMP"];
    name.starts_with("__") || other.contains(&name) || name == "SYSLOG_RAW"
}

impl<'a> Entry<'a> {
    /// Puts a field where it belongs; false if it belongs nowhere or is there already.
    fn take(&mut self, field: Named<'a>, event: &mut Event<'a>) -> bool {
        let Named { name, value, is_json } = field;
        if is_json {
            return false;
        }
        match name {
            "PRIORITY" => return number(value, 7, &mut self.severity),
            "SYSLOG_FACILITY" => return number(value, 23, &mut self.facility),
            "_SOURCE_REALTIME_TIMESTAMP" => {
                return number(value, i64::MAX, &mut self.source_us);
            }
            "__REALTIME_TIMESTAMP" => return number(value, i64::MAX, &mut self.journal_us),
            "CONTAINER_PARTIAL_MESSAGE" if value == b"true" => {
                event.set(fields::container::PARTIAL, true);
                return true;
            }
            _ => {}
        }
        match named::taken(name) {
            Some(Taken::Text(field)) => return self.text(name, field, value, event),
            Some(Taken::Number(field)) => return self.whole(name, field, value, event),
            None => {}
        }
        let place = match name {
            "MESSAGE" if self.envelope.message.is_empty() => {
                self.envelope.message = event.text(value);
                return true;
            }
            "_HOSTNAME" => &mut self.envelope.hostname,
            "SYSLOG_IDENTIFIER" => &mut self.identifier,
            "_PID" => &mut self.envelope.procid,
            "_COMM" => &mut self.command,
            "_UID" => &mut self.user,
            "_GID" => &mut self.group,
            _ => return false,
        };
        let fresh = place.is_none() && !value.is_empty();
        if fresh {
            *place = Some(event.text(value));
        }
        fresh
    }

    /// Takes what a collector writes under a name of its own, where the journal's field is not
    /// there; its time is no other than the entry's.
    fn take_of_collector(
        &mut self,
        field: Named<'a>,
        read_at_ms: i64,
        event: &mut Event<'a>,
    ) -> bool {
        let Named { name, value, is_json } = field;
        if is_json || value.is_empty() || !collected::is_of_collector(name) {
            return false;
        }
        match name {
            "message" if self.envelope.message.is_empty() => {
                self.envelope.message = event.text(value);
                true
            }
            "host" if self.envelope.hostname.is_none() => {
                self.envelope.hostname = Some(event.text(value));
                true
            }
            _ => {
                let stamp = collected::stamp(name, value, read_at_ms);
                self.collected = self.collected.or(stamp);
                stamp.is_some()
            }
        }
    }

    /// Sets a whole number; false if it is none, or the field has one.
    fn whole(&mut self, name: &str, field: Field, value: &'a [u8], event: &mut Event<'a>) -> bool {
        let mut read: Option<u64> = None;
        let is_number = number(value, i64::MAX as u64, &mut read) && !event.has(field);
        if let Some(number) = read.filter(|_| is_number) {
            event.set(field, number);
        }
        if name == "_AUDIT_LOGINUID" && is_number {
            self.login = Some(event.text(value)).filter(|login| *login != NOBODY);
        }
        is_number
    }

    /// Sets a text; false if the field has one and takes no more.
    fn text(&mut self, name: &str, field: Field, value: &'a [u8], event: &mut Event<'a>) -> bool {
        let fresh = !event.has(field);
        if fresh {
            event.set(field, value);
        } else if field == fields::journald::kernel::DEVICE_SYMLINKS {
            named::add(field, event.text(value), event);
            return true;
        }
        if name == "SYSLOG_PID" && fresh {
            self.syslog_pid = event.get_str(field);
        }
        fresh
    }

    /// What follows from several fields together.
    fn complete(&mut self) {
        let priority = self.facility.zip(self.severity);
        self.envelope.priority = priority.map(|(facility, severity)| facility << 3 | severity);
        self.envelope.stamp = self.source_us.or(self.journal_us).map(stamp).or(self.collected);
        self.envelope.appname = self.identifier.or(self.command);
        self.envelope.procid = self.envelope.procid.or(self.syslog_pid);
    }

    /// Sets what depends on the dataset that the entry goes to. Who the process ran as is
    /// `user.id`, except in `system.auth`, where that is the account that the message is about.
    pub(crate) fn finish(&self, family: Family, event: &mut Event<'a>) {
        if self.envelope.priority.is_none() {
            codes(self.facility, self.severity, event);
        }
        if let Some(identifier) = self.identifier {
            event.set(fields::log::syslog::APPNAME, identifier);
        }
        if let Some(command) = self.command {
            event.set(fields::process::NAME, command);
        }
        if let Some(line) = event.get_str(fields::process::COMMAND_LINE) {
            arguments(line, event);
        }
        if family == Family::Auth {
            self.users(fields::process::user::ID, fields::process::group::ID, event);
            // Who calls sudo is who logged in.
            if let Some(login) = self.login.filter(|_| self.command == Some("sudo")) {
                event.set(fields::user::ID, login);
            }
        } else if let Some(login) = self.login.filter(|login| self.user != Some(login)) {
            event.set(fields::user::ID, login);
            let effective = (fields::user::effective::ID, fields::user::effective::group::ID);
            self.users(effective.0, effective.1, event);
        } else {
            self.users(fields::user::ID, fields::user::group::ID, event);
        }
    }

    fn users(&self, user: Field, group: Field, event: &mut Event<'a>) {
        for (field, id) in [(user, self.user), (group, self.group)] {
            if let Some(id) = id {
                event.set(field, id);
            }
        }
    }

    /// Sets what Elastic's journald input has under a name of its own beside the one of ECS.
    pub(super) fn as_in_the_journal(&self, event: &mut Event<'a>) {
        use fields::journald;
        let procid = self.envelope.procid;
        let ids =
            [(journald::PID, procid), (journald::UID, self.user), (journald::GID, self.group)];
        for (field, id) in ids {
            if let Some(id) = id.and_then(|id| id.parse::<u32>().ok()) {
                event.set(field, id);
            }
        }
        for (field, same) in [
            (journald::process::EXECUTABLE, fields::process::EXECUTABLE),
            (journald::process::COMMAND_LINE, fields::process::COMMAND_LINE),
            (journald::host::BOOT_ID, fields::host::boot::ID),
        ] {
            if let Some(text) = event.get_str(same) {
                event.set(field, text);
            }
        }
        if let Some(command) = self.command {
            event.set(journald::process::NAME, command);
        }
        if let Some(digits) = event.get_str(journald::process::CAPABILITIES) {
            named::capabilities(digits, event);
        }
    }
}

/// Sets the arguments of a command line, in which journald puts a space between them and, where one
/// holds what a shell would see as its own, quotes around it and backslashes before that.
fn arguments<'a>(line: &'a str, event: &mut Event<'a>) {
    let mut arguments = event.list();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let quote = rest.bytes().next().filter(|first| matches!(first, b'"' | b'\''));
        let end = match quote {
            Some(quote) => closing(rest, quote).map(|end| end + 1),
            None => rest.find(' '),
        };
        let (argument, after) = rest.split_at(end.unwrap_or(rest.len()));
        // A quotation mark inside a word belongs to it.
        let inner = quote.filter(|_| end.is_some()).map(|_| &argument[1..argument.len() - 1]);
        arguments.push(match inner {
            Some(inner) if inner.contains('\\') => unescaped(inner, event),
            inner => inner.unwrap_or(argument),
        });
        rest = after.trim_start();
    }
    event.set(fields::process::ARGS_COUNT, arguments.len());
    event.set(fields::process::ARGS, arguments.into_bump_slice());
}

/// Where the quote that a text begins with ends.
fn closing(text: &str, quote: u8) -> Option<usize> {
    let mut escaped = false;
    text.bytes()
        .skip(1)
        .position(|byte| {
            let ends = byte == quote && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .map(|at| at + 1)
}

fn unescaped<'a>(text: &str, event: &Event<'a>) -> &'a str {
    let mut plain = event.string(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        });
    }
    plain.into_bump_str()
}

/// Microseconds since the epoch, as the journal counts them.
fn stamp(us: i64) -> Stamp {
    let nanos = u32::try_from(us.rem_euclid(1_000_000)).expect("less than a million") * 1000;
    Stamp::utc(us.div_euclid(1_000_000), nanos, 6)
}

/// Takes a whole number up to `max`; false if it is none or there is one already.
fn number<N>(value: &[u8], max: N, place: &mut Option<N>) -> bool
where
    N: std::str::FromStr + PartialOrd,
{
    let text = std::str::from_utf8(value).ok();
    let read = text.and_then(|text| text.parse().ok()).filter(|number| *number <= max);
    let fresh = place.is_none() && read.is_some();
    if fresh {
        *place = read;
    }
    fresh
}

/// Sets `journald.custom`: one key per name, several values as a list.
fn keep<'a>(custom: &mut [Named<'a>], event: &mut Event<'a>) {
    if custom.is_empty() {
        return;
    }
    let bare = |field: &Named<'a>| match field.name.trim_start_matches('_') {
        "" => field.name,
        bare => bare,
    };
    custom.sort_by_key(bare);
    let mut out = Vec::with_capacity(256);
    for same in custom.chunk_by(|one, other| bare(one) == bare(other)) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        crate::json::write_str(event.lower_case(bare(&same[0])), &mut out);
        out.push(b':');
        if same.len() > 1 {
            out.push(b'[');
        }
        for (index, field) in same.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match field.is_json {
                true => out.extend_from_slice(field.value),
                false => crate::json::write_str(event.text(field.value), &mut out),
            }
        }
        if same.len() > 1 {
            out.push(b']');
        }
    }
    out.push(b'}');
    let object = event.alloc_bytes(&out);
    event.set(fields::journald::CUSTOM, Value::Raw(object));
}
