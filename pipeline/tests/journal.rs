//! The journal reader against real journalctl and a real journal file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use tahoe_pipeline::journal::{Journal, JournalArgs};
use tahoe_pipeline::seams::{
    Batch, Conditions, Events, Known, Origin, Part, Record, Source, Stream,
};

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    journal: JournalArgs,
}

fn journal(flags: &[&str]) -> Journal {
    let args = Flags::parse_from([&["test"], flags].concat()).journal;
    let origin = Origin { host: "h".into(), ..Origin::default() };
    let template = Stream {
        origin,
        topic: "syslog_logs".into(),
        key: Vec::new(),
        lane: None,
        resumable: true,
    };
    Journal::new(&args, template)
}

/// Appends entries `from..to` to a real journal; false where the program for it is missing.
fn write_entries(file: &Path, from: u64, to: u64) -> bool {
    write(file, from, (from..to).map(|n| format!("entry {n}\n\nwith \u{1} lines")))
}

/// Appends an entry for each message; false where the program for it is missing.
fn write(file: &Path, first: u64, messages: impl Iterator<Item = String>) -> bool {
    if !Path::new(REMOTE).exists() || Command::new("journalctl").arg("--version").output().is_err()
    {
        assert!(std::env::var_os("TAHOE_TEST_REQUIRED").is_none(), "{REMOTE} is missing");
        println!("skipped: needs journalctl and {REMOTE} (systemd-journal-remote)");
        return false;
    }
    let mut export = Vec::new();
    for (n, message) in (first..).zip(messages) {
        let time = 1_700_000_000_000_000 + n * 1_000_000;
        export.extend_from_slice(
            format!(
                "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={n}000\n\
                 _BOOT_ID=11111111111111111111111111111111\n_HOSTNAME=h\nPRIORITY=6\nMESSAGE\n"
            )
            .as_bytes(),
        );
        export.extend_from_slice(&(message.len() as u64).to_le_bytes());
        export.extend_from_slice(message.as_bytes());
        export.extend_from_slice(b"\n\n");
    }
    let input = file.with_extension("export");
    std::fs::write(&input, export).expect("write");
    let done = Command::new(REMOTE).arg("-o").arg(file).arg(&input).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    true
}

struct Read {
    texts: Vec<Vec<u8>>,
    spans: Vec<(u64, u64)>,
    parts: Vec<Option<Part>>,
    known: Known,
}

fn read(journal: &mut Journal, count: usize) -> Read {
    read_into(journal, count, 1 << 20)
}

