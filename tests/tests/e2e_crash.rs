//! kill -9 in mid-stream, again and again: in the end every line is in Kafka once and in
//! Elasticsearch once. A round ends when a part of what is being written has become visible, so
//! that whatever dies has something in flight.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tahoe_tests::documents::Documents as _;
use tahoe_tests::feed::{self, BRISK, Feed, append_to};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::Program;
use tahoe_tests::rsyslog::{self, Forward};
use tahoe_tests::servers::free_port;

const ROUNDS: u64 = 20;

/// Visible in Elasticsearch between two kills.
const STORED_PER_ROUND: usize = 60;

/// A dead member keeps its partitions until its session ends, so these sessions are short.
const SHORT_SESSIONS: &str = "session.timeout.ms=2000,heartbeat.interval.ms=500";
/// Lines a second that leave something to do after each of these sessions, and not too much.
const SLOW: u32 = 50;

/// Numbers of records that are interrupted: beyond those of the feed.
const HALVES: u64 = 1_000_000;

/// Waits for some progress, does `meanwhile`, and kills.
fn kill_in_mid_stream(pipeline: &Pipeline, program: Program, meanwhile: impl FnOnce()) {
    let stored = pipeline.documents.count("*");
    pipeline.documents.wait_for("*", stored + STORED_PER_ROUND);
    meanwhile();
    program.kill();
}

#[test]
fn files_lose_and_double_nothing_when_their_producer_is_killed_twenty_times() {
    let Some(pipeline) = Pipeline::set_up("crash_files") else { return };
    let transformer = pipeline.transformer();
    let feed = Feed::into_file(&pipeline.path("laravel.log"), BRISK, feed::laravel);
    let mut interrupted = append_to(&pipeline.path("interrupted.log"));
    let files = format!("{},{}", pipeline.flag("laravel.log"), pipeline.flag("interrupted.log"));
    // A second half may come late where the machine is busy.
    let arguments = ["--laravel", &files, "--quiet-time", "4"];
    for round in 0..ROUNDS {
        // One topic may have both.
        let headers = ["--headers", if round % 2 == 0 { "tahoe" } else { "cloudevents" }];
        let producer = pipeline.start("tahoe-laravel", &[&arguments[..], &headers].concat());
        kill_in_mid_stream(&pipeline, producer, || {
            let n = HALVES + round;
            write!(
                interrupted,
                "[2026-03-04T09:26:53+00:00] production.ERROR: n={n} broke {{\"exception\":\"\
                 [object] (RuntimeException(code: 0): n={n} broke at /srv/app/Shop.php:7)\n\
                 [stacktrace]\n#0 /srv/app/Shop.php(12): App\\\\Shop->pay()\n"
            )
            .expect("written");
        });
        writeln!(interrupted, "#1 /srv/index.php(9): late()\n#2 {{main}}\n\"}} ").expect("written");
    }
    let lines = feed.finish();
    let producer = pipeline.start("tahoe-laravel", &arguments);
    let all = lines + ROUNDS;
    pipeline.documents.wait_for("*", usize::try_from(all).expect("few"));
    producer.stop();
    pipeline.assert_each_once((0..lines).chain(HALVES..HALVES + ROUNDS));
    for document in pipeline.documents.find("message:broke") {
        let trace = document.text("/error/stack_trace");
        assert!(trace.contains("pay()") && trace.contains("late()"), "{}", document.source);
    }
    transformer.stop();
}

#[test]
fn nothing_is_lost_or_doubled_when_the_transformer_is_killed_twenty_times() {
    let Some(pipeline) = Pipeline::set_up("crash_transformer") else { return };
    let feed = Feed::into_file(&pipeline.path("laravel.log"), SLOW, feed::laravel);
    let producer = pipeline.start("tahoe-laravel", &["--laravel", &pipeline.flag("laravel.log")]);
    for _ in 0..ROUNDS {
        // Requests of some ten events, several in flight.
        let flags = ["--bulk-bytes-max", "8000", "--kafka-option", SHORT_SESSIONS];
        let transformer = pipeline.start("tahoe-transformer", &flags);
        kill_in_mid_stream(&pipeline, transformer, || ());
    }
    let lines = feed.finish();
    let transformer = pipeline.transformer();
    pipeline.documents.wait_for("*", usize::try_from(lines).expect("few"));
    producer.stop();
    pipeline.assert_each_once(0..lines);
    transformer.stop();
}

