//! Each promise of the tail, kept on a real file system with a clock that the test moves.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tahoe_seams::{Batch, Framer, Known, Part, Source, SourceId};

use super::framers::{Brackets, Lines};
use super::*;

#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Clock for Hands {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.0.load(Ordering::SeqCst)).expect("small")
    }
}

#[derive(Clone, Debug)]
struct Seen {
    source: SourceId,
    generation: u32,
    span: (u64, u64),
    carried: Vec<u8>,
    text: String,
    part: Option<Part>,
}

/// A folder, a tail and the log that its records went to.
struct Bench {
    folder: tempfile::TempDir,
    patterns: Vec<String>,
    framer: &'static dyn Framer,
    settings: TailSettings,
    clock: Hands,
    tail: Tail,
    batch: Batch,
    log: Vec<Seen>,
    known: BTreeMap<SourceId, Known>,
}

impl Bench {
    fn new(patterns: &[&str], framer: &'static dyn Framer) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let below = |name: &&str| folder.path().join(name).display().to_string();
        let patterns: Vec<String> = patterns.iter().map(below).collect();
        let settings = TailSettings {
            start_at: StartAt::Beginning,
            scan_interval: Duration::ZERO,
            inotify: false,
            ..TailSettings::default()
        };
        let clock = Hands::default();
        let tail = start(&patterns, framer, &settings, &clock);
        let (batch, log, known) = (Batch::new(1 << 20), Vec::new(), BTreeMap::new());
        Self { folder, patterns, framer, settings, clock, tail, batch, log, known }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text.as_bytes());
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    fn truncate(&self, name: &str) {
        let file = OpenOptions::new().write(true).open(self.path(name)).expect("open");
        file.set_len(0).expect("truncate");
    }

    fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("small");
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// One read; gives the texts.
    fn read_once(&mut self) -> Vec<String> {
        self.tail.read(&mut self.batch, Duration::ZERO).expect("read");
        let mut texts = Vec::new();
        for (index, at) in self.batch.beginnings() {
            let origin = &self.batch.streams()[*index as usize].origin;
            let known = self.known.entry(origin.source).or_insert_with(|| fresh(origin.source));
            if known.generation != origin.generation {
                known.context.clear();
            }
            (known.generation, known.next) = (origin.generation, *at);
        }
        for (source, identity) in self.batch.identities() {
            self.known.entry(*source).or_insert_with(|| fresh(*source)).identity = identity.clone();
        }
        for raw in self.batch.records() {
            let origin = &self.batch.streams()[raw.stream as usize].origin;
            let known = self.known.get_mut(&origin.source).expect("begun before its records");
            assert_eq!(known.generation, origin.generation);
            assert!(known.next <= raw.start, "spans follow each other");
            known.next = raw.end;
            known.context = self.batch.carried(raw).to_vec();
            let text = String::from_utf8_lossy(self.batch.bytes(raw)).into_owned();
            texts.push(text.clone());
            self.log.push(Seen {
                source: origin.source,
                generation: origin.generation,
                span: (raw.start, raw.end),
                carried: known.context.clone(),
                text,
                part: raw.part,
            });
        }
        for source in self.batch.forgotten() {
            self.known.remove(source);
        }
        self.batch.next();
        texts
    }

    /// Reads until three reads in a row give nothing.
    fn read(&mut self) -> Vec<String> {
        let (mut all, mut idle) = (Vec::new(), 0);
        while idle < 3 {
            let texts = self.read_once();
            idle = if texts.is_empty() { idle + 1 } else { 0 };
            all.extend(texts);
        }
        all
    }

    fn read_after(&mut self, time: Duration) -> Vec<String> {
        self.pass(time);
        self.read()
    }

    /// As after kill -9: only what the log has is known.
    fn restart(&mut self) {
        self.tail = start(&self.patterns, self.framer, &self.settings, &self.clock);
        self.tail.resume(self.known.values().cloned().collect()).expect("resume");
    }
}

fn fresh(source: SourceId) -> Known {
    let identity = serde_json::Value::Null;
    Known { source, generation: 0, next: 0, context: Vec::new(), identity }
}

fn start(
    patterns: &[String],
    framer: &'static dyn Framer,
    settings: &TailSettings,
    clock: &Hands,
) -> Tail {
    let set = PathSet {
        patterns: patterns.to_vec(),
        dataset: "test.log".into(),
        framer,
        topic: "test_logs".into(),
        namespace: "default".into(),
        time_zone: String::new(),
        labels: Vec::new(),
        tags: Vec::new(),
    };
    Tail::with_clock("host", vec![set], settings.clone(), Box::new(clock.clone())).expect("valid")
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("open");
    file.write_all(bytes).expect("write");
}

const QUIET: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(20);