/// Reads `count` records into one batch of that size.
fn read_into(journal: &mut Journal, count: usize, bytes_max: usize) -> Read {
    let mut batch = Batch::new(bytes_max);
    let deadline = Instant::now() + Duration::from_secs(20);
    while batch.records().len() < count {
        assert!(Instant::now() < deadline, "{} of {count} entries", batch.records().len());
        journal.read(&mut batch, Duration::from_millis(100)).expect("read");
    }
    let last = batch.records().last().expect("there is one");
    let known = Known {
        source: batch.streams()[last.stream as usize].origin.source,
        generation: 0,
        next: last.end,
        context: batch.carried(last).to_vec(),
        identity: batch.identities().first().map(|(_, told)| told.clone()).unwrap_or_default(),
    };
    Read {
        texts: batch.records().iter().map(|raw| batch.bytes(raw).to_vec()).collect(),
        spans: batch.records().iter().map(|raw| (raw.start, raw.end)).collect(),
        parts: batch.records().iter().map(|raw| raw.part).collect(),
        known,
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("test.journal");
    (folder, file)
}

#[test]
fn a_restart_goes_on_after_the_last_entry_with_the_same_identities() {
    let (_folder, file) = place();
    if !write_entries(&file, 0, 5) {
        return;
    }
    let flag = file.display().to_string();
    let flags = ["--journal-file", &flag, "--journal-start-at", "beginning"];
    let mut first = journal(&flags);
    first.resume(Vec::new()).expect("nothing to resume");
    let whole = read(&mut first, 5);
    assert!(whole.texts[3].windows(7).any(|bytes| bytes == b"entry 3"));
    assert!(whole.texts[0].starts_with(b"__CURSOR=") && !whole.texts[0].ends_with(b"\n"));
    drop(first);

    let mut again = journal(&flags);
    again.resume(Vec::new()).expect("nothing to resume");
    let repeated = read(&mut again, 5);
    assert_eq!((&whole.texts, &whole.spans), (&repeated.texts, &repeated.spans));
    drop(again);

    assert!(write_entries(&file, 5, 7));
    let mut resumed = journal(&flags);
    resumed.resume(vec![whole.known]).expect("it resumes");
    let rest = read(&mut resumed, 2);
    assert!(rest.texts[0].windows(7).any(|bytes| bytes == b"entry 5"));
    assert_eq!(rest.known.source, repeated.known.source);
}

#[test]
fn a_very_long_entry_comes_in_parts_and_a_restart_goes_on_in_its_middle() {
    let (_folder, file) = place();
    let long = "0123456789abcde\n".repeat(200_000);
    let messages = ["before".to_owned(), long.clone(), "after".to_owned()];
    if !write(&file, 0, messages.into_iter()) {
        return;
    }
    let flag = file.display().to_string();
    let flags = ["--journal-file", &flag, "--journal-start-at", "beginning"];
    let mut whole = journal(&flags);
    whole.resume(Vec::new()).expect("nothing to resume");
    let all = read_into(&mut whole, 6, 16 << 20);
    let parts: Vec<_> = all.parts.iter().map(|part| part.map(|p| (p.index, p.last))).collect();
    let expected = [(0, false), (1, false), (2, false), (3, true)].map(Some);
    assert_eq!(parts, [&[None][..], &expected, &[None]].concat());
    let joined = String::from_utf8_lossy(&all.texts[1..5].concat()).into_owned();
    assert!(joined.contains(&long) && all.texts[1].len() == 1 << 20);
    drop(whole);

    let mut begun = journal(&flags);
    begun.resume(Vec::new()).expect("nothing to resume");
    let known = read_into(&mut begun, 3, 3 << 20).known;
    drop(begun);
    let mut resumed = journal(&flags);
    resumed.resume(vec![known]).expect("it resumes");
    let rest = read_into(&mut resumed, 3, 16 << 20);
    assert_eq!((&rest.texts[..], &rest.spans[..]), (&all.texts[3..], &all.spans[3..]));
}

#[test]
fn a_journal_that_was_begun_at_its_end_goes_on_there_though_nothing_was_read() {
    let (_folder, file) = place();
    if !write_entries(&file, 0, 3) {
        return;
    }
    let flag = file.display().to_string();
    let mut first = journal(&["--journal-file", &flag]);
    first.resume(Vec::new()).expect("nothing to resume");
    let mut batch = Batch::new(1 << 20);
    let deadline = Instant::now() + Duration::from_secs(20);
    while batch.beginnings().is_empty() {
        assert!(Instant::now() < deadline, "it says nowhere where it begins");
        first.read(&mut batch, Duration::from_millis(100)).expect("read");
    }
    assert!(batch.records().is_empty());
    let (source, identity) = batch.identities()[0].clone();
    let next = batch.beginnings()[0].1;
    let known = Known { source, generation: 0, next, context: Vec::new(), identity };
    drop(first);

    assert!(write_entries(&file, 3, 5));
    let mut resumed = journal(&["--journal-file", &flag]);
    resumed.resume(vec![known]).expect("it resumes");
    let rest = read(&mut resumed, 2);
    assert!(rest.texts[0].windows(7).any(|bytes| bytes == b"entry 3"));
}

#[test]
fn a_vacuumed_cursor_stops_with_the_setting_or_is_skipped() {
    let (_folder, file) = place();
    if !write_entries(&file, 0, 3) {
        return;
    }
    let flag = file.display().to_string();
    let flags = ["--journal-file", &flag, "--journal-start-at", "beginning"];
    let mut first = journal(&flags);
    first.resume(Vec::new()).expect("nothing to resume");
    let known = read(&mut first, 3).known;
    drop(first);
    std::fs::remove_file(&file).expect("removed");
    assert!(write_entries(&file, 10, 12));

    let mut stopping = journal(&flags);
    stopping.resume(vec![known.clone()]).expect("it resumes");
    let mut batch = Batch::new(1 << 20);
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        assert!(Instant::now() < deadline && batch.records().is_empty(), "it did not stop");
        if let Err(error) = stopping.read(&mut batch, Duration::from_millis(100)) {
            break error.to_string();
        }
    };
    assert!(error.contains("--journal-lost-cursor skip"), "{error}");

    let mut skipping = journal(&[&flags[..], &["--journal-lost-cursor", "skip"]].concat());
    skipping.resume(vec![known]).expect("it resumes");
    assert!(read(&mut skipping, 2).texts[0].windows(8).any(|bytes| bytes == b"entry 10"));
}

#[test]
fn an_entry_that_was_read_becomes_an_event_of_the_dataset_of_syslog() {
    let (_folder, file) = place();
    if !write_entries(&file, 0, 1) {
        return;
    }
    let flag = file.display().to_string();
    let mut journal = journal(&["--journal-file", &flag, "--journal-start-at", "beginning"]);
    journal.resume(Vec::new()).expect("nothing to resume");
    let entry = read(&mut journal, 1);
    let origin = Origin { host: "h".into(), path: "journal:".into(), ..Origin::default() };
    let record = Record { start: entry.spans[0].0, ..Record::new(&entry.texts[0], &origin) };
    let dataset = tahoe_schemas::datasets::find("system.syslog").expect("it is there");
    let mut events = Events::default();
    let done = dataset.normalizer.normalize(&record, &Conditions::default(), &mut events);
    done.expect("it is an entry");
    let event = events.documents().next().expect("one event");
    let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
    assert_eq!(event["@timestamp"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(event["message"], "entry 0\n\nwith \u{1} lines");
}

#[test]
fn a_missing_program_names_its_setting_and_a_missing_file_is_tried_again() {
    let mut missing = journal(&["--journal-command", "/nonexistent/journalctl"]);
    missing.resume(Vec::new()).expect("nothing to resume");
    let mut batch = Batch::new(1 << 20);
    let error = missing.read(&mut batch, Duration::ZERO).expect_err("no such program");
    assert!(error.to_string().starts_with("--journal-command: cannot run"), "{error}");

    let mut dying = journal(&["--journal-command", "/bin/false"]);
    dying.resume(Vec::new()).expect("nothing to resume");
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        assert!(Instant::now() < deadline, "it never complained");
        if let Err(error) = dying.read(&mut batch, Duration::from_millis(50)) {
            break error.to_string();
        }
    };
    assert!(error.contains("3 times in a row") && error.contains("--journal-file"), "{error}");
}
