//! `tahoe dlq`: what was rejected is found, looked at, tried again, and stored once.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tahoe_pipeline::header;
use tahoe_seams::{Log, Origin, Outgoing, RecordId, SourceId};
use tahoe_tests::program::Ended;
use tahoe_tests::site::Site;
use tahoe_transformer::dead_letter_topic;

const TOPIC: &str = "nginx_logs";
const DATASET: &str = "nginx.access";

/// 2026-11-21T12:00:00Z
const READ_AT_MS: i64 = 1_795_262_400_000;

fn line(n: u64) -> String {
    format!(
        "203.0.113.7 - - [21/Nov/2026:09:00:00 +0100] \"GET /n={n} HTTP/1.1\" 200 612 \"-\" \"x\"\n"
    )
}

fn lines(ended: &Ended) -> Vec<Value> {
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    let parse = |line| serde_json::from_str(line).expect("a line is JSON");
    ended.stdout.lines().map(parse).collect()
}

fn summary(ended: &Ended) -> Value {
    serde_json::from_str(ended.stdout.trim()).unwrap_or_else(|_| panic!("{}", ended.stderr))
}

/// What a parser of the past rejected: a letter whose record today's parser takes.
fn mislaid(log: &dyn Log, topic: &str, namespace: &str, n: u64, copies: usize) -> RecordId {
    let source = SourceId([7; 16]);
    let text = line(n);
    let bytes = text.trim_end().as_bytes();
    let id = RecordId::new(READ_AT_MS, source, 0, (n * 100, n * 100 + 90), bytes);
    let origin = Origin {
        source,
        dataset: DATASET.to_owned(),
        namespace: namespace.to_owned(),
        path: "/var/log/mislaid.log".to_owned(),
        ..Origin::default()
    };
    let mut encoded = Vec::new();
    let origin = header::encode_origin(&origin);
    header::encode(&mut encoded, id, (n * 100, n * 100 + 90), None, b"", &origin);
    let more_headers: &[(&str, &[u8])] = &[
        ("tahoe.code", b"grammar"),
        ("tahoe.reason", b"an older parser did not know it"),
        ("tahoe.topic", topic.as_bytes()),
        ("tahoe.partition", b"0"),
        ("tahoe.offset", b"1"),
        ("tahoe.ordinal", b"0"),
    ];
    let topic = dead_letter_topic(topic);
    let letter = Outgoing {
        topic: &topic,
        partition: 0,
        key: b"",
        value: bytes,
        timestamp_ms: READ_AT_MS,
        header: Some(&encoded),
        more_headers,
    };
    let pending = log.append(&vec![letter; copies]).expect("accepted");
    let durable = pending.wait(std::time::Duration::from_secs(60)).expect("in time");
    durable.expect("durable");
    id
}

/// Two lines that are stored, and two that no parser takes, one of them no UTF-8.
fn carried(site: &Site) -> Vec<u8> {
    let bad = b"this is no access line \xff\xfe".to_vec();
    let (first, second) = (line(1).into_bytes(), line(2).into_bytes());
    let text = [&first, &b"this is no access line\n"[..], &bad, b"\n", &second].concat();
    std::fs::write(site.path("access.log"), text).expect("written");
    site.carry(&format!("{DATASET}={}", site.flag("access.log")), 2, 2);
    bad
}

