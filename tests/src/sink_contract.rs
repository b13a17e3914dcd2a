//! What every store promises, whatever it is made of: one test per promise.
//!
//! A store's own test file names how it is opened, and gets all of them:
//! `tahoe_tests::sink_contract!(open);`, where `open` is an `async fn() -> Option<impl Store>`
//! that gives `None` (and says why) when there is no store to test.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tahoe_seams::search::{Hit, Search, SearchRequest};
use tahoe_seams::{EventBatch, Events, Outcome, RecordId, RowChange, RowNow, Sink, SinkError};

/// Longest time from a durable write until a search sees it: refreshes come once a second, and a
/// shared machine may be slow.
const SEARCHABLE_WITHIN: Duration = Duration::from_secs(20);

/// A store under test. Its templates cover `logs-contract.*-*`.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Where events are written.
    fn sink(&self) -> &dyn Sink;
    /// The same store, to be asked.
    fn search(&self) -> &dyn Search;
    /// Closes the store and opens it again, as a restart does.
    async fn reopen(&mut self);
}

/// Defines one test per promise over the stores that `$open` gives.
#[macro_export]
macro_rules! sink_contract {
    ($open:path) => {
        $crate::sink_contract!(@each $open;
            an_event_is_stored_once_and_then_already_there
            a_duplicate_inside_one_batch_is_already_there
            one_rejected_event_leaves_the_others_of_its_batch_stored
            what_was_stored_is_found_and_what_was_not_is_not
            a_big_batch_is_stored_event_by_event
            what_was_stored_becomes_searchable_with_its_id_index_and_text
            hits_come_newest_first_within_range_and_limit
            values_are_counted_exactly_most_frequent_first
            a_query_that_cannot_be_parsed_is_refused
            what_was_stored_survives_a_restart
            an_empty_batch_is_nothing
            a_document_is_found_by_its_id_and_written_over_only_as_it_was_seen
            rows_end_as_their_latest_change_says_or_are_refused_with_the_setting
        );
    };
    (@each $open:path; $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if let Some(mut store) = $open().await {
                    $crate::sink_contract::$promise(&mut store).await;
                }
            }
        )+
    };
}

/// A namespace of its own for each run of each promise, so that they cannot see each other.
fn namespace() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("n{:x}x{:x}x{n:x}", now_ms(), std::process::id())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("milliseconds fit for 292 million years")
}

/// An id as producers make them: six bytes of time, then what tells records apart.
fn id(n: u32) -> RecordId {
    let mut id = [0u8; 16];
    id[..6].copy_from_slice(&now_ms().to_be_bytes()[2..]);
    id[6..10].copy_from_slice(&n.to_be_bytes());
    id[10..14].copy_from_slice(&std::process::id().to_be_bytes());
    RecordId(id)
}

/// One event of a test: identity and document.
type Event = (RecordId, serde_json::Value);

fn batch(namespace: &str, events: &[Event]) -> EventBatch {
    let mut out = Events::default();
    for (record, (id, document)) in events.iter().enumerate() {
        out.begin_record(u32::try_from(record).expect("tests are small"));
        out.push("contract.log", namespace, *id, |body| {
            serde_json::to_writer(body, document).expect("a value is JSON");
        });
    }
    out.take()
}

/// `1_700_000_000_000 + ms` as ECS documents have it.
fn stamp(ms: u32) -> String {
    assert!(ms < 60_000, "a test's minute");
    format!("2023-11-14T22:13:{:02}.{:03}Z", 20 + ms / 1000, ms % 1000)
}

fn event(n: u32) -> Event {
    let document = serde_json::json!({
        "@timestamp": stamp(n % 30_000),
        "message": format!("number {n}"),
        "log": {"level": if n.is_multiple_of(3) { "error" } else { "info" }},
    });
    (id(n), document)
}

async fn write(store: &impl Store, batch: &EventBatch) -> Vec<Outcome> {
    store.sink().write(batch).await.expect("the store takes the batch")
}

/// Every hit of a question about one namespace: `_id`, `_index` and document.
async fn hits(
    store: &impl Store,
    request: &SearchRequest,
) -> Vec<(String, String, serde_json::Value)> {
    let mut found = Vec::new();
    let mut visit = |hit: Hit<'_>| {
        let source = serde_json::from_slice(hit.source).expect("a document is JSON");
        found.push((hit.id.to_owned(), hit.index.to_owned(), source));
        ControlFlow::Continue(())
    };
    let visited = store.search().search(request, &mut visit).await.expect("the store answers");
    assert_eq!(visited, found.len() as u64, "visited hits are counted");
    found
}

