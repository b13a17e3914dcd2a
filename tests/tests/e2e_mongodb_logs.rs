//! Collections of log documents: each document is told once, though it comes late, shares its time
//! with others, and its reader is killed; by an interval, a cron line, once, and when someone asks.

use std::collections::BTreeMap;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;
use tahoe_tests::mongodb::Database;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::{Ended, Program};
use tahoe_tests::servers::{free_port, http_post};
use tahoe_tests::wait::until;

const KILLS: usize = 8;

/// A database with the collection `logs`, and how its documents are read.
struct Logs {
    pipeline: Pipeline,
    database: Database,
}

impl Logs {
    fn open(test: &str) -> Option<Self> {
        let pipeline = Pipeline::of_kafka(test)?;
        let database = Database::open(&pipeline.name)?;
        Some(Self { pipeline, database })
    }

    fn start(&self, more: &[&str]) -> Program {
        let database = &self.database;
        let there = ["--mongo-host", &database.server, "--mongo-db", &database.name];
        self.pipeline
            .start("tahoe-mongodb", &[&there[..], &["--mongo-logs", "logs"], more].concat())
    }

    fn once(&self, more: &[&str]) -> Ended {
        let ended = self.start(&[more, &["--once"]].concat()).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        ended
    }

    fn insert(&self, documents: impl IntoIterator<Item = Document>) {
        self.database.insert("logs", documents);
    }

    /// The numbers of the documents that are in Kafka, in their order.
    fn told(&self) -> Vec<i64> {
        let number = |record: &Value| record["after"]["n"].as_i64().expect("a number");
        let mut numbers: Vec<_> = self.pipeline.json_in_kafka().iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn assert_told_once(&self, documents: i64) {
        let mut times: BTreeMap<i64, usize> = (0..documents).map(|n| (n, 0)).collect();
        self.told().into_iter().for_each(|n| *times.entry(n).or_default() += 1);
        times.retain(|_, count| *count != 1);
        assert!(times.is_empty(), "documents, and how often they are there: {times:?}");
    }
}

fn log(ms_ago: i64, id: impl Into<Bson>, n: i64) -> Document {
    let time = DateTime::from_millis(DateTime::now().timestamp_millis() - ms_ago);
    doc! {"_id": id.into(), "timestamp": time, "n": n}
}

/// Ten documents of one time with ids of three kinds.
fn tied(time: DateTime, from: i64) -> Vec<Document> {
    let id = |n: i64| match n % 3 {
        0 => Bson::from(n),
        1 => Bson::from(format!("a {n}")),
        _ => Bson::from(ObjectId::new()),
    };
    (from..from + 10).map(|n| doc! {"_id": id(n), "timestamp": time, "n": n}).collect()
}

#[test]
fn late_and_tied_log_documents_are_told_once_though_their_reader_is_killed_again_and_again() {
    let Some(logs) = Logs::open("mongodb_logs") else { return };
    let arguments = ["--mongo-logs-every", "1s", "--mongo-logs-overlap", "8", "--mongo-chunk", "7"];
    let mut n = 0;
    let mut write = || {
        let now = DateTime::now();
        logs.insert(tied(now, n));
        // Later than documents that are read already, some of them of the same time.
        logs.insert((n + 10..n + 20).map(|n| log(3 * (n % 1000), ObjectId::new(), n)));
        logs.insert(tied(now, n + 20));
        n += 30;
        n
    };
    for _ in 0..KILLS {
        let before = logs.pipeline.in_kafka().len();
        let producer = logs.start(&arguments);
        write();
        logs.pipeline.wait_for_records(before + 5);
        let written = write();
        // While the second lot is read, or before, or after.
        logs.pipeline.wait_for_records(usize::try_from(written).expect("few") - 25);
        producer.kill();
    }
    let all = write();
    for _ in 0..2 {
        let ended = logs.once(&arguments);
        let said = "late rows are looked for back to the oldest open transaction";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    logs.assert_told_once(all);
}

#[test]
fn log_documents_are_read_once_to_the_end_and_a_document_of_the_future_waits() {
    let Some(logs) = Logs::open("mongodb_once") else { return };
    let time = DateTime::now();
    logs.insert((0..5).flat_map(|round| tied(time, round * 10)));
    logs.insert([log(-3_600_000, "tomorrow", 50), doc! {"_id": "never", "n": 51}]);
    for _ in 0..2 {
        logs.once(&["--mongo-logs-overlap", "0", "--mongo-chunk", "4"]);
        logs.assert_told_once(50);
    }
    let both = logs.start(&["--once", "--mongo-collection", "orders"]).wait();
    assert!(!both.status.success() && both.stderr.contains("--once reads"), "{}", both.stderr);
    logs.insert([log(0, 0.5, 52)]);
    let ended = logs.start(&["--once"]).wait();
    assert!(ended.stderr.contains("the _id 0.5 has no place"), "{}", ended.stderr);
}

#[test]
fn what_a_long_transaction_wrote_is_told_however_late_it_ends() {
    let Some(logs) = Logs::open("mongodb_open") else { return };
    let number = i64::from(free_port());
    logs.insert([log(60_000, 0, 0)]);
    let arguments = ["--mongo-logs-every", "1s", "--mongo-logs-overlap", "0"];
    let producer = logs.start(&arguments);
    logs.pipeline.wait_for_records(1);
    logs.database.run(doc! {"openTransaction": number});
    // Whoever tells this has looked for transactions after it was there.
    logs.insert([log(0, 1, 1)]);
    logs.pipeline.wait_for_records(2);
    producer.kill();
    let producer = logs.start(&arguments);
    logs.insert([log(0, 2, 2)]);
    logs.pipeline.wait_for_records(3);
    logs.insert([log(30_000, 3, 3)]);
    logs.database.run(doc! {"endTransaction": number});
    logs.pipeline.wait_for_records(4);
    producer.stop();
    logs.once(&arguments);
    logs.assert_told_once(4);
}

#[test]
fn log_documents_are_read_when_someone_asks() {
    let Some(logs) = Logs::open("mongodb_asked") else { return };
    logs.insert([log(0, 0, 0)]);
    let address = format!("127.0.0.1:{}", free_port());
    let mut producer = logs.start(&["--mongo-logs-every", "0 0 1 1 *", "--metrics", &address]);
    producer.says("late rows are looked for");
    assert_eq!(logs.pipeline.in_kafka().len(), 0, "it is not the first of January");
    until("it is asked", || http_post(&format!("http://{address}/poll")).map(drop));
    logs.pipeline.wait_for_records(1);
    producer.stop();
    logs.assert_told_once(1);
}

#[test]
fn a_check_of_log_documents_names_the_index_that_is_missing() {
    let Some(logs) = Logs::open("mongodb_logs_check") else { return };
    let check = || {
        let ended = logs.start(&["--check"]).wait();
        let said = ended.stdout + &ended.stderr;
        assert!(ended.status.success(), "{said}");
        said
    };
    assert!(check().contains("no such collection yet"));
    logs.insert([log(0, 0, 0)]);
    let said = check();
    let statement = r#"db.logs.createIndex({"timestamp": 1, _id: 1})"#;
    assert!(said.contains(statement), "{said}");
    assert!(said.contains("back to the oldest open transaction"), "{said}");
    let index = doc! {"key": {"timestamp": 1, "_id": 1}, "name": "by_time"};
    logs.database.run(doc! {"createIndexes": "logs", "indexes": [index]});
    let said = check();
    assert!(!said.contains("no index") && said.contains("logs by timestamp,_id"), "{said}");
}