#[test]
fn whole_lines_are_read_and_a_partial_one_waits_for_its_end() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "a\r\n\nb\0\nhal");
    assert_eq!(bench.read_after(LONG), ["a", "b\0"]);
    bench.append("x.log", "f\n");
    assert_eq!(bench.read(), ["half"]);
    append(&bench.path("x.log"), b"\xff\xfe\n");
    bench.read();
    assert_eq!(bench.log.last().expect("a record").span, (12, 15));
}

#[test]
fn a_file_is_read_from_its_end_at_the_first_start_and_one_that_appears_from_its_beginning() {
    let mut bench = Bench::new(&["*.log"], &Lines);
    bench.settings.start_at = StartAt::End;
    bench.append("x.log", "old\nbeing writ");
    bench.restart();
    assert!(bench.read().is_empty());
    bench.append("x.log", "ten\n");
    bench.append("y.log", "new\n");
    bench.restart();
    assert_eq!(bench.read(), ["being written", "new"]);
    bench.append("z.log", "later\n");
    assert_eq!(bench.read(), ["later"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one_and_its_late_lines_too() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n");
    assert_eq!(bench.read(), ["1"]);
    let mut writer = OpenOptions::new().append(true).open(bench.path("x.log")).expect("open");
    bench.append("x.log", "2\n");
    bench.rename("x.log", "x.log.1");
    bench.append("x.log", "4\n");
    assert_eq!(bench.read(), ["2", "4"]);
    writer.write_all(b"3\n").expect("write");
    assert_eq!(bench.read(), ["3"]);
    bench.read_after(LONG);
    writer.write_all(b"very late\n").expect("write");
    assert_eq!(bench.read(), ["very late"]);
    assert!(bench.log.iter().all(|seen| seen.generation == 0));
}

#[test]
fn a_file_renamed_while_nothing_ran_is_found_among_its_siblings_and_read_first() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n2\n");
    bench.read();
    bench.append("x.log", "3\n");
    bench.rename("x.log", "x.log.1");
    bench.append("x.log", "4\n");
    bench.restart();
    assert_eq!(bench.read(), ["3", "4"]);
    bench.restart();
    assert!(bench.read_after(LONG).is_empty());
}

#[test]
fn a_truncated_file_gives_the_rest_from_its_copy_once() {
    for glob in ["x.log", "x.log*"] {
        for restart in [false, true] {
            let mut bench = Bench::new(&[glob], &Lines);
            bench.append("x.log", "1\n2\n");
            bench.read();
            bench.append("x.log", "3\n");
            fs::copy(bench.path("x.log"), bench.path("x.log.1")).expect("copy");
            bench.truncate("x.log");
            bench.append("x.log", "4\n");
            if restart {
                bench.restart();
            }
            assert_eq!(bench.read(), ["3", "4"], "{glob} {restart}");
            bench.restart();
            assert!(bench.read_after(LONG).is_empty(), "{glob} {restart}");
            bench.rename("x.log.1", "x.log.2");
            assert!(bench.read_after(LONG).is_empty(), "{glob} {restart}");
        }
    }
}

#[test]
fn a_file_that_grew_beyond_the_position_after_a_truncation_is_read_from_its_beginning() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n2\n");
    bench.read();
    bench.truncate("x.log");
    bench.append("x.log", "aaa\nbbb\nccc\n");
    assert_eq!(bench.read(), ["aaa", "bbb", "ccc"]);
    assert_eq!(bench.log.last().expect("a record").generation, 1);
}

#[test]
fn an_open_record_is_not_lost_when_the_file_is_truncated() {
    let mut bench = Bench::new(&["x.log"], &Brackets);
    bench.append("x.log", "[1\n at a\n");
    assert!(bench.read().is_empty());
    bench.truncate("x.log");
    bench.append("x.log", "[2\n");
    assert_eq!(bench.read(), ["[1\n at a"]);
    assert_eq!(bench.read_after(QUIET), ["[2"]);
}

#[test]
fn an_inode_that_a_new_file_took_is_not_the_old_file() {
    let mut bench = Bench::new(&["*.log"], &Lines);
    bench.append("a.log", "1\n");
    bench.read();
    bench.tail = start(&bench.patterns, &Lines, &bench.settings, &bench.clock);
    fs::remove_file(bench.path("a.log")).expect("remove");
    bench.append("b.log", "2\n3\n");
    bench.restart();
    assert_eq!(bench.read(), ["2", "3"]);
}

