//! The sink contract on a real Elasticsearch, and what only a real one shows: rollovers, the
//! server's own mapping errors, logins, and answers that are lost on the way back.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use serde_json::json;
use tahoe_seams::search::{Search, SearchRequest};
use tahoe_seams::{EventBatch, Events, Outcome, RecordId, Sink, SinkError};
use tahoe_sink_elasticsearch::{Elasticsearch, ElasticsearchArgs, Kind, Template};
use tahoe_tests::sink_contract::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

tahoe_tests::sink_contract!(open);

/// The server as a store under test.
struct Server {
    url: String,
    client: Elasticsearch,
}

#[async_trait::async_trait]
impl Store for Server {
    fn sink(&self) -> &dyn Sink {
        &self.client
    }
    fn search(&self) -> &dyn Search {
        &self.client
    }
    async fn reopen(&mut self) {
        self.client = client(&["--elasticsearch", &self.url]);
    }
}

async fn open() -> Option<Server> {
    let url = setting("TAHOE_TEST_ELASTICSEARCH")?;
    let client = client(&["--elasticsearch", &url]);
    client.setup().await.expect("templates are stored");
    Some(Server { url, client })
}

fn setting(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        assert!(std::env::var_os("TAHOE_TEST_REQUIRED").is_none(), "{name} is not set");
        println!("skipped: {name} is not set (tests/all sets it)");
    }
    value
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    elasticsearch: ElasticsearchArgs,
}

fn client(args: &[&str]) -> Elasticsearch {
    client_with(args, templates(1))
}

fn client_with(args: &[&str], templates: Vec<Template>) -> Elasticsearch {
    let args = std::iter::once("tahoe").chain(args.iter().copied());
    let args = Command::try_parse_from(args).expect("these are settings").elasticsearch;
    Elasticsearch::new(&args, templates).expect("a client")
}

/// Small ones, with field types and settings that some servers lack.
fn templates(version: u64) -> Vec<Template> {
    let component = json!({
        "version": version,
        "template": {
            "settings": {"index.lifecycle.name": "logs", "index.mapping.ignore_malformed": true},
            "mappings": {"properties": {
                "@timestamp": {"type": "date", "ignore_malformed": false},
                "message": {"type": "match_only_text"},
                "labels": {"type": "flattened"},
                "log": {"properties": {"level": {"type": "keyword", "ignore_above": 1024}}},
                "url": {"properties": {"path": {"type": "wildcard"}}},
                "long": {"type": "keyword"},
                "data_stream": {"properties": {
                    "type": {"type": "constant_keyword", "value": "logs"},
                    "namespace": {"type": "keyword"},
                }},
            }},
        },
    });
    let index = json!({
        "version": version,
        "index_patterns": ["logs-contract.*-*"],
        "data_stream": {},
        "priority": 500,
        "composed_of": ["tahoe-contract"],
        "template": {"mappings": {"dynamic": false}},
    });
    let named = |kind, name: &str, body| Template::new(kind, name, &body);
    vec![
        named(Kind::Index, "logs-contract", index),
        named(Kind::Component, "tahoe-contract", component),
    ]
}

/// Events of the data stream `logs-contract.log-<namespace>` with the ids `from..to`.
fn batch(namespace: &str, from: u32, to: u32, extra: &str) -> EventBatch {
    let mut out = Events::default();
    for n in from..to {
        let mut id = [0u8; 16];
        id[..6].copy_from_slice(&now_ms().to_be_bytes()[2..]);
        id[12..].copy_from_slice(&n.to_be_bytes());
        out.push("contract.log", namespace, RecordId(id), |body| {
            let document = format!("{{\"@timestamp\":\"2026-01-01T00:00:00Z\"{extra}}}");
            body.extend_from_slice(document.as_bytes());
        });
    }
    out.take()
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("past 1970").as_millis()).expect("milliseconds fit")
}

fn namespace(of: &str) -> String {
    format!("{of}{:x}x{:x}", now_ms(), std::process::id())
}

/// One plain request to the server, beside the client: what an operator would do with curl.
async fn request(url: &str, method: &str, path: &str) -> String {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.expect("the server is there");
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
        content-length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    answer
}

