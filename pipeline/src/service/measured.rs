//! What a service says of itself in the log: every half minute a few records of the dataset
//! `tahoe.service`, which the transformer stores like any other, so that Kibana shows the pipeline's
//! health. A thread of its own says it; where the log does not take it, nothing else is held up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use tahoe_schemas::datasets::tahoe_service::DATASET;
use tahoe_seams::{Log, LogError, Outgoing};

use super::Health;
use super::usage::Usage;
use crate::clock::{now_ms, timestamp};
use crate::partition;
use crate::stop::Patience;

/// How long a stop waits for the last records.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Between two looks at whether it still is to be waited for.
const LOOK: Duration = Duration::from_millis(50);

/// What of a record is a total since the start, and is told as what came since the record before.
const TOTALS: &str = "tahoe.counts.";

/// The one count that is as of now.
const IN_FLIGHT: &str = "tahoe.counts.in_flight";

/// Whether a service says in the log what it measures of itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Process")]
pub struct MeasureArgs {
    /// Seconds between two sets of records of what this service measures of itself, in the topic
    /// tahoe_metrics, from which the dashboards are made; 0: none
    #[arg(long, env = "TAHOE_MEASURE_SECONDS", value_name = "SECONDS", default_value_t = 30)]
    pub measure_seconds: u64,
}

impl MeasureArgs {
    /// The time between two sets, if there are to be any.
    pub fn every(&self) -> Option<Duration> {
        (self.measure_seconds > 0).then(|| Duration::from_secs(self.measure_seconds))
    }
}

/// Who speaks.
pub struct Speaker {
    /// `tahoe-laravel`
    pub service: &'static str,
    /// The host's name.
    pub node: String,
}

/// Says it until it is dropped, and then once more, that it stopped.
pub struct Measured {
    going: Option<Sender<()>>,
    /// Closed when the last was said.
    ended: Option<Receiver<()>>,
    patience: Patience,
}

