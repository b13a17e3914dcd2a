//! What the loop does when the group takes partitions and gives them, and when a file that it asks
//! changes, on a log and a sink that follow a script.

#[path = "../../schemas/tests/database/mod.rs"]
mod database;

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tahoe_pipeline::stop::Stop;
use tahoe_seams::{
    EventBatch, KeyValue, Log, LogError, LogReader, LogRecord, MoreHeaders, Outcome, Outgoing,
    Ownership, Pending, Polled, Sink, SinkError, Topic, Visit,
};
use tahoe_transformer::{GeoFiles, Renewal, TransformSettings, TransformerCounts, transform};

const TOPIC: &str = "laravel_logs";

/// One answer of the reader.
#[derive(Clone)]
enum Step {
    /// A record of this partition, at this offset.
    Record(u32, u64),
    /// Everything before was committed or given up.
    Settled,
    Told(Polled),
    /// Another database is in the file's place.
    City(&'static str),
}

#[derive(Default)]
struct Seen {
    commits: Vec<(u32, u64)>,
    /// `find` or `write`, and how many events.
    asked: Vec<(&'static str, usize)>,
    documents: Vec<String>,
}

#[derive(Clone)]
struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Seen>>,
    counts: Arc<TransformerCounts>,
    stop: Stop,
    city: Option<(PathBuf, Arc<GeoFiles>)>,
}

impl Script {
    fn new(steps: &[Step]) -> Self {
        Self {
            steps: Arc::new(Mutex::new(steps.iter().cloned().collect())),
            seen: Arc::default(),
            counts: Arc::default(),
            stop: Stop::default(),
            city: None,
        }
    }

    async fn run(&self) {
        let (script, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let sink: Arc<dyn Sink> = Arc::new(self.clone());
        let settings = TransformSettings {
            topics: vec![TOPIC.to_owned()],
            linger: Duration::from_millis(1),
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
        let ended = tokio::task::spawn_blocking(body).await.expect("no panic");
        ended.expect("the loop goes on until it is asked to stop");
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
    fn append(&self, _records: &[Outgoing<'_>]) -> Result<Pending, LogError> {
        unreachable!("nothing is dead-lettered")
    }
    fn fence(&self, _topic: &str, _partition: u32) -> Result<u64, LogError> {
        unreachable!("a reader writes no fence")
    }
    fn scan(
        &self,
        _topic: &str,
        _partition: u32,
        _from: u64,
        _to: u64,
        _visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        unreachable!("nothing is dead-lettered")
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

impl LogReader for Script {
    fn read(&mut self, _wait: Duration, visit: &mut Visit<'_>) -> Result<Polled, LogError> {
        let mut steps = self.steps.lock().expect("no panic while held");
        match steps.pop_front() {
            Some(Step::Record(partition, offset)) => {
                let flow = visit(LogRecord {
                    topic: TOPIC,
                    partition,
                    offset,
                    timestamp_ms: 1_700_000_000_000,
                    key: b"",
                    value: b"[2026-03-04 09:27:05] local.INFO: hello {\"ip\":\"203.0.113.9\"}",
                    header: None,
                    more_headers: MoreHeaders::default(),
                });
                assert_eq!(flow, ControlFlow::Continue(()));
            }
            Some(Step::Settled) if self.counts.in_flight() > 0 || self.counts.read.get() == 0 => {
                steps.push_front(Step::Settled);
            }
            Some(Step::Settled) => {}
            Some(Step::Told(polled)) => return Ok(polled),
            Some(Step::City(name)) => {
                let (path, files) = self.city.as_ref().expect("there is a file");
                std::fs::write(path, database::city(name)).expect("it can be written");
                files.look();
                files.look();
            }
            None => self.stop.ask(),
        }
        Ok(Polled::Records)
    }

    fn commit(&mut self, next: &[(String, u32, u64)]) -> Result<(), LogError> {
        let next = next.iter().map(|(_, partition, next)| (*partition, *next));
        self.seen.lock().expect("no panic while held").commits.extend(next);
        Ok(())
    }
    fn pause(&mut self, _paused: bool) -> Result<(), LogError> {
        Ok(())
    }
    fn confirm_revoked(&mut self) -> Result<(), LogError> {
        Ok(())
    }
    fn lag(&self) -> Result<Vec<(String, u32, u64)>, LogError> {
        Ok(vec![(TOPIC.to_owned(), 0, 0), (TOPIC.to_owned(), 1, 0)])
    }
}

#[async_trait::async_trait]
impl Sink for Script {
    async fn write(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        let events = batch.events.len();
        let mut seen = self.seen.lock().expect("no panic while held");
        seen.asked.push(("write", events));
        let text = |event| String::from_utf8_lossy(batch.document(event)).into_owned();
        seen.documents.extend(batch.events.iter().map(text));
        Ok(vec![Outcome::Stored; events])
    }
    async fn find(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
        let events = batch.events.len();
        self.seen.lock().expect("no panic while held").asked.push(("find", events));
        Ok(vec![false; events])
    }
    async fn setup(&self) -> Result<(), SinkError> {
        Ok(())
    }
    async fn check(&self) -> Result<String, SinkError> {
        Ok(String::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_of_lost_partitions_is_given_up_and_the_rest_goes_on() {
    let lost = Polled::Lost(vec![(TOPIC.to_owned(), 0)]);
    let script = Script::new(&[
        Step::Record(0, 5),
        Step::Record(1, 7),
        Step::Told(lost),
        Step::Record(1, 8),
        Step::Settled,
    ]);
    script.run().await;
    let seen = script.seen.lock().expect("no panic while held");
    assert!(seen.commits.iter().all(|(partition, _)| *partition == 1), "{:?}", seen.commits);
    assert_eq!(seen.commits.last(), Some(&(1, 9)));
    let counts = &script.counts;
    assert_eq!((counts.read.get(), counts.in_flight()), (3, 0));
    assert_eq!((counts.stored.get(), counts.abandoned.get()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_earlier_owner_may_have_written_is_looked_up_before_it_is_written() {
    let revoking = Polled::Revoking(vec![(TOPIC.to_owned(), 0)]);
    let script = Script::new(&[
        Step::Record(0, 0),
        Step::Settled,
        Step::Record(0, 1),
        Step::Settled,
        Step::Told(revoking),
        Step::Record(0, 2),
        Step::Settled,
    ]);
    script.run().await;
    let seen = script.seen.lock().expect("no panic while held");
    let expected = [("find", 1), ("write", 1), ("write", 1), ("find", 1), ("write", 1)];
    assert_eq!(seen.asked, expected);
    assert_eq!(seen.commits, [(0, 1), (0, 2), (0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_changes_is_asked_from_the_next_records_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("city.mmdb");
    std::fs::write(&path, database::city("Madrid")).expect("it can be written");
    let mut script = Script::new(&[
        Step::Record(0, 0),
        Step::Settled,
        Step::City("Barcelona"),
        Step::Record(0, 1),
        Step::Settled,
    ]);
    let files = GeoFiles::open(std::slice::from_ref(&path)).expect("it is sound");
    script.city = Some((path, files));
    script.run().await;
    let seen = script.seen.lock().expect("no panic while held");
    let place = |document: &String, name| document.contains(&format!("\"city_name\":\"{name}\""));
    let [before, after] = &seen.documents[..] else { panic!("{:?}", seen.documents) };
    assert!(place(before, "Madrid") && place(after, "Barcelona"), "{before}\n{after}");
}
