//! What is private in an event, and what becomes of it before the event is stored.
//!
//! ```text
//! # DATASET     FIELD                    ACTION
//! *             user.email               hash
//! *             source.ip                truncate
//! laravel.log   laravel.context.card     mask
//! postgresql.row  db.after.iban          encrypt
//! *             url.query                drop
//! *             message                  detect
//! ```
//!
//! Of several rows of one field the first that holds for the dataset counts; `keep` makes an
//! exception. A value that a row hides is hidden wherever else in the event it stands as a word of
//! its own, however it is spelled there, and `event.original` is left out, in which a parser has
//! taken nothing apart.

use std::collections::HashMap;
use std::net::IpAddr;

use super::cipher::Keys;
use super::detect::{redacted, redacted_json};
use super::privacy_rule::{Action, Rule};
use super::spelling::Values;
use super::table::rules;
use crate::{Dataset, Event, Field, Transformation, Value, datasets, fields};

/// In place of what is masked.
pub(crate) const MASK: &str = "***";
/// A shorter value is no reason to change other texts: it stands in them by chance.
pub(super) const WORD_BYTES_MIN: usize = 3;
/// Bits of an address that are kept: of IPv4 the network of a provider's block, of IPv6 a site.
const IPV4_BITS: u32 = 24;
const IPV6_BITS: u32 = 48;

/// What the name of a flow is a plain hash of: who knows all but one of them tries that one.
const OF_FLOW: [Field; 4] =
    [fields::source::IP, fields::source::PORT, fields::destination::IP, fields::destination::PORT];

/// What the pipeline says of an event, not its record: a user may be called as a dataset.
const OF_PIPELINE: [Field; 9] = [
    fields::data_stream::DATASET,
    fields::data_stream::NAMESPACE,
    fields::data_stream::TYPE,
    fields::ecs::VERSION,
    fields::event::CATEGORY,
    fields::event::DATASET,
    fields::event::KIND,
    fields::event::MODULE,
    fields::event::TYPE,
];

/// The policy.
#[derive(Debug, Default)]
pub struct Privacy {
    pub(super) rules: Vec<Rule>,
    pub(super) keys: Option<Keys>,
    /// It changes nothing, and only notes what it would.
    pub(super) looks: bool,
}

/// A value that was hidden, and what stands in its place.
struct Hidden<'a> {
    value: &'a str,
    instead: Option<&'a str>,
}

impl Privacy {
    /// Reads a table of fields; `secret` is what hashes and encryptions need.
    ///
    /// # Errors
    /// Name the file and the line, or say what is wrong with the secret.
    pub fn read(file: &str, text: &str, secret: Option<&str>) -> Result<Self, String> {
        let keys = secret.map(Keys::new).transpose()?;
        let rules = rules(file, text, |row| Rule::read(row, keys.is_some()))?;
        Ok(Self { rules, keys, looks: false })
    }

    /// A policy without a row, which reads what was encrypted by one.
    ///
    /// # Errors
    /// Say what is wrong with the secret.
    pub fn of_secret(secret: &str) -> Result<Self, String> {
        Ok(Self { keys: Some(Keys::new(secret)?), ..Self::default() })
    }

    /// The keys of its secret, if it has one.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// Whether a row says of a field as a whole that it does not stay as it is.
    pub(crate) fn names(&self, dataset: &Dataset, field: Field) -> bool {
        self.action(dataset, field).is_some()
    }

    /// Whether something else stands in place of a field's value, or nothing.
    pub(crate) fn replaces(&self, dataset: &Dataset, field: Field) -> bool {
        let action = self.action(dataset, field);
        action.is_some_and(|action| !matches!(action, Action::Detect | Action::Truncate))
    }

    /// An exception says that a field stays.
    pub(super) fn keeps(&self, dataset: &Dataset, field: Field) -> bool {
        self.row(dataset, field).is_some_and(|rule| rule.action == Action::Keep)
    }

    fn action(&self, dataset: &Dataset, field: Field) -> Option<Action> {
        let rule = self.row(dataset, field)?;
        (rule.action != Action::Keep).then_some(rule.action)
    }

    fn row(&self, dataset: &Dataset, field: Field) -> Option<&Rule> {
        let holds = |rule: &&Rule| rule.dataset.is_none_or(|of| of == dataset.name);
        let of_field = |rule: &&Rule| rule.place.is_whole(field);
        self.rules.iter().filter(of_field).find(holds)
    }

    /// The rows that hold for a dataset, of each field the first.
    pub(super) fn of_dataset(&self, dataset: &'static str) -> impl Iterator<Item = &Rule> {
        let holds = move |rule: &Rule| rule.dataset.is_none_or(|of| of == dataset);
        self.rules.iter().enumerate().filter_map(move |(index, rule)| {
            let earlier = |other: &Rule| other.path == rule.path && holds(other);
            (holds(rule) && !self.rules[..index].iter().any(earlier)).then_some(rule)
        })
    }

