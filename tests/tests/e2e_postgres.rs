//! PostgreSQL's rows and changes, through the real producer from the real server: the last state that
//! they tell is that of the tables, and each change is there once, however often the producer is
//! killed and the server restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tahoe_tests::documents::Documents as _;
use tahoe_tests::pipeline::{InKafka, Pipeline};
use tahoe_tests::postgresql::{Database, Replay, State, Writing};
use tahoe_tests::program::Program;
use tahoe_tests::servers::services;
use tahoe_tests::wait::until;

const KILLS: usize = 20;

/// So that the first runs end in the middle of the tables.
const SMALL_CHUNKS: [&str; 2] = ["--pg-chunk-rows", "20"];

/// Tables of which each row's state is compared, with how psql gives a row as the producer does.
const TABLES: [(&str, &str); 4] = [
    (
        "orders",
        "SELECT json_build_object('id', id, 'total', total::text, 'note', note, 'paid', paid) \
         FROM orders",
    ),
    (
        "Ünï \"codé\" tàble",
        "SELECT json_build_object('clé \"a\"', \"clé \"\"a\"\"\", 'b', b, 'wert', wert) \
         FROM \"Ünï \"\"codé\"\" tàble\"",
    ),
    ("keyless", "SELECT json_build_object('n', n, 'text', text) FROM keyless"),
    ("wide", "SELECT json_build_object('id', id, 'a', a) FROM wide"),
];

/// `full` has its whole old rows, so its large values are never unknown.
const SCHEMA: &str = r#"
CREATE TABLE orders (id int PRIMARY KEY, total numeric(12,2), note text, paid boolean);
ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
CREATE TABLE "Ünï ""codé"" tàble" ("clé ""a""" text, b int, wert text,
    PRIMARY KEY (b, "clé ""a"""));
CREATE TABLE keyless (n int, text text);
ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE wide (id int PRIMARY KEY, a int);
CREATE TABLE emptied (id int PRIMARY KEY);
INSERT INTO orders SELECT n, n / 100.0, repeat(md5(n::text), CASE n % 50 WHEN 0 THEN 300 ELSE 1 END),
    n % 2 = 0 FROM generate_series(1, 3000) n;
INSERT INTO "Ünï ""codé"" tàble" SELECT 'k"' || n % 7, n, 'ä' || n FROM generate_series(1, 500) n;
INSERT INTO wide SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO emptied SELECT n FROM generate_series(1, 100) n;
ANALYZE;
"#;

/// Orders that rounds change; those behind them stay as they were read.
const CHANGED: u64 = 2000;

/// Statements of one round, made of its number: each line is a transaction.
fn transactions(round: u64) -> String {
    let id = round * 7919 % CHANGED + 1;
    let new = 10_000 + round;
    let mut sql = format!(
        "UPDATE orders SET paid = NOT paid WHERE id BETWEEN {id} AND {id} + 5;
         BEGIN; DELETE FROM orders WHERE id = {id}; INSERT INTO orders VALUES \
         ({new}, {round}.25, repeat('large', 3000), true); COMMIT;
         UPDATE orders SET total = total + 1 WHERE id = {new};
         UPDATE orders SET id = id + 100000 WHERE id = {new} - 3;
         UPDATE \"Ünï \"\"codé\"\" tàble\" SET wert = 'r{round}', \"clé \"\"a\"\"\" = 'neu''{round}' \
         WHERE b = {round} % 500;
         INSERT INTO keyless VALUES ({round} % 10, 't{round}'), ({round} % 10, 't{round}');
         UPDATE keyless SET n = n + 1 WHERE text = 't' || {round} - 2;
         DELETE FROM keyless WHERE text = 't' || {round} - 5;
         BEGIN; INSERT INTO orders VALUES (-1, 0, 'rolled back', true); ROLLBACK;
        "
    );
    if round % 20 == 11 {
        sql += "TRUNCATE emptied; INSERT INTO emptied VALUES (1);\n";
    }
    if round.is_multiple_of(40) {
        sql += &format!(
            "ALTER TABLE wide ADD COLUMN c{round} text DEFAULT 'd{round}'; UPDATE wide SET a = a + 1 \
             WHERE id % 3 = 0;\n"
        );
    }
    sql + &format!("INSERT INTO wide (id, a) VALUES ({new}, {round});\n")
}

