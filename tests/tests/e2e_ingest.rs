//! `tahoe ingest`: a file is loaded once, whatever happens on the way.

use std::io::Write as _;
use std::ops::ControlFlow;

use serde_json::Value;
use tahoe_pipeline::clock::now_ms;
use tahoe_tests::documents::{Documents as _, each_once};
use tahoe_tests::feed::{self, append_to};
use tahoe_tests::program::Ended;
use tahoe_tests::site::Site;
use tahoe_tests::wait::until_true;

const INGEST: [&str; 4] = ["ingest", "--json", "--dataset", "laravel.log"];

fn write(site: &Site, name: &str, numbers: std::ops::Range<u64>) -> String {
    let text: String = numbers.map(feed::laravel).collect();
    std::fs::write(site.path(name), text).expect("written");
    site.flag(name)
}

fn summary(ended: &Ended) -> Value {
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    serde_json::from_str(ended.stdout.trim()).unwrap_or_else(|_| panic!("{}", ended.stdout))
}

/// Loaded and already there, of each file.
fn counts(summary: &Value) -> Vec<[u64; 2]> {
    let files = summary["files"].as_array().expect("files");
    let count = |file: &Value, name: &str| file[name].as_u64().expect("a count");
    files.iter().map(|file| ["loaded", "already_there"].map(|name| count(file, name))).collect()
}

/// Every number was loaded once, and is stored once.
fn assert_stored(site: &Site, numbers: std::ops::Range<u64>) {
    let Some(pipeline) = site.pipeline() else {
        let found = site.documents().find("*");
        let found = found.iter().map(|document| document.number());
        return each_once(found, numbers);
    };
    let transformer = pipeline.transformer();
    pipeline.documents.wait_for("*", usize::try_from(numbers.end).expect("few"));
    pipeline.assert_each_once(numbers);
    transformer.stop();
}

#[test]
fn a_file_is_loaded_once_whatever_its_name_and_compression() {
    for site in Site::all("ingest_once", "laravel_logs") {
        let (first, second) = (write(&site, "a.log", 0..300), write(&site, "b.log", 300..500));
        let run = |more: &[&str]| summary(&site.run(&[&INGEST[..], more].concat()));
        assert_eq!(counts(&run(&[&first, &second])), [[300, 0], [200, 0]]);
        let gzip = std::process::Command::new("gzip").args(["-k", &first]).status();
        assert!(gzip.expect("gzip is installed").success());
        let again = run(&[&second, &format!("{first}.gz")]);
        assert_eq!(counts(&again), [[0, 200], [0, 300]]);
        assert_stored(&site, 0..500);
        let missing = site.run(&[&INGEST[..], &["nowhere.log"]].concat());
        assert!(!missing.status.success() && missing.stderr.contains("nowhere.log"));
    }
}

#[test]
fn standard_input_is_known_by_its_name() {
    let site = Site::embedded("laravel_logs");
    let file = write(&site, "in.log", 0..50);
    let run = |arguments: &[&str]| {
        site.run_with_input(&[&INGEST[..], arguments].concat(), std::path::Path::new(&file))
    };
    let nameless = run(&["-"]);
    assert!(nameless.stderr.contains("--name"), "{}", nameless.stderr);
    assert_eq!(counts(&summary(&run(&["--name", "x", "-"]))), [[50, 0]]);
    assert_eq!(counts(&summary(&run(&["--name", "x", "-"]))), [[0, 50]]);
    assert_stored(&site, 0..50);
}

