//! One event while it is put together. It borrows from its record and from an arena that lives as
//! long as the record is worked on; nothing is allocated per event once the buffers have grown.

mod form;
mod text;
mod timestamp;

use std::cell::Cell;
use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use tahoe_seams::{Conditions, Record, Rejection};

use crate::enrich::Quoting;
use crate::field::Field;
use crate::index::{FieldSet, Index};
use crate::length::is_long;
use crate::letterhead::{Letterhead, Letterheads};
use crate::nothing::{is_nothing, leaves_out};
use crate::page::Block;
use crate::rules::{EventRules, NAMESPACE_DEFAULT};
use crate::transformation::Transformation;
use crate::value::Value;
use crate::zone::Zones;
use crate::{Dataset, fields};

/// Fields that an event usually has; more make its list grow.
const FIELDS_USUAL: usize = 64;

/// What an event needs besides its record, kept from one record to the next.
pub(crate) struct Scratch {
    pub arena: Bump,
    pub index: Box<Index>,
    pub block: Box<Block>,
    pub zones: Zones,
    pub letterheads: Letterheads,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            arena: Bump::new(),
            index: Index::new(),
            block: Block::new(),
            zones: Zones::default(),
            letterheads: Letterheads::default(),
        }
    }
}

/// One event: fields with their values, what was done to them, and where it goes.
pub struct Event<'a> {
    arena: &'a Bump,
    index: &'a mut Index,
    block: &'a mut Block,
    zones: &'a mut Zones,
    letterhead: &'a Letterhead,
    values: ArenaVec<'a, Value<'a>>,
    transformations: ArenaVec<'a, &'a str>,
    dataset: &'static Dataset,
    namespace: &'a str,
    time_zone: &'a str,
    read_at_ms: i64,
    rules: Option<&'a EventRules>,
    left_out: Option<&'a Arc<str>>,
    statement: Option<(Field, Quoting)>,
    /// What the producer's policy did already, a line each.
    done: &'a str,
    /// The longest text that was found to be UTF-8: the record's, mostly.
    sound: &'a str,
    /// Whether that has a backslash, once somebody asked.
    sound_escapes: Cell<Option<bool>>,
    /// The record is not all of its text.
    pub(crate) is_part: bool,
    /// A value was set that may be longer than the store indexes.
    pub(crate) has_long: bool,
}

impl<'a> Event<'a> {
    /// An event with the common fields.
    pub(crate) fn new(
        scratch: &'a mut Scratch,
        dataset: &'static Dataset,
        record: &Record<'a>,
        given: &'a Conditions,
    ) -> Self {
        let Scratch { arena, index, block, zones, letterheads } = scratch;
        let arena: &'a Bump = arena;
        let letterhead = letterheads.of(record.origin, dataset, record.read_at_ms, given);
        index.clear();
        let mut event = Self {
            arena,
            index,
            block,
            zones,
            letterhead,
            values: ArenaVec::with_capacity_in(FIELDS_USUAL, arena),
            transformations: ArenaVec::with_capacity_in(8, arena),
            dataset,
            namespace: letterhead.namespace(),
            time_zone: &record.origin.time_zone,
            read_at_ms: record.read_at_ms,
            rules: given.rules.get(),
            left_out: None,
            statement: None,
            done: &given.done,
            sound: "",
            sound_escapes: Cell::new(None),
            is_part: record.part.is_some(),
            has_long: false,
        };
        event.begin(record, given);
        event
    }

