//! Where a rule finds a value: a field, or a key of the free object that a field holds.

use crate::object::{entries, scalar};
use crate::{Event, Field, Value};

/// `host.name`, `laravel.context.company`
#[derive(Clone, Debug)]
pub(super) struct Place {
    field: Field,
    /// The path inside the field's object; empty for the field itself.
    inside: String,
}

impl Place {
    /// The place of a dotted path. An error says what is wrong with it.
    pub(super) fn named(path: &str) -> Result<Self, String> {
        let mut end = path.len();
        loop {
            if let Some(field) = Field::named(&path[..end]) {
                let inside = path[end..].trim_start_matches('.');
                let is_free = matches!(field.kind(), "flattened" | "object" | "nested");
                if inside.is_empty() || is_free {
                    return Ok(Self { field, inside: inside.to_owned() });
                }
            }
            end = path[..end].rfind('.').ok_or_else(|| {
                format!("{path} is a field neither of ECS nor of a dataset, nor a key inside one")
            })?;
        }
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
