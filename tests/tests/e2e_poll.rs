//! Polled tables of real servers: rows that are committed late, updates with times of transactions
//! that began earlier, and a producer that is killed in mid-snapshot and after; the servers' logs
//! that are tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;
use tahoe_tests::database::start_reader;
use tahoe_tests::documents::Documents as _;
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::program::Program;
use tahoe_tests::servers::{free_port, http_post};
use tahoe_tests::wait::until;

const KILLS: usize = 10;

/// Rows that are there before the producer starts.
const ORDERS: usize = 20_000;

/// Something that writes in the background until it is told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(writers: Vec<Box<dyn FnMut(u64) + Send>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = writers.into_iter().map(|mut write| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                (1..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(&mut write);
            })
        });
        Self { threads: threads.collect(), stop }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("it writes"));
    }
}

/// What is in Kafka of two tables: `orders`, whose rows do not change, and `items`.
#[derive(Default)]
struct Told {
    orders: Vec<u64>,
    items: BTreeMap<u64, Vec<u64>>,
}

fn told(pipeline: &Pipeline) -> Told {
    let mut told = Told::default();
    for record in pipeline.json_in_kafka() {
        assert_eq!(record["op"], "read", "{record}");
        let id = record["key"]["id"].as_u64().expect("a key");
        match record["table"].as_str() {
            Some("orders") => told.orders.push(id),
            _ => {
                let version = record["after"]["version"].as_u64().expect("a number");
                told.items.entry(id).or_default().push(version);
            }
        }
    }
    told
}

/// Kills the producer again and again while its tables are written to.
fn kill_again_and_again(pipeline: &Pipeline, start: &dyn Fn() -> Program) {
    for _ in 0..KILLS {
        let before = pipeline.in_kafka().len();
        let producer = start();
        pipeline.wait_for_records(before + 1);
        producer.kill();
    }
}

/// Every order is there once, no version of an item twice, and the last of each.
fn assert_told(told: &Told, orders: &BTreeSet<u64>, items: &BTreeMap<u64, u64>) {
    let mut found = told.orders.clone();
    found.sort_unstable();
    let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).take(5).collect();
    assert!(twice.is_empty(), "orders that are there twice: {twice:?}");
    let found: BTreeSet<u64> = found.into_iter().collect();
    let missing: Vec<_> = orders.difference(&found).take(5).collect();
    let strange: Vec<_> = found.difference(orders).take(5).collect();
    assert!(missing.is_empty() && strange.is_empty(), "missing {missing:?}, strange {strange:?}");
    for (id, version) in items {
        let mut versions = told.items.get(id).cloned().unwrap_or_default();
        versions.sort_unstable();
        assert_eq!(versions.last(), Some(version), "item {id}");
        let all = versions.len();
        versions.dedup();
        assert_eq!(versions.len(), all, "item {id}: a version is there twice: {versions:?}");
    }
    assert!(orders.len() > ORDERS + 100, "{} orders", orders.len());
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

const POSTGRES: [&str; 10] = [
    "--pg-poll",
    "orders:id",
    "--pg-poll",
    "items:updated_at,id",
    "--pg-poll-every",
    "1s",
    "--pg-poll-overlap",
    "1",
    "--pg-poll-rows",
    "300",
];

