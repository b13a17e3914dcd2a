//! What the services say of themselves reaches Elasticsearch: their state, their half of the law, and
//! whether what they depend on answers.

use rustix::process::Signal;
use tahoe_tests::documents::{Document, Documents as _, InElasticsearch};
use tahoe_tests::feed::{self, append_to, write_lines};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::program::{Program, command};
use tahoe_tests::wait::{until, until_true};

/// Lines that the source has.
const LINES: u64 = 200;

fn begin(pipeline: &Pipeline, binary: &str, arguments: &[&str]) -> Program {
    let topics = format!("{},tahoe_metrics", pipeline.name);
    let mut command = command(binary);
    command.args(arguments).envs(pipeline.settings());
    command.env("TAHOE_MEASURE_SECONDS", "1").env("TAHOE_TOPICS", topics);
    Program::spawn(binary, command)
}

/// The services' documents of a set.
fn measured(pipeline: &Pipeline, set: &str, service: &str, more: &str) -> Vec<Document> {
    let store = InElasticsearch::open(&pipeline.documents.url, "default");
    let query = format!("tahoe.set:{set} AND service.name:\"{service}\" AND {more}");
    let path = format!("{}/_refresh", "/metrics-tahoe.service-default");
    let _ = store.ask("POST", &path, "");
    let body = serde_json::json!({
        "size": 1000,
        "query": {"query_string": {"query": query}},
        "sort": ["@timestamp"],
    });
    let found = store.ask("POST", "/metrics-tahoe.service-default/_search", &body.to_string());
    let hits = found.map(|found| found["hits"]["hits"].as_array().cloned().unwrap_or_default());
    let document = |hit: serde_json::Value| Document {
        id: hit["_id"].as_str().unwrap_or_default().to_owned(),
        index: String::new(),
        source: hit["_source"].clone(),
    };
    hits.unwrap_or_default().into_iter().map(document).collect()
}

/// Nothing is down here but for a while: what starts, and on a busy machine a server that does not
/// answer in time. The last word is the last.
fn assert_states_are_explained(said: &[Document]) {
    for (at, one) in said.iter().enumerate() {
        let reason = one.source["event"]["reason"].as_str();
        let is_explained = match (one.text("/service/state"), reason) {
            ("up", None) => true,
            ("down", Some(reason)) => {
                ["no answer from", "timed out", "starting"].iter().any(|part| reason.contains(part))
            }
            ("stopped", _) => at + 1 == said.len(),
            _ => false,
        };
        assert!(is_explained, "{at} of {}: {}", said.len(), one.source);
    }
}

fn sum(documents: &[Document], field: &str) -> u64 {
    let of = |document: &Document| document.source["tahoe"]["counts"][field].as_u64().unwrap_or(0);
    documents.iter().map(of).sum()
}

