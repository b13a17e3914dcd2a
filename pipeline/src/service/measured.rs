//! What a service says of itself in the log: every half minute a few records of the dataset
//! `tahoe.service`, which the transformer stores like any other, so that Kibana shows the pipeline's
//! health. A thread of its own says it; where the log does not take it, nothing else is held up. What
//! it counts itself comes first, and its last word waits for no answer of what it depends on, which
//! may be away when the service ends.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use tahoe_schemas::datasets::tahoe_service::DATASET;
use tahoe_seams::{Log, LogError, Outgoing};

use super::Health;
use super::usage::Usage;
use crate::clock::{now_ms, timestamp};
use crate::lock::lock;
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
    going: Option<(Sender<()>, Arc<Mutex<Telling>>)>,
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
        let Some(every) = every else { return Self { going: None, patience } };
        let (going, gone) = mpsc::channel::<()>();
        let telling = Arc::new(Mutex::new(Telling {
            speaker,
            log: Arc::clone(log),
            health: Arc::clone(&health),
            usage: Usage::begin(),
            started: Instant::now(),
            before: BTreeMap::new(),
            failed: None,
        }));
        let shared = Arc::clone(&telling);
        let body = move || {
            while gone.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let why = health.not_ready();
                let state = if why.is_some() { "down" } else { "up" };
                unless_gone(&gone, &shared, |telling| telling.say_own(state, why, every));
                let around = health.measured_around();
                unless_gone(&gone, &shared, |telling| telling.say(around, every));
            }
        };
        start_thread(body).expect("the system gives a thread");
        Self { going: Some((going, telling)), patience }
    }
}

fn start_thread(body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("measured".to_owned()).spawn(body).map(drop)
}

/// Says something, but nothing after the last word.
fn unless_gone(gone: &Receiver<()>, telling: &Mutex<Telling>, say: impl FnOnce(&mut Telling)) {
    let mut telling = lock(telling);
    if gone.try_recv() != Err(TryRecvError::Disconnected) {
        say(&mut telling);
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let Some((going, telling)) = self.going.take() else { return };
        // What is asked now is not said any more.
        drop(going);
        let (ending, ended) = mpsc::channel::<()>();
        let last = move || {
            lock(&telling).say_own("stopped", None, LAST_WITHIN);
            drop(ending);
        };
        if start_thread(last).is_err() {
            return;
        }
        // A log that does not answer shall not hold up the end.
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
    /// Says what the service counts itself.
    fn say_own(&mut self, state: &str, why: Option<String>, within: Duration) {
        let mut records = vec![self.own(state, why)];
        records.extend(self.health.measured());
        self.say(records, within);
    }

    /// Appends a set and waits at most `within` for the log to have it.
    fn say(&mut self, records: Vec<Map<String, Value>>, within: Duration) {
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
    fn own(&mut self, state: &str, why: Option<String>) -> Map<String, Value> {
        let mut record = self.usage.look();
        record.insert("tahoe.set".to_owned(), json!("service"));
        record.insert("service.state".to_owned(), json!(state));
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
    use super::super::object;
    use super::*;

    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::log::embedded::{EmbeddedLog, EmbeddedSettings};

    /// Counts five more each time; what it depends on answers when the sender is gone.
    struct Counting(AtomicU64, Mutex<Option<Receiver<()>>>);

    impl Health for Counting {
        fn metrics(&self, _out: &mut String) {}
        fn not_ready(&self) -> Option<String> {
            None
        }
        fn measured(&self) -> Vec<Map<String, Value>> {
            let read = self.0.fetch_add(5, Ordering::Relaxed);
            let source = json!({
                "tahoe.set": "source",
                "tahoe.source.name": "laravel",
                "tahoe.counts.read": read,
                "tahoe.counts.in_flight": 2,
            });
            vec![object(source)]
        }
        fn measured_around(&self) -> Vec<Map<String, Value>> {
            if let Some(answer) = &*lock(&self.1) {
                assert!(answer.recv().is_err(), "nothing is sent");
            }
            let kafka = json!({"tahoe.set": "service", "service.name": "kafka"});
            vec![object(kafka)]
        }
    }

    struct Site {
        log: Arc<dyn Log>,
        health: Arc<Counting>,
        _folder: tempfile::TempDir,
    }

    impl Site {
        fn set_up(answer: Option<Receiver<()>>) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let log = EmbeddedLog::open(folder.path(), &EmbeddedSettings::default());
            let log: Arc<dyn Log> = Arc::new(log.expect("an empty folder"));
            let name = DATASET.declared().topic.to_owned();
            let topic = tahoe_seams::Topic { name, partitions: 1, compacted: false };
            log.setup(&[topic]).expect("created");
            let health = Arc::new(Counting(7.into(), Mutex::new(answer)));
            Self { log, health, _folder: folder }
        }

        fn begin(&self) -> Measured {
            let speaker = Speaker { service: "tahoe-laravel", node: "web-1".to_owned() };
            let every = Some(Duration::from_millis(1));
            let health = Arc::clone(&self.health) as Arc<dyn Health>;
            Measured::begin(every, speaker, &self.log, health, Patience::default())
        }

        fn told(&self) -> Vec<Value> {
            let topic = DATASET.declared().topic;
            let mut told = Vec::new();
            let end = self.log.offsets(topic, 0, None).expect("there").end;
            let scanned = self.log.scan(topic, 0, 0, end, &mut |record| {
                let line: Value = serde_json::from_slice(record.value).expect("JSON");
                told.push(line);
                std::ops::ControlFlow::Continue(())
            });
            scanned.expect("readable");
            told
        }
    }

    #[test]
    fn a_total_is_told_as_what_came_since_the_record_before() {
        let site = Site::set_up(None);
        drop(site.begin());
        let told = site.told();
        let read: Vec<_> =
            told.iter().filter_map(|line| line["tahoe.counts.read"].as_u64()).collect();
        assert_eq!((read[0], &read[1..]), (7, &*vec![5; read.len() - 1]), "{told:?}");
        let last = &told[told.len() - 2];
        assert_eq!(
            (&last["tahoe.set"], &last["service.state"]),
            (&json!("service"), &json!("stopped"))
        );
    }

    #[test]
    fn the_last_word_waits_for_no_answer_and_is_the_last() {
        let (answer, answered) = mpsc::channel();
        let site = Site::set_up(Some(answered));
        let measured = site.begin();
        while site.health.0.load(Ordering::Relaxed) == 7 {
            std::thread::yield_now();
        }
        drop(measured);
        let states = || -> Vec<_> {
            let told = site.told();
            told.iter().map(|line| line["service.state"].as_str().map(str::to_owned)).collect()
        };
        let expected =
            ["up", "", "stopped", ""].map(|state| (!state.is_empty()).then(|| state.to_owned()));
        assert_eq!(states(), expected);
        drop(answer);
        // Until nobody is there who could say more.
        while Arc::strong_count(&site.health) > 1 {
            std::thread::yield_now();
        }
        assert_eq!(states(), expected);
    }
}
