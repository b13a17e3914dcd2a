//! A log that can be held up and that remembers which positions were stored.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use tahoe_pipeline::log::embedded::{EmbeddedLog, EmbeddedSettings};
use tahoe_pipeline::produce::{ProduceSettings, produce};
use tahoe_pipeline::renewed::Screens;
use tahoe_pipeline::retry::EndedEarly;
use tahoe_pipeline::seams::{
    KeyValue, Log, LogError, LogReader, Outgoing, Ownership, Pending, Source, Topic, Visit,
};
use tahoe_pipeline::stop::Stop;
use tahoe_pipeline::telemetry::ProducerCounts;

pub const TOPIC: &str = "syslog_logs";

#[derive(Default)]
struct State {
    held: bool,
    full: bool,
    waiting: bool,
    stored: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The embedded log behind a gate.
pub struct Watched {
    inner: EmbeddedLog,
    state: Mutex<State>,
    changed: Condvar,
    _folder: tempfile::TempDir,
}

impl Watched {
    /// A new log with one topic.
    pub fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = EmbeddedLog::open(folder.path(), &EmbeddedSettings::default()).expect("opens");
        let topics = [(TOPIC, 2, false), ("tahoe.positions", 1, true)].map(
            |(name, partitions, compacted)| Topic { name: name.into(), partitions, compacted },
        );
        inner.setup(&topics).expect("topics can be created");
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { inner, state, changed, _folder: folder })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// From now on `append` waits.
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Waits until an `append` waits.
    pub fn wait_until_held(&self) {
        let wait = Duration::from_secs(10);
        let waited = self.changed.wait_timeout_while(self.state(), wait, |state| !state.waiting);
        assert!(waited.expect("no panic").0.waiting, "nothing was appended");
    }

    /// From now on `append` fails, as on a full disk.
    pub fn fill(&self) {
        self.state().full = true;
    }

    /// It fails.
    pub fn is_full(&self) -> bool {
        self.state().full
    }

    /// There is room again.
    pub fn make_room(&self) {
        self.state().full = false;
    }

    /// Lets `append` go on.
    pub fn let_go(&self) {
        self.state().held = false;
        self.changed.notify_all();
    }

    /// Every change of a position.
    pub fn stored(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.state().stored.clone()
    }

    /// The texts in the log, sorted.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<_> = self.records().into_iter().map(|(.., text)| text).collect();
        texts.sort_unstable();
        texts
    }

    /// Partition, key and text of each record, in the order of the partitions.
    pub fn records(&self) -> Vec<(u32, String, String)> {
        let mut records = Vec::new();
        for partition in 0..2 {
            let mut visit = |record: tahoe_pipeline::seams::LogRecord<'_>| {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                if !record.value.is_empty() {
                    records.push((partition, text(record.key), text(record.value)));
                }
                ControlFlow::Continue(())
            };
            self.inner.scan(TOPIC, partition, 0, u64::MAX, &mut visit).expect("it can be read");
        }
        records
    }
}

impl Log for Watched {
    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.inner.partitions(topic)
    }

    fn setup(&self, topics: &[Topic]) -> Result<(), LogError> {
        self.inner.setup(topics)
    }

    fn append(&self, records: &[Outgoing<'_>]) -> Result<Pending, LogError> {
        let mut state = self.state();
        state.waiting = state.held;
        self.changed.notify_all();
        let state = self.changed.wait_while(state, |state| state.held).expect("no panic");
        if state.full {
            return Err(LogError::Retry("the disk is full".to_owned(), None));
        }
        drop(state);
        self.inner.append(records)
    }

    fn fence(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        self.inner.fence(topic, partition)
    }

    fn scan(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        self.inner.scan(topic, partition, from, to, visit)
    }

    fn offsets(
        &self,
        topic: &str,
        partition: u32,
        from_ms: Option<i64>,
    ) -> Result<Range<u64>, LogError> {
        self.inner.offsets(topic, partition, from_ms)
    }

    fn positions(&self) -> Result<Vec<KeyValue>, LogError> {
        self.inner.positions()
    }

    fn store_positions(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LogError> {
        self.state().stored.extend(changes.iter().cloned());
        self.inner.store_positions(changes)
    }

    fn own(&self, owner: &str) -> Result<Box<dyn Ownership>, LogError> {
        self.inner.own(owner)
    }

    fn check(&self, topics: &[String]) -> Result<String, LogError> {
        self.inner.check(topics)
    }

    fn reader(&self, group: &str, topics: &[String]) -> Result<Box<dyn LogReader>, LogError> {
        self.inner.reader(group, topics)
    }
}

/// A producer loop on a thread of its own.
pub struct Loop {
    pub stop: Stop,
    pub counts: Arc<ProducerCounts>,
    thread: JoinHandle<Result<(), EndedEarly>>,
}

impl Loop {
    pub fn start(log: &Arc<Watched>, source: impl Source + 'static) -> Self {
        Self::start_behind(None, log, source)
    }

    /// The same on another host.
    pub fn start_on(host: &str, log: &Arc<Watched>, source: impl Source + 'static) -> Self {
        Self::start_as(&format!("{host}/test"), None, log, source)
    }

    /// The same with a privacy policy before the log.
    pub fn start_behind(
        screen: Option<Arc<Screens>>,
        log: &Arc<Watched>,
        source: impl Source + 'static,
    ) -> Self {
        Self::start_as("host/test", screen, log, source)
    }

    fn start_as(
        owner: &str,
        screen: Option<Arc<Screens>>,
        log: &Arc<Watched>,
        mut source: impl Source + 'static,
    ) -> Self {
        let (stop, counts) = (Stop::default(), Arc::new(ProducerCounts::default()));
        let settings = ProduceSettings {
            owner: owner.to_owned(),
            grace: Duration::from_secs(20),
            pack_bytes: 0,
            screen,
        };
        let thread = std::thread::spawn({
            let (log, stop, counts) = (Arc::clone(log), stop.clone(), Arc::clone(&counts));
            move || produce(log.as_ref(), &mut source, &settings, &stop, &counts)
        });
        Self { stop, counts, thread }
    }

    pub fn join(self) -> Result<(), EndedEarly> {
        self.thread.join().expect("no panic")
    }
}