#[test]
fn polled_tables_of_postgresql_are_told_once_though_rows_come_late_and_their_producer_is_killed() {
    let Some(pipeline) = Pipeline::set_up("poll_postgres") else { return };
    let Some(database) = Database::create("poll_postgres") else { return };
    let database = Arc::new(database);
    database.run(&format!(
        "CREATE TABLE orders (id bigserial PRIMARY KEY, note text);
         CREATE TABLE items (id int PRIMARY KEY, version bigint NOT NULL,
             updated_at timestamptz NOT NULL DEFAULT now());
         CREATE INDEX ON items (updated_at, id);
         INSERT INTO orders (note) SELECT md5(n::text) FROM generate_series(1, {ORDERS}) n;
         INSERT INTO items SELECT n, 1 FROM generate_series(1, 300) n;"
    ));
    let writer = |sleep_ms: u64, of: u64| -> Box<dyn FnMut(u64) + Send> {
        let database = Arc::clone(&database);
        Box::new(move |round| {
            let (id, sleep) = ((round * 7919 + of) % 300 + 1, (round % 5 * sleep_ms) as f64 / 1e3);
            database.run(&format!(
                "BEGIN; INSERT INTO orders (note) VALUES ('a'), ('b'); SELECT pg_sleep({sleep});
                 UPDATE items SET version = version + 1, updated_at = now() WHERE id = {id};
                 INSERT INTO orders (note) VALUES ('c'); COMMIT;
                 BEGIN; INSERT INTO orders (note) VALUES ('none'); ROLLBACK;
                 UPDATE items SET version = version + 1, updated_at = now() WHERE id = {id} / 3 + 1;"
            ));
        })
    };
    let writers = Writers::start(vec![writer(20, 0), writer(100, 100), writer(1500, 200)]);
    kill_again_and_again(&pipeline, &|| start_reader(&pipeline, &*database, &POSTGRES));
    writers.finish();
    let once = [&POSTGRES[..], &["--once"]].concat();
    for _ in 0..2 {
        let ended = start_reader(&pipeline, &*database, &once).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert!(ended.stderr.contains("back to the oldest open transaction"), "{}", ended.stderr);
    }
    let orders = database.run("SELECT id FROM orders");
    let items = database.run("SELECT id || ' ' || version FROM items");
    let item = |line: &str| line.split_once(' ').map(|(id, version)| (number(id), number(version)));
    let (orders, items) = (orders.lines().map(number).collect(), items.lines().filter_map(item));
    assert_told(&told(&pipeline), &orders, &items.collect());
    Database::drop(&database);
}

#[test]
fn a_check_of_polled_tables_of_postgresql_names_what_is_wrong_and_a_trigger_reads_out_of_turn() {
    let Some(pipeline) = Pipeline::set_up("poll_check") else { return };
    let Some(database) = Database::create("poll_check") else { return };
    database.run("CREATE TABLE kept (id int PRIMARY KEY, at timestamp, price numeric)");
    let says = |poll: &str, ok: bool, texts: &[&str]| {
        let ended = start_reader(&pipeline, &database, &["--check", "--pg-poll", poll]).wait();
        let said = ended.stdout + &ended.stderr;
        assert_eq!(ended.status.success(), ok, "{said}");
        texts.iter().for_each(|text| assert!(said.contains(text), "no {text:?} in: {said}"));
    };
    says("kept:id", true, &["by id", "back to the oldest open transaction"]);
    says("none:id", false, &["--pg-poll: no table public.none"]);
    says("kept:name", false, &["no column name; it has id, at, price"]);
    says("kept:price", false, &["cannot be read by price"]);
    let index = "CREATE INDEX CONCURRENTLY ON \"public\".\"kept\" (\"at\", \"id\");";
    says("kept:at,id", true, &["warning:", index, "rows whose at is NULL are not read"]);
    database.run("INSERT INTO kept VALUES (1)");
    let address = format!("127.0.0.1:{}", free_port());
    let yearly = ["--pg-poll", "kept:id", "--pg-poll-every", "0 0 1 1 *", "--metrics", &address];
    let mut producer = start_reader(&pipeline, &database, &yearly);
    producer.says("back to the oldest open transaction");
    assert_eq!(pipeline.in_kafka().len(), 0, "it is not the first of January");
    until("it is asked", || http_post(&format!("http://{address}/poll")).map(drop));
    pipeline.wait_for_records(1);
    producer.stop();
    assert_eq!(pipeline.in_kafka().len(), 1);
    database.drop();
}

