//! Rows and changes of a real MariaDB: every type, and what a reader makes of a database that is
//! written to while it is killed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tahoe_tests::documents::{Document, Documents as _, Embedded};
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::program::{Ended, Program};
use tahoe_tests::servers::services;
use tahoe_tests::wait::until_true;
use tempfile::TempDir;

/// `tahoe up` on one database.
struct Place {
    folder: TempDir,
    flags: Vec<String>,
}

impl Place {
    fn of(server: &Mariadb) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let data = data.to_str().expect("a temporary folder is UTF-8");
        let flags = [
            ["--data", data],
            ["--mysql-host", &server.host],
            ["--mysql-port", &server.port],
            ["--mysql-database", &server.database],
            ["--mysql-chunk-rows", "50"],
        ];
        let flags = flags.concat().into_iter().map(str::to_owned).collect();
        Self { folder, flags }
    }

    fn command(&self, command: &str, more: &[&str]) -> Program {
        let flags = self.flags.iter().map(String::as_str);
        let first = [command, "--no-system"].into_iter();
        let all: Vec<_> = first.chain(flags).chain(more.iter().copied()).collect();
        Program::start("tahoe", &all)
    }

    fn up(&self) -> Program {
        self.command("up", &["--mysql-user", "root"])
    }

    fn check(&self, user: &str, password: &str) -> Ended {
        self.command("check", &["--mysql-user", user, "--mysql-password", password]).wait()
    }

    fn count(&self, query: &str) -> usize {
        Embedded(&self.folder.path().join("data")).count(query)
    }

    fn find(&self, query: &str) -> Vec<Document> {
        Embedded(&self.folder.path().join("data")).find(query)
    }

    fn wait_for(&self, query: &str, count: usize) {
        Embedded(&self.folder.path().join("data")).wait_for(query, count);
    }
}

const TYPES: &str = "CREATE TABLE `types ``ü``` (
    id INT PRIMARY KEY, tiny TINYINT, tiny_u TINYINT UNSIGNED, year YEAR, medium MEDIUMINT,
    big BIGINT, big_u BIGINT UNSIGNED, price DECIMAL(65,30), f FLOAT, d DOUBLE, bits BIT(10),
    c CHAR(10), western VARCHAR(20) CHARACTER SET latin1, wide VARCHAR(20) CHARACTER SET ucs2,
    russian CHAR(20) CHARACTER SET cp1251, note LONGTEXT, fixed BINARY(8), bytes LONGBLOB,
    state ENUM('new','it''s, one','größe'), marks SET('a','b','ü'), doc JSON, day DATE,
    at DATETIME, at3 DATETIME(3), stamp TIMESTAMP NULL, stamp6 TIMESTAMP(6) NULL, span TIME,
    span1 TIME(1), shape GEOMETRY, place POINT, after_shape VARCHAR(5) CHARACTER SET latin1,
    doubled INT AS (id * 2) VIRTUAL, unique_id UUID, address INET6, `größe` INT UNSIGNED)";

const FULL: &str = "INSERT INTO `types ``ü``` VALUES (1, -128, 255, 2026, -8388608,
    -9223372036854775808, 18446744073709551615, -0.000000000000000000000000000001, 0.1, 1e300, 513,
    'ab ', 'é€', '日本', 'Привет', 'line\\none \\\\ \"two\" 😀', X'01020300000000', X'00ff', 2, 'a,ü',
    '{\"a\": [1, 2.50]}', '2026-11-21', '2026-11-21 09:00:00', '2026-11-21 09:00:00.120',
    '2026-11-21 09:00:00', '2038-01-19 03:14:07.999999', '-838:59:59', '-00:00:01.5',
    ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 4326), POINT(1.5, -2), 'é', DEFAULT,
    '550e8400-e29b-41d4-a716-446655440000', '2001:db8::1', 4294967295)";

