//! `--verify` on real servers, and the stand-in for MongoDB: a table that is written to all the time is the same in Kafka, and
//! what is changed behind the producer's back is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mongodb::bson::{Document, doc};
use serde_json::Value;
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::mongodb as stand_in;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::program::{Ended, Program, command};

/// Writes until it is told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(mut write: impl FnMut(u64) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            (1..).take_while(|_| !asked.load(Ordering::Relaxed)).for_each(&mut write);
        });
        Self { stop, thread }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it could write");
    }
}

fn start(
    pipeline: &Pipeline,
    binary: &str,
    settings: &[(&str, &str)],
    arguments: &[&str],
) -> Program {
    let mut command = command(binary);
    command.args(arguments).envs(pipeline.settings()).envs(settings.iter().copied());
    Program::spawn(binary, command)
}

fn assert_same(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// What a comparison said that found something.
fn different(ended: &Ended) -> Value {
    assert_eq!(ended.status.code(), Some(1), "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str::<Value>(&ended.stdout).expect("JSON")["databases"][0].take()
}

/// The number that a row's key is.
fn number(key: &Value) -> i64 {
    let id = key["id"].as_i64().or_else(|| key["_id"].as_i64());
    id.expect("a number")
}

/// The reasons of one table by the numbers of its rows, and the numbers that it has not.
fn reasons(report: &Value, table: &str) -> (Vec<(i64, String)>, Vec<i64>) {
    let tables = report["tables"].as_array().expect("tables");
    let found = tables
        .iter()
        .find(|one| one["table"].as_str().is_some_and(|name| name.ends_with(&format!(".{table}"))));
    let found = found.expect("the table is compared");
    let keys = |of: &Value| of["keys"].as_array().expect("keys").clone();
    let chunks = found["chunks"].as_array().expect("chunks");
    let reason = |key: Value| {
        let why = key["why"].as_str().expect("a reason").to_owned();
        (number(&key["key"]), why)
    };
    let reasons = chunks.iter().flat_map(keys).map(reason).collect();
    let extra = keys(&found["not_in_the_table"]);
    (reasons, extra.iter().map(number).collect())
}

fn why(id: i64, text: &str) -> (i64, String) {
    (id, text.to_owned())
}

#[test]
fn a_postgresql_is_the_same_while_it_changes_and_what_was_not_published_is_found() {
    let Some(pipeline) = Pipeline::of_kafka("verify_pg") else { return };
    let Some(database) = Database::create("verify_pg") else { return };
    let database = Arc::new(database);
    database.run(
        "CREATE TABLE orders (id int PRIMARY KEY, note text, at timestamptz DEFAULT now(), \
         price numeric(12,2), big text); \
         INSERT INTO orders (id, note, price, big) SELECT n, 'first ' || n, n / 3.0, \
         (SELECT string_agg(md5((n * 100 + m)::text), '') FROM generate_series(1, 200) m) \
         FROM generate_series(1, 3000) n; \
         CREATE TABLE pairs (a int, \"b c\" text, v int, PRIMARY KEY (a, \"b c\")); \
         CREATE TABLE keyless (n int)",
    );
    let settings = database.settings();
    let go = |arguments: &[&str]| start(&pipeline, "tahoe-postgres", &settings, arguments);
    let set_up = go(&["--setup"]).wait();
    assert!(set_up.status.success(), "{}{}", set_up.stdout, set_up.stderr);
    let early = go(&["--verify", "--verify-wait", "1"]).wait();
    assert_eq!(early.status.code(), Some(2), "{}{}", early.stdout, early.stderr);
    assert!(early.stderr.contains("--verify-wait"), "{}", early.stderr);
    let mut producer = go(&["--pg-chunk-rows", "500"]);
    producer.says("every table is read");
    let other = Arc::clone(&database);
    let writer = Writer::start(move |step| {
        let id = step * 7 % 3100;
        // A key that is there already is no matter.
        let _ = other.try_run(&format!(
            "BEGIN; UPDATE orders SET note = 'x{step}' WHERE id % 50 = {}; \
             DELETE FROM orders WHERE id = {id}; \
             INSERT INTO orders (id, note) VALUES ({id}, 'again') ON CONFLICT DO NOTHING; \
             DELETE FROM orders WHERE id = {}; \
             INSERT INTO pairs VALUES ({id}, 'b''\"', 1) ON CONFLICT (a, \"b c\") \
             DO UPDATE SET a = pairs.a + 10000 + {step}; COMMIT",
            step % 50,
            id + 1
        ));
    });
    // Twice, the second time in many passes.
    for more in [&["--verify"][..], &["--verify", "--verify-chunk-rows", "100"]] {
        let ended = go(more).wait();
        assert_same(&ended);
        assert!(ended.stdout.contains("orders: "), "{}", ended.stdout);
        assert!(ended.stdout.contains("keyless: not compared"), "{}", ended.stdout);
    }
    writer.finish();
    database.run(
        "DELETE FROM orders WHERE id BETWEEN 1 AND 10; \
         INSERT INTO orders (id, note) SELECT n, 'told' FROM generate_series(1, 10) n",
    );
    assert_same(&go(&["--verify"]).wait());
    // What is committed while a publication does not publish is in no stream.
    database.run(
        "ALTER PUBLICATION tahoe SET (publish = 'truncate'); \
         UPDATE orders SET note = 'not told' WHERE id = 1; DELETE FROM orders WHERE id = 2; \
         INSERT INTO orders (id) VALUES (100000); \
         ALTER PUBLICATION tahoe SET (publish = 'insert, update, delete, truncate')",
    );
    let report = different(&go(&["--verify", "--json"]).wait());
    let (found, extra) = reasons(&report, "orders");
    assert_eq!(found, [why(1, "told with other values"), why(100_000, "never told")]);
    assert_eq!(extra, [2]);
    assert_eq!(reasons(&report, "pairs"), (Vec::new(), Vec::new()));
    producer.stop();
    let torn_down = go(&["--teardown"]).wait();
    assert!(torn_down.status.success(), "{}{}", torn_down.stdout, torn_down.stderr);
    Database::drop(&database);
}

#[test]
fn a_mariadb_is_the_same_while_it_changes_and_what_was_not_logged_is_found() {
    let Some(pipeline) = Pipeline::of_kafka("verify_maria") else { return };
    let Some(mut server) = Mariadb::set_up("verify_maria") else { return };
    server.run_here(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, note TEXT, price DECIMAL(12,2), at DATETIME(3),
         f FLOAT, bytes BLOB, state ENUM('a','b'))",
        "INSERT INTO orders SELECT seq, CONCAT('first ', seq), seq / 3, NOW(3), seq / 7,
         UNHEX(MD5(seq)), 1 + seq % 2 FROM seq_1_to_3000",
        "CREATE TABLE pairs (a INT, `b c` VARCHAR(20), v INT, PRIMARY KEY (a, `b c`))",
        "CREATE TABLE emptied (id INT PRIMARY KEY)",
        "INSERT INTO emptied VALUES (1)",
    ]);
    let (host, port, database) =
        (server.host.clone(), server.port.clone(), server.database.clone());
    let settings = [
        ("MYSQL_HOST", host.as_str()),
        ("MYSQL_PORT", &port),
        ("MYSQL_DATABASE", &database),
        ("MYSQL_USER", "root"),
        ("MYSQL_CHUNK_ROWS", "500"),
    ];
    let go = |arguments: &[&str]| start(&pipeline, "tahoe-mysql", &settings, arguments);
    let mut producer = go(&[]);
    producer.says("every table is read");
    server.run_here(&["TRUNCATE emptied", "INSERT INTO emptied VALUES (2)"]);
    let mut other = server.another();
    let writer = Writer::start(move |step| {
        let id = step * 7 % 3100;
        other.run_here(&[
            &format!("UPDATE orders SET note = 'x{step}' WHERE id % 50 = {}", step % 50),
            &format!("DELETE FROM orders WHERE id = {id}"),
            &format!("REPLACE INTO orders (id, note) VALUES ({}, 'again')", id + 1),
            &format!("REPLACE INTO pairs VALUES ({}, 'b''\"', {step})", id % 100),
            &format!(
                "UPDATE IGNORE pairs SET a = a + 1000 + {step} WHERE a = {} LIMIT 1",
                id % 100
            ),
        ]);
    });
    for more in [&["--verify"][..], &["--verify", "--verify-chunk-rows", "100"]] {
        let ended = go(more).wait();
        assert_same(&ended);
        assert!(ended.stdout.contains("orders: "), "{}", ended.stdout);
    }
    writer.finish();
    server.run_here(&[
        "REPLACE INTO orders (id, note) VALUES (1, 'told'), (2, 'told')",
        "DELETE FROM orders WHERE id = 4000",
    ]);
    assert_same(&go(&["--verify"]).wait());
    server.run_here(&[
        "SET sql_log_bin = 0",
        "UPDATE orders SET note = 'not told' WHERE id = 1",
        "DELETE FROM orders WHERE id = 2",
        "INSERT INTO orders (id) VALUES (4000)",
        "SET sql_log_bin = 1",
    ]);
    let report = different(&go(&["--verify", "--json"]).wait());
    let (found, extra) = reasons(&report, "orders");
    assert_eq!(found, [why(1, "told with other values"), why(4000, "never told")]);
    assert_eq!(extra, [2]);
    assert_eq!(reasons(&report, "emptied"), (Vec::new(), Vec::new()));
    producer.stop();
}