impl Measured {
    /// Begins, if there is anything to say. The end waits for the last with that `patience`.
    pub fn begin(
        every: Option<Duration>,
        speaker: Speaker,
        log: &Arc<dyn Log>,
        health: Arc<dyn Health>,
        patience: Patience,
    ) -> Self {
        let Some(every) = every else { return Self { going: None, ended: None, patience } };
        let (going, gone) = mpsc::channel::<()>();
        let (ending, ended) = mpsc::channel::<()>();
        let mut telling = Telling {
            speaker,
            log: Arc::clone(log),
            health,
            usage: Usage::begin(),
            started: Instant::now(),
            before: BTreeMap::new(),
            failed: None,
        };
        let body = move || {
            while gone.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                telling.say(None, every);
            }
            telling.say(Some("stopped"), LAST_WITHIN);
            drop(ending);
        };
        let thread = std::thread::Builder::new().name("measured".to_owned()).spawn(body);
        thread.expect("the system gives a thread");
        Self { going: Some(going), ended: Some(ended), patience }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        drop(self.going.take());
        // A log that does not answer shall not hold up the end.
        let Some(ended) = &self.ended else { return };
        let until = Instant::now() + LAST_WITHIN;
        while Instant::now() < until && !self.patience.is_over() {
            if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

struct Telling {
    speaker: Speaker,
    log: Arc<dyn Log>,
    health: Arc<dyn Health>,
    usage: Usage,
    started: Instant,
    /// Totals as of the last set, by the record's subject and the field.
    before: BTreeMap<(String, String), u64>,
    /// Why the log did not take the last set: said once, and not every half minute.
    failed: Option<String>,
}

impl Telling {
    /// Appends a set and waits at most `within` for the log to have it.
    fn say(&mut self, state: Option<&str>, within: Duration) {
        let mut records = vec![self.own(state)];
        records.extend(self.health.measured());
        let at = json!(timestamp().to_string());
        let lines: Vec<_> = records.into_iter().map(|record| self.line(record, &at)).collect();
        let failure = self.append(&lines, within).err().map(|error| error.to_string());
        if failure != self.failed {
            if let Some(text) = &failure {
                tracing::warn!(text, "what is measured reaches no dashboard (--measure-seconds)");
            }
            self.failed = failure;
        }
    }

    fn append(&self, lines: &[String], within: Duration) -> Result<(), LogError> {
        let topic = DATASET.declared().topic;
        let key = self.speaker.node.as_bytes();
        let partition = partition::of_key(key, self.log.partitions(topic)?);
        let record = |line| Outgoing {
            topic,
            partition,
            key,
            value: str::as_bytes(line),
            timestamp_ms: now_ms(),
            header: None,
            more_headers: &[],
        };
        let records: Vec<_> = lines.iter().map(|line| record(line)).collect();
        // Not known in time is no failure: the next set says how things are then.
        self.log.append(&records)?.wait(within).map_or(Ok(()), |result| result.map(drop))
    }

    /// The service itself.
    fn own(&mut self, state: Option<&str>) -> Map<String, Value> {
        let mut record = self.usage.look();
        record.insert("tahoe.set".to_owned(), json!("service"));
        let why = if state.is_none() { self.health.not_ready() } else { None };
        let found = if why.is_some() { "down" } else { "up" };
        record.insert("service.state".to_owned(), json!(state.unwrap_or(found)));
        record.extend(why.map(|why| ("event.reason".to_owned(), json!(why))));
        record.insert("process.pid".to_owned(), json!(std::process::id()));
        record.insert("process.uptime".to_owned(), json!(self.started.elapsed().as_secs()));
        record
    }

    /// A record with what all have, its totals as what came since the last.
    fn line(&mut self, mut record: Map<String, Value>, at: &Value) -> String {
        let subject =
            ["tahoe.set", "tahoe.source.name", "tahoe.counted.dataset", "tahoe.topic.name"]
                .map(|name| record.get(name).and_then(Value::as_str).unwrap_or_default())
                .join("\n");
        for (name, value) in &mut record {
            let is_total = name.starts_with(TOTALS) && name != IN_FLIGHT;
            if let Some(total) = value.as_u64().filter(|_| is_total) {
                let before = self.before.insert((subject.clone(), name.clone()), total);
                *value = json!(total.saturating_sub(before.unwrap_or(0)));
            }
        }
        let mut line = json!({"@timestamp": at});
        // What it says of another service has that one's name, and not our version.
        if !record.contains_key("service.name") {
            line["service.name"] = json!(self.speaker.service);
            line["service.type"] = json!("tahoe");
            line["service.version"] = json!(env!("CARGO_PKG_VERSION"));
            line["service.node.name"] = json!(self.speaker.node);
        }
        if let Some(all) = line.as_object_mut() {
            all.extend(record);
        }
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU64);

    impl Health for Counting {
        fn metrics(&self, _out: &mut String) {}
        fn not_ready(&self) -> Option<String> {
            None
        }
        fn measured(&self) -> Vec<Map<String, Value>> {
            let read = self.0.fetch_add(5, std::sync::atomic::Ordering::Relaxed);
            let source = json!({
                "tahoe.set": "source",
                "tahoe.source.name": "laravel",
                "tahoe.counts.read": read,
                "tahoe.counts.in_flight": 2,
            });
            source.as_object().cloned().into_iter().collect()
        }
    }

    #[test]
    fn a_total_is_told_as_what_came_since_the_record_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = crate::log::embedded::EmbeddedSettings::default();
        let log = crate::log::embedded::EmbeddedLog::open(folder.path(), &settings);
        let log: Arc<dyn Log> = Arc::new(log.expect("an empty folder"));
        let topic = DATASET.declared().topic.to_owned();
        let wanted = tahoe_seams::Topic { name: topic.clone(), partitions: 1, compacted: false };
        log.setup(&[wanted]).expect("created");
        let speaker = Speaker { service: "tahoe-laravel", node: "web-1".to_owned() };
        let health = Arc::new(Counting(7.into()));
        drop(Measured::begin(
            Some(Duration::from_millis(1)),
            speaker,
            &log,
            health,
            Patience::default(),
        ));
        let mut told = Vec::new();
        let end = log.offsets(&topic, 0, None).expect("there").end;
        let scanned = log.scan(&topic, 0, 0, end, &mut |record| {
            let line: Value = serde_json::from_slice(record.value).expect("JSON");
            told.push(line);
            std::ops::ControlFlow::Continue(())
        });
        scanned.expect("readable");
        let read: Vec<_> =
            told.iter().filter_map(|line| line["tahoe.counts.read"].as_u64()).collect();
        assert_eq!((read[0], &read[1..]), (7, &*vec![5; read.len() - 1]), "{told:?}");
        let last = &told[told.len() - 2];
        assert_eq!(
            (&last["tahoe.set"], &last["service.state"]),
            (&json!("service"), &json!("stopped"))
        );
    }
}
