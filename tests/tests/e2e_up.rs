//! `tahoe up` as a person uses it: real input, no server, stopped and killed at any moment.

use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tahoe_tests::documents::{Documents, Embedded, each_once};
use tahoe_tests::feed::{self, BRISK, Feed, append_to, write_lines};
use tahoe_tests::program::{Ended, Program, command, run};
use tahoe_tests::servers::free_port;
use tahoe_tests::wait::until_true;
use tempfile::TempDir;

/// A pipeline and its files in a folder that ends with the test.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a temporary folder is UTF-8").to_owned()
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let data = self.text("data");
        let first = ["up", "--no-system", "--data", &data, "--start-at", "beginning"];
        first.iter().chain(more).map(|&argument| argument.to_owned()).collect()
    }

    fn up(&self, more: &[&str]) -> Program {
        let arguments = self.arguments(more);
        Program::start("tahoe", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn stored(&self, query: &str) -> usize {
        Embedded(&self.data()).count(query)
    }

    fn numbers(&self, query: &str) -> Vec<u64> {
        let found = Embedded(&self.data()).find(query);
        found.iter().map(|document| document.number()).collect()
    }
}

/// The summary of `--json`, which keeps the law.
fn summary(ended: &Ended) -> Value {
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    let last = ended.stdout.lines().last().expect("a summary");
    let summary: Value = serde_json::from_str(last).expect("the last line is JSON");
    let count = |name: &str| summary[name].as_u64().expect("a count of the summary");
    let ends = ["stored", "already_there", "dead_lettered", "dropped"];
    assert_eq!(count("read"), ends.into_iter().map(count).sum::<u64>(), "{summary}");
    assert_eq!(count("in_flight"), 0, "{summary}");
    summary
}

fn by_dataset(summary: &Value, dataset: &str) -> u64 {
    summary["by_dataset"][dataset].as_u64().unwrap_or(0)
}

#[test]
fn the_sample_feed_is_stored_and_the_summary_keeps_the_law() {
    let place = Place::new();
    let ended = place.up(&["--sample", "--for", "4s", "--json"]).wait();
    let summary = summary(&ended);
    assert_eq!(ended.stdout.lines().count(), 1, "all else goes to stderr: {}", ended.stdout);
    for dataset in ["laravel.log", "system.syslog", "system.auth"] {
        assert!(by_dataset(&summary, dataset) > 0, "{summary}");
    }
    let found = Embedded(&place.data()).find("*");
    assert_eq!(found.len() as u64, summary["stored"].as_u64().expect("a count"));
}

#[test]
fn a_second_start_goes_on_where_the_first_stopped_and_shows_nothing_twice() {
    let place = Place::new();
    let (log, flag) = (place.path("laravel.log"), place.text("laravel.log"));
    let mut file = append_to(&log);
    write_lines(&mut file, 0..300, feed::laravel);
    let arguments = ["--laravel", &flag, "--json"];
    let first = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 300);
    assert_eq!(by_dataset(&summary(&first.stop()), "laravel.log"), 300);

    write_lines(&mut file, 300..350, feed::laravel);
    let second = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 350);
    let summary = summary(&second.stop());
    assert_eq!(summary["read"], 50, "what was there is read again: {summary}");
    each_once(place.numbers("*"), 0..350);
}

#[test]
fn after_kill_9_in_mid_stream_every_line_of_the_files_is_there_once() {
    const ROUNDS: usize = 6;
    const STORED_PER_ROUND: usize = 150;
    let place = Place::new();
    let files = [("laravel.log", feed::laravel as fn(u64) -> String), ("syslog", feed::syslog)];
    let feeds = files.map(|(name, line)| Feed::into_file(&place.path(name), BRISK, line));
    let arguments =
        ["--laravel".into(), place.text("laravel.log"), "--file".into(), syslog_file(&place)];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for _ in 0..ROUNDS {
        let before = place.stored("*");
        let up = place.up(&arguments);
        Embedded(&place.data()).wait_for("*", before + STORED_PER_ROUND);
        up.kill();
    }
    let written = feeds.map(Feed::finish);
    let last = place.up(&[&arguments[..], &["--json"]].concat());
    let all = usize::try_from(written.iter().sum::<u64>()).expect("few");
    Embedded(&place.data()).wait_for("*", all);
    summary(&last.stop());
    each_once(place.numbers("event.dataset:laravel.log"), 0..written[0]);
    each_once(place.numbers("event.dataset:system.syslog"), 0..written[1]);
}