const ZERO: &str = "INSERT INTO `types ``ü``` VALUES (2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', '',
    '', '', '', '', 'unknown', '', '[]', '0000-00-00', '2026-00-10 01:02:03', '0000-00-00',
    '0000-00-00', '1970-01-01 00:00:01', '00:00:00', '23:59:59.9', ST_GeomFromText(
    'MULTIPOINT(1 1,2 2)'), NULL, '', DEFAULT, '00000000-0000-0000-0000-000000000001', '::', 0)";

fn full() -> Value {
    json!({
        "id": 1, "tiny": -128, "tiny_u": 255, "year": 2026, "medium": -8_388_608,
        "big": i64::MIN, "big_u": u64::MAX, "price": "-0.000000000000000000000000000001",
        "f": 0.1, "d": 1e300, "bits": 513, "c": "ab", "western": "é€", "wide": "日本",
        "russian": "Привет", "note": "line\none \\ \"two\" 😀", "fixed": "AQIDAAAAAAA=",
        "bytes": "AP8=", "state": "it's, one", "marks": ["a", "ü"],
        "doc": "{\"a\": [1, 2.50]}", "day": "2026-11-21", "at": "2026-11-21T09:00:00",
        "at3": "2026-11-21T09:00:00.120", "stamp": "2026-11-21T09:00:00Z",
        "stamp6": "2038-01-19T03:14:07.999999Z", "span": "-838:59:59", "span1": "-00:00:01.5",
        "shape": "SRID=4326;POLYGON((0 0,1 0,1 1,0 0))", "place": "POINT(1.5 -2)",
        "after_shape": "é", "doubled": 2, "unique_id": "550e8400-e29b-41d4-a716-446655440000",
        "address": "2001:db8::1", "größe": u32::MAX
    })
}

fn zero() -> Value {
    json!({
        "id": 2, "tiny": 0, "tiny_u": 0, "year": 0, "medium": 0, "big": 0, "big_u": 0,
        "price": "0.000000000000000000000000000000", "f": 0.0, "d": 0.0, "bits": 0, "c": "",
        "western": "", "wide": "", "russian": "", "note": "", "fixed": "AAAAAAAAAAA=",
        "bytes": "", "state": "", "marks": [], "doc": "[]", "day": "0000-00-00",
        "at": "2026-00-10 01:02:03", "at3": "0000-00-00 00:00:00.000",
        "stamp": "0000-00-00 00:00:00", "stamp6": "1970-01-01T00:00:01.000000Z",
        "span": "00:00:00", "span1": "23:59:59.9", "shape": "MULTIPOINT((1 1),(2 2))",
        "place": null, "after_shape": "", "doubled": 4,
        "unique_id": "00000000-0000-0000-0000-000000000001", "address": "::", "größe": 0
    })
}

#[test]
fn every_type_is_the_same_from_a_query_and_from_the_binlog() {
    let Some(mut server) = Mariadb::set_up("mysql_types") else { return };
    server.run_here(&[TYPES, FULL, ZERO, "INSERT INTO `types ``ü``` (id) VALUES (3)"]);
    let place = Place::of(&server);
    let up = place.up();
    place.wait_for("event.dataset:mysql.row", 3);
    server.run_here(&[
        "TRUNCATE `types ``ü```",
        FULL,
        ZERO,
        "SET SESSION binlog_row_image = MINIMAL",
        "UPDATE `types ``ü``` SET tiny = 1, id = 9 WHERE id = 1",
        "DELETE FROM `types ``ü``` WHERE id = 2",
    ]);
    place.wait_for("event.dataset:mysql.change", 5);
    up.stop();
    for query in ["event.action:read", "event.action:insert"] {
        let mut found = place.find(query);
        found.sort_by_key(|document| document.source.pointer("/db/key/id").map(Value::to_string));
        let after: Vec<_> = found.iter().map(|one| one.source["db"]["after"].clone()).collect();
        assert_eq!(after[..2], [full(), zero()], "{query}");
    }
    let truncate = &place.find("event.action:truncate")[0];
    assert_eq!(truncate.text("/db/namespace"), server.database);
    let update = &place.find("event.action:update")[0].source["db"];
    assert_eq!((&update["before"]["id"], &update["after"]["id"]), (&json!(1), &json!(9)));
    let unchanged = update["unchanged"].as_array().expect("a list");
    assert!(unchanged.contains(&json!("note")) && !unchanged.contains(&json!("tiny")));
    assert_eq!(place.find("event.action:delete")[0].source["db"]["key"], json!({"id": 2}));
}

