//! What the documents of a dataset are, for whoever reads or writes them elsewhere: a JSON Schema
//! and a table, from the declarations that the parsers' constants and the templates come from.
//!
//! The schema is closed: a field that neither ECS nor a `dataset.yaml` declares is in no document.

use serde_json::{Map, Value, json};

use crate::templates::{fields_of, index_templates, template_name};
use crate::{Dataset, fields, shared_fields};

/// The dialect of [`json_schema`].
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Where a field of a dataset is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// In its own `dataset.yaml`, or one that it shares fields with.
    Own,
    /// Among those that every dataset may write.
    Shared,
    /// In the Elastic Common Schema.
    Ecs,
}

/// A field that a dataset may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRow {
    /// Dotted path.
    pub path: &'static str,
    /// Elasticsearch type.
    pub kind: &'static str,
    /// Always written as an array.
    pub array: bool,
    /// For people; empty for those of ECS, which has its own reference.
    pub description: &'static str,
    /// Where it is declared.
    pub declared: Declared,
}

/// The fields that a dataset may write: its own, those of every dataset, those of ECS.
pub fn field_table(dataset: &Dataset) -> Vec<FieldRow> {
    let named = |declared| {
        move |field: &crate::OwnField| FieldRow {
            path: field.name,
            kind: field.kind,
            array: field.array,
            description: field.description,
            declared,
        }
    };
    let mut rows: Vec<FieldRow> =
        dataset.declared().fields.iter().map(named(Declared::Own)).collect();
    rows.extend(shared_fields().iter().map(named(Declared::Shared)));
    let ecs = fields_of(dataset).filter(|field| !rows.iter().any(|row| row.path == field.path()));
    let ecs = ecs.map(|field| FieldRow {
        path: field.path(),
        kind: field.kind(),
        array: field.is_array(),
        description: "",
        declared: Declared::Ecs,
    });
    let ecs: Vec<_> = ecs.collect();
    rows.extend(ecs);
    rows
}

/// The index template of a dataset, as `tahoe setup` writes it.
pub fn template(dataset: &Dataset) -> Value {
    let name = template_name(dataset);
    let found = index_templates().find(|(template, _)| *template == name);
    found.map(|(_, body)| body).expect("every dataset of the list has one")
}

/// The JSON Schema of a dataset's documents, draft 2020-12.
pub fn json_schema(dataset: &Dataset) -> Value {
    let mut root = Object::default();
    for row in field_table(dataset) {
        root.insert(&mut row.path.split('.').peekable(), &row);
    }
    let mut schema = root.schema();
    let declared = dataset.declared();
    schema["$schema"] = DRAFT.into();
    schema["$id"] = format!("urn:tahoe:{}", dataset.name).into();
    schema["title"] = declared.title.into();
    schema["required"] = json!([fields::TIMESTAMP.path(), "data_stream", "ecs", "event"]);
    let event = &mut schema["properties"]["event"];
    event["required"] = json!(["dataset", "module"]);
    event["properties"]["dataset"] = json!({"const": dataset.name});
    event["properties"]["module"] = json!({"const": dataset.module});
    schema
}

/// Fields by name, as they are nested.
#[derive(Default)]
struct Object {
    leaf: Option<Value>,
    below: Map<String, Value>,
    objects: std::collections::BTreeMap<String, Object>,
}

impl Object {
    fn insert<'p>(
        &mut self,
        names: &mut std::iter::Peekable<impl Iterator<Item = &'p str>>,
        row: &FieldRow,
    ) {
        let Some(name) = names.next() else { return };
        let object = self.objects.entry(name.to_owned()).or_default();
        match names.peek() {
            None => object.leaf = Some(of_field(row)),
            Some(_) => object.insert(names, row),
        }
    }

    /// A field that has fields of its own is an object, whatever it was declared as; one that may be
    /// several (`nested`) keeps that.
    fn schema(self) -> Value {
        if self.objects.is_empty() {
            return self.leaf.unwrap_or_else(|| json!({"type": "object"}));
        }
        let mut properties = self.below;
        for (name, object) in self.objects {
            properties.insert(name, object.schema());
        }
        let object =
            json!({"type": "object", "additionalProperties": false, "properties": properties});
        match self.leaf.is_some_and(|leaf| leaf["type"] == "array") {
            true => json!({"anyOf": [object, {"type": "array", "items": object}]}),
            false => object,
        }
    }
}

