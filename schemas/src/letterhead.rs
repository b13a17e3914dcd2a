//! The fields that are the same for every record of an origin, rendered once.
//!
//! They are a third of a usual document. Rendered in order as a document of their own, any of them
//! that follow each other are one slice of it, whatever the event writes before and after. The two
//! times among them have a fixed width and are written over when they change.

use std::ops::Range;

use tahoe_seams::{Conditions, Origin, data_stream_type};

use crate::field::{Field, LEAVES};
use crate::page::Block;
use crate::time::Time;
use crate::value::Value;
use crate::writer::Writer;
use crate::{Dataset, ECS_VERSION, fields, json};

/// Letterheads remembered at most: a kilobyte or two each. Past it all are forgotten at once, which
/// costs one rendering each.
const LETTERHEADS_MAX: usize = 256;

/// Bytes of a time with milliseconds, quotes included.
const TIME_BYTES: usize = "'2026-11-21T09:00:00.000Z'".len();

/// Those of the origins seen.
#[derive(Default)]
pub(crate) struct Letterheads {
    all: Vec<Letterhead>,
    last: usize,
}

impl Letterheads {
    /// The letterhead of an origin's records, with these times.
    pub fn of(
        &mut self,
        origin: &Origin,
        dataset: &'static Dataset,
        read_at_ms: i64,
        given: &Conditions,
    ) -> &Letterhead {
        let is_it = |head: &Letterhead| {
            std::ptr::eq(head.dataset, dataset)
                && head.ingested.is_some() == (given.ingested_ms != 0)
                && head.origin == *origin
        };
        if !self.all.get(self.last).is_some_and(is_it) {
            self.last = self.all.iter().position(is_it).unwrap_or_else(|| {
                if self.all.len() == LETTERHEADS_MAX {
                    self.all.clear();
                }
                self.all.push(Letterhead::new(origin, dataset, given.ingested_ms != 0));
                self.all.len() - 1
            });
        }
        let head = &mut self.all[self.last];
        head.set_times(read_at_ms, given.ingested_ms);
        head
    }
}

/// One field of a letterhead.
struct Printed {
    field: Field,
    /// Where its key begins in the text, without a comma, and where its value ends.
    at: Range<usize>,
}

/// A time in a letterhead: where its text begins, quotes included, and what it says.
struct PrintedTime {
    at: usize,
    ms: i64,
}

/// The common fields of one origin's events in one dataset.
pub(crate) struct Letterhead {
    origin: Origin,
    dataset: &'static Dataset,
    summary: u64,
    words: [u64; 64],
    printed: Vec<Printed>,
    text: Vec<u8>,
    created: Option<PrintedTime>,
    ingested: Option<PrintedTime>,
}

impl Letterhead {
    fn new(origin: &Origin, dataset: &'static Dataset, ingested: bool) -> Self {
        let mut head = Self {
            origin: origin.clone(),
            dataset,
            summary: 0,
            words: [0; 64],
            printed: Vec::new(),
            text: Vec::new(),
            created: None,
            ingested: None,
        };
        let labels = object(&origin.labels);
        let tags: Vec<&str> = origin.tags.iter().map(String::as_str).collect();
        let zero = Value::Time(Time::from_ms(0));
        let mut common = vec![
            (fields::data_stream::DATASET, dataset.name.into()),
            (fields::data_stream::NAMESPACE, namespace(origin).into()),
            (fields::data_stream::TYPE, data_stream_type(dataset.name).into()),
            (fields::ecs::VERSION, ECS_VERSION.into()),
            (fields::event::CREATED, zero),
            (fields::event::DATASET, dataset.name.into()),
            (fields::event::KIND, "event".into()),
            (fields::event::MODULE, dataset.module.into()),
        ];
        if ingested {
            common.push((fields::event::INGESTED, zero));
        }
        if !origin.host.is_empty() {
            common.push((fields::host::NAME, origin.host.as_str().into()));
        }
        if origin.path.starts_with('/') {
            common.push((fields::log::file::PATH, origin.path.as_str().into()));
        }
        if !origin.peer.is_empty() {
            common.push((fields::log::source::ADDRESS, origin.peer.as_str().into()));
        }
        if !origin.labels.is_empty() {
            common.push((fields::LABELS, Value::Raw(&labels)));
        }
        if !tags.is_empty() {
            common.push((fields::TAGS, Value::List(&tags)));
        }
        common.sort_by_key(|(field, _)| *field);
        head.print(&common);
        head
    }