fn syslog_file(place: &Place) -> String {
    format!("system.syslog={}", place.text("syslog"))
}

/// Sockets have no acknowledgement, so a crash may lose what the kernel had taken: what it must not
/// lose is what was already in the log, and it must double nothing.
#[test]
fn after_kill_9_no_line_of_a_socket_is_there_twice_and_none_that_was_stored_is_gone() {
    let place = Place::new();
    let address = format!("127.0.0.1:{}", free_port());
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut stored = Vec::new();
    for round in 0..4u64 {
        let mut up = place.up(&["--syslog", &address]);
        up.says("listening for syslog");
        let mut connection = connect(&address);
        let numbers = round * 200..(round + 1) * 200;
        for n in numbers.clone() {
            if n.is_multiple_of(2) {
                datagrams.send_to(feed::rfc5424(n).as_bytes(), &address).expect("sent");
            } else {
                connection.write_all(feed::rfc5424(n).as_bytes()).expect("sent");
            }
        }
        Embedded(&place.data()).wait_for("*", stored.len() + 100);
        stored = place.numbers("*");
        up.kill();
        each_once(stored.clone(), stored.clone());
    }
    let mut up = place.up(&["--syslog", &address]);
    up.says("listening for syslog");
    up.stop();
    let found = place.numbers("*");
    each_once(found.clone(), found.clone());
    assert!(stored.iter().all(|n| found.contains(n)), "stored lines are gone");
}

fn connect(address: &str) -> TcpStream {
    let mut connection = None;
    until_true("it listens", || {
        connection = TcpStream::connect(address).ok();
        connection.is_some()
    });
    connection.expect("it listens")
}

#[test]
fn a_file_that_was_renamed_while_nothing_ran_is_read_to_its_end() {
    let place = Place::new();
    let (log, flag) = (place.path("laravel.log"), place.text("laravel.log"));
    write_lines(&mut append_to(&log), 0..100, feed::laravel);
    let arguments = ["--laravel", &flag];
    let first = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 100);
    first.kill();

    write_lines(&mut append_to(&log), 100..140, feed::laravel);
    std::fs::rename(&log, place.path("laravel.log.1")).expect("renamed");
    write_lines(&mut append_to(&log), 140..150, feed::laravel);
    let second = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 150);
    second.stop();
    each_once(place.numbers("*"), 0..150);
}

#[test]
fn ctrl_c_stops_it_with_exit_code_0_after_what_was_read_is_stored() {
    let place = Place::new();
    let feed = Feed::into_file(&place.path("laravel.log"), BRISK, feed::laravel);
    let up = place.up(&["--laravel", &place.text("laravel.log"), "--json"]);
    Embedded(&place.data()).wait_for("*", 100);
    up.signal(Signal::INT);
    let ended = up.wait();
    feed.finish();
    let summary = summary(&ended);
    let stored = summary["stored"].as_u64().expect("a count");
    each_once(place.numbers("*"), 0..stored);
}

