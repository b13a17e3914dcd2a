//! A log and a sink that follow a script, and remember what they were asked.

use std::collections::{BTreeSet, VecDeque};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tahoe_pipeline::retry::EndedEarly;
use tahoe_pipeline::stop::Stop;
use tahoe_seams::{
    Appended, EventBatch, KeyValue, Log, LogError, LogReader, LogRecord, MoreHeaders, Outcome,
    Outgoing, Ownership, Pending, Polled, Sink, SinkError, Topic, Visit,
};
use tahoe_transformer::{GeoFiles, Renewal, TransformSettings, TransformerCounts, transform};

use crate::database;

pub const TOPIC: &str = "laravel_logs";

/// A header that no version wrote, and one of a version to come.
const BROKEN: &[u8] = &[1];
const NEWER: &[u8] = &[9, 0, 0];

/// One answer of the reader.
#[derive(Clone)]
pub enum Step {
    /// A record of this partition, at this offset.
    Record(u32, u64),
    /// One that is rejected.
    Bad(u32, u64),
    /// One that a newer producer wrote.
    Newer(u32, u64),
    /// Everything before was committed or given up.
    Settled,
    /// The sink has begun to write.
    Writing,
    Told(Polled),
    /// The log cannot be read now.
    Fails,
    /// Another database is in the file's place.
    City(&'static str),
}

/// Partition and offset of the record that it is of.
pub type Letter = (String, String);

#[derive(Default)]
pub struct Seen {
    pub commits: Vec<(u32, u64)>,
    /// `find`, `write` or `write replayed`, and how many events.
    pub asked: Vec<(&'static str, usize)>,
    pub documents: Vec<String>,
    /// Those that are durable.
    pub letters: Vec<Letter>,
    /// Ranges that were read again.
    pub scans: Vec<(u32, u64, u64)>,
    pub confirmed: usize,
}

/// What does not work.
#[derive(Default)]
pub struct Faults {
    /// The log takes no letter of this number, once.
    pub refuse_letter: Option<usize>,
    /// Retention has deleted these records.
    pub gone: BTreeSet<(u32, u64)>,
    /// Records before this offset are read again.
    pub replayed_to: u64,
    /// Letters are durable when the reader was asked so often after they were sent.
    pub letters_after_reads: usize,
}

#[derive(Clone)]
pub struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Seen>>,
    faults: Arc<Mutex<Faults>>,
    pub counts: Arc<TransformerCounts>,
    pub stop: Stop,
    pub grace: Duration,
    pub city: Option<(PathBuf, Arc<GeoFiles>)>,
    /// The sink answers nothing.
    pub silent: Arc<AtomicBool>,
    /// Writes that wait for the sink now.
    pub writing: Arc<AtomicUsize>,
    held: Arc<Mutex<Held>>,
}

type Promise = SyncSender<Result<Appended, LogError>>;

/// What the log holds, and letters that it has not acknowledged.
#[derive(Default)]
struct Held {
    bad: BTreeSet<(u32, u64)>,
    letters: usize,
    waiting: Vec<(usize, Letter, Promise)>,
}

/// Counts a write for as long as it is wanted.
struct Writing(Arc<AtomicUsize>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Script {
    pub fn new(steps: &[Step]) -> Self {
        Self {
            steps: Arc::new(Mutex::new(steps.iter().cloned().collect())),
            seen: Arc::default(),
            faults: Arc::default(),
            counts: Arc::default(),
            stop: Stop::default(),
            grace: Duration::from_secs(10),
            city: None,
            silent: Arc::default(),
            writing: Arc::default(),
            held: Arc::default(),
        }
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        self.steps.lock().expect("no panic while held")
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic while held")
    }

    /// What was asked of it until now.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic while held")
    }

    /// What does not work from now on.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect("no panic while held")
    }

    /// One step more.
    pub fn goes_on(&self, step: Step) {
        self.steps().push_back(step);
    }

    /// The loop goes on until it is asked to stop.
    pub async fn run(&self) {
        self.ends().await.expect("the loop goes on until it is asked to stop");
    }