/// Asks until `events` hits are there, within the bounded time.
async fn await_hits(
    store: &impl Store,
    request: &SearchRequest,
    events: usize,
) -> Vec<(String, String, serde_json::Value)> {
    let deadline = Instant::now() + SEARCHABLE_WITHIN;
    loop {
        let found = hits(store, request).await;
        if found.len() >= events {
            return found;
        }
        assert!(Instant::now() < deadline, "{} of {events} searchable in time", found.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks about the events of this test: documents carry the namespace as a label.
fn about(namespace: &str) -> SearchRequest {
    let query = format!("data_stream.namespace:{namespace}");
    SearchRequest { query, ..SearchRequest::default() }
}

fn labelled(namespace: &str, (id, mut document): Event) -> Event {
    document["data_stream"] = serde_json::json!({"namespace": namespace});
    (id, document)
}

/// Op `create`: the second write of an event changes nothing and says so.
pub async fn an_event_is_stored_once_and_then_already_there(store: &mut impl Store) {
    let batch = batch(&namespace(), &[event(1), event(2)]);
    assert_eq!(write(store, &batch).await, [Outcome::Stored, Outcome::Stored]);
    assert_eq!(write(store, &batch).await, [Outcome::AlreadyThere, Outcome::AlreadyThere]);
}

/// Two copies of one record in one batch are one event.
pub async fn a_duplicate_inside_one_batch_is_already_there(store: &mut impl Store) {
    let (first, other) = (event(1), event(2));
    let batch = batch(&namespace(), &[first.clone(), other, first]);
    let outcomes = write(store, &batch).await;
    assert_eq!(outcomes, [Outcome::Stored, Outcome::Stored, Outcome::AlreadyThere]);
}

/// Outcomes are per event: a document that cannot be stored costs no other one.
pub async fn one_rejected_event_leaves_the_others_of_its_batch_stored(store: &mut impl Store) {
    let namespace = namespace();
    let known = event(1);
    write(store, &batch(&namespace, std::slice::from_ref(&known))).await;
    let no_date = (id(2), serde_json::json!({"@timestamp": {"not": "a date"}, "message": "x"}));
    let batch = batch(&namespace, &[known, no_date, event(3)]);
    let outcomes = write(store, &batch).await;
    assert_eq!(outcomes[0], Outcome::AlreadyThere);
    assert!(matches!(&outcomes[1], Outcome::Rejected(_)), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2], Outcome::Stored);
    assert_eq!(store.sink().find(&batch).await.expect("found"), [true, false, true]);
}

/// `find` sees what was written at once, before any search does.
pub async fn what_was_stored_is_found_and_what_was_not_is_not(store: &mut impl Store) {
    let namespace = namespace();
    let events: Vec<_> = (0..6).map(event).collect();
    let all = batch(&namespace, &events);
    assert_eq!(store.sink().find(&all).await.expect("an answer"), [false; 6]);
    write(store, &all.subset(|index| index % 2 == 0)).await;
    let found = store.sink().find(&all).await.expect("an answer");
    assert_eq!(found, [true, false, true, false, true, false]);
}

/// 20,000 events in one call, more than one request may hold, in order.
pub async fn a_big_batch_is_stored_event_by_event(store: &mut impl Store) {
    let namespace = namespace();
    let events: Vec<_> = (0..20_000).map(event).collect();
    let all = batch(&namespace, &events);
    let outcomes = write(store, &all).await;
    assert_eq!(outcomes.len(), events.len());
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Stored));
    let again = write(store, &all.subset(|index| index % 100 == 0)).await;
    assert_eq!(again, vec![Outcome::AlreadyThere; 200]);
}

/// What comes back is what was written: identity, data stream, and text in any script.
pub async fn what_was_stored_becomes_searchable_with_its_id_index_and_text(store: &mut impl Store) {
    let namespace = namespace();
    let text = "Größe 日本語 𝄞 \u{1f600} \"quoted\" back\\slash \ttab \u{2028} end";
    let (id, mut document) = labelled(&namespace, event(7));
    document["message"] = text.into();
    document["labels"] = serde_json::json!({"straße": "naïve"});
    write(store, &batch(&namespace, &[(id, document.clone())])).await;
    let found = await_hits(store, &about(&namespace), 1).await;
    assert_eq!(found.len(), 1);
    let (found_id, index, source) = &found[0];
    assert_eq!(*found_id, id.to_string());
    assert!(index.contains(&format!("logs-contract.log-{namespace}")), "{index}");
    assert_eq!(*source, document);
    let mut by_word = about(&namespace);
    by_word.query.push_str(" AND message:quoted");
    assert_eq!(hits(store, &by_word).await.len(), 1);
}

