//! What is asked of Elasticsearch, as Lens keeps it: a column for each thing told apart and each
//! value, and their order.

use serde_json::{Map, Value, json};
use tahoe_schemas::dashboard::{Bucket, Format, Measure, Metric, Panel};
use tahoe_schemas::{Field, fields};

/// Queries are in Lucene's syntax, which Elasticsearch itself reads.
pub const LANGUAGE: &str = "lucene";

/// In place of a field: documents are counted.
const RECORDS: &str = "___records___";

/// The columns of a panel, by ids that stay as long as the panel's declaration.
pub struct Columns {
    /// Ids of what is told apart, as declared.
    pub by: Vec<String>,
    /// Ids of the values.
    pub values: Vec<String>,
    order: Vec<String>,
    columns: Map<String, Value>,
}

impl Columns {
    /// Those of a panel. A chart's series are asked before its axis, so that the same ones are told
    /// apart at every point of it.
    pub fn of(panel: &Panel, series_first: bool) -> Self {
        let by: Vec<_> = (1..=panel.by.len()).map(|n| format!("by-{n}")).collect();
        let values: Vec<_> = (1..=panel.values.len()).map(|n| format!("value-{n}")).collect();
        let mut order = by.clone();
        if series_first {
            order.reverse();
        }
        order.extend(values.iter().cloned());
        let mut columns = Map::new();
        for (id, bucket) in by.iter().zip(&panel.by) {
            columns.insert(id.clone(), bucket_column(bucket, panel));
        }
        for (id, metric) in values.iter().zip(&panel.values) {
            columns.insert(id.clone(), metric_column(metric));
        }
        Self { by, values, order, columns }
    }

    /// The layer that has them.
    pub fn layer(self) -> Value {
        json!({
            "columnOrder": self.order,
            "columns": self.columns,
            "incompleteColumns": {},
            "sampling": 1,
        })
    }
}

/// A layer of numbers that are asked of nobody.
pub fn constants(values: &[(&str, &str, f64)]) -> Value {
    let column = |label: &str, value: f64| {
        json!({
            "label": label,
            "customLabel": true,
            "dataType": "number",
            "operationType": "static_value",
            "isStaticValue": true,
            "isBucketed": false,
            "scale": "ratio",
            "params": {"value": value.to_string()},
            "references": [],
        })
    };
    let columns: Map<_, _> =
        values.iter().map(|(id, label, value)| ((*id).to_owned(), column(label, *value))).collect();
    let order: Vec<_> = values.iter().map(|(id, ..)| id).collect();
    json!({"columnOrder": order, "columns": columns, "incompleteColumns": {}, "sampling": 1})
}

/// A query as Kibana keeps it.
pub fn query(text: &str) -> Value {
    json!({"query": text, "language": LANGUAGE})
}

fn bucket_column(bucket: &Bucket, panel: &Panel) -> Value {
    match bucket {
        Bucket::Time => json!({
            "label": fields::TIMESTAMP.path(),
            "dataType": "date",
            "operationType": "date_histogram",
            "sourceField": fields::TIMESTAMP.path(),
            "isBucketed": true,
            "scale": "interval",
            "params": {"interval": "auto", "includeEmptyRows": true, "dropPartials": false},
        }),
        Bucket::Top { field, label, size } => json!({
            "label": label,
            "customLabel": true,
            "dataType": data_type(field),
            "operationType": "terms",
            "sourceField": field,
            "isBucketed": true,
            "scale": "ordinal",
            "params": {
                "size": size,
                "orderBy": order_of(panel),
                "orderDirection": "desc",
                "otherBucket": false,
                "missingBucket": false,
                "parentFormat": {"id": "terms"},
                "include": [],
                "exclude": [],
                "includeIsRegex": false,
                "excludeIsRegex": false,
            },
        }),
        Bucket::Among { label, each } => {
            let each = each
                .iter()
                .map(|group| json!({"label": group.label, "input": query(&group.query)}));
            json!({
                "label": label,
                "customLabel": true,
                "dataType": "string",
                "operationType": "filters",
                "isBucketed": true,
                "scale": "ordinal",
                "params": {"filters": each.collect::<Vec<_>>()},
            })
        }
    }
}

/// The largest of the first value that has an order; a newest value has none.
fn order_of(panel: &Panel) -> Value {
    match panel.values.iter().position(|value| value.of != Measure::Last) {
        Some(index) => json!({"type": "column", "columnId": format!("value-{}", index + 1)}),
        None => json!({"type": "alphabetical", "fallback": true}),
    }
}

fn metric_column(metric: &Metric) -> Value {
    let field = if metric.of == Measure::Count { RECORDS } else { &metric.field };
    let kept = matches!(metric.of, Measure::Max | Measure::Last);
    let kind = if kept { data_type(field) } else { "number" };
    let (operation, mut params) = match metric.of {
        Measure::Count => ("count", json!({"emptyAsNull": false})),
        Measure::Unique => ("unique_count", json!({"emptyAsNull": false})),
        Measure::Average => ("average", json!({"emptyAsNull": true})),
        Measure::Sum => ("sum", json!({"emptyAsNull": true})),
        Measure::Max => ("max", json!({"emptyAsNull": true})),
        Measure::P50 => ("percentile", json!({"percentile": 50})),
        Measure::P95 => ("percentile", json!({"percentile": 95})),
        Measure::P99 => ("percentile", json!({"percentile": 99})),
        Measure::Last => {
            let sort = fields::TIMESTAMP.path();
            ("last_value", json!({"sortField": sort, "showArrayValues": false}))
        }
    };
    if let Some(format) = metric.format {
        params["format"] = format_of(format);
    }
    let mut column = json!({
        "label": metric.label,
        "customLabel": true,
        "dataType": kind,
        "operationType": operation,
        "sourceField": field,
        "isBucketed": false,
        "scale": if kind == "number" || kind == "date" { "ratio" } else { "ordinal" },
        "params": params,
    });
    let there = format!("{field}:*");
    match (metric.query.as_str(), metric.of) {
        // The newest document need not have the field.
        ("", Measure::Last) => column["filter"] = query(&there),
        ("", _) => {}
        (text, _) => column["filter"] = query(text),
    }
    column
}

fn format_of(format: Format) -> Value {
    let (id, decimals) = match format {
        Format::Bytes => ("bytes", 1),
        Format::Percent => ("percent", 1),
        Format::Decimal => ("number", 2),
    };
    json!({"id": id, "params": {"decimals": decimals}})
}

/// What Lens calls the type of a field.
fn data_type(field: &str) -> &'static str {
    match Field::named(field).map_or("keyword", |field| field.kind()) {
        "date" => "date",
        "ip" => "ip",
        "boolean" => "boolean",
        "long" | "integer" | "float" | "double" | "scaled_float" => "number",
        _ => "string",
    }
}