fn start(pipeline: &Pipeline, database: &Database, arguments: &[&str]) -> Program {
    let mut command = tahoe_tests::program::command("tahoe-postgres");
    command.args(arguments).envs(pipeline.settings()).envs(database.settings());
    Program::spawn("tahoe-postgres", command)
}

fn set_up(pipeline: &Pipeline, database: &Database) {
    let ended = start(pipeline, database, &["--setup"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
}

fn tear_down(pipeline: &Pipeline, database: &Database) {
    until("the slot is dropped", || {
        let ended = start(pipeline, database, &["--teardown"]).wait();
        if ended.status.success() { Ok(()) } else { Err(ended.stdout) }
    });
    database.drop();
}

/// Waits until the slot has confirmed all that is there now: then it is in Kafka.
fn wait_for_all(database: &Database) {
    database.run("CREATE TABLE the_last_one (id int PRIMARY KEY)");
    database.run("INSERT INTO the_last_one VALUES (1)");
    let end = database.run("SELECT pg_current_wal_lsn()");
    let slots = format!(
        "SELECT coalesce(bool_and(confirmed_flush_lsn >= '{}'), false) FROM pg_replication_slots \
         WHERE database = '{}'",
        end.trim(),
        database.name
    );
    until("everything is confirmed", || match database.try_run(&slots)?.trim() {
        "t" => Ok(()),
        _ => Err("the slot is behind".to_owned()),
    });
}

fn parsed(records: &[InKafka]) -> Vec<Value> {
    let parse = |record: &InKafka| serde_json::from_str(&record.text);
    records.iter().map(|record| parse(record).expect("JSON")).collect()
}

/// `(log position, number in the transaction)`.
fn position(record: &Value) -> Option<(u64, u64)> {
    let (high, low) = record["position"].as_str()?.split_once('/')?;
    let half = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
    // The place of a row that was read is where its chunk was decided on.
    Some((half(high) << 32 | half(low), record["n"].as_u64()?))
}

/// Each change once, and those of a key in the order of their commits.
fn assert_once_and_in_order(records: &[Value]) {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for record in records {
        let Some(position) = position(record) else { continue };
        assert!(seen.insert(position), "twice: {record}");
        if let Some(key) = record.get("key") {
            let place = format!("{}:{key}", record["table"]);
            let before = last.insert(place, position);
            assert!(before.is_none_or(|before| before < position), "out of order: {record}");
        }
    }
}

/// What the records tell: the rows that were read, then all changes as they were committed.
fn told(records: &[Value]) -> State {
    let rows: BTreeMap<_, _> = records
        .iter()
        .filter(|record| record["op"] == "read")
        .map(|row| (place(row), row))
        .collect();
    let mut changes: Vec<_> =
        records.iter().filter_map(|record| Some((position(record)?, record))).collect();
    changes.sort_by_key(|(position, _)| *position);
    let mut replay = Replay::default();
    rows.values().for_each(|row| replay.apply(row));
    changes.iter().for_each(|(_, record)| replay.apply(record));
    replay
        .state()
        .into_iter()
        .map(|((table, row), count)| (comparable(table, &row), count))
        .collect()
}

/// Columns that a table has got since are not told of the rows that it had.
fn comparable(table: String, row: &str) -> (String, String) {
    let mut row: Value = serde_json::from_str(row).expect("JSON");
    if let (true, Some(columns)) = (table == "wide", row.as_object_mut()) {
        columns.retain(|name, _| !name.starts_with('c'));
    }
    (table, row.to_string())
}

fn place(record: &Value) -> String {
    format!("{}:{}", record["table"], record["key"])
}

/// A row that was read is as old as the changes that stand before it, or newer: one with no change
/// of its key behind it is in the table as it was read.
fn assert_no_row_is_stale(records: &[Value], held: &State) {
    let mut last = BTreeMap::new();
    let mut moved = BTreeSet::new();
    for record in records.iter().filter(|record| record.get("key").is_some()) {
        last.insert(place(record), record);
        if let (Some(key), Some(before)) = (record["key"].as_object(), record.get("before")) {
            let old = key.keys().map(|name| (name.clone(), before[name].clone())).collect();
            moved.insert(format!("{}:{}", record["table"], Value::Object(old)));
        }
    }
    // Where tables are emptied, and keys are others, the order is that of the positions alone.
    let rows = last.iter().filter(|(place, record)| {
        record["op"] == "read" && record["table"] != "emptied" && !moved.contains(*place)
    });
    let mut count = 0;
    for (_, row) in rows {
        let table = row["table"].as_str().expect("a table").to_owned();
        let place = comparable(table, &row["after"].to_string());
        assert!(held.contains_key(&place), "not in the table: {row}");
        count += 1;
    }
    assert!(count > 900, "{count} rows");
}

fn held(database: &Database) -> State {
    let mut state = State::new();
    for (table, sql) in TABLES {
        for line in database.run(sql).lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            *state.entry((table.to_owned(), row.to_string())).or_default() += 1;
        }
    }
    let emptied = database.run("SELECT to_json(emptied) FROM emptied");
    for line in emptied.lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        state.insert(("emptied".to_owned(), row.to_string()), 1);
    }
    state.insert(("the_last_one".to_owned(), r#"{"id":1}"#.to_owned()), 1);
    state
}

fn assert_same(told: &State, held: &State) {
    let differs = |one: &State, other: &State| {
        let other = |place, count: &i64| other.get(place) != Some(count);
        let mut found = one.iter().filter(|(place, count)| other(*place, count));
        found.by_ref().take(3).map(|found| format!("{found:?}")).collect::<Vec<_>>()
    };
    let (more, less) = (differs(told, held), differs(held, told));
    assert!(more.is_empty() && less.is_empty(), "told: {more:#?}\nheld: {less:#?}");
}

/// Reads while the tables change, is killed, and is started again; `meanwhile` is given the number
/// of the kill.
fn kill_while_it_changes(test: &str, meanwhile: impl Fn(usize)) {
    let Some(pipeline) = Pipeline::set_up(test) else { return };
    let Some(database) = Database::create(test) else { return };
    let database = Arc::new(database);
    database.run(SCHEMA);
    set_up(&pipeline, &database);
    let transformer = pipeline.transformer();
    let writing = Writing::start(&database, transactions);
    for kill in 0..KILLS {
        let producer = start(&pipeline, &database, &SMALL_CHUNKS);
        let stored = pipeline.documents.count("*");
        pipeline.documents.wait_for("*", stored + 60);
        meanwhile(kill);
        producer.kill();
    }
    let rounds = writing.finish();
    let mut producer = start(&pipeline, &database, &[]);
    producer.says("every table is read");
    wait_for_all(&database);
    producer.stop();
    let records = pipeline.in_kafka();
    let ids: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), records.len(), "an id is there twice");
    let parsed = parsed(&records);
    let changes = parsed.iter().filter(|record| record["op"] != "read").count();
    eprintln!("{rounds} rounds, {changes} changes, {} rows", parsed.len() - changes);
    assert_once_and_in_order(&parsed);
    let mut read = BTreeSet::new();
    let again = records.iter().find(|record| {
        record.text.contains(r#""op":"read""#) && !read.insert(record.text.as_str())
    });
    assert!(again.is_none(), "a row is there twice: {again:?}");
    let held = held(&database);
    assert_no_row_is_stale(&parsed, &held);
    assert_same(&told(&parsed), &held);
    let grown = |record: &Value| {
        let columns = record["after"].as_object().into_iter().flat_map(|row| row.keys());
        record["table"] == "wide" && columns.into_iter().any(|name| name.starts_with('c'))
    };
    let columns = database.run("SELECT count(*) FROM pg_attribute WHERE attname ~ '^c[0-9]+$'");
    assert!(columns.trim() == "0" || parsed.iter().any(grown), "no new column is told");
    pipeline.documents.wait_for("*", records.len());
    assert_eq!(pipeline.documents.count("*"), records.len());
    transformer.stop();
    tear_down(&pipeline, &database);
}

#[test]
fn rows_and_changes_tell_the_tables_however_often_their_producer_is_killed() {
    kill_while_it_changes("postgres_killed", |_| ());
}

#[test]
fn rows_and_changes_tell_the_tables_when_the_server_restarts_in_mid_stream() {
    kill_while_it_changes("postgres_restarted", |kill| {
        if kill % 7 == 3 {
            services(&["restart", "postgresql"]);
        }
    });
}

/// A column's type, a value as SQL writes it, and what it is in a record.
const TYPES: [(&str, &str, &str); 43] = [
    ("smallint", "-32768", "-32768"),
    ("integer", "2147483647", "2147483647"),
    ("bigint", "-9223372036854775808", "-9223372036854775808"),
    ("oid", "4294967295", "4294967295"),
    ("numeric", "123456789012345678901234567890.0001", "\"123456789012345678901234567890.0001\""),
    ("numeric(12,2)", "12.5", "\"12.50\""),
    ("numeric", "'NaN'", "\"NaN\""),
    ("real", "1.1", "1.1"),
    ("double precision", "1e300", "1e+300"),
    ("double precision", "'-Infinity'", "\"-Infinity\""),
    ("boolean", "true", "true"),
    ("text", "E'two\\nlines \"ñ\"'", "\"two\\nlines \\\"ñ\\\"\""),
    ("varchar(9)", "'x'", "\"x\""),
    ("char(3)", "'x'", "\"x  \""),
    ("date", "'2026-11-21'", "\"2026-11-21\""),
    ("date", "'infinity'", "\"infinity\""),
    ("time", "'09:00:00.5'", "\"09:00:00.5\""),
    ("timetz", "'09:00:00+02'", "\"09:00:00+02\""),
    ("timestamp", "'2026-11-21 09:00:00.123456'", "\"2026-11-21T09:00:00.123456\""),
    ("timestamp", "'0044-03-15 12:00:00 BC'", "\"0044-03-15 12:00:00 BC\""),
    ("timestamptz", "'2026-11-21 09:00:00+02'", "\"2026-11-21T07:00:00Z\""),
    ("timestamptz", "'infinity'", "\"infinity\""),
    ("interval", "'1 day 2 hours'", "\"P1DT2H\""),
    ("bytea", "'\\x00ff'", "\"AP8=\""),
    ("json", "'{\"b\": [1,\n 2.0], \"a\": null}'", "{\"b\":[1,2.0],\"a\":null}"),
    ("json", "'{\"a\":1,\"a\":2}'", "\"{\\\"a\\\":1,\\\"a\\\":2}\""),
    ("jsonb", "'{\"b\": 12345678901234567890.5}'", "{\"b\":12345678901234567890.5}"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""),
    ("inet", "'10.0.0.1/8'", "\"10.0.0.1/8\""),
    ("point", "'(1,2)'", "\"(1,2)\""),
    ("bit varying", "B'101'", "\"101\""),
    ("int4range", "'[1,5)'", "\"[1,5)\""),
    ("mood", "'so so'", "\"so so\""),
    ("pair", "ROW(1,'x')", "\"(1,x)\""),
    ("positive", "7", "7"),
    ("integer[]", "'{1,NULL,3}'", "[1,null,3]"),
    ("integer[]", "'[0:1]={1,2}'", "[1,2]"),
    ("integer[]", "'{{1,2},{3,4}}'", "[[1,2],[3,4]]"),
    ("text[]", "ARRAY['a,b','NULL',NULL,'q\"']", "[\"a,b\",\"NULL\",null,\"q\\\"\"]"),
    ("mood[]", "ARRAY['so so'::mood]", "[\"so so\"]"),
    ("box[]", "'{(1,1),(0,0);(2,2),(1,1)}'", "[\"(1,1),(0,0)\",\"(2,2),(1,1)\"]"),
    ("timestamptz[]", "ARRAY['2026-11-21 09:00:00+00'::timestamptz]", "[\"2026-11-21T09:00:00Z\"]"),
    ("text", "NULL", "null"),
];

#[test]
fn each_type_is_told_as_its_table_says_in_a_row_and_in_a_change() {
    let Some(pipeline) = Pipeline::set_up("postgres_types") else { return };
    let Some(database) = Database::create("postgres_types") else { return };
    let columns: Vec<_> =
        TYPES.iter().enumerate().map(|(n, (of, ..))| format!("c{n:02} {of}")).collect();
    let values: Vec<_> = TYPES.iter().map(|(_, value, _)| *value).collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    database.run(&format!(
        "CREATE TYPE mood AS ENUM ('so so'); CREATE TYPE pair AS (a int, b text); \
         CREATE DOMAIN positive AS integer CHECK (VALUE > 0); \
         CREATE TABLE types (id int PRIMARY KEY, {columns}); \
         INSERT INTO types VALUES (1, {values})"
    ));
    set_up(&pipeline, &database);
    database.run(&format!("INSERT INTO types VALUES (2, {values})"));
    let mut producer = start(&pipeline, &database, &["--pg-retained-warn", "1"]);
    producer.says("the server keeps much log for the slot");
    wait_for_all(&database);
    until("the rows are read", || match pipeline.in_kafka() {
        records if records.iter().any(|record| record.text.contains("\"read\"")) => Ok(()),
        records => Err(format!("{} records", records.len())),
    });
    producer.stop();
    let wanted: Vec<_> = TYPES.iter().map(|(.., json)| *json).collect();
    for record in pipeline.in_kafka().iter().filter(|record| record.text.contains("\"types\"")) {
        for (n, json) in wanted.iter().enumerate() {
            let field = format!("\"c{n:02}\":{json}");
            assert!(record.text.contains(&field), "{:?}: {}", TYPES[n], record.text);
        }
    }
    let ops = |op: &str| parsed(&pipeline.in_kafka()).iter().filter(|r| r["op"] == op).count();
    assert!(ops("insert") >= 1 && ops("read") >= 1);
    tear_down(&pipeline, &database);
}

/// What `--check` says, and whether it found everything.
fn check(pipeline: &Pipeline, database: &Database, password: &str) -> (bool, String) {
    let mut command = tahoe_tests::program::command("tahoe-postgres");
    command.arg("--check").envs(pipeline.settings()).envs(database.settings());
    command.env("PGPASSWORD", password);
    let ended = Program::spawn("tahoe-postgres", command).wait();
    (ended.status.success(), ended.stdout + &ended.stderr)
}

#[test]
fn a_check_names_the_statement_for_what_is_missing() {
    let Some(pipeline) = Pipeline::set_up("postgres_check") else { return };
    let Some(database) = Database::create("postgres_check") else { return };
    database.run("CREATE TABLE keyed (id int PRIMARY KEY); CREATE TABLE keyless (n int)");
    let says = |password: &str, ok: bool, texts: &[&str]| {
        let (found, said) = check(&pipeline, &database, password);
        assert_eq!(found, ok, "{said}");
        texts.iter().for_each(|text| assert!(said.contains(text), "no {text:?} in: {said}"));
    };
    says("wrong", false, &["password authentication failed", "--pg-password (PGPASSWORD)"]);
    let publication = "CREATE PUBLICATION \"tahoe\" FOR ALL TABLES;";
    let slot = "SELECT pg_create_logical_replication_slot('tahoe_";
    says(&database.password, false, &[publication, slot, "PostgreSQL 15", "primary"]);
    let producer = start(&pipeline, &database, &[]).wait();
    assert!(
        !producer.status.success() && producer.stderr.contains("--setup"),
        "{}",
        producer.stderr
    );
    set_up(&pipeline, &database);
    let full = "ALTER TABLE public.keyless REPLICA IDENTITY FULL;";
    says(&database.password, true, &["wal_level is logical", "public.keyed", "warning:", full]);
    database.run("CREATE ROLE weak LOGIN PASSWORD 'weak'");
    let mut command = tahoe_tests::program::command("tahoe-postgres");
    command.arg("--check").envs(pipeline.settings()).envs(database.settings());
    command.env("PGUSER", "weak").env("PGPASSWORD", "weak");
    let said = Program::spawn("tahoe-postgres", command).wait().stdout;
    database.run("DROP ROLE weak");
    for text in ["ALTER ROLE \"weak\" REPLICATION;", "SELECT ON public.keyed TO \"weak\";"] {
        assert!(said.contains(text), "no {text:?} in: {said}");
    }
    tear_down(&pipeline, &database);
}

#[test]
fn a_check_names_wal_level_where_the_server_restarts_in_mid_stream_without_it() {
    let Some(pipeline) = Pipeline::set_up("postgres_level") else { return };
    let Some(database) = Database::create("postgres_level") else { return };
    // A server with a slot does not start without its level.
    database.run(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
    );
    database.run("ALTER SYSTEM SET wal_level = replica");
    services(&["restart", "postgresql"]);
    let (found, said) = check(&pipeline, &database, &database.password);
    database.run("ALTER SYSTEM RESET wal_level");
    services(&["restart", "postgresql"]);
    assert!(!found && said.contains("ALTER SYSTEM SET wal_level = logical;"), "{said}");
    database.drop();
}

#[test]
fn a_slot_that_was_made_anew_stops_the_producer_until_a_policy_says_how_to_go_on() {
    let Some(pipeline) = Pipeline::set_up("postgres_lost") else { return };
    let Some(database) = Database::create("postgres_lost") else { return };
    database.run("CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1)");
    set_up(&pipeline, &database);
    let producer = start(&pipeline, &database, &[]);
    wait_for_all(&database);
    producer.stop();
    let slots = format!("FROM pg_replication_slots WHERE database = '{}'", database.name);
    until("the slot is dropped", || {
        database.try_run(&format!("SELECT pg_drop_replication_slot(slot_name) {slots}"))
    });
    let stopped = start(&pipeline, &database, &[]).wait();
    assert!(!stopped.status.success() && stopped.stderr.contains("--setup"), "{}", stopped.stderr);
    database.run("INSERT INTO kept VALUES (2)");
    set_up(&pipeline, &database);
    let stopped = start(&pipeline, &database, &[]).wait();
    let policy = "--pg-on-lost-position";
    assert!(!stopped.status.success() && stopped.stderr.contains(policy), "{}", stopped.stderr);
    let producer = start(&pipeline, &database, &[policy, "snapshot"]);
    until("the rows are read again", || {
        let records = parsed(&pipeline.in_kafka());
        let second = |record: &Value| record["op"] == "read" && record["key"]["id"] == 2;
        if records.iter().any(second) { Ok(()) } else { Err(format!("{} records", records.len())) }
    });
    producer.stop();
    let records = pipeline.in_kafka();
    assert_eq!(records.iter().filter(|record| record.text.contains("\"gap: ")).count(), 1);
    tear_down(&pipeline, &database);
}
