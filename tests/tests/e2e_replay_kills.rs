//! kill -9 of `tahoe replay` twenty times, at whatever moment: in the end every document is there
//! once, and is what it should be.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use tahoe_tests::documents::{Document, Documents, InElasticsearch, each_once};
use tahoe_tests::site::Site;
use tahoe_tests::wait::until;

/// With [`line`] so many bytes that a replay is several batches.
const RECORDS: u64 = 8_000;

/// How often it is killed.
const KILLS: usize = 20;

/// More documents than are written between two looks at the store.
const STRIDE: usize = 1_500;

const REPLAY: [&str; 7] =
    ["replay", "--dataset", "laravel.log", "--from", "2d", "--to", "2100-01-01"];

fn line(n: u64) -> String {
    let time = format!("2026-03-04T09:{:02}:{:02}+00:00", n / 60 % 60, n % 60);
    format!("[{time}] production.INFO: n={n} of {} \n", "many ".repeat(400))
}

/// A number below `end` that nobody knows before.
fn random(end: usize) -> usize {
    let number = RandomState::new().hash_one(0);
    usize::try_from(number % end as u64).expect("it is below another")
}

/// Starts a replay and kills it once `done` has reached a number that was drawn; false if it was
/// faster.
fn kill_somewhere(site: &Site, replay: &[&str], done: &dyn Fn() -> usize) -> bool {
    let (before, more) = (done(), random(STRIDE));
    let mut program = site.start(replay);
    let was_killed = until("it goes on", || match (done(), program.is_running()) {
        (_, false) => Ok(false),
        (now, true) if now >= before + more => Ok(true),
        (now, true) => Err(format!("{now} are done")),
    });
    if was_killed {
        program.kill();
    }
    println!("{before} were done; killed at {more} more: {was_killed}");
    was_killed
}

fn carried(site: &Site) -> BTreeMap<String, Document> {
    let text: String = (0..RECORDS).map(line).collect();
    std::fs::write(site.path("laravel.log"), text).expect("written");
    let count = usize::try_from(RECORDS).expect("few");
    site.carry(&format!("laravel.log={}", site.flag("laravel.log")), count, 0);
    by_id(site.documents().find("*"))
}

/// Each id once.
fn by_id(documents: Vec<Document>) -> BTreeMap<String, Document> {
    let (count, mut all) = (documents.len(), BTreeMap::new());
    all.extend(documents.into_iter().map(|document| (document.id.clone(), document)));
    assert_eq!(all.len(), count, "some are there twice");
    each_once(all.values().map(Document::number), 0..RECORDS);
    all
}

/// The same documents, but for what a replay says of itself and what was asked for.
fn assert_same(found: &BTreeMap<String, Document>, before: &BTreeMap<String, Document>) {
    assert!(found.keys().eq(before.keys()), "the ids are others");
    for (id, document) in found {
        let plain = |document: &Document| {
            let mut source = document.source.clone();
            let event = source["event"].as_object_mut().expect("every event has it");
            event.remove("ingested");
            event.remove("original");
            source["data_stream"]["namespace"].take();
            source
        };
        assert_eq!(plain(document), plain(&before[id]));
    }
}

fn to_the_end(site: &Site, replay: &[&str]) {
    let ended = site.run(replay);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
}

#[test]
fn a_replay_into_a_namespace_that_is_killed_again_and_again_stores_everything_once() {
    let Some(site) = Site::real("replay_into_kills") else { return };
    let before = carried(&site);
    let url = &site.pipeline().expect("it is real").documents.url;
    let (mut kills, mut copies) = (0, 0);
    while kills < KILLS {
        let other = format!("{}_{copies}", site.namespace());
        let replay = [&REPLAY[..], &["--into", &other]].concat();
        let there = InElasticsearch::open(url, &other);
        while kills < KILLS && kill_somewhere(&site, &replay, &|| there.count("*")) {
            kills += 1;
        }
        to_the_end(&site, &replay);
        assert_same(&by_id(there.find("*")), &before);
        copies += 1;
    }
    assert_same(&by_id(site.documents().find("*")), &before);
}

#[test]
fn a_replay_in_place_that_is_killed_again_and_again_rewrites_everything_once() {
    let Some(site) = Site::real("replay_place_kills") else { return };
    let before = carried(&site);
    let (mut kills, mut keeps) = (0, false);
    while kills < KILLS {
        // There and back, so that there is always something to rewrite.
        keeps = !keeps;
        let replay = [&REPLAY[..], if keeps { &["--keep-original"] } else { &[] }].concat();
        let query = if keeps { "_exists_:event.original" } else { "NOT _exists_:event.original" };
        let documents = site.documents();
        while kills < KILLS && kill_somewhere(&site, &replay, &|| documents.count(query)) {
            kills += 1;
        }
        to_the_end(&site, &replay);
        let found = by_id(documents.find("*"));
        assert_same(&found, &before);
        let original = |one: &Document| !one.text("/event/original").is_empty();
        assert!(found.values().all(|one| original(one) == keeps), "some are not rewritten");
    }
}