#[test]
fn a_row_that_goes_back_to_what_it_was_is_told_if_the_other_version_was_and_the_last_one_counts() {
    let Some(pipeline) = Pipeline::of_kafka("poll_back") else { return };
    let Some(database) = Database::create("poll_back") else { return };
    database.run(
        "CREATE TABLE items (id int PRIMARY KEY, state text, updated_at timestamptz NOT NULL);
         INSERT INTO items VALUES (1, 'a', '2026-01-01')",
    );
    // A row whose time stays is only looked at for so long.
    let overlap = ["--pg-poll-overlap", "600"];
    let arguments = ["--pg-poll", "items:updated_at,id", "--pg-poll-every", "1s"];
    let arguments = [&arguments[..], &overlap].concat();
    let wait_for = |id: u64, expected: &str| {
        until(&format!("{expected} of {id} is told"), || {
            let records = pipeline.json_in_kafka();
            let of_it = records.iter().filter(|record| record["key"]["id"] == id);
            let state =
                |record: &Value| record["after"]["state"].as_str().unwrap_or("-").to_owned();
            let states: String = of_it.map(state).collect();
            if states == expected { Ok(()) } else { Err(states) }
        });
    };
    let set = |state: &str| format!("UPDATE items SET state = '{state}' WHERE id = 1;");
    let add = |id: u64| {
        database.run(&format!("INSERT INTO items VALUES ({id}, 'n', '2026-01-0{id}')"));
        wait_for(id, "n");
    };
    let producer = start_reader(&pipeline, &database, &arguments);
    wait_for(1, "a");
    // No look is between the two.
    database.run(&format!("BEGIN; {} {} COMMIT;", set("x"), set("a")));
    add(2);
    wait_for(1, "a");
    for (state, told) in [("b", "ab"), ("a", "aba"), ("b", "abab")] {
        database.run(&set(state));
        wait_for(1, told);
    }
    producer.kill();
    database.run(&set("a"));
    let producer = start_reader(&pipeline, &database, &arguments);
    wait_for(1, "ababa");
    producer.kill();
    let producer = start_reader(&pipeline, &database, &arguments);
    add(3);
    wait_for(1, "ababa");
    producer.stop();
    Database::drop(&database);
}

const MYSQL: [&str; 10] = [
    "--mysql-poll",
    "orders:id",
    "--mysql-poll",
    "items:updated_at,id",
    "--mysql-poll-every",
    "1s",
    "--mysql-poll-overlap",
    "3",
    "--mysql-poll-rows",
    "300",
];

#[test]
fn polled_tables_of_mariadb_are_told_once_though_rows_come_late_and_their_producer_is_killed() {
    let Some(pipeline) = Pipeline::set_up("poll_mariadb") else { return };
    let Some(mut server) = Mariadb::set_up("poll_mariadb") else { return };
    server.run_here(&[
        "CREATE TABLE orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, note TEXT)",
        "CREATE TABLE items (id INT PRIMARY KEY, version BIGINT NOT NULL,
            updated_at TIMESTAMP NOT NULL, KEY (updated_at, id))",
        &format!("INSERT INTO orders (note) SELECT MD5(seq) FROM seq_1_to_{ORDERS}"),
        "INSERT INTO items SELECT seq, 1, NOW() FROM seq_1_to_300",
    ]);
    let writer = |sleep_ms: u64, of: u64| -> Box<dyn FnMut(u64) + Send> {
        let mut server = server.another();
        Box::new(move |round| {
            let (id, sleep) = ((round * 7919 + of) % 300 + 1, (round % 5 * sleep_ms) as f64 / 1e3);
            let update = "UPDATE items SET version = version + 1, updated_at = NOW() WHERE id =";
            server.run_here(&[
                "BEGIN",
                "INSERT INTO orders (note) VALUES ('a'), ('b')",
                &format!("{update} {id}"),
                &format!("SELECT SLEEP({sleep})"),
                "INSERT INTO orders (note) VALUES ('c')",
                "COMMIT",
                "BEGIN",
                "INSERT INTO orders (note) VALUES ('none')",
                "ROLLBACK",
                &format!("{update} {id} DIV 3 + 1"),
            ]);
        })
    };
    let writers = Writers::start(vec![writer(20, 0), writer(100, 100), writer(1500, 200)]);
    kill_again_and_again(&pipeline, &|| start_reader(&pipeline, &server, &MYSQL));
    writers.finish();
    let once = [&MYSQL[..], &["--once"]].concat();
    for _ in 0..2 {
        let ended = start_reader(&pipeline, &server, &once).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert!(ended.stderr.contains("back to the oldest open transaction"), "{}", ended.stderr);
    }
    server.run_here(&[]);
    let orders = server.run("SELECT id FROM orders");
    let items = server.run("SELECT id, version FROM items");
    let orders = orders.iter().map(|row| number(&row[0])).collect();
    let items = items.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
    assert_told(&told(&pipeline), &orders, &items);
}

