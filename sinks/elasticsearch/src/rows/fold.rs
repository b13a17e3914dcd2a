//! What a row's document becomes with a change: the rules by which changes that come late, twice or
//! in pieces still end in the row as the database has it.
//!
//! A later version replaces, an earlier one is left. A part of a row goes onto what is there; where
//! nothing is there yet, because the row's reading is still on its way, the parts wait with the
//! document (`pending`) and are put onto the row when it comes, so that neither is lost. A row that
//! is gone stays as a document that says so: without it an older change could bring it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tahoe_schemas::path;
use tahoe_seams::{RowChange, RowNow, RowPart};

/// Parts that wait for their row with one document. Beyond, its next whole image is waited for.
const PENDING_MAX: usize = 100;

/// Columns of a row, each as the database's producer wrote it.
pub(crate) type Columns = BTreeMap<String, Box<RawValue>>;

/// What a document says of its row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub server: String,
    pub version: String,
    pub deleted: bool,
    /// Only parts of it are known.
    pub incomplete: bool,
    /// Those that wait, oldest first.
    pub pending: Vec<Part>,
    pub columns: Columns,
}

/// A part of a row, as it waits in a document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<Columns>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    truncated: BTreeMap<String, usize>,
    #[serde(default)]
    by_path: bool,
}

impl Part {
    fn new(version: &str, part: &RowPart) -> serde_json::Result<Self> {
        Ok(Self {
            version: version.to_owned(),
            set: parse(&part.set)?,
            removed: parse(&part.removed)?.unwrap_or_default(),
            truncated: parse(&part.truncated)?.unwrap_or_default(),
            by_path: part.by_path,
        })
    }