#[test]
fn a_check_says_what_it_found_and_what_is_missing() {
    let Some(mut server) = Mariadb::set_up("mysql_check") else { return };
    let place = Place::of(&server);
    let found = place.check("root", "");
    assert!(found.status.success(), "{}{}", found.stdout, found.stderr);
    for text in ["MariaDB 10.", "binlog_format = ROW", "binlog_row_metadata = FULL", "binlog at"] {
        assert!(found.stdout.contains(text), "{text}: {}", found.stdout);
    }
    let user = server.database[server.database.len() - 12..].to_owned();
    server.run(&format!("CREATE USER `{user}`@`127.0.0.1` IDENTIFIED BY 'right'"));
    let wrong = place.check(&user, "wrong");
    let said = wrong.stdout + &wrong.stderr;
    assert!(!wrong.status.success() && said.contains("MYSQL_PASSWORD"), "{said}");
    let powerless = place.check(&user, "right");
    let said = powerless.stdout + &powerless.stderr;
    assert!(!powerless.status.success() && said.contains("REPLICATION CLIENT"), "{said}");
    server.run(&format!("GRANT BINLOG MONITOR ON *.* TO `{user}`@`127.0.0.1`"));
    let half = place.check(&user, "right");
    assert!(half.stdout.contains("GRANT REPLICATION SLAVE"), "{}", half.stdout);
    server.run(&format!("DROP USER `{user}`@`127.0.0.1`"));
}

/// What these change may be done although the server's answer was lost.
const ALTER: &str = "ALTER TABLE orders";
/// When a column gets another name: the reader is up by then.
const STEP_OF_RENAMING: u64 = 600;
const STEPS_MIN: u64 = 700;

/// Between two steps: an unoptimised build on a busy machine keeps up.
const STEP: Duration = Duration::from_millis(25);

/// Writes at random as long as it lives, and knows nothing of who reads.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Mariadb>,
}

impl Writer {
    fn start(mut server: Mariadb) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut random = Random(7);
            let mut step = 0;
            while !stopped.load(Ordering::Relaxed) || step < STEPS_MIN {
                step += 1;
                for sql in statements(step, &mut random) {
                    let mut run = || {
                        let used = server.try_run(&format!("USE `{}`", server.database));
                        used.and_then(|_| server.try_run(&sql)).is_ok()
                    };
                    // The server may be restarting: the transaction is then gone, or whole. What
                    // comes later counts on the columns.
                    if sql.starts_with(ALTER) {
                        until_true("the server takes the new columns", run);
                    } else if !run() {
                        break;
                    }
                }
                std::thread::sleep(STEP);
            }
            server
        });
        Self { stop, thread }
    }

    fn finish(self) -> Mariadb {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it could write")
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }
}