    fn print(&mut self, common: &[(Field, Value<'_>)]) {
        let mut text = Vec::with_capacity(1024);
        let mut block = Block::new();
        let mut writer = Writer::begin(&mut text, &mut block);
        for (field, value) in common {
            let id = field.id();
            writer.enter(id);
            let from = writer.page.at();
            writer.entered_field(id, value);
            let at = from..writer.page.at();
            if matches!(value, Value::Time(_)) {
                let time = Some(PrintedTime { at: at.end - TIME_BYTES, ms: 0 });
                match *field == fields::event::CREATED {
                    true => self.created = time,
                    false => self.ingested = time,
                }
            }
            self.summary |= 1 << (id / 64);
            self.words[id / 64] |= 1 << (id % 64);
            self.printed.push(Printed { field: *field, at });
        }
        writer.finish();
        self.text = text;
    }

    fn set_times(&mut self, read_at_ms: i64, ingested_ms: i64) {
        let times = [(&mut self.created, read_at_ms), (&mut self.ingested, ingested_ms)];
        for (time, ms) in times {
            let Some(time) = time.as_mut().filter(|time| time.ms != ms) else { continue };
            time.ms = ms;
            let (text, length) = Time::from_ms(ms).text();
            self.text[time.at + 1..time.at + TIME_BYTES - 1].copy_from_slice(&text[..length]);
        }
    }

    /// As [`crate::index::Index`]: one bit per word that is not zero.
    pub fn summary(&self) -> u64 {
        self.summary
    }

    /// One bit per field.
    pub fn word(&self, word: usize) -> u64 {
        self.words[word]
    }

    /// Its fields in order, by their numbers in it.
    pub fn printed(&self, number: usize) -> Option<usize> {
        self.printed.get(number).map(|printed| printed.field.id())
    }

    /// The namespace that the events go to unless they say otherwise.
    pub fn namespace(&self) -> &str {
        namespace(&self.origin)
    }

    pub fn has(&self, id: usize) -> bool {
        self.words[id / 64] & 1 << (id % 64) != 0
    }

    /// The value of a field.
    pub fn get(&self, id: usize) -> Option<Value<'_>> {
        let printed = self.printed.iter().find(|printed| printed.field.id() == id)?;
        let value = &self.text[printed.at.clone()][LEAVES[id].own_key_length()..];
        Some(match printed.field {
            fields::data_stream::NAMESPACE => self.namespace().into(),
            fields::host::NAME => self.origin.host.as_str().into(),
            fields::log::file::PATH => self.origin.path.as_str().into(),
            fields::log::source::ADDRESS => self.origin.peer.as_str().into(),
            fields::event::MODULE => self.dataset.module.into(),
            fields::data_stream::DATASET | fields::event::DATASET => self.dataset.name.into(),
            _ => Value::Raw(value),
        })
    }

    /// Copies fields that follow each other, by their numbers.
    pub fn copy(&self, run: Range<usize>, writer: &mut Writer<'_>) {
        let (first, last) = (&self.printed[run.start], &self.printed[run.end - 1]);
        writer.enter(first.field.id());
        writer.page.bytes(&self.text[first.at.start..last.at.end]);
        writer.node = LEAVES[last.field.id()].node;
    }

    /// One without any field.
    #[cfg(test)]
    pub const fn blank() -> Self {
        Self {
            origin: Origin {
                source: tahoe_seams::SourceId([0; 16]),
                generation: 0,
                dataset: String::new(),
                namespace: String::new(),
                host: String::new(),
                path: String::new(),
                peer: String::new(),
                time_zone: String::new(),
                labels: Vec::new(),
                tags: Vec::new(),
            },
            dataset: crate::datasets::ALL[0],
            summary: 0,
            words: [0; 64],
            printed: Vec::new(),
            text: Vec::new(),
            created: None,
            ingested: None,
        }
    }
}

fn namespace(origin: &Origin) -> &str {
    if origin.namespace.is_empty() { "default" } else { &origin.namespace }
}

/// A flat JSON object; of two equal keys the first counts.
fn object(pairs: &[(String, String)]) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    for (index, (key, value)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(earlier, _)| earlier == key) {
            continue;
        }
        text.push(if text.is_empty() { b'{' } else { b',' });
        json::write_str(key, &mut text);
        text.push(b':');
        json::write_str(value, &mut text);
    }
    text.push(b'}');
    text
}

