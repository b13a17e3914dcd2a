//! An object of values by the names of their fields.

use tahoe_seams::{Record, Rejection};

use crate::object::{entries, flattened, scalar};
use crate::scan::Entry;
use crate::time::parse_iso;
use crate::{Event, Field, Parser, fields};

pub(super) struct Measured;

/// What a service may say, besides its time.
const TAKEN: [&str; 5] = ["service.", "process.", "host.", "event.", "tahoe."];

impl Parser for Measured {
    fn parse<'a>(&self, record: &Record<'a>, event: &mut Event<'a>) -> Result<(), Rejection> {
        let text = event.text(record.bytes).trim();
        let values = entries(text.as_bytes(), event).filter(|_| text.starts_with('{'));
        let Some(values) = values else {
            return Err(Rejection::at("not_measures", "not a JSON object", 0));
        };
        event.set(fields::event::KIND, "metric");
        let unknown: Vec<_> =
            values.into_iter().filter(|value| set(value, event).is_none()).collect();
        if let Some(others) = flattened(&unknown, fields::tahoe::FIELDS, event) {
            event.set(fields::tahoe::FIELDS, others);
        }
        match event.has(fields::service::NAME) {
            true => Ok(()),
            false => Err(Rejection::at("no_service", "it does not say which service", text.len())),
        }
    }
}

/// `None` if there is no such field, or it has no such values.
fn set<'a>(entry: &Entry<'a>, event: &mut Event<'a>) -> Option<()> {
    let name = std::str::from_utf8(entry.key).ok()?;
    let text = scalar(entry.value, event)?;
    if name == fields::TIMESTAMP.path() {
        let (stamp, length) = parse_iso(text.as_bytes())?;
        return (length == text.len()).then(|| event.time(stamp));
    }
    let is_taken = TAKEN.iter().any(|part| name.starts_with(part));
    let field = Field::named(name).filter(|_| is_taken)?;
    match field.kind() {
        "long" => event.set(field, text.parse::<u64>().ok()?),
        "double" | "float" | "scaled_float" => event.set(field, text.parse::<f64>().ok()?),
        "keyword" | "match_only_text" => event.set(field, text),
        _ => return None,
    }
    Some(())
}
