//! A dataset's parser, and the way from a record to its event, which is the same in all of them.

use std::cell::RefCell;

use tahoe_seams::{Conditions, Events, Normalizer, Record, RecordId, Rejection};

use crate::event::{Event, Scratch};
use crate::rules::EventRules;
use crate::time::Stamp;
use crate::{Dataset, Transformation, fields, rules};

/// A dataset's own part of normalising, when a record is one event.
pub trait Parser: Send + Sync {
    /// Sets what the record's bytes say, which are more than white space. The common fields are set
    /// already.
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection>;

    /// The last time of the source, from the context that the dataset's framer carried. Parts and
    /// orphans take it.
    fn stamp(&self, _context: &[u8], _read_at_ms: i64) -> Option<Stamp> {
        None
    }

    /// Hands the finished event over. The place for what is stored elsewhere than in its dataset's
    /// data stream.
    fn store<'a>(
        &self,
        event: &mut Event<'a>,
        record: &Record<'a>,
        _given: &Conditions,
        events: &mut Events,
    ) {
        event.store(record, events);
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

/// Runs `work` with memory that is empty and is emptied again.
pub(crate) fn in_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        let done = work(scratch);
        scratch.arena.reset();
        done
    })
}

/// White space of any script; text is seldom looked at beyond its first byte.
fn is_blank(bytes: &[u8]) -> bool {
    match bytes.trim_ascii_start().first() {
        None => true,
        Some(byte) if byte.is_ascii_graphic() => false,
        Some(_) => std::str::from_utf8(bytes).is_ok_and(|text| text.trim().is_empty()),
    }
}

impl<P: Parser> Normalizer for Parse<P> {
    fn normalize(
        &self,
        record: &Record<'_>,
        given: &Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        in_scratch(|scratch| self.normalize_in(scratch, record, given, events))
    }
}

impl<P: Parser> Parse<P> {
    fn normalize_in<'a>(
        &self,
        scratch: &'a mut Scratch,
        record: &Record<'a>,
        given: &'a Conditions,
        events: &mut Events,
    ) -> Result<(), Rejection> {
        let mut is_continued = record.part.is_some_and(|part| part.index > 0);
        if !is_continued && is_blank(record.bytes) {
            return Err(Rejection::at("empty_record", "nothing but white space", 0));
        }
        let shown = shown(self.dataset, record, given);
        let record = shown.as_ref().unwrap_or(record);
        is_continued |= shown.is_some_and(|shown| is_blank(shown.bytes));
        let mut event = Event::new(scratch, self.dataset, record, given);
        if shown.is_some() {
            event.transformation_of(Transformation::Masked, fields::MESSAGE.path());
        }
        if is_continued {
            event.set(fields::MESSAGE, record.bytes);
            event.time_assumed(self.parser.stamp(record.context, record.read_at_ms));
        } else {
            self.parser.parse(record, &mut event)?;
            event.check(record.bytes.len())?;
        }
        event.obey_rules(record.id);
        self.parser.store(&mut event, record, given, events);
        Ok(())
    }
}

/// A part of a longer text without what a privacy policy hides at its cuts; `None` if that is all.
fn shown<'a>(dataset: &Dataset, record: &Record<'a>, given: &Conditions) -> Option<Record<'a>> {
    record.part?;
    let policy = &given.rules.get::<EventRules>()?.privacy;
    let shown = policy.is_about_parts(dataset).then(|| rules::shown(record))?;
    (shown.len() < record.bytes.len()).then(|| Record { bytes: &record.bytes[shown], ..*record })
}

impl<'a> Event<'a> {
    /// Sets the common fields that differ from record to record.
    pub(crate) fn begin(&mut self, record: &Record<'a>, given: &Conditions) {
        if given.keep_original {
            self.set(fields::event::ORIGINAL, record.bytes);
        }
        if record.origin.path.starts_with('/') {
            self.set(fields::log::OFFSET, record.start);
        }
        if let Some(part) = record.part {
            self.set(fields::tahoe::part::INDEX, part.index);
            self.set(fields::tahoe::part::LAST, part.last);
            if !part.last {
                self.transformation_of(Transformation::Truncated, fields::MESSAGE.path());
            }
        }
    }

    /// The operator's rules have the last word.
    pub(crate) fn obey_rules(&mut self, id: RecordId) {
        rules::take_over(self);
        if let Some(rules) = self.rules() {
            rules.apply(self, id);
        }
        if self.has_long {
            self.shorten();
        }
    }

    /// Ends the event: it obeys the rules, and goes where it belongs.
    pub(crate) fn finish(mut self, record: &Record<'_>, events: &mut Events) {
        self.obey_rules(record.id);
        self.store(record, events);
    }

    /// Goes to its dataset's data stream.
    pub(crate) fn store(&mut self, record: &Record<'_>, events: &mut Events) {
        self.store_as(self.dataset().name, record, events);
    }

    /// Goes to a data stream, unless a rule leaves it out.
    pub(crate) fn store_as(&mut self, dataset: &str, record: &Record<'_>, events: &mut Events) {
        match self.left_out() {
            Some(rule) => events.leave_out(rule),
            None => events.push(dataset, self.namespace(), record.id, |out| self.write(out)),
        }
    }
}
