//! What rows of tables are now, for a store that keeps one document per row beside the events.

/// What one change says of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The number that [`crate::Events::begin_record`] was given.
    pub record: u32,
    /// Where the table's rows are kept: `rows-<package>.<table>-<namespace>`.
    pub index: String,
    /// The row's document: its key as JSON, or the key's hash if that is long.
    pub id: String,
    /// The document that the row had before, if the change gave it another key.
    pub id_before: Option<String>,
    /// The server that gave the change. Versions of two servers are not compared: what comes later
    /// counts.
    pub server: String,
    /// Greater than that of every earlier change of the same server, as text.
    pub version: String,
    /// A JSON object on one line: what the document has beside the row.
    pub about: Vec<u8>,
    /// The row.
    pub row: RowNow,
}

/// A row behind a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowNow {
    /// All of it, as a JSON object.
    Whole(Vec<u8>),
    /// What the change set; the rest is as it was.
    Part(RowPart),
    /// It was deleted, or has another key now.
    Gone,
    /// All rows of the table are gone; [`RowChange::id`] means nothing.
    Emptied,
}

/// A part of a row. Empty texts stand for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPart {
    /// A JSON object of what was set.
    pub set: Vec<u8>,
    /// A JSON list of what was removed.
    pub removed: Vec<u8>,
    /// A JSON object of the new lengths of lists.
    pub truncated: Vec<u8>,
    /// Names are paths (`address.city`, `tags.0`), not columns.
    pub by_path: bool,
}

impl RowChange {
    /// Bytes that it holds on to.
    pub fn bytes(&self) -> usize {
        let row = match &self.row {
            RowNow::Whole(row) => row.len(),
            RowNow::Part(part) => part.set.len() + part.removed.len() + part.truncated.len(),
            RowNow::Gone | RowNow::Emptied => 0,
        };
        size_of::<Self>() + self.index.len() + self.id.len() + self.about.len() + row
    }
}
