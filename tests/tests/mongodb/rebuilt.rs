//! A collection as its records tell it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A record of `mongodb.change` or `mongodb.row`.
pub struct Record {
    /// `read` for a row.
    pub op: String,
    /// What rows and changes are ordered by.
    pub position: String,
    /// The document's key, as compact JSON.
    pub key: String,
    /// The document, or what was set.
    pub after: Value,
    whole: Value,
}

impl Record {
    /// Reads one.
    pub fn parse(text: &str) -> Self {
        let whole: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let text = |name: &str| whole[name].as_str().unwrap_or_default().to_owned();
        Self {
            op: text("op"),
            position: text("position"),
            key: whole["key"].to_string(),
            after: whole["after"].clone(),
            whole,
        }
    }

    /// What was done, and to what.
    pub fn summary(&self) -> String {
        match self.whole["statement"].as_str() {
            Some(statement) => format!("{} {statement}", self.op),
            None => format!("{} {}", self.op, self.key),
        }
    }
}

/// The documents by their keys: each is its row, of which there is one, then every change behind the
/// row's position.
pub fn rebuild(records: &[Record]) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    let mut rows: BTreeMap<&str, &Record> = BTreeMap::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for record in records {
        if record.op == "read" {
            let before = rows.insert(&record.key, record);
            assert!(before.is_none(), "{} was given twice as a row", record.key);
            continue;
        }
        let before = last.insert(&record.key, &record.position);
        assert!(before < Some(&record.position), "{}: out of order", record.key);
    }
    let mut ordered: Vec<&Record> = records.iter().collect();
    ordered.sort_by_key(|record| (&record.position, record.op == "read"));
    for record in ordered {
        apply(record, &mut documents);
    }
    documents
}

fn apply(record: &Record, documents: &mut BTreeMap<String, Value>) {
    let key = record.key.clone();
    match record.op.as_str() {
        "delete" => {
            documents.remove(&key);
        }
        "update" if record.whole["partial"] == true => {
            // An update of what is only read later says nothing yet.
            if let Some(document) = documents.get_mut(&key) {
                patch(document, &record.whole);
            }
        }
        "insert" | "update" | "read" => {
            documents.insert(key, record.after.clone());
        }
        other => panic!("{other}: {}", record.whole),
    }
}

fn patch(document: &mut Value, update: &Value) {
    for (path, value) in update["after"].as_object().unwrap_or(&Map::new()) {
        let (parent, name) = at(document, path);
        match parent {
            Value::Array(list) => {
                let index: usize = name.parse().expect("an index");
                list.resize((index + 1).max(list.len()), Value::Null);
                list[index] = value.clone();
            }
            parent => parent[name] = value.clone(),
        }
    }
    for (path, length) in update["truncated"].as_object().unwrap_or(&Map::new()) {
        let (parent, name) = at(document, path);
        let length = usize::try_from(length.as_u64().expect("a length")).expect("short");
        parent[name].as_array_mut().expect("a list").truncate(length);
    }
    for path in update["removed"].as_array().unwrap_or(&Vec::new()) {
        let (parent, name) = at(document, path.as_str().expect("a path"));
        parent.as_object_mut().expect("an object").remove(name);
    }
}

/// The value that holds the last step of a path, and that step.
fn at<'v, 'p>(document: &'v mut Value, path: &'p str) -> (&'v mut Value, &'p str) {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let steps = parents.split('.').filter(|step| !step.is_empty());
    (steps.fold(document, |value, step| &mut value[step]), name)
}
