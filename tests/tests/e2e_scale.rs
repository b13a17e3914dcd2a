//! A table of any size, changed at random while its reader is killed and its server restarted: what
//! Elasticsearch holds in the end is the table, each change is there once, and Kafka has those of a
//! key in their order. `TAHOE_TEST_ROWS` makes it large.

use std::collections::HashMap;
use std::fmt::Debug;

use serde_json::Value;
use tahoe_tests::database::{Server, start_reader};
use tahoe_tests::documents::{Document, Documents as _, number_of, text_of};
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::servers::services;
use tahoe_tests::wait::{until, until_it_rests, until_true};

const KILLS: u64 = 20;

/// Kills before which the server is restarted.
const RESTARTS: [u64; 3] = [5, 11, 17];

/// Rows that are changed in one transaction, less those that are gone.
const BATCH: u64 = 100;

/// Rows that the table begins with.
fn rows() -> u64 {
    let text = std::env::var("TAHOE_TEST_ROWS").unwrap_or_default();
    if text.is_empty() { 20_000 } else { text.parse().expect("TAHOE_TEST_ROWS is a number") }
}

/// A transaction that counts the version of some rows up, makes a few and deletes a few. A key that
/// is gone does not come again, so that its versions are all there is to know of it.
fn transaction(step: u64, rows: u64) -> Vec<String> {
    let random = |n: u64| step.wrapping_mul(n).wrapping_mul(6_364_136_223_846_793_005) >> 33;
    let (from, gone, new) = (random(1) % rows, random(3) % rows, rows + step * 10);
    let made: Vec<_> = (new..new + 10).map(|id| format!("({id}, 0, {step}.25, 'new')")).collect();
    let end = if step.is_multiple_of(10) { "ROLLBACK" } else { "COMMIT" };
    vec![
        "BEGIN".to_owned(),
        format!(
            "UPDATE orders SET version = version + 1, total = total + 0.25, \
             note = concat('step ', {step}) WHERE id >= {from} AND id < {}",
            from + BATCH - 15
        ),
        format!("INSERT INTO orders VALUES {}", made.join(", ")),
        format!("DELETE FROM orders WHERE id >= {gone} AND id < {}", gone + 5),
        end.to_owned(),
    ]
}

/// Where something happened, in the order of its log: a row that was read stands before the changes
/// behind the place of its chunk.
type Place = (u64, u64, u64);

fn place(db: &Value) -> Place {
    let position = db["position"].as_str().expect("a position");
    let number = db["sequence"].as_u64().map_or(0, |number| number + 1);
    if let Some((high, low)) = position.split_once('/') {
        let half = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        return (half(high), half(low), number);
    }
    let (file, at) = position.split_once(':').expect("a file and an offset");
    let (_, file) = file.rsplit_once('.').expect("a number");
    (file.parse().expect("a number"), at.parse().expect("a number"), number)
}

fn line(row: &Value) -> String {
    ["id", "version", "total", "note"].map(|name| text_of(&row[name])).join(" ")
}

/// What is told of one key.
#[derive(Default)]
struct Told {
    last: Option<(Place, Option<String>)>,
    /// Those of its updates, as they come.
    versions: Vec<u64>,
    reads: u64,
    inserts: u64,
    deletes: u64,
}

impl Told {
    fn add(&mut self, document: &Document) {
        let db = &document.source["db"];
        let (place, after) = (place(db), db.get("after"));
        match document.text("/event/action") {
            "read" => self.reads += 1,
            "insert" => self.inserts += 1,
            "update" => self.versions.push(number_of(&db["after"]["version"])),
            "delete" => self.deletes += 1,
            other => panic!("{other}: {}", document.source),
        }
        if self.last.as_ref().is_none_or(|(last, _)| *last < place) {
            self.last = Some((place, after.map(line)));
        }
    }

    /// Its updates are 1, 2, … up to the version that it has, or had.
    fn is_whole(&self) -> bool {
        let mut versions = self.versions.clone();
        versions.sort_unstable();
        versions.iter().copied().eq(1..=versions.len() as u64)
            && self.reads <= 1
            && self.inserts <= 1
            && self.deletes <= 1
    }
}

fn assert_none<T: Debug>(what: &str, found: impl Iterator<Item = T>) {
    let found: Vec<_> = found.take(3).collect();
    assert!(found.is_empty(), "{what}: {found:?}");
}

/// Versions of a key go up in Kafka, where a row that was read has the one that it had by then.
fn assert_in_order(pipeline: &Pipeline) -> u64 {
    let (mut last, mut records): (HashMap<u64, u64>, u64) = (HashMap::new(), 0);
    pipeline.each_in_kafka(&mut |text| {
        let record: Value = serde_json::from_str(text).expect("JSON");
        records += 1;
        let Some(row) = record.get("after") else { return };
        let (key, version) = (number_of(&row["id"]), number_of(&row["version"]));
        let before = last.insert(key, version);
        let is_behind = match record["op"].as_str() {
            Some("read") => before.is_none_or(|before| before <= version),
            _ => before.is_none_or(|before| before < version),
        };
        assert!(is_behind, "out of order behind version {before:?}: {record}");
    });
    records
}

