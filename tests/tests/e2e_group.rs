//! What the transformer does as a member of its group, against real servers: a batch that is rejected
//! as a whole, and a group that is set back to records which are stored long ago.

use tahoe_pipeline::header;
use tahoe_seams::{Log, Origin, Outgoing, RecordId, SourceId};
use tahoe_tests::documents::{Documents as _, each_once};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::wait::{PATIENCE, until, until_it_rests};
use tahoe_transformer::dead_letter_topic;

/// 2026-11-21T12:00:00Z
const READ_AT_MS: i64 = 1_795_262_400_000;

fn append(log: &dyn Log, records: &[Outgoing<'_>]) {
    let durable = log.append(records).expect("accepted").wait(PATIENCE);
    durable.expect("in time").expect("durable");
}

/// Many more than can be written one after the other before a group gives up on a member.
const REJECTED: usize = 50_000;

#[test]
fn many_records_that_are_all_rejected_have_one_letter_each() {
    let Some(pipeline) = Pipeline::set_up("rejected") else { return };
    let log = pipeline.log();
    let record = |partition| Outgoing {
        topic: &pipeline.name,
        partition,
        key: b"",
        value: b"of no dataset",
        timestamp_ms: READ_AT_MS,
        header: None,
        more_headers: &[],
    };
    for partition in 0..5 {
        append(&log, &vec![record(partition); REJECTED / 5]);
    }
    // The least that a group can be told.
    let options = ["--kafka-option", "max.poll.interval.ms=6000"];
    let transformer = pipeline.start("tahoe-transformer", &options);
    until_it_rests("letters", || match pipeline.dead_letters() {
        letters if letters >= REJECTED => Ok(()),
        letters => Err(letters as u64),
    });
    transformer.stop();
    let mut letters = Vec::new();
    pipeline.scan(&dead_letter_topic(&pipeline.name), &mut |letter| {
        let header = |name| {
            let text = letter.more_headers.find(name).expect("a letter has it");
            String::from_utf8_lossy(text).parse::<usize>().expect("a number")
        };
        letters.push((header("tahoe.partition"), header("tahoe.offset")));
    });
    let all = (0..5).flat_map(|partition| (0..REJECTED / 5).map(move |at| (partition, at)));
    each_once(letters, all);

    // It has committed all of it: another start finds nothing to do.
    let transformer = pipeline.start("tahoe-transformer", &options);
    append(&log, &[record(5)]);
    until("another letter", || match pipeline.dead_letters() {
        letters if letters > REJECTED => Ok(()),
        letters => Err(letters.to_string()),
    });
    transformer.stop();
    assert_eq!(pipeline.dead_letters(), REJECTED + 1);
}

/// Together more than is looked up of what an earlier owner may have had in flight.
const TEXTS: u64 = 60;
const TEXT_BYTES: usize = 500_000;

/// Records of Laravel's, the last of them short: it says that all before it were read.
fn told(pipeline: &Pipeline, log: &dyn Log, numbers: std::ops::Range<u64>, bytes: usize) {
    let origin = Origin {
        source: SourceId([7; 16]),
        dataset: "laravel.log".to_owned(),
        namespace: pipeline.name.clone(),
        path: "/var/log/laravel.log".to_owned(),
        ..Origin::default()
    };
    let encoded = header::encode_origin(&origin);
    for n in numbers {
        let text = format!("[2026-11-21 09:00:00] local.INFO: n={n} {}", "x".repeat(bytes));
        let span = (n * 1_000_000, n * 1_000_000 + text.len() as u64);
        let id = RecordId::new(READ_AT_MS, origin.source, 0, span, text.as_bytes());
        let mut header = Vec::new();
        header::encode(&mut header, id, span, None, b"", &encoded);
        let record = Outgoing {
            topic: &pipeline.name,
            partition: 0,
            key: b"",
            value: text.as_bytes(),
            timestamp_ms: READ_AT_MS,
            header: Some(&header),
            more_headers: &[],
        };
        append(log, &[record]);
    }
}

#[test]
fn a_group_that_begins_anew_stores_nothing_twice_though_the_data_stream_was_rolled_over() {
    let Some(pipeline) = Pipeline::set_up("set_back") else { return };
    let log = pipeline.log();
    let is_there = |n: u64| {
        let query = format!("message:\"n={n}\"");
        until(&query, || match pipeline.documents.count(&query) {
            0 => Err("it is not there".to_owned()),
            found => Ok(found),
        })
    };
    told(&pipeline, &log, 0..TEXTS, TEXT_BYTES);
    told(&pipeline, &log, TEXTS..TEXTS + 1, 1);
    let transformer = pipeline.transformer();
    is_there(TEXTS);
    transformer.stop();
    let stream = format!("/logs-laravel.log-{}", pipeline.name);
    // Neither the write index nor the one before it has them then.
    for _ in 0..3 {
        let rolled = pipeline.documents.ask("POST", &format!("{stream}/_rollover"), "");
        rolled.expect("rolled over");
    }
    let group = format!("{}_anew", pipeline.name);
    let transformer = pipeline.start("tahoe-transformer", &["--group", &group]);
    // It is read after all that is read again.
    told(&pipeline, &log, TEXTS + 1..TEXTS + 2, 1);
    is_there(TEXTS + 1);
    transformer.stop();
    let documents = pipeline.documents.find("*");
    each_once(documents.iter().map(|document| document.number()), 0..TEXTS + 2);
}
