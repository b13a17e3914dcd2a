//! What a server with lifecycles is told: the servers that can be had here have none, so these are
//! the requests of Elasticsearch's documented API, and answers of the form that it documents.

use serde_json::{Value, json};
use tahoe_schemas::retention::Retention;
use tahoe_seams::Sink as _;
use tahoe_sink_elasticsearch::{Elasticsearch, Keeper, dataset_templates};

use crate::scripted::{Act, Request, Seen, server};
use crate::settings;

fn client(address: &str) -> Elasticsearch {
    let templates = dataset_templates().into_iter();
    let templates = templates.filter(|template| template.name == "logs-laravel.log").collect();
    Elasticsearch::new(&settings(&["--elasticsearch", address]), templates).expect("a client")
}

fn retention(rules: &[&str]) -> Retention {
    Retention::new(rules.iter().map(|rule| rule.parse().expect(rule)).collect())
}

fn answer(status: u16, body: &Value) -> Act {
    Act::Answer(status, body.to_string())
}

/// Two data streams of ours and one of another program.
fn streams() -> Value {
    let names = ["logs-laravel.log-acme", "logs-nginx.access-acme", "logs-endpoint.events-acme"];
    let stream = |name: &&str| json!({"name": name, "backing_indices": [format!(".ds-{name}-1")]});
    json!({"data_streams": names.iter().map(stream).collect::<Vec<_>>()})
}

fn is(request: &Request, beginning: &str) -> bool {
    request.head.starts_with(beginning)
}

fn changes(seen: &Seen) -> Vec<(String, Value)> {
    let seen = seen.lock().expect("not poisoned");
    let puts = seen.iter().filter(|request| is(request, "PUT "));
    let path = |request: &Request| request.head.split(' ').nth(1).expect("a path").to_owned();
    puts.map(|put| (path(put), serde_json::from_slice(&put.body).expect("JSON"))).collect()
}

#[tokio::test]
async fn a_data_stream_with_a_lifecycle_is_told_its_days_once_and_none_of_another_program() {
    let (address, seen) = server(|request| {
        if is(request, "GET /_resolve/") {
            return answer(200, &streams());
        }
        let days = if request.head.contains("laravel") { "90d" } else { "14d" };
        let lifecycle = json!({
            "enabled": true, "data_retention": days, "effective_retention": days,
            "retention_determined_by": "data_stream_configuration",
        });
        answer(200, &json!({"data_streams": [{"name": "x", "lifecycle": lifecycle}]}))
    })
    .await;
    let (client, rules) = (client(&address), retention(&[]));
    let planned = client.retain(&rules, 0, true).await.expect("a plan");
    assert_eq!(changes(&seen), [], "a plan changes nothing");
    let done = client.retain(&rules, 0, false).await.expect("done");
    for all in [planned, done] {
        let told: Vec<_> = all.iter().map(|one| (&*one.data_stream, one.changed)).collect();
        assert_eq!(told, [("logs-laravel.log-acme", false), ("logs-nginx.access-acme", true)]);
        assert!(all.iter().all(|one| one.kept_by == Keeper::DataStreamLifecycle));
    }
    let path = "/_data_stream/logs-nginx.access-acme/_lifecycle".to_owned();
    assert_eq!(changes(&seen), [(path, json!({"data_retention": "90d"}))]);
}

#[tokio::test]
async fn a_server_that_has_policies_only_gets_one_for_each_number_of_days() {
    let (address, seen) = server(|request| {
        let missing = json!({"error": "no handler found for uri"});
        match () {
            () if is(request, "GET /_resolve/") => answer(200, &streams()),
            () if is(request, "GET /_data_stream/") => answer(400, &missing),
            () if is(request, "GET /_index_template/") => answer(404, &json!({})),
            () if request.head.contains("/_settings/") => {
                let settings = json!({"index.lifecycle.name": "tahoe-90d"});
                answer(200, &json!({".ds-1": {"settings": settings}}))
            }
            () => answer(200, &json!({"acknowledged": true})),
        }
    })
    .await;
    let client = client(&address);
    client.setup().await.expect("templates are stored");
    let rules = retention(&["*-acme=forever"]);
    let all = client.retain(&rules, 0, false).await.expect("done");
    assert!(all.iter().all(|one| one.changed && one.kept_by == Keeper::IndexLifecycle));

    let put = changes(&seen);
    let body = |path: &str| put.iter().find(|(found, _)| found == path).expect(path).1.clone();
    let policy = body("/_ilm/policy/tahoe-90d");
    assert_eq!(policy["policy"]["phases"]["delete"]["min_age"], "90d");
    let template = body("/_index_template/logs-laravel.log");
    let settings = &template["template"]["settings"]["index"];
    assert_eq!(settings["lifecycle"]["name"], "tahoe-90d");
    assert!(template["template"].get("lifecycle").is_none());
    let forever = body("/_ilm/policy/tahoe-forever");
    assert!(forever["policy"]["phases"].get("delete").is_none());
    let stream = body("/logs-laravel.log-acme/_settings");
    assert_eq!(stream, json!({"index.lifecycle.name": "tahoe-forever"}));
}
