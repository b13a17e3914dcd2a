//! Which company an event belongs to, by what it says: one log or table often holds every company.
//!
//! ```text
//! # DATASET     FIELD                     VALUE             NAMESPACE
//! laravel.log   laravel.context.company   *                 *
//! *             url.domain                *.shop.example    *
//! mysql.row     db.after.company_id       17                acme
//! ```
//!
//! The first row that matches counts. A `*` in VALUE stands for any text, one in NAMESPACE for the
//! text that it stood for. What no row knows stays in the namespace that its producer gave it.
//! Identity does not depend on any of this.

use super::NAMESPACE_DEFAULT;
use super::pattern::Pattern;
use super::place::Place;
use super::table::{Row, rules};
use crate::Event;
use crate::nothing::is_nothing;

/// Elasticsearch's limit of a namespace.
const NAMESPACE_BYTES_MAX: usize = 100;

/// The rows, in their order.
#[derive(Debug, Default)]
pub struct Companies {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    dataset: Option<&'static str>,
    place: Place,
    value: Pattern,
    namespace: Pattern,
}

impl Companies {
    /// Reads a table of rules.
    ///
    /// # Errors
    /// Name the file and the line.
    pub fn read(file: &str, text: &str) -> Result<Self, String> {
        Ok(Self { rules: rules(file, text, rule)? })
    }

    /// Adds, behind the others, the rule that a field's value is the namespace.
    ///
    /// # Errors
    /// There is no such field.
    pub fn add_field(&mut self, field: &str) -> Result<(), String> {
        let any = || Pattern::Around(String::new(), String::new());
        let place = Place::named(field)?;
        self.rules.push(Rule { dataset: None, place, value: any(), namespace: any() });
        Ok(())
    }

    /// The namespace of an event, if a rule knows it.
    pub(super) fn namespace<'a>(&self, event: &Event<'a>) -> Option<&'a str> {
        self.rules.iter().find_map(|rule| {
            if rule.dataset.is_some_and(|dataset| dataset != event.dataset().name) {
                return None;
            }
            let text = rule.place.text(event).filter(|text| !is_nothing(text.trim()))?;
            let matched = rule.value.matched(text.trim())?;
            let name = match &rule.namespace {
                Pattern::Text(name) => event.alloc_str(name),
                Pattern::Around(before, after) if !matched.is_empty() => {
                    named(event.format(format_args!("{before}{matched}{after}")), event)
                }
                Pattern::Around(..) => return None,
            };
            Some(name)
        })
    }
}

fn rule(row: &Row<'_>) -> Result<Rule, String> {
    let [dataset, field, value, namespace] = row.words[..] else {
        return Err("a row has four words: DATASET FIELD VALUE NAMESPACE".to_owned());
    };
    let (value, namespace) = (Pattern::read(value)?, Pattern::read(namespace)?);
    let fits = match (&value, &namespace) {
        (Pattern::Text(_), Pattern::Around(..)) => {
            return Err("a * in NAMESPACE needs one in VALUE".to_owned());
        }
        (_, Pattern::Text(name)) => is_namespace(name),
        (_, Pattern::Around(before, after)) => before.bytes().chain(after.bytes()).all(is_allowed),
    };
    if !fits {
        return Err("only a-z, 0-9, _ and . make a NAMESPACE".to_owned());
    }
    Ok(Rule { dataset: Row::dataset(dataset)?, place: Place::named(field)?, value, namespace })
}

/// A namespace is part of a data stream's name, and must fit there.
pub fn is_namespace(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
}

/// A text as part of a data stream's name: in lower case, `_` in place of what may not be in it.
fn named<'a>(text: &'a str, event: &Event<'a>) -> &'a str {
    if text.bytes().all(is_allowed) && text.len() <= NAMESPACE_BYTES_MAX {
        return text;
    }
    let mut name = event.string(text.len());
    for character in text.chars().flat_map(char::to_lowercase).take(NAMESPACE_BYTES_MAX) {
        let fits = u8::try_from(character).is_ok_and(is_allowed);
        name.push(if fits { character } else { '_' });
    }
    name.into_bump_str()
}

/// The namespaces that there may be: all of them, if none is named.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Topic, or all those that have no names of their own, and name.
    names: Vec<(Option<String>, String)>,
}

impl Allowed {
    /// Adds `NAME`, or `TOPIC=NAME` for the records of one topic, which may then not have those
    /// without a topic.
    ///
    /// # Errors
    /// The name is none of a data stream.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let (topic, name) = match text.split_once('=') {
            Some((topic, name)) => (Some(topic.to_owned()), name),
            None => (None, text),
        };
        if !is_namespace(name) || topic.as_ref().is_some_and(String::is_empty) {
            return Err(format!("{text}: give NAME or TOPIC=NAME, of a-z, 0-9, _ and ."));
        }
        self.names.push((topic, name.to_owned()));
        Ok(())
    }

    /// Some topic has names of its own.
    pub fn differs_by_topic(&self) -> bool {
        self.names.iter().any(|(topic, _)| topic.is_some())
    }

    /// What holds for the records of a topic.
    pub(super) fn of_topic(&self, topic: &str) -> Self {
        let own = |of: &Option<String>| of.as_deref() == Some(topic);
        let has_own = self.names.iter().any(|(of, _)| own(of));
        let kept =
            |(of, _): &&(Option<String>, String)| if has_own { own(of) } else { of.is_none() };
        let mut names: Vec<_> = self.names.iter().filter(kept).cloned().collect();
        if names.is_empty() && !self.names.is_empty() {
            // Other topics have names, this one has none: it may have the default alone.
            names.push((None, NAMESPACE_DEFAULT.to_owned()));
        }
        Self { names }
    }

    pub(super) fn has(&self, namespace: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|(_, name)| name == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_line() {
        for (text, expected) in [
            ("a b c", "r:1: a row has four words"),
            ("\n* no.such.field * *", "r:2: no.such.field is a field neither"),
            ("* message.x * *", "r:1: message.x is a field neither"),
            ("a.b host.name * *", "r:1: a.b: no such dataset"),
            ("* host.name ** x", "r:1: **: one * at most"),
            ("* host.name a *", "r:1: a * in NAMESPACE needs"),
            ("* host.name a Acme", "r:1: only a-z"),
            ("* host.name a \"\"", "r:1: only a-z"),
        ] {
            let error = Companies::read("r", text).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_topic_with_names_of_its_own_has_only_those() {
        let mut allowed = Allowed::default();
        assert!(allowed.of_topic("t").has("anything"));
        for text in ["acme", "t=globex", "t=initech"] {
            allowed.add(text).expect("it is a name");
        }
        assert!(allowed.of_topic("t").has("globex") && !allowed.of_topic("t").has("acme"));
        assert!(allowed.of_topic("u").has("acme") && !allowed.of_topic("u").has("globex"));
        for wrong in ["", "Acme", "=acme", "t=", "a-b"] {
            assert!(allowed.add(wrong).is_err(), "{wrong}");
        }
        let mut allowed = Allowed::default();
        allowed.add("t=acme").expect("it is a name");
        assert!(!allowed.of_topic("u").has("acme"));
    }
}
