//! What a process says of itself: its sources' counters, and whether what it depends on answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Metered, metric};
use crate::lock::lock;

/// A probe every few seconds shall not cost the servers a check each.
const FRESH: Duration = Duration::from_secs(5);

/// Asks whether what a service depends on answers, and remembers the answer for a while.
pub struct Readiness {
    ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    answer: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Readiness {
    /// `ask` connects and changes nothing; its error is the answer of `/readyz`.
    pub fn new(ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { ask: Box::new(ask), answer: Mutex::new(None) }
    }

    /// Asks once, in the background, and logs why the service is not ready, if it is not: what is
    /// wrong shall be seen before the first record needs it.
    pub fn tell(self: &Arc<Self>) {
        let ready = Arc::clone(self);
        std::thread::spawn(move || {
            if let Some(text) = ready.failure() {
                tracing::warn!(text, "not ready");
            }
        });
    }

    /// Why the service is not ready. Blocks while it asks; one caller at a time does.
    pub fn failure(&self) -> Option<String> {
        let mut answer = lock(&self.answer);
        match &*answer {
            Some((at, result)) if at.elapsed() < FRESH => result.clone().err(),
            _ => {
                let result = (self.ask)();
                *answer = Some((Instant::now(), result.clone()));
                result.err()
            }
        }
    }
}

/// Why one of `sources` does not read now, if one does not.
pub fn not_running(sources: &[Metered]) -> Option<String> {
    let stopped = sources.iter().find(|source| !source.counts.is_running())?;
    let failure = lock(&stopped.failure).clone();
    Some(format!("{}: {}", stopped.name, failure.as_deref().unwrap_or("starting")))
}

/// Appends the producers' half of the law, and how far each source is behind.
pub fn source_metrics(sources: &[Metered], out: &mut String) {
    let each = |count: fn(&Metered) -> u64| {
        let one = |source: &Metered| (format!("source=\"{}\"", source.name), count(source));
        sources.iter().map(one).collect::<Vec<_>>()
    };
    let read = each(|source| source.counts.read.get());
    metric(out, "tahoe_producer_records_read_total", "counter", "Records read.", &read);
    let appended = each(|source| source.counts.appended.get());
    let help = "Records acknowledged by the log.";
    metric(out, "tahoe_producer_records_appended_total", "counter", help, &appended);
    let there = each(|source| source.counts.already_there.get());
    let help = "Records found in the log at the start, beyond the stored position.";
    metric(out, "tahoe_producer_records_already_there_total", "counter", help, &there);
    let dropped = each(|source| source.counts.dropped.get());
    let help = "Records lost before they could be appended.";
    metric(out, "tahoe_producer_records_dropped_total", "counter", help, &dropped);
    let undone = each(|source| source.counts.undone.get());
    let help = "Records in flight when a source began anew: found in the log or read again.";
    metric(out, "tahoe_producer_records_undone_total", "counter", help, &undone);
    let running = each(|source| source.counts.is_running().into());
    metric(out, "tahoe_producer_source_running", "gauge", "1 while it reads.", &running);

    let (mut bytes, mut seconds) = (Vec::new(), Vec::new());
    for source in sources {
        for lag in source.counts.lag() {
            let of = lag.of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let labels = format!("source=\"{}\",stream=\"{of}\"", source.name);
            bytes.push((labels.clone(), lag.bytes));
            seconds.push((labels, lag.seconds));
        }
    }
    let help = "Bytes that are there and not yet read.";
    metric(out, "tahoe_producer_lag_bytes", "gauge", help, &bytes);
    let help = "Seconds since everything was read last.";
    metric(out, "tahoe_producer_lag_seconds", "gauge", help, &seconds);
}

/// The same of each source, as [`Health::measured`](super::Health::measured) tells it.
pub fn source_records(sources: &[Metered]) -> Vec<Map<String, Value>> {
    let record = |source: &Metered| {
        let counts = &source.counts;
        let (read, appended) = (counts.read.get(), counts.appended.get());
        let (dropped, undone) = (counts.dropped.get(), counts.undone.get());
        let why = not_running(std::slice::from_ref(source));
        let lags = counts.lag();
        let bytes: u64 = lags.iter().map(|lag| lag.bytes).sum();
        let seconds = lags.iter().map(|lag| lag.seconds).fold(0.0, f64::max);
        let mut record = object(json!({
            "tahoe.set": "source",
            "tahoe.source.name": source.name,
            "service.state": if why.is_none() { "up" } else { "down" },
            "tahoe.counts.read": read,
            "tahoe.counts.appended": appended,
            "tahoe.counts.already_there": counts.already_there.get(),
            "tahoe.counts.dropped": dropped,
            "tahoe.counts.undone": undone,
            "tahoe.counts.in_flight": read.saturating_sub(appended + dropped + undone),
            "tahoe.lag.bytes": bytes,
            "tahoe.lag.seconds": seconds,
        }));
        record.extend(why.map(|why| ("event.reason".to_owned(), json!(why))));
        record
    };
    sources.iter().map(record).collect()
}

/// The fields of a record of [`Health::measured`](super::Health::measured).
pub fn object(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tahoe_seams::Lag;

    use super::*;
    use crate::telemetry::ProducerCounts;

    fn source() -> Metered {
        let counts = Arc::new(ProducerCounts::default());
        Metered { name: "laravel".to_owned(), counts, failure: Arc::default() }
    }

    #[test]
    fn an_answer_is_asked_for_once_and_then_remembered() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let ready = Readiness::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Err("kafka is away".to_owned())
        });
        assert_eq!(ready.failure().as_deref(), Some("kafka is away"));
        assert_eq!(ready.failure().as_deref(), Some("kafka is away"));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_source_that_does_not_read_says_why() {
        let source = source();
        let text = not_running(std::slice::from_ref(&source));
        assert_eq!(text.as_deref(), Some("laravel: starting"));
        *source.failure.lock().expect("no panic") = Some("no topic".to_owned());
        let text = not_running(std::slice::from_ref(&source));
        assert_eq!(text.as_deref(), Some("laravel: no topic"));
        source.counts.set_running(true);
        assert_eq!(not_running(&[source]), None);
    }

    #[test]
    fn a_path_with_a_quote_is_escaped_as_prometheus_wants_it() {
        let source = source();
        source.counts.set_lag(vec![Lag { of: "/a\"b".to_owned(), bytes: 7, seconds: 0.5 }]);
        let mut out = String::new();
        source_metrics(&[source], &mut out);
        let line = "tahoe_producer_lag_seconds{source=\"laravel\",stream=\"/a\\\"b\"} 0.5";
        assert!(out.contains(line), "{out}");
    }
}