#[test]
fn what_was_rejected_is_counted_listed_shown_and_exported_with_its_bytes() {
    for site in Site::all("dlq_list", TOPIC) {
        let bad = carried(&site);
        let counts = lines(&site.run(&["dlq", "list", "--json", "--by", "day"]));
        let open: u64 = counts.iter().map(|row| row["open"].as_u64().expect("a count")).sum();
        assert_eq!(open, 2, "{counts:?}");
        assert_eq!(counts[0]["dataset"], DATASET);
        assert_eq!(counts[0]["topic"], dead_letter_topic(&site.topic));
        let none = ["dlq", "list", "--json", "--to", "2020-01-01"];
        assert!(lines(&site.run(&none)).is_empty());

        let each = lines(&site.run(&["dlq", "list", "--letters", "--json"]));
        assert_eq!(each.len(), 2);
        let shown: Vec<_> = each
            .iter()
            .map(|letter| {
                let place = letter["letter"].as_str().expect("a place");
                let ended = site.run(&["dlq", "show", place, "--json"]);
                (place.to_owned(), lines(&ended).remove(0))
            })
            .collect();
        let (_, whole) = shown.iter().find(|(_, one)| one["bytes"].is_string()).expect("text");
        assert_eq!(whole["bytes"], "this is no access line");
        assert_eq!(whole["origin"]["path"], site.flag("access.log"));
        assert!(whole["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{whole}");
        let (place, _) = shown.iter().find(|(_, one)| one["bytes"].is_object()).expect("bytes");
        let people = site.run(&["dlq", "show", place]);
        assert!(people.stdout.contains("no UTF-8") && people.stdout.contains("reason"));

        let exported = site.run(&["dlq", "export"]);
        assert_eq!(lines(&exported).len(), 2);
        std::fs::write(site.path("out.ndjson"), &exported.stdout).expect("written");
        let again = site.run(&["parse", "--exported", &site.flag("out.ndjson")]);
        assert!(again.status.success() && again.stdout.is_empty(), "{}", again.stdout);
        assert_eq!(again.stderr.lines().count(), 2, "both are rejected: {}", again.stderr);
        let damaged = format!("{}no record\n", exported.stdout);
        std::fs::write(site.path("damaged.ndjson"), damaged).expect("written");
        let again = site.run(&["parse", "--exported", &site.flag("damaged.ndjson")]);
        assert!(
            !again.status.success() && again.stderr.contains(".ndjson:3: "),
            "{}",
            again.stderr
        );
        assert!(!bad.is_empty());
    }
}

#[test]
fn a_replay_stores_what_todays_parser_takes_once_and_counts_the_rest_up_to_a_cap() {
    for site in Site::all("dlq_replay", TOPIC) {
        carried(&site);
        // The pipeline would meet none of these again: only a replay reads dead letters.
        let namespace = site.namespace().to_owned();
        let id = site.with_log(|log| mislaid(log, &site.topic, &namespace, 3, 2));
        let dry = site.run(&["dlq", "replay", "--dry-run", "--json"]);
        assert_eq!(dry.status.code(), Some(3), "{}", dry.stderr);
        assert_eq!((&summary(&dry)["stored"], site.documents().count("*")), (&2.into(), 2));

        let first = site.run(&["dlq", "replay", "--json"]);
        assert_eq!(first.status.code(), Some(3), "{}", first.stderr);
        let counts = summary(&first);
        let rejected = counts["rejected"].as_object().expect("by code");
        assert_eq!(rejected.values().filter_map(Value::as_u64).sum::<u64>(), 2, "{counts}");
        let done = [&counts["stored"], &counts["already_there"]].map(Value::as_u64);
        assert_eq!(done, [Some(1), Some(1)], "two copies of one record: {counts}");
        let found = site.documents().find("*");
        assert!(found.iter().any(|document| document.id == id.to_string()), "{id}: {found:?}");
        assert_eq!(found.len(), 3);

        for _ in 1..3 {
            let counts = summary(&site.run(&["dlq", "replay", "--json"]));
            assert_eq!(counts["stored_before"], 2, "{counts}");
        }
        let last = site.run(&["dlq", "replay", "--json"]);
        assert_eq!(last.status.code(), Some(0), "nothing is tried any more: {}", last.stderr);
        assert_eq!(summary(&last)["given_up"], 2);
        assert_eq!(site.dead_letters(), 4, "a replay adds no letter");
        assert_eq!(site.documents().count("*"), 3);
        let open = lines(&site.run(&["dlq", "list", "--json", "--code", "grammar"]));
        assert!(open.iter().all(|row| row["open"] == 0 || row["tried"] == 3), "{open:?}");
    }
}

#[test]
fn what_is_printed_until_a_stop_does_not_look_like_the_whole() {
    let site = Site::embedded(TOPIC);
    carried(&site);
    // More than a pipe holds, and what a command keeps before it writes.
    site.with_log(|log| mislaid(log, &site.topic, "default", 3, 5_000));
    for command in [&["dlq", "export"][..], &["dlq", "list", "--letters"]] {
        let (mut printed, stdout) = std::io::pipe().expect("a pipe");
        let mut command = site.command(command);
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("it runs");
        // It holds the other end too.
        drop(command);
        let mut first = [0];
        printed.read_exact(&mut first).expect("it has begun");
        let id = Pid::from_raw(child.id().try_into().expect("an id")).expect("an id");
        kill_process(id, Signal::TERM).expect("it waits until somebody reads on");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut log = String::new();
        while !log.contains("stopping") {
            assert!(stderr.read_line(&mut log).expect("UTF-8") > 0, "{log}");
        }
        std::io::copy(&mut printed, &mut std::io::sink()).expect("the rest");
        stderr.read_to_string(&mut log).expect("UTF-8");
        let status = child.wait().expect("it is our child");
        assert!(!status.success() && log.contains("stopped before the end"), "{status}: {log}");
    }
}

#[test]
fn wrong_usage_is_told_with_the_setting_that_mends_it() {
    let site = Site::embedded(TOPIC);
    let none = site.run(&["dlq", "list"]);
    assert!(!none.status.success() && none.stderr.contains("--data"), "{}", none.stderr);
    assert!(!site.path("data").exists(), "asking creates nothing");
    carried(&site);
    let dataset = site.run(&["dlq", "list", "--dataset", "nginx.acess"]);
    assert!(
        dataset.stderr.contains("--dataset nginx.acess: no such dataset"),
        "{}",
        dataset.stderr
    );
    let place = site.run(&["dlq", "show", "nginx_logs.dlq/0/99"]);
    assert!(place.stderr.contains("holds 0..2"), "{}", place.stderr);
}
