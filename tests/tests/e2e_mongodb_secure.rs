//! How `tahoe-mongodb` logs in, with TLS, to a stand-in that asks for it; and what it says where it
//! may not, without a word of the password.

use std::fs;
use std::process::Command;

use mongodb::bson::{DateTime, doc};
use tahoe_tests::mongodb::Database;
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::{Ended, Program};
use tahoe_tests::servers::{free_port, http_get, setting};
use tahoe_tests::wait::{until, until_true};

/// The port that asks for TLS and a login, and the files beside it.
struct Secure {
    server: String,
    folder: String,
    password: String,
    db: Database,
}

impl Secure {
    fn open(name: &str) -> Option<Self> {
        let server = setting("TAHOE_TEST_MONGODB_SECURE")?;
        let folder = setting("TAHOE_TEST_MONGODB_HOME")?;
        let password = fs::read_to_string(format!("{folder}/password")).expect("a password");
        let db = Database::open(name)?;
        db.insert("orders", [doc! {"_id": 1}]);
        Some(Self { server, folder, password, db })
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// The server and the authority that it is known by.
    fn there(&self) -> Vec<String> {
        let flags = ["--mongo-host", &self.server, "--mongo-db", &self.db.name, "--mongo-ca-file"];
        flags.into_iter().map(str::to_owned).chain([self.file("ca.crt")]).collect()
    }

    fn login(&self, user: &str) -> Vec<String> {
        let file = self.file("password");
        ["--mongo-user", user, "--mongo-password-file", &file].map(str::to_owned).to_vec()
    }
}

fn start(pipeline: &Pipeline, arguments: &[Vec<String>]) -> Program {
    let arguments: Vec<_> = arguments.iter().flatten().map(String::as_str).collect();
    pipeline.start("tahoe-mongodb", &arguments)
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn said(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn every_way_to_log_in_is_taken_and_changes_are_read_over_tls() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_login") else { return };
    let Some(secure) = Secure::open(&pipeline.name) else { return };
    let by_password = |mechanism: &str| {
        vec![secure.there(), secure.login("tahoe"), texts(&["--mongo-auth", mechanism])]
    };
    let certificate = secure.file("tahoe.pem");
    let by_certificate = ["--mongo-auth", "x509", "--mongo-cert-file", &certificate];
    let (password, server, name) = (&secure.password, &secure.server, &secure.db.name);
    let uri = format!("mongodb://tahoe:{password}@{server}/{name}?authSource=admin&tls=true");
    let file = pipeline.flag("uri");
    fs::write(&file, &uri).expect("written");
    let authority = secure.file("ca.crt");
    let ways = [
        vec![secure.there(), secure.login("tahoe")],
        by_password("scram-sha-256"),
        by_password("scram-sha-1"),
        vec![secure.there(), texts(&by_certificate)],
        vec![texts(&["--mongo-uri-file", &file, "--mongo-ca-file", &authority])],
    ];
    let checked: Vec<_> = ways
        .iter()
        .map(|way| start(&pipeline, &[&way[..], &[texts(&["--check"])]].concat()))
        .collect();
    for (ended, way) in checked.into_iter().map(Program::wait).zip(&ways) {
        assert!(ended.status.success(), "{way:?}: {}", said(&ended));
        assert!(!said(&ended).contains(password), "{way:?}: {}", said(&ended));
    }
    let producer = start(&pipeline, &ways[3]);
    until_true("the document is read", || pipeline.in_kafka().len() == 1);
    secure.db.insert("orders", [doc! {"_id": 2}]);
    until_true("the change is read", || pipeline.in_kafka().len() == 2);
    producer.stop();
}

#[test]
fn whoever_is_refused_is_told_the_setting_to_change_and_never_the_password() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_refused") else { return };
    let Some(secure) = Secure::open(&pipeline.name) else { return };
    let name = secure.db.name.as_str();
    let port = secure.server.rsplit_once(':').expect("a port").1.to_owned();
    let plain = secure.db.server.clone();
    let (authority, stranger) = (secure.file("ca.crt"), secure.file("stranger.pem"));
    let wrong = "hunter2-is-wrong";
    let uri = format!("mongodb://tahoe:{wrong}@{}/{name}?authSource=admin&tls=true", secure.server);
    let cases = [
        (
            vec![secure.there(), texts(&["--mongo-user", "tahoe", "--mongo-password", wrong])],
            "check MONGO_USER, MONGO_PASSWORD",
        ),
        (
            vec![texts(&["--mongo-uri", &uri, "--mongo-ca-file", &authority])],
            "check MONGO_USER, MONGO_PASSWORD",
        ),
        (
            vec![
                texts(&["--mongo-host", &secure.server, "--mongo-db", name, "--mongo-tls"]),
                secure.login("tahoe"),
            ],
            "MONGO_CA_FILE",
        ),
        (
            vec![
                texts(&["--mongo-host", "127.0.0.2", "--mongo-port", &port, "--mongo-direct"]),
                texts(&["--mongo-db", name, "--mongo-ca-file", &authority]),
                secure.login("tahoe"),
            ],
            "MONGO_HOST must be one of its names",
        ),
        (
            vec![texts(&["--mongo-host", &plain, "--mongo-db", name, "--mongo-tls"])],
            "if it speaks no TLS, leave MONGO_TLS",
        ),
        (
            vec![texts(&["--mongo-host", &secure.server, "--mongo-db", name])],
            "if it asks for TLS, set MONGO_TLS",
        ),
        (vec![secure.there()], "set MONGO_USER and MONGO_PASSWORD"),
        (
            vec![secure.there(), texts(&["--mongo-auth", "x509", "--mongo-cert-file", &stranger])],
            "MONGO_CERT_FILE shows no user",
        ),
        (
            vec![secure.there(), secure.login("nobody")],
            "grantRolesToUser(\"nobody\", [{role: \"read\", db: \"",
        ),
    ];
    // Those that no server can be used for take their time, so all are asked at once.
    let asked: Vec<_> = cases
        .iter()
        .map(|(way, _)| start(&pipeline, &[&way[..], &[texts(&["--check"])]].concat()))
        .collect();
    for (ended, (way, expected)) in asked.into_iter().map(Program::wait).zip(&cases) {
        let said = said(&ended);
        assert!(!ended.status.success() && said.contains(expected), "{way:?}: {said}");
        assert!(!said.contains(wrong) && !said.contains(&secure.password), "{said}");
    }
    // A process that reads ends instead of trying for ever.
    let ended = start(&pipeline, &cases[0].0).wait();
    assert!(!ended.status.success() && ended.stderr.contains(cases[0].1), "{}", ended.stderr);
    assert!(!said(&ended).contains(wrong), "{}", ended.stderr);
}

#[test]
fn the_oplogs_window_is_a_metric_with_a_warning_or_the_grant_that_lets_it_be_seen() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_window") else { return };
    let Some(secure) = Secure::open(&pipeline.name) else { return };
    let metrics = format!("127.0.0.1:{}", free_port());
    let watched = texts(&["--metrics", &metrics, "--mongo-oplog-warn", "1000"]);
    let mut producer = start(&pipeline, &[secure.there(), secure.login("tahoe"), watched]);
    producer.says("the oplog reaches back less than --mongo-oplog-warn says");
    until("the window is a metric", || {
        let found = http_get(&format!("http://{metrics}/metrics"))?;
        let has = |what: &str| found.contains(&format!("{} oplog {what}\"", secure.db.name));
        if has("window") && has("before position") { Ok(()) } else { Err(found) }
    });
    producer.stop();
    let mut producer = start(&pipeline, &[secure.there(), secure.login("reader")]);
    producer.says("how far back the oplog reaches is not told to this user");
    assert!(producer.stderr().contains("role: \\\"read\\\", db: \\\"local\\\""));
    until_true("changes are read all the same", || pipeline.in_kafka().len() == 1);
    producer.stop();
}

