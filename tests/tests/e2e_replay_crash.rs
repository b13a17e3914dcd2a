//! kill -9 of `tahoe replay` and `tahoe dlq replay` midway: the same command once more, and
//! everything is there once.

use std::collections::BTreeSet;
use std::time::Duration;

use tahoe_pipeline::header;
use tahoe_seams::{Origin, Outgoing, RecordId, SourceId};
use tahoe_tests::documents::{Document, each_once};
use tahoe_tests::program::Program;
use tahoe_tests::site::Site;
use tahoe_tests::wait::until;
use tahoe_transformer::dead_letter_topic;

/// With [`line`] so many bytes that there are several batches, and a kill comes before the last.
const RECORDS: u64 = 4_000;

/// 2026-11-21T12:00:00Z
const READ_AT_MS: i64 = 1_795_262_400_000;

/// A long one, so that few are many batches.
fn line(n: u64) -> String {
    let time = format!("2026-03-04T09:{:02}:{:02}+00:00", n / 60 % 60, n % 60);
    let level = if n.is_multiple_of(5) { "ERROR" } else { "INFO" };
    format!("[{time}] production.{level}: n={n} of {} \n", "many ".repeat(1000))
}

/// Kills once something was done, and before all was.
fn kill_midway(mut program: Program, done: impl Fn() -> usize) -> usize {
    until("something is done", || {
        assert!(program.is_running(), "it ended before it could be killed: {}", program.stderr());
        match done() {
            0 => Err("nothing yet".to_owned()),
            _ => Ok(()),
        }
    });
    program.kill();
    done()
}

fn numbers(documents: &[Document]) -> impl Iterator<Item = u64> + '_ {
    documents.iter().map(Document::number)
}

/// Letters whose records today's parser takes.
fn mislay(site: &Site) -> BTreeSet<String> {
    let topic = dead_letter_topic(&site.topic);
    let source = SourceId([7; 16]);
    let origin = Origin {
        source,
        dataset: "laravel.log".to_owned(),
        namespace: site.namespace().to_owned(),
        path: "/var/log/mislaid.log".to_owned(),
        ..Origin::default()
    };
    let encoded = header::encode_origin(&origin);
    let (from, none) = (site.topic.clone(), b"0");
    let more_headers: &[(&str, &[u8])] = &[
        ("tahoe.code", b"grammar"),
        ("tahoe.reason", b"an older parser did not know it"),
        ("tahoe.topic", from.as_bytes()),
        ("tahoe.partition", none),
        ("tahoe.offset", none),
        ("tahoe.ordinal", none),
    ];
    let mut ids = BTreeSet::new();
    let letters: Vec<_> = (0..RECORDS)
        .map(|n| {
            let (text, span) = (line(n), (n * 6000, n * 6000 + 5999));
            let text = text.trim_end().to_owned();
            let id = RecordId::new(READ_AT_MS, source, 0, span, text.as_bytes());
            let mut header = Vec::new();
            header::encode(&mut header, id, span, None, b"", &encoded);
            ids.insert(id.to_string());
            (text, header)
        })
        .collect();
    site.with_log(|log| {
        for some in letters.chunks(500) {
            let outgoing: Vec<_> = some
                .iter()
                .map(|(text, header)| Outgoing {
                    topic: &topic,
                    partition: 0,
                    key: b"",
                    value: text.as_bytes(),
                    timestamp_ms: READ_AT_MS,
                    header: Some(header),
                    more_headers,
                })
                .collect();
            let pending = log.append(&outgoing).expect("accepted");
            pending.wait(Duration::from_secs(60)).expect("in time").expect("durable");
        }
    });
    ids
}

#[test]
fn a_replay_of_dead_letters_that_was_killed_is_finished_by_the_next() {
    let Some(site) = Site::real("dlq_crash") else { return };
    let ids = mislay(&site);
    let documents = site.documents();
    let midway = kill_midway(site.start(&["dlq", "replay", "--json"]), || documents.count("*"));
    assert!(midway < ids.len(), "it was too late for a kill: {midway}");
    let ended = site.run(&["dlq", "replay", "--json"]);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    let found = documents.find("*");
    each_once(found.iter().map(|document| document.id.clone()), ids);
    each_once(numbers(&found), 0..RECORDS);
    let last = site.run(&["dlq", "replay", "--json"]);
    let counts: serde_json::Value = serde_json::from_str(last.stdout.trim()).expect("a summary");
    assert_eq!(counts["stored_before"], RECORDS, "all are known to be stored: {counts}");
    assert_eq!(documents.count("*") as u64, RECORDS);
}

#[test]
fn a_replay_in_place_and_into_another_namespace_that_was_killed_is_finished_by_the_next() {
    let Some(site) = Site::real("replay_crash") else { return };
    let text: String = (0..RECORDS).map(line).collect();
    std::fs::write(site.path("laravel.log"), text).expect("written");
    let count = usize::try_from(RECORDS).expect("few");
    site.carry(&format!("laravel.log={}", site.flag("laravel.log")), count, 0);
    let before: BTreeSet<_> = site.documents().find("*").into_iter().map(|one| one.id).collect();
    let replay = ["replay", "--dataset", "laravel.log", "--from", "2d", "--to", "2100-01-01"];

    let in_place = [&replay[..], &["--keep-original"]].concat();
    let rewritten = || site.documents().count("_exists_:event.original");
    let midway = kill_midway(site.start(&in_place), rewritten);
    assert!(midway < count, "it was too late for a kill: {midway}");
    let ended = site.run(&in_place);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    let found = site.documents().find("*");
    each_once(found.iter().map(|document| &document.id), before.iter());
    assert!(found.iter().all(|one| !one.text("/event/original").is_empty()), "all are rewritten");

    // One that moves is written before its older document is removed.
    let other = format!("{}_b", site.namespace());
    std::fs::write(site.path("rules"), format!("laravel.log log.level info {other}\n"))
        .expect("written");
    let rules = site.flag("rules");
    let moving = [&in_place[..], &["--namespace-rules", &rules]].concat();
    let url = &site.pipeline().expect("it is real").documents.url;
    let there = tahoe_tests::documents::InElasticsearch::open(url, &other);
    let there: &dyn tahoe_tests::documents::Documents = &there;
    let infos = site.documents().count("log.level:info");
    let midway = kill_midway(site.start(&moving), || there.count("*"));
    assert!(midway < infos, "it was too late for a kill: {midway}");
    let ended = site.run(&moving);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    let (stays, moved) = (site.documents().find("*"), there.find("*"));
    assert_eq!(moved.len(), infos);
    let all = stays.iter().chain(&moved);
    each_once(all.clone().map(|document| &document.id), before.iter());
    each_once(all.map(Document::number), 0..RECORDS);
}