fn of_field(row: &FieldRow) -> Value {
    let mut one = match row.kind {
        "long" | "integer" | "unsigned_long" => json!({"type": "integer"}),
        "double" | "float" | "scaled_float" => json!({"type": "number"}),
        "boolean" => json!({"type": "boolean"}),
        "date" => json!({"type": "string", "format": "date-time"}),
        "flattened" | "object" => json!({"type": "object"}),
        "nested" => json!({"type": "array", "items": {"type": "object"}}),
        "geo_point" => json!({"type": ["object", "string"]}),
        _ => json!({"type": "string"}),
    };
    if row.array && row.kind != "nested" {
        one = json!({"type": "array", "items": one});
    }
    if !row.description.is_empty() {
        one["description"] = row.description.into();
    }
    one
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::datasets;

    /// What of draft 2020-12 the schemas use; the first thing that does not hold.
    fn fault(schema: &Value, value: &Value, at: &str) -> Option<String> {
        if let Some(kinds) = schema["anyOf"].as_array() {
            let faults: Vec<_> = kinds.iter().filter_map(|kind| fault(kind, value, at)).collect();
            return (faults.len() == kinds.len()).then(|| faults.join(" and "));
        }
        if !schema["const"].is_null() && schema["const"] != *value {
            return Some(format!("{at}: {value} is not {}", schema["const"]));
        }
        let of = |kind: &str| match kind {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            other => panic!("no type {other}"),
        };
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect::<Vec<_>>(),
        };
        if !kinds.is_empty() && !kinds.iter().any(|kind| of(kind)) {
            return Some(format!("{at}: {value} is no {kinds:?}"));
        }
        if schema["format"] == "date-time"
            && value.as_str().is_none_or(|text| text.parse::<jiff::Timestamp>().is_err())
        {
            return Some(format!("{at}: {value} is no time"));
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required.filter_map(Value::as_str).find(|name| value[*name].is_null());
        if let Some(name) = missing {
            return Some(format!("{at}: {name} is missing"));
        }
        let below = |(name, value): (&String, &Value)| {
            let at = format!("{at}.{name}");
            match schema["properties"].get(name) {
                Some(schema) => fault(schema, value, &at),
                None => (schema["additionalProperties"] == false).then(|| format!("{at}: unknown")),
            }
        };
        let items = value.as_array().into_iter().flatten();
        let mut items = items.filter(|_| schema.get("items").is_some());
        value
            .as_object()
            .and_then(|fields| fields.iter().find_map(below))
            .or_else(|| items.find_map(|item| fault(&schema["items"], item, at)))
    }

    #[test]
    fn every_golden_document_keeps_the_schema_of_its_dataset() {
        let schemas: std::collections::HashMap<_, _> =
            datasets::ALL.iter().map(|dataset| (dataset.name, json_schema(dataset))).collect();
        let mut documents = 0;
        for dataset in datasets::ALL {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(dataset.name.replace('.', "/"));
            for entry in fs::read_dir(folder.join("samples")).expect("samples") {
                let path = entry.expect("readable").path();
                if path.extension().is_none_or(|extension| extension != "ndjson") {
                    continue;
                }
                for line in fs::read_to_string(&path).expect("readable").lines() {
                    let document: Value = serde_json::from_str(line).expect("JSON");
                    let of = document["event"]["dataset"].as_str().expect("it says its dataset");
                    let fault = fault(&schemas[of], &document, of);
                    assert_eq!(fault, None, "{}", path.display());
                    documents += 1;
                }
            }
        }
        assert!(documents > 100, "{documents}");
    }

    #[test]
    fn a_document_that_breaks_the_schema_is_told_where() {
        let dataset = datasets::ALL[0];
        let schema = json_schema(dataset);
        let mut document = json!({
            "@timestamp": "2026-11-21T09:00:00Z",
            "data_stream": {"type": "logs"},
            "ecs": {"version": "9.4.0"},
            "event": {"dataset": dataset.name, "module": dataset.module},
        });
        assert_eq!(fault(&schema, &document, ""), None);
        for (pointer, value, says) in [
            ("/@timestamp", json!("yesterday"), "is no time"),
            ("/event", json!({"dataset": "other", "module": dataset.module}), "is not"),
            ("/ecs", json!({"version": 9}), "is no"),
            ("/ecs", json!({"versoin": "9"}), "unknown"),
            ("/ecs", json!(null), "missing"),
        ] {
            let before = document.pointer(pointer).cloned().expect("it is there");
            *document.pointer_mut(pointer).expect("it is there") = value;
            let told = fault(&schema, &document, "").expect("it is broken");
            assert!(told.contains(says), "{told}");
            *document.pointer_mut(pointer).expect("it is there") = before;
        }
    }
}
