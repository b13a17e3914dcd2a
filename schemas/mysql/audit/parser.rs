//! Which of the forms a record has.

use tahoe_seams::{Record, Rejection};

use super::{enterprise, framer, mariadb, meaning, percona, xml};
use crate::datasets::mysql::stamp;
use crate::datasets::system_syslog::envelope::{self, Envelope};
use crate::object::whole;
use crate::time::Stamp;
use crate::{Event, Parser, fields};

pub(super) struct AuditRecord;

impl Parser for AuditRecord {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim();
        let mut outside = None;
        let mut inside = text;
        if framer::is_in_syslog(text.as_bytes()) {
            let envelope = Envelope::parse(text, event.read_at_ms(), event)?;
            outside = envelope.stamp;
            inside = envelope.message.trim();
            if let Some(host) = envelope.hostname.filter(|host| *host != "-") {
                event.set(fields::host::HOSTNAME, host);
            }
        }
        if !set(inside, outside.is_some(), event) {
            event.set(fields::event::CATEGORY, "database");
            event.set(fields::event::TYPE, "info");
            event.set(fields::MESSAGE, inside);
            if let Some(stamp) = framer::time_of(inside.as_bytes()) {
                event.time(stamp);
            }
        }
        meaning::relate(event);
        match outside.filter(|_| !event.has(fields::TIMESTAMP)) {
            Some(stamp) => event.time(stamp),
            None if event.has(fields::TIMESTAMP) => {}
            None => event.time_assumed(self.stamp(record.context, record.read_at_ms)),
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], read_at_ms: i64) -> Option<Stamp> {
        let own = mariadb::stamp(context).or_else(|| stamp::parse(context));
        own.or_else(|| envelope::stamp(context, read_at_ms)).map(|(stamp, _)| stamp)
    }
}

/// Says whether it is of a form that is known.
fn set<'a>(text: &'a str, in_syslog: bool, event: &mut Event<'a>) -> bool {
    if text.starts_with('{') {
        let Some(entries) = whole(text.as_bytes()) else { return false };
        return percona::set_object(&entries, event) || enterprise::set(text, entries, event);
    }
    if text.starts_with("<AUDIT_RECORD") {
        return xml::set(text, event);
    }
    if text.starts_with('"') {
        return percona::set_row(text, event);
    }
    mariadb::set(text, in_syslog, event)
}
