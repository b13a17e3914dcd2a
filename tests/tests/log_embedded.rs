//! The embedded log keeps the contract, survives kill -9, and guards its folder.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tahoe_pipeline::log::embedded::{EmbeddedLog, EmbeddedSettings};
use tahoe_seams::{Log, LogError, Topic};
use tahoe_tests::log_contract::{self, Subject, append, outgoing, scan};

const RECORD_BYTES_MAX: usize = 1 << 20;
/// Set, with the folder of the log, in the process that is killed.
const CHILD: &str = "TAHOE_TEST_LOG_CHILD";

fn settings() -> EmbeddedSettings {
    EmbeddedSettings { record_bytes_max: RECORD_BYTES_MAX, ..EmbeddedSettings::default() }
}

fn open(folder: &Path) -> EmbeddedLog {
    EmbeddedLog::open(folder, &settings()).expect("the log opens")
}

#[expect(clippy::unnecessary_wraps, reason = "the contract's tests may be skipped elsewhere")]
fn subject(name: &str) -> Option<Subject> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Some(Subject {
        open: Box::new(move || Box::new(open(&folder.path().join("log")))),
        prefix: name.to_owned(),
        positions_topic: "tahoe.positions".to_owned(),
        record_bytes_max: RECORD_BYTES_MAX,
    })
}

tahoe_tests::log_contract!(subject);

fn topic(partitions: u32) -> [Topic; 1] {
    [Topic { name: "t".to_owned(), partitions, compacted: false }]
}

#[test]
fn a_second_instance_on_the_same_folder_is_refused_and_told_which_setting_mends_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = open(folder.path());
    let second = EmbeddedLog::open(folder.path(), &settings()).err().expect("refused");
    assert!(matches!(&second, LogError::Stop(text, _) if text.contains("--data")), "{second}");
    drop(first);
    open(folder.path());
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_and_told_which_setting_mends_it() {
    let error = EmbeddedLog::open(Path::new("/proc/none"), &settings()).err().expect("refused");
    assert!(matches!(&error, LogError::Stop(text, _) if text.contains("--data")), "{error}");
}

#[test]
fn an_idle_append_is_durable_within_a_fifth_of_a_second() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = open(folder.path());
    log.setup(&topic(1)).expect("created");
    let mut took = Vec::new();
    for _ in 0..20 {
        let start = std::time::Instant::now();
        append(&log, "t", 0, &[b"x"]);
        took.push(start.elapsed());
    }
    took.sort();
    // The promise is 5 ms on an idle disk; the machine of a test may be busy.
    assert!(took[10].as_millis() < 200, "{took:?}");
}

#[test]
fn retention_deletes_what_every_group_has_committed_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = EmbeddedSettings { retention_bytes: 100_000, ..settings() };
    let value = vec![b'x'; 10_000];
    {
        let log = EmbeddedLog::open(folder.path(), &small).expect("opens");
        log.setup(&topic(1)).expect("created");
        let mut reader = log.reader("g", &["t".to_owned()]).expect("joined");
        for _ in 0..10 {
            append(&log, "t", 0, &[value.as_slice(); 10]);
        }
        reader.commit(&[("t".to_owned(), 0, 50)]).expect("committed");
    }
    // Retention runs when the log is opened, and its last pass is over when it is closed.
    drop(EmbeddedLog::open(folder.path(), &small).map(|log| append(&log, "t", 0, &[b"y"])));
    let log = open(folder.path());
    let seen = scan(&log, "t", 0, 0, u64::MAX);
    assert_eq!(seen.first().map(|one| one.offset), Some(50));
    assert_eq!(seen.last().map(|one| one.offset), Some(100));
}

#[test]
fn a_second_reader_of_a_group_takes_over_when_the_first_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = open(folder.path());
    log.setup(&topic(1)).expect("created");
    append(&log, "t", 0, &[b"0", b"1"]);
    let mut first = log.reader("g", &["t".to_owned()]).expect("joined");
    let mut second = log.reader("g", &["t".to_owned()]).expect("joined");
    assert_eq!(log_contract::read(&mut *first, 2).len(), 2);
    let mut seen = Vec::new();
    log_contract::poll(&mut *second, std::time::Duration::from_millis(50), &mut seen);
    assert!(seen.is_empty());
    first.commit(&[("t".to_owned(), 0, 1)]).expect("committed");
    drop(first);
    assert_eq!(log_contract::read(&mut *second, 1).len(), 1);
}

/// Not a test of its own: what the killed process runs.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let log = open(&folder);
    log.setup(&topic(2)).expect("created");
    for n in 0_u64.. {
        let value = n.to_string();
        let records = [outgoing("t", 0, value.as_bytes()), outgoing("t", 1, value.as_bytes())];
        log_contract::durable(&log.append(&records).expect("accepted"));
        let position = (b"position".to_vec(), Some(value.clone().into_bytes()));
        log.store_positions(&[position]).expect("stored");
        println!("durable {n}");
    }
}

#[test]
fn what_was_acknowledged_before_kill_9_is_there_after_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, folder.path().join(round.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let wanted = format!("durable {}", 40 * round);
        let durable = lines.find(|line| line.as_ref().is_ok_and(|line| line.ends_with(&wanted)));
        assert!(durable.is_some());
        child.kill().expect("killed");
        child.wait().expect("gone");
        let more = lines.map_while(Result::ok).filter(|line| line.contains("durable ")).count();
        let acknowledged = 40 * round + 1 + more;

        let log = open(&folder.path().join(round.to_string()));
        for partition in 0..2 {
            let seen = scan(&log, "t", partition, 0, u64::MAX);
            assert!(seen.len() >= acknowledged, "{} of {acknowledged}", seen.len());
            for (n, one) in seen.iter().enumerate() {
                assert_eq!((one.offset, &one.value), (n as u64, &n.to_string().into_bytes()));
            }
        }
        let positions = log.positions().expect("readable");
        let stored = String::from_utf8(positions[0].1.clone()).expect("a number");
        assert!(stored.parse::<usize>().expect("a number") + 1 >= acknowledged);
    }
}
