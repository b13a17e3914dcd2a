//! Where a rule finds a value: a field, or a key of the free object that a field holds.

use crate::object::{entries, object, scalar};
use crate::{Event, Field, Value, json};

/// What stands in place of a value; nothing takes it out.
pub(super) type Change<'c, 'a> = dyn FnMut(Value<'a>, &Event<'a>) -> Option<Value<'a>> + 'c;

/// What a place may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Address,
    /// An object of free keys.
    Object,
    /// A key of such an object, which holds anything.
    Key,
    /// Numbers, times, truth values.
    Other,
}

/// `host.name`, `laravel.context.company`
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) field: Field,
    /// The path inside the field's object; empty for the field itself.
    inside: String,
}

impl Place {
    /// The place of a dotted path. An error says what is wrong with it.
    pub(super) fn named(path: &str) -> Result<Self, String> {
        let (field, inside) = Field::holding(path).ok_or_else(|| {
            format!("{path} is a field neither of ECS nor of a dataset, nor a key inside one")
        })?;
        Ok(Self { field, inside: inside.to_owned() })
    }

    /// It is the field itself.
    pub(super) fn is_whole(&self, field: Field) -> bool {
        self.inside.is_empty() && self.field == field
    }

    /// What it may hold.
    pub(super) fn holds(&self) -> Holds {
        match self.field.kind() {
            _ if !self.inside.is_empty() => Holds::Key,
            "keyword" | "constant_keyword" | "wildcard" | "match_only_text" | "text" => Holds::Text,
            "ip" => Holds::Address,
            "flattened" | "object" | "nested" => Holds::Object,
            _ => Holds::Other,
        }
    }

    /// Changes the value there, of a list each. Says whether there was one that is another now.
    pub(super) fn change<'a>(&self, event: &mut Event<'a>, change: &mut Change<'_, 'a>) -> bool {
        let Some(value) = event.get(self.field) else { return false };
        let changed = match value {
            Value::Raw(object) if !self.inside.is_empty() => {
                match change_inside(object, &self.inside, event, change) {
                    Inside::Same => return false,
                    Inside::Changed(object) => object.map(Value::Raw),
                }
            }
            _ if !self.inside.is_empty() => return false,
            Value::List(list) => {
                let mut texts = event.list();
                texts.extend(list.iter().filter_map(|text| match change((*text).into(), event) {
                    Some(Value::Str(text)) => Some(text),
                    _ => None,
                }));
                if texts.as_slice() == list {
                    return false;
                }
                (!texts.is_empty()).then(|| Value::List(texts.into_bump_slice()))
            }
            value => {
                let changed = change(value, event);
                if changed.is_some_and(|changed| is_same(value, changed)) {
                    return false;
                }
                changed
            }
        };
        match changed {
            Some(value) => event.set(self.field, value),
            None => event.remove(self.field),
        }
        true
    }

    /// The value there as text, if it is a text, number or truth value, or a list's first.
    pub(super) fn text<'a>(&self, event: &Event<'a>) -> Option<&'a str> {
        match event.get(self.field)? {
            Value::Str(text) => Some(text),
            Value::U64(number) => Some(event.format(format_args!("{number}"))),
            Value::I64(number) => Some(event.format(format_args!("{number}"))),
            Value::Bool(truth) => Some(if truth { "true" } else { "false" }),
            Value::List(list) => list.first().copied(),
            Value::Raw(object) => look_up(object, &self.inside, event),
            Value::Bytes(_) | Value::F64(_) | Value::Time(_) => None,
        }
    }
}

/// A key may hold dots itself, so the whole path is looked for first.
fn look_up<'a>(object: &'a [u8], path: &str, event: &Event<'a>) -> Option<&'a str> {
    let found = entries(object, event)?;
    let of = |key: &str| found.iter().find(|entry| entry.key == key.as_bytes());
    if let Some(entry) = of(path) {
        return scalar(entry.value, event);
    }
    let (key, rest) = path.split_once('.')?;
    look_up(of(key)?.value, rest, event)
}

/// An object after one of its values was looked at.
enum Inside<'a> {
    Same,
    /// Nothing is left of it, if it is none.
    Changed(Option<&'a [u8]>),
}

/// Keys inside a list have no names, so a list is one value.
fn change_inside<'a>(
    text: &'a [u8],
    path: &str,
    event: &Event<'a>,
    change: &mut Change<'_, 'a>,
) -> Inside<'a> {
    let Some(mut found) = entries(text, event).filter(|_| text.starts_with(b"{")) else {
        return Inside::Same;
    };
    let of = |key: &str| found.iter().position(|entry| entry.key == key.as_bytes());
    let (at, new) = if let Some(at) = of(path) {
        let old = scalar(found[at].value, event).map_or(Value::Raw(found[at].value), Value::Str);
        let new = match change(old, event) {
            Some(new) if is_same(old, new) => return Inside::Same,
            Some(Value::Str(text)) => Some(quoted(text, event)),
            Some(Value::Raw(value)) => Some(value),
            _ => None,
        };
        (at, new)
    } else {
        let Some((key, rest)) = path.split_once('.') else { return Inside::Same };
        let Some(at) = of(key) else { return Inside::Same };
        match change_inside(found[at].value, rest, event, change) {
            Inside::Same => return Inside::Same,
            Inside::Changed(new) => (at, new),
        }
    };
    match new {
        Some(value) => found[at].value = value,
        None => drop(found.remove(at)),
    }
    match object(&found, event) {
        Some(Value::Raw(object)) => Inside::Changed(Some(object)),
        _ => Inside::Changed(None),
    }
}

fn quoted<'a>(text: &str, event: &Event<'a>) -> &'a [u8] {
    let mut out = Vec::with_capacity(text.len() + 2);
    json::write_str(text, &mut out);
    event.alloc_bytes(&out)
}

fn is_same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Str(one), Value::Str(other)) => one == other,
        (Value::Raw(one), Value::Raw(other)) => one == other,
        _ => false,
    }
}
