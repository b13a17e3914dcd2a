//! What is a repetition, whose lane it goes on in, and when a lane is forgotten.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tahoe_seams::{Known, Origin, SourceId, Stream};

use super::Lanes;
use super::lanes::LANES_MAX;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: i64 = 3_600_000;

fn lanes_holding(records: &[u64]) -> Lanes {
    let lanes = Lanes::new(HOUR);
    let context: Vec<u8> = records.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    let identity = serde_json::json!({"relp": "relp://a", "peer": PEER.to_string(), "seen_ms": 0});
    let source = SourceId([1; 16]);
    let next = 100 + records.len() as u64;
    let known = Known { source, generation: 0, next, context, identity };
    lanes.restore(&known, 0, |_, _, _| stream());
    lanes
}

fn stream() -> Arc<Stream> {
    let origin = Origin::default();
    Arc::new(Stream { origin, topic: String::new(), key: Vec::new(), lane: None, resumable: true })
}

/// What nothing has to be waited for.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// How many of `sent` are taken for a repetition of the end of `held`.
fn repeated(held: &[u64], sent: &[u64]) -> usize {
    let lanes = lanes_holding(held);
    let mut alignment = lanes.align("relp://a", PEER, sent[0]);
    let _ = sent.iter().all(|hash| alignment.take(*hash));
    now(lanes.settle(&alignment)).map_or(0, |(_, records)| records)
}

#[test]
fn only_what_reaches_the_end_of_a_lane_is_a_repetition() {
    assert_eq!(repeated(&[1, 2, 3, 4], &[3, 4, 5, 6]), 2);
    assert_eq!(repeated(&[1, 2, 3, 4], &[1, 2, 3, 4]), 4);
    assert_eq!(repeated(&[1, 2, 3, 4], &[2, 3, 5]), 0);
    assert_eq!(repeated(&[1, 2, 3, 4], &[5, 4]), 0);
    assert_eq!(repeated(&[], &[5, 4]), 0);
}

#[test]
fn equal_records_are_counted_and_not_merged() {
    assert_eq!(repeated(&[7, 7, 7, 7], &[7, 7, 8]), 2);
    assert_eq!(repeated(&[1, 2, 1, 2], &[1, 2, 3]), 2);
    assert_eq!(repeated(&[1, 2, 1, 2], &[1, 2, 1, 2]), 4);
}

#[test]
fn what_was_too_much_to_compare_is_news_when_it_comes_again() {
    let lanes = lanes_holding(&[1, 2, 3]);
    lanes.align("relp://a", PEER, 1).give_up();
    let mut alignment = lanes.align("relp://a", PEER, 1);
    assert!(!alignment.take(1) && alignment.repetition().is_none());
}

/// Whether these records of a second connection could be a repetition of what the first brought,
/// of which so many are durable.
fn repeats_what_is_busy(durable: u64, sent: &[u64]) -> bool {
    let lanes = lanes_holding(&[1]);
    let busy = lanes.take("relp://a", PEER, 0, stream);
    let first = busy.next();
    for hash in 2..5 {
        busy.append(hash, 8);
    }
    busy.release(first + durable);
    let mut alignment = lanes.align("relp://a", PEER, sent[0]);
    let _ = sent.iter().all(|hash| alignment.take(*hash));
    alignment.repetition().is_some()
}

#[test]
fn what_a_connection_has_no_answer_for_is_repeated_as_a_whole_or_not_at_all() {
    assert!(repeats_what_is_busy(0, &[2, 3, 4]));
    assert!(repeats_what_is_busy(1, &[3, 4, 5]));
    assert!(repeats_what_is_busy(1, &[1, 2, 3, 4]), "not every answer arrived");
    assert!(!repeats_what_is_busy(0, &[3, 4]), "nothing that has no answer is left out");
    assert!(!repeats_what_is_busy(3, &[2, 3, 4]), "all was answered");
}

#[test]
fn a_lane_goes_on_for_the_next_connection_and_a_second_one_gets_its_own() {
    let lanes = lanes_holding(&[1]);
    let first = lanes.take("relp://a", PEER, 0, stream);
    assert_eq!((first.append(9, 2), first.append(8, 2)), (101, 102));
    assert_eq!(first.carried(102), 9u64.to_le_bytes());
    let second = lanes.take("relp://a", PEER, 0, stream);
    assert_eq!(second.next(), 0);
    first.free(0);
    assert_eq!(lanes.take("relp://a", PEER, 0, stream).next(), 103);
}

#[test]
fn a_lane_is_forgotten_when_it_had_no_connection_for_long_and_all_of_it_is_durable() {
    let lanes = lanes_holding(&[1]);
    assert!(lanes.sweep(HOUR_MS - 1).forgotten.is_empty());
    let lane = lanes.take("relp://a", PEER, HOUR_MS, stream);
    let end = lane.append(2, 8) + 1;
    assert!(lanes.sweep(5 * HOUR_MS).forgotten.is_empty(), "it has a connection");
    lane.free(5 * HOUR_MS);
    assert!(lanes.sweep(7 * HOUR_MS).forgotten.is_empty(), "it is not durable");
    lane.release(end);
    assert_eq!(lanes.sweep(7 * HOUR_MS).forgotten, [lane.stream.origin.source]);
    assert_eq!(lanes.take("relp://a", PEER, 7 * HOUR_MS, stream).next(), 0);
}

#[test]
fn a_lane_tells_when_it_was_seen_and_begins_there_after_a_restart() {
    let lanes = lanes_holding(&[1]);
    let lane = lanes.take("relp://a", PEER, 0, stream);
    assert!(lanes.sweep(HOUR_MS / 20).seen.is_empty());
    let seen = lanes.sweep(HOUR_MS / 2).seen;
    assert_eq!(seen.len(), 1);
    assert!(lanes.sweep(HOUR_MS / 2 + 1).seen.is_empty());
    lane.free(HOUR_MS / 2);
    let restarted = Lanes::new(HOUR);
    let known = Known {
        source: SourceId([1; 16]),
        generation: 0,
        next: 1,
        context: Vec::new(),
        identity: serde_json::json!({
            "relp": "relp://a", "peer": PEER.to_string(),
            "seen_ms": seen[0].identity()["seen_ms"],
        }),
    };
    restarted.restore(&known, HOUR_MS, |_, _, _| stream());
    assert!(restarted.sweep(HOUR_MS).forgotten.is_empty());
    assert_eq!(restarted.sweep(HOUR_MS + HOUR_MS / 2).forgotten.len(), 1);
}

#[test]
fn the_senders_seen_longest_ago_go_when_there_are_too_many() {
    let lanes = Lanes::new(HOUR);
    for number in 0..LANES_MAX + 10 {
        let peer = IpAddr::from((number as u128).to_be_bytes());
        lanes.take("relp://a", peer, 0, stream).free(number as i64);
    }
    assert_eq!(lanes.sweep(HOUR_MS / 2).forgotten.len(), 10);
    assert!(lanes.sweep(HOUR_MS / 2).forgotten.is_empty());
}
