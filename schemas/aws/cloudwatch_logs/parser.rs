//! From a record to its log events.

use tahoe_seams::{Conditions, Events, Normalizer, Record, Rejection};

use super::framer::Carried;
use super::shape::{Envelope, LogEvent};
use super::{DATASET, flow, group, message, stamp};
use crate::event::Scratch;
use crate::find::Find;
use crate::object::{flattened, parts, scalar};
use crate::parser::in_scratch;
use crate::scan::{Entries, Entry};
use crate::time::{self, Stamp, Time};
use crate::{Event, Parse, Parser, fields};

pub(super) struct LogRecord;

impl Normalizer for LogRecord {
    fn normalize(
        &self,
        record: &Record<'_>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        let envelope = record.part.is_none().then(|| Envelope::parse(record.bytes)).flatten();
        let Some(envelope) = envelope else {
            return Parse { dataset: &DATASET, parser: Line }.normalize(record, given, events);
        };
        let record_text = std::str::from_utf8(record.bytes).ok();
        in_scratch(|scratch| {
            for LogEvent { text, keys } in &envelope.events {
                let said = Said { text, keys, common: &envelope.common, record_text };
                said.normalize(scratch, (record, given), events);
            }
        });
        Ok(())
    }
}

/// One log event of several.
struct Said<'e, 'a> {
    /// All of its object.
    text: &'a [u8],
    keys: &'e [Entry<'a>],
    /// What is said of all of them.
    common: &'e [Entry<'a>],
    /// All of the record, if it is UTF-8.
    record_text: Option<&'a str>,
}

impl<'a> Said<'_, 'a> {
    fn normalize(
        self,
        scratch: &'a mut Scratch,
        (record, given): (&Record<'a>, &'a Conditions),
        events: &mut Events,
    ) {
        let Self { text, keys, common, record_text } = self;
        let mut event = Event::new(scratch, &DATASET, record, given);
        if let Some(text) = record_text {
            event.set_known_text(text);
        }
        if given.keep_original && text.len() < record.bytes.len() {
            event.set(fields::event::ORIGINAL, text);
        }
        event.set(fields::cloud::PROVIDER, "aws");
        let sound = event.text(text).as_bytes();
        let is_repaired = !std::ptr::eq(sound, text);
        let repaired = if is_repaired { parts(sound) } else { Entries::new() };
        let keys = if is_repaired { &repaired } else { keys };
        let (mut others, mut common_others) = (Entries::new(), Entries::new());
        for entry in common {
            if !set_key(entry, &mut event) && keys.iter().all(|own| own.key != entry.key) {
                let value = event.text(entry.value).as_bytes();
                let key = event.text(entry.key).as_bytes();
                common_others.push(Entry { key, value });
            }
        }
        let mut said = None;
        for entry in keys {
            if entry.key == b"message" {
                said = scalar(entry.value, &event);
            } else if !set_key(entry, &mut event) {
                others.push(*entry);
            }
        }
        others.extend(common_others);
        let kept = fields::aws::cloudwatch::FIELDS;
        if let Some(value) = flattened(&others, kept, &mut event) {
            event.set(kept, value);
        }
        group::set(&mut event);
        let said = said.unwrap_or_default().trim_end_matches(['\n', '\r']);
        if said.is_empty() {
            event.null_removed(fields::MESSAGE);
        } else {
            message::set(said, &[], &mut event);
        }
        if !event.has(fields::TIMESTAMP) {
            event.time_assumed(None);
        }
        event.finish(record, events);
    }
}

/// Says whether the key became a field.
fn set_key<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> bool {
    let value = event.text(entry.value).as_bytes();
    let text = scalar(value, event);
    let field = match entry.key {
        b"logGroup" | b"logGroupName" | b"log_group" => fields::aws::cloudwatch::LOG_GROUP,
        b"logStream" | b"logStreamName" | b"log_stream" => fields::aws::cloudwatch::LOG_STREAM,
        // Of its own messages the service calls itself the owner.
        b"owner" if text == Some("CloudwatchLogs") => return true,
        b"owner" => fields::cloud::account::ID,
        b"id" | b"eventId" => fields::event::ID,
        b"messageType" if text == Some("DATA_MESSAGE") => return true,
        b"messageType" => fields::aws::cloudwatch::MESSAGE_TYPE,
        b"timestamp" | b"ingestionTime" | b"ingestion_time" => {
            let Some(ms) = text.and_then(|text| text.parse().ok()) else { return false };
            let is_event = entry.key == b"timestamp";
            let ingested = fields::aws::cloudwatch::INGESTION_TIME;
            event.set(if is_event { fields::TIMESTAMP } else { ingested }, Time::from_ms(ms));
            return true;
        }
        b"subscriptionFilters" => {
            let mut names = event.list();
            names.extend(parts(value).iter().filter_map(|entry| scalar(entry.value, event)));
            if !names.is_empty() {
                event.set(fields::aws::firehose::SUBSCRIPTION_FILTERS, names.into_bump_slice());
            }
            return true;
        }
        // Where an answer goes on says nothing of what happened.
        b"nextToken" | b"nextForwardToken" | b"nextBackwardToken" | b"searchedLogStreams" => {
            return true;
        }
        _ => return false,
    };
    match text {
        Some("") => event.null_removed(field),
        Some(text) => event.set(field, text),
        None => return false,
    }
    true
}

/// A line of an export, or a message alone.
struct Line;

impl Parser for Line {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim_end();
        event.set(fields::cloud::PROVIDER, "aws");
        let carried = Carried::parse(record.context);
        let (header, line) = match text.split_on_byte(b'\n') {
            Some((header, line)) if flow::is_header(header.as_bytes()) => (header, line),
            _ => (std::str::from_utf8(carried.header).unwrap_or_default(), text),
        };
        let columns = flow::columns(header);
        match time::parse_iso(line.as_bytes()) {
            // Node.js in Lambda writes a tab; it is the line's own time, and no export's.
            Some((stamp, used)) if line[used..].starts_with('\t') => {
                event.time(stamp);
                message::set(line, &columns, event);
            }
            Some((stamp, used)) if line[used..].starts_with(' ') => {
                event.time(stamp);
                let said = &line[used + 1..];
                event.set(fields::aws::cloudwatch::MESSAGE, said);
                message::set(said, &columns, event);
                event.set(fields::MESSAGE, line);
            }
            _ => message::set(line, &columns, event),
        }
        if !event.has(fields::TIMESTAMP)
            && let Some(stamp) = stamp::own(line.as_bytes())
        {
            event.time(stamp);
        }
        if !event.has(fields::TIMESTAMP) {
            event.time_assumed(self.stamp(record.context, record.read_at_ms));
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        stamp::parse(Carried::parse(context).time)
    }
}
