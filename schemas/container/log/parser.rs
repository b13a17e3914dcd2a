//! Lines joined to what the container wrote, an event each.

use smallvec::SmallVec;
use tahoe_seams::{Conditions, Events, Normalizer, Record, Rejection};

use super::line::{Line, Text};
use super::{DATASET, path};
use crate::datasets::app_json;
use crate::event::Scratch;
use crate::object::{entries, object, scalar};
use crate::parser::in_scratch;
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
            for lines in &pieces {
                normalize_lines(lines.as_slice(), pieces.len() > 1, scratch, record, given, events);
            }
        });
        Ok(())
    }
}

/// The lines of each event, in the order of their ends; `None` if a line is no runtime's.
fn pieces(bytes: &[u8]) -> Option<SmallVec<[Lines<'_>; 1]>> {
    let mut done: SmallVec<[Lines<'_>; 1]> = SmallVec::new();
    let mut open: SmallVec<[Lines<'_>; 1]> = SmallVec::new();
    for raw in bytes.split(|byte| *byte == b'\n') {
        let line = Line::parse(raw.strip_suffix(b"\r").unwrap_or(raw))?;
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

fn normalize_lines<'a>(
    lines: &[Line<'a>],
    is_one_of_several: bool,
    scratch: &'a mut Scratch,
    record: &Record<'a>,
    given: &'a Conditions,
    events: &mut Events,
) {
    let mut event = Event::new(scratch, &DATASET, record, given);
    if given.keep_original && is_one_of_several {
        let mut original = event.list::<u8>();
        for line in lines {
            original.extend_from_slice(if original.is_empty() { b"" } else { b"\n" });
            original.extend_from_slice(line.raw);
        }
        event.set(fields::event::ORIGINAL, Value::Bytes(original.into_bump_slice()));
    }
    let first = &lines[0];
    event.time(first.stamp);
    if !first.stream.is_empty() {
        event.set(fields::STREAM, first.stream);
    }
    if lines.last().is_some_and(|line| line.partial) {
        event.transformation(Transformation::IncompleteRecord);
    }
    path::set(&record.origin.path, &mut event);
    if let Text::Docker(_, attributes) = first.text {
        event.set(fields::container::RUNTIME, "docker");
        let attributes = attributes.map(|attributes| event.text(attributes).as_bytes());
        let attributes = attributes.and_then(|attributes| entries(attributes, &event));
        if let Some(attributes) = attributes.and_then(|entries| object(&entries, &event)) {
            event.set(fields::container::ATTRIBUTES, attributes);
        }
    }
    let text = joined(lines, &mut event);
    message(text, &mut event);
    event.finish(record, events);
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
