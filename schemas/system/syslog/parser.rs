//! The fields that all three datasets share.

use tahoe_seams::{Record, Rejection};

use super::codes::codes;
use super::device::Mnemonic;
use super::envelope::{self, Envelope};
use super::family::{Family, family_of};
use super::wrapped::wrapped;
use crate::datasets::{journald_log, system_auth, system_kern};
use crate::find::Find;
use crate::time::Stamp;
use crate::{Event, Parser, Value, fields};

/// One record of syslog.
pub(crate) struct SyslogLine {
    pub family: Family,
}

impl Parser for SyslogLine {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        if self.family != Family::Auth && firewall_line(record, self.family, event) {
            return Ok(());
        }
        // What says more than a line is large, and is not moved for every line.
        let entry = match journald_log::may_be_entry(record.bytes) {
            true => journald_log::entry(record, event)?,
            false => None,
        };
        let envelope = match (&entry, entry.is_none().then(|| wrapped(record, event)).flatten()) {
            (Some(entry), _) => entry.envelope,
            (None, Some(wrapped)) => wrapped.envelope(record.read_at_ms, event)?,
            (None, None) => Envelope::parse(event.text(record.bytes), record.read_at_ms, event)?,
        };
        match envelope.stamp {
            Some(stamp) => event.time(stamp),
            None => event.time_assumed(self.stamp(record.context, record.read_at_ms)),
        }
        let name = common(&envelope, event);
        let family = match self.family {
            Family::Any => family_of(&envelope, name),
            configured => configured,
        };
        if let Some(entry) = &entry {
            entry.finish(family, event);
        }
        match family {
            Family::Auth => {
                if self.family == Family::Any {
                    event.route(&system_auth::DATASET);
                }
                system_auth::message(name, envelope.message, event);
                if let Some(version) = envelope.version {
                    event.set(fields::system::auth::syslog::VERSION, version);
                }
            }
            Family::Kern => {
                if self.family == Family::Any {
                    event.route(&system_kern::DATASET);
                }
                system_kern::message(envelope.message, event);
            }
            Family::Any => {}
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        envelope::stamp(context, read_at_ms).map(|(stamp, _)| stamp)
    }
}

/// A line of Proxmox's firewall, which has a head of its own. Says whether it was one.
fn firewall_line<'a>(record: &Record<'a>, family: Family, event: &mut Event<'a>) -> bool {
    if !record.bytes.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let text = event.text(record.bytes);
    let Some(message) = system_kern::proxmox_line(text, event) else { return false };
    if family == Family::Any {
        event.route(&system_kern::DATASET);
    }
    system_kern::message(message, event);
    true
}

/// Sets what does not depend on the message. Gives the program's name.
pub(crate) fn common<'a>(envelope: &Envelope<'a>, event: &mut Event<'a>) -> &'a str {
    if let Some(priority) = envelope.priority {
        event.set(fields::log::syslog::PRIORITY, priority);
        codes(Some(priority >> 3), Some(priority & 7), event);
    } else if let Some(level) = envelope.level {
        event.set_named_level(level);
    }
    if let Some(host) = envelope.hostname
        && event.set_clean(fields::host::HOSTNAME, host)
    {
        event.set(fields::related::HOSTS, host);
    }
    if envelope.is_5424 {
        rfc5424(envelope, event);
    }
    let mut name = envelope.appname.unwrap_or_default();
    if name.starts_with('/') {
        event.set(fields::process::EXECUTABLE, name);
        name = name.rsplit('/').next().unwrap_or(name);
    } else if let Some((program, module)) = name.split_on_byte(b'(')
        && (module.starts_with("pam_") || program == "polkitd")
    {
        name = program;
    }
    if name == "-" {
        name = "";
    }
    if !name.is_empty() {
        event.set(fields::process::NAME, name);
    }
    match envelope.procid.map(|procid| (procid, procid.parse::<u32>())) {
        // Huawei's devices count their messages there.
        Some((_, Ok(number))) if name.starts_with("%%") => {
            event.set(fields::event::SEQUENCE, number);
        }
        Some((_, Ok(pid))) => event.set(fields::process::PID, pid),
        Some((procid, Err(_))) if !envelope.is_5424 => {
            event.set_clean(fields::log::syslog::PROCID, procid);
        }
        _ => {}
    }
    if let Some(sequence) = envelope.sequence {
        event.set(fields::event::SEQUENCE, sequence);
    }
    let tagged = if name.starts_with('%') { name } else { envelope.message };
    if let Some(mnemonic) = Mnemonic::parse(tagged) {
        mnemonic.set(envelope.priority, event);
    }
    if let Some(kind) = envelope.kind {
        let is_number = kind.bytes().all(|byte| byte.is_ascii_digit());
        event.set(if is_number { fields::event::CODE } else { fields::event::PROVIDER }, kind);
    }
    if !envelope.message.is_empty() {
        event.set(fields::MESSAGE, envelope.message);
    }
    name
}

/// The header's parts by their own names.
fn rfc5424<'a>(envelope: &Envelope<'a>, event: &mut Event<'a>) {
    let parts = [
        (fields::log::syslog::HOSTNAME, envelope.hostname),
        (fields::log::syslog::APPNAME, envelope.appname),
        (fields::log::syslog::PROCID, envelope.procid),
        (fields::log::syslog::MSGID, envelope.msgid),
    ];
    for (field, part) in parts {
        if let Some(part) = part {
            event.set_clean(field, part);
        }
    }
    if let Some(version) = envelope.version {
        event.set(fields::log::syslog::VERSION, version);
    }
    if let Some(object) = envelope.structured {
        event.set(fields::log::syslog::STRUCTURED_DATA, Value::Raw(object));
    }
}