#[test]
fn who_may_not_see_open_transactions_is_told_the_grant_and_reads_log_documents_all_the_same() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_unseen") else { return };
    let Some(secure) = Secure::open(&pipeline.name) else { return };
    let way = [secure.there(), secure.login("tahoe"), texts(&["--mongo-logs", "orders"])];
    let ended = start(&pipeline, &[&way[..], &[texts(&["--check"])]].concat()).wait();
    let grant = "grantRolesToUser(\"tahoe\", [{role: \"clusterMonitor\", db: \"admin\"}])";
    assert!(ended.status.success() && said(&ended).contains(grant), "{}", said(&ended));
    secure.db.insert("orders", [doc! {"_id": 2, "timestamp": DateTime::now()}]);
    let mut producer = start(&pipeline, &way);
    producer.says("the server does not say which transactions are open");
    until_true("the document with a time is read", || pipeline.in_kafka().len() == 1);
    producer.stop();
}

#[test]
fn a_server_without_a_replica_set_is_told_the_statement_that_makes_it_one() {
    let Some(pipeline) = Pipeline::of_kafka("mongodb_alone") else { return };
    let Some(folder) = setting("TAHOE_TEST_MONGODB_HOME") else { return };
    let port = free_port().to_string();
    let mut command = Command::new("sh");
    command.args([&format!("{folder}/alone"), &port]);
    let server = Program::spawn("stand-in", command);
    until_true("it is ready", || server.stdout().contains("ready on"));
    let there = texts(&["--mongo-host", "127.0.0.1", "--mongo-port", &port, "--mongo-db", "shop"]);
    for more in [&["--check"][..], &[]] {
        let ended = start(&pipeline, &[there.clone(), texts(more)]).wait();
        let said = said(&ended);
        assert!(!ended.status.success() && said.contains("rs.initiate()"), "{more:?}: {said}");
    }
    let logs = texts(&["--mongo-logs", "logs", "--check"]);
    let ended = start(&pipeline, &[there, logs]).wait();
    let expected = "has no transactions to wait for";
    assert!(ended.status.success() && said(&ended).contains(expected), "{}", said(&ended));
    server.kill();
}