#[test]
fn a_running_pipeline_is_seen_with_its_law_and_what_it_depends_on_until_it_stops() {
    let Some(pipeline) = Pipeline::set_up("measured") else { return };
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 0..LINES, feed::laravel);
    let path = pipeline.flag("laravel.log");
    let producer = begin(&pipeline, "tahoe-laravel", &["--laravel", &path]);
    let transformer = begin(&pipeline, "tahoe-transformer", &[]);
    let node = format!("service.node.name:\"{}\"", pipeline.name);

    let usize = usize::try_from(LINES).expect("few");
    pipeline.documents.wait_for("event.dataset:laravel.log", usize);
    until("the producer's half of the law", || {
        let source = measured(&pipeline, "source", "tahoe-laravel", &node);
        match (sum(&source, "read"), sum(&source, "appended")) {
            (LINES, LINES) => Ok(()),
            other => Err(format!("{other:?} of {} records", source.len())),
        }
    });
    let own = until("the producer itself", || {
        measured(&pipeline, "service", "tahoe-laravel", &node)
            .pop()
            .ok_or_else(|| "nothing is said".to_owned())
    });
    assert_eq!(own.text("/service/state"), "up", "{}", own.source);
    let process = &own.source["tahoe"]["process"];
    assert!(process["memory"]["bytes"].as_u64() > Some(1 << 20), "{}", own.source);
    assert_eq!(own.text("/event/kind"), "metric");
    assert_eq!(own.text("/data_stream/type"), "metrics");

    // Several tests may share the servers; what this one's transformer says is newer than its start.
    let since = format!("@timestamp:[\"{}\" TO *]", own.text("/@timestamp"));
    for service in ["kafka", "elasticsearch"] {
        // A server that has too much to do for a while is said to be down, rightly.
        let told = until("what the transformer depends on is up", || {
            let told = measured(&pipeline, "service", service, &since).pop();
            let told = told.ok_or_else(|| "nothing is said".to_owned())?;
            if told.text("/service/state") == "up" {
                Ok(told)
            } else {
                Err(told.source.to_string())
            }
        });
        assert_states_are_explained(&measured(&pipeline, "service", service, &since));
        assert!(told.source["event"]["duration"].as_u64() > Some(0), "{}", told.source);
    }
    let topic = format!("tahoe.topic.name:\"{}\"", pipeline.name);
    until("the topic is read to its end", || {
        let told = measured(&pipeline, "topic", "tahoe-transformer", &topic).pop();
        match told.and_then(|told| told.source["tahoe"]["lag"]["records"].as_u64()) {
            Some(0) => Ok(()),
            other => Err(format!("{other:?} records wait")),
        }
    });
    let dataset = format!("tahoe.counted.dataset:laravel.log AND {since}");
    let stored = || measured(&pipeline, "dataset", "tahoe-transformer", &dataset);
    until("the transformer's half of the law", || match stored().len() {
        0 => Err("nothing is said".to_owned()),
        _ => Ok(()),
    });

    producer.signal(Signal::TERM);
    assert!(producer.wait().status.success());
    until("its end is seen", || {
        let last = measured(&pipeline, "service", "tahoe-laravel", &node).pop();
        match last.as_ref().map(|last| last.text("/service/state")) {
            Some("stopped") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_states_are_explained(&measured(&pipeline, "service", "tahoe-laravel", &node));
    transformer.signal(Signal::TERM);
    assert!(transformer.wait().status.success());
    let said = measured(&pipeline, "source", "tahoe-laravel", &node).len() as u64;
    assert_replay_finds(&pipeline, said);
}

/// Others may have said something since, which no transformer has stored.
fn assert_replay_finds(pipeline: &Pipeline, said: u64) {
    let replay = ["replay", "--json", "--dry-run", "--dataset", "tahoe.service"];
    let times = ["--from", "1h", "--to", "2100-01-01"];
    let ended = begin(pipeline, "tahoe", &[&replay[..], &times].concat()).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let counts: serde_json::Value = serde_json::from_str(ended.stdout.trim()).expect("a summary");
    assert!(said > 0 && counts["unchanged"].as_u64() >= Some(said), "{said}: {counts}");
}

#[test]
fn a_pipeline_in_one_process_is_seen_too_and_what_it_says_of_itself_is_no_event_of_its_sources() {
    let Some(pipeline) = Pipeline::set_up("measured_up") else { return };
    write_lines(&mut append_to(&pipeline.path("laravel.log")), 0..LINES, feed::laravel);
    let path = pipeline.flag("laravel.log");
    let flags = ["up", "--no-system", "--start-at", "beginning", "--json", "--laravel", &path];
    let up = begin(&pipeline, "tahoe", &flags);
    let all = usize::try_from(LINES).expect("few");
    pipeline.documents.wait_for("event.dataset:laravel.log", all);
    let node = format!("service.node.name:\"{}\"", pipeline.name);
    let said = || measured(&pipeline, "service", "tahoe", &node);
    let is = |one: &Document, state| one.text("/service/state") == state;
    until_true("it is seen to be up", || said().iter().any(|one| is(one, "up")));
    let ended = up.stop();
    let summary = ended.stdout.lines().next_back().expect("a summary");
    let summary: serde_json::Value = serde_json::from_str(summary).expect("JSON");
    let expected = serde_json::json!({
        "read": LINES, "stored": LINES, "already_there": 0, "dead_lettered": 0, "dropped": 0,
        "in_flight": 0, "by_dataset": {"laravel.log": LINES},
    });
    assert_eq!(summary, expected, "{}", ended.stderr);

    // The topic is that of all tests, so that what was said last may not have been read by then.
    let transformer = begin(&pipeline, "tahoe-transformer", &[]);
    until_true("its end is seen", || said().last().is_some_and(|last| is(last, "stopped")));
    assert_states_are_explained(&said());
    transformer.stop();
    assert_eq!(sum(&measured(&pipeline, "source", "tahoe", &node), "read"), LINES);
}