fn statements(step: u64, random: &mut Random) -> Vec<String> {
    let id = random.below(400);
    let note = "x".repeat(usize::try_from(random.below(200)).expect("few"));
    let special = match step {
        300 => Some(format!("{ALTER} ADD COLUMN IF NOT EXISTS extra INT UNSIGNED DEFAULT 7 FIRST")),
        STEP_OF_RENAMING => Some(format!("{ALTER} CHANGE IF EXISTS note `no``te` MEDIUMTEXT")),
        _ if step.is_multiple_of(60) => Some("FLUSH BINARY LOGS".to_owned()),
        _ if step.is_multiple_of(75) => Some("TRUNCATE scratch".to_owned()),
        _ if step.is_multiple_of(80) => {
            Some(format!("REPLACE INTO pairs VALUES ({id}, 'big', REPEAT('é', 1500000))"))
        }
        _ => None,
    };
    if let Some(special) = special {
        return vec![special];
    }
    let column = if step > STEP_OF_RENAMING { "`no``te`" } else { "note" };
    match random.below(6) {
        0 => vec![format!("REPLACE INTO orders (id, {column}) VALUES ({id}, '{note}')")],
        1 => {
            vec![format!("UPDATE orders SET {column} = '{note}{step}' WHERE id % 40 = {}", id % 40)]
        }
        2 => vec![format!("DELETE FROM orders WHERE id = {id}")],
        3 => vec![
            "BEGIN".to_owned(),
            format!("REPLACE INTO pairs VALUES ({}, 'k{}', '{note}')", id % 20, id % 7),
            format!("INSERT INTO keyless VALUES ({step}, '{note}'), ({step}, NULL)"),
            format!("UPDATE pairs SET a = a + 1000 WHERE a = {} LIMIT 1", id % 20),
            "COMMIT".to_owned(),
        ],
        4 => vec![format!("DELETE FROM keyless WHERE n < {} LIMIT 1", step / 2)],
        _ => vec![format!("INSERT INTO scratch VALUES ({step})")],
    }
}

/// Before any of the changes, so that all of the table without a key comes by changes.
fn prepare(server: &mut Mariadb) {
    server.run_here(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, note TEXT)",
        "CREATE TABLE pairs (a INT, `b``ü` VARCHAR(20), v LONGTEXT, PRIMARY KEY (a, `b``ü`))",
        "CREATE TABLE keyless (n BIGINT, note TEXT)",
        "CREATE TABLE scratch (n BIGINT)",
        "CREATE TABLE marker (n INT PRIMARY KEY)",
        "INSERT INTO orders SELECT seq, CONCAT('first ', seq) FROM seq_0_to_399",
    ]);
}

/// `binlog.000003:1234` and the number in the transaction, so that rows that were read come before
/// the changes behind their place.
fn place_of(document: &Document) -> (String, u64, u64) {
    let position = document.text("/db/position");
    let (file, at) = position.split_once(':').expect("a file and an offset");
    let number = document.source.pointer("/db/sequence").and_then(Value::as_u64);
    (file.to_owned(), at.parse().expect("a number"), number.map_or(0, |number| number + 1))
}

/// The table's rows by their keys, from what was told of them.
fn rebuilt(documents: &[Document], table: &str) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    let told = documents.iter().filter(|one| one.text("/db/collection/name") == table);
    for document in told {
        let db = &document.source["db"];
        let key = |image: &Value| {
            let names = db["key"].as_object().expect("a key").keys();
            names.map(|name| image[name].to_string()).collect::<Vec<_>>().join(",")
        };
        if let Some(before) = db.get("before") {
            rows.remove(&key(before));
        }
        if let Some(after) = db.get("after") {
            rows.insert(key(after), as_altered(after));
        }
    }
    rows
}

/// What the two `ALTER TABLE orders` made of a row that was told before them.
fn as_altered(row: &Value) -> Value {
    let mut row = row.clone();
    let columns = row.as_object_mut().expect("a row");
    if let Some(note) = columns.remove("note") {
        columns.insert("no`te".to_owned(), note);
    }
    columns.entry("extra").or_insert(json!(7));
    row
}

fn assert_rebuilt(server: &mut Mariadb, documents: &[Document], table: &str, columns: &[&str]) {
    let names: Vec<_> =
        columns.iter().map(|name| format!("`{}`", name.replace('`', "``"))).collect();
    let database = server.database.clone();
    let sql = format!("SELECT {} FROM `{database}`.{table}", names.join(", "));
    let there: BTreeSet<Vec<String>> = server.run(&sql).into_iter().collect();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    };
    let rows = rebuilt(documents, table);
    let told: BTreeSet<Vec<String>> =
        rows.values().map(|row| columns.iter().map(|name| text(&row[*name])).collect()).collect();
    let short = |rows: Vec<&Vec<String>>| format!("{rows:?}").chars().take(600).collect::<String>();
    let (missing, strange) = (there.difference(&told), told.difference(&there));
    assert_eq!(short(missing.collect()), "[]", "missing of {table}");
    assert_eq!(short(strange.collect()), "[]", "strange in {table}");
}

