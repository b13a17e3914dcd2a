//! Alerts as rules of Kibana that ask Elasticsearch: the type `.es-query` of the alerting API.

use serde_json::{Value, json};
use tahoe_schemas::alert::Alert;
use tahoe_schemas::dashboard::Measure;
use tahoe_schemas::{alerts, fields};
use xxhash_rust::xxh3::xxh3_128;

use super::lens;

/// Documents of a match that a message may quote.
const HITS: u32 = 10;

/// Groups that are told apart at most.
const GROUPS: u32 = 100;

/// A rule: its id in a space, and the body of the request that creates it.
pub struct Rule {
    /// Stays the same for the same name and space.
    pub id: String,
    /// `POST /api/alerting/rule/{id}`
    pub body: Value,
}

/// Every rule of a space.
pub fn rules(space: &str) -> Vec<Rule> {
    let rule = |alert: &Alert| Rule { id: id(space, &alert.name), body: body(alert) };
    alerts().iter().map(rule).collect()
}

/// Kibana takes UUIDs alone for objects with secrets in them, so this is the only id that cannot be
/// read: version 5 in form, made of the name.
fn id(space: &str, name: &str) -> String {
    let hash = xxh3_128(format!("tahoe/{space}/{name}").as_bytes());
    let versioned = hash & !(0xf << 76) | 5 << 76;
    let marked = versioned & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{marked:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn body(alert: &Alert) -> Value {
    let query = json!({"query": {"query_string": {"query": alert.query}}});
    let (comparator, threshold) = match (alert.above, alert.below) {
        (Some(above), _) => (">", above),
        (None, below) => ("<", below.unwrap_or_default()),
    };
    let mut params = json!({
        "searchType": "esQuery",
        "index": [lens::pattern(alert.data)],
        "timeField": fields::TIMESTAMP.path(),
        "esQuery": query.to_string(),
        "size": HITS,
        "aggType": aggregation(alert.value.of),
        "groupBy": "all",
        "timeWindowSize": alert.minutes,
        "timeWindowUnit": "m",
        "thresholdComparator": comparator,
        "threshold": [threshold],
        "excludeHitsFromPreviousRun": false,
    });
    if !alert.value.field.is_empty() {
        params["aggField"] = json!(alert.value.field);
    }
    if !alert.by.is_empty() {
        params["groupBy"] = json!("top");
        params["termField"] = json!(alert.by);
        params["termSize"] = json!(GROUPS);
    }
    json!({
        "name": format!("[Tahoe] {}", alert.title),
        "rule_type_id": ".es-query",
        "consumer": "stackAlerts",
        "tags": ["tahoe", alert.name],
        "schedule": {"interval": format!("{}m", alert.every_minutes)},
        "enabled": true,
        "actions": [],
        "params": params,
    })
}

/// What the rule type calls it.
fn aggregation(of: Measure) -> &'static str {
    match of {
        Measure::Average => "avg",
        Measure::Sum => "sum",
        Measure::Max => "max",
        Measure::Count => "count",
        Measure::P50 | Measure::P95 | Measure::P99 | Measure::Unique | Measure::Last => {
            unreachable!("the build takes no alert of such a measure")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_as_kibana_wants_it_and_differs_by_space_and_name() {
        let mut ids: Vec<_> =
            rules("default").into_iter().chain(rules("acme")).map(|r| r.id).collect();
        for id in &ids {
            let parts: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert!(&id[14..15] == "5" && "89ab".contains(&id[19..20]), "{id}");
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
