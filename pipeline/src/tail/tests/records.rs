//! Where records end: whole lines, open records, very long ones.

use tahoe_seams::{Beginning, Cut, Framer};

use super::*;
use crate::tail::framers::{Brackets, Lines};

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

/// A line that ends with `+` goes on in the next one, which is a record of its own.
struct Pieces;

impl Framer for Pieces {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        match Lines.cut(bytes, scanned, ended) {
            Cut::Record { text, end, .. } => {
                Cut::Record { text, end, head: Beginning::Asked { orphan: false } }
            }
            cut => cut,
        }
    }

    fn carry(&self, record: &[u8], context: &mut Vec<u8>) {
        context.clear();
        context.extend(record.last().filter(|last| **last == b'+'));
    }

    fn continues(&self, context: &[u8]) -> bool {
        !context.is_empty()
    }
}

#[test]
fn a_record_that_goes_on_with_the_one_before_has_what_was_carried() {
    let mut bench = Bench::new(&["x.log"], &Pieces);
    bench.append("x.log", "a\nb+\n");
    bench.read();
    bench.restart();
    bench.append("x.log", "c+\nd\ne\n");
    bench.read();
    let contexts: Vec<_> = bench.log.iter().map(|seen| &seen.context[..]).collect();
    assert_eq!(contexts, [&b""[..], b"", b"+", b"+", b""]);
}

#[test]
fn once_ends_when_everything_was_read_the_open_end_too() {
    let mut bench = Bench::new(&["x.log"], &Brackets);
    bench.settings.once = true;
    bench.append("x.log", "[1\n[2\n at a");
    bench.restart();
    assert!(!bench.tail.has_ended());
    assert_eq!(bench.read(), ["[1", "[2\n at a"]);
    assert!(bench.tail.has_ended());
}

#[test]
fn the_last_record_is_given_a_quiet_time_after_it_was_written_and_no_later() {
    let mut bench = Bench::new(&["x.log"], &Brackets);
    bench.settings.inotify = true;
    bench.settings.scan_interval = Duration::from_secs(3600);
    let set = bench.tail.sets[0].paths.clone();
    let mut tail = Tail::new("host", vec![set], bench.settings.clone()).expect("valid");
    bench.append("x.log", "[1\n");
    let mut batch = Batch::new(1 << 20);
    let began = Instant::now();
    // As the producer loop reads: a tenth of a second at a time.
    while batch.records().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(10), "it is never given");
        tail.read(&mut batch, Duration::from_millis(100)).expect("read");
    }
    let took = began.elapsed();
    println!("given after {took:?}");
    let quiet = bench.settings.quiet_time;
    assert!(took >= quiet && took < quiet + Duration::from_secs(5), "{took:?}");
}

#[test]
fn open_records_of_more_files_than_may_be_open_are_all_closed_by_quiet() {
    let mut bench = Bench::new(&["*.log"], &Brackets);
    bench.settings.handles_max = 4;
    bench.restart();
    for n in 0..20 {
        bench.append(&format!("{n:02}.log"), &format!("[{n:02}\n"));
    }
    assert!(bench.read().is_empty());
    let expected: Vec<String> = (0..20).map(|n| format!("[{n:02}")).collect();
    let mut found = bench.read_after(bench.settings.quiet_time);
    found.sort();
    assert_eq!(found, expected);
}
