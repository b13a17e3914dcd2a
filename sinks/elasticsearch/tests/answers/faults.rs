//! What the sink makes of answers that a healthy server does not give.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tahoe_seams::search::{Search, SearchRequest};
use tahoe_seams::{EventBatch, Events, Outcome, RecordId, Sink, SinkError};
use tahoe_sink_elasticsearch::{Elasticsearch, Kind, Template};
use tokio::net::TcpListener;

use crate::scripted::{Act, Request, Seen, serve, server};
use crate::settings;

/// Events in the body of a bulk request.
fn events(request: &Request) -> usize {
    request.body.iter().filter(|byte| **byte == b'\n').count() / 2
}

fn sink(args: &[&str]) -> Elasticsearch {
    Elasticsearch::new(&settings(args), Vec::new()).expect("a client")
}

/// Events of about 100 bytes; those whose number is in `large` have 10,000.
fn batch(events: u8, large: &[u8]) -> EventBatch {
    let mut out = Events::default();
    for n in 0..events {
        let size = if large.contains(&n) { 10_000 } else { 20 };
        out.push("a.log", "x", RecordId([n; 16]), |body| {
            body.extend(format!("{{\"n\":{n},\"m\":\"{}\"}}", "x".repeat(size)).bytes());
        });
    }
    out.take()
}

fn created(request: &Request) -> Act {
    let items = vec![r#"{"create":{"status":201}}"#; events(request)].join(",");
    Act::Answer(200, format!("{{\"items\":[{items}]}}"))
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_down_to_the_one_event_that_is() {
    let (address, seen) = server(|request| {
        if request.body.len() > 2000 { Act::Answer(413, String::new()) } else { created(request) }
    })
    .await;
    let sink = sink(&["--elasticsearch", &address]);
    let outcomes = sink.write(&batch(40, &[7])).await.expect("outcomes");
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Rejected(rejection) if n == 7 => assert_eq!(rejection.code, "too_large"),
            other => assert!(n != 7 && *other == Outcome::Stored, "{n}: {other:?}"),
        }
    }
    // The limit was learned: the next batch is cut small from the start.
    let requests = seen.lock().expect("not poisoned").len();
    sink.write(&batch(40, &[])).await.expect("outcomes");
    let first = events(&seen.lock().expect("not poisoned")[requests]);
    assert!(first < 40, "{first} events at once");
}

