//! A primary is lost and its standby takes over while a producer reads: it finds the new primary by
//! itself, and says what it cannot know there until it is told how to go on.

use serde_json::Value;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::postgresql::Database;
use tahoe_tests::program::{Program, command};
use tahoe_tests::servers::{ask_services, services};
use tahoe_tests::wait::until;

/// The primary is there again when the test ends, however it does.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        services(&["clean", "postgresql-standby"]);
        services(&["up", "postgresql"]);
    }
}

/// The same database on a standby that follows the primary from now on.
fn follow(primary: &Database) -> Database {
    services(&["up", "postgresql-standby"]);
    let home = ask_services(&["home", "postgresql-standby"]);
    let port = std::fs::read_to_string(format!("{home}/port")).expect("it has a port");
    let port = port.trim().to_owned();
    let (host, password, name) =
        (primary.host.clone(), primary.password.clone(), primary.name.clone());
    Database { host, port, password, name }
}

/// A producer that knows both servers, and looks for the primary.
fn start(pipeline: &Pipeline, servers: [&Database; 2], arguments: &[&str]) -> Program {
    let mut command = command("tahoe-postgres");
    command.args(arguments).envs(pipeline.settings()).envs(servers[0].settings());
    command.env("PGHOST", servers.map(|server| server.host.as_str()).join(","));
    command.env("PGPORT", servers.map(|server| server.port.as_str()).join(","));
    command.env("PGTARGETSESSIONATTRS", "primary");
    Program::spawn("tahoe-postgres", command)
}

fn wait_for_record(pipeline: &Pipeline, operation: &str, id: u64) {
    until(&format!("{operation} of {id}"), || {
        let records = pipeline.in_kafka();
        let is_it = |record: Value| record["op"] == operation && record["key"]["id"] == id;
        let mut found = records.iter().filter_map(|record| serde_json::from_str(&record.text).ok());
        if found.any(is_it) { Ok(()) } else { Err(format!("{} records", records.len())) }
    });
}

#[test]
fn a_promoted_standby_is_found_and_its_gap_named_when_the_primary_restarts_in_mid_stream() {
    let Some(pipeline) = Pipeline::set_up("postgres_standby") else { return };
    let Some(primary) = Database::create("postgres_standby") else { return };
    primary.run("CREATE TABLE kept (id int PRIMARY KEY)");
    primary.run("INSERT INTO kept SELECT generate_series(1, 100)");
    let restored = Restored;
    let standby = follow(&primary);
    let servers = [&standby, &primary];
    let set_up = start(&pipeline, servers, &["--setup"]).wait();
    assert!(set_up.status.success(), "{}{}", set_up.stdout, set_up.stderr);
    let mut producer = start(&pipeline, servers, &[]);
    producer.says("every table is read");
    primary.run("INSERT INTO kept VALUES (101)");
    wait_for_record(&pipeline, "insert", 101);
    until("the standby has caught up", || {
        match standby.try_run("SELECT max(id) FROM kept")?.trim() {
            "101" => Ok(()),
            other => Err(other.to_owned()),
        }
    });

    services(&["kill", "postgresql"]);
    standby.run("SELECT pg_promote()");
    standby.run("INSERT INTO kept VALUES (102)");
    let stopped = producer.wait();
    let said = &stopped.stderr;
    assert!(!stopped.status.success() && said.contains("the slot does not exist"), "{said}");
    assert!(said.contains("--setup"), "{said}");
    let set_up = start(&pipeline, servers, &["--setup"]).wait();
    assert!(set_up.status.success(), "{}{}", set_up.stdout, set_up.stderr);
    let stopped = start(&pipeline, servers, &[]).wait();
    let said = &stopped.stderr;
    assert!(!stopped.status.success() && said.contains("its timeline is another"), "{said}");
    let policy = "--pg-on-lost-position";
    assert!(said.contains(policy), "{said}");

    let mut producer = start(&pipeline, servers, &[policy, "snapshot"]);
    wait_for_record(&pipeline, "read", 102);
    producer.says("every table is read");
    producer.stop();
    let records = pipeline.in_kafka();
    let gaps = records.iter().filter(|record| record.text.contains("\"gap: ")).count();
    assert_eq!(gaps, 1);
    let rows: Vec<Value> = records
        .iter()
        .filter_map(|record| serde_json::from_str(&record.text).ok())
        .filter(|record: &Value| record["op"] == "read")
        .collect();
    // All of them before the standby was promoted, and all after it.
    assert_eq!(rows.len(), 100 + 102);
    drop(restored);
    let torn_down = start(&pipeline, [&primary, &primary], &["--teardown"]).wait();
    assert!(torn_down.status.success(), "{}{}", torn_down.stdout, torn_down.stderr);
    primary.drop();
}