#[test]
fn a_check_of_polled_tables_of_mariadb_names_what_is_wrong() {
    let Some(pipeline) = Pipeline::set_up("poll_mariadb_check") else { return };
    let Some(mut server) = Mariadb::set_up("poll_mariadb_check") else { return };
    server.run_here(&["CREATE TABLE kept (id INT PRIMARY KEY, at DATETIME, price DECIMAL(9,2))"]);
    let says = |poll: &str, ok: bool, texts: &[&str]| {
        let ended = start_reader(&pipeline, &server, &["--check", "--mysql-poll", poll]).wait();
        let said = ended.stdout + &ended.stderr;
        assert_eq!(ended.status.success(), ok, "{said}");
        texts.iter().for_each(|text| assert!(said.contains(text), "no {text:?} in: {said}"));
    };
    says("kept:id", true, &["by id", "back to the oldest open transaction"]);
    says("none:id", false, &["--mysql-poll: no table", ".none"]);
    says("kept:name", false, &["no column name; it has id, at, price"]);
    says("kept:price", false, &["cannot be read by price"]);
    let index = format!("CREATE INDEX tahoe_poll ON `{}`.`kept` (`at`, `id`);", server.database);
    says("kept:at,id", true, &["warning:", &index, "rows whose at is NULL are not read"]);
}

#[test]
fn the_general_and_the_slow_log_of_mariadb_are_read_where_they_are_tables() {
    let Some(pipeline) = Pipeline::set_up("poll_log_tables") else { return };
    let Some(mut server) = Mariadb::set_up("poll_log_tables") else { return };
    let before: Vec<Vec<String>> =
        server.run("SELECT @@GLOBAL.log_output, @@GLOBAL.general_log, @@GLOBAL.slow_query_log");
    server
        .run("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1, GLOBAL slow_query_log = 1");
    let name = server.database.clone();
    let mut other = server.another();
    other.run("SET SESSION long_query_time = 0");
    let transformer = pipeline.transformer();
    let arguments = [
        "--mysql-log-table",
        "mysql.general_log",
        "--mysql-log-table",
        "mysql.slow_log",
        "--mysql-poll-every",
        "1s",
    ];
    let mut written = 0;
    for _ in 0..4 {
        let producer = start_reader(&pipeline, &server, &arguments);
        for _ in 0..50 {
            written += 1;
            other.run(&format!("SELECT 'n={written} of {name}'"));
        }
        // The log has equal lines.
        other.run(&format!("SELECT 'again' /* {name} */"));
        until("the last one comes", || {
            let last = format!("n={written} of {name}");
            let found = pipeline.in_kafka().iter().filter(|row| row.text.contains(&last)).count();
            if found == 2 { Ok(()) } else { Err(format!("{found} of 2")) }
        });
        producer.kill();
    }
    let sql = format!(
        "SET GLOBAL log_output = '{}', GLOBAL general_log = {}, GLOBAL slow_query_log = {}",
        before[0][0], before[0][1], before[0][2]
    );
    server.run(&sql);
    let ended = start_reader(&pipeline, &server, &[&arguments[..], &["--once"]].concat()).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let records = pipeline.in_kafka();
    let ours = |column: &str, text: &str| {
        let has = |row: &&str| row.contains(&format!("\"{column}\":\"{text}"));
        records.iter().map(|record| record.text.as_str()).filter(has).count()
    };
    for column in ["argument", "sql_text"] {
        for n in 1..=written {
            let text = format!("SELECT 'n={n} of {name}'");
            assert_eq!(ours(column, &text), 1, "{column}: {text}");
        }
        assert_eq!(ours(column, &format!("SELECT 'again' /* {name} */")), 4);
    }
    pipeline.documents.wait_for("event.dataset:mysql.general AND message:again", 1);
    let query = format!("event.dataset:mysql.general AND mysql.general.argument:\"n=7 of {name}\"");
    pipeline.documents.wait_for(&query, 1);
    let found = &pipeline.documents.find(&query)[0];
    assert_eq!(found.text("/event/action"), "query");
    let query = format!("event.dataset:mysql.slowlog AND mysql.slowlog.query:\"n=7 of {name}\"");
    pipeline.documents.wait_for(&query, 1);
    assert_eq!(pipeline.documents.find(&query)[0].text("/user/name"), "root");
    transformer.stop();
}
