//! Templates as data, and what remains of one on a server that lacks a feature of it.
//!
//! A weaker template is better than none: a field type or a setting that the server names as
//! unknown is replaced by the nearest one that every server has. What the dataset's documents
//! hold stays the same; only how they can be searched differs.

use serde_json::Value;
use tahoe_schemas::retention::{Keep, Retention};
use tahoe_schemas::templates::keep;

/// Which of the two kinds of template it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A part that index templates are composed of; created first.
    Component,
    /// What a new data stream takes its mappings and settings from.
    Index,
}

/// A template as `setup` stores it. Its body is kept as text: all of them as trees would take more
/// memory than everything else in a transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Which kind.
    pub kind: Kind,
    /// Its name on the server.
    pub name: String,
    text: Box<str>,
    version: u64,
    patterns: Vec<String>,
}

impl Template {
    /// A template from the body of the request that creates it, with a number in `version`.
    pub fn new(kind: Kind, name: impl Into<String>, body: &Value) -> Self {
        Self {
            kind,
            name: name.into(),
            text: body.to_string().into_boxed_str(),
            version: body["version"].as_u64().unwrap_or(0),
            patterns: patterns(body).map(str::to_owned).collect(),
        }
    }

    /// The body of the request that creates it.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).expect("it was written from a value")
    }

    /// Version of its content; a template without one is the oldest.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Names of data streams that it is for; none for a component.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(String::as_str)
    }

    /// How long what is made of it is kept; none if it does not say.
    pub(crate) fn keep(&self) -> Option<Keep> {
        let body = self.body();
        let lifecycle = body["template"].get("lifecycle")?;
        let days = lifecycle["data_retention"].as_str();
        days.map_or(Some(Keep::Forever), |days| days.parse().ok())
    }

    /// The same template, which keeps what `retention` says.
    pub fn kept(self, retention: &Retention) -> Self {
        let mut body = self.body();
        keep(&mut body, retention);
        Self::new(self.kind, self.name, &body)
    }

    pub(crate) fn path(&self) -> String {
        match self.kind {
            Kind::Component => format!("_component_template/{}", self.name),
            Kind::Index => format!("_index_template/{}", self.name),
        }
    }
}

/// `index_patterns` of an index template's body.
pub(crate) fn patterns(body: &Value) -> impl Iterator<Item = &str> {
    body["index_patterns"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Field types that only some servers have, each with the nearest that more have.
const TYPES: &[(&str, &str)] = &[
    ("constant_keyword", "keyword"),
    ("wildcard", "keyword"),
    ("counted_keyword", "keyword"),
    ("version", "keyword"),
    ("match_only_text", "text"),
    ("scaled_float", "double"),
    ("unsigned_long", "long"),
    // OpenSearch's name for it; a server without either keeps the field and does not index it.
    ("flattened", "flat_object"),
    ("flat_object", "object"),
];

/// Longest keyword that every server can index, in UTF-16 units: 32,766 bytes at most.
const KEYWORD_LENGTH_MAX: u64 = 8191;

/// Parts of a template's `template` that older servers do not know.
const PARTS: &[&str] = &["data_stream_options", "failure_store", "lifecycle"];

/// Takes out of `body` what `reason` (the server's refusal of it) calls unknown, and says what.
/// `None` if the reason names nothing that can be done without.
pub(crate) fn without_unknown(body: &mut Value, reason: &str) -> Option<String> {
    let types = ["mapper type [", "No handler for type ["];
    if let Some(unknown) = types.iter().find_map(|lead| bracketed(reason, lead)) {
        let (_, nearest) = TYPES.iter().find(|(known, _)| *known == unknown)?;
        return replace_type(body, unknown, nearest).then(|| format!("{unknown} by {nearest}"));
    }
    if let Some(unknown) = bracketed(reason, "unknown setting [") {
        let settings = body.pointer_mut("/template/settings")?;
        return remove_setting(settings, unknown, "").then(|| format!("setting {unknown}"));
    }
    if let Some(unknown) = bracketed(reason, "unknown parameter [") {
        let kind = bracketed(reason, "of type [")?;
        return remove_parameter(body, kind, unknown).then(|| format!("{unknown} of {kind}"));
    }
    let unknown = bracketed(reason, "unknown field [")?;
    let part = PARTS.iter().find(|part| **part == unknown)?;
    remove_key(body, part).then(|| format!("part {part}"))
}

/// The text between `lead`, which ends with a bracket, and the closing one.
fn bracketed<'a>(text: &'a str, lead: &str) -> Option<&'a str> {
    let from = text.find(lead)? + lead.len();
    text[from..].split_once(']').map(|(inside, _)| inside)
}

/// Visits every JSON object in `value`. A field called `type` is an object, so that a string in
/// `type` is always the type of what it stands in.
fn for_each_object(value: &mut Value, visit: &mut dyn FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values_mut().for_each(|value| for_each_object(value, visit));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| for_each_object(value, visit)),
        _ => {}
    }
}

fn replace_type(body: &mut Value, from: &str, to: &str) -> bool {
    let mut any = false;
    for_each_object(body, &mut |map| {
        if map.get("type").and_then(Value::as_str) == Some(from) {
            map.insert("type".to_owned(), to.into());
            match from {
                "constant_keyword" => drop(map.remove("value")),
                // A keyword is a term of Lucene's, which has a limit.
                "wildcard" => {
                    let longest = map.get("ignore_above").and_then(Value::as_u64);
                    let longest = longest.map_or(KEYWORD_LENGTH_MAX, |n| n.min(KEYWORD_LENGTH_MAX));
                    map.insert("ignore_above".to_owned(), longest.into());
                }
                "scaled_float" => drop(map.remove("scaling_factor")),
                "flattened" => map.retain(|key, _| key == "type"),
                "flat_object" => drop(map.insert("enabled".to_owned(), false.into())),
                _ => {}
            }
            any = true;
        }
    });
    any
}

