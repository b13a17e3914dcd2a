//! Lines joined to what the container wrote, an event each.

use smallvec::{SmallVec, smallvec};
use tahoe_seams::{Conditions, Events, Normalizer, Record, Rejection};

use super::framer::Open;
use super::line::{Line, Text};
use super::{DATASET, path};
use crate::datasets::app_json;
use crate::object::{entries, object, scalar};
use crate::parser::in_scratch;
use crate::rules::{before_cut, behind_cut};
use crate::time::{self, Stamp};
use crate::{Event, Parse, Parser, Transformation, Value, fields};

/// Lines of one event: one, if the runtime cut none.
type Lines<'a> = SmallVec<[Line<'a>; 1]>;

pub(super) struct Output;

impl Normalizer for Output {
    fn normalize(
        &self,
        record: &Record<'_>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        let pieces = record.part.is_none().then(|| pieces(record.bytes)).flatten();
        let Some(pieces) = pieces else {
            return Parse { dataset: &DATASET, parser: Unplaced }.normalize(record, given, events);
        };
        in_scratch(|scratch| {
            let mut open = Open::carried(record.context);
            for lines in &pieces {
                let mut event = Event::new(scratch, &DATASET, record, given);
                if given.keep_original && pieces.len() > 1 {
                    set_original(lines, &mut event);
                }
                set(lines, Ends::of(lines, &mut open), &record.origin.path, &mut event);
                event.finish(record, events);
            }
        });
        Ok(())
    }
}

/// The lines of each event, in the order of their ends; `None` if a line is no runtime's.
fn pieces(bytes: &[u8]) -> Option<SmallVec<[Lines<'_>; 1]>> {
    if memchr::memchr(b'\n', bytes).is_none() {
        return Some(smallvec![smallvec![Line::parse(without_return(bytes))?]]);
    }
    let mut done: SmallVec<[Lines<'_>; 1]> = SmallVec::new();
    let mut open: SmallVec<[Lines<'_>; 1]> = SmallVec::new();
    for raw in bytes.split(|byte| *byte == b'\n') {
        let line = Line::parse(without_return(raw))?;
        let stream = |lines: &Lines<'_>| lines[0].stream == line.stream;
        let mut lines = match open.iter().position(stream) {
            Some(at) => open.remove(at),
            None => Lines::new(),
        };
        lines.push(line);
        let place: &mut SmallVec<_> = if line.partial { &mut open } else { &mut done };
        place.push(lines);
    }
    done.extend(open);
    Some(done)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What of a text is in another record, because the runtime took its time between the pieces, or
/// there were too many of them.
#[derive(Clone, Copy)]
struct Ends {
    is_continued: bool,
    goes_on: bool,
}

impl Ends {
    /// `open` has the streams of which a line was cut before; the first event takes it.
    fn of(lines: &[Line<'_>], open: &mut Open) -> Self {
        let is_continued = open.take(lines[0].stream);
        Self { is_continued, goes_on: lines.last().is_some_and(|line| line.partial) }
    }
}

/// The lines of this event alone, of a record that has more.
fn set_original<'a>(lines: &[Line<'a>], event: &mut Event<'a>) {
    let mut original = event.list::<u8>();
    for line in lines {
        original.extend_from_slice(if original.is_empty() { b"" } else { b"\n" });
        original.extend_from_slice(line.raw);
    }
    event.set(fields::event::ORIGINAL, Value::Bytes(original.into_bump_slice()));
}

fn set<'a>(lines: &[Line<'a>], ends: Ends, path: &'a str, event: &mut Event<'a>) {
    let first = &lines[0];
    event.time(first.stamp);
    if !first.stream.is_empty() {
        event.set(fields::STREAM, first.stream);
    }
    if ends.is_continued || ends.goes_on {
        event.transformation(Transformation::IncompleteRecord);
        event.is_part = true;
    }
    path::set(path, event);
    if let Text::Docker(_, attributes) = first.text {
        event.set(fields::container::RUNTIME, "docker");
        let attributes = attributes.map(|attributes| event.text(attributes).as_bytes());
        let attributes = attributes.and_then(|attributes| entries(attributes, event));
        if let Some(attributes) = attributes.and_then(|entries| object(&entries, event)) {
            event.set(fields::container::ATTRIBUTES, attributes);
        }
    }
    let text = joined(lines, event);
    message(shown(text, ends, event), event);
}

fn joined<'a>(lines: &[Line<'a>], event: &mut Event<'a>) -> &'a str {
    if let [line] = lines {
        return text_of(line, event);
    }
    let mut all = event.string(lines.iter().map(|line| line.raw.len()).sum());
    for line in lines {
        all.push_str(text_of(line, event));
    }
    all.into_bump_str()
}

/// The text without what a privacy policy hides where it is cut.
fn shown<'a>(text: &'a str, ends: Ends, event: &mut Event<'a>) -> &'a str {
    let policy = event.rules().map(|rules| &rules.privacy);
    if !event.is_part || !policy.is_some_and(|policy| policy.is_about_parts(&DATASET)) {
        return text;
    }
    let from = if ends.is_continued { behind_cut(text.as_bytes()) } else { 0 };
    let to = if ends.goes_on { before_cut(text.as_bytes()) } else { text.len() };
    event.transformation_of(Transformation::Masked, fields::MESSAGE.path());
    &text[from.min(to)..to]
}

fn text_of<'a>(line: &Line<'a>, event: &mut Event<'a>) -> &'a str {
    match line.text {
        Text::Cri(text) => event.text(text),
        Text::Docker(text, _) => {
            let text = event.text(text);
            scalar(text.as_bytes(), event).unwrap_or(text)
        }
    }
}

fn message<'a>(text: &'a str, event: &mut Event<'a>) {
    let text = text.trim_end_matches(['\n', '\r']);
    let object = text.trim();
    let is_object = object.starts_with('{') && object.ends_with('}');
    if text.is_empty() {
        event.null_removed(fields::MESSAGE);
    } else if is_object && app_json::set(object, fields::container::FIELDS, event) {
        event.set_if_absent(fields::MESSAGE, object);
    } else {
        event.set(fields::MESSAGE, text);
    }
}

/// A record that no runtime wrote, or a part of one.
struct Unplaced;

impl Parser for Unplaced {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim_end();
        event.set(fields::MESSAGE, text);
        path::set(&record.origin.path, event);
        match time::parse_iso(text.as_bytes()) {
            Some((stamp, _)) => event.time(stamp),
            None => event.time_assumed(self.stamp(record.context, record.read_at_ms)),
        }
        Ok(())
    }

    fn stamp(&self, context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        time::parse_iso(context).map(|(stamp, _)| stamp)
    }
}
