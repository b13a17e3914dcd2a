//! What a policy would hide in a record's events, noted instead of done, for who hides it in the
//! record itself.

use std::cell::RefCell;

use super::MASK;
use super::detect::{all, each_private};
use super::json_token::each_token;
use super::privacy::{Privacy, drop_flow, is_of_flow};
use super::privacy_rule::{Action, Rule};
use crate::time::Time;
use crate::{Event, Field, Transformation, Value, fields};

/// A value to hide.
#[derive(Debug)]
pub(super) struct Find {
    pub(super) value: String,
    /// What stands there then.
    pub(super) instead: String,
    /// Where a rule says that it is; empty for what was found by its form.
    pub(super) path: String,
    /// It is an object or a list, as the record has it.
    pub(super) is_json: bool,
}

/// What was noted of one event.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) finds: Vec<Find>,
    /// What `tahoe.transformations` will say.
    pub(super) done: Vec<String>,
    /// Values that stay by an exception.
    pub(super) kept: Vec<String>,
    /// The rest of its text is in another record.
    pub(super) is_part: bool,
    /// A rule hides what stands in no record as text.
    pub(super) is_without_text: bool,
    /// What the event says, whatever is hidden in it.
    pub(super) shape: Shape,
}

/// What must be the same after something was hidden in the record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    dataset: &'static str,
    fields: Vec<Field>,
    time: Option<Time>,
}

thread_local! {
    /// Empty but while a record is looked at.
    static NOTED: RefCell<Vec<Noted>> = const { RefCell::new(Vec::new()) };
}

/// What is noted of the events that `work` makes.
pub(super) fn noted(work: impl FnOnce()) -> Vec<Noted> {
    NOTED.take();
    work();
    NOTED.take()
}

/// Notes what a policy hides in an event.
pub(super) fn note(policy: &Privacy, event: &mut Event<'_>) {
    let time = match event.get(fields::TIMESTAMP) {
        Some(Value::Time(time)) => Some(time),
        _ => None,
    };
    let (dataset, fields) = (event.dataset().name, event.fields_set().to_vec());
    let shape = Shape { dataset, fields, time };
    let mut noted = Noted { is_part: event.is_part, shape, ..Noted::default() };
    for rule in policy.of_dataset(dataset) {
        noted.rule(policy, rule, event);
    }
    NOTED.with_borrow_mut(|all| all.push(noted));
}

impl Noted {
    fn rule(&mut self, policy: &Privacy, rule: &Rule, event: &mut Event<'_>) {
        let before = self.finds.len();
        let mut drops = rule.action == Action::Drop;
        rule.place.change(event, &mut |value, event| {
            match (rule.action, value) {
                (Action::Keep, Value::Str(text)) => self.kept.push(text.to_owned()),
                (Action::Keep, _) => {}
                (Action::Detect, Value::Str(text)) => self.detect(text),
                (Action::Detect, Value::Raw(json)) => {
                    each_token(&String::from_utf8_lossy(json), &mut |token, key| {
                        each_private(token, key, &mut |value, word| self.found(value, word));
                        None
                    });
                }
                (Action::Detect, _) => {}
                (action, Value::Str(text)) => match policy.instead(action, text, event) {
                    Some(instead) if instead == text => {}
                    None if text == MASK => {}
                    instead => {
                        drops |= instead.is_none();
                        self.find(text, instead.unwrap_or(MASK), rule, false);
                    }
                },
                (_, Value::Raw(json)) => {
                    drops = true;
                    self.find(&String::from_utf8_lossy(json), MASK, rule, true);
                }
                _ => self.is_without_text = true,
            }
            Some(value)
        });
        if self.finds.len() > before {
            let word = rule.action.word(drops);
            self.done.push(format!("{}:{}", word.word(), rule.path));
        }
    }

    fn find(&mut self, value: &str, instead: &str, rule: &Rule, is_json: bool) {
        let (value, instead) = (value.to_owned(), instead.to_owned());
        self.finds.push(Find { value, instead, path: rule.path.clone(), is_json });
    }

    /// What is private in a text by its form.
    fn detect(&mut self, text: &str) {
        for (range, word) in all(text) {
            self.found(&text[range], word);
        }
    }

    fn found(&mut self, value: &str, word: &str) {
        let (value, instead) = (value.to_owned(), word.to_owned());
        self.finds.push(Find { value, instead, path: String::new(), is_json: false });
    }
}

/// Takes over into an event what the producer's policy did to its record.
pub(crate) fn take_over<'a>(event: &mut Event<'a>) {
    use Transformation::{AddressTruncated, Dropped, Encrypted, Hashed, Masked};
    if !event.has_been_treated() {
        return;
    }
    for done in event.done() {
        let Some(what @ (AddressTruncated | Dropped | Encrypted | Hashed | Masked)) =
            Transformation::of(done)
        else {
            continue;
        };
        event.transformed_before(done);
        let path = done.split_once(':').map_or("", |(_, path)| path);
        if is_of_flow(path) {
            drop_flow(event);
        }
        if what == Dropped
            && let Ok(place) = super::place::Place::named(path)
        {
            let is_mask = |value: &Value<'_>| matches!(value, Value::Str(text) if *text == MASK);
            place.change(event, &mut |value, _| (!is_mask(&value)).then_some(value));
        }
    }
}
