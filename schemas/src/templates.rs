//! Index templates, generated from the declarations that the parsers' constants come from.
//!
//! Mappings are closed (`dynamic: false`): a field that no one declared is kept in `_source` and
//! indexed nowhere, so that no document can make a mapping grow.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use tahoe_seams::data_stream_type;
use xxhash_rust::xxh3::xxh3_64;

use crate::framing::PART_BYTES_MAX;
use crate::length::KEYWORD_LENGTH_MAX;
use crate::retention::{Keep, Retention};
use crate::table::{Column, ColumnKind, Table, is_field_name};
use crate::{Dataset, Field, datasets, shared_fields};

/// Grows when a template changes, so that an older binary does not put an older one back.
const VERSION: u32 = 6;

/// Above Elasticsearch's own templates for `logs-*-*` (100) and those of Fleet (200).
const PRIORITY: u32 = 500;

/// Above the datasets' own: data streams of tables whose columns nobody saw.
const PRIORITY_OF_TABLES: u32 = PRIORITY + 10;

/// Above those: data streams of one table.
const PRIORITY_OF_TABLE: u32 = PRIORITY + 20;

/// Fields in one mapping at most, beside a table's columns; the widest dataset has a third of that.
const FIELDS_MAX: usize = 3000;

/// A number of so many digits fits 64 bits whatever its scale.
const SCALED_DIGITS_MAX: u32 = 18;

/// Longer keywords are kept but not indexed.
const IGNORE_ABOVE: usize = KEYWORD_LENGTH_MAX;

/// A text of a record is no longer, so all of it is found: a stack trace, a statement. Such a field
/// is no term of Lucene's, whose limit does not hold for it.
const WILDCARD_LENGTH_MAX: usize = PART_BYTES_MAX;

/// Objects of ECS that the datasets of this repository write to; own fields come on top. All of
/// ECS would be 2,700 fields in the mapping of every backing index.
const OBJECTS: [&str; 35] = [
    "@timestamp",
    "client",
    "cloud",
    "container",
    "data_stream",
    "destination",
    "dns",
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
pub fn index_templates() -> impl Iterator<Item = (String, Value)> {
    let template_of = |dataset: &&'static Dataset| {
        let name = template_name(dataset);
        let patterns = vec![format!("{name}-*")];
        let meta = json!({"managed_by": "tahoe", "dataset": dataset.name});
        let body = template(patterns, PRIORITY, meta, FIELDS_MAX, mappings(dataset));
        (name, body)
    };
    datasets::ALL.iter().map(template_of)
}

/// What the index template of a dataset is called, and its data streams up to their namespace.
pub fn template_name(dataset: &Dataset) -> String {
    format!("{}-{}", data_stream_type(dataset.name), dataset.name)
}

/// One index template for the tables of each package of datasets: what a table's data stream is
/// made of when nobody saw its columns. Name and body.
pub fn table_templates() -> impl Iterator<Item = (String, Value)> {
    let template_of = |package| {
        let patterns = ["row", "change"].map(|what| format!("logs-{package}.{what}.*-*"));
        let meta = json!({"managed_by": "tahoe", "package": package});
        let mappings = mappings(dataset_of_changes(package)?);
        let body = template(patterns.into(), PRIORITY_OF_TABLES, meta, FIELDS_MAX, mappings);
        Some((format!("logs-{package}.tables"), body))
    };
    let rows_of = |package| {
        let patterns = vec![format!("rows-{package}.*-*")];
        let meta = json!({"managed_by": "tahoe", "package": package});
        let mappings = with_state(mappings(dataset_of_changes(package)?));
        let body = template(patterns, PRIORITY_OF_TABLES, meta, FIELDS_MAX, mappings);
        Some((format!("rows-{package}"), of_an_index(body)))
    };
    let mut packages: Vec<_> = datasets::ALL.iter().map(|dataset| dataset.module).collect();
    packages.dedup();
    packages
        .clone()
        .into_iter()
        .filter_map(template_of)
        .chain(packages.into_iter().filter_map(rows_of))
}

/// The index template of one table's data streams, each column with its type: name and body. `None`
/// if no dataset has changes of such tables.
pub fn table_template(table: &Table) -> Option<(String, Value)> {
    let (package, part) = (table.package, table.names().part());
    let patterns = ["row", "change"].map(|what| format!("logs-{package}.{what}.{part}-*"));
    let body = typed(table, patterns.into(), mappings(dataset_of_changes(package)?));
    Some((format!("logs-{package}.table.{part}"), body))
}

/// The same of the index that has one table's rows as they are now.
pub fn rows_template(table: &Table) -> Option<(String, Value)> {
    let (package, part) = (table.package, table.names().part());
    let mappings = with_state(mappings(dataset_of_changes(package)?));
    let body = typed(table, vec![format!("rows-{package}.{part}-*")], mappings);
    Some((format!("rows-{package}.table.{part}"), of_an_index(body)))
}

