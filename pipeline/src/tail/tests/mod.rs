//! Each promise of the tail, kept on a real file system with a clock that the test moves.

mod files;
mod random;
mod records;
mod rotation;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tahoe_seams::{Batch, Framer, Known, Part, Source, SourceId};

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
    context: Vec<u8>,
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
                context: self.batch.context(raw).to_vec(),
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
        context: Vec::new(),
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
