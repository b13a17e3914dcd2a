//! The alerts that are shipped ask for metrics that the services show.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tahoe_pipeline::seams::Lag;
use tahoe_pipeline::service::{Metered, source_metrics};
use tahoe_pipeline::telemetry::ProducerCounts;
use tahoe_tests::program::repository;
use tahoe_transformer::TransformerCounts;

/// Everything that is shown on `/metrics` of a producer and of the transformer.
fn shown() -> BTreeSet<String> {
    let counts = Arc::new(ProducerCounts::default());
    counts.set_lag(vec![Lag { of: "/var/log/x".to_owned(), bytes: 1, seconds: 1.0 }]);
    let source = Metered { name: "laravel".to_owned(), counts, failure: Arc::default() };
    let mut out = String::new();
    source_metrics(&[source], &mut out);
    let transformer = TransformerCounts::default();
    transformer.dataset("laravel.log");
    transformer.add_dropped("laravel.log", "rule", 1);
    transformer.metrics(&mut out);
    let samples = out.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("tahoe_"))
}

#[test]
fn every_alert_of_prometheus_asks_for_metrics_that_are_shown_and_says_what_to_do() {
    let path = repository().join("docker/prometheus/tahoe.rules.yml");
    let text = std::fs::read_to_string(path).expect("it is there");
    let rules: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let shown = shown();
    let mut alerts = BTreeSet::new();
    let groups = rules["groups"].as_array().expect("groups").iter();
    for rule in groups.flat_map(|group| group["rules"].as_array().expect("rules")) {
        let alert = rule["alert"].as_str().expect("a name");
        assert!(alerts.insert(alert), "{alert} twice");
        let expr = rule["expr"].as_str().expect("an expression");
        for name in names(expr) {
            assert!(shown.contains(name), "{alert}: nothing shows {name}: {shown:?}");
        }
        let opened = expr.matches(['(', '[', '{']).count();
        assert_eq!(opened, expr.matches([')', ']', '}']).count(), "{alert}: {expr}");
        assert!(
            ["warning", "critical"].contains(&rule["labels"]["severity"].as_str().expect("one"))
        );
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{alert} has no {text}");
        }
    }
    assert!(alerts.len() >= 8, "{alerts:?}");
}