    fn apply(&self, columns: &mut Columns) {
        for (path, length) in &self.truncated {
            edit(columns, path, &mut |value| {
                if let Some(Value::Array(list)) = value {
                    list.truncate(*length);
                }
            });
        }
        for (name, value) in self.set.iter().flatten() {
            if self.by_path && name.contains('.') {
                let new: Value = serde_json::from_str(value.get()).unwrap_or_default();
                edit(columns, name, &mut |value| *value = Some(new.clone()));
            } else {
                columns.insert(name.clone(), value.clone());
            }
        }
        for path in &self.removed {
            edit(columns, path, &mut |value| *value = None);
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { serde_json::from_slice(text).map(Some) }
}

/// Gives `change` what is at a path; objects on the way that are missing are made.
fn edit(columns: &mut Columns, path: &str, change: &mut dyn FnMut(&mut Option<Value>)) {
    let mut names = path.split('.');
    let Some(column) = names.next() else { return };
    let there = columns.remove(column);
    let mut value = there.and_then(|raw| serde_json::from_str(raw.get()).ok());
    path::edit(&mut value, &names.collect::<Vec<_>>(), change);
    if let Some(value) = value
        && let Ok(raw) = serde_json::value::to_raw_value(&value)
    {
        columns.insert(column.to_owned(), raw);
    }
}

impl Row {
    /// Its document was written by an earlier change of the same server.
    fn is_before(&self, change: &RowChange) -> bool {
        self.server != change.server || self.version < change.version
    }

    /// The row with the change; `None` if that changes nothing. `moved` is the row that the change
    /// gave another key to, as it was.
    ///
    /// # Errors
    /// The change is no JSON.
    pub fn with(
        held: Option<&Self>,
        change: &RowChange,
        moved: Option<&Self>,
    ) -> serde_json::Result<Option<Self>> {
        let newer = held.is_none_or(|held| held.is_before(change));
        let row = Self {
            server: change.server.clone(),
            version: change.version.clone(),
            ..Self::default()
        };
        match &change.row {
            RowNow::Whole(text) if newer => {
                Ok(Some(Self { columns: serde_json::from_slice(text)?, ..row }))
            }
            RowNow::Whole(text) => {
                let held = held.filter(|held| held.incomplete && !held.pending.is_empty());
                held.map(|held| held.on(serde_json::from_slice(text)?, &change.version)).transpose()
            }
            RowNow::Gone if newer => Ok(Some(Self { deleted: true, ..row })),
            RowNow::Gone | RowNow::Emptied => Ok(None),
            RowNow::Part(part) => {
                let part = Part::new(&change.version, part)?;
                match held {
                    Some(held) if !newer => Ok(held.with_late(part)),
                    Some(held) if !held.deleted => Ok(Some(held.clone().with_next(row, part))),
                    _ => {
                        let from = moved.filter(|moved| !moved.deleted).cloned();
                        let unknown = Self { incomplete: true, ..Self::default() };
                        Ok(Some(from.unwrap_or(unknown).with_next(row, part)))
                    }
                }
            }
        }
    }

    /// The parts that waited, put onto their row, which is that old.
    fn on(&self, columns: Columns, version: &str) -> serde_json::Result<Self> {
        let mut row = Self { columns, incomplete: false, pending: Vec::new(), ..self.clone() };
        let later = self.pending.iter().filter(|part| *part.version > *version);
        later.for_each(|part| part.apply(&mut row.columns));
        Ok(row)
    }

    /// The part is the latest; `next` has its server and version.
    fn with_next(mut self, next: Self, part: Part) -> Self {
        part.apply(&mut self.columns);
        if self.incomplete {
            let is_first = self.version.is_empty();
            if is_first || (!self.pending.is_empty() && self.pending.len() < PENDING_MAX) {
                self.pending.push(part);
            } else {
                self.pending.clear();
            }
        }
        Self { server: next.server, version: next.version, ..self }
    }

    /// The part is an earlier one than the latest.
    fn with_late(&self, part: Part) -> Option<Self> {
        let place = self.pending.partition_point(|other| other.version < part.version);
        let known = self.pending.get(place).is_some_and(|other| other.version == part.version);
        if self.pending.is_empty() || known || self.pending.len() == PENDING_MAX {
            return None;
        }
        let mut row = Self { columns: Columns::new(), ..self.clone() };
        row.pending.insert(place, part);
        let Self { pending, columns, .. } = &mut row;
        pending.iter().for_each(|part| part.apply(columns));
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: u32, row: RowNow) -> RowChange {
        RowChange {
            record: 0,
            index: "rows-a.b-c".to_owned(),
            id: "1".to_owned(),
            id_before: None,
            server: "s".to_owned(),
            version: format!("{version:04}"),
            about: b"{}".to_vec(),
            row,
        }
    }

    fn whole(version: u32, text: &str) -> RowChange {
        change(version, RowNow::Whole(text.as_bytes().to_vec()))
    }

    fn part(version: u32, set: &str) -> RowChange {
        let set = set.as_bytes().to_vec();
        change(version, RowNow::Part(RowPart { set, by_path: true, ..RowPart::default() }))
    }

    fn fold<'c>(changes: impl IntoIterator<Item = &'c RowChange>) -> Row {
        let mut held: Option<Row> = None;
        for change in changes {
            held = Row::with(held.as_ref(), change, None).expect("JSON").or(held);
        }
        held.expect("a change changes something")
    }

    fn text(row: &Row) -> String {
        match row.deleted {
            true => "deleted".to_owned(),
            false => serde_json::to_string(&row.columns).expect("columns are JSON"),
        }
    }

    /// Every order of a few changes.
    fn orders(changes: &[RowChange]) -> Vec<Vec<RowChange>> {
        let Some((first, rest)) = changes.split_first() else { return vec![Vec::new()] };
        let mut all = Vec::new();
        for order in orders(rest) {
            for at in 0..=order.len() {
                let mut order = order.clone();
                order.insert(at, first.clone());
                all.push(order);
            }
        }
        all
    }

    #[test]
    fn whole_rows_and_deletes_end_alike_in_every_order_and_however_often_they_come() {
        let changes = [
            whole(1, r#"{"a":1}"#),
            whole(2, r#"{"a":2}"#),
            change(3, RowNow::Gone),
            whole(4, r#"{"a":4,"b":12345678901234567890123}"#),
        ];
        for order in orders(&changes) {
            let twice = order.iter().chain(&order);
            assert_eq!(text(&fold(twice)), r#"{"a":4,"b":12345678901234567890123}"#);
        }
        for order in orders(&changes[..3]) {
            assert_eq!(text(&fold(&order)), "deleted", "{order:?}");
        }
    }

    #[test]
    fn parts_wait_for_their_row_wherever_it_comes_between_them() {
        let row = whole(1, r#"{"a":1,"note":"long","c":{"d":[1,2]}}"#);
        let parts = [
            part(2, r#"{"a":2}"#),
            part(3, r#"{"a":3,"c.d.0":9}"#),
            change(
                4,
                RowNow::Part(RowPart {
                    removed: br#"["note"]"#.to_vec(),
                    truncated: br#"{"c.d":1}"#.to_vec(),
                    by_path: true,
                    ..RowPart::default()
                }),
            ),
        ];
        for at in 0..=parts.len() {
            let mut order = parts.to_vec();
            order.insert(at, row.clone());
            let end = fold(&order);
            assert_eq!(text(&end), r#"{"a":3,"c":{"d":[9]}}"#, "the row is number {at}");
            assert!(!end.incomplete && end.pending.is_empty());
        }
        assert!(fold(&parts).incomplete);
        let later = whole(3, r#"{"a":3,"note":"other","c":{"d":[9,2]}}"#);
        let end = fold(parts.iter().chain([&later]));
        assert_eq!(text(&end), r#"{"a":3,"c":{"d":[9]}}"#, "parts that the row has are left out");
    }

    #[test]
    fn a_row_that_was_deleted_and_is_there_again_does_not_take_the_old_one_s_columns() {
        let changes =
            [whole(1, r#"{"a":1,"note":"old"}"#), change(2, RowNow::Gone), part(4, r#"{"a":2}"#)];
        let end = fold(&changes);
        assert_eq!((text(&end).as_str(), end.incomplete), (r#"{"a":2}"#, true));
        let end = fold(changes.iter().chain([&whole(3, r#"{"a":0,"note":"new"}"#)]));
        assert_eq!(text(&end), r#"{"a":2,"note":"new"}"#);
    }

    #[test]
    fn a_row_with_another_key_takes_what_did_not_change_along() {
        let old = fold(&[whole(1, r#"{"id":1,"note":"long"}"#)]);
        let moved =
            change(2, RowNow::Part(RowPart { set: br#"{"id":2}"#.to_vec(), ..RowPart::default() }));
        let row = Row::with(None, &moved, Some(&old)).expect("JSON").expect("a change");
        assert_eq!((text(&row).as_str(), row.incomplete), (r#"{"id":2,"note":"long"}"#, false));
    }

    #[test]
    fn changes_of_another_server_count_as_they_come() {
        let mut other = whole(1, r#"{"a":9}"#);
        other.server = "t".to_owned();
        assert_eq!(text(&fold(&[whole(5, r#"{"a":5}"#), other])), r#"{"a":9}"#);
    }
}
