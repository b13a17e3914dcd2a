//! What a service measures of itself, as CloudWatch's embedded metric format: one line of JSON on
//! stdout, which a container's log driver carries and CloudWatch turns into metrics, so that a
//! service scales on them without a client of AWS.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::Health;
use crate::clock::now_ms;

/// CloudWatch keeps one value a minute of a standard metric, and an alarm looks as often; twice that,
/// so that a minute with a delayed line has one.
const EVERY: Duration = Duration::from_secs(30);

/// Whether a service writes its measures for CloudWatch.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Process")]
pub struct EmfArgs {
    /// Write a line of CloudWatch's embedded metric format to stdout every 30 s, into this namespace
    /// of metrics; not written unless set
    #[arg(long, env = "TAHOE_EMF_NAMESPACE", value_name = "NAMESPACE")]
    pub emf_namespace: Option<String>,
}

impl EmfArgs {
    /// The namespace, if there is to be one.
    ///
    /// # Errors
    /// Names the setting, where CloudWatch would take no such namespace.
    pub fn namespace(&self) -> Result<Option<String>, String> {
        let Some(name) = self.emf_namespace.clone().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let usual = |c: char| c.is_ascii_alphanumeric() || "._-/#:".contains(c);
        match name.len() <= 255 && name.chars().all(usual) {
            true => Ok(Some(name)),
            false => Err(format!(
                "--emf-namespace {name}: CloudWatch takes at most 255 letters, digits and ._-/#:"
            )),
        }
    }
}

/// One thing that a service measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// As it is now, or at its worst since it was asked for last.
    Seconds(f64),
    /// Since the start; what is written is how many there were since the line before.
    Total(u64),
}

/// Writes what `health` measures until the runtime ends. Must be called on a runtime.
pub(super) fn publish(namespace: String, service: &'static str, health: Arc<dyn Health>) {
    tokio::spawn(async move {
        let mut before = BTreeMap::new();
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let found = health.measures();
            if !found.is_empty() {
                let line = line(&namespace, service, &found, &mut before, now_ms());
                // Nobody reads it: that is no reason to end.
                let _ = writeln!(std::io::stdout(), "{line}");
            }
        }
    });
}

/// One line. The format is "Specification: Embedded metric format" of the Amazon CloudWatch User
/// Guide: `_aws` holds the time in milliseconds and the directives; dimensions and values are
/// members of the root that the directives name.
fn line(
    namespace: &str,
    service: &str,
    measures: &[(&'static str, Measure)],
    before: &mut BTreeMap<&'static str, u64>,
    now_ms: i64,
) -> Value {
    let mut metrics = Vec::with_capacity(measures.len());
    let mut root = json!({"Service": service});
    for (name, measure) in measures {
        let (unit, value) = match measure {
            Measure::Seconds(seconds) => ("Seconds", json!(seconds)),
            Measure::Total(total) => {
                let last = before.insert(name, *total).unwrap_or_default();
                ("Count", json!(total.saturating_sub(last)))
            }
        };
        metrics.push(json!({"Name": name, "Unit": unit}));
        root[*name] = value;
    }
    root["_aws"] = json!({
        "Timestamp": now_ms,
        "CloudWatchMetrics": [{
            "Namespace": namespace,
            "Dimensions": [["Service"]],
            "Metrics": metrics,
        }],
    });
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_cloudwatch_specifies_it_and_counts_from_the_one_before() {
        let mut before = BTreeMap::new();
        let mut at = |total| {
            let measures =
                [("LagSeconds", Measure::Seconds(1.5)), ("Records", Measure::Total(total))];
            line("Tahoe/shop", "tahoe-transformer", &measures, &mut before, 1_700_000_000_123)
        };
        let first = at(7);
        let directive = &first["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(first["_aws"]["Timestamp"], json!(1_700_000_000_123_i64));
        assert_eq!(directive["Namespace"], json!("Tahoe/shop"));
        assert_eq!(directive["Dimensions"], json!([["Service"]]));
        let metrics = json!([
            {"Name": "LagSeconds", "Unit": "Seconds"},
            {"Name": "Records", "Unit": "Count"},
        ]);
        assert_eq!(directive["Metrics"], metrics);
        // What the directives name must be members of the root: a text, and numbers.
        assert_eq!(first["Service"], json!("tahoe-transformer"));
        assert_eq!((&first["LagSeconds"], &first["Records"]), (&json!(1.5), &json!(7)));
        assert!(!first.to_string().contains('\n'), "one event of the log is one line");
        assert_eq!(at(9)["Records"], json!(2));
    }

    #[test]
    fn a_namespace_that_cloudwatch_refuses_is_refused_at_the_start() {
        let asked = |name: &str| EmfArgs { emf_namespace: Some(name.to_owned()) }.namespace();
        assert_eq!(asked("Tahoe/shop"), Ok(Some("Tahoe/shop".to_owned())));
        assert_eq!(asked(""), Ok(None));
        for name in ["a b", "ü"] {
            let error = asked(name).expect_err("refused");
            assert!(error.starts_with(&format!("--emf-namespace {name}")), "{error}");
        }
    }
}