#[test]
fn search_prints_hits_as_json_lines_and_counts_while_up_runs() {
    let place = Place::new();
    write_lines(&mut append_to(&place.path("laravel.log")), 0..70, feed::laravel);
    let up = place.up(&["--laravel", &place.text("laravel.log")]);
    Embedded(&place.data()).wait_for("*", 70);
    let data = place.text("data");
    let search = |more: &[&str]| {
        let ended = run("tahoe", &[&["search", "--data", &data], more].concat());
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stdout
    };
    let errors = search(&["log.level:error", "--json", "--limit", "all"]);
    assert_eq!(errors.lines().count(), 10);
    for line in errors.lines() {
        let hit: Value = serde_json::from_str(line).expect("JSON");
        let keys: Vec<_> = hit.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["_id", "_index", "_source"]);
        assert!(hit["_index"].as_str().expect("a name").contains("logs-laravel.log-default"));
        assert_eq!(hit["_source"]["error"]["type"], "RuntimeException");
    }
    assert_eq!(search(&["--limit", "3"]).lines().count(), 3);
    assert_eq!(search(&["n=13", "--last", "1s", "--json"]), "", "the events are old");
    let counted = search(&["--by", "log.level,event.dataset", "--json"]);
    let rows = counted.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let rows: Vec<_> = rows.map(|row| (row["log.level"].clone(), row["count"].clone())).collect();
    assert_eq!(rows, [("info".into(), 60.into()), ("error".into(), 10.into())]);
    assert!(search(&["--by", "laravel.context.none"]).contains("70  -"), "it might be there");
    let line = search(&["log.level:error", "--limit", "1"]);
    assert!(line.contains(" laravel.log    error     "), "{line}");
    let unknown = run("tahoe", &["search", "--data", &data, "--by", "log.level,log.levle"]);
    assert_eq!((unknown.status.code(), unknown.stdout.as_str()), (Some(1), ""));
    assert!(unknown.stderr.contains("--by log.levle: "), "{}", unknown.stderr);
    up.stop();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    write_lines(&mut append_to(&place.path("laravel.log")), 0..70, feed::laravel);
    let (laravel, data) = (place.text("laravel.log"), place.text("data"));
    let up = place.up(&["--laravel", &laravel]);
    Embedded(&place.data()).wait_for("*", 70);
    up.stop();
    let out = place.text("");
    for arguments in [
        &["search", "--data", &data][..],
        &["search", "--data", &data, "--json"],
        &["search", "--data", &data, "--by", "log.level"],
        &["parse", "--list"],
        &["parse", "--dataset", "laravel.log", &laravel],
        &["dlq", "list", "--data", &data],
        &["dlq", "export", "--data", &data],
        &["retention", "--data", &data],
        &["report", "--data", &data, "--from", "2026-01-01", "--out", &out],
        &[
            "replay",
            "--data",
            &data,
            "--dataset",
            "laravel.log",
            "--from",
            "2026-01-01",
            "--to",
            "0s",
        ],
        &["check", "--data", &data],
        &["schema", "laravel.log"],
        &["transformations"],
        &["kibana", "export"],
        &["setup", "--acl", "--kafka", "127.0.0.1:9", "--laravel", &laravel],
    ] {
        let (reader, stdout) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = command("tahoe").args(arguments).stdout(stdout).output().expect("it runs");
        let log = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{arguments:?}: {}: {log}", ended.status);
    }
}