#[test]
fn under_a_name_that_was_used_the_rest_is_loaded_or_nothing_is() {
    let site = Site::embedded("laravel_logs");
    let run = |file: &str, numbers: std::ops::Range<u64>| {
        let file = write(&site, file, numbers);
        let arguments = [&INGEST[..], &["--name", "x", "-"]].concat();
        site.run_with_input(&arguments, std::path::Path::new(&file))
    };
    assert_eq!(counts(&summary(&run("a.log", 0..50))), [[50, 0]]);
    assert_eq!(counts(&summary(&run("b.log", 0..70))), [[20, 50]]);
    for (file, other) in [("c.log", 1..100), ("d.log", 0..60), ("e.log", 0..0)] {
        let refused = run(file, other);
        assert_eq!(refused.status.code(), Some(1), "{file}: {}", refused.stdout);
        assert!(refused.stderr.contains("stdin:x: the name was used"), "{}", refused.stderr);
        assert!(refused.stderr.contains("set another --name"), "{}", refused.stderr);
    }
    assert_eq!(counts(&summary(&run("f.log", 0..80))), [[10, 70]]);
    let mut longer = append_to(&site.path("f.log"));
    longer.write_all(b"#0 a frame of the last record\n").expect("written");
    let arguments = [&INGEST[..], &["--name", "x", "-"]].concat();
    let refused = site.run_with_input(&arguments, &site.path("f.log"));
    assert!(refused.stderr.contains("is longer now"), "{}", refused.stderr);
    assert_stored(&site, 0..80);
}

#[test]
fn standard_input_may_be_compressed_and_so_may_what_is_parsed() {
    let site = Site::embedded("laravel_logs");
    let file = write(&site, "a.log", 0..50);
    let gzip = std::process::Command::new("gzip").arg(&file).status();
    assert!(gzip.expect("gzip is installed").success());
    let parse = ["parse", "--dataset", "laravel.log"];
    let parsed = site.run(&[&parse[..], &[&format!("{file}.gz")]].concat());
    assert!(parsed.status.success(), "{}", parsed.stderr);
    let piped = site.run_with_input(&[&parse[..], &["-"]].concat(), &site.path("a.log.gz"));
    for parsed in [parsed, piped] {
        assert_eq!(parsed.stdout.lines().count(), 50, "{}", parsed.stderr);
    }
    let arguments = [&INGEST[..], &["--name", "x", "-"]].concat();
    let loaded = site.run_with_input(&arguments, &site.path("a.log.gz"));
    assert_eq!(counts(&summary(&loaded)), [[50, 0]]);
    assert_stored(&site, 0..50);
}

#[test]
fn what_a_rule_leaves_out_is_counted() {
    let site = Site::embedded("laravel_logs");
    std::fs::write(site.path("rules"), "laravel.log user.id 3 none three\n").expect("written");
    let (first, second) = (write(&site, "a.log", 0..5), write(&site, "b.log", 1..4));
    let rules = site.flag("rules");
    let load =
        |file: &str| summary(&site.run(&[&INGEST[..], &["--sampling", &rules, file]].concat()));
    let said = load(&first);
    assert_eq!((&said["stored"], &said["dropped"]), (&4.into(), &1.into()), "{said}");
    let ended = site.run(&["ingest", "--dataset", "laravel.log", "--sampling", &rules, &second]);
    let expected = "stored: 2 records, 1 left out by rules, 0 rejected";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);
}

#[test]
fn settings_that_cannot_be_are_said_before_anything_is_loaded() {
    let site = Site::embedded("laravel_logs");
    let file = write(&site, "a.log", 0..5);
    std::fs::write(site.path("policy"), "* user.email shred\n").expect("written");
    std::fs::write(site.path("keyless"), "* user.email hash\n").expect("written");
    let policy = ["policy", "keyless"].map(|name| ["--privacy".to_owned(), site.flag(name)]);
    let wrong = policy.into_iter().chain([["--geoip".to_owned(), site.flag("nowhere.mmdb")]]);
    for [flag, value] in wrong {
        let ended = site.run(&[&INGEST[..], &[&flag, &value, &file]].concat());
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains(&flag), "{}", ended.stderr);
        assert!(!site.path("data").exists(), "{flag} {value}");
    }
}

#[test]
fn after_kill_9_the_same_command_goes_on_and_doubles_nothing() {
    const LINES: u64 = 20_000;
    let Some(site) = Site::real("ingest_kill") else { return };
    let pipeline = site.pipeline().expect("it is the real one");
    let file = write(&site, "a.log", 0..LINES);
    let arguments = [&INGEST[..], &[&file]].concat();
    for round in 1..=2 {
        let mut ingest = site.start(&arguments);
        until_true("some of it is in the log", || {
            pipeline.in_kafka().len() > round * 1000 || !ingest.is_running()
        });
        if ingest.is_running() {
            ingest.kill();
        }
    }
    summary(&site.run(&arguments));
    assert_stored(&site, 0..LINES);
}

