//! Killed at any moment, the store keeps every event that it called stored, once.
//!
//! The test runs itself as a child that writes and prints what was answered, and kills it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};

use tahoe_seams::search::{Search, SearchRequest};
use tahoe_seams::{EventBatch, Events, Outcome, RecordId, Sink};
use tahoe_sink_embedded::{EmbeddedStore, Settings};

const FOLDER: &str = "STORE_CRASH_FOLDER";
const FIRST: &str = "STORE_CRASH_FIRST";
const ROUNDS: u32 = 6;
const PER_BATCH: u32 = 50;

fn id(n: u32) -> RecordId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    RecordId(id)
}

fn batch(first: u32) -> EventBatch {
    let mut events = Events::default();
    for n in first..first + PER_BATCH {
        events.begin_record(n);
        events.push("a.b", "x", id(n), |out| {
            let document =
                format!("{{\"@timestamp\":{},\"message\":\"event {n}\"}}", 1_700_000_000_000u64);
            out.extend_from_slice(document.as_bytes());
        });
    }
    events.take()
}

/// The child: writes until it is killed, several batches in flight, and says what is stored.
async fn write_for_ever(folder: &str, first: u32) {
    let store = EmbeddedStore::open(folder.as_ref(), Settings::default()).expect("a store");
    for group in 0.. {
        let firsts = [0, 1, 2].map(|n| first + (group * 3 + n) * PER_BATCH);
        let batches = firsts.map(batch);
        let [a, b, c] = &batches;
        let answers = tokio::join!(store.write(a), store.write(b), store.write(c));
        for (first, answer) in firsts.iter().zip([answers.0, answers.1, answers.2]) {
            assert_eq!(answer.expect("written"), vec![Outcome::Stored; PER_BATCH as usize]);
            println!("stored {first}");
        }
    }
}

async fn copies(store: &EmbeddedStore) -> HashMap<String, u32> {
    let mut copies = HashMap::new();
    let all = SearchRequest::default();
    store
        .search(&all, &mut |hit| {
            *copies.entry(hit.id.to_owned()).or_default() += 1;
            ControlFlow::Continue(())
        })
        .await
        .expect("an answer");
    copies
}

/// Writes until `batches` were answered, then is killed in the middle of the next.
fn killed_after(folder: &std::path::Path, first: u32, batches: usize) -> Vec<u32> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "a_killed_store_keeps_what_it_called_stored_once", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut stored = Vec::new();
    let parse = |line: String| line.strip_prefix("stored ").and_then(|n| n.parse::<u32>().ok());
    while stored.len() < batches {
        stored.extend(parse(lines.next().expect("a line").expect("text")));
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    stored.extend(lines.map_while(Result::ok).filter_map(parse));
    stored
}

#[tokio::test]
async fn a_killed_store_keeps_what_it_called_stored_once() {
    if let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) {
        return write_for_ever(&folder, first.parse().expect("a number")).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut stored = Vec::new();
    for round in 0..ROUNDS {
        let first = round * 1_000_000;
        stored.extend(killed_after(folder.path(), first, 3 + round as usize * 5));
        let store = EmbeddedStore::open(folder.path(), Settings::default()).expect("reopened");
        let found = copies(&store).await;
        assert!(found.values().all(|copies| *copies == 1), "an event is there twice");
        for n in stored.iter().flat_map(|first| *first..first + PER_BATCH) {
            assert!(found.contains_key(&id(n).to_string()), "round {round}: {n} was stored");
        }
        // What the loop does after a crash: everything again, and what was in flight.
        let last = stored.iter().copied().filter(|n| *n >= first).max().expect("some");
        for first in (first..=last + 6 * PER_BATCH).step_by(PER_BATCH as usize) {
            let again = store.write(&batch(first)).await.expect("written");
            let known = |n: u32| found.contains_key(&id(n).to_string());
            for (n, outcome) in (first..).zip(again) {
                let expected = if known(n) { Outcome::AlreadyThere } else { Outcome::Stored };
                assert_eq!(outcome, expected, "round {round}: {n}");
            }
            stored.push(first);
        }
        let found = copies(&store).await;
        assert!(found.values().all(|copies| *copies == 1), "an event is there twice");
    }
}