#[test]
fn standard_input_is_parsed_like_a_file_but_is_none() {
    let place = Place::new();
    write_lines(&mut append_to(&place.path("laravel.log")), 0..3, feed::laravel);
    let input = File::open(place.path("laravel.log")).expect("it was written");
    let mut parse = command("tahoe");
    let ended = parse.args(["parse", "--dataset", "laravel.log", "-"]).stdin(input).output();
    let ended = ended.expect("it runs");
    let text = String::from_utf8(ended.stdout).expect("UTF-8");
    let documents: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(documents.len(), 3, "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(documents.iter().all(|document| document["log"].get("file").is_none()), "{text}");
}

/// Runs `up` with settings that cannot work; its message names the one to change.
fn refused(place: &Place, arguments: &[&str], setting: &str, why: &str) {
    let ended = place.up(arguments).wait_at_most(Duration::from_secs(30));
    assert!(!ended.status.success(), "{arguments:?} is fine with it: {}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(setting), "{setting} is not named: {last}");
    assert!(last.contains(why), "{why} is not said: {last}");
}

#[test]
fn what_cannot_work_ends_with_a_message_that_names_the_setting() {
    let place = Place::new();
    refused(&place, &[], "--laravel", "nothing to read");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    refused(&place, &["--syslog", &format!("tcp://{address}")], "--syslog", &address);
    let sample = ["--sample", "--metrics", &address];
    refused(&place, &sample, "--metrics", &address);
    refused(&place, &["--sample", "--namespace", "Acme Corp"], "--namespace", "Acme Corp");
    refused(&place, &["--file", "no.such=/tmp/x"], "--file", "no.such");
    std::fs::write(place.path("file"), "").expect("written");
    let data = place.text("file");
    let ended = run("tahoe", &["up", "--no-system", "--sample", "--data", &data]);
    assert!(!ended.status.success() && ended.stderr.contains("--data"), "{}", ended.stderr);
}

#[test]
fn a_second_instance_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    write_lines(&mut append_to(&place.path("laravel.log")), 0..10, feed::laravel);
    let arguments = ["--laravel", &place.text("laravel.log")];
    let first = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 10);
    refused(&place, &arguments, "--data", "");
    write_lines(&mut append_to(&place.path("laravel.log")), 10..20, feed::laravel);
    Embedded(&place.data()).wait_for("*", 20);
    first.stop();
    each_once(place.numbers("*"), 0..20);
}

#[test]
fn a_start_right_after_kill_9_waits_until_the_system_has_ended_the_former_instance() {
    let place = Place::new();
    write_lines(&mut append_to(&place.path("laravel.log")), 0..10, feed::laravel);
    let arguments = ["--laravel", &place.text("laravel.log")];
    let first = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 10);
    let mut second = place.up(&arguments);
    second.says("waiting for its end");
    first.kill();
    write_lines(&mut append_to(&place.path("laravel.log")), 10..20, feed::laravel);
    Embedded(&place.data()).wait_for("*", 20);
    second.stop();
    each_once(place.numbers("*"), 0..20);
}

/// Root may read everything, so this is asked of an account that is not.
#[test]
fn an_unreadable_file_is_named_with_its_setting() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let place = Place::new();
    let (log, flag) = (place.path("laravel.log"), place.text("laravel.log"));
    write_lines(&mut append_to(&log), 0..10, feed::laravel);
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o000)).expect("ours");
    let mut command = tahoe_tests::program::command("tahoe");
    command.args(place.arguments(&["--laravel", &flag]));
    if rustix::process::geteuid().is_root() {
        let everyone = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(place.0.path(), everyone).expect("ours");
        command.uid(65534).gid(65534);
    }
    let ended = Program::spawn("tahoe", command).wait_at_most(Duration::from_secs(30));
    assert!(!ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains(&flag) && ended.stderr.contains("--laravel"), "{}", ended.stderr);
}

#[test]
fn parse_prints_every_record_of_the_samples_and_exits_with_0() {
    let samples = tahoe_tests::program::repository().join("samples");
    let files = [
        ("laravel.log", "laravel/laravel.log"),
        ("laravel.log", "laravel/laravel-json.log"),
        ("laravel.log", "laravel/laravel-2026-03-04.log"),
        ("system.syslog", "syslog/syslog.log"),
        ("system.syslog", "syslog/syslog-rfc5424.log"),
        ("system.auth", "auth/auth.log"),
        ("system.auth", "auth/auth-rfc3339.log"),
    ];
    for (dataset, file) in files {
        let documents = parsed(dataset, &samples.join(file));
        assert!(documents.len() > 10, "{file}: {}", documents.len());
        for document in documents {
            assert!(document["@timestamp"].is_string(), "{file}: {document}");
            assert!(document["event"]["original"].is_string(), "{file}: {document}");
        }
    }
}

