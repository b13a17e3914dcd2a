//! A policy applied to a record before it is an event: in the producer, so that nothing private is
//! written to the log at all.
//!
//! What the rules hide is found by the dataset's own normaliser and replaced in the record, however
//! the record spells it; what is private by its form is looked for in all of its text. Then the new
//! record is normalised: only if it gives the same events, of the same times, with the same fields,
//! and the policy finds nothing in them that it has not hidden, is it sent. Any other record (one
//! whose value stands in it in another spelling, that gives no event, that is a part of a longer
//! text, whose key is hidden) is encrypted as a whole, and the transformer, which has the key,
//! applies the policy. So a rule holds or nobody reads the record, and no rule is left out silently.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use tahoe_seams::{Conditions, Events, Record};

use super::detect::{PASSWORD, all, secret_of_key};
use super::json_token::{each_token, quoted, token_text};
use super::look::{Find, Noted, noted};
use super::passage::replaced;
use super::place::Place;
use super::privacy::WORD_BYTES_MIN;
use super::privacy_rule::Action;
use super::spelling::Values;
use super::{AppFields, EventRules, Keys, MASK, Privacy};
use crate::find::place;
use crate::scan::Scan;
use crate::{Dataset, datasets};

/// Stands for a record's text where no field of a rule says what was hidden.
const WHOLE_TEXT: &str = "masked:event.original";

/// Fields that this dataset's events have from their file's path.
const OF_PATH: (&str, [&str; 3]) = ("container.log", ["container", "orchestrator", "kubernetes"]);

/// The policy of a producer.
#[derive(Debug)]
pub struct Screen {
    policy: Arc<Privacy>,
    given: Conditions,
}

/// A record as it is sent in place of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screened {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What travels with it.
    pub context: Vec<u8>,
    /// What was done, as `tahoe.transformations` says it, a line each.
    pub done: String,
    /// Bytes and context are encrypted as a whole, each unless it is empty.
    pub is_sealed: bool,
}

impl Screen {
    /// The policy of a producer; an application's own keys have to be those of the transformer.
    ///
    /// # Errors
    /// The policy has no secret, or a row that cannot hold here; names it.
    pub fn new(policy: Privacy, app_fields: impl Into<Arc<AppFields>>) -> Result<Self, String> {
        if policy.keys.is_none() {
            return Err(
                "a policy before the first write needs a secret, with which positions are \
                 encrypted, and records in which a value cannot be replaced: \
                 TAHOE_PRIVACY_KEY or TAHOE_PRIVACY_KEY_FILE"
                    .to_owned(),
            );
        }
        for rule in policy.hiding() {
            let of_path = rule.dataset.is_none_or(|dataset| dataset == OF_PATH.0);
            if rule.is_of_producer() || (of_path && OF_PATH.1.iter().any(|name| rule.is_in(name))) {
                return Err(format!(
                    "{} {}: it is of the producer's own settings or of its file's path, which every \
                     record's header has: keep this row to the transformer's policy",
                    rule.dataset.unwrap_or("*"),
                    rule.path
                ));
            }
        }
        let policy = Arc::new(Privacy { looks: true, ..policy });
        let rules = EventRules {
            privacy: Arc::clone(&policy),
            app_fields: app_fields.into(),
            ..EventRules::default()
        };
        Ok(Self { policy, given: Conditions { rules: rules.given(), ..Conditions::default() } })
    }

    /// It has rules; without one it only reads what an earlier run encrypted.
    pub fn hides(&self) -> bool {
        self.policy.hiding().next().is_some()
    }

    fn keys(&self) -> &Keys {
        self.policy.keys.as_ref().expect("it was made with keys")
    }

    /// The rules that may hold for a record: its events may go to another dataset of its family.
    fn rules<'s>(&'s self, dataset: &'s Dataset) -> impl Iterator<Item = Action> + 's {
        self.policy.of_family(dataset).map(|rule| rule.action)
    }

    /// The rules may change records of that dataset.
    pub fn concerns(&self, dataset: &str) -> bool {
        datasets::find(dataset).is_none_or(|dataset| self.rules(dataset).next().is_some())
    }

    /// A row, of whatever dataset, says of that very path that it does not stay as it is.
    pub fn names(&self, path: &str) -> bool {
        self.policy.hiding().any(|rule| rule.path == path)
    }

    /// What stands for a record's bytes in its identity, which must not tell them and is the same
    /// whatever the policy says.
    pub fn identity(&self, bytes: &[u8]) -> [u8; 32] {
        self.keys().identity(bytes)
    }

    /// A key of the log that does not tell the one that it stands for.
    pub fn key(&self, key: &[u8]) -> String {
        self.keys().hashed(key)
    }

    /// Bytes that [`Screen::opened`] reads; nothing for nothing.
    pub fn sealed(&self, bytes: &[u8]) -> String {
        if bytes.is_empty() { String::new() } else { self.keys().encrypted(bytes) }
    }

