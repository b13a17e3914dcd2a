//! A folder belongs to one writer, says its format, and forgets what is past its retention.

use std::ops::ControlFlow;
use std::time::Duration;

use tahoe_schemas::retention::{Keep, Retention};
use tahoe_seams::search::{Search, SearchRequest};
use tahoe_seams::{EventBatch, Events, Outcome, RecordId, Sink, SinkError};
use tahoe_sink_embedded::{EmbeddedStore, Settings};

fn batch(namespace: &str, ids: std::ops::Range<u32>) -> EventBatch {
    let mut events = Events::default();
    for n in ids {
        events.begin_record(n);
        let mut id = [0; 16];
        id[12..].copy_from_slice(&n.to_be_bytes());
        events.push("a.b", namespace, RecordId(id), |out| {
            let document =
                format!("{{\"@timestamp\":{},\"n\":{n}}}", 1_700_000_000_000 + u64::from(n));
            out.extend_from_slice(document.as_bytes());
        });
    }
    events.take()
}

fn refusal<T>(result: Result<T, SinkError>) -> String {
    match result {
        Err(SinkError::Refused(text, _)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

async fn hits(store: &EmbeddedStore) -> u64 {
    let request = SearchRequest::default();
    store.search(&request, &mut |_| ControlFlow::Continue(())).await.expect("an answer")
}

#[tokio::test]
async fn a_folder_has_one_writer_and_any_number_of_readers() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(refusal(EmbeddedStore::open_read_only(folder.path())).contains("--data"));
    let store = EmbeddedStore::open(folder.path(), Settings::default()).expect("a store");
    assert!(refusal(EmbeddedStore::open(folder.path(), Settings::default())).contains("--data"));
    let reader = EmbeddedStore::open_read_only(folder.path()).expect("a reader");
    for round in 0..20 {
        let ids = round * 10..round * 10 + 10;
        store.write(&batch("x", ids)).await.expect("written");
        assert_eq!(hits(&reader).await, u64::from(round + 1) * 10);
    }
    assert_eq!(reader.find(&batch("x", 199..201)).await.expect("an answer"), [true, false]);
    refusal(reader.write(&batch("x", 0..1)).await);
    drop(store);
    EmbeddedStore::open(folder.path(), Settings::default()).expect("the folder is free again");
}

#[test]
fn a_lock_that_cannot_be_made_is_said_with_its_folder_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(EmbeddedStore::open(folder.path(), Settings::default()).expect("a store"));
    // What keeps even root from making one.
    let lock = folder.path().join("index/.tantivy-meta.lock");
    if lock.exists() {
        std::fs::remove_file(&lock).expect("nobody has it");
    }
    std::fs::create_dir(&lock).expect("a folder in its place");
    let error = EmbeddedStore::open_read_only(folder.path()).err().expect("no lock").to_string();
    assert!(error.contains("no lock can be made in") && error.contains("directory"), "{error}");
    assert!(error.contains("--data") && !error.contains("IoError"), "{error}");
}

#[tokio::test]
async fn an_id_is_unique_within_its_data_stream_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(folder.path(), Settings::default()).expect("a store");
    for namespace in ["x", "y"] {
        let outcomes = store.write(&batch(namespace, 0..3)).await.expect("written");
        assert_eq!(outcomes, vec![Outcome::Stored; 3]);
    }
    for namespace in ["x", "y"] {
        let outcomes = store.write(&batch(namespace, 0..3)).await.expect("written");
        assert_eq!(outcomes, vec![Outcome::AlreadyThere; 3]);
    }
    assert_eq!(hits(&store).await, 6);
}

#[tokio::test]
async fn writes_at_the_same_time_store_every_event_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(folder.path(), Settings::default()).expect("a store");
    // The same events in overlapping batches, all in flight together.
    let (a, b, c, d) =
        (batch("x", 0..500), batch("x", 250..750), batch("x", 500..1000), batch("x", 0..1000));
    let answers = tokio::join!(store.write(&a), store.write(&b), store.write(&c), store.write(&d));
    let outcomes = [answers.0, answers.1, answers.2, answers.3];
    let stored = outcomes
        .into_iter()
        .flat_map(|answer| answer.expect("written"))
        .filter(|outcome| *outcome == Outcome::Stored)
        .count();
    assert_eq!((stored, hits(&store).await), (1000, 1000));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(EmbeddedStore::open(folder.path(), Settings::default()).expect("a store"));
    std::fs::write(folder.path().join("tahoe-store.json"), "{\"format\":2}").expect("written");
    let text = refusal(EmbeddedStore::open(folder.path(), Settings::default()));
    assert!(text.contains("has format 2 and this version of tahoe knows 1"), "{text}");
    assert!(refusal(EmbeddedStore::open_read_only(folder.path())).contains("format 2"));
}

#[tokio::test]
async fn events_past_their_retention_are_deleted_and_others_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = |keep| Settings { retention: Retention::of_all(keep), ..Settings::default() };
    let store = EmbeddedStore::open(folder.path(), keep(Keep::Forever)).expect("a store");
    store.write(&batch("x", 0..10)).await.expect("written");
    drop(store);
    // Kept: the event's own time is years ago, but it was stored just now.
    let store = EmbeddedStore::open(folder.path(), keep(Keep::Days(1))).expect("a store");
    store.write(&batch("x", 10..11)).await.expect("written");
    assert_eq!(hits(&store).await, 11);
    drop(store);
    let store = EmbeddedStore::open(folder.path(), keep(Keep::Days(0))).expect("a store");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while hits(&store).await > 0 {
        assert!(std::time::Instant::now() < deadline, "deleted in time");
        tokio::task::yield_now().await;
    }
    let outcomes = store.write(&batch("x", 0..1)).await.expect("written");
    assert_eq!(outcomes, [Outcome::Stored], "a deleted event may come again");
}
