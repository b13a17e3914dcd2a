//! `tahoe ingest`: a file is loaded once, whatever happens on the way.

use serde_json::Value;
use tahoe_tests::documents::Documents as _;
use tahoe_tests::feed;
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
        return tahoe_tests::documents::each_once(found, numbers);
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