    /// What the operator's own files say.
    pub(crate) fn rules(&self) -> Option<&'a EventRules> {
        self.rules
    }

    /// Sets a field; the last value wins. Invalid UTF-8 becomes U+FFFD and is recorded; a text that
    /// stands for nothing (empty, `-`, `NULL`, `[unknown]`) is left out and recorded; numbers that
    /// JSON has not (NaN) are left out.
    pub fn set(&mut self, field: Field, value: impl Into<Value<'a>>) {
        let value = match value.into() {
            Value::Bytes(bytes) => Value::Str(self.text(bytes)),
            Value::F64(number) if !number.is_finite() => return,
            value => value,
        };
        if matches!(value, Value::Str(text) if leaves_out(field, text)) {
            return self.null_removed(field);
        }
        self.has_long |= is_long(&value);
        let id = field.id();
        if let Some(slot) = self.index.slot(id) {
            self.values[slot] = value;
        } else {
            self.index.add(id, self.values.len());
            self.values.push(value);
        }
    }

    /// Sets a field that has no value yet.
    pub fn set_if_absent(&mut self, field: Field, value: impl Into<Value<'a>>) {
        if !self.has(field) {
            self.set(field, value);
        }
    }

    /// Sets a field unless the text stands for nothing, in free text too, which is recorded. Says
    /// whether it was set.
    pub fn set_clean(&mut self, field: Field, text: &'a str) -> bool {
        let nothing = is_nothing(text);
        if nothing {
            self.null_removed(field);
        } else {
            self.set(field, text);
        }
        !nothing
    }

    /// Whether a field has a value.
    pub fn has(&self, field: Field) -> bool {
        let id = field.id();
        self.index.slot(id).is_some() || (!self.index.is_gone(id) && self.letterhead.has(id))
    }

    /// The value of a field.
    pub fn get(&self, field: Field) -> Option<Value<'a>> {
        let id = field.id();
        match self.index.slot(id) {
            Some(slot) => Some(self.values[slot]),
            None if self.index.is_gone(id) => None,
            None => self.letterhead.get(id),
        }
    }

    /// The value of a field if it is text.
    pub fn get_str(&self, field: Field) -> Option<&'a str> {
        match self.get(field)? {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The fields that have a value now.
    pub(crate) fn fields_set(&self) -> ArenaVec<'a, Field> {
        self.fields_of(|_| u64::MAX)
    }

    /// Those of them that are in a set.
    pub(crate) fn fields_in(&self, set: &FieldSet) -> ArenaVec<'a, Field> {
        self.fields_of(|word| set.words[word])
    }

    fn fields_of(&self, mask: impl Fn(usize) -> u64) -> ArenaVec<'a, Field> {
        let mut found = self.list();
        let mut summary = self.index.summary | self.letterhead.summary();
        while summary != 0 {
            let word = summary.trailing_zeros() as usize;
            summary &= summary - 1;
            let mut bits = (self.index.words[word] | self.letterhead.word(word)) & mask(word);
            while bits != 0 {
                let field = Field::numbered(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
                if self.has(field) {
                    found.push(field);
                }
            }
        }
        found
    }

    /// Takes a field out again. Nothing is recorded.
    pub fn remove(&mut self, field: Field) {
        self.index.take_out(field.id());
    }

    /// Records what was done, once, as `tahoe.transformations`.
    pub fn transformation(&mut self, what: Transformation) {
        self.record(what.word());
    }

    fn record(&mut self, what: &'a str) {
        if !self.transformations.contains(&what) {
            self.transformations.push(what);
        }
    }

    /// What the producer's privacy policy did to the record, as `tahoe.transformations` says it.
    pub(crate) fn done(&self) -> std::str::Lines<'a> {
        self.done.lines()
    }

    /// Whether it did anything.
    pub(crate) fn has_been_treated(&self) -> bool {
        !self.done.is_empty()
    }

    /// The producer's privacy policy did that to a field.
    pub(crate) fn was_done(&self, what: Transformation, path: &str) -> bool {
        self.done().any(|done| done.split_once(':') == Some((what.word(), path)))
    }

    /// Records what was done before, as it was said then.
    pub(crate) fn transformed_before(&mut self, done: &'a str) {
        self.record(done);
    }

    /// Records `null_removed:<field>`.
    pub fn null_removed(&mut self, field: Field) {
        self.record(field.removed());
    }

    /// Records `<what>:<detail>`.
    pub fn transformation_of(&mut self, what: Transformation, detail: &str) {
        let what = what.word();
        let mut text = self.string(what.len() + 1 + detail.len());
        text.push_str(what);
        text.push(':');
        text.push_str(detail);
        self.record(text.into_bump_str());
    }

    /// Memory that lives as long as this event, for values that have to be built.
    pub fn arena(&self) -> &'a Bump {
        self.arena
    }

    /// A growing string in the arena; `into_bump_str` ends it.
    pub fn string(&self, capacity: usize) -> bumpalo::collections::String<'a> {
        bumpalo::collections::String::with_capacity_in(capacity, self.arena)
    }

    /// A growing list in the arena; `into_bump_slice` ends it, and [`Event::set`] takes a slice of
    /// `&str` or, as [`Value::Raw`], JSON.
    pub fn list<T>(&self) -> ArenaVec<'a, T> {
        ArenaVec::new_in(self.arena)
    }

    /// A copy in the arena.
    pub fn alloc_str(&self, text: &str) -> &'a str {
        self.arena.alloc_str(text)
    }

    /// A copy in the arena.
    pub fn alloc_bytes(&self, bytes: &[u8]) -> &'a [u8] {
        self.arena.alloc_slice_copy(bytes)
    }

    /// The text in lower case, without a copy if it is so already.
    pub fn lower_case(&self, text: &'a str) -> &'a str {
        if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return text;
        }
        let copy = self.arena.alloc_str(text);
        copy.make_ascii_lowercase();
        copy
    }

    /// Formatted text in the arena: `event.format(format_args!("{a}/{b}"))`.
    pub fn format(&self, text: std::fmt::Arguments<'_>) -> &'a str {
        use std::fmt::Write;
        let mut out = self.string(64);
        out.write_fmt(text).expect("a string takes what is written to it");
        out.into_bump_str()
    }

    /// Milliseconds since the epoch at which the record was read.
    pub fn read_at_ms(&self) -> i64 {
        self.read_at_ms
    }

    /// Sends the event to another member of its family, such as `system.auth`.
    pub fn route(&mut self, dataset: &'static Dataset) {
        self.dataset = dataset;
        self.set(fields::event::MODULE, dataset.module);
        self.set(fields::event::DATASET, dataset.name);
        self.set(fields::data_stream::DATASET, dataset.name);
    }

    /// The client company that the event belongs to.
    pub fn set_namespace(&mut self, namespace: &'a str) {
        self.namespace = if namespace.is_empty() { NAMESPACE_DEFAULT } else { namespace };
        self.set(fields::data_stream::NAMESPACE, self.namespace);
    }

    /// The dataset that it goes to.
    pub fn dataset(&self) -> &'static Dataset {
        self.dataset
    }

    /// The namespace that it goes to.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// It is not stored; a rule of that name says so.
    pub(crate) fn leave_out(&mut self, rule: &'a Arc<str>) {
        self.left_out = Some(rule);
    }

    /// Says that a field holds a statement in SQL, if it has a value, and how texts stand in it.
    pub(crate) fn is_statement(&mut self, field: Field, quoting: Quoting) {
        self.statement = Some((field, quoting));
    }

    /// The field that holds a statement in SQL.
    pub(crate) fn statement(&self) -> Option<(Field, Quoting)> {
        self.statement
    }

    /// The rule by which it is not stored.
    pub(crate) fn left_out(&self) -> Option<&'a Arc<str>> {
        self.left_out
    }

    /// An event without a time can never be stored: `no_timestamp`. Its record has so many bytes.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), Rejection> {
        if self.has(fields::TIMESTAMP) {
            return Ok(());
        }
        Err(Rejection::at("no_timestamp", "the record gives no time", bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::LEAVES;
    use crate::time::Time;

    static BLANK: Letterhead = Letterhead::blank();

    fn written(fill: impl for<'a> FnOnce(&mut Event<'a>)) -> String {
        let origin = tahoe_seams::Origin::default();
        let record = tahoe_seams::Record::new(b"", &origin);
        let mut scratch = Scratch::default();
        let given = Conditions::default();
        let mut event = Event::new(&mut scratch, crate::datasets::ALL[0], &record, &given);
        event.letterhead = &BLANK;
        fill(&mut event);
        let mut out = Vec::new();
        event.write(&mut out);
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn the_last_value_wins_and_a_field_taken_out_is_gone() {
        let text = written(|event| {
            event.set(fields::MESSAGE, "first");
            event.set(fields::MESSAGE, "second");
            event.set_if_absent(fields::MESSAGE, "third");
            event.set(fields::process::PID, 7u32);
            event.remove(fields::process::PID);
            event.set(fields::event::DURATION, f64::NAN);
            assert!(!event.set_clean(fields::user::NAME, "-"));
        });
        let done = r#"{"transformations":["null_removed:user.name"]}"#;
        assert_eq!(text, format!(r#"{{"message":"second","tahoe":{done}}}"#));
    }

    #[test]
    fn a_part_of_a_text_is_text_unless_it_cuts_a_character() {
        written(|event| {
            let whole: &str = event.alloc_str("señor");
            assert_eq!(event.text(whole.as_bytes()), whole);
            assert_eq!(event.sound(&whole.as_bytes()[..2]), Some("se"));
            assert_eq!(event.sound(&whole.as_bytes()[2..4]), Some("ñ"));
            assert_eq!(event.sound(&whole.as_bytes()[3..]), None);
            assert_eq!(event.sound(&whole.as_bytes()[6..]), Some(""));
            assert_eq!(event.sound(b"other"), Some("other"));
            assert_eq!(event.sound(b"\xff"), None);
        });
    }

    #[test]
    fn a_record_answers_whether_its_parts_have_escapes_and_nothing_else() {
        written(|event| {
            let record: &str = event.alloc_str(r"plain and \n, plain");
            assert_eq!(event.text(&record.as_bytes()[..5]), "plain");
            for (text, has) in [("plain", false), (record, true), (r"\u00e9", true)] {
                assert_eq!(event.has_escapes(text), has, "{text}");
            }
            assert_eq!(event.text(record.as_bytes()), record);
            for (at, has) in [(..5, false), (..12, true)] {
                assert_eq!(event.has_escapes(&record[at]), has, "{at:?}");
            }
            assert!(!event.has_escapes(&record[13..]) && !event.has_escapes("other"));
        });
    }

    #[test]
    fn an_object_given_as_a_whole_gives_way_to_fields_inside_it() {
        let whole = Value::Raw(br#"{"appname":"a"}"#);
        let text = written(|event| event.set(fields::log::SYSLOG, whole));
        assert_eq!(text, r#"{"log":{"syslog":{"appname":"a"}}}"#);
        let text = written(|event| {
            event.set(fields::log::SYSLOG, whole);
            event.set(fields::log::syslog::PRIORITY, 13u8);
        });
        assert_eq!(text, r#"{"log":{"syslog":{"priority":13}}}"#);
    }

    #[test]
    fn the_time_of_a_document_is_read_back() {
        let time = Time::new(1_700_000_000, 123_456_789, 9);
        let text = written(|event| {
            event.set(fields::MESSAGE, "x");
            event.set(fields::TIMESTAMP, time);
        });
        assert_eq!(crate::time::time_of(text.as_bytes()), Some(time));
        assert_eq!(crate::time::time_of(b"{\"message\":\"x\"}"), None);
    }

    proptest! {
        #[test]
        fn any_set_of_fields_is_one_valid_object(ids in proptest::collection::vec(0..LEAVES.len(), 0..40)) {
            let text = written(|event| {
                for id in &ids {
                    let field = Field::all().nth(*id).expect("it is below the count");
                    event.set(field, field.path());
                }
            });
            let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            for id in &ids {
                let field = Field::all().nth(*id).expect("it is below the count");
                let found = value.pointer(&format!("/{}", field.path().replace('.', "/")));
                prop_assert!(found.is_some(), "{:?} in {}", field, text);
            }
        }
    }
}
