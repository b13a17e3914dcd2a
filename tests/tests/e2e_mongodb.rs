//! MongoDB's documents and changes while their reader is killed and its connection cut: in the end
//! both together are the collection, and each change is in Kafka once, in the order of its document.

#[path = "mongodb/collection.rs"]
mod collection;
#[path = "mongodb/rebuilt.rs"]
mod rebuilt;

use std::time::{Duration, Instant};

use collection::Shop;
use mongodb::bson::doc;
use rebuilt::{Record, rebuild};
use serde_json::Value;
use tahoe_seams::Log as _;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::run;
use tahoe_tests::proxy::Proxy;
use tahoe_tests::servers::free_port;
use tahoe_tests::wait::until_true;

const ROUNDS: u64 = 20;
/// Documents that are there before anything is read.
const DOCUMENTS: usize = 1500;
/// Records in Kafka between two kills.
const RECORDS_PER_ROUND: usize = 120;

fn records(pipeline: &Pipeline) -> Vec<Record> {
    pipeline.in_kafka().iter().map(|record| Record::parse(&record.text)).collect()
}

#[test]
fn documents_and_changes_are_the_collection_when_their_reader_is_killed_twenty_times() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb") else { return };
    let Some(fresh) = Pipeline::of_kafka("mongodb_fresh") else { return };
    let Some(shop) = Shop::open(&pipeline.name) else { return };
    shop.fill(DOCUMENTS);
    let witness = shop.witness();
    let writer = shop.change_until_stopped();
    let proxy = Proxy::to(&shop.server);
    let arguments = [
        "--mongo-host",
        &proxy.address,
        "--mongo-direct",
        "--mongo-db",
        &shop.name,
        "--mongo-collection",
        "orders",
        "--mongo-chunk",
        "40",
    ];
    for round in 0..ROUNDS {
        let before = pipeline.in_kafka().len();
        let producer = pipeline.start("tahoe-mongodb", &arguments);
        pipeline.wait_for_records(before + RECORDS_PER_ROUND);
        if round % 3 == 0 {
            proxy.cut();
            pipeline.wait_for_records(before + 2 * RECORDS_PER_ROUND);
        }
        producer.kill();
    }
    writer.stop();
    let changes = witness.finish();
    let producer = pipeline.start("tahoe-mongodb", &arguments);
    let last = changes.last().expect("there are changes").clone();
    until_true("the last change comes", || {
        records(&pipeline).iter().any(|record| record.op != "read" && record.position == last)
    });
    let documents = shop.count();
    until_true("the snapshot ends", || rebuild(&records(&pipeline)).len() >= documents);
    producer.stop();
    let records = records(&pipeline);

    let mut found: Vec<_> =
        records.iter().filter(|record| record.op != "read").map(|r| r.position.clone()).collect();
    found.sort_unstable();
    let first = changes.binary_search(&found[0]).expect("the first is a change");
    assert_eq!(found.len(), changes.len() - first, "changes in Kafka, and those that were made");
    assert_eq!(found, changes[first..], "each change once");
    assert!(first < changes.len() / 2, "most changes were read");
    assert!(records.iter().filter(|record| record.op == "read").count() > DOCUMENTS / 3);

    let rebuilt = rebuild(&records);
    let expected = shop.contents(&fresh);
    assert_eq!(rebuilt.len(), expected.len());
    for (key, document) in &expected {
        assert_eq!(rebuilt.get(key), Some(document), "{key}");
    }
}

#[test]
fn a_dropped_collection_is_an_event_and_the_next_one_of_its_name_is_read_on() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_drop") else { return };
    let Some(shop) = Shop::open(&pipeline.name) else { return };
    shop.insert("orders", [doc! {"_id": 1}]);
    let server = shop.server.clone();
    let arguments = ["--mongo-host", &server, "--mongo-db", &shop.name];
    let one = [&arguments[..], &["--mongo-collection", "orders"]].concat();
    let producer = pipeline.start("tahoe-mongodb", &one);
    pipeline.wait_for_records(1);
    shop.run(doc! {"drop": "orders"});
    shop.insert("orders", [doc! {"_id": 2}]);
    pipeline.wait_for_records(4);
    producer.stop();
    shop.insert("orders", [doc! {"_id": 3}]);
    let producer = pipeline.start("tahoe-mongodb", &one);
    pipeline.wait_for_records(5);
    producer.stop();
    let mut texts: Vec<_> = records(&pipeline).iter().map(Record::summary).collect();
    texts.sort_unstable();
    let name = &shop.name;
    let expected = vec![
        format!("ddl drop {name}.orders"),
        "ddl invalidate".to_owned(),
        "insert {\"_id\":2}".to_owned(),
        "insert {\"_id\":3}".to_owned(),
        "read {\"_id\":1}".to_owned(),
    ];
    assert_eq!(texts, expected);
}

/// A database of two documents whose server knows no longer what its reader, which has read one,
/// would go on from.
fn with_a_lost_position(pipeline: &Pipeline) -> Option<Shop> {
    let shop = Shop::open(&pipeline.name)?;
    shop.insert("orders", [doc! {"_id": 1}]);
    let arguments = ["--mongo-host", &shop.server, "--mongo-db", &shop.name];
    let producer = pipeline.start("tahoe-mongodb", &arguments);
    pipeline.wait_for_records(1);
    producer.stop();
    shop.insert("orders", [doc! {"_id": 2}]);
    shop.run(doc! {"forgetHistory": 1});
    Some(shop)
}

