//! In which fields two documents differ. When they were normalised is no difference.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tahoe_schemas::fields;

/// How many documents of a replay differ in one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCounts {
    /// It was not there before.
    pub added: u64,
    /// It had another value.
    pub changed: u64,
    /// It is there no more.
    pub removed: u64,
}

/// Compares a document with what takes its place, and counts each field in which they differ; says
/// whether there is one. What is no JSON object differs from everything.
pub fn count_differences(
    before: &[u8],
    after: &[u8],
    counts: &mut BTreeMap<String, FieldCounts>,
) -> bool {
    let [before, after] = [before, after].map(|document| match serde_json::from_slice(document) {
        Ok(value) => leaves(value),
        Err(_) => BTreeMap::from([("(no JSON)".to_owned(), Value::Null)]),
    });
    let mut differ = false;
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for path in paths.into_iter().filter(|path| *path != fields::event::INGESTED.path()) {
        let mut count = |add: fn(&mut FieldCounts)| {
            differ = true;
            add(counts.entry(path.clone()).or_default());
        };
        match (before.get(path), after.get(path)) {
            (None, Some(_)) => count(|field| field.added += 1),
            (Some(_), None) => count(|field| field.removed += 1),
            (Some(one), Some(other)) if one != other => count(|field| field.changed += 1),
            _ => {}
        }
    }
    differ
}

/// Values of a document by dotted path; an array is one value.
pub fn leaves(document: Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    collect(String::new(), document, &mut leaves);
    leaves
}

fn collect(path: String, value: Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) if !object.is_empty() || path.is_empty() => {
            for (name, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                collect(format!("{path}{dot}{name}"), value, leaves);
            }
        }
        value => drop(leaves.insert(path, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_by_what_became_of_them_and_the_time_of_normalising_is_none() {
        let before = br#"{"a":{"b":1,"c":[1,2]},"d":"x","event":{"ingested":"1","kind":"e"}}"#;
        let after = br#"{"a":{"c":[2,1],"e":{"f":2}},"d":"x","event":{"kind":"e","ingested":"2"}}"#;
        let mut counts = BTreeMap::new();
        assert!(count_differences(before, after, &mut counts));
        let of = |added, changed, removed| FieldCounts { added, changed, removed };
        let expected = [("a.b", of(0, 0, 1)), ("a.c", of(0, 1, 0)), ("a.e.f", of(1, 0, 0))];
        let found: Vec<_> = counts.iter().map(|(path, count)| (path.as_str(), *count)).collect();
        assert_eq!(found, expected);
        assert!(!count_differences(
            after,
            br#"{"event":{"kind":"e"},"d":"x",
            "a":{"e":{"f":2},"c":[2,1]}}"#,
            &mut counts
        ));
    }
}