#[tokio::test]
async fn a_server_that_is_full_makes_every_event_busy_and_is_asked_once() {
    let (address, seen) = server(|_| Act::Answer(429, r#"{"error":"full"}"#.into())).await;
    let sink = sink(&["--elasticsearch", &address, "--bulk-bytes-max", "200"]);
    let outcomes = sink.write(&batch(10, &[])).await.expect("outcomes");
    assert_eq!(outcomes, vec![Outcome::Busy; 10]);
    assert_eq!(seen.lock().expect("not poisoned").len(), 1);
}

#[tokio::test]
async fn no_answer_or_a_broken_one_leaves_the_fate_unknown() {
    for status in [500, 502, 503, 504] {
        let (address, _) = server(move |_| Act::Answer(status, "<html>".into())).await;
        let result = sink(&["--elasticsearch", &address]).write(&batch(2, &[])).await;
        assert!(matches!(result, Err(SinkError::Unavailable(..))), "{status}: {result:?}");
    }
    for body in ["", "<html>", "{\"items\":[]}", "{\"items\":[{\"create\":{\"stat"] {
        let (address, _) = server(move |_| Act::Answer(200, body.into())).await;
        let result = sink(&["--elasticsearch", &address]).write(&batch(2, &[])).await;
        assert!(matches!(result, Err(SinkError::Unavailable(..))), "{body}: {result:?}");
    }
    let (address, _) = server(|_| Act::Close).await;
    let result = sink(&["--elasticsearch", &address]).write(&batch(2, &[])).await;
    assert!(matches!(result, Err(SinkError::Unavailable(..))), "{result:?}");
}

#[tokio::test]
async fn silence_ends_with_the_time_out_which_names_its_setting() {
    let (address, _) = server(|_| Act::Silence).await;
    let sink = sink(&["--elasticsearch", &address, "--elastic-timeout-seconds", "1"]);
    let error = sink.write(&batch(1, &[])).await.expect_err("silence");
    assert!(matches!(error, SinkError::Unavailable(..)));
    assert!(error.to_string().contains("--elastic-timeout-seconds"), "{error}");
}

#[tokio::test]
async fn a_node_that_is_down_is_passed_over() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let down = format!("http://{}", gone.local_addr().expect("bound"));
    drop(gone);
    let (address, _) = server(created).await;
    let sink = sink(&["--elasticsearch", &format!("{down},{address}")]);
    for _ in 0..4 {
        assert_eq!(sink.write(&batch(1, &[])).await.expect("outcomes"), [Outcome::Stored]);
    }
    let alone = self::sink(&["--elasticsearch", &down]).write(&batch(1, &[])).await;
    let error = alone.expect_err("nobody there");
    assert!(matches!(error, SinkError::Unavailable(..)), "{error}");
    assert!(error.to_string().contains(&down), "{error}");
}

#[tokio::test]
async fn a_wrong_password_or_a_missing_privilege_names_the_setting() {
    for (status, setting) in [(401, "ELASTIC_PASSWORD"), (403, "ELASTIC_API_KEY")] {
        let (address, _) = server(move |_| Act::Answer(status, "{}".into())).await;
        let sink = sink(&["--elasticsearch", &address, "--elastic-password", "hunter2"]);
        for error in [
            sink.write(&batch(1, &[])).await.expect_err("refused"),
            sink.check().await.expect_err("refused"),
        ] {
            assert!(matches!(error, SinkError::Refused(..)), "{error}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(setting) && !text.contains("hunter2"), "{text}");
        }
    }
}

#[tokio::test]
async fn an_api_key_travels_as_it_was_given() {
    let (address, seen) = server(created).await;
    let sink = sink(&["--elasticsearch", &address, "--elastic-api-key", "aWQ6a2V5"]);
    sink.write(&batch(1, &[])).await.expect("outcomes");
    let head = seen.lock().expect("not poisoned")[0].head.clone();
    assert!(head.contains("authorization: ApiKey aWQ6a2V5"), "{head}");
}

#[tokio::test]
async fn a_server_that_does_not_know_require_data_stream_is_asked_without_it() {
    let (address, seen) = server(|request| {
        if request.head.contains("require_data_stream") {
            let reason = "request [/_bulk] contains unrecognized parameter: [require_data_stream]";
            let error = format!(r#"{{"type":"illegal_argument_exception","reason":"{reason}"}}"#);
            Act::Answer(400, format!("{{\"error\":{error},\"status\":400}}"))
        } else {
            created(request)
        }
    })
    .await;
    let sink = sink(&["--elasticsearch", &address]);
    for _ in 0..2 {
        assert_eq!(sink.write(&batch(1, &[])).await.expect("outcomes"), [Outcome::Stored]);
    }
    assert_eq!(seen.lock().expect("not poisoned").len(), 3, "it is tried once");
}

#[tokio::test]
async fn one_event_that_spoils_its_request_is_found_but_a_server_that_reads_none_stops_us() {
    let spoilt = |request: &Request| {
        let error = r#"{"error":{"type":"illegal_argument_exception","reason":"malformed"}}"#;
        if String::from_utf8_lossy(&request.body).contains("\"n\":3,") {
            Act::Answer(400, error.into())
        } else {
            created(request)
        }
    };
    let (address, _) = server(spoilt).await;
    let sink = sink(&["--elasticsearch", &address]);
    let outcomes = sink.write(&batch(8, &[])).await.expect("outcomes");
    let rejected = outcomes.iter().position(|outcome| matches!(outcome, Outcome::Rejected(_)));
    assert_eq!(rejected, Some(3));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Stored).count(), 7);

    let (address, _) = server(|_| Act::Answer(400, r#"{"error":"no"}"#.into())).await;
    let result = self::sink(&["--elasticsearch", &address]).write(&batch(4, &[])).await;
    assert!(matches!(result, Err(SinkError::Refused(..))), "{result:?}");
    let (address, _) = server(|_| Act::Answer(400, "<html>TLS please".into())).await;
    let result = self::sink(&["--elasticsearch", &address]).write(&batch(4, &[])).await;
    assert!(matches!(result, Err(SinkError::Refused(..))), "{result:?}");
}

#[tokio::test]
async fn the_failure_store_and_a_missing_template_are_seen_in_an_answer_without_errors() {
    let used = r#"{"items":[{"create":{"status":201,"failure_store":"used"}}]}"#;
    let (address, seen) = server(move |_| Act::Answer(200, used.into())).await;
    let outcomes = sink(&["--elasticsearch", &address]).write(&batch(1, &[])).await;
    let Ok([Outcome::Rejected(rejection)]) = outcomes.as_deref() else {
        panic!("{outcomes:?}");
    };
    assert_eq!(rejection.code, "failure_store");
    let head = seen.lock().expect("not poisoned")[0].head.clone();
    assert!(head.contains("items.*.failure_store") && head.contains("require_data_stream=true"));
}

#[tokio::test]
async fn a_body_is_sent_as_it_stands() {
    let (address, seen) = server(created).await;
    let batch = batch(5, &[]);
    let whole = sink(&["--elasticsearch", &address]);
    whole.write(&batch).await.expect("outcomes");
    assert_eq!(seen.lock().expect("not poisoned")[0].body, batch.body);
    let cut = sink(&["--elasticsearch", &address, "--bulk-bytes-max", "150"]);
    cut.write(&batch).await.expect("outcomes");
    let sent: Vec<u8> = seen.lock().expect("not poisoned")[1..]
        .iter()
        .flat_map(|request| request.body.clone())
        .collect();
    assert_eq!(sent, batch.body);
}

#[tokio::test]
async fn a_search_is_refused_or_unavailable_like_a_write() {
    let (address, _) = server(|_| Act::Answer(503, "{}".into())).await;
    let sink = sink(&["--elasticsearch", &address]);
    let result = sink.search(&SearchRequest::default(), &mut |_| ControlFlow::Continue(())).await;
    assert!(matches!(result, Err(SinkError::Unavailable(..))), "{result:?}");
}

#[tokio::test]
async fn setting_up_waits_while_the_server_has_too_much_to_do() {
    let asked = AtomicUsize::new(0);
    let busy = r#"{"error":{"reason":"failed to process cluster event within 30s"}}"#;
    let (address, seen) = server(move |request| {
        let is_busy = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        match is_busy {
            true => Act::Answer(503, busy.into()),
            false if request.head.starts_with("GET") => Act::Answer(404, "{}".into()),
            false => Act::Answer(200, r#"{"acknowledged":true}"#.into()),
        }
    })
    .await;
    let template = Template::new(Kind::Component, "logs-tahoe@mine", &json!({"version": 1}));
    let sink = Elasticsearch::new(&settings(&["--elasticsearch", &address]), vec![template]);
    let sink = sink.expect("a client");
    sink.setup().await.expect("it was busy only");
    sink.create_data_streams(&["logs-nginx.access-acme".to_owned()]).await.expect("so here");
    let seen = seen.lock().expect("not poisoned");
    let (busy, done): (Vec<_>, Vec<_>) = seen.chunks(2).map(|two| (&two[0], &two[1])).unzip();
    assert!(busy.iter().zip(&done).all(|(busy, done)| busy.head == done.head), "{seen:?}");
    let last = done.last().expect("it asked");
    assert!(last.head.starts_with("PUT /_data_stream/logs-nginx.access-acme"), "{}", last.head);
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named_and_only_then() {
    use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types};

    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let ca_cert = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("they fit");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, &Seen::default(), &created).await;
                }
            });
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca_cert.pem()).expect("written");
    let path = path.to_str().expect("UTF-8");

    let trusting = sink(&["--elasticsearch", &address, "--elastic-ca-file", path]);
    assert_eq!(trusting.write(&batch(1, &[])).await.expect("outcomes"), [Outcome::Stored]);
    let error = sink(&["--elasticsearch", &address]).write(&batch(1, &[])).await;
    let error = error.expect_err("an unknown authority");
    assert!(matches!(error, SinkError::Refused(..)), "{error:?}");
    assert!(error.to_string().contains("--elastic-ca-file"), "{error}");
}

