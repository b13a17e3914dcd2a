//! What is large in a table: values of 16 MB, a row of more columns than an index has fields, a table
//! of nothing. All of it reaches Elasticsearch, and nothing is a dead letter.

use serde_json::Value;
use tahoe_tests::database::{Server, start_reader};
use tahoe_tests::documents::{Document, Documents as _};
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::program::run;
use tahoe_tests::wait::until;

const LARGE_BYTES: usize = 16 << 20;

/// `kind` is the type of a column for a text of any length; `columns` as many as a table may have.
fn tell_what_is_large<S: Server>(pipeline: &Pipeline, mut server: S, kind: &str, columns: u32) {
    let names: Vec<_> = (1..columns).map(|n| format!("c{n}")).collect();
    let numbers: Vec<_> = (1..columns).map(|n| n.to_string()).collect();
    let insert = |id: u32| {
        let numbers = numbers.join(", ");
        let large = format!("repeat('0123456789abcdef', {})", LARGE_BYTES / 16);
        [
            format!("INSERT INTO large VALUES ({id}, 0, {large})"),
            format!("INSERT INTO wide VALUES ({id}, {numbers})"),
        ]
    };
    let create = [
        format!("CREATE TABLE large (id int PRIMARY KEY, version int, value {kind})"),
        format!("CREATE TABLE wide (id int PRIMARY KEY, {} int)", names.join(" int, ")),
        "CREATE TABLE nothing (id int PRIMARY KEY)".to_owned(),
    ];
    server.run(&create).expect("tables");
    server.run(&insert(1)).expect("rows");
    let ended = start_reader(pipeline, &server, &["--setup"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let transformer = pipeline.transformer();
    let mut reader = start_reader(pipeline, &server, &[]);
    reader.says("every table is read");
    server.run(&insert(2)).expect("rows");
    let update = "UPDATE large SET version = version + 1".to_owned();
    server.run(&[update, "INSERT INTO nothing VALUES (7)".to_owned()]).expect("changes");
    // Two rows, then an insert into each table and an update of two rows.
    until("rows and changes", || match pipeline.documents.count("*") {
        7 => Ok(()),
        found => Err(format!("{found} are there, {} dead letters", pipeline.dead_letters())),
    });
    reader.stop();
    transformer.stop();
    let documents = pipeline.documents.find("*");
    let of = |table: &str, id: u32| {
        let is_of = |one: &&Document| {
            one.text("/db/collection/name") == table && one.source["db"]["key"]["id"] == id
        };
        documents.iter().filter(is_of).map(|one| &one.source["db"]).collect::<Vec<_>>()
    };
    for id in [1, 2] {
        let told = of("large", id);
        assert_eq!(told.len(), 2, "the row or the insert, and the update");
        for db in told {
            assert_large(db);
        }
        let told = of("wide", id);
        let row = told[0]["after"].as_object().expect("a row");
        assert_eq!(row.len(), columns as usize);
        assert_eq!(row[names.last().expect("columns")], columns - 1);
    }
    assert_eq!(of("nothing", 7).len(), 1);
    let ended = start_reader(pipeline, &server, &["--teardown"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    server.end();
}

/// The value whole, or its length and hash, or that it is as it was.
fn assert_large(db: &Value) {
    let value = &db["after"]["value"];
    let is_whole = value.as_str().is_some_and(|text| text.len() == LARGE_BYTES);
    let has_length = value["bytes"] == LARGE_BYTES && value["sha256"].is_string();
    let is_unchanged = db["unchanged"][0] == "value";
    let shown: String = value.to_string().chars().take(200).collect();
    assert!(is_whole || has_length || is_unchanged, "{shown}");
}

#[test]
fn large_values_and_wide_rows_of_postgresql_are_told() {
    let Some(pipeline) = Pipeline::set_up("large_postgresql") else { return };
    let Some(database) = Database::create("large_postgresql") else { return };
    tell_what_is_large(&pipeline, database, "text", 1600);
}

#[test]
fn large_values_and_wide_rows_of_mariadb_are_told() {
    let Some(pipeline) = Pipeline::set_up("large_mariadb") else { return };
    let Some(mut server) = Mariadb::set_up("large_mariadb") else { return };
    // InnoDB has 1,017 columns at most.
    server.run("SET default_storage_engine = 'Aria'");
    tell_what_is_large(&pipeline, server, "longtext", 2000);
}

/// Under a limit as that of MSK Serverless, only smaller.
fn tell_what_kafka_would_refuse<S: Server>(pipeline: &Pipeline, mut server: S, kind: &str) {
    const VALUE_BYTES: usize = 3 << 20;
    let limit = ["--kafka-record-bytes-max", "2097152"];
    let value = format!("repeat('0123456789abcdef', {})", VALUE_BYTES / 16);
    let insert = |id: u32| format!("INSERT INTO large VALUES ({id}, {value})");
    let create = format!("CREATE TABLE large (id int PRIMARY KEY, value {kind})");
    server.run(&[create, insert(1)]).expect("a row");
    let ended = start_reader(pipeline, &server, &["--setup"]).wait();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let mut reader = start_reader(pipeline, &server, &limit);
    reader.says("every table is read");
    server.run(&[insert(2)]).expect("a change");
    pipeline.wait_for_records(2);
    reader.stop();
    let records = pipeline.json_in_kafka();
    assert_eq!(records.len(), 2, "the row and the change");
    for record in records {
        assert!(record["key"]["id"].is_u64());
        let value = &record["after"]["value"];
        assert!(value["bytes"] == VALUE_BYTES && value["sha256"].is_string(), "{record}");
    }
    let too_much = [&limit[..], &["--record-bytes-max", "4000000"]].concat();
    let log = pipeline.flag("log");
    let files = ["--kafka", "127.0.0.1:1", "--file"];
    let file = format!("nginx.access={log}");
    let ended = run("tahoe-file", &[&files[..], &[&file], &too_much].concat());
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("KAFKA_RECORD_BYTES_MAX is 2097152"), "{}", ended.stderr);
    start_reader(pipeline, &server, &["--teardown"]).wait();
    server.end();
}

#[test]
fn a_row_of_postgresql_that_kafka_would_refuse_keeps_its_key_and_the_hash_of_its_value() {
    let Some(pipeline) = Pipeline::of_kafka("refused_postgresql") else { return };
    let Some(database) = Database::create("refused_postgresql") else { return };
    tell_what_kafka_would_refuse(&pipeline, database, "text");
}

#[test]
fn a_row_of_mariadb_that_kafka_would_refuse_keeps_its_key_and_the_hash_of_its_value() {
    let Some(pipeline) = Pipeline::of_kafka("refused_mariadb") else { return };
    let Some(server) = Mariadb::set_up("refused_mariadb") else { return };
    tell_what_kafka_would_refuse(&pipeline, server, "longtext");
}
