//! What a store holds in the end, asked from outside: by `tahoe search`, or of Elasticsearch itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::run;
use crate::wait::{until, until_it_rests};

/// Hits in one answer of Elasticsearch, which gives no more.
const PAGE: usize = 10_000;

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// The data stream or backing index that it is in.
    pub index: String,
    /// Itself.
    pub source: Value,
}

impl Document {
    /// The text at a JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.source.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number that [`crate::feed`] put into the message.
    ///
    /// # Panics
    /// When the message has none.
    pub fn number(&self) -> u64 {
        let message = self.text("/message");
        number(message).unwrap_or_else(|| panic!("no number in {}", self.source))
    }

    fn parse(line: Value) -> Self {
        let text = |name: &str| line[name].as_str().expect("a hit has it").to_owned();
        Self { id: text("_id"), index: text("_index"), source: line["_source"].clone() }
    }
}

/// The number behind `n=` in a text.
pub fn number(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("n=")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Where events are found again.
pub trait Documents {
    /// All that match a query, as far as the store shows them now.
    fn find(&self, query: &str) -> Vec<Document>;
    /// How many match.
    fn count(&self, query: &str) -> usize;

    /// Waits until at least so many match, for as long as they become more.
    ///
    /// # Panics
    /// When they do not come.
    fn wait_for(&self, query: &str, count: usize) {
        until_it_rests(&format!("{count} of {query}"), || match self.count(query) {
            found if found >= count => Ok(()),
            found => Err(found as u64),
        });
    }
}

/// The embedded store in the data folder of a `tahoe up`, which may be running.
pub struct Embedded<'a>(pub &'a Path);

impl Embedded<'_> {
    fn search(&self, arguments: &[&str]) -> Vec<Value> {
        let data = self.0.to_str().expect("a temporary folder is UTF-8");
        let ended = run("tahoe", &[&["search", "--data", data, "--json"], arguments].concat());
        if !ended.status.success() && ended.stderr.contains("no store") {
            return Vec::new();
        }
        assert!(ended.status.success(), "{}", ended.stderr);
        let parse = |line| serde_json::from_str(line).expect("a line is JSON");
        ended.stdout.lines().map(parse).collect()
    }
}

impl Documents for Embedded<'_> {
    fn find(&self, query: &str) -> Vec<Document> {
        let hits = self.search(&[query, "--limit", "all"]);
        hits.into_iter().map(Document::parse).collect()
    }

    fn count(&self, query: &str) -> usize {
        let rows = self.search(&[query, "--by", "event.module", "--limit", "all"]);
        let rows = rows.iter().map(|row| row["count"].as_u64().expect("a count"));
        usize::try_from(rows.sum::<u64>()).expect("few")
    }
}

/// The data streams of one namespace in Elasticsearch.
pub struct InElasticsearch {
    /// Where it is, with a login where it wants one.
    pub url: String,
    /// A namespace that this test alone uses.
    pub namespace: String,
    /// Who signed its certificate.
    pub ca_file: Option<PathBuf>,
}

impl InElasticsearch {
    /// One that speaks plain HTTP to anybody.
    pub fn open(url: &str, namespace: &str) -> Self {
        Self { url: url.to_owned(), namespace: namespace.to_owned(), ca_file: None }
    }

    /// Asks the server; an error is what it answered instead, or that it did not.
    ///
    /// # Errors
    /// With the answer's text.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        let answer = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "30"])
            .args(self.ca_file.iter().flat_map(|file| [Path::new("--cacert"), file]))
            .args(["--request", method, "--header", "content-type: application/json"])
            .args(["--data-binary", body, &format!("{}{path}", self.url)])
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        if !answer.status.success() {
            return Err(text + &String::from_utf8_lossy(&answer.stderr));
        }
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    fn pattern(&self) -> String {
        format!("/logs-*-{}", self.namespace)
    }

    /// Gives all that match to `visit`, a page at a time; how many there are.
    ///
    /// # Errors
    /// With what the server answered instead, or that it did not.
    pub fn each(&self, query: &str, visit: &mut dyn FnMut(Document)) -> Result<usize, String> {
        self.visit(query, PAGE, visit)
    }

    /// With `size` 0 their number alone.
    fn visit(
        &self,
        query: &str,
        size: usize,
        visit: &mut dyn FnMut(Document),
    ) -> Result<usize, String> {
        let quiet = "allow_no_indices=true&ignore_unavailable=true";
        // What was written is found at once, so that nothing has to be waited for.
        self.ask("POST", &format!("{}/_refresh?{quiet}", self.pattern()), "")?;
        let body = serde_json::json!({
            "query": {"query_string": {"query": query}},
            "size": size,
            "sort": ["_doc"],
            "track_total_hits": true,
        });
        let scroll = if size > 0 { "&scroll=1m" } else { "" };
        let path = format!("{}/_search?{quiet}{scroll}", self.pattern());
        let mut found = self.ask("POST", &path, &body.to_string())?;
        let total = found["hits"]["total"]["value"].as_u64().expect("a total");
        let total = usize::try_from(total).expect("few");
        loop {
            if found["_shards"]["failed"].as_u64() != Some(0) {
                return Err(format!("shards failed: {found}"));
            }
            let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
            if hits.is_empty() {
                return Ok(total);
            }
            hits.into_iter().map(Document::parse).for_each(&mut *visit);
            let next = serde_json::json!({"scroll": "1m", "scroll_id": found["_scroll_id"]});
            found = self.ask("POST", "/_search/scroll", &next.to_string())?;
        }
    }
}

impl Documents for InElasticsearch {
    fn find(&self, query: &str) -> Vec<Document> {
        let (total, hits) = until("Elasticsearch answers", || {
            let mut hits = Vec::new();
            Ok::<_, String>((self.each(query, &mut |hit| hits.push(hit))?, hits))
        });
        assert_eq!(total, hits.len(), "what is stored changes while it is looked at");
        hits
    }

    fn count(&self, query: &str) -> usize {
        // The server may be down for a while, as tests have it.
        self.visit(query, 0, &mut drop).unwrap_or(0)
    }
}

/// A value as a text of its own.
pub fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A number that is written as one, or as a text, as databases' are.
///
/// # Panics
/// When it is none.
pub fn number_of(value: &Value) -> u64 {
    text_of(value).parse().unwrap_or_else(|_| panic!("{value} is no number"))
}

/// Every one of `expected` is among `found` exactly once, and nothing else is.
///
/// # Panics
/// With the first few that are missing, doubled or strange.
pub fn each_once<T: Ord + std::fmt::Debug>(
    found: impl IntoIterator<Item = T>,
    expected: impl IntoIterator<Item = T>,
) {
    let mut counts = BTreeMap::new();
    for one in found {
        *counts.entry(one).or_insert(0) += 1;
    }
    let expected: BTreeSet<T> = expected.into_iter().collect();
    let some =
        |what: &mut dyn Iterator<Item = &T>| format!("{:?}", what.take(5).collect::<Vec<_>>());
    let missing = some(&mut expected.iter().filter(|one| !counts.contains_key(one)));
    let doubled = some(&mut counts.iter().filter(|(_, n)| **n > 1).map(|(one, _)| one));
    let strange = some(&mut counts.keys().filter(|one| !expected.contains(one)));
    assert!(
        [&missing, &doubled, &strange].iter().all(|some| *some == "[]"),
        "of {}: missing {missing}, doubled {doubled}, strange {strange}",
        expected.len()
    );
}