    /// The rows by which something does not stay as it is.
    pub(super) fn hiding(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.action != Action::Keep)
    }

    /// Those of a dataset and of the ones that its records may go to.
    pub(super) fn of_family(&self, dataset: &Dataset) -> impl Iterator<Item = &Rule> {
        let of_family =
            |name: &str| datasets::find(name).is_some_and(|of| of.module == dataset.module);
        self.hiding().filter(move |rule| rule.dataset.is_none_or(of_family))
    }

    /// Applies to an event whose fields are all set.
    pub(super) fn apply<'a>(&self, event: &mut Event<'a>) {
        if self.looks {
            return super::look::note(self, event);
        }
        let flow = Flow::of(event);
        let (mut hidden, mut changed) = (Vec::new(), false);
        for rule in self.of_dataset(event.dataset().name) {
            changed |= self.apply_one(rule, event, &mut hidden);
        }
        if changed {
            drop_original(event);
        }
        if !hidden.is_empty() {
            hide_everywhere(&hidden, event);
        }
        if changed {
            flow.drop_name(self, event);
        }
        if event.is_part && self.is_about_parts(event.dataset()) {
            self.hide_in_part(event);
        }
    }

    /// Says whether it changed anything.
    fn apply_one<'a>(
        &self,
        rule: &Rule,
        event: &mut Event<'a>,
        hidden: &mut Vec<Hidden<'a>>,
    ) -> bool {
        if rule.action == Action::Keep {
            return false;
        }
        if rule.action == Action::Detect {
            let hashes = self.hashes_beside(rule, event);
            let looked = &mut |value, event: &Event<'a>| Some(detected(value, &hashes, event));
            let changed = rule.place.change(event, looked);
            if changed {
                event.transformation_of(Transformation::Masked, &rule.path);
            }
            return changed;
        }
        // What is hidden by another action can be told by itself.
        if rule.action == Action::Hash && event.was_done(Transformation::Hashed, &rule.path) {
            return false;
        }
        // What is no text, or no address, cannot be kept in another form.
        let mut dropped = rule.action == Action::Drop;
        let changed = rule.place.change(event, &mut |value: Value<'a>, event: &Event<'a>| {
            let Value::Str(text) = value else {
                dropped = true;
                return None;
            };
            let instead = self.instead(rule.action, text, event);
            dropped |= instead.is_none();
            if instead != Some(text) && text != MASK {
                hidden.push(Hidden { value: text, instead });
            }
            instead.map(Value::Str)
        });
        if changed {
            event.transformation_of(rule.action.word(dropped), &rule.path);
        }
        changed
    }

    /// What stands by rules of their own, applied before this one, in keys of the object that a rule
    /// is about: nothing in a hash says that it is one.
    fn hashes_beside<'a>(&self, rule: &Rule, event: &mut Event<'a>) -> Vec<&'a str> {
        let (mut found, mut is_before) = (Vec::new(), true);
        for other in self.of_dataset(event.dataset().name) {
            is_before &= other.path != rule.path;
            let is_beside = other.action == Action::Hash && other.place.field == rule.place.field;
            if is_beside && (is_before || event.was_done(Transformation::Hashed, &other.path)) {
                other.place.change(event, &mut |value, _| {
                    found.extend(if let Value::Str(text) = value { Some(text) } else { None });
                    Some(value)
                });
            }
        }
        found
    }

    /// What stands in place of a text; `None` if nothing does.
    pub(super) fn instead<'a>(
        &self,
        action: Action,
        text: &str,
        event: &Event<'a>,
    ) -> Option<&'a str> {
        let keys = self.keys.as_ref();
        match action {
            Action::Mask => Some(MASK),
            Action::Hash => Some(event.alloc_str(&keys?.hashed(text.as_bytes()))),
            Action::Encrypt if keys?.opened(text).is_ok() => Some(event.alloc_str(text)),
            Action::Encrypt => Some(event.alloc_str(&keys?.encrypted(text.as_bytes()))),
            Action::Truncate => Some(event.alloc_str(&truncated(text.parse().ok()?))),
            Action::Drop | Action::Keep | Action::Detect => None,
        }
    }
}

/// The record's text, in which what was hidden may stand in other spellings.
pub(super) fn drop_original(event: &mut Event<'_>) {
    if event.has(fields::event::ORIGINAL) {
        event.remove(fields::event::ORIGINAL);
        event.transformation_of(Transformation::Dropped, fields::event::ORIGINAL.path());
    }
}

/// A value without what is private in its text.
fn detected<'a>(value: Value<'a>, hashes: &[&str], event: &Event<'a>) -> Value<'a> {
    match value {
        Value::Str(text) => redacted(text).map_or(value, |text| event.alloc_str(&text).into()),
        Value::Raw(object) => {
            let json = std::str::from_utf8(object).ok();
            let text = json.and_then(|json| redacted_json(json, hashes));
            text.map_or(value, |text| Value::Raw(event.alloc_bytes(text.as_bytes())))
        }
        _ => value,
    }
}