fn parsed(dataset: &str, file: &Path) -> Vec<Value> {
    let file = file.to_str().expect("UTF-8");
    let ended = run("tahoe", &["parse", "--dataset", dataset, file]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stderr, "", "{file}: a record of a real program is rejected");
    let parse = |line| serde_json::from_str(line).expect("a line is a document");
    ended.stdout.lines().map(parse).collect()
}

#[test]
fn parse_reports_rejections_with_their_line_and_still_exits_with_0() {
    let place = Place::new();
    let mut file = append_to(&place.path("x.log"));
    write_lines(&mut file, 0..1, feed::laravel);
    writeln!(file, "{{\"message\":\"twice\",\"message\":\"twice\"}}").expect("written");
    write_lines(&mut file, 1..2, feed::laravel);
    let ended = run("tahoe", &["parse", "--dataset", "laravel.log", &place.text("x.log")]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 2);
    assert!(ended.stderr.starts_with(&format!("{}:6: ", place.text("x.log"))), "{}", ended.stderr);
    let unknown = run("tahoe", &["parse", "--dataset", "no.such", &place.text("x.log")]);
    assert!(!unknown.status.success() && unknown.stderr.contains("--dataset"));
}

#[test]
fn two_companies_in_one_file_reach_two_data_streams() {
    let place = Place::new();
    let mut file = append_to(&place.path("laravel.log"));
    for (number, company) in ["Acme", "globex", "Acme", "Initech", ""].iter().enumerate() {
        let line = "[2026-11-21 09:00:00] production.INFO: order";
        writeln!(file, r#"{line} n={number} {{"company":"{company}"}}"#).expect("written");
    }
    let log = place.text("laravel.log");
    let from = ["--namespace-from", "laravel.context.company"];
    let allowed = ["--allow-namespace", "acme,globex"];
    let arguments = [&["--laravel", &log], &from[..], &allowed].concat();
    let up = place.up(&arguments);
    Embedded(&place.data()).wait_for("*", 5);
    up.stop();
    let mut found: Vec<_> = Embedded(&place.data())
        .find("*")
        .iter()
        .map(|document| (document.number(), document.index.clone()))
        .collect();
    found.sort();
    let expected = ["acme", "globex", "acme", "default", "default"];
    let expected = expected.iter().enumerate();
    let expected: Vec<_> =
        expected.map(|(n, name)| (n as u64, format!("logs-laravel.log-{name}"))).collect();
    assert_eq!(found, expected);
    let refused = Embedded(&place.data()).find("message:order AND data_stream.namespace:default");
    assert!(refused.iter().any(|document| {
        document.source["tahoe"]["transformations"]
            .to_string()
            .contains("namespace_refused:initech")
    }));
}

#[test]
fn what_a_rule_leaves_out_is_dropped_in_the_law_and_no_start_stores_it() {
    let place = Place::new();
    let rules = place.path("sampling");
    std::fs::write(&rules, "app.json log.level debug none debug\n").expect("it is written");
    let log = place.path("app.jsonl");
    let line = |n: usize| {
        let level = if n.is_multiple_of(3) { "info" } else { "debug" };
        format!("{{\"time\":\"2026-03-04T09:27:05Z\",\"level\":\"{level}\",\"msg\":\"m{n}\"}}\n")
    };
    std::fs::write(&log, (0..30).map(line).collect::<String>()).expect("it is written");
    let file = format!("app.json={}", log.display());
    let rules = rules.to_str().expect("a temporary folder is UTF-8");
    let arguments = ["--file", &file, "--sampling", rules, "--json", "--for", "3s"];
    let first = summary(&place.up(&arguments).wait());
    assert_eq!([&first["read"], &first["stored"], &first["dropped"]], [30, 10, 20], "{first}");
    let second = summary(&place.up(&arguments).wait());
    assert_eq!(second["read"], 0, "{second}");
    assert_eq!(place.stored("*"), 10);
    refused(&place, &["--sampling", "/no/such/file", "--sample"], "--sampling", "/no/such/file");
}
