//! Rows of PostgreSQL that get other keys while their table is read for the first time, and whose
//! large values the changes leave out: into the part that was read already, out of the part that was
//! not, to and fro. What is told in the end is the table, with every large value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tahoe_tests::database::start_reader;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::{Database, Replay, State, Writing};
use tahoe_tests::program::Program;
use tahoe_tests::wait::until_true;

const ROWS: usize = 6000;
const KILLS: usize = 6;

/// Small chunks, so that there is time to move rows between them.
const ARGUMENTS: [&str; 2] = ["--pg-chunk-rows", "20"];

/// Values of 3000 bytes are kept outside of their rows, and a change of something else omits them.
fn schema() -> String {
    format!(
        "CREATE TABLE orders (id int PRIMARY KEY, n int, note text);
         ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
         INSERT INTO orders SELECT n * 10, 0, repeat(md5(n::text), 100) \
             FROM generate_series(1, {ROWS}) n;
         ANALYZE;"
    )
}

struct Moving {
    pipeline: Pipeline,
    database: Arc<Database>,
}

impl Moving {
    fn set_up(test: &str) -> Option<Self> {
        let pipeline = Pipeline::of_kafka(test)?;
        let database = Arc::new(Database::create(test)?);
        database.run(&schema());
        let moving = Self { pipeline, database };
        let ended = moving.start(&["--setup"]).wait();
        assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
        Some(moving)
    }

    fn start(&self, arguments: &[&str]) -> Program {
        start_reader(&self.pipeline, &*self.database, arguments)
    }

    /// Reads to the end, and compares what was told with the table.
    fn end(&self) -> Vec<Value> {
        let mut producer = self.start(&ARGUMENTS);
        producer.says("every table is read");
        self.database.run("INSERT INTO orders VALUES (0, 0, 'the last')");
        let last = |record: &Value| record["after"]["note"] == "the last";
        until_true("the last change comes", || self.pipeline.json_in_kafka().iter().any(last));
        producer.stop();
        let records = self.pipeline.json_in_kafka();
        assert_same(&told(&records), &self.held());
        let ended = self.start(&["--teardown"]).wait();
        assert!(ended.status.success(), "{}", ended.stdout);
        Database::drop(&self.database);
        records
    }

    fn held(&self) -> State {
        let sql = "SELECT json_build_object('id', id, 'n', n, 'note', note) FROM orders";
        let lines = self.database.run(sql);
        let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        rows.map(|row| (("orders".to_owned(), row.to_string()), 1)).collect()
    }
}

/// A row is itself, and then every change behind its place.
fn told(records: &[Value]) -> State {
    let place = |record: &Value| {
        let (high, low) = record["position"].as_str()?.split_once('/')?;
        let half = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        let is_change = record["op"] != "read";
        Some((half(high) << 32 | half(low), is_change, record["n"].as_u64()))
    };
    let mut ordered: Vec<_> = records.iter().collect();
    ordered.sort_by_key(|record| place(record));
    let changes: Vec<_> = ordered.iter().filter_map(|one| place(one)).filter(|at| at.1).collect();
    assert_eq!(changes.iter().collect::<BTreeSet<_>>().len(), changes.len(), "a change is twice");
    let mut replay = Replay::default();
    ordered.into_iter().for_each(|record| replay.apply(record));
    replay.state()
}

fn assert_same(told: &State, held: &State) {
    let short = |state: &State, other: &State| {
        let found = state.keys().filter(|row| !other.contains_key(*row)).take(3);
        found.map(|(_, row)| row.chars().take(60).collect()).collect::<Vec<String>>()
    };
    let (more, less) = (short(told, held), short(held, told));
    assert!(more.is_empty() && less.is_empty(), "told: {more:#?}\nheld: {less:#?}");
}

#[test]
fn a_row_that_moves_past_the_reader_is_told_whole_once() {
    let Some(moving) = Moving::set_up("postgres_past") else { return };
    let producer = moving.start(&ARGUMENTS);
    moving.pipeline.wait_for_records(40);
    let last = ROWS * 10;
    moving.database.run(&format!(
        "BEGIN; LOCK TABLE orders;
         UPDATE orders SET id = -1 WHERE id = {last};
         UPDATE orders SET id = {last} WHERE id = 10;
         UPDATE orders SET id = -2 WHERE id = {last} - 10;
         UPDATE orders SET id = -3 WHERE id = -2;
         UPDATE orders SET id = {last} + 1 WHERE id = {last} - 20;
         COMMIT;"
    ));
    producer.kill();
    let records = moving.end();
    let reads = records.iter().filter(|record| record["op"] == "read");
    let (moved, rows): (Vec<_>, Vec<_>) = reads.partition(|record| record["tx"].is_string());
    let (moved, rows) = (times_of_ids(&moved), times_of_ids(&rows));
    let end = i64::try_from(last).expect("few");
    assert_eq!(moved, [(-3, 1), (-1, 1), (end, 1), (end + 1, 1)].into(), "behind their changes");
    let twice: Vec<_> = rows.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "rows that the reader came by twice: {twice:?}");
    // What moves ahead of the reader is told with its chunk too. Whether that is so of what goes
    // before the first row is up to the chunk in which the reader was killed.
    for (id, is_there) in [
        (10, true),
        (end, true),
        (end + 1, true),
        (-2, false),
        (end - 10, false),
        (end - 20, false),
    ] {
        assert_eq!(rows.contains_key(&id), is_there, "{id}");
    }
}

/// How often there is a record of each key.
fn times_of_ids(records: &[&Value]) -> BTreeMap<i64, usize> {
    let mut times = BTreeMap::new();
    for record in records {
        *times.entry(record["key"]["id"].as_i64().expect("a key")).or_default() += 1;
    }
    times
}

/// Rows move from everywhere to everywhere, some of them in one transaction, some there and back.
fn transactions(round: u64) -> String {
    let id = |n: u64| (round * 7919 + n * 104_729) % (ROWS as u64) * 10 + 10;
    format!(
        "UPDATE orders SET id = -id, n = n + 1 WHERE id = {};
         UPDATE orders SET id = -id, n = n + 1 WHERE id = -{};
         BEGIN; UPDATE orders SET id = id + 3 WHERE id = {}; UPDATE orders SET id = -id \
             WHERE id = {} + 3; COMMIT;
         UPDATE orders SET n = n + 1 WHERE id = {};
         BEGIN; UPDATE orders SET id = 1 WHERE id = {a}; UPDATE orders SET id = {a} WHERE id = {b};
         UPDATE orders SET id = {b} WHERE id = 1; COMMIT;\n",
        id(0),
        id(0) / 2 / 10 * 10,
        id(1),
        id(1),
        id(2),
        a = id(3),
        b = id(4),
    )
}

#[test]
fn rows_that_move_to_and_fro_keep_their_large_values_though_their_producer_is_killed() {
    let Some(moving) = Moving::set_up("postgres_moved") else { return };
    let writing = Writing::start(&moving.database, transactions);
    for _ in 0..KILLS {
        let before = moving.pipeline.in_kafka().len();
        let producer = moving.start(&ARGUMENTS);
        moving.pipeline.wait_for_records(before + 200);
        producer.kill();
    }
    let rounds = writing.finish();
    let records = moving.end();
    let changes = records.iter().filter(|record| record["op"] != "read").count();
    assert!(rounds > 20 && changes > 50, "{rounds} rounds, {changes} changes");
}