    pub async fn ends(&self) -> Result<(), EndedEarly> {
        let (script, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let sink: Arc<dyn Sink> = Arc::new(self.clone());
        let settings = TransformSettings {
            topics: vec![TOPIC.to_owned()],
            linger: Duration::from_millis(1),
            grace: self.grace,
            renewal: Renewal {
                geoip: self.city.as_ref().map(|(_, files)| Arc::clone(files)),
                ..Renewal::default()
            },
            ..TransformSettings::default()
        };
        let body = move || {
            let (stop, counts) = (&script.stop, &script.counts);
            transform(&script, &sink, &settings, stop, counts, &runtime)
        };
        tokio::task::spawn_blocking(body).await.expect("no panic")
    }

    /// The reader is asked once more.
    fn acknowledge(&self) {
        let mut held = self.held();
        let mut waiting = std::mem::take(&mut held.waiting);
        waiting.retain_mut(|(reads, letter, promise)| {
            *reads = reads.saturating_sub(1);
            if *reads == 0 {
                self.seen().letters.push(letter.clone());
                let _ = promise.send(Ok(Vec::new()));
            }
            *reads > 0
        });
        held.waiting = waiting;
    }
}

impl Log for Script {
    fn partitions(&self, _topic: &str) -> Result<u32, LogError> {
        Ok(2)
    }
    fn setup(&self, _topics: &[Topic]) -> Result<(), LogError> {
        Ok(())
    }
    fn check(&self, _topics: &[String]) -> Result<String, LogError> {
        unreachable!("a reader checks nothing")
    }
    fn append(&self, records: &[Outgoing<'_>]) -> Result<Pending, LogError> {
        let (promise, pending) = Pending::channel();
        let [record] = records else { panic!("letters are told one by one") };
        let header = |name| {
            let found = record.more_headers.iter().find(|(of, _)| *of == name);
            String::from_utf8_lossy(found.expect("a letter has it").1).into_owned()
        };
        let letter = (header("tahoe.partition"), header("tahoe.offset"));
        let mut held = self.held();
        let mut faults = self.faults();
        held.letters += 1;
        if faults.refuse_letter == Some(held.letters) {
            faults.refuse_letter = None;
            let _ = promise.send(Err(LogError::Retry("not now".to_owned(), None)));
        } else if faults.letters_after_reads > 0 {
            held.waiting.push((faults.letters_after_reads, letter, promise));
        } else {
            self.seen().letters.push(letter);
            let _ = promise.send(Ok(Vec::new()));
        }
        Ok(pending)
    }
    fn fence(&self, _topic: &str, _partition: u32) -> Result<u64, LogError> {
        unreachable!("a reader writes no fence")
    }
    fn scan(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        self.seen().scans.push((partition, from, to));
        let bad = self.held().bad.clone();
        let gone = self.faults().gone.clone();
        let there = bad.into_iter().filter(|at| at.0 == partition && !gone.contains(at));
        for (_, offset) in there.filter(|(_, offset)| (from..to).contains(offset)) {
            if visit(record(topic, partition, offset, Some(BROKEN))).is_break() {
                break;
            }
        }
        Ok(())
    }
    fn offsets(&self, _: &str, _: u32, _: Option<i64>) -> Result<Range<u64>, LogError> {
        unreachable!("nothing is replayed")
    }
    fn positions(&self) -> Result<Vec<KeyValue>, LogError> {
        Ok(Vec::new())
    }
    fn store_positions(&self, _changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LogError> {
        Ok(())
    }
    fn own(&self, _owner: &str) -> Result<Box<dyn Ownership>, LogError> {
        unreachable!("a reader owns no sources")
    }
    fn reader(&self, _group: &str, _topics: &[String]) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(self.clone()))
    }
}

fn record<'a>(
    topic: &'a str,
    partition: u32,
    offset: u64,
    header: Option<&'a [u8]>,
) -> LogRecord<'a> {
    LogRecord {
        topic,
        partition,
        offset,
        timestamp_ms: 1_700_000_000_000,
        key: b"",
        value: b"[2026-03-04 09:27:05] local.INFO: hello {\"ip\":\"203.0.113.9\"}",
        header,
        more_headers: MoreHeaders::default(),
    }
}

impl LogReader for Script {
    fn read(&mut self, _wait: Duration, visit: &mut Visit<'_>) -> Result<Polled, LogError> {
        self.acknowledge();
        let step = self.steps().pop_front();
        let again = |step| self.steps().push_front(step);
        let mut give = |partition, offset, header| {
            let _: ControlFlow<()> = visit(record(TOPIC, partition, offset, header));
        };
        match step {
            Some(Step::Record(partition, offset)) => give(partition, offset, None),
            Some(Step::Bad(partition, offset)) => {
                self.held().bad.insert((partition, offset));
                give(partition, offset, Some(BROKEN));
            }
            Some(Step::Newer(partition, offset)) => give(partition, offset, Some(NEWER)),
            Some(Step::Settled) if self.counts.in_flight() > 0 || self.counts.read.get() == 0 => {
                again(Step::Settled);
            }
            Some(Step::Writing) if self.writing.load(Ordering::SeqCst) == 0 => again(Step::Writing),
            Some(Step::Settled | Step::Writing) => {}
            Some(Step::Told(polled)) => return Ok(polled),
            Some(Step::Fails) => return Err(LogError::Retry("not now".to_owned(), None)),
            Some(Step::City(name)) => {
                let (path, files) = self.city.as_ref().expect("there is a file");
                std::fs::write(path, database::city(name)).expect("it can be written");
                files.look();
                files.look();
            }
            None => self.stop.ask_to_finish(),
        }
        Ok(Polled::Records)
    }

    fn commit(&mut self, next: &[(String, u32, u64)]) -> Result<(), LogError> {
        let next = next.iter().map(|(_, partition, next)| (*partition, *next));
        self.seen().commits.extend(next);
        Ok(())
    }
    fn pause(&mut self, _paused: bool) -> Result<(), LogError> {
        Ok(())
    }
    fn confirm_revoked(&mut self) -> Result<(), LogError> {
        self.seen().confirmed += 1;
        Ok(())
    }
    fn lag(&self) -> Result<Vec<(String, u32, u64)>, LogError> {
        Ok(vec![(TOPIC.to_owned(), 0, 0), (TOPIC.to_owned(), 1, 0)])
    }
    fn replayed_to(&self, _topic: &str, _partition: u32) -> u64 {
        self.faults().replayed_to
    }
}

#[async_trait::async_trait]
impl Sink for Script {
    async fn write(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        self.writing.fetch_add(1, Ordering::SeqCst);
        let _writing = Writing(Arc::clone(&self.writing));
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let events = batch.events.len();
        let mut seen = self.seen();
        seen.asked.push(("write", events));
        let text = |event| String::from_utf8_lossy(batch.document(event)).into_owned();
        seen.documents.extend(batch.events.iter().map(text));
        Ok(vec![Outcome::Stored; events])
    }
    async fn write_replayed(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        let events = batch.events.len();
        self.seen().asked.push(("write replayed", events));
        Ok(vec![Outcome::AlreadyThere; events])
    }
    async fn find(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
        let events = batch.events.len();
        self.seen().asked.push(("find", events));
        Ok(vec![false; events])
    }
    async fn setup(&self) -> Result<(), SinkError> {
        Ok(())
    }
    async fn check(&self) -> Result<String, SinkError> {
        Ok(String::new())
    }
}