fn typed(table: &Table, patterns: Vec<String>, mut mappings: Value) -> Value {
    let columns = columns(&table.columns);
    let text = Value::from(columns.clone()).to_string();
    let meta = json!({
        "managed_by": "tahoe",
        "table": table.names().full(),
        // Differs when the columns do, which the version does not.
        "columns": format!("{:016x}", xxh3_64(text.as_bytes())),
    });
    let fields_max = FIELDS_MAX + columns.len();
    mappings["properties"]["row"] = json!({"dynamic": false, "properties": columns});
    template(patterns, PRIORITY_OF_TABLE, meta, fields_max, mappings)
}

/// What a row's document says of its own changes.
fn with_state(mut mappings: Value) -> Value {
    let keyword = json!({"type": "keyword", "ignore_above": IGNORE_ABOVE});
    mappings["properties"]["tahoe"]["properties"]["state"] = json!({"properties": {
        "version": keyword,
        "server": keyword,
        "deleted": {"type": "boolean"},
        "incomplete": {"type": "boolean"},
        "pending": {"type": "object", "enabled": false},
    }});
    mappings
}

/// An ordinary index, whose documents change and do not grow old.
fn of_an_index(mut body: Value) -> Value {
    body.as_object_mut().into_iter().for_each(|body| drop(body.remove("data_stream")));
    let parts = body["template"].as_object_mut();
    parts.into_iter().for_each(|parts| drop(parts.remove("lifecycle")));
    body
}

/// Writes into a data stream's template how long its events are kept. What a server without
/// lifecycles makes of it is the sink's affair.
pub fn keep(body: &mut Value, retention: &Retention) {
    let pattern = body["index_patterns"][0].as_str().unwrap_or_default();
    let kept = retention.of(pattern).filter(|_| body.get("data_stream").is_some());
    let lifecycle = match kept {
        Some(Keep::Days(days)) => json!({"data_retention": format!("{days}d")}),
        Some(Keep::Forever) => json!({}),
        None => return,
    };
    body["template"]["lifecycle"] = lifecycle;
}

fn dataset_of_changes(package: &str) -> Option<&'static Dataset> {
    datasets::find(&format!("{package}.change"))
}

fn template(
    patterns: Vec<String>,
    priority: u32,
    meta: Value,
    fields_max: usize,
    mappings: Value,
) -> Value {
    let mut body = json!({
        "index_patterns": patterns,
        "priority": priority,
        "version": VERSION,
        "data_stream": {},
        "_meta": meta,
        "template": {
            "settings": {"index": {
                "mapping": {"ignore_malformed": true, "total_fields": {"limit": fields_max}},
                "codec": "best_compression",
            }},
            "mappings": mappings,
        },
    });
    keep(&mut body, &Retention::default());
    body
}

/// The columns that can be fields, each with its type.
fn columns(columns: &[Column]) -> Map<String, Value> {
    let named = columns.iter().filter(|column| is_field_name(column.name.as_bytes()));
    named.map(|column| (column.name.clone(), column_mapping(column.kind))).collect()
}

fn column_mapping(kind: ColumnKind) -> Value {
    match kind {
        ColumnKind::Integer => json!({"type": "long"}),
        ColumnKind::Unsigned => json!({"type": "unsigned_long"}),
        // The document has the exact text; a sum is one of doubles either way, and this is smaller.
        ColumnKind::Decimal(Some((digits, scale)))
            if digits <= SCALED_DIGITS_MAX && scale <= digits =>
        {
            json!({"type": "scaled_float", "scaling_factor": 10_u64.pow(scale)})
        }
        ColumnKind::Decimal(_) | ColumnKind::Float => json!({"type": "double"}),
        ColumnKind::Boolean => json!({"type": "boolean"}),
        ColumnKind::Date => json!({"type": "date"}),
        ColumnKind::Text => json!({"type": "keyword", "ignore_above": IGNORE_ABOVE}),
        ColumnKind::Opaque => json!({"type": "keyword", "index": false, "doc_values": false}),
    }
}

fn mappings(dataset: &Dataset) -> Value {
    let mut properties = Map::new();
    fields_of(dataset).for_each(|field| insert(&mut properties, field));
    json!({"dynamic": false, "date_detection": false, "properties": properties})
}

/// What ECS has for logs, and what this dataset declares. A field that ECS does not know and another
/// dataset declares is left out, whatever object it is in.
pub(crate) fn fields_of(dataset: &Dataset) -> impl Iterator<Item = Field> {
    let own = dataset.declared().fields.iter().chain(shared_fields());
    let own: HashSet<&str> = own.map(|field| field.name).collect();
    Field::all().filter(move |field| OF_ECS.contains(field) || own.contains(field.path()))
}

