//! From an entry to its event.

use tahoe_seams::{Record, Rejection};

use super::entry::entry;
use crate::datasets::system_syslog::{Envelope, Family, common, family_of};
use crate::datasets::{system_auth, system_kern};
use crate::{Event, Parser};

pub(super) struct JournalEntry;

impl Parser for JournalEntry {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let Some(entry) = entry(record, event)? else { return line(record, event) };
        let envelope = entry.envelope;
        match envelope.stamp {
            Some(stamp) => event.time(stamp),
            None => event.time_assumed(None),
        }
        let name = common(&envelope, event);
        let family = family_of(&envelope, name);
        entry.finish(family, event);
        entry.as_in_the_journal(event);
        match family {
            Family::Auth => system_auth::message(name, envelope.message, event),
            Family::Kern => system_kern::message(envelope.message, event),
            Family::Any => {}
        }
        Ok(())
    }
}

/// What `journalctl` prints for people (`--output=short`), which is a line of syslog.
fn line<'a>(record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
    let text = event.text(record.bytes);
    // `-- Boot 5a69… --`, `-- No entries --`: journalctl's own remarks.
    if text.starts_with("-- ") {
        return Err(Rejection::at("not_an_entry", "a remark of journalctl, not an entry", 0));
    }
    let envelope = Envelope::parse(text, record.read_at_ms, event)?;
    match envelope.stamp {
        Some(stamp) => event.time(stamp),
        None => return Err(Rejection::at("not_an_entry", "neither an entry nor a line of one", 0)),
    }
    let name = common(&envelope, event);
    match family_of(&envelope, name) {
        Family::Auth => system_auth::message(name, envelope.message, event),
        Family::Kern => system_kern::message(envelope.message, event),
        Family::Any => {}
    }
    Ok(())
}