#[test]
fn a_link_is_followed_and_followed_again_when_it_points_elsewhere() {
    let mut bench = Bench::new(&["current.log"], &Lines);
    bench.append("0.txt", "1\n");
    std::os::unix::fs::symlink(bench.path("0.txt"), bench.path("current.log")).expect("link");
    assert_eq!(bench.read(), ["1"]);
    bench.append("0.txt", "2\n");
    bench.append("1.txt", "3\n");
    fs::remove_file(bench.path("current.log")).expect("remove");
    std::os::unix::fs::symlink(bench.path("1.txt"), bench.path("current.log")).expect("link");
    assert_eq!(bench.read(), ["2", "3"]);
}

#[test]
fn a_record_of_many_lines_is_closed_by_quiet_and_for_ever() {
    let mut bench = Bench::new(&["x.log"], &Brackets);
    bench.append("x.log", "[1\n at a\n");
    assert!(bench.read().is_empty());
    assert_eq!(bench.read_after(QUIET), ["[1\n at a"]);
    bench.append("x.log", " at b\n[2\n");
    assert_eq!(bench.read(), [" at b"]);
    bench.append("x.log", " at c\n");
    bench.restart();
    assert!(bench.read().is_empty());
    assert_eq!(bench.read_after(QUIET), ["[2\n at c"]);
}

#[test]
fn a_very_long_line_is_split_and_its_parts_go_on_after_a_restart() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.settings.record_bytes_max = 100_000;
    bench.restart();
    let line: String = (0..3_000_000u32).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    bench.append("x.log", &line);
    bench.batch = Batch::new(250_000);
    bench.read_once();
    bench.restart();
    bench.read();
    bench.append("x.log", "!\nnext\n");
    bench.restart();
    assert_eq!(bench.read().last().map(String::as_str), Some("next"));
    let parts: Vec<_> = bench.log.iter().filter_map(|seen| seen.part).collect();
    let indices = parts.iter().map(|part| part.index);
    assert!(indices.eq(0..u32::try_from(parts.len()).expect("few")));
    assert_eq!(parts.iter().filter(|part| part.last).count(), 1);
    let joined: String = bench.log.iter().filter(|s| s.part.is_some()).map(|s| &*s.text).collect();
    assert!(joined == line + "!");
}

#[test]
fn a_file_that_is_gone_is_forgotten_after_thirty_days() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n");
    bench.read();
    fs::remove_file(bench.path("x.log")).expect("remove");
    bench.read_after(LONG);
    bench.read();
    bench.restart();
    bench.read_after(Duration::from_secs(29 * 24 * 3600));
    assert_eq!(bench.known.len(), 1);
    bench.read_after(Duration::from_secs(2 * 24 * 3600));
    assert!(bench.known.is_empty());
}

#[test]
fn a_busy_file_does_not_keep_the_others_waiting_and_few_handles_serve_many_files() {
    let mut bench = Bench::new(&["*.log"], &Lines);
    bench.settings.handles_max = 4;
    bench.restart();
    bench.append("a.log", &"busy line\n".repeat(600_000));
    for n in 0..20 {
        bench.append(&format!("b{n}.log"), &format!("{n}\n"));
    }
    bench.batch = Batch::new(4 << 20);
    let first = bench.read_once();
    assert!(first.iter().any(|text| text == "19"));
    bench.read();
    assert_eq!(bench.log.len(), 600_020);
    assert!(bench.tail.files.iter().filter(|file| file.handle.is_some()).count() <= 4);
}

#[test]
fn drained_means_that_everything_was_read_the_open_end_too() {
    let mut bench = Bench::new(&["x.log"], &Brackets);
    bench.settings.once = true;
    bench.append("x.log", "[1\n[2\n at a");
    bench.restart();
    assert!(!bench.tail.is_drained());
    assert_eq!(bench.read(), ["[1", "[2\n at a"]);
    assert!(bench.tail.is_drained());
}

