//! A table's columns and its key: what a row of the stream, or of a statement, means.

use crate::value::Kind;

/// A table as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// In the order of the rows' values.
    pub columns: Vec<Column>,
}

/// A column of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// How its values are written.
    pub kind: Kind,
    /// Part of the key.
    pub is_key: bool,
}

impl Table {
    /// It has a key.
    pub fn has_key(&self) -> bool {
        self.columns.iter().any(|column| column.is_key)
    }

    /// Both are the same table, perhaps of another shape.
    pub fn is(&self, schema: &str, name: &str) -> bool {
        self.schema == schema && self.name == name
    }
}
