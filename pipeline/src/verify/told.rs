//! One record of rows or changes, and its columns.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tahoe_schemas::json;
use xxhash_rust::xxh3::xxh3_128;

/// One record of rows or changes; `tahoe_schemas::change` has its format.
#[derive(Debug, Deserialize)]
pub struct Told<'a> {
    #[serde(borrow)]
    pub(super) op: Cow<'a, str>,
    #[serde(borrow, default)]
    server: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) db: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) schema: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) table: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) after: Option<&'a RawValue>,
    /// `after` has parts of a document, by path.
    #[serde(default)]
    partial: bool,
    #[serde(borrow)]
    pub(super) removed: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) truncated: Option<&'a RawValue>,
    #[serde(borrow, default)]
    statement: Cow<'a, str>,
    #[serde(borrow, default)]
    tx: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) position: Cow<'a, str>,
    pub(super) n: Option<u64>,
}

/// Names and values of an object.
pub(super) type Columns<'a> = BTreeMap<String, &'a RawValue>;

impl<'a> Told<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// It is none of rows or changes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("no record of a change: {error}"))
    }

    /// The server that it is from.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Its transaction; empty for a row that was read.
    pub fn transaction(&self) -> &str {
        &self.tx
    }

    /// Its place in the database's own log.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// It is a row that was read, and no change.
    pub fn is_read(&self) -> bool {
        self.op == "read"
    }

    /// What was done.
    pub fn operation(&self) -> &str {
        &self.op
    }

    /// The statement of a change that is not one of rows.
    pub fn statement(&self) -> &str {
        &self.statement
    }

    pub(super) fn is_part(&self) -> bool {
        self.partial
    }

    /// The columns of its key, or the one by which a row is known whatever else its key names.
    pub(super) fn key(&self, named_by: Option<&str>) -> Result<Option<Columns<'a>>, String> {
        let Some(key) = self.key else { return Ok(None) };
        let mut key = columns(key)?;
        if let Some(name) = named_by.filter(|name| key.contains_key(*name)) {
            key.retain(|other, _| other == name);
        }
        Ok(Some(key))
    }

    /// The key that the row had before, if the record says it and it is another.
    pub(super) fn old_key(&self, key: &Columns<'_>) -> Result<Option<String>, String> {
        let Some(before) = self.before else { return Ok(None) };
        let before = columns(before)?;
        if !key.keys().all(|name| before.contains_key(name)) {
            return Ok(None);
        }
        let old: Columns<'_> = key.keys().map(|name| (name.clone(), before[name])).collect();
        Ok(Some(canonical(&old)).filter(|old| *old != canonical(key)))
    }
}

pub(super) fn columns(object: &RawValue) -> Result<Columns<'_>, String> {
    serde_json::from_str(object.get()).map_err(|error| format!("no object of columns: {error}"))
}

/// `{"a":1,"b":2}`, by the names of the columns.
pub(super) fn canonical(columns: &Columns<'_>) -> String {
    let mut out = Vec::new();
    for (name, value) in columns {
        out.push(if out.is_empty() { b'{' } else { b',' });
        json::write_str(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// A value that gave way to its length and hash is not compared.
pub(super) fn is_whole(text: &str) -> bool {
    !(text.starts_with("{\"bytes\":") && text.contains("\"sha256\":"))
}

/// Columns add up, so that it does not matter which come first, and some can be left out.
pub(super) fn hash(name: &str, value: &str) -> u128 {
    let text = value.as_bytes();
    let mut bytes = Vec::with_capacity(name.len() + 1 + text.len());
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(text);
    xxh3_128(&bytes)
}
