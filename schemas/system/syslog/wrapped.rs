//! Syslog inside a JSON object, as collectors pass it on: a line in `message`, with the time of its
//! arrival and its sender beside it, or the parts of the line under names of their own. No
//! specification says so; the names are those of rsyslog's JSON templates, syslog-ng's
//! `format-json`, Fluent Bit, Fluentd, Vector, Logstash and lnav.

use tahoe_seams::{Record, Rejection};

use super::codes::{facility_named, severity_named};
use super::envelope::{self, Envelope};
use super::stamp::stamp;
use crate::datasets::app_json::json_stamp;
use crate::object::{entries, flattened, scalar};
use crate::time::Stamp;
use crate::{Event, Value, fields};

/// The longest of the names.
const NAME_BYTES_MAX: usize = "syslogseverity-text".len();

/// Bytes that a number of seconds since the epoch has had since 1973.
const EPOCH_BYTES_MIN: usize = 9;

/// What a key stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Message,
    Time,
    Host,
    Program,
    Tag,
    Process,
    MessageId,
    Priority,
    Facility,
    Severity,
    Version,
    Structured,
}

/// The part of a name, in lower case.
fn part(name: &[u8]) -> Option<Part> {
    Some(match name {
        b"message" | b"msg" => Part::Message,
        b"timestamp" | b"@timestamp" | b"time" | b"timereported" | b"isodate" | b"date" => {
            Part::Time
        }
        b"host" | b"hostname" | b"logsource" => Part::Host,
        b"appname" | b"app_name" | b"app-name" | b"program" | b"programname" | b"ident" => {
            Part::Program
        }
        b"syslogtag" => Part::Tag,
        b"pid" | b"procid" | b"proc_id" => Part::Process,
        b"msgid" | b"msg_id" => Part::MessageId,
        b"pri" | b"priority" => Part::Priority,
        b"facility" | b"syslogfacility" | b"syslogfacility-text" | b"facility_label" => {
            Part::Facility
        }
        b"severity" | b"syslogseverity" | b"syslogseverity-text" | b"severity_label" | b"level" => {
            Part::Severity
        }
        b"version" => Part::Version,
        b"structured_data" | b"structureddata" => Part::Structured,
        _ => return None,
    })
}

/// What the object says.
#[derive(Default)]
pub(super) struct Wrapped<'a> {
    line: &'a str,
    stamp: Option<Stamp>,
    host: Option<&'a str>,
    program: Option<&'a str>,
    tag: Option<&'a str>,
    procid: Option<&'a str>,
    msgid: Option<&'a str>,
    priority: Option<u8>,
    facility: Option<u8>,
    severity: Option<u8>,
    version: Option<&'a str>,
    structured: Option<&'a [u8]>,
}

/// Takes the object apart; `None` if the record is something else. Keys without a field of their
/// own are kept below `tahoe.fields`.
pub(super) fn wrapped<'a>(record: &Record<'a>, event: &mut Event<'a>) -> Option<Wrapped<'a>> {
    let text = record.bytes.trim_ascii();
    if !text.starts_with(b"{") || !text.ends_with(b"}") || record.part.is_some() {
        return None;
    }
    let text = event.text(text);
    let (mut wrapped, mut others) = (Wrapped::default(), Vec::new());
    for entry in entries(text.as_bytes(), event)? {
        let mut name = [0; NAME_BYTES_MAX];
        let part = name.get_mut(..entry.key.len()).and_then(|name| {
            name.copy_from_slice(entry.key);
            name.make_ascii_lowercase();
            part(name)
        });
        let taken = match part {
            Some(Part::Structured) => wrapped.structured(entry.value, event),
            Some(part) => scalar(entry.value, event)
                .is_some_and(|value| wrapped.take(part, value, record.read_at_ms)),
            None => false,
        };
        if !taken {
            others.push(entry);
        }
    }
    if wrapped.line.trim().is_empty() {
        return None;
    }
    if let Some(others) = flattened(&others, fields::tahoe::FIELDS, event) {
        event.set(fields::tahoe::FIELDS, others);
    }
    Some(wrapped)
}

/// Puts a value where there is none yet.
fn fill<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let fits = place.is_none() && value.is_some();
    if fits {
        *place = value;
    }
    fits
}

