//! `tahoe report` says the same numbers as the store, in a page that needs nothing beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tahoe_seams::Sink as _;
use tahoe_sink_embedded::{EmbeddedStore, Settings};
use tahoe_tests::program::run;

use super::queries::STORE;
use super::samples;

/// The page and the rows of the table, without its head.
fn report(arguments: &[&str], out: &Path) -> (Value, String, Vec<Vec<String>>) {
    let out = out.to_str().expect("UTF-8");
    let ended = run("tahoe", &[&["report", "--json", "--out", out], arguments].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    let said: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let read = |kind: &str| {
        fs::read_to_string(said[kind].as_str().expect("a path")).expect("it was written")
    };
    let (page, table) = (read("html"), read("csv"));
    let rows = table.lines().skip(1).map(|row| row.split(',').map(str::to_owned).collect());
    (said, page, rows.collect())
}

/// What each question came to, and the sum of its steps.
fn totals(rows: &[Vec<String>]) -> BTreeMap<&str, (u64, u64)> {
    let mut totals: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in rows {
        let count: u64 = row[row.len() - 1].parse().expect("a number");
        match row[2].as_str() {
            "in all" => totals.entry(&row[1]).or_default().0 = count,
            "" => totals.entry(&row[1]).or_default().1 += count,
            _ => {}
        }
    }
    totals
}

fn needs_nothing_beside_it(page: &str) {
    for outside in ["src=", "href=", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    assert_eq!(page.matches("<svg ").count(), 8, "a chart for each question");
    assert_eq!(page.matches("<section>").count(), page.matches("</section>").count());
}

#[test]
fn a_report_of_elasticsearch_has_the_numbers_of_the_store() {
    let Some(store) = &*STORE else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let arguments =
        ["--elasticsearch", &store.url, "--namespace", &store.namespace, "--from", "2h"];
    let (said, page, rows) = report(&arguments, folder.path());
    let found = store.ask("GET", &format!("/logs-*-{}/_count", store.namespace), "");
    let count = found.expect("a count")["count"].as_u64().expect("a number");
    let totals = totals(&rows);
    assert_eq!(
        (totals["Everything written down"], &said["events"]),
        ((count, count), &count.into())
    );
    for (what, (total, steps)) in totals {
        assert!(total > 0, "{what}: none, of every sample there is");
        assert_eq!(total, steps, "{what}: the steps are not the whole");
    }
    needs_nothing_beside_it(&page);
}

#[test]
fn a_report_of_the_embedded_store_has_the_same_kinds_of_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("created");
    let store = EmbeddedStore::open(&data.join("store"), Settings::default()).expect("opened");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let written = runtime.block_on(store.write(&samples::events().take())).expect("written");
    drop(store);
    runtime.shutdown_background();
    let data = data.to_str().expect("UTF-8");
    let period = ["--from", "2000-01-01", "--to", "2100-01-01"];
    let (said, page, rows) = report(&[&["--data", data], &period[..]].concat(), folder.path());
    let totals = totals(&rows);
    assert!(said["events"].as_u64() > Some(written.len() as u64 / 2), "{said}");
    for (what, (total, steps)) in totals {
        assert!(total > 0 && total == steps, "{what}: {total} in all, {steps} in steps");
    }
    needs_nothing_beside_it(&page);
}