/// Newest first; `from` is in the range and `to` is not; a visitor may stop.
pub async fn hits_come_newest_first_within_range_and_limit(store: &mut impl Store) {
    let namespace = namespace();
    let events: Vec<_> = (0..3000).map(|n| labelled(&namespace, event(n))).collect();
    write(store, &batch(&namespace, &events)).await;
    let everything = about(&namespace);
    let stamps: Vec<String> = await_hits(store, &everything, 3000)
        .await
        .iter()
        .map(|(_, _, source)| source["@timestamp"].as_str().expect("a stamp").to_owned())
        .collect();
    assert_eq!(stamps, (0..3000).rev().map(stamp).collect::<Vec<_>>());

    let first_ms = 1_700_000_000_000;
    let ranged = SearchRequest {
        from_ms: Some(first_ms + 10),
        to_ms: Some(first_ms + 20),
        limit: Some(4),
        ..everything.clone()
    };
    let found = hits(store, &ranged).await;
    let stamps: Vec<_> = found
        .iter()
        .map(|(_, _, source)| source["@timestamp"].as_str().expect("a stamp"))
        .collect();
    assert_eq!(stamps, [stamp(19), stamp(18), stamp(17), stamp(16)]);
    let unlimited = SearchRequest { limit: None, ..ranged };
    assert_eq!(hits(store, &unlimited).await.len(), 10);

    let mut seen = 0;
    let mut visit = |_: Hit<'_>| {
        seen += 1;
        if seen == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let visited = store.search().search(&everything, &mut visit).await;
    assert_eq!(visited.expect("an answer"), 5);
}

/// Counts cover every matching event, those without the field as well.
pub async fn values_are_counted_exactly_most_frequent_first(store: &mut impl Store) {
    let namespace = namespace();
    let mut events: Vec<_> = (0..300).map(|n| labelled(&namespace, event(n))).collect();
    events[1].1.as_object_mut().expect("an object").remove("log");
    write(store, &batch(&namespace, &events)).await;
    await_hits(store, &about(&namespace), 300).await;
    let one = SearchRequest { by: vec!["log.level".into()], ..about(&namespace) };
    let counts = store.search().count(&one).await.expect("an answer");
    let rows: Vec<_> =
        counts.rows.iter().map(|row| (row.values[0].as_deref(), row.events)).collect();
    assert_eq!(rows, [(Some("info"), 199), (Some("error"), 100), (None, 1)]);
    assert_eq!(counts.rows_left_out, 0);

    let two = SearchRequest {
        by: vec!["data_stream.namespace".into(), "log.level".into()],
        limit: Some(2),
        ..about(&namespace)
    };
    let counts = store.search().count(&two).await.expect("an answer");
    let rows: BTreeMap<_, _> =
        counts.rows.iter().map(|row| (row.values.clone(), row.events)).collect();
    let named = |level: &str| vec![Some(namespace.clone()), Some(level.to_owned())];
    assert_eq!(rows, BTreeMap::from([(named("info"), 199), (named("error"), 100)]));
    assert_eq!(counts.rows_left_out, 1);
}

/// A typing error is the asker's to mend, not a reason to try again.
pub async fn a_query_that_cannot_be_parsed_is_refused(store: &mut impl Store) {
    let request = SearchRequest { query: "log.level:(error".into(), ..SearchRequest::default() };
    let answer = store.search().search(&request, &mut |_| ControlFlow::Continue(())).await;
    let error = answer.expect_err("an open parenthesis");
    assert!(matches!(error, tahoe_seams::SinkError::Refused(..)), "{error:?}");
}

/// Durable means durable.
pub async fn what_was_stored_survives_a_restart(store: &mut impl Store) {
    let namespace = namespace();
    let batch = batch(&namespace, &[event(1), event(2)]);
    write(store, &batch).await;
    store.reopen().await;
    assert_eq!(store.sink().find(&batch).await.expect("an answer"), [true, true]);
    assert_eq!(write(store, &batch).await, [Outcome::AlreadyThere, Outcome::AlreadyThere]);
}

/// No event, no outcome, no error.
pub async fn an_empty_batch_is_nothing(store: &mut impl Store) {
    let empty = batch(&namespace(), &[]);
    assert_eq!(write(store, &empty).await, []);
    assert!(store.sink().find(&empty).await.expect("an answer").is_empty());
}