/// Every change once, and of every transaction all of them from the first.
fn assert_each_once(changes: &[Document]) {
    let mut seen = HashSet::new();
    let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for change in changes {
        let number = change.source.pointer("/db/sequence").and_then(Value::as_u64);
        let number = number.expect("a change has a number");
        let transaction = change.text("/db/transaction");
        assert!(seen.insert((transaction, number)), "doubled: {}", change.source);
        numbers.entry(transaction).or_default().push(number);
    }
    for (transaction, mut numbers) in numbers {
        numbers.sort_unstable();
        let all: Vec<_> = (0..numbers.len() as u64).collect();
        assert_eq!(numbers, all, "transaction {transaction} is not whole");
    }
}

/// What was told of a table without a key adds up to what is in it.
fn assert_adds_up(server: &mut Mariadb, changes: &[Document]) {
    let mut count: BTreeMap<String, i64> = BTreeMap::new();
    for change in changes.iter().filter(|one| one.text("/db/collection/name") == "keyless") {
        for (image, by) in [("before", -1), ("after", 1)] {
            if let Some(row) = change.source["db"].get(image) {
                *count.entry(format!("{} {}", row["n"], row["note"])).or_default() += by;
            }
        }
    }
    let database = server.database.clone();
    for row in server.run(&format!("SELECT n, note FROM `{database}`.keyless")) {
        let note = if row[1] == "NULL" { Value::Null } else { json!(row[1]) };
        *count.entry(format!("{} {note}", row[0])).or_default() -= 1;
    }
    count.retain(|_, count| *count != 0);
    assert!(count.is_empty(), "{count:?}");
}

#[test]
fn changes_survive_twenty_kills_and_a_mariadb_that_restarts_in_mid_stream() {
    const ROUNDS: usize = 20;
    const STORED_PER_ROUND: usize = 60;
    let Some(mut server) = Mariadb::set_up("mysql_crash") else { return };
    prepare(&mut server);
    let place = Place::of(&server);
    // What precedes the first place in the binlog is in no change.
    let up = place.up();
    place.wait_for("*", 400);
    up.kill();
    let writer = Writer::start(server.another());
    for round in 0..ROUNDS {
        let up = place.up();
        let stored = place.count("*");
        place.wait_for("*", stored + STORED_PER_ROUND);
        match round {
            6 => services(&["restart", "mariadb"]),
            13 => {
                services(&["kill", "mariadb"]);
                services(&["up", "mariadb"]);
            }
            _ => {}
        }
        up.kill();
    }
    let mut server = writer.finish();
    until_true("the server takes a last row", || {
        let sql = format!("REPLACE INTO `{}`.marker VALUES (1)", server.database);
        server.try_run(&sql).is_ok()
    });
    let mut up = place.up();
    up.says("every table is read");
    place.wait_for("db.collection.name:marker AND event.dataset:mysql.change", 1);
    up.stop();
    let mut documents = place.find("*");
    documents.sort_by_cached_key(place_of);
    let is_change = |document: &&Document| document.text("/event/dataset") == "mysql.change";
    let changes: Vec<_> = documents.iter().filter(is_change).cloned().collect();
    assert!(changes.len() > ROUNDS * STORED_PER_ROUND / 2, "{} changes", changes.len());
    assert_each_once(&changes);
    assert_rebuilt(&mut server, &documents, "orders", &["id", "no`te", "extra"]);
    assert_rebuilt(&mut server, &documents, "pairs", &["a", "b`ü", "v"]);
    assert_adds_up(&mut server, &changes);
}
