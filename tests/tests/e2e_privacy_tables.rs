//! A privacy policy in the producer of a database: what it hides of rows and changes is nowhere in
//! Kafka, though the producer is killed in the middle of a snapshot and of the changes; each row and
//! each change is stored once, and a value is hidden alike wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tahoe_tests::database::{Server, start_reader};
use tahoe_tests::documents::{Documents as _, number_of};
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::postgresql::Database;
use tahoe_tests::privacy::Private;
use tahoe_tests::program::Program;
use tahoe_tests::wait::until_true;

const ROWS: u64 = 3000;
const ROUNDS: u64 = 4;

/// `before` is what a replica identity or a row image shows of the row before its change.
const POLICY: &str = "\
    *  db.after.mail   hash\n\
    *  db.before.mail  hash\n\
    *  db.after.card   mask\n\
    *  db.before.card  mask\n\
    *  db.after.note   drop\n\
    *  db.before.note  drop\n";

/// None is so short that a hash, a position or a time has it by chance.
const PRIVATE: [&str; 3] = ["@shop.example", "4111 1111", "allergic"];

fn tell_customers<S: Server>(test: &str, open: impl FnOnce() -> Option<S>) {
    let Some(private) = Private::set_up(test, POLICY) else { return };
    let Some(mut server) = open() else { return };
    let pipeline = &private.pipeline;
    let create = "CREATE TABLE customers (id bigint PRIMARY KEY, version int, mail varchar(60), \
                  card varchar(30), note varchar(60))";
    let fill = format!(
        "INSERT INTO customers SELECT n, 0, concat('u', n, '@shop.example'), \
         '4111 1111 1111 1111', 'allergic' FROM {}",
        S::numbers(ROWS)
    );
    server.run(&[create.to_owned(), fill]).expect("a table");
    let ended = start_reader(pipeline, &server, &["--setup"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let transformer = private.start("tahoe-transformer", &[]);
    let start = |server: &S| -> Program { start_reader(pipeline, server, &private.flags()) };
    for round in 1..=ROUNDS {
        let producer = start(&server);
        let before = pipeline.reach();
        let change = format!("UPDATE customers SET version = {round} WHERE id % 10 = {round}");
        server.run(&[change]).expect("changed");
        until_true("more records", || pipeline.reach() > before);
        producer.kill();
    }
    let last = "INSERT INTO customers VALUES \
                (0, 0, 'u0@shop.example', '4111 1111 1111 1111', 'allergic')";
    server.run(&[last.to_owned()]).expect("inserted");
    let mut producer = start(&server);
    producer.says("every table is read");
    pipeline.documents.wait_for("db.key.id:0", 1);
    producer.stop();
    pipeline.documents.wait_for("*", pipeline.in_kafka().len());
    transformer.stop();

    private.assert_nowhere_in_kafka(&PRIVATE);
    assert_each_told(&private);
    let ended = start_reader(pipeline, &server, &["--teardown"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    server.end();
}

/// Every row in its last state, every change once, and one hash for each mail.
fn assert_each_told(private: &Private) {
    let documents = private.by_id();
    let mut mails: BTreeMap<u64, String> = BTreeMap::new();
    let mut versions: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut changes = BTreeSet::new();
    for document in documents.values() {
        let db = &document.source["db"];
        if db["key"].is_null() {
            continue;
        }
        let (key, after) = (number_of(&db["key"]["id"]), &db["after"]);
        let mail = after["mail"].as_str().expect("a hash").to_owned();
        assert_eq!(mails.entry(key).or_insert_with(|| mail.clone()), &mail, "{after}");
        assert_eq!((&after["card"], after.get("note")), (&Value::from("***"), None), "{after}");
        let version = number_of(&after["version"]);
        versions.entry(key).or_default().push(version);
        if document.text("/event/action") == "update" {
            assert!(changes.insert((key, version)), "twice: {}", document.source);
        }
    }
    assert_eq!(mails.len() as u64, ROWS + 1, "each customer");
    let mut hashes: Vec<_> = mails.values().collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, ROWS + 1, "each mail has a hash of its own");
    for (key, told) in versions {
        let round = key % 10;
        let last = if key > 0 && (1..=ROUNDS).contains(&round) { round } else { 0 };
        assert_eq!(told.iter().max(), Some(&last), "{key}: {told:?}");
    }
}

#[test]
fn nothing_that_is_hidden_of_a_table_of_postgresql_reaches_kafka() {
    let test = "privacy_postgresql";
    tell_customers(test, || Database::create(test));
}

#[test]
fn nothing_that_is_hidden_of_a_table_of_mariadb_reaches_kafka() {
    let test = "privacy_mariadb";
    tell_customers(test, || Mariadb::set_up(test));
}