/// When the log's records say that they were sent, milliseconds since the epoch.
fn sent(site: &Site, topic: &str) -> Vec<i64> {
    site.with_log(|log| {
        let mut sent = Vec::new();
        for partition in 0..log.partitions(topic).expect("the topic is there") {
            let scanned = log.scan(topic, partition, 0, u64::MAX, &mut |record| {
                sent.extend(record.header.map(|_| record.timestamp_ms));
                ControlFlow::Continue(())
            });
            scanned.expect("the log can be read");
        }
        sent
    })
}

#[test]
fn a_file_of_another_year_has_that_years_times_and_retention_goes_by_todays() {
    const LINES: u64 = 5_000;
    let loads = ["ingest", "--json", "--dataset", "system.syslog", "--read-at"];
    let lines = |numbers: std::ops::Range<u64>| -> String {
        let line = |n| format!("May 21 09:{:02}:{:02} web app: n={n}\n", n / 60 % 60, n % 60);
        numbers.map(line).collect()
    };
    for site in Site::all("ingest_year", "syslog_logs") {
        let began = now_ms();
        std::fs::write(site.path("a.log"), lines(0..LINES)).expect("written");
        std::fs::write(site.path("b.log"), lines(LINES..LINES + 100)).expect("written");
        let (first, second) = (site.flag("a.log"), site.flag("b.log"));
        let first = [&loads[..], &["2024-06-01", &first]].concat();
        if let Some(pipeline) = site.pipeline() {
            let mut ingest = site.start(&first);
            until_true("some of it is in the log", || {
                !pipeline.in_kafka().is_empty() || !ingest.is_running()
            });
            if ingest.is_running() {
                ingest.kill();
            }
        }
        summary(&site.run(&first));
        assert_eq!(counts(&summary(&site.run(&first))), [[0, LINES]]);
        let second = [&loads[..], &["2023-06-01", "--pack", "65536", &second]].concat();
        assert_eq!(counts(&summary(&site.run(&second))), [[100, 0]]);
        assert_eq!(counts(&summary(&site.run(&second))), [[0, 100]]);
        assert!(sent(&site, &site.topic).iter().all(|ms| *ms >= began - 1000), "sent long ago");
        let transformer = site.pipeline().map(|pipeline| {
            let transformer = pipeline.transformer();
            pipeline.documents.wait_for("*", usize::try_from(LINES).expect("few") + 100);
            transformer
        });
        let found = site.documents().find("*");
        for document in &found {
            let year = if document.number() < LINES { "2024-05-21T09:" } else { "2023-05-21T09:" };
            assert!(document.text("/@timestamp").starts_with(year), "{}", document.source);
        }
        each_once(found.iter().map(|document| document.number()), 0..LINES + 100);
        transformer.map(tahoe_tests::program::Program::stop);
    }
}

#[test]
fn exported_letters_are_loaded_as_new_records_of_their_datasets() {
    let site = Site::embedded("nginx_logs");
    std::fs::write(site.path("access.log"), "this is no access line\n").expect("written");
    site.carry(&format!("nginx.access={}", site.flag("access.log")), 0, 1);
    let exported = site.run(&["dlq", "export"]).stdout;
    let line = "203.0.113.7 - - [21/Nov/2026:09:00:00 +0100] \\\"GET / HTTP/1.1\\\" 200 612";
    let mended = exported.replace("this is no access line", line);
    std::fs::write(site.path("mended.ndjson"), mended).expect("written");
    let arguments = ["ingest", "--json", "--exported", &site.flag("mended.ndjson")];
    assert_eq!(counts(&summary(&site.run(&arguments))), [[1, 0]]);
    assert_eq!(counts(&summary(&site.run(&arguments))), [[0, 1]]);
    let found = site.documents().find("*");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text("/log/file/path"), site.flag("access.log"));
}
