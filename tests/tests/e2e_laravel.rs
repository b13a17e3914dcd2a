//! A real Laravel application writes, through PHP, while its files rotate as logrotate rotates them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tahoe_tests::documents::{Document, Documents as _};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::repository;
use tahoe_tests::wait::until_true;

const REQUESTS: u64 = 24;
const RECORDS_PER_REQUEST: u64 = 20;

/// Where the numbers of a channel begin, as write.php has it.
const DAILY: u64 = 100_000;
const JSON: u64 = 200_000;

/// From the write to the answer of a search.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// One request of the application; false where PHP with Laravel is not installed.
fn request(folder: &Path, from: u64, to: u64) -> bool {
    let script = repository().join("tests/tests/laravel/write.php");
    let done = Command::new("php")
        .args(["-d", "include_path=/usr/share/php", "-d", "display_errors=stderr"])
        .arg(script)
        .arg(folder)
        .args([from.to_string(), to.to_string()])
        .output();
    let error = match done {
        Ok(done) if done.status.success() => return true,
        Ok(done) => String::from_utf8_lossy(&done.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let required = std::env::var("TAHOE_TEST_REQUIRED").is_ok_and(|value| value == "1");
    assert!(!required, "php: {error}");
    eprintln!("skipped: needs PHP with Laravel (tests/services install php): {error}");
    false
}

/// The file, its `.1`, `.2` and so on: each is renamed to the next, as logrotate does it.
fn make_room(file: &Path) -> PathBuf {
    let name = |n: u32| PathBuf::from(format!("{}.{n}", file.display()));
    let last = (1..).find(|&n| !name(n).exists()).expect("there is a free one");
    for n in (1..last).rev() {
        std::fs::rename(name(n), name(n + 1)).expect("renamed");
    }
    name(1)
}

/// logrotate's default: the application creates the file anew.
fn rename(file: &Path) {
    std::fs::rename(file, make_room(file)).expect("renamed");
}

/// logrotate's `copytruncate`.
fn copy_and_truncate(file: &Path) {
    std::fs::copy(file, make_room(file)).expect("copied");
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("there");
    file.set_len(0).expect("truncated");
}

fn count(records: u64) -> usize {
    usize::try_from(records).expect("few")
}

#[test]
fn every_record_of_a_laravel_application_is_there_once_while_its_files_rotate() {
    let Some(pipeline) = Pipeline::set_up("laravel") else { return };
    let folder = pipeline.path("logs");
    std::fs::create_dir(&folder).expect("a folder");
    let at = folder.display();
    let files = format!("{at}/laravel.log,{at}/laravel-*.log,{at}/json.log");
    let transformer = pipeline.transformer();
    let producer = pipeline.start("tahoe-laravel", &["--laravel", &files]);
    for n in 0..REQUESTS {
        let from = n * RECORDS_PER_REQUEST;
        if !request(&folder, from, from + RECORDS_PER_REQUEST) {
            return;
        }
        // A file that was rotated before anybody looked at it is none of the producer's. So what was
        // written before this request is waited for; what this one wrote rotates while it is read.
        let before = if n == 0 { 1 } else { n };
        if n == 0 || matches!(n % 6, 2 | 3 | 5) {
            pipeline.documents.wait_for("*", count(3 * before * RECORDS_PER_REQUEST));
        }
        match n % 6 {
            2 => rename(&folder.join("laravel.log")),
            3 => copy_and_truncate(&folder.join("json.log")),
            5 => copy_and_truncate(&folder.join("laravel.log")),
            _ => {}
        }
    }
    let records = REQUESTS * RECORDS_PER_REQUEST;
    pipeline.documents.wait_for("*", count(3 * records));
    producer.stop();
    let channels = [0, DAILY, JSON];
    pipeline.assert_each_once(channels.iter().flat_map(|first| *first..first + records));
    pipeline.documents.find("*").iter().for_each(assert_understood);
    transformer.stop();
}

/// What write.php wrote is found in the fields where it belongs.
fn assert_understood(document: &Document) {
    let n = document.number();
    let source = &document.source;
    assert_eq!(document.text("/event/dataset"), "laravel.log");
    let level = match n % 5 {
        0 => "error",
        1 => "warning",
        _ => "info",
    };
    assert_eq!(document.text("/log/level"), level, "{source}");
    if n.is_multiple_of(5) {
        assert_eq!(document.text("/error/type"), "RuntimeException", "{source}");
        assert_eq!(source["error"]["code"], "51", "{source}");
        assert!(document.text("/error/stack_trace").contains("write.php"), "{source}");
    }
    if n % 5 == 1 {
        assert!(document.text("/message").contains("no header"), "{source}");
    }
}

/// A busy machine delays now and then, so it is the median of some records that counts.
#[test]
fn a_record_is_found_by_a_search_within_5_seconds_of_its_write() {
    let Some(pipeline) = Pipeline::set_up("visible") else { return };
    let folder = pipeline.path("logs");
    std::fs::create_dir(&folder).expect("a folder");
    let transformer = pipeline.transformer();
    let files = folder.join("laravel.log").display().to_string();
    let producer = pipeline.start("tahoe-laravel", &["--laravel", &files]);
    if !request(&folder, 0, 1) {
        return;
    }
    pipeline.documents.wait_for("*", 1);
    let mut times: Vec<_> = (1..6).map(|n| visible_after(&pipeline, &folder, n)).collect();
    times.sort();
    println!("written to visible: {times:?}");
    assert!(times[times.len() / 2] < VISIBLE_WITHIN, "{times:?}");
    producer.stop();
    transformer.stop();
}

/// From the write to the first search that finds the record. Nothing asks for a refresh.
fn visible_after(pipeline: &Pipeline, folder: &Path, n: u64) -> Duration {
    assert!(request(folder, n, n + 1));
    let modified = folder.join("laravel.log").metadata().and_then(|file| file.modified());
    let written = modified.expect("it was written").duration_since(UNIX_EPOCH).expect("now");
    let body = format!("{{\"query\":{{\"match_phrase\":{{\"message\":\"n={n}\"}}}}}}");
    let path = format!("/logs-laravel.log-{}/_search", pipeline.name);
    let began = Instant::now();
    until_true("a search finds it", || {
        let found = pipeline.documents.ask("POST", &path, &body).expect("it answers");
        began.elapsed() > 20 * VISIBLE_WITHIN || found["hits"]["total"]["value"] == 1
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.saturating_sub(written)
}
