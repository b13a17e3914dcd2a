//! What is past its retention goes, and nothing else: on a real Elasticsearch that has no lifecycles,
//! and in the embedded store.

use std::sync::Once;

use serde_json::{Value, json};
use tahoe_tests::documents::{Documents as _, Embedded, InElasticsearch};
use tahoe_tests::program::run;
use tahoe_tests::servers::{setting, unique};

/// Data streams of one test in Elasticsearch, with templates as `tahoe setup` stores them.
struct Site {
    store: InElasticsearch,
}

impl Site {
    fn set_up(test: &str) -> Option<Self> {
        static SET_UP: Once = Once::new();
        let url = setting("TAHOE_TEST_ELASTICSEARCH")?;
        SET_UP.call_once(|| {
            let ended = run("tahoe", &["setup", "--elasticsearch", &url]);
            assert!(ended.status.success(), "{}", ended.stderr);
        });
        Some(Self { store: InElasticsearch::open(&url, &unique(test)) })
    }

    fn stream(&self, dataset: &str) -> String {
        format!("logs-{dataset}-{}", self.store.namespace)
    }

    /// Stores an event with a time of its own and one at which it was normalised.
    fn write(&self, dataset: &str, at: &str, ingested: &str) {
        let event = json!({"@timestamp": at, "event": {"ingested": ingested}}).to_string();
        let path = format!("/{}/_doc?refresh=true", self.stream(dataset));
        self.store.ask("POST", &path, &event).expect("stored");
    }

    fn roll_over(&self, dataset: &str) {
        let path = format!("/{}/_rollover", self.stream(dataset));
        self.store.ask("POST", &path, "").expect("rolled over");
    }

    /// What the command says of this test's data streams.
    fn retain(&self, arguments: &[&str]) -> Vec<Value> {
        let ours = format!("*-{}=90", self.store.namespace);
        // The data streams of tests that run beside this one are left alone.
        let rules = ["--retention", "RULES", "--retention", "forever"];
        let mut rules = rules.map(str::to_owned);
        let given: Vec<_> =
            arguments.iter().filter(|argument| argument.contains('=')).copied().collect();
        rules[1] = if given.is_empty() { ours } else { given.join(",") };
        let rest = arguments.iter().filter(|argument| !argument.contains('=')).copied();
        let rules = rules.iter().map(String::as_str);
        let command = ["retention", "--json", "--elasticsearch", &self.store.url];
        let all: Vec<_> = command.into_iter().chain(rules).chain(rest).collect();
        let ended = run("tahoe", &all);
        assert!(ended.status.success(), "{}", ended.stderr);
        let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
        let suffix = format!("-{}", self.store.namespace);
        let streams = found["data_streams"].as_array().expect("a list").iter();
        let mine = streams
            .filter(|stream| stream["data_stream"].as_str().expect("a name").ends_with(&suffix));
        mine.cloned().collect()
    }

    fn backing(&self, dataset: &str) -> usize {
        let path = format!("/_resolve/index/{}", self.stream(dataset));
        let found = self.store.ask("GET", &path, "").expect("an answer");
        found["data_streams"][0]["backing_indices"].as_array().map_or(0, Vec::len)
    }
}

fn numbers(stream: &Value, name: &str) -> Vec<u64> {
    let indices = stream[name].as_array().expect("a list").iter();
    indices.map(|index| index["documents"].as_u64().expect("a number")).collect()
}

#[test]
fn whole_backing_indices_go_when_all_in_them_is_past_and_one_young_event_keeps_its_index() {
    let Some(site) = Site::set_up("retention") else { return };
    let old = "2020-01-01T00:00:00Z";
    let now = "2999-01-01T00:00:00Z";
    // All old; old but one; an archive that was loaded just now; and what is being written.
    site.write("laravel.log", old, old);
    site.write("laravel.log", old, old);
    site.roll_over("laravel.log");
    site.write("laravel.log", old, old);
    site.write("laravel.log", now, now);
    site.roll_over("laravel.log");
    site.write("laravel.log", old, now);
    site.roll_over("laravel.log");
    site.write("laravel.log", now, now);

    let planned = site.retain(&["--dry-run"]);
    assert_eq!(site.backing("laravel.log"), 4, "a plan changes nothing");
    let done = site.retain(&[]);
    for all in [&planned, &done] {
        let stream = &all[0];
        assert_eq!(numbers(stream, "deleted"), [2], "{stream}");
        assert_eq!(stream["rolled_over"], false);
        let mut kept = numbers(stream, "kept");
        kept.sort_unstable();
        assert_eq!(kept, [1, 1, 2]);
        assert_eq!((&stream["kept_by"], &stream["days"]), (&json!("tahoe"), &json!(90)));
    }
    assert_eq!(site.backing("laravel.log"), 3);
    assert_eq!(site.store.count("*"), 4);
    let again = site.retain(&[]);
    assert_eq!(numbers(&again[0], "deleted"), Vec::<u64>::new(), "a second run finds nothing");
    // Nothing that stays was left closed to writes.
    site.write("laravel.log", now, now);
}