    /// What [`Screen::sealed`] was given.
    ///
    /// # Errors
    /// Names the key that is missing.
    pub fn opened(&self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        self.policy.opened(sealed)
    }

    /// The record to be sent; `None` if it is sent as it was read.
    pub fn screened(&self, record: &Record<'_>) -> Option<Screened> {
        let Some(dataset) = datasets::find(&record.origin.dataset) else {
            return self.hides().then(|| self.seal(record));
        };
        self.rules(dataset).next()?;
        // A value may stand across the cut.
        if record.part.is_some() {
            return Some(self.seal(record));
        }
        let text = String::from_utf8_lossy(record.bytes);
        let before = self.look(dataset, record);
        let Some(before) = before.or_else(|| self.detects_alone(dataset).then(Vec::new)) else {
            return Some(self.seal(record));
        };
        if before.iter().any(|noted| noted.is_part) {
            return Some(self.seal(record));
        }
        let wish = Wish::new(&before, self.rules(dataset).any(|it| it == Action::Detect), dataset);
        if wish.values.are_too_many(&text) {
            return Some(self.seal(record));
        }
        let context = String::from_utf8_lossy(record.context);
        let (bytes, new_context) = (wish.rewritten(&text), wish.in_text(&context));
        if bytes.is_none() && new_context.is_none() {
            let is_clean = wish.finds.is_empty() && !wish.is_without_text;
            return (!is_clean).then(|| self.seal(record));
        }
        let is_text = matches!((&text, &context), (Cow::Borrowed(_), Cow::Borrowed(_)));
        let bytes = bytes.unwrap_or_else(|| text.clone().into_owned());
        let context = new_context.unwrap_or_else(|| context.into_owned());
        let new = Record { bytes: bytes.as_bytes(), context: context.as_bytes(), ..*record };
        let after = self.look(dataset, &new).unwrap_or_default();
        // A start tells rows again by their keys: two that are hidden alike would be one.
        let has_key = |text: &str| Place::span(text, "key").map(|at| text[at].to_owned());
        let is_another = dataset.name.ends_with(".row") && has_key(&text) != has_key(&bytes);
        if !is_text || is_another || !wish.is_met(&before, &after) {
            return Some(self.seal(record));
        }
        let done = done(&before);
        let (bytes, context) = (bytes.into_bytes(), context.into_bytes());
        Some(Screened { bytes, context, done, is_sealed: false })
    }

    /// No rule is about a field's value.
    fn detects_alone(&self, dataset: &Dataset) -> bool {
        self.rules(dataset).all(|action| action == Action::Detect)
    }

    /// What the policy finds in each of the record's events; `None` if it is rejected.
    fn look(&self, dataset: &Dataset, record: &Record<'_>) -> Option<Vec<Noted>> {
        let mut events = Events::default();
        let mut is_accepted = false;
        let noted = noted(|| {
            let result = dataset.normalizer.normalize(record, &self.given, &mut events);
            is_accepted = result.is_ok();
        });
        is_accepted.then_some(noted)
    }

    /// The record encrypted as a whole, whatever the rules say of it.
    pub fn seal(&self, record: &Record<'_>) -> Screened {
        let [bytes, context] =
            [record.bytes, record.context].map(|bytes| self.sealed(bytes).into_bytes());
        Screened { bytes, context, done: String::new(), is_sealed: true }
    }
}

impl Privacy {
    /// The bytes that a producer with this policy's secret encrypted.
    ///
    /// # Errors
    /// Names the key that is missing.
    pub fn opened(&self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let text = std::str::from_utf8(sealed).map_err(|error| error.to_string())?;
        let Some(keys) = &self.keys else {
            let id = text.split(':').nth(2).unwrap_or_default();
            return Err(format!("it was encrypted with the key {id}, and none is set"));
        };
        keys.opened(text)
    }

    /// It has rows, so that what a producer left to it is hidden here.
    pub fn hides(&self) -> bool {
        !self.rules.is_empty()
    }
}

fn done(before: &[Noted]) -> String {
    let mut done: Vec<&str> = Vec::new();
    for word in before.iter().flat_map(|noted| &noted.done) {
        if !done.contains(&word.as_str()) {
            done.push(word);
        }
    }
    if done.is_empty() {
        done.push(WHOLE_TEXT);
    }
    done.join("\n")
}

/// What is to be hidden in a record.
struct Wish<'n> {
    /// The longest first; what a rule says of a field before what is found by its form.
    finds: Vec<&'n Find>,
    values: Values<'n>,
    /// What stands in place of something.
    put: HashSet<&'n str>,
    /// What is private by its form is hidden wherever it stands.
    detects: bool,
    kept: HashSet<&'n str>,
    is_without_text: bool,
    /// The record is an object whose keys are fields, that a producer of ours wrote.
    is_change: bool,
}

