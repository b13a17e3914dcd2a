//! What users of Elasticsearch type finds here what it finds there.

use std::ops::ControlFlow;

use serde_json::json;
use tahoe_seams::search::{Search, SearchRequest};
use tahoe_seams::{Events, Outcome, RecordId, Sink, SinkError};
use tahoe_sink_embedded::{EmbeddedStore, Settings};

async fn stored() -> (tempfile::TempDir, EmbeddedStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(folder.path(), Settings::default()).expect("a store");
    let documents = [
        json!({
            "@timestamp": "2026-11-21T12:00:00.000Z",
            "message": "Connection to 10.0.0.7 timed out after 30s",
            "log": {"level": "error", "file": {"path": "/var/log/web/app.log"}},
            "host": {"name": "web-01"}, "source": {"ip": "10.0.0.1"}, "process": {"pid": 150},
            "event": {"dataset": "laravel.log", "created": "2026-11-21T12:00:01.500Z"},
            "user": {"name": "Ana"}, "tags": ["edge", "blue"],
        }),
        json!({
            "@timestamp": "2026-11-21T12:00:01.000Z",
            "message": "Accepted publickey for root",
            "log.level": "info", "host.name": "web-02", "source.ip": "192.168.1.20",
            "process": {"pid": 2000}, "event": {"dataset": "system.auth", "duration": 1.5},
            "labels": {"ratio": 0.25, "ok": true},
        }),
        json!({
            "@timestamp": "2026-11-22T00:00:00Z",
            "message": "out of time", "error": {"message": "Größe ungültig"},
            "log": {"level": "warning"}, "host": {"name": "db-01"},
            "event": {"dataset": "mysql.error"},
            "source": {"ip": "fe80::1"}, "process": {"pid": "99"},
            "file": {"hash": {"sha512": "ab".repeat(64)}}, "long": "x".repeat(2000),
        }),
    ];
    let mut events = Events::default();
    for (n, document) in (1u8..).zip(documents) {
        events.begin_record(n.into());
        events.push("a.b", "x", RecordId([n; 16]), |out| {
            serde_json::to_writer(out, &document).expect("JSON");
        });
    }
    let outcomes = store.write(&events.take()).await.expect("written");
    assert_eq!(outcomes, vec![Outcome::Stored; 3]);
    (folder, store)
}

async fn found(store: &EmbeddedStore, query: &str) -> Result<Vec<u8>, SinkError> {
    let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
    let mut ids = Vec::new();
    store
        .search(&request, &mut |hit| {
            let n = (1..=3).find(|n| RecordId([*n; 16]).to_string() == hit.id);
            ids.push(n.expect("an id of this test"));
            ControlFlow::Continue(())
        })
        .await?;
    ids.sort_unstable();
    Ok(ids)
}

