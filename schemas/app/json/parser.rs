//! A line that is an object, or else is a message.

use tahoe_seams::{Record, Rejection};

use super::{object, stamp};
use crate::time::{self, Stamp};
use crate::{Event, Parser, fields};

pub(super) struct ObjectLine;

impl Parser for ObjectLine {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim_end();
        if !object::set(text.trim_start(), fields::app::FIELDS, event) {
            event.set(fields::MESSAGE, text);
            if let Some((stamp, _)) = head_stamp(text.as_bytes()) {
                event.time(stamp);
            }
        }
        if !event.has(fields::TIMESTAMP) {
            event.time_assumed(self.stamp(record.context, record.read_at_ms));
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        std::str::from_utf8(context).ok().and_then(stamp::parse)
    }
}

/// The time that a text begins with, perhaps in a bracket, and where it ends.
pub(super) fn head_stamp(text: &[u8]) -> Option<(Stamp, usize)> {
    let bracket = usize::from(text.starts_with(b"["));
    time::parse_iso(&text[bracket..]).map(|(stamp, used)| (stamp, bracket + used))
}
