//! A line of syslog inside a JSON object, as collectors pass it on: the line in `message`, the time
//! of its arrival in `timestamp`, `@timestamp` or `time`, the sender in `host` or `hostname`. No
//! specification says so; lnav, Vector, Fluent Bit and rsyslog's JSON templates write it alike.

use tahoe_seams::Record;

use super::envelope::Envelope;
use crate::object::{entries, flattened, scalar};
use crate::time::{self, Stamp};
use crate::{Event, fields};

/// What the object says.
pub(super) struct Wrapped<'a> {
    /// The line itself.
    pub(super) line: &'a str,
    stamp: Option<Stamp>,
    host: Option<&'a str>,
}

/// Takes the object apart; `None` if the record is something else. Keys without a field of their
/// own are kept below `tahoe.fields`.
pub(super) fn wrapped<'a>(record: &Record<'a>, event: &mut Event<'a>) -> Option<Wrapped<'a>> {
    let text = record.bytes.trim_ascii();
    if !text.starts_with(b"{") || !text.ends_with(b"}") || record.part.is_some() {
        return None;
    }
    let text = event.text(text);
    let (mut line, mut stamp, mut host, mut others) = (None, None, None, Vec::new());
    for entry in entries(text.as_bytes(), event)? {
        let value = scalar(entry.value, event);
        match (entry.key, value) {
            (b"message", Some(value)) if line.is_none() => line = Some(value),
            (b"timestamp" | b"@timestamp" | b"time", Some(value)) if stamp.is_none() => {
                stamp = time::parse_iso(value.as_bytes()).map(|(stamp, _)| stamp);
                if stamp.is_none() {
                    others.push(entry);
                }
            }
            (b"host" | b"hostname", Some(value)) if host.is_none() => host = Some(value),
            _ => others.push(entry),
        }
    }
    let line = line.filter(|line| !line.trim().is_empty())?;
    if let Some(others) = flattened(others, fields::tahoe::FIELDS, event) {
        event.set(fields::tahoe::FIELDS, others);
    }
    Some(Wrapped { line, stamp, host })
}

impl<'a> Wrapped<'a> {
    /// Adds to what the line says of itself. Its own time wins, unless it has no year.
    pub(super) fn complete(&self, envelope: &mut Envelope<'a>) {
        let own = envelope.stamp.filter(|stamp| !stamp.year_assumed);
        envelope.stamp = own.or(self.stamp).or(envelope.stamp);
        envelope.hostname = envelope.hostname.or(self.host);
    }
}