impl<'a> Wrapped<'a> {
    /// Takes a value; false if it is none of its kind or there is one already.
    fn take(&mut self, part: Part, value: &'a str, read_at_ms: i64) -> bool {
        match part {
            Part::Message => {
                let fits = self.line.is_empty();
                if fits {
                    self.line = value;
                }
                fits
            }
            Part::Time => {
                let read = stamp(value.as_bytes(), read_at_ms).map(|(stamp, _)| stamp);
                let is_epoch = value.len() >= EPOCH_BYTES_MIN && read.is_none();
                fill(&mut self.stamp, read.or_else(|| json_stamp(value).filter(|_| is_epoch)))
            }
            Part::Host => fill(&mut self.host, Some(value)),
            Part::Program => fill(&mut self.program, Some(value)),
            Part::Tag => fill(&mut self.tag, Some(value)),
            Part::Process => fill(&mut self.procid, Some(value)),
            Part::MessageId => fill(&mut self.msgid, Some(value)),
            Part::Version => fill(&mut self.version, Some(value)),
            // Of some that is the word for the severity.
            Part::Priority => match value.parse() {
                Ok(number) => fill(&mut self.priority, Some(number).filter(|one: &u8| *one < 192)),
                Err(_) => fill(&mut self.severity, severity_named(value)),
            },
            // A word beside the number says the same.
            Part::Facility => {
                let named = facility_named(value);
                fill(&mut self.facility, named) || named.is_some() && named == self.facility
            }
            Part::Severity => {
                let named = severity_named(value);
                fill(&mut self.severity, named) || named.is_some() && named == self.severity
            }
            Part::Structured => false,
        }
    }

    fn structured(&mut self, value: &'a [u8], event: &mut Event<'a>) -> bool {
        let object = match value {
            [b'{', ..] => entries(value, event),
            _ => None,
        };
        let object = object.filter(|object| object.iter().all(|one| one.value.starts_with(b"{")));
        let Some(object) = object else { return false };
        match flattened(&object, fields::log::syslog::STRUCTURED_DATA, event) {
            Some(Value::Raw(object)) => fill(&mut self.structured, Some(object)),
            _ => false,
        }
    }

    /// What the object and the line in it say together. The line's own time wins, unless it has no
    /// year; if the object names the program, its message is no line.
    pub(super) fn envelope(
        self,
        read_at_ms: i64,
        event: &mut Event<'a>,
    ) -> Result<Envelope<'a>, Rejection> {
        let head = envelope::head(self.line.as_bytes(), read_at_ms);
        let is_line = head.stamp.is_some() || head.priority.is_some();
        let has_parts = self.program.is_some() || self.tag.is_some();
        let mut envelope = if is_line || !has_parts {
            Envelope::parse(self.line, read_at_ms, event)?
        } else {
            Envelope { message: self.line.trim_start_matches(' '), ..Envelope::default() }
        };
        if let Some(tag) = self.tag.filter(|_| envelope.appname.is_none()) {
            envelope.take_tag(tag);
        }
        let own = envelope.stamp.filter(|stamp| !stamp.year_assumed);
        envelope.stamp = own.or(self.stamp).or(envelope.stamp);
        envelope.hostname = envelope.hostname.or(self.host);
        envelope.appname = envelope.appname.or(self.program);
        envelope.procid = envelope.procid.or(self.procid);
        envelope.msgid = envelope.msgid.or(self.msgid);
        envelope.version = envelope.version.or(self.version);
        envelope.structured = envelope.structured.or(self.structured);
        envelope.is_5424 |= self.msgid.is_some() || self.structured.is_some();
        // Only the kernel has the facility 0: a number that would be one of it is a severity, of
        // other programs and where the facility is beside it.
        let is_other = envelope.appname.is_some_and(|name| name != "kernel");
        let is_severity = |number: &u8| *number < 8 && (is_other || self.facility.is_some());
        let priority = self.priority.filter(|number| !is_severity(number));
        let severity = self.severity.or(self.priority.filter(is_severity));
        let both = self.facility.zip(severity);
        let of_both = both.map(|(facility, severity)| facility << 3 | severity);
        envelope.priority = envelope.priority.or(priority).or(of_both);
        if let Some(severity) = severity.filter(|_| envelope.level.is_none()) {
            envelope.level = Some(super::codes::level(severity));
        }
        Ok(envelope)
    }
}
