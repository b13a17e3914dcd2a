//! Which files are read, when, and what is said of those that cannot be.

use super::*;
use crate::tail::framers::Lines;

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