fn assert_told(pipeline: &Pipeline, server: &mut impl Server) -> (usize, usize) {
    let mut told: HashMap<u64, Told> = HashMap::new();
    let mut documents = 0;
    let found = pipeline.documents.each("*", &mut |document| {
        documents += 1;
        let db = &document.source["db"];
        told.entry(number_of(&db["key"]["id"])).or_default().add(&document);
    });
    assert_eq!(found, Ok(documents), "what is stored changes while it is looked at");
    assert_none(
        "not each change once",
        told.iter().filter(|(_, told)| !told.is_whole()).map(|(key, told)| {
            (*key, told.versions.clone(), told.reads, told.inserts, told.deletes)
        }),
    );
    let query = "SELECT id, version, total, note FROM orders".to_owned();
    let held = server.run(&[query]).expect("the table can be read");
    let held = held.iter().map(|row| row.replace('|', " "));
    let mut rows: HashMap<u64, String> = HashMap::new();
    rows.extend(told.iter().filter_map(|(key, told)| Some((*key, told.last.clone()?.1?))));
    let count = rows.len();
    assert_none(
        "in the table and not so told",
        held.filter(|row| {
            let (key, _) = row.split_once(' ').expect("columns");
            rows.remove(&key.parse().expect("a number")).as_ref() != Some(row)
        }),
    );
    assert_none("told and not in the table", rows.values());
    (count, documents - count)
}

/// Reads the table while it changes, is killed and started again, and the server with it.
fn tell_a_table<S: Server>(pipeline: &Pipeline, mut server: S) {
    let rows = rows();
    let create = "CREATE TABLE orders (id bigint PRIMARY KEY, version int, total numeric(12,2), \
                  note varchar(100))";
    let fill = format!("INSERT INTO orders SELECT n, 0, n, 'first' FROM {}", S::numbers(rows));
    server.run(&[create.to_owned(), fill]).expect("a table");
    let ended = start_reader(pipeline, &server, &["--setup"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let transformer = pipeline.transformer();
    // From where its changes are told: nobody has written before.
    let producer = start_reader(pipeline, &server, &[]);
    until_true("the first rows", || pipeline.reach() > 0);
    producer.stop();
    let changes = rows * 3 / 10;
    let (steps, asked) = std::sync::mpsc::channel::<std::ops::Range<u64>>();
    let mut other = server.another();
    let writer = std::thread::spawn(move || {
        for step in asked.iter().flatten() {
            // The server may be restarting: the transaction is then gone, or whole.
            let _ = other.run(&transaction(step, rows));
        }
    });
    for kill in 0..KILLS {
        let producer = start_reader(pipeline, &server, &[]);
        let part = |whole: u64, kill| whole * kill / KILLS;
        let more = part(changes / BATCH, kill)..part(changes / BATCH, kill + 1);
        steps.send(more).expect("it writes");
        // Less than there is, since some transactions are rolled back, or meet rows that are gone.
        let wanted = part((rows + changes) * 7 / 10, kill + 1);
        until_it_rests("more records in Kafka", || match pipeline.reach() {
            found if found >= wanted => Ok(()),
            found => Err(found),
        });
        if RESTARTS.contains(&kill) {
            services(&["restart", server.service()]);
        }
        producer.kill();
    }
    drop(steps);
    writer.join().expect("it could write");
    let last = "INSERT INTO orders VALUES (0, 0, 0, 'the last one')".to_owned();
    until("the last row is written", || server.run(std::slice::from_ref(&last)));
    let mut producer = start_reader(pipeline, &server, &[]);
    producer.says("every table is read");
    until_it_rests("the last row is stored", || match pipeline.documents.count("db.key.id:0") {
        0 => Err(pipeline.documents.count("*") as u64),
        _ => Ok(()),
    });
    producer.stop();
    let records = assert_in_order(pipeline);
    until_it_rests("all records are stored", || match pipeline.documents.count("*") as u64 {
        found if found == records => Ok(()),
        found => Err(found),
    });
    let (left, others) = assert_told(pipeline, &mut server);
    eprintln!("{records} records: {left} rows in the end, {others} other documents");
    transformer.stop();
    let ended = start_reader(pipeline, &server, &["--teardown"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    server.end();
}

#[test]
fn a_large_table_of_postgresql_is_told_whole_when_its_server_restarts_in_mid_stream() {
    let Some(pipeline) = Pipeline::set_up("scale_postgresql") else { return };
    let Some(database) = Database::create("scale_postgresql") else { return };
    tell_a_table(&pipeline, database);
}

#[test]
fn a_large_table_of_mariadb_is_told_whole_when_its_server_restarts_in_mid_stream() {
    let Some(pipeline) = Pipeline::set_up("scale_mariadb") else { return };
    let Some(server) = Mariadb::set_up("scale_mariadb") else { return };
    tell_a_table(&pipeline, server);
}