#[tokio::test]
async fn a_rollover_between_two_attempts_is_seen_and_a_second_copy_is_removed() {
    let Some(Server { url, client }) = open().await else { return };
    let namespace = namespace("roll");
    let stream = format!("logs-contract.log-{namespace}");
    let label = format!(",\"data_stream\":{{\"namespace\":\"{namespace}\"}}");
    let first = batch(&namespace, 0, 5, &label);
    assert_eq!(client.write(&first).await.expect("outcomes"), vec![Outcome::Stored; 5]);
    request(&url, "POST", &format!("{stream}/_rollover")).await;
    assert_eq!(client.find(&first).await.expect("an answer"), [true; 5]);

    // Written again without looking: the new backing index knows nothing of the old one.
    let again = first.subset(|index| index < 2);
    assert_eq!(client.write(&again).await.expect("outcomes"), vec![Outcome::Stored; 2]);
    assert_eq!(client.remove_later_copies(&first).await.expect("removed"), 2);
    assert_eq!(client.remove_later_copies(&first).await.expect("none left"), 0);
    assert_eq!(client.find(&first).await.expect("an answer"), [true; 5]);
    request(&url, "POST", &format!("{stream}/_refresh")).await;
    let mut indices = Vec::new();
    let about =
        SearchRequest { query: format!("data_stream.namespace:{namespace}"), ..Default::default() };
    let mut visit = |hit: tahoe_seams::search::Hit<'_>| {
        indices.push(hit.index.to_owned());
        ControlFlow::Continue(())
    };
    client.search(&about, &mut visit).await.expect("an answer");
    assert_eq!(indices.len(), 5);
    assert!(indices.iter().all(|index| index.ends_with("-000001")), "{indices:?}");
}

#[tokio::test]
async fn only_a_look_everywhere_finds_an_event_three_rollovers_ago_under_a_later_id() {
    let Some(Server { url, client }) = open().await else { return };
    let namespace = namespace("far");
    // An id from the future, as a clock that is wrong would give.
    let mut out = Events::default();
    out.push("contract.log", &namespace, RecordId([0x0f; 16]), |body| {
        body.extend_from_slice(b"{\"@timestamp\":\"2026-01-01T00:00:00Z\"}");
    });
    let future = out.take();
    client.write(&future).await.expect("outcomes");
    for _ in 0..3 {
        request(&url, "POST", &format!("logs-contract.log-{namespace}/_rollover")).await;
    }
    assert_eq!(client.find(&future).await.expect("an answer"), [false]);
    assert_eq!(client.find_everywhere(&future).await.expect("an answer"), [true]);
}