fn order(id: i64, step: i64) -> Document {
    let address = doc! {"city": "Ronda", "zip": step, "geo": {"lat": 36.7}};
    doc! {"_id": id, "n": step, "address": address, "tags": [1, step, 3], "price": 1.5}
}

/// Changes of whole documents and of parts, of which one is put onto the other.
fn change(shop: &stand_in::Database, step: i64) {
    let id = step * 7 % 1600;
    shop.update("orders", id, doc! {"$set": {"n": step, "address.city": format!("c{step}")}});
    shop.update("orders", id, doc! {"$unset": {"address.geo": "", "price": ""}});
    shop.update("orders", id + 1, doc! {"$push": {"tags": {"deep": step}}});
    shop.update("orders", id + 1, doc! {"$pop": {"tags": 1}, "$inc": {"n": 1}});
    shop.update("orders", id + 2, order(id + 2, step));
    shop.delete("orders", id + 3);
    shop.insert("orders", [order(10_000 + step, step)]);
}

#[test]
fn a_mongodb_is_the_same_while_it_changes_and_what_was_in_no_stream_is_found() {
    let Some(pipeline) = Pipeline::of_kafka("verify_mongo") else { return };
    let Some(shop) = stand_in::Database::open(&pipeline.name) else { return };
    shop.insert("orders", (0..1500).map(|id| order(id, 0)));
    shop.insert("dropped", [order(1, 0), order(2, 0)]);
    let (server, name) = (shop.server.clone(), shop.name.clone());
    let settings = [("MONGO_HOST", &*server), ("MONGO_DB", &*name), ("MONGO_CHUNK", "200")];
    let go = |arguments: &[&str]| start(&pipeline, "tahoe-mongodb", &settings, arguments);
    let mut early = go(&["--verify", "--verify-wait", "1"]).wait();
    assert_eq!(early.status.code(), Some(2), "{}{}", early.stdout, early.stderr);
    early = go(&["--verify", "--mongo-snapshot", "never"]).wait();
    assert!(early.stderr.contains("--mongo-snapshot"), "{}", early.stderr);
    let producer = go(&[]);
    assert_same(&go(&["--verify"]).wait());
    shop.run(doc! {"drop": "dropped"});
    shop.insert("dropped", [order(2, 5)]);
    let shop = Arc::new(shop);
    let other = Arc::clone(&shop);
    let writer =
        Writer::start(move |step| change(&other, i64::try_from(step).expect("a small number")));
    for more in [&["--verify"][..], &["--verify", "--verify-chunk-rows", "100"]] {
        let ended = go(more).wait();
        assert_same(&ended);
        assert!(ended.stdout.contains(".orders: "), "{}", ended.stdout);
    }
    // Documents are read as they are now, in the middle of their changes.
    shop.run(doc! {"refuseSnapshots": 1});
    assert_same(&go(&["--verify"]).wait());
    assert_same(&go(&["--verify", "--mongo-full-document", "lookup"]).wait());
    writer.finish();
    shop.delete("orders", 0);
    shop.insert("orders", [order(0, 1)]);
    for id in 1..4 {
        shop.delete("orders", id);
        shop.insert("orders", [order(id, 1)]);
    }
    assert_same(&go(&["--verify"]).wait());
    shop.run(doc! {"tellNothingOf": 4});
    shop.update("orders", 0, doc! {"$set": {"address.zip": "not told"}});
    shop.update("orders", 1, doc! {"$set": {"new": 1}});
    shop.delete("orders", 2);
    shop.insert("orders", [order(-1, 1)]);
    // A part that is told does not hide that another was not.
    shop.update("orders", 0, doc! {"$set": {"address.city": "told"}});
    let report = different(&go(&["--verify", "--json"]).wait());
    let (found, extra) = reasons(&report, "orders");
    let other_values = "told with other values";
    assert_eq!(found, [why(-1, "never told"), why(0, other_values), why(1, other_values)]);
    assert_eq!(extra, [2]);
    assert_eq!(reasons(&report, "dropped"), (Vec::new(), Vec::new()));
    producer.stop();
}
