//! A table's columns while a statement changes them: by their names before it, and by those behind.

use super::alteration::Definition;
use super::column::{NewColumn, Where};
use crate::column::Described;

/// The columns while they are changed.
pub(super) struct Columns {
    pub list: Vec<Described>,
    /// Their names before the statement; empty for those that it adds.
    pub before: Vec<String>,
    /// Names of the primary key's columns before the statement, as far as they are there still.
    pub key_before: Vec<String>,
    /// Those that the statement gives it.
    pub key_after: Option<Vec<String>>,
}

impl Columns {
    pub fn of(definition: &Definition) -> Self {
        let columns = &definition.columns;
        let mut key: Vec<_> =
            columns.iter().filter_map(|column| Some((column.in_key?, &column.name))).collect();
        key.sort_unstable();
        Self {
            list: columns.clone(),
            before: columns.iter().map(|column| column.name.clone()).collect(),
            key_before: key.into_iter().map(|(_, name)| name.clone()).collect(),
            key_after: None,
        }
    }

    pub fn at(&self, before: &str) -> Option<usize> {
        self.before.iter().position(|name| is_same(name, before))
    }

    pub fn named(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|column| is_same(&column.name, name))
    }

    /// One that is not there was to be dropped if it exists, or the statement had failed.
    pub fn drop(&mut self, name: &str) {
        if let Some(at) = self.at(name) {
            self.list.remove(at);
            let gone = self.before.remove(at);
            self.key_before.retain(|name| *name != gone);
        }
    }

    pub fn note_key(&mut self, column: &NewColumn) {
        if column.is_key {
            self.key_after = Some(vec![column.described.name.clone()]);
        }
    }

    /// The primary key's columns by their new names.
    pub fn key(&self) -> Vec<String> {
        if let Some(key) = &self.key_after {
            return key.clone();
        }
        let places = self.key_before.iter().filter_map(|name| self.at(name));
        places.map(|at| self.list[at].name.clone()).collect()
    }

    /// Puts a column where the statement says, among the others by their new names.
    pub fn place(&mut self, column: &NewColumn) -> Option<()> {
        // It is not there if it was to be changed if it exists.
        let Some(at) = self.named(&column.described.name) else { return Some(()) };
        if column.place == Where::Usual {
            return Some(());
        }
        let (one, before) = (self.list.remove(at), self.before.remove(at));
        let to = match &column.place {
            Where::After(name) => self.named(name)? + 1,
            _ => 0,
        };
        self.list.insert(to, one);
        self.before.insert(to, before);
        Some(())
    }
}

/// The server compares names of columns without regard to their case.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// The column as it is then; `None` if its character set follows from what is not known.
pub(super) fn complete(column: &NewColumn, charset: Option<&String>) -> Option<Described> {
    let mut described = column.described.clone();
    if column.takes_charset {
        described.charset.clone_from(charset?);
    }
    Some(described)
}