#[test]
fn a_lost_position_stops_the_reader_or_is_an_event_of_its_own_as_the_setting_says() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_lost") else { return };
    let Some(shop) = with_a_lost_position(&pipeline) else { return };
    let arguments = ["--mongo-host", &shop.server, "--mongo-db", &shop.name];
    let ended = pipeline.start("tahoe-mongodb", &arguments).wait();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("--mongo-on-lost-position"), "{}", ended.stderr);
    let policy = [&arguments[..], &["--mongo-on-lost-position", "snapshot"]].concat();
    let producer = pipeline.start("tahoe-mongodb", &policy);
    pipeline.wait_for_records(4);
    let ended = producer.stop();
    let mut texts: Vec<_> = records(&pipeline).iter().map(Record::summary).collect();
    texts.sort_unstable();
    assert!(texts[0].starts_with("ddl gap: the changes from 82"), "{texts:?}");
    let read = ["read {\"_id\":1}", "read {\"_id\":1}", "read {\"_id\":2}"];
    assert_eq!(texts[1..], read, "the whole collection again {}", ended.stderr);
}

#[test]
fn a_gap_that_is_skipped_is_an_event_and_the_changes_behind_it_are_read() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_skip") else { return };
    let Some(shop) = with_a_lost_position(&pipeline) else { return };
    let arguments = ["--mongo-host", &shop.server, "--mongo-db", &shop.name];
    let policy = [&arguments[..], &["--mongo-on-lost-position", "latest"]].concat();
    let producer = pipeline.start("tahoe-mongodb", &policy);
    pipeline.wait_for_records(2);
    shop.insert("orders", [doc! {"_id": 3}]);
    pipeline.wait_for_records(3);
    producer.stop();
    let mut texts: Vec<_> = records(&pipeline).iter().map(Record::summary).collect();
    texts.sort_unstable();
    assert!(texts[0].starts_with("ddl gap: the changes from 82"), "{texts:?}");
    assert_eq!(texts[1..], ["insert {\"_id\":3}", "read {\"_id\":1}"]);
}

#[test]
fn check_says_what_the_server_is_and_what_would_have_to_change() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_check") else { return };
    let Some(shop) = Shop::open(&pipeline.name) else { return };
    shop.insert("orders", [doc! {"_id": 1}]);
    let server = shop.server.clone();
    let arguments = ["--mongo-host", &server, "--mongo-db", &shop.name, "--check"];
    let ended = pipeline.start("tahoe-mongodb", &arguments).wait();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(ended.status.success(), "{said}");
    for part in ["MongoDB 7.0.0", "replica set rs0", "orders keeps no images", "collMod"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The stand-in takes no password at all, so none is right.
    let login = ["--mongo-user", "me", "--mongo-password", "hunter2"];
    let ended = pipeline.start("tahoe-mongodb", &[&arguments[..], &login].concat()).wait();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!ended.status.success() && said.contains("MONGO_PASSWORD"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_server_that_is_not_there_is_said_within_ten_seconds() {
    let port = free_port().to_string();
    let began = Instant::now();
    let arguments = ["--check", "--kafka", "127.0.0.1:1", "--mongo-host", "127.0.0.1"];
    let more = ["--mongo-port", &port, "--mongo-db", "shop", "--json"];
    let ended = run("tahoe-mongodb", &[&arguments[..], &more].concat());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let said: Value = serde_json::from_str(&ended.stdout).expect("one object");
    let checks = said["checks"].as_array().expect("checks");
    let ours = checks.iter().find(|check| check["name"] == "mongodb-shop").expect("ours");
    assert_eq!(ours["ok"], false);
    assert!(ours["text"].as_str().is_some_and(|text| text.contains(&port)), "{ours}");
}

#[test]
fn two_servers_with_databases_of_one_name_are_told_whole_whichever_reader_is_killed() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_two") else { return };
    let Some(one) = Shop::open(&pipeline.name) else { return };
    let Some(other) = Shop::open_another(&pipeline.name) else { return };
    let start = |host: &str, shop: &Shop| {
        let arguments = ["--host", host, "--mongo-host", &shop.server, "--mongo-db", &shop.name];
        let changes = ["--mongo-direct", "--mongo-snapshot", "never"];
        let producer = pipeline.start("tahoe-mongodb", &[&arguments[..], &changes].concat());
        // Its stream is open once it has a position.
        until_true("it begins", || {
            let stored = pipeline.log().positions().expect("Kafka is there");
            stored.iter().any(|(key, _)| key.starts_with(format!("{host}/").as_bytes()))
        });
        producer
    };
    let first = start("one", &one);
    let insert = |shop: &Shop, from: i64, count: i64| {
        for id in from..from + count {
            shop.insert("orders", [doc! {"_id": id}]);
        }
    };
    insert(&one, 0, 20);
    pipeline.wait_for_records(20);
    insert(&one, 20, 20);
    pipeline.wait_for_records(25);
    first.kill();
    let second = start("other", &other);
    insert(&other, 0, 200);
    pipeline.wait_for_records(225);
    let first = start("one", &one);
    insert(&one, 40, 40);
    pipeline.wait_for_records(280);
    first.stop();
    second.kill();
    let second = start("other", &other);
    insert(&other, 200, 40);
    pipeline.wait_for_records(320);
    second.stop();
    let mut found: Vec<_> = records(&pipeline).iter().map(|r| r.after["_id"].as_i64()).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = (0..80).chain(0..240).map(Some).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
