//! What is the same in every dataset: the common fields, parts of a long text, and the way from a
//! record to its event.

use std::cell::RefCell;

use tahoe_seams::{Conditions, Events, Normalizer, Record, Rejection};

use crate::event::{Event, Scratch};
use crate::time::{Stamp, Time};
use crate::{Dataset, ECS_VERSION, Value, fields, json};

/// A dataset's own part of normalising, when a record is one event.
pub trait Parser: Send + Sync {
    /// Sets what the record's bytes say. The common fields are set already.
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection>;

    /// The last time of the source, from the context that the dataset's framer carried. Parts and
    /// orphans take it.
    fn stamp(&self, _context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        None
    }
}

/// The [`Normalizer`] of a dataset whose records are one event each.
pub struct Parse<P: 'static> {
    /// Where the events go unless the parser routes them.
    pub dataset: &'static Dataset,
    /// The dataset's own part.
    pub parser: P,
}

thread_local! {
    /// Memory only: an event starts empty whatever was in it.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl<P: Parser> Normalizer for Parse<P> {
    fn normalize(
        &self,
        record: &Record<'_>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        SCRATCH.with_borrow_mut(|scratch| {
            let done = self.normalize_in(scratch, record, given, events);
            scratch.arena.reset();
            done
        })
    }
}

impl<P: Parser> Parse<P> {
    fn normalize_in<'a>(
        &self,
        scratch: &'a mut Scratch,
        record: &Record<'a>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        let mut event = Event::new(scratch, self.dataset, record);
        event.begin(record, given);
        if record.part.is_some_and(|part| part.index > 0) {
            event.set(fields::MESSAGE, record.bytes);
            event.time_assumed(self.parser.stamp(record.context, record.read_at_ms));
        } else {
            self.parser.parse(record, &mut event)?;
            event.check()?;
        }
        let (dataset, namespace) = (event.dataset().name, event.namespace());
        events.push(dataset, namespace, record.id, |out| event.write(out));
        Ok(())
    }
}

impl<'a> Event<'a> {
    /// Sets the common fields.
    fn begin(&mut self, record: &Record<'a>, given: &Conditions) {
        let origin = record.origin;
        self.route(self.dataset());
        self.set_namespace(&origin.namespace);
        self.set(fields::data_stream::TYPE, "logs");
        self.set(fields::ecs::VERSION, ECS_VERSION);
        self.set(fields::event::KIND, "event");
        self.set(fields::event::CREATED, Time::from_ms(record.read_at_ms));
        if given.ingested_ms != 0 {
            self.set(fields::event::INGESTED, Time::from_ms(given.ingested_ms));
        }
        if given.keep_original {
            self.set(fields::event::ORIGINAL, record.bytes);
        }
        if !origin.host.is_empty() {
            self.set(fields::host::NAME, origin.host.as_str());
        }
        if origin.path.starts_with('/') {
            self.set(fields::log::file::PATH, origin.path.as_str());
            self.set(fields::log::OFFSET, record.start);
        }
        if !origin.peer.is_empty() {
            self.set(fields::log::source::ADDRESS, origin.peer.as_str());
        }
        if let Some(part) = record.part {
            self.set(fields::tahoe::part::INDEX, part.index);
            self.set(fields::tahoe::part::LAST, part.last);
        }
        if !origin.labels.is_empty() {
            let labels = self.object(&origin.labels);
            self.set(fields::LABELS, labels);
        }
        if !origin.tags.is_empty() {
            let tags = origin.tags.iter().map(String::as_str);
            let tags: &'a [&'a str] = self.arena().alloc_slice_fill_iter(tags);
            self.set(fields::TAGS, tags);
        }
    }

    /// A flat JSON object; of two equal keys the first counts.
    fn object(&self, pairs: &[(String, String)]) -> Value<'a> {
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
        Value::Raw(self.alloc_bytes(&text))
    }
}