#[tokio::test]
async fn a_query_finds_what_it_says() {
    let (_folder, store) = stored().await;
    let id = RecordId([2; 16]).to_string();
    for (query, expected) in [
        ("", &[1, 2, 3][..]),
        ("*:*", &[1, 2, 3]),
        ("log.level:error", &[1]),
        ("log.level:info", &[2]),
        ("log.level:ERROR", &[]),
        ("log.level:(error OR warning)", &[1, 3]),
        ("log.level:(error warning)", &[1, 3]),
        ("NOT log.level:error", &[2, 3]),
        ("-log.level:error", &[2, 3]),
        ("log.level:error OR NOT host.name:web*", &[1, 3]),
        ("event.dataset:\"laravel.log\"", &[1]),
        ("event.dataset:laravel", &[]),
        ("source.ip:10.0.0.1", &[1]),
        ("source.ip:10.0.0.0/8", &[1]),
        ("source.ip:192.168.0.0/20", &[2]),
        ("source.ip:192.168.16.0/20", &[]),
        ("source.ip:\"fe80::1\"", &[3]),
        ("source.ip:fe80::1", &[3]),
        ("message:\"timed out\"", &[1]),
        ("message:\"TIMED OUT\"", &[1]),
        ("message:\"out timed\"", &[]),
        ("message:\"connection timed\"~5", &[1]),
        ("message:out", &[1, 3]),
        ("message:10.0.0.7", &[1]),
        ("message:accept*", &[2]),
        ("message:acepted~", &[2]),
        ("error.message:größe", &[3]),
        ("process.pid:[100 TO 200]", &[1]),
        ("process.pid:>=150", &[1, 2]),
        ("process.pid:{150 TO *}", &[2]),
        ("process.pid:2000", &[2]),
        ("process.pid:99", &[3]),
        ("event.duration:1.5", &[2]),
        ("event.duration:[1 TO 2]", &[2]),
        ("event.duration:[1.4 TO 1.6]", &[2]),
        ("labels.ok:true", &[2]),
        ("host.name:web-*", &[1, 2]),
        ("host.name:web-0?", &[1, 2]),
        ("host.name:/web-0[2-9]/", &[2]),
        ("host.name:web-O1~1", &[1]),
        ("host.name:[a TO e]", &[3]),
        ("log.file.path:/var/log/web/app.log", &[1]),
        ("log.file.path:\\/var*", &[1]),
        ("log.file.path:*app.log", &[1]),
        ("_exists_:user.name", &[1]),
        ("_exists_:user", &[1]),
        ("user.name:*", &[1]),
        ("_exists_:error", &[3]),
        ("_exists_:error.message", &[3]),
        ("_exists_:long", &[3]),
        ("NOT _exists_:user.name", &[2, 3]),
        ("tags:blue", &[1]),
        ("timed", &[1]),
        ("\"timed out\"", &[1]),
        ("web-01", &[1]),
        ("ana", &[1]),
        ("10.0.0.1", &[1]),
        ("/var/log/web/app.log", &[1]),
        ("publickey laravel", &[1, 2]),
        ("out AND log.level:warning", &[3]),
        ("out && !timed", &[3]),
        ("+out -timed", &[3]),
        ("(timed OR publickey) AND host.name:web-02", &[2]),
        ("ungültig^2", &[3]),
        ("publick*", &[2]),
        ("@timestamp:2026-11-21", &[1, 2]),
        ("@timestamp:[2026-11-21T12:00:01 TO *]", &[2, 3]),
        ("@timestamp:[* TO 2026-11-21]", &[1, 2]),
        ("@timestamp:>now-15m", &[1, 2, 3]),
        ("event.created:\"2026-11-21T12:00:01.500Z\"", &[1]),
        ("event.created:[2026-11-21 TO 2026-11-22]", &[1]),
        ("_index:logs-a.b-x", &[1, 2, 3]),
        ("_index:logs-a*", &[1, 2, 3]),
        (&format!("_id:{id}"), &[2]),
        (&format!("file.hash.sha512:{}", "ab".repeat(64)), &[3]),
        ("nothing.here:x", &[]),
    ] {
        // The clock of `now` is the machine's: the documents are later than any build of this.
        let query_ = query.replace("now-15m", "2020-01-01");
        assert_eq!(found(&store, &query_).await.expect(query), expected, "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_place() {
    let (_folder, store) = stored().await;
    for (query, reason) in [
        ("log.level:(error", "query, character 11: `(` is never closed"),
        ("@timestamp:soon", "query, character 1: a date is expected"),
        ("source.ip:[10.0.0.0 TO 10.0.0.9]", "query, character 1: addresses have no range"),
        ("a message:[a TO b]", "query, character 3: a range needs a field"),
        ("host.name:/web[/", "query, character 1: this store cannot match the pattern"),
        ("host.*:x", "query, character 1: this store has no wildcards in field names"),
    ] {
        let error = found(&store, query).await.expect_err(query);
        assert!(
            matches!(&error, SinkError::Refused(text, _) if text.starts_with(reason)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn values_of_every_type_are_counted() {
    let (_folder, store) = stored().await;
    let count = async |by: &[&str]| {
        let by = by.iter().map(ToString::to_string).collect();
        let request = SearchRequest { by, ..SearchRequest::default() };
        let counts = store.count(&request).await?;
        let rows = counts.rows.iter().map(|row| {
            let values = row.values.iter().map(|value| value.as_deref().unwrap_or("-"));
            format!("{} {}", values.collect::<Vec<_>>().join("/"), row.events)
        });
        Ok::<_, SinkError>(rows.collect::<Vec<_>>())
    };
    let rows = count(&["process.pid"]).await.expect("counts");
    assert_eq!(rows, ["150 1", "2000 1", "99 1"]);
    let rows = count(&["tags", "event.created"]).await.expect("counts");
    assert_eq!(rows, ["-/- 2", "blue/2026-11-21T12:00:01.5Z 1", "edge/2026-11-21T12:00:01.5Z 1"]);
    assert_eq!(count(&["_index"]).await.expect("counts"), ["logs-a.b-x 3"]);
    assert!(matches!(count(&["message"]).await, Err(SinkError::Refused(..))));
}
