//! Any order of writes, rotations, truncations and kills: every line is read once.

use proptest::prelude::*;

use super::*;
use crate::tail::framers::Lines;

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