impl<'n> Wish<'n> {
    fn new(before: &'n [Noted], detects: bool, dataset: &Dataset) -> Self {
        let mut finds: Vec<&Find> = before.iter().flat_map(|noted| &noted.finds).collect();
        let mut known = HashSet::new();
        finds.retain(|find| known.insert((&*find.value, &*find.path, find.is_json)));
        finds.sort_by_key(|find| (std::cmp::Reverse(find.value.len()), find.path.is_empty()));
        let kept = before.iter().flat_map(|noted| &noted.kept);
        let is_change = dataset.name.ends_with(".row") || dataset.name.ends_with(".change");
        Self {
            values: Values::new(finds.iter().map(|find| (&*find.value, &*find.instead))),
            put: finds.iter().map(|find| &*find.instead).collect(),
            finds,
            // Places and numbers of transactions may look like what they are not.
            detects: detects && !is_change,
            kept: kept.map(String::as_str).collect(),
            is_without_text: before.iter().any(|noted| noted.is_without_text),
            is_change,
        }
    }

    /// The whole record; `None` if nothing in it changes.
    fn rewritten(&self, text: &str) -> Option<String> {
        let is_json = text.trim_start().starts_with('{')
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if !is_json {
            return self.in_text(text);
        }
        let (mut new, mut changed) = (text.to_owned(), false);
        for find in &self.finds {
            if self.is_change && self.in_place(find, &mut new) {
                changed = true;
            }
            if find.is_json && new.contains(&find.value) {
                new = new.replace(&find.value, &quoted(&find.instead));
                changed = true;
            }
        }
        let replaced = each_token(&new, &mut |token, key| self.in_token(token, key));
        changed |= replaced.is_some();
        changed.then(|| replaced.unwrap_or(new))
    }

    /// A string or number of a JSON text.
    fn in_token(&self, token: &str, key: Option<&str>) -> Option<String> {
        let text = token_text(token)?;
        if self.kept.contains(&*text) {
            return None;
        }
        let is_it = |find: &&&Find| {
            find.value == *text && (text.len() >= WORD_BYTES_MIN || !self.is_change)
        };
        if let Some(find) = self.finds.iter().find(is_it) {
            return Some(quoted(&find.instead));
        }
        if self.detects && !self.put.contains(&*text) && secret_of_key(token, key).is_some() {
            return Some(quoted(PASSWORD));
        }
        let is_string = token.starts_with('"');
        let new =
            self.in_text(&text).filter(|_| is_string || text.bytes().all(|b| b.is_ascii_digit()));
        new.map(|text| quoted(&text))
    }

    /// Replaces the value at the very place that a rule names; says whether it is there.
    fn in_place(&self, find: &Find, text: &mut String) -> bool {
        let path = find.path.strip_prefix("db.").filter(|path| path.contains('.'));
        let Some(range) = path.and_then(|path| Place::span(text, path)) else { return false };
        let value = &text[range.clone()];
        let is_it = value == find.value || token_text(value).is_some_and(|text| text == find.value);
        if is_it {
            text.replace_range(range, &quoted(&find.instead));
        }
        is_it
    }

    /// A text in whatever format.
    fn in_text(&self, text: &str) -> Option<String> {
        let mut new = self.values.hidden(text).map_or(Cow::Borrowed(text), Cow::Owned);
        if self.detects
            && let Some(text) = self.without_forms(&new)
        {
            new = Cow::Owned(text);
        }
        match new {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        }
    }

    /// The text without what is private by its form, but for what is kept.
    fn without_forms(&self, text: &str) -> Option<String> {
        let stays = |text| self.kept.contains(text) || self.put.contains(text);
        let mut found = all(text);
        found.retain(|(range, _)| !stays(&text[range.clone()]));
        replaced(text, &found)
    }

    /// The new record gives the same events, in which the policy finds only what it put there.
    fn is_met(&self, before: &[Noted], after: &[Noted]) -> bool {
        let put: HashSet<_> = self.finds.iter().map(|find| (&*find.path, &*find.instead)).collect();
        let is_put = |find: &Find| match &*find.path {
            "" => self.put.contains(&*find.value),
            path => find.value == MASK || put.contains(&(path, &*find.value)),
        };
        let is_hidden = |noted: &Noted| !noted.is_without_text && noted.finds.iter().all(&is_put);
        before.len() == after.len()
            && before.iter().zip(after).all(|(before, after)| before.shape == after.shape)
            && after.iter().all(is_hidden)
    }
}

impl Place {
    /// Where the value of a key stands in the text of a valid object; the key may hold dots itself,
    /// so the whole path is looked for first.
    fn span(text: &str, path: &str) -> Option<std::ops::Range<usize>> {
        let mut scan = Scan::of_any_keys(text.as_bytes());
        scan.run().ok()?;
        let of = |key: &str| scan.entries.iter().find(|entry| entry.key == key.as_bytes());
        let at = |value: &[u8]| {
            let from = place(text.as_bytes(), value);
            from..from + value.len()
        };
        if let Some(entry) = of(path) {
            return Some(at(entry.value));
        }
        let (key, rest) = path.split_once('.')?;
        let outer = at(of(key)?.value);
        let inner = Self::span(&text[outer.clone()], rest)?;
        Some(outer.start + inner.start..outer.start + inner.end)
    }
}