#[test]
fn the_index_that_is_written_to_is_rolled_over_first_when_it_is_due() {
    let Some(site) = Site::set_up("rollover") else { return };
    let (old, now) = ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
    // A company that went silent; one that has written to the same index for years; one that began.
    site.write("laravel.log", old, old);
    site.write("nginx.access", old, old);
    site.write("nginx.access", now, now);
    site.write("apache.access", now, now);
    let done = site.retain(&[]);
    let of = |dataset: &str| {
        let name = site.stream(dataset);
        done.iter().find(|stream| stream["data_stream"] == name.as_str()).expect("it is there")
    };
    let silent = of("laravel.log");
    assert_eq!((&silent["rolled_over"], numbers(silent, "deleted")), (&json!(true), vec![1]));
    let busy = of("nginx.access");
    assert_eq!((&busy["rolled_over"], numbers(busy, "kept")), (&json!(true), vec![2]));
    assert_eq!(of("apache.access")["rolled_over"], false);
    let backing = ["laravel.log", "nginx.access", "apache.access"].map(|name| site.backing(name));
    assert_eq!(backing, [1, 2, 1]);
    assert_eq!(site.store.count("*"), 3);
    assert_eq!(numbers(&site.retain(&[])[0], "deleted"), Vec::<u64>::new());
    site.write("laravel.log", now, now);
    assert_eq!(site.store.count("*"), 4, "the stream takes what comes");
}

#[test]
fn a_rule_of_a_company_or_dataset_counts_before_one_of_all() {
    let Some(site) = Site::set_up("rules") else { return };
    let old = "2020-01-01T00:00:00Z";
    site.write("laravel.log", old, old);
    site.write("nginx.access", old, old);
    let name = &site.store.namespace;
    let rules = [format!("nginx.access-{name}=forever"), format!("*-{name}=365")];
    let done = site.retain(&[&rules[0], &rules[1]]);
    let days: Vec<_> = done.iter().map(|stream| stream["days"].clone()).collect();
    assert_eq!(days, [json!(365), json!(null)]);
    assert_eq!(site.store.count("*"), 1);
    let ended =
        run("tahoe", &["retention", "--retention", "laravel.lgo=3", "--elasticsearch", "http://x"]);
    assert!(!ended.status.success() && ended.stderr.contains("laravel.lgo"), "{}", ended.stderr);
}

#[test]
fn the_embedded_store_says_what_it_keeps_and_is_never_made_by_asking() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let text = data.to_str().expect("a temporary folder is UTF-8");
    let refused = run("tahoe", &["retention", "--data", text]);
    assert!(!refused.status.success() && refused.stderr.contains("--data"), "{}", refused.stderr);
    assert!(!data.exists());
    let up = run("tahoe", &["up", "--data", text, "--sample", "--for", "3s", "--json"]);
    assert!(up.status.success(), "{}", up.stderr);
    let stored = Embedded(&data).count("*");
    assert!(stored > 0);
    for arguments in [&["--dry-run"][..], &[]] {
        let ended = run("tahoe", &[&["retention", "--json", "--data", text], arguments].concat());
        assert!(ended.status.success(), "{}", ended.stderr);
        let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
        let streams = found["data_streams"].as_array().expect("a list");
        let sum = |name: &str| {
            streams.iter().map(|stream| stream[name].as_u64().expect("a number")).sum::<u64>()
        };
        assert_eq!((sum("events_deleted"), sum("events_kept")), (0, stored as u64));
    }
    assert_eq!(Embedded(&data).count("*"), stored);
}