/// What every dataset's template has of ECS.
static OF_ECS: LazyLock<HashSet<Field>> = LazyLock::new(|| {
    let declared = datasets::ALL.iter().flat_map(|dataset| dataset.declared().fields);
    let declared: HashSet<&str> = declared.map(|field| field.name).collect();
    let is_shared = |field: &Field| {
        let path = field.path();
        let top = path.split('.').next().unwrap_or_default();
        OBJECTS.contains(&top) && !is_too_deep(path) && !declared.contains(path)
    };
    Field::all().filter(is_shared).collect()
});

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
        "wildcard" => json!({"type": "wildcard", "ignore_above": WILDCARD_LENGTH_MAX}),
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
        let templates: Vec<_> = index_templates().collect();
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

    #[test]
    fn a_data_stream_keeps_what_it_is_told_to_and_an_index_of_rows_everything() {
        let kept = |body: &Value| body["template"]["lifecycle"]["data_retention"].clone();
        let find = |name: &str| index_templates().find(|(found, _)| found == name);
        let (_, mut body) = find("logs-laravel.log").expect("a dataset");
        assert_eq!(kept(&body), json!("90d"));
        keep(&mut body, &Retention::of_all(Keep::Days(7)));
        assert_eq!(kept(&body), json!("7d"));
        keep(&mut body, &Retention::of_all(Keep::Forever));
        assert_eq!(body["template"]["lifecycle"], json!({}));
        for (name, mut body) in table_templates() {
            keep(&mut body, &Retention::of_all(Keep::Days(7)));
            let is_stream = name.starts_with("logs-");
            assert_eq!(kept(&body), if is_stream { json!("7d") } else { json!(null) }, "{name}");
        }
    }

    fn table(name: &str, columns: &[(&str, ColumnKind)]) -> Table {
        let columns =
            columns.iter().map(|(name, kind)| Column { name: (*name).into(), kind: *kind });
        let (package, db) = (datasets::mysql_change::DATASET.module, "shop".to_owned());
        let (schema, name) = (String::new(), name.to_owned());
        Table { package, db, schema, name, columns: columns.collect() }
    }

    #[test]
    fn a_table_that_was_seen_has_typed_columns_and_one_that_was_not_has_any() {
        let seen = table(
            "orders",
            &[
                ("id", ColumnKind::Unsigned),
                ("total", ColumnKind::Decimal(Some((12, 2)))),
                ("rate", ColumnKind::Decimal(Some((30, 2)))),
                ("at", ColumnKind::Date),
                ("a.b", ColumnKind::Integer),
            ],
        );
        let (name, body) = table_template(&seen).expect("MySQL has changes");
        assert_eq!(name, "logs-mysql.table.shop.orders");
        let patterns = ["logs-mysql.row.shop.orders-*", "logs-mysql.change.shop.orders-*"];
        assert_eq!(body["index_patterns"], json!(patterns));
        let row = &body["template"]["mappings"]["properties"]["row"]["properties"];
        assert_eq!(row["total"], json!({"type": "scaled_float", "scaling_factor": 100}));
        assert_eq!((&row["rate"]["type"], &row["at"]["type"]), (&json!("double"), &json!("date")));
        assert_eq!(row.as_object().map(Map::len), Some(4), "a name with a dot is no field's");
        let generic: Vec<_> = table_templates().collect();
        assert_eq!(generic.len(), 6);
        for (_, other) in &generic {
            let row = &other["template"]["mappings"]["properties"]["row"];
            assert_eq!(row["type"], "flattened");
            assert!(other["priority"].as_u64() < body["priority"].as_u64());
        }
    }

    #[test]
    fn rows_as_they_are_now_are_in_an_index_with_the_same_columns() {
        let orders = table("orders", &[("at", ColumnKind::Date)]);
        let (_, stream) = table_template(&orders).expect("a template");
        let (name, rows) = rows_template(&orders).expect("a template");
        assert_eq!(name, "rows-mysql.table.shop.orders");
        assert!(rows.get("data_stream").is_none() && stream.get("data_stream").is_some());
        let of = |body: &Value, field: &str| {
            body["template"]["mappings"]["properties"].pointer(field).cloned()
        };
        assert_eq!(of(&rows, "/row"), of(&stream, "/row"));
        let deleted = of(&rows, "/tahoe/properties/state/properties/deleted/type");
        assert_eq!(deleted, Some(json!("boolean")));
        assert!(of(&rows, "/tahoe/properties/transformations").is_some());
    }

    #[test]
    fn another_column_makes_another_template_and_two_thousand_have_room() {
        let names: Vec<_> = (0..2000).map(|n| format!("c{n}")).collect();
        let columns: Vec<_> = names.iter().map(|name| (&**name, ColumnKind::Integer)).collect();
        let body = |columns| table_template(&table("wide", columns)).expect("a template").1;
        let (all, less) = (body(&columns), body(&columns[1..]));
        assert_ne!(all["_meta"]["columns"], less["_meta"]["columns"]);
        assert_eq!(all["_meta"]["columns"], body(&columns)["_meta"]["columns"]);
        let limit = &all["template"]["settings"]["index"]["mapping"]["total_fields"]["limit"];
        assert_eq!(*limit, json!(5000));
    }
}