#[test]
fn inotify_tells_of_new_lines_and_new_files_long_before_the_scan() {
    let mut bench = Bench::new(&["*.log"], &Lines);
    bench.settings.inotify = true;
    bench.settings.scan_interval = Duration::from_secs(3600);
    let set = bench.tail.sets[0].paths.clone();
    let mut tail = Tail::new("host", vec![set], bench.settings.clone()).expect("valid");
    bench.append("x.log", "1\n");
    let mut batch = Batch::new(1 << 20);
    tail.read(&mut batch, Duration::ZERO).expect("read");
    let (old, new) = (bench.path("x.log"), bench.path("y.log"));
    for (path, text) in [(old, &b"2\n"[..]), (new, b"3\n")] {
        let writer = std::thread::spawn(move || append(&path, text));
        let until = Instant::now() + Duration::from_secs(30);
        batch.next();
        while batch.records().is_empty() && Instant::now() < until {
            batch.next();
            tail.read(&mut batch, Duration::from_secs(1)).expect("read");
        }
        writer.join().expect("no panic");
        let raw = batch.records().first().expect("woken by inotify");
        assert_eq!(batch.bytes(raw), &text[..1]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_setting_and_the_others_go_on() {
    let mut bench = Bench::new(&["loop.log", "x.log"], &Lines);
    // A link to itself cannot be opened by any user, root included.
    std::os::unix::fs::symlink(bench.path("loop.log"), bench.path("loop.log")).expect("link");
    bench.append("x.log", "1\n");
    assert_eq!(bench.read(), ["1"]);
    let said = bench.tail.describe().join("\n");
    assert!(said.contains("cannot read") && said.contains("loop.log"), "{said}");
    fs::remove_file(bench.path("loop.log")).expect("remove");
    bench.append("loop.log", "2\n");
    assert_eq!(bench.read(), ["2"]);
}

#[derive(Clone, Debug)]
enum Act {
    Append(u8),
    AppendPartly,
    Rename,
    CopyAndTruncate,
    Read,
    Kill(prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..6u8).prop_map(Act::Append),
        1 => Just(Act::AppendPartly),
        1 => Just(Act::Rename),
        1 => Just(Act::CopyAndTruncate),
        3 => Just(Act::Read),
        2 => any::<prop::sample::Index>().prop_map(Act::Kill),
    ]
}

/// What the file system looks like while lines are written.
#[derive(Default)]
struct Writer {
    lines: u32,
    half: bool,
    rotations: u32,
}

impl Writer {
    fn line(&mut self) -> String {
        self.lines += 1;
        format!("line {}\n", self.lines)
    }

    fn finish(&mut self, bench: &Bench) {
        if std::mem::take(&mut self.half) {
            bench.append("x.log", " whole\n");
        }
    }

    /// What is rotated before any scan saw a byte of it was never a file of ours.
    fn create(&mut self, bench: &mut Bench) {
        if fs::metadata(bench.path("x.log")).map_or(0, |file| file.len()) == 0 {
            bench.append("x.log", &self.line());
            bench.read();
        }
    }

    fn rotate(&mut self, bench: &Bench) -> String {
        self.finish(bench);
        self.rotations += 1;
        format!("x.log.{}", self.rotations)
    }

    fn act(&mut self, act: &Act, bench: &mut Bench) {
        let exists = bench.path("x.log").exists();
        match act {
            Act::Append(lines) => {
                self.finish(bench);
                self.create(bench);
                (0..*lines).for_each(|_| bench.append("x.log", &self.line()));
            }
            Act::AppendPartly => {
                self.finish(bench);
                self.create(bench);
                bench.append("x.log", self.line().trim_end());
                self.half = true;
            }
            Act::Rename if exists => bench.rename("x.log", &self.rotate(bench)),
            Act::CopyAndTruncate if exists => {
                let copy = self.rotate(bench);
                // Seen before it is empty, as a scan within the interval would.
                fs::copy(bench.path("x.log"), bench.path(&copy)).expect("copy");
                bench.truncate("x.log");
                bench.read();
            }
            Act::Rename | Act::CopyAndTruncate => {}
            Act::Read => drop(bench.read()),
            Act::Kill(at) => kill(bench, *at),
        }
    }
}

/// Takes back what the log did not make durable: a suffix of what the last read gave.
fn kill(bench: &mut Bench, at: prop::sample::Index) {
    let before = bench.log.len();
    bench.batch = Batch::new(1 << 20);
    let known = bench.known.clone();
    bench.read_once();
    let durable = before + at.index(bench.log.len() - before + 1);
    bench.log.truncate(durable);
    // Identities are stored before the records are durable; positions are what the log holds.
    for (source, position) in &mut bench.known {
        let last = bench.log.iter().rev().find(|seen| seen.source == *source);
        let old = known.get(source);
        match last.filter(|last| last.generation == position.generation) {
            Some(last) => {
                position.next = last.span.1;
                position.context = last.carried.clone();
            }
            None => {
                let same = old.filter(|old| old.generation == position.generation);
                position.next = same.map_or(0, |old| old.next);
                position.context = same.map_or(Vec::new(), |old| old.context.clone());
            }
        }
    }
    bench.restart();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_line_is_read_once_whatever_happens(
        acts in prop::collection::vec(act(), 1..25),
        glob in prop::sample::select(vec!["x.log", "x.log*"]),
    ) {
        let mut bench = Bench::new(&[glob], &Lines);
        let mut writer = Writer::default();
        // The first start is over before anything is written.
        bench.read();
        acts.iter().for_each(|act| writer.act(act, &mut bench));
        writer.finish(&bench);
        bench.read();
        bench.read_after(LONG);
        let mut numbers: Vec<u32> = bench
            .log
            .iter()
            .map(|seen| seen.text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a line"))
            .collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (1..=writer.lines).collect::<Vec<_>>());
    }
}