#[cfg(test)]
mod tests {
    use tahoe_seams::Record;

    use super::*;
    use crate::Event;
    use crate::event::Scratch;

    fn document(origin: &Origin, read_at_ms: i64, fill: fn(&mut Event<'_>)) -> serde_json::Value {
        let mut scratch = Scratch::default();
        let record = Record { start: 7, read_at_ms, ..Record::new(b"", origin) };
        let given = Conditions { ingested_ms: 1_700_000_000_001, ..Conditions::default() };
        let dataset = crate::datasets::find("nginx.access").expect("it is in the list");
        let mut event = Event::new(&mut scratch, dataset, &record, &given);
        fill(&mut event);
        let mut out = Vec::new();
        event.write(&mut out);
        serde_json::from_slice(&out).expect("it is JSON")
    }

    fn origin() -> Origin {
        Origin {
            host: "web-1".into(),
            path: "/var/log/\"x\".log".into(),
            labels: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            tags: vec!["shop".into()],
            ..Origin::default()
        }
    }

    #[test]
    fn an_event_writes_between_and_over_the_common_fields() {
        let found = document(&origin(), 1_700_000_000_000, |event| {
            event.set(fields::MESSAGE, "m");
            event.set(fields::error::MESSAGE, "e");
            event.set(fields::event::KIND, "metric");
            event.set(fields::host::HOSTNAME, "h");
            event.set_namespace("acme");
            event.remove(fields::TAGS);
            assert!(event.has(fields::host::NAME) && !event.has(fields::TAGS));
            assert_eq!(event.get_str(fields::host::NAME), Some("web-1"));
        });
        let expected = serde_json::json!({
            "data_stream": {"dataset": "nginx.access", "namespace": "acme", "type": "logs"},
            "ecs": {"version": ECS_VERSION},
            "error": {"message": "e"},
            "event": {
                "created": "2023-11-14T22:13:20.000Z",
                "dataset": "nginx.access",
                "ingested": "2023-11-14T22:13:20.001Z",
                "kind": "metric",
                "module": "nginx",
            },
            "host": {"hostname": "h", "name": "web-1"},
            "labels": {"a": "1"},
            "log": {"file": {"path": "/var/log/\"x\".log"}, "offset": 7},
            "message": "m",
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn origins_that_differ_in_anything_have_letterheads_of_their_own() {
        let mut all = Letterheads::default();
        let given = Conditions::default();
        let dataset = crate::datasets::ALL[0];
        let mut text = |origin: &Origin, ms| all.of(origin, dataset, ms, &given).text.clone();
        let first = text(&origin(), 1);
        let other = Origin { host: "web-2".into(), ..origin() };
        assert_ne!(first, text(&other, 1));
        assert_ne!(first, text(&origin(), 2));
        assert_eq!(first, text(&origin(), 1));
        assert_eq!(all.all.len(), 2);
    }
}
