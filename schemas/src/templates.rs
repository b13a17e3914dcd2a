//! Index templates, generated from the declarations that the parsers' constants come from.
//!
//! Mappings are closed (`dynamic: false`): a field that no one declared is kept in `_source` and
//! indexed nowhere, so that no document can make a mapping grow.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::{Dataset, Field, datasets, shared_fields};

/// Grows when a template changes, so that an older binary does not put an older one back.
const VERSION: u32 = 4;

/// Above Elasticsearch's own templates for `logs-*-*` (100) and those of Fleet (200).
const PRIORITY: u32 = 500;

/// Longer keywords are kept but not indexed: Lucene's limit is 32,766 bytes, a character has up to 4.
const IGNORE_ABOVE: u32 = 8191;

/// Objects of ECS that the datasets of this repository write to; own fields come on top. All of
/// ECS would be 2,700 fields in the mapping of every backing index.
const OBJECTS: [&str; 34] = [
    "@timestamp",
    "client",
    "cloud",
    "container",
    "data_stream",
    "destination",
    "ecs",
    "error",
    "event",
    "faas",
    "file",
    "group",
    "host",
    "http",
    "labels",
    "log",
    "message",
    "network",
    "observer",
    "organization",
    "process",
    "related",
    "rule",
    "server",
    "service",
    "source",
    "span",
    "tags",
    "tls",
    "trace",
    "transaction",
    "url",
    "user",
    "user_agent",
];

/// One index template per dataset: name and body.
pub fn index_templates() -> Vec<(String, Value)> {
    let template = |dataset: &&'static Dataset| {
        let body = json!({
            "index_patterns": [format!("logs-{}-*", dataset.name)],
            "priority": PRIORITY,
            "version": VERSION,
            "data_stream": {},
            "_meta": {"managed_by": "tahoe", "dataset": dataset.name},
            "template": {
                "settings": {"index": {
                    "mapping": {"ignore_malformed": true, "total_fields": {"limit": 3000}},
                    "codec": "best_compression",
                }},
                "mappings": mappings(dataset),
            },
        });
        (format!("logs-{}", dataset.name), body)
    };
    datasets::ALL.iter().map(template).collect()
}

/// What ECS has for logs, and what this dataset declares. A field that ECS does not know and another
/// dataset declares is left out, whatever object it is in.
fn mappings(dataset: &Dataset) -> Value {
    let names = |dataset: &Dataset| dataset.declared().fields.iter().map(|field| field.name);
    let own: HashSet<&str> =
        names(dataset).chain(shared_fields().iter().map(|field| field.name)).collect();
    let others: HashSet<&str> = datasets::ALL.iter().flat_map(|dataset| names(dataset)).collect();
    let mut properties = Map::new();
    for field in Field::all() {
        let path = field.path();
        let top = path.split('.').next().unwrap_or_default();
        let of_ecs = OBJECTS.contains(&top) && !is_too_deep(path) && !others.contains(path);
        if of_ecs || own.contains(path) {
            insert(&mut properties, field);
        }
    }
    json!({"dynamic": false, "date_detection": false, "properties": properties})
}

/// Branches of ECS that repeat whole objects below themselves and that no log line fills.
fn is_too_deep(path: &str) -> bool {
    let branches = ["process.parent.", "process.entry_leader.", "process.session_leader."];
    let more = ["process.group_leader.", "process.previous.", "process.responsible.", ".x509."];
    let clouds = ["cloud.origin.", "cloud.target."];
    let last = [".elf.", ".pe.", ".macho.", "process.io.", ".code_signature."];
    [&branches[..], &more, &clouds, &last].concat().iter().any(|branch| path.contains(branch))
}

fn insert(properties: &mut Map<String, Value>, field: Field) {
    let mut at = properties;
    let mut names = field.path().split('.').peekable();
    while let Some(name) = names.next() {
        let entry = at.entry(name).or_insert_with(|| json!({}));
        let Some(object) = entry.as_object_mut() else { return };
        if names.peek().is_none() {
            // A field that has fields of its own is an object whatever it was declared as.
            if !object.contains_key("properties") {
                object.extend(mapping(field.kind()));
            }
            return;
        }
        if object.get("type").is_some_and(|kind| kind != "object" && kind != "nested") {
            return;
        }
        let below = object.entry("properties").or_insert_with(|| json!({}));
        let Some(below) = below.as_object_mut() else { return };
        at = below;
    }
}

fn mapping(kind: &str) -> Map<String, Value> {
    let value = match kind {
        "keyword" => json!({"type": "keyword", "ignore_above": IGNORE_ABOVE}),
        // Free keys: one field in the mapping, however many keys.
        "flattened" => json!({"type": "flattened", "ignore_above": IGNORE_ABOVE}),
        "wildcard" => json!({"type": "wildcard", "ignore_above": IGNORE_ABOVE}),
        // The value is the data stream's own name; ordinary keywords serve on every server.
        "constant_keyword" => json!({"type": "keyword", "ignore_above": IGNORE_ABOVE}),
        "scaled_float" => json!({"type": "scaled_float", "scaling_factor": 1000}),
        // A log line's lists of objects are searched as plain objects.
        "nested" => json!({"type": "object"}),
        other => json!({"type": other}),
    };
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_has_a_closed_template_with_typed_fields() {
        let templates = index_templates();
        assert_eq!(templates.len(), datasets::ALL.len());
        for (name, body) in templates {
            let mappings = &body["template"]["mappings"];
            assert_eq!(mappings["dynamic"], json!(false), "{name}");
            let properties = &mappings["properties"];
            assert_eq!(properties["@timestamp"]["type"], "date");
            assert_eq!(properties["source"]["properties"]["ip"]["type"], "ip");
            let log = &properties["log"]["properties"];
            assert_eq!(log["level"]["type"], "keyword");
        }
    }
}