/// Before the write no index holds the event; after it both do, because an earlier request to the
/// older one was still under way.
#[tokio::test]
async fn a_batch_written_again_across_a_rollover_leaves_one_copy() {
    let written = std::sync::atomic::AtomicBool::new(false);
    let (address, seen) = server(move |request| {
        use std::sync::atomic::Ordering::SeqCst;
        let line = request.head.lines().next().unwrap_or_default();
        if line.contains("_settings") {
            let index = |ms: u64| format!(r#"{{"settings":{{"index.creation_date":"{ms}"}}}}"#);
            let indices = format!(r#"{{"i2":{},"i1":{}}}"#, index(20), index(10));
            return Act::Answer(200, indices);
        }
        if line.contains("_mget") {
            let found = written.load(SeqCst);
            return Act::Answer(200, format!(r#"{{"docs":[{{"_id":"x","found":{found}}}]}}"#));
        }
        if line.contains("filter_path=errors") {
            return Act::Answer(200, r#"{"errors":false}"#.into());
        }
        written.store(true, SeqCst);
        created(request)
    })
    .await;
    let sink = sink(&["--elasticsearch", &address]);
    let outcomes = sink.write_again(&batch(1, &[])).await.expect("outcomes");
    assert_eq!(outcomes, [Outcome::Stored]);
    let requests = seen.lock().expect("not poisoned");
    let last = String::from_utf8_lossy(&requests.last().expect("requests").body).into_owned();
    assert!(last.contains(r#""delete":{"_id":"#) && last.contains(r#""_index":"i2""#), "{last}");
    assert!(!last.contains(r#""_index":"i1""#), "{last}");
}

/// An item as Elasticsearch 8.19 answered it.
fn refused(status: u16, kind: &str, reason: &str) -> String {
    let error = serde_json::json!({"type": kind, "reason": reason});
    serde_json::json!({"create": {"status": status, "error": error}}).to_string()
}

#[tokio::test]
async fn what_is_refused_for_the_clusters_sake_is_kept_and_names_what_to_change() {
    let cases = [
        (
            400,
            "validation_exception",
            "Validation Failed: 1: this action would add [2] shards, but this cluster currently has \
             [1000]/[1000] maximum normal shards open; for more information, see https://x;",
            "cluster.max_shards_per_node",
        ),
        (
            400,
            "illegal_argument_exception",
            "Validation Failed: 1: this action would add [2] total shards, but this cluster \
             currently has [1000]/[1000] maximum shards open;",
            "cluster.max_shards_per_node",
        ),
        (400, "index_closed_exception", "closed", "_open"),
        (400, "mapper_parsing_exception", "Failed to parse mapping: no type [x]", "tahoe setup"),
        (
            404,
            "index_not_found_exception",
            "no such index [logs-a.log-x] and the index creation request requires a data stream, \
             but no matching index template with data stream template was found for it",
            "tahoe setup",
        ),
        (403, "security_exception", "action [x] is unauthorized", "create_doc"),
    ];
    for (status, kind, reason, advice) in cases {
        let bad = refused(status, kind, reason);
        let (address, _) = server(move |_| {
            let items = [r#"{"create":{"status":201}}"#, &bad].join(",");
            Act::Answer(200, format!("{{\"items\":[{items}]}}"))
        })
        .await;
        let result = sink(&["--elasticsearch", &address]).write(&batch(2, &[])).await;
        let Err(SinkError::Refused(text, _)) = result else { panic!("{kind}: {result:?}") };
        assert!(text.contains(advice) && text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn what_passes_makes_events_wait_and_a_conflict_of_another_kind_stores_nothing() {
    let flood = "index [.ds-logs-a.log-x-000001] blocked by: [TOO_MANY_REQUESTS/12/disk usage \
                 exceeded flood-stage watermark, index has read-only-allow-delete block];";
    let cases = [
        (429, "cluster_block_exception", flood),
        (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)];"),
        (400, "resource_already_exists_exception", "index [x] already exists"),
        (409, "index_primary_shard_not_allocated_exception", "not allocated"),
        (503, "unavailable_shards_exception", "primary shard is not active"),
    ];
    for (status, kind, reason) in cases {
        let item = refused(status, kind, reason);
        let (address, _) =
            server(move |_| Act::Answer(200, format!("{{\"items\":[{item}]}}"))).await;
        let outcomes = sink(&["--elasticsearch", &address]).write(&batch(1, &[])).await;
        assert_eq!(outcomes.expect("outcomes"), [Outcome::Busy], "{kind}");
    }
    let error = serde_json::json!({
        "type": "cluster_block_exception",
        "reason": "blocked by: [FORBIDDEN/6/cluster read-only (api)];",
    });
    let blocked = serde_json::json!({"error": error, "status": 403}).to_string();
    let (address, _) = server(move |_| Act::Answer(403, blocked.clone())).await;
    let error = sink(&["--elasticsearch", &address]).write(&batch(1, &[])).await;
    let text = error.expect_err("the cluster is blocked").to_string();
    assert!(text.contains("lift the block"), "{text}");
}
