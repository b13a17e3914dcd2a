//! Rows of which only parts were told last: the last whole image and the parts behind it are put
//! together, and then compared as one.
//!
//! Which rows these are is known only when the whole log was read, so what was told of them is taken
//! in by a second reading: that costs time where there are such rows, and memory for them alone.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use tahoe_schemas::path;

use super::state::Order;
use super::told::Told;

/// What the maps take for a row or a part besides its texts.
const ENTRY_BYTES: usize = 128;

/// What was told of a row.
#[derive(Debug, Default)]
struct Pieces {
    /// The latest part.
    last: Order,
    whole: Option<Box<str>>,
    parts: Vec<(Order, Part)>,
}

/// What one change says of a row.
#[derive(Debug)]
struct Part {
    set: Option<Box<str>>,
    removed: Option<Box<str>>,
    truncated: Option<Box<str>>,
}

/// The rows of one pass.
#[derive(Debug, Default)]
pub(super) struct Parts {
    rows: HashMap<Box<[u8]>, Pieces>,
}

impl Parts {
    /// A part of that row was told, and how many bytes it takes to know that.
    pub fn note(&mut self, own: Box<[u8]>, order: Order) -> usize {
        let bytes = own.len() + ENTRY_BYTES;
        let known = self.rows.len();
        let pieces = self.rows.entry(own).or_default();
        pieces.last = pieces.last.max(order);
        if self.rows.len() > known { bytes } else { 0 }
    }

    /// Forgets the rows of which a whole image was told later.
    pub fn keep(&mut self, is_behind: impl Fn(&[u8], Order) -> bool) {
        self.rows.retain(|own, pieces| is_behind(own, pieces.last));
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn has(&self, own: &[u8]) -> bool {
        self.rows.contains_key(own)
    }

    /// Takes a record of a row in whose last whole image is at `whole`, and says how many bytes that
    /// takes.
    pub fn take(&mut self, own: &[u8], told: &Told<'_>, order: Order, whole: Order) -> usize {
        let Some(pieces) = self.rows.get_mut(own) else { return 0 };
        let text = |raw: Option<&serde_json::value::RawValue>| raw.map(|raw| Box::from(raw.get()));
        if told.is_part() {
            if order <= whole {
                return 0;
            }
            let (removed, truncated) = (text(told.removed), text(told.truncated));
            let part = Part { set: text(told.after), removed, truncated };
            let texts = [&part.set, &part.removed, &part.truncated];
            let bytes: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
            pieces.parts.push((order, part));
            return bytes + ENTRY_BYTES;
        }
        if order != whole {
            return 0;
        }
        pieces.whole = text(told.after);
        pieces.whole.as_ref().map_or(0, |text| text.len())
    }

    /// Puts each row together.
    ///
    /// # Errors
    /// What was told is no document.
    pub fn put_together(
        &mut self,
        mut each: impl FnMut(&[u8], &Map<String, Value>),
    ) -> Result<(), String> {
        for (own, pieces) in &mut self.rows {
            let Some(whole) = pieces.whole.take() else { continue };
            let mut parts = std::mem::take(&mut pieces.parts);
            parts.sort_by_key(|(order, _)| *order);
            let mut row = read(&whole)?;
            for (_, part) in parts {
                row = part.put_on(row)?;
            }
            each(own, &row);
        }
        Ok(())
    }
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("no part of a document: {error}"))
}

impl Part {
    fn put_on(self, row: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut at = Some(Value::Object(row));
        let mut edit = |whole: &str, change: &mut dyn FnMut(&mut Option<Value>)| {
            path::edit(&mut at, &whole.split('.').collect::<Vec<_>>(), change);
        };
        if let Some(truncated) = self.truncated {
            for (whole, length) in read::<BTreeMap<String, usize>>(&truncated)? {
                edit(&whole, &mut |value| {
                    if let Some(Value::Array(list)) = value {
                        list.truncate(length);
                    }
                });
            }
        }
        if let Some(set) = self.set {
            for (whole, new) in read::<Map<String, Value>>(&set)? {
                edit(&whole, &mut |value| *value = Some(new.clone()));
            }
        }
        if let Some(removed) = self.removed {
            for whole in read::<Vec<String>>(&removed)? {
                edit(&whole, &mut |value| *value = None);
            }
        }
        match at {
            Some(Value::Object(row)) => Ok(row),
            _ => Ok(Map::new()),
        }
    }
}
