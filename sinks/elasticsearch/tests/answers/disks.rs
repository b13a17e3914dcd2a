//! What `--check` says of a server whose disks are full: those of the servers here are as they are.

use serde_json::{Value, json};
use tahoe_seams::Sink as _;
use tahoe_sink_elasticsearch::Elasticsearch;

use crate::scripted::{Act, server};
use crate::settings;

/// Checks a server whose disk has so many bytes free of a hundred, and these cluster settings.
async fn checked(free: u64, cluster: Value) -> String {
    let (address, _) = server(move |request| {
        let path = request.head.split(' ').nth(1).expect("a path");
        let total = json!({"total_in_bytes": 100, "available_in_bytes": free});
        let body = match path.split('?').next() {
            Some("/") => json!({"version": {"number": "8.19.21"}}),
            Some("/_nodes/stats/fs") => {
                json!({"nodes": {"n": {"name": "a", "fs": {"total": total}}}})
            }
            Some("/_cluster/settings") => cluster.clone(),
            _ => return Act::Answer(404, "{}".to_owned()),
        };
        Act::Answer(200, body.to_string())
    })
    .await;
    let client = Elasticsearch::new(&settings(&["--elasticsearch", &address]), Vec::new());
    match client.expect("a client").check().await {
        Ok(text) => text,
        Err(error) => format!("error: {error}"),
    }
}

fn thresholds(level: &str, value: &str) -> Value {
    json!({level: {"cluster": {"routing": {"allocation": {"disk": {"threshold_enabled": value}}}}}})
}

#[tokio::test]
async fn a_full_disk_is_a_problem_unless_the_server_was_told_to_go_on() {
    let usual = thresholds("defaults", "true");
    let flooded = checked(3, usual.clone()).await;
    assert!(flooded.starts_with("error") && flooded.contains("node a is 97 % full"), "{flooded}");
    let low = checked(12, usual.clone()).await;
    assert!(low.contains("warning: the disk of node a is 88 % full"), "{low}");
    for text in [checked(40, usual).await, checked(3, thresholds("persistent", "false")).await] {
        assert!(!text.contains("full") && !text.starts_with("error"), "{text}");
    }
    let unknown = checked(3, json!({})).await;
    assert!(unknown.contains("97 % full"), "{unknown}");
}