#[test]
fn relp_loses_and_doubles_nothing_when_its_listener_is_killed_twenty_times() {
    let Some(pipeline) = Pipeline::set_up("crash_relp") else { return };
    let port = free_port();
    let action = format!(
        "type=\"omrelp\" target=\"127.0.0.1\" port=\"{port}\" action.resumeInterval=\"1\" \
         action.resumeRetryCount=\"-1\""
    );
    let folder = pipeline.path("rsyslog");
    std::fs::create_dir(&folder).expect("a folder");
    let forward = Forward { file: "lines", action: &action };
    let address = format!("127.0.0.1:{port}");
    let arguments = ["--no-system", "--syslog-relp", &address];
    let transformer = pipeline.transformer();
    let listener = pipeline.start("tahoe-syslog", &arguments);
    let Some(_rsyslog) = rsyslog::start(&folder, "", &[forward]) else { return };
    let feed = Feed::into_file(&folder.join("lines"), BRISK, |n| format!("n={n} by relp\n"));
    kill_in_mid_stream(&pipeline, listener, || ());
    for _ in 1..ROUNDS {
        kill_in_mid_stream(&pipeline, pipeline.start("tahoe-syslog", &arguments), || ());
    }
    let listener = pipeline.start("tahoe-syslog", &arguments);
    // omrelp notices a broken session, and sends again what was not acknowledged, only when it has
    // something new to send: lines go on being written until some came through once more.
    let stored = pipeline.documents.count("*");
    pipeline.documents.wait_for("*", stored + STORED_PER_ROUND);
    let lines = feed.finish();
    pipeline.documents.wait_for("*", usize::try_from(lines).expect("few"));
    listener.stop();
    pipeline.assert_each_once(0..lines);
    transformer.stop();
}

/// systemd's own writer of journals, fed with entries as long as it lives.
struct JournalWriter(Child);

const JOURNAL_REMOTE: &str = "/lib/systemd/systemd-journal-remote";

impl JournalWriter {
    /// `None` where systemd's tools are missing.
    fn start(file: &Path) -> Option<(Self, Feed)> {
        if !Path::new(JOURNAL_REMOTE).exists() || Command::new("journalctl").output().is_err() {
            let required = std::env::var("TAHOE_TEST_REQUIRED").is_ok_and(|value| value == "1");
            assert!(!required, "{JOURNAL_REMOTE} or journalctl is missing");
            eprintln!("skipped: needs journalctl and {JOURNAL_REMOTE}");
            return None;
        }
        let mut child = Command::new(JOURNAL_REMOTE)
            .arg("-o")
            .arg(file)
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut input = child.stdin.take().expect("it is piped");
        let feed = Feed::start(BRISK, move |numbers| {
            for n in numbers {
                input.write_all(entry(n).as_bytes()).expect("it takes entries");
            }
        });
        Some((Self(child), feed))
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        // Both fail only for a child that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One entry in the Journal Export Format.
fn entry(n: u64) -> String {
    let time = 1_772_000_000_000_000 + n * 1000;
    format!(
        "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={}\n\
         _BOOT_ID=11111111111111111111111111111111\n_HOSTNAME=web-1\nPRIORITY=6\n\
         SYSLOG_IDENTIFIER=app\nMESSAGE=n={n} of the journal\n\n",
        n + 1
    )
}

#[test]
fn the_journal_loses_and_doubles_nothing_when_its_reader_is_killed_twenty_times() {
    let Some(pipeline) = Pipeline::set_up("crash_journal") else { return };
    let file = pipeline.flag("test.journal");
    let Some((_writer, feed)) = JournalWriter::start(Path::new(&file)) else { return };
    let arguments = ["--no-system", "--journal-file", &file, "--journal-start-at", "beginning"];
    let transformer = pipeline.transformer();
    for _ in 0..ROUNDS {
        kill_in_mid_stream(&pipeline, pipeline.start("tahoe-syslog", &arguments), || ());
    }
    let lines = feed.finish();
    let reader = pipeline.start("tahoe-syslog", &arguments);
    pipeline.documents.wait_for("*", usize::try_from(lines).expect("few"));
    reader.stop();
    pipeline.assert_each_once(0..lines);
    transformer.stop();
}