#[tokio::test]
async fn a_value_too_long_to_index_is_rejected_and_a_data_stream_without_a_template_stops_us() {
    let Some(Server { client, .. }) = open().await else { return };
    let namespace = namespace("long");
    let long = format!(",\"long\":\"{}\"", "x".repeat(40_000));
    let outcomes = client.write(&batch(&namespace, 0, 1, &long)).await.expect("outcomes");
    let [Outcome::Rejected(rejection)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(rejection.code, "too_long");
    assert!(rejection.reason.len() < 2000, "a header carries it");

    let mut out = Events::default();
    out.push("nobody.knows", &namespace, RecordId([1; 16]), |body| body.extend_from_slice(b"{}"));
    let error = client.write(&out.take()).await.expect_err("no template");
    assert!(matches!(error, SinkError::Refused(..)), "{error:?}");
    assert!(error.to_string().contains("tahoe setup"), "{error}");
}

#[tokio::test]
async fn setup_is_idempotent_rolls_over_to_a_new_version_and_never_goes_back() {
    let Some(Server { url, .. }) = open().await else { return };
    let versioned = |version, name: &str| {
        let mut templates = templates(version);
        let mut body = templates[0].body();
        body["index_patterns"] = json!([format!("logs-contract.log-{name}*")]);
        body["priority"] = 501.into();
        body["composed_of"] = json!([format!("part-{name}")]);
        templates[0] = Template::new(Kind::Index, format!("logs-{name}"), &body);
        templates[1].name = format!("part-{name}");
        client_with(&["--elasticsearch", &url], templates)
    };
    let namespace = namespace("setup");
    let (old, new) = (versioned(1, &namespace), versioned(2, &namespace));
    let missing = old.check().await.expect_err("nothing is set up").to_string();
    assert!(missing.contains("tahoe setup") && missing.contains(&namespace), "{missing}");
    old.setup().await.expect("stored");
    old.setup().await.expect("stored again");
    old.write(&batch(&namespace, 0, 1, "")).await.expect("outcomes");
    assert!(old.check().await.expect("all is well").starts_with("Elasticsearch 8"));
    let outdated = new.check().await.expect("a warning");
    assert!(outdated.contains("version 1 of 2"), "{outdated}");

    new.setup().await.expect("a newer version");
    new.write(&batch(&namespace, 1, 2, "")).await.expect("outcomes");
    let path = format!("_resolve/index/logs-contract.log-{namespace}");
    let listed = request(&url, "GET", &path).await;
    assert!(listed.contains("-000002"), "the new version holds from the next document on");
    for refused in [old.setup().await.map(|()| String::new()), old.check().await] {
        let error = refused.expect_err("older than what is there");
        assert!(matches!(&error, SinkError::Refused(text, _) if text.contains("newer")), "{error}");
    }

    request(&url, "DELETE", &format!("_index_template/logs-{namespace}?pretty")).await;
}

/// Passes requests on to `url`; while `cutting` it closes before the answer goes back.
async fn cutting_proxy(url: &str, cutting: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let upstream = url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (upstream, cutting) = (upstream.clone(), Arc::clone(&cutting));
            tokio::spawn(async move {
                let server = TcpStream::connect(&upstream).await.expect("the server is there");
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let up = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let mut bytes = vec![0; 65536];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    if cutting.load(Ordering::SeqCst) {
                        break;
                    }
                    let _ = to_client.write_all(&bytes[..length]).await;
                }
                up.abort();
            });
        }
    });
    address
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_found_and_not_written_twice() {
    let Some(Server { url, .. }) = open().await else { return };
    let cutting = Arc::new(AtomicBool::new(true));
    let address = cutting_proxy(&url, Arc::clone(&cutting)).await;
    let client = client(&["--elasticsearch", &address]);
    let batch = batch(&namespace("lost"), 0, 100, "");
    let error = client.write(&batch).await.expect_err("the answer is lost");
    assert!(matches!(error, SinkError::Unavailable(..)), "{error:?}");
    cutting.store(false, Ordering::SeqCst);
    assert_eq!(client.find(&batch).await.expect("an answer"), [true; 100]);
    let outcomes = client.write(&batch).await.expect("outcomes");
    assert_eq!(outcomes, vec![Outcome::AlreadyThere; 100]);
}

#[tokio::test]
async fn the_right_password_is_let_in_and_a_wrong_one_names_its_setting() {
    let Some(url) = setting("TAHOE_TEST_ELASTICSEARCH_SECURE") else { return };
    let Some(password) = setting("TAHOE_TEST_ELASTIC_PASSWORD") else { return };
    let right = client(&["--elasticsearch", &url, "--elastic-password", &password]);
    right.setup().await.expect("stored");
    right.check().await.expect("all is well");
    let batch = batch(&namespace("login"), 0, 2, "");
    assert_eq!(right.write(&batch).await.expect("outcomes"), vec![Outcome::Stored; 2]);
    let in_url = url.replace("://", &format!("://elastic:{password}@"));
    let embedded = client(&["--elasticsearch", &in_url]);
    assert_eq!(embedded.find(&batch).await.expect("an answer"), [true; 2]);

    for args in [
        vec!["--elasticsearch", &url],
        vec!["--elasticsearch", &url, "--elastic-password", "wrong-secret"],
        vec!["--elasticsearch", &url, "--elastic-api-key", "d3Jvbmc6c2VjcmV0"],
    ] {
        let client = client(&args);
        for error in [
            client.check().await.expect_err("refused"),
            client.write(&batch).await.expect_err("refused"),
            client.find(&batch).await.expect_err("refused"),
            client.setup().await.expect_err("refused"),
        ] {
            let text = format!("{error} {error:?}");
            assert!(matches!(error, SinkError::Refused(..)), "{text}");
            assert!(text.contains("ELASTIC_PASSWORD") && !text.contains("wrong-secret"), "{text}");
        }
    }
}