fn remove_parameter(body: &mut Value, kind: &str, parameter: &str) -> bool {
    let mut any = false;
    for_each_object(body, &mut |map| {
        if map.get("type").and_then(Value::as_str) == Some(kind) {
            any |= map.remove(parameter).is_some();
        }
    });
    any
}

fn remove_key(body: &mut Value, key: &str) -> bool {
    let in_template = body.get_mut("template").and_then(Value::as_object_mut);
    let in_template = in_template.is_some_and(|template| template.remove(key).is_some());
    let in_stream = body.get_mut("data_stream").and_then(Value::as_object_mut);
    in_stream.is_some_and(|stream| stream.remove(key).is_some()) || in_template
}

/// Removes `name` (`index.lifecycle.name`) however it is nested; `index.` may be left out.
fn remove_setting(settings: &mut Value, name: &str, path: &str) -> bool {
    let Some(map) = settings.as_object_mut() else {
        return false;
    };
    let full = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let bare = |key: &str| key.strip_prefix("index.").unwrap_or(key).to_owned();
    let before = map.len();
    map.retain(|key, value| value.is_object() || bare(&full(key)) != bare(name));
    let mut any = map.len() < before;
    for (key, value) in map.iter_mut() {
        any |= remove_setting(value, name, &full(key));
    }
    any
}

/// `*` in `pattern` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    while let Some((part, tail)) = rest.split_once('*') {
        let Some(at) = name.find(part) else {
            return false;
        };
        name = &name[at + part.len()..];
        rest = tail;
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn weakened(mut body: Value, reason: &str) -> (Option<String>, Value) {
        let what = without_unknown(&mut body, reason);
        (what, body)
    }

    #[test]
    fn a_field_type_that_the_server_lacks_becomes_the_nearest_one_everywhere() {
        let body = json!({"template": {"mappings": {
            "dynamic_templates": [{"s": {"mapping": {"type": "wildcard"}}}],
            "properties": {
                "type": {"type": "wildcard", "ignore_above": 10},
                "a": {"properties": {"b": {"type": "text", "fields": {"w": {"type": "wildcard"}}}}},
            },
        }}});
        let reason = "The mapper type [wildcard] declared on field [type] does not exist.";
        let (what, body) = weakened(body, reason);
        assert_eq!(what.as_deref(), Some("wildcard by keyword"));
        assert!(!body.to_string().contains("wildcard"), "{body}");
        let long = json!({"x": {"type": "wildcard", "ignore_above": 1_048_576}});
        let (_, body) = weakened(long, reason);
        assert_eq!(body, json!({"x": {"type": "keyword", "ignore_above": 8191}}));
        let constant = json!({"x": {"type": "constant_keyword", "value": "v"}});
        let (_, body) = weakened(constant, "No handler for type [constant_keyword] declared on");
        assert_eq!(body, json!({"x": {"type": "keyword"}}));
    }

    #[test]
    fn flattened_becomes_what_opensearch_calls_it_and_at_last_an_object_that_is_only_kept() {
        let body = json!({"x": {"type": "flattened", "ignore_above": 10, "depth_limit": 3}});
        let (_, body) = weakened(body, "No handler for type [flattened] declared on field [x]");
        assert_eq!(body, json!({"x": {"type": "flat_object"}}));
        let (_, body) = weakened(body, "mapper type [flat_object] declared on field [x]");
        assert_eq!(body, json!({"x": {"type": "object", "enabled": false}}));
    }

    #[test]
    fn settings_parameters_and_parts_that_the_server_lacks_are_left_out() {
        for settings in [
            json!({"index.lifecycle.name": "x", "index.codec": "c"}),
            json!({"index": {"lifecycle": {"name": "x"}, "codec": "c"}}),
            json!({"lifecycle.name": "x"}),
        ] {
            let body = json!({"template": {"settings": settings}});
            let (what, body) = weakened(body, "unknown setting [index.lifecycle.name] please");
            assert_eq!(what.as_deref(), Some("setting index.lifecycle.name"));
            assert!(!body.to_string().contains("\"x\""), "{body}");
        }
        let body = json!({"x": {"type": "keyword", "p": 1}, "y": {"type": "long", "p": 1}});
        let reason = "unknown parameter [p] on mapper [x] of type [keyword]";
        assert_eq!(
            weakened(body, reason).1,
            json!({"x": {"type": "keyword"}, "y": {"type": "long", "p": 1}})
        );
        let body = json!({"template": {"data_stream_options": {}, "mappings": {}}});
        let reason = "[1:2] [template] unknown field [data_stream_options]";
        assert_eq!(weakened(body, reason).1, json!({"template": {"mappings": {}}}));
    }

    #[test]
    fn what_cannot_be_done_without_stays_an_error() {
        let body = json!({"template": {"mapppings": {}}});
        assert_eq!(weakened(body, "[template] unknown field [mapppings]").0, None);
        assert_eq!(weakened(json!({}), "mapper type [geo_point] declared on").0, None);
        assert_eq!(weakened(json!({}), "something else").0, None);
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("logs-*-*", "logs-laravel.log-acme"));
        assert!(matches("*", "x") && matches("logs-a", "logs-a"));
        assert!(!matches("logs-b*", "logs-a-b") && !matches("logs-*-x", "logs-a-y"));
    }
}