/// What a replay asks: wherever a document is, and no change of another writer's is overwritten.
pub async fn a_document_is_found_by_its_id_and_written_over_only_as_it_was_seen(
    store: &mut impl Store,
) {
    let (first, second) = (namespace(), namespace());
    let events = [event(1), event(2)];
    write(store, &batch(&first, &events)).await;
    write(store, &batch(&second, &events[..1])).await;
    let ids = [events[0].0, events[1].0, id(3)];
    let present = store.sink().present(&ids).await.expect("an answer");
    let mut streams: Vec<_> = present.iter().map(|one| (one.id, one.data_stream.clone())).collect();
    streams.sort();
    let stream = |namespace: &str| format!("logs-contract.log-{namespace}");
    let mut expected =
        vec![(ids[0], stream(&first)), (ids[0], stream(&second)), (ids[1], stream(&first))];
    expected.sort();
    assert_eq!(streams, expected);

    let one = present.iter().find(|one| one.id == ids[1]).expect("it is there");
    let document: serde_json::Value = serde_json::from_slice(&one.document).expect("JSON");
    assert_eq!(document, events[1].1);
    let changed = serde_json::json!({"@timestamp": stamp(2), "message": "changed"}).to_string();
    let change = |of: &tahoe_seams::Present, document: Option<&str>| tahoe_seams::Rewrite {
        id: of.id,
        version: of.version.clone(),
        document: document.map(|text| text.to_owned().into()),
    };
    let other = present.iter().find(|one| one.data_stream == stream(&second)).expect("there");
    let both = [change(one, Some(&changed)), change(other, None)];
    let outcomes = store.sink().rewrite(&both).await.expect("an answer");
    assert_eq!(outcomes, [Outcome::Stored, Outcome::Stored]);
    let again = store.sink().rewrite(&both).await.expect("an answer");
    assert_eq!(again, [Outcome::Busy, Outcome::Busy], "neither is as it was seen");
    let present = store.sink().present(&ids).await.expect("an answer");
    assert_eq!(present.len(), 2);
    let now = present.iter().find(|one| one.id == ids[1]).expect("it is there");
    assert_eq!(now.document, changed.as_bytes());
    let refused = store.sink().rewrite(&[change(now, Some("{\"@timestamp\":{}}"))]).await;
    let refused = refused.expect("an answer");
    assert!(matches!(refused[..], [Outcome::Rejected(_)]), "{refused:?}");
    let found = store.sink().present(&ids[1..2]).await.expect("an answer");
    assert_eq!(found[0].document, changed.as_bytes(), "what is refused changes nothing");
}

fn row(namespace: &str, id: &str, version: u32, row: RowNow) -> RowChange {
    RowChange {
        record: 0,
        index: format!("rows-contract.log-{namespace}"),
        id: id.to_owned(),
        id_before: None,
        server: "s".to_owned(),
        version: format!("{version:04}"),
        about: b"{}".to_vec(),
        row,
    }
}

/// A store that keeps rows has an outcome for each change, and takes them in any order; one that
/// does not says which setting asks for them.
pub async fn rows_end_as_their_latest_change_says_or_are_refused_with_the_setting(
    store: &mut impl Store,
) {
    let namespace = namespace();
    let whole = |n: u32| RowNow::Whole(format!("{{\"n\":{n}}}").into_bytes());
    let late = [
        row(&namespace, "1", 2, whole(2)),
        row(&namespace, "1", 1, whole(1)),
        row(&namespace, "2", 1, whole(1)),
        row(&namespace, "2", 3, RowNow::Gone),
    ];
    use Outcome::{AlreadyThere, Stored};
    match store.sink().keep(&late).await {
        Ok(outcomes) => assert_eq!(outcomes, [Stored, AlreadyThere, Stored, Stored]),
        Err(SinkError::Refused(text, _)) => {
            return assert!(text.contains("--latest-state"), "{text}");
        }
        Err(error) => panic!("{error}"),
    }
    let again = store.sink().keep(&late).await.expect("the store answers");
    assert_eq!(again, vec![AlreadyThere; 4]);
    let emptied = [
        row(&namespace, "1", 4, whole(4)),
        row(&namespace, "", 5, RowNow::Emptied),
        row(&namespace, "1", 6, whole(6)),
    ];
    let outcomes = store.sink().keep(&emptied).await.expect("the store answers");
    assert_eq!(outcomes, vec![Stored; 3]);
    let older = [row(&namespace, "3", 4, whole(4)), row(&namespace, "1", 5, whole(5))];
    let outcomes = store.sink().keep(&older).await.expect("the store answers");
    assert_eq!(outcomes, vec![AlreadyThere; 2]);
}