/// The network that an address is in.
fn truncated(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits() & (u32::MAX << (32 - IPV4_BITS));
            std::net::Ipv4Addr::from_bits(bits).to_string()
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits() & (u128::MAX << (128 - IPV6_BITS));
            std::net::Ipv6Addr::from_bits(bits).to_string()
        }
    }
}

/// What a flow had to do with, if the event has its name.
struct Flow<'a>(Option<[Option<Value<'a>>; OF_FLOW.len()]>);

impl<'a> Flow<'a> {
    fn of(event: &Event<'a>) -> Self {
        let is_named = event.has(fields::network::COMMUNITY_ID);
        Self(is_named.then(|| OF_FLOW.map(|field| event.get(field))))
    }

    /// Takes the flow's name out if a part of it was hidden.
    fn drop_name(self, policy: &Privacy, event: &mut Event<'a>) {
        let is_same = |(field, before): (Field, Option<Value<'a>>)| match (before, event.get(field))
        {
            (Some(Value::Str(one)), Some(Value::Str(other))) => one == other,
            (before, now) => before.is_some() == now.is_some(),
        };
        let is_hidden = self.0.is_some_and(|parts| !OF_FLOW.into_iter().zip(parts).all(is_same));
        if is_hidden && !policy.keeps(event.dataset(), fields::network::COMMUNITY_ID) {
            drop_flow(event);
        }
    }
}

/// A part of a flow: what is named by what a producer's policy left of one is no flow.
pub(super) fn is_of_flow(path: &str) -> bool {
    OF_FLOW.iter().any(|field| field.path() == path)
}

/// Takes a flow's name out.
pub(super) fn drop_flow(event: &mut Event<'_>) {
    if event.has(fields::network::COMMUNITY_ID) {
        event.remove(fields::network::COMMUNITY_ID);
        event.transformation_of(Transformation::Dropped, fields::network::COMMUNITY_ID.path());
    }
}

/// Looks for hidden values in every other field.
fn hide_everywhere<'a>(hidden: &[Hidden<'a>], event: &mut Event<'a>) {
    let values = Values::new(hidden.iter().map(|it| (it.value, it.instead.unwrap_or(MASK))));
    // Of several the first counts.
    let whole: HashMap<_, _> = hidden.iter().rev().map(|it| (it.value, it.instead)).collect();
    for field in event.fields_set() {
        let Some(before) = event.get(field).filter(|_| !OF_PIPELINE.contains(&field)) else {
            continue;
        };
        let is_address = field.kind() == "ip";
        let changed = |text: &'a str| {
            let instead = match whole.get(text) {
                Some(instead) => *instead,
                None => Some(values.hidden(text).map_or(text, |new| event.alloc_str(&new))),
            };
            instead.filter(|text| !is_address || text.parse::<IpAddr>().is_ok())
        };
        let now = match before {
            Value::Str(text) => changed(text).map(Value::Str),
            Value::List(list) => {
                let mut kept = event.list();
                kept.extend(list.iter().filter_map(|text| changed(text)));
                (!kept.is_empty()).then(|| Value::List(kept.into_bump_slice()))
            }
            Value::Raw(object) => {
                let json = std::str::from_utf8(object).ok();
                match json.and_then(|json| values.hidden_in_json(json)) {
                    Some(json) if json.is_empty() => None,
                    Some(json) => Some(Value::Raw(event.alloc_bytes(json.as_bytes()))),
                    None => continue,
                }
            }
            _ => continue,
        };
        match now {
            None => event.remove(field),
            Some(now) if is_same(before, now) => {}
            Some(now) => event.set(field, now),
        }
    }
}

fn is_same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Str(one), Value::Str(other)) => one == other,
        (Value::List(one), Value::List(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_line() {
        for (text, expected) in [
            ("* user.email", "p:1: a row has three words"),
            ("\n* user.email hide", "p:2: hide: an action is keep"),
            ("* user.email hash", "p:1: it needs a secret: TAHOE_PRIVACY_KEY"),
            ("* laravel.context mask", "p:1: laravel.context is an object"),
            ("* source.ip mask", "p:1: source.ip holds an address"),
            ("* event.duration detect", "p:1: event.duration holds no text, so keep or drop it"),
            ("* source.port truncate", "p:1: source.port holds no text, so keep or drop it"),
            ("* @timestamp drop", "p:1: @timestamp is what makes"),
            ("no.such user.email drop", "p:1: no.such: no such dataset"),
        ] {
            let error = Privacy::read("p", text, None).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
        let short = Privacy::read("p", "", Some("short")).expect_err("it is short");
        assert!(short.contains("16 bytes") && short.contains("TAHOE_PRIVACY_KEY"), "{short}");
    }

    #[test]
    fn of_an_address_its_network_is_kept() {
        let of = |text: &str| truncated(text.parse().expect("an address"));
        assert_eq!(of("203.0.113.77"), "203.0.113.0");
        assert_eq!(of("2001:db8:12:34::5"), "2001:db8:12::");
    }
}
