//! `tahoe replay`: kept records become what today's parser and settings make of them, under the ids
//! that they always had.

use std::collections::BTreeMap;

use serde_json::Value;
use tahoe_tests::documents::{Document, Documents as _, InElasticsearch};
use tahoe_tests::feed;
use tahoe_tests::program::Ended;
use tahoe_tests::site::Site;

const LINES: usize = 50;

const REPLAY: [&str; 8] =
    ["replay", "--json", "--dataset", "laravel.log", "--from", "1h", "--to", "2100-01-01"];

fn replay(site: &Site, more: &[&str]) -> Value {
    let ended = site.run(&[&REPLAY[..], more].concat());
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    summary(&ended)
}

fn summary(ended: &Ended) -> Value {
    serde_json::from_str(ended.stdout.trim()).unwrap_or_else(|_| panic!("{}", ended.stderr))
}

/// Unchanged, rewritten, created, removed.
fn counts(summary: &Value) -> [u64; 4] {
    let count = |name: &str| summary[name].as_u64().expect("a count");
    ["unchanged", "rewritten", "created", "removed"].map(count)
}

fn by_id(documents: Vec<Document>) -> BTreeMap<String, Document> {
    let documents = documents.into_iter().map(|document| (document.id.clone(), document));
    documents.collect()
}

fn loaded(test: &str) -> Vec<Site> {
    let sites = Site::all(test, "laravel_logs");
    for site in &sites {
        let text: String = (0..LINES as u64).map(feed::laravel).collect();
        std::fs::write(site.path("laravel.log"), text).expect("written");
        site.carry(&format!("laravel.log={}", site.flag("laravel.log")), LINES, 0);
    }
    sites
}

#[test]
fn in_place_a_document_is_written_over_where_it_is_and_left_alone_the_second_time() {
    let all = LINES as u64;
    for site in loaded("replay_in_place") {
        let before = by_id(site.documents().find("*"));
        if let Some(pipeline) = site.pipeline() {
            let path = format!("/logs-laravel.log-{}/_rollover", pipeline.name);
            pipeline.documents.ask("POST", &path, "{}").expect("a new backing index");
        }
        assert_eq!(counts(&replay(&site, &[])), [all, 0, 0, 0], "the parser is the same");

        let dry = replay(&site, &["--keep-original", "--dry-run"]);
        assert_eq!(counts(&dry), [0, all, 0, 0]);
        assert_eq!(dry["fields"]["event.original"]["added"], all, "{dry}");
        assert_eq!(site.documents().count("_exists_:event.original"), 0, "nothing is changed");

        assert_eq!(counts(&replay(&site, &["--keep-original"])), [0, all, 0, 0]);
        assert_eq!(counts(&replay(&site, &["--keep-original"])), [all, 0, 0, 0]);
        let after = by_id(site.documents().find("*"));
        assert_eq!(after.len(), LINES);
        for (id, document) in after {
            assert!(document.text("/event/original").contains("n="), "{}", document.source);
            assert_eq!(document.index, before[&id].index, "it is where it was");
        }
    }
}

#[test]
fn what_belongs_to_another_data_stream_today_is_moved_and_nothing_is_there_twice() {
    let all = LINES as u64;
    for site in loaded("replay_moved") {
        let other = format!("{}_b", site.namespace());
        let rules = format!("laravel.log log.level error {other}\n");
        std::fs::write(site.path("rules"), rules).expect("written");
        let level = "log.level:error";
        let moved = site.documents().count(level) as u64;
        assert!(moved > 0 && moved < all, "some are errors: {moved}");
        let rules = site.flag("rules");
        let arguments = ["--namespace-rules", &rules];
        let dry = replay(&site, &[&arguments[..], &["--dry-run"]].concat());
        assert_eq!(counts(&dry), [all - moved, 0, moved, moved], "{dry}");
        assert_eq!(counts(&replay(&site, &arguments)), [all - moved, 0, moved, moved]);
        assert_eq!(counts(&replay(&site, &arguments)), [all, 0, 0, 0]);
        let (stays, goes) = match site.pipeline() {
            None => (LINES, site.documents().count(&format!("data_stream.namespace:{other}"))),
            Some(pipeline) => {
                let there = InElasticsearch::open(&pipeline.documents.url, &other);
                (LINES - there.count("*"), there.count(level))
            }
        };
        assert_eq!((site.documents().count("*"), goes as u64), (stays, moved));
    }
}

#[test]
fn into_a_namespace_of_its_own_everything_is_stored_once_and_the_rest_is_as_it_was() {
    let all = LINES as u64;
    for site in loaded("replay_into") {
        let other = format!("{}_c", site.namespace());
        let arguments = ["--into", &other];
        let dry = replay(&site, &[&arguments[..], &["--dry-run"]].concat());
        assert_eq!(counts(&dry), [0, 0, all, 0]);
        assert_eq!(counts(&replay(&site, &arguments)), [0, 0, all, 0]);
        assert_eq!(counts(&replay(&site, &arguments)), [all, 0, 0, 0]);
        let none = replay(&site, &["--into", &other, "--topic", &site.topic, "--keep-original"]);
        assert_eq!(counts(&none), [all, 0, 0, 0], "what is there is left");
        let found = match site.pipeline() {
            None => site.documents().count(&format!("data_stream.namespace:{other}")),
            Some(pipeline) => InElasticsearch::open(&pipeline.documents.url, &other).count("*"),
        };
        assert_eq!(found, LINES);
    }
}
