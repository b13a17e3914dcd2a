//! What an entry's fields stand for.

use tahoe_seams::{Record, Rejection};

use super::{export, json};
use crate::datasets::system_syslog::{Envelope, Family, codes};
use crate::time::Stamp;
use crate::{Event, Field, Value, fields};

/// One field of an entry. A value may be any bytes.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a [u8],
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
    syslog_pid: Option<&'a str>,
    identifier: Option<&'a str>,
    command: Option<&'a str>,
    user: Option<&'a str>,
    group: Option<&'a str>,
}

/// Fields that are taken over as they are.
const AS_THEY_ARE: [(&str, Field); 17] = [
    ("_EXE", fields::process::EXECUTABLE),
    ("_CMDLINE", fields::process::COMMAND_LINE),
    ("_MACHINE_ID", fields::host::ID),
    ("_BOOT_ID", fields::host::boot::ID),
    ("_SYSTEMD_UNIT", fields::systemd::UNIT),
    ("_SYSTEMD_USER_UNIT", fields::systemd::USER_UNIT),
    ("_SYSTEMD_SLICE", fields::systemd::SLICE),
    ("_SYSTEMD_CGROUP", fields::systemd::CGROUP),
    ("_SYSTEMD_INVOCATION_ID", fields::systemd::INVOCATION_ID),
    ("_TRANSPORT", fields::systemd::TRANSPORT),
    ("MESSAGE_ID", fields::event::CODE),
    ("CODE_FILE", fields::log::origin::file::NAME),
    ("CODE_FUNC", fields::log::origin::FUNCTION),
    ("SYSLOG_PID", fields::log::syslog::PROCID),
    ("CONTAINER_ID_FULL", fields::container::ID),
    ("CONTAINER_NAME", fields::container::NAME),
    ("IMAGE_NAME", fields::container::image::NAME),
];

/// True if the record begins as an entry in one of the two forms does.
pub(crate) fn is_entry(record: &[u8]) -> bool {
    export::begins(record) || json::is_entry(record)
}

/// Takes an entry apart; `None` if the record is something else. Rejected are an entry that breaks
/// off or is no JSON (`malformed_entry`), and one that says nothing (`empty_message`).
pub(crate) fn entry<'a>(
    record: &Record<'a>,
    event: &mut Event<'a>,
) -> Result<Option<Entry<'a>>, Rejection> {
    let mut named = event.list();
    let of_field = |field: Named<'a>| named.push(field);
    if export::begins(record.bytes) {
        // The first part of a long entry breaks off, and is no less true for it.
        export::fields(record.bytes, record.part.is_some(), of_field)?;
    } else if json::is_entry(record.bytes) && record.part.is_none() {
        json::fields(record.bytes, event, of_field)?;
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
    if entry.envelope.message.is_empty() && custom.is_empty() {
        return Err(Rejection::whole("empty_message", "the entry has no MESSAGE"));
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
    fn take(&mut self, Named { name, value }: Named<'a>, event: &mut Event<'a>) -> bool {
        match name {
            "PRIORITY" => return number(value, 7, &mut self.severity),
            "SYSLOG_FACILITY" => return number(value, 23, &mut self.facility),
            "_SOURCE_REALTIME_TIMESTAMP" => {
                return number(value, i64::MAX, &mut self.source_us);
            }
            "__REALTIME_TIMESTAMP" => return number(value, i64::MAX, &mut self.journal_us),
            "CODE_LINE" => {
                let mut line: Option<u64> = None;
                let is_number = number(value, u64::MAX, &mut line);
                let fresh = !event.has(fields::log::origin::file::LINE);
                if let Some(line) = line.filter(|_| fresh) {
                    event.set(fields::log::origin::file::LINE, line);
                }
                return is_number && fresh;
            }
            _ => {}
        }
        if let Some((_, field)) = AS_THEY_ARE.iter().find(|(known, _)| *known == name) {
            let fresh = !event.has(*field);
            if fresh {
                event.set(*field, value);
            }
            if name == "SYSLOG_PID" && fresh {
                self.syslog_pid = event.get_str(*field);
            }
            return fresh;
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

    /// What follows from several fields together.
    fn complete(&mut self) {
        let priority = self.facility.zip(self.severity);
        self.envelope.priority = priority.map(|(facility, severity)| facility << 3 | severity);
        self.envelope.stamp = self.source_us.or(self.journal_us).map(stamp);
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
        let (user, group) = match family {
            Family::Auth => (fields::process::user::ID, fields::process::group::ID),
            Family::Any | Family::Kern => (fields::user::ID, fields::user::group::ID),
        };
        for (field, id) in [(user, self.user), (group, self.group)] {
            if let Some(id) = id {
                event.set(field, id);
            }
        }
    }
}

/// Sets the arguments of a command line, in which journald puts a space between them and, where one
/// holds a space, quotes around it.
fn arguments<'a>(line: &'a str, event: &mut Event<'a>) {
    let mut arguments = event.list();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let end = match quote {
            Some(quote) => rest[1..].find(quote).map(|end| end + 2),
            None => rest.find(' '),
        };
        let (argument, after) = rest.split_at(end.unwrap_or(rest.len()));
        // A quotation mark inside a word belongs to it.
        let inner = quote.and_then(|quote| argument[1..].strip_suffix(quote));
        arguments.push(inner.unwrap_or(argument));
        rest = after.trim_start();
    }
    event.set(fields::process::ARGS_COUNT, arguments.len());
    event.set(fields::process::ARGS, arguments.into_bump_slice());
}

/// Microseconds since the epoch, as the journal counts them.
fn stamp(us: i64) -> Stamp {
    let nanos = u32::try_from(us.rem_euclid(1_000_000)).expect("less than a million") * 1000;
    let local_s = us.div_euclid(1_000_000);
    Stamp { local_s, nanos, digits: 6, offset_s: Some(0), year_assumed: false }
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
    custom.sort_by_key(|field| field.name);
    let mut out = Vec::with_capacity(256);
    for same in custom.chunk_by(|one, other| one.name == other.name) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        crate::json::write_str(same[0].name, &mut out);
        out.push(b':');
        if same.len() > 1 {
            out.push(b'[');
        }
        for (index, field) in same.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            crate::json::write_str(event.text(field.value), &mut out);
        }
        if same.len() > 1 {
            out.push(b']');
        }
    }
    out.push(b'}');
    let object = event.alloc_bytes(&out);
    event.set(fields::journald::CUSTOM, Value::Raw(object));
}
