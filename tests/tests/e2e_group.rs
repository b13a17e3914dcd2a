//! What the transformer does as a member of its group, against real servers: a batch that is rejected
//! as a whole.

use tahoe_seams::{Log, Outgoing};
use tahoe_tests::documents::each_once;
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
