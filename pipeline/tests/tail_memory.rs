//! A line without end must not take memory with it. Alone in its process, so that the peak is ours.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Duration;

use tahoe_pipeline::seams::{Batch, Source};
use tahoe_pipeline::tail::{PathSet, StartAt, Tail, TailSettings};

const LINE_BYTES: u64 = 100 << 20;
/// A part of a MiB and what is looked ahead, the batch, and the allocator's slack.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

/// The most memory that this process ever had, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it is there");
    let kib = line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("a number") << 10
}

/// Reads everything; gives the bytes of all parts and how many of them were the last.
fn read(dataset: &str, path: &str) -> (u64, u32) {
    let framer = tahoe_schemas::datasets::find(dataset).expect("it is there").framer;
    let set = PathSet {
        patterns: vec![path.to_owned()],
        dataset: dataset.to_owned(),
        framer,
        context: Vec::new(),
        topic: "laravel_logs".to_owned(),
        namespace: String::new(),
        time_zone: String::new(),
        labels: Vec::new(),
        tags: Vec::new(),
    };
    let settings =
        TailSettings { start_at: StartAt::Beginning, once: true, ..TailSettings::default() };
    let mut tail = Tail::new("host", vec![set], settings).expect("valid");
    tail.resume(Vec::new()).expect("nothing to resume");
    let mut batch = Batch::new(1 << 20);
    let (mut bytes, mut last, mut next) = (0, 0, 0);
    while !tail.has_ended() {
        tail.read(&mut batch, Duration::ZERO).expect("read");
        for raw in batch.records() {
            let part = raw.part.expect("the line is too long for one record");
            assert_eq!(part.index, next, "parts follow each other");
            next += 1;
            bytes += batch.bytes(raw).len() as u64;
            last += u32::from(part.last);
        }
        batch.next();
    }
    (bytes, last)
}

#[test]
fn a_line_of_a_hundred_mebibytes_is_read_in_parts_and_in_bounded_memory() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut out = BufWriter::new(File::create(file.path()).expect("create"));
    let beginning = b"[2026-11-21 09:00:00] local.ERROR: ";
    out.write_all(beginning).expect("write");
    let block = [b'x'; 64 << 10];
    let mut left = LINE_BYTES - beginning.len() as u64;
    while left > 0 {
        let some = left.min(block.len() as u64);
        out.write_all(&block[..usize::try_from(some).expect("small")]).expect("write");
        left -= some;
    }
    out.write_all(b"\n").expect("write");
    out.into_inner().expect("written");
    let before = peak_bytes();
    for dataset in ["nginx.access", "laravel.log", "system.syslog"] {
        let read = read(dataset, &file.path().display().to_string());
        assert_eq!(read, (LINE_BYTES, 1), "{dataset}");
        let growth = peak_bytes() - before;
        println!("{dataset}: {} KiB more at the peak", growth >> 10);
        assert!(growth < GROWTH_BYTES_MAX, "{dataset}: {growth} bytes more");
    }
}
