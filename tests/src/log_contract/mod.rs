//! What every [`Log`] promises. Each function is one promise and panics where it is broken;
//! [`log_contract!`](crate::log_contract!) makes a test of each.

mod subject;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use subject::{PATIENCE, now_ms, values};
pub use subject::{Seen, Subject, append, durable, outgoing, poll, read, scan};
use tahoe_seams::{Log, LogError, Outgoing, Topic};

/// Bytes, key, timestamp and header are those that were given.
pub fn a_record_comes_back_as_it_was_given(subject: &Subject) {
    let (log, topic) = subject.start(1);
    let binary: Vec<u8> = (0..=255).collect();
    let at = now_ms() - 5000;
    let base = Outgoing { timestamp_ms: at, ..outgoing(&topic, 0, b"first") };
    let more_headers: &[(&str, &[u8])] = &[("reason", b"x"), ("offset", b"7")];
    let records = [
        base,
        Outgoing { value: &binary, key: b"", header: None, ..base },
        Outgoing { value: b"third", key: &binary, header: Some(&binary), more_headers, ..base },
    ];
    assert_eq!(durable(&log.append(&records).expect("accepted")), [(topic.clone(), 0, 2)]);
    let seen = scan(&*log, &topic, 0, 0, 3);
    assert_eq!(values(&seen), [&b"first"[..], &binary, b"third"]);
    assert_eq!(seen.iter().map(|one| one.offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(seen.iter().all(|one| one.timestamp_ms == at));
    assert_eq!(seen.iter().map(|one| &one.key[..]).collect::<Vec<_>>(), [b"k", &b""[..], &binary]);
    let headers: Vec<_> = seen.iter().map(|one| one.header.as_deref()).collect();
    assert_eq!(headers, [Some(&b"h"[..]), None, Some(&binary)]);
}

/// Offsets grow by one within a partition, over appends, partitions and reopening.
pub fn offsets_are_dense_in_each_partition(subject: &Subject) {
    let (log, topic) = subject.start(3);
    let mut records = Vec::new();
    for turn in 0..30 {
        records.push(outgoing(&topic, turn % 3, b"x"));
    }
    let mut reached = durable(&log.append(&records).expect("accepted"));
    reached.sort();
    let expected: Vec<_> = (0..3).map(|partition| (topic.clone(), partition, 9)).collect();
    assert_eq!(reached, expected);
    drop(log);
    let log = (subject.open)();
    assert_eq!(append(&*log, &topic, 1, &[b"y"]), 10);
    let seen = scan(&*log, &topic, 1, 0, 11);
    assert_eq!(seen.iter().map(|one| one.offset).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
}

/// What was acknowledged is there after the log was closed and opened.
pub fn an_acknowledged_append_survives_reopening(subject: &Subject) {
    let (log, topic) = subject.start(2);
    append(&*log, &topic, 1, &[b"a", b"b"]);
    drop(log);
    let log = (subject.open)();
    assert_eq!(log.partitions(&topic).expect("still there"), 2);
    assert_eq!(values(&scan(&*log, &topic, 1, 0, 2)), [b"a", b"b"]);
}

/// A group goes on where it committed, not where it read.
pub fn a_group_resumes_where_it_committed(subject: &Subject) {
    let (log, topic) = subject.start(1);
    append(&*log, &topic, 0, &[b"0", b"1", b"2", b"3"]);
    let group = subject.name("group");
    let topics = [topic.clone()];
    let mut reader = log.reader(&group, &topics).expect("joined");
    assert_eq!(read(&mut *reader, 4).len(), 4);
    reader.commit(&[(topic.clone(), 0, 2)]).expect("committed");
    drop(reader);
    drop(log);
    let log = (subject.open)();
    let mut reader = log.reader(&group, &topics).expect("joined");
    let seen = read(&mut *reader, 2);
    assert_eq!(values(&seen), [b"2", b"3"]);
    assert_eq!(reader.lag().expect("known"), [(topic, 0, 0)]);
}

/// Groups do not take records from each other.
pub fn another_group_sees_everything(subject: &Subject) {
    let (log, topic) = subject.start(1);
    append(&*log, &topic, 0, &[b"0", b"1"]);
    let topics = [topic.clone()];
    let mut first = log.reader(&subject.name("one"), &topics).expect("joined");
    assert_eq!(read(&mut *first, 2).len(), 2);
    first.commit(&[(topic, 0, 2)]).expect("committed");
    let mut second = log.reader(&subject.name("two"), &topics).expect("joined");
    assert_eq!(values(&read(&mut *second, 2)), [b"0", b"1"]);
}

/// A visitor that breaks has seen that record, and the next call goes on behind it.
pub fn a_visit_that_breaks_goes_on_behind_that_record(subject: &Subject) {
    let (log, topic) = subject.start(1);
    append(&*log, &topic, 0, &[b"0", b"1", b"2"]);
    let mut reader = log.reader(&subject.name("group"), &[topic]).expect("joined");
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < 3 && Instant::now() < deadline {
        let before = seen.len();
        let visit = &mut |record: tahoe_seams::LogRecord<'_>| {
            seen.push(record.value.to_vec());
            ControlFlow::Break(())
        };
        reader.read(Duration::from_millis(200), visit).expect("readable");
        assert!(seen.len() <= before + 1);
    }
    assert_eq!(seen, [b"0", b"1", b"2"]);
}

/// A fence takes the next offset and has no value.
pub fn a_fence_has_an_offset_and_no_value(subject: &Subject) {
    let (log, topic) = subject.start(2);
    append(&*log, &topic, 1, &[b"a"]);
    assert_eq!(log.fence(&topic, 1).expect("fenced"), 1);
    assert_eq!(log.fence(&topic, 0).expect("fenced"), 0);
    assert_eq!(append(&*log, &topic, 1, &[b"b"]), 2);
    assert_eq!(values(&scan(&*log, &topic, 1, 0, 3)), [&b"a"[..], b"", b"b"]);
}

/// A scan visits its range, ends where the partition ends, and stops where it is told to.
pub fn a_scan_visits_its_range_and_no_more(subject: &Subject) {
    let (log, topic) = subject.start(2);
    append(&*log, &topic, 0, &[b"0", b"1", b"2", b"3", b"4"]);
    assert_eq!(values(&scan(&*log, &topic, 0, 1, 3)), [b"1", b"2"]);
    assert_eq!(values(&scan(&*log, &topic, 0, 4, 999)), [b"4"]);
    assert!(scan(&*log, &topic, 0, 5, 999).is_empty());
    assert!(scan(&*log, &topic, 0, 700, 999).is_empty());
    assert!(scan(&*log, &topic, 0, 3, 3).is_empty());
    assert!(scan(&*log, &topic, 1, 0, 9).is_empty());
    let mut visited = 0;
    log.scan(&topic, 0, 0, 5, &mut |_| {
        visited += 1;
        ControlFlow::Break(())
    })
    .expect("scanned");
    assert_eq!(visited, 1);
}

/// The latest value of a key counts, a removed key is gone, and both survive reopening.
pub fn positions_are_replaced_and_removed(subject: &Subject) {
    let (log, _) = subject.start(1);
    let change = |key: &[u8], value: Option<&[u8]>| (key.to_vec(), value.map(<[u8]>::to_vec));
    assert!(log.positions().expect("readable").is_empty());
    log.store_positions(&[change(b"a", Some(b"1")), change(b"b", Some(b"1"))]).expect("stored");
    log.store_positions(&[change(b"a", Some(b"2")), change(b"b", None)]).expect("stored");
    log.store_positions(&[change(b"c", Some(b"3"))]).expect("stored");
    let expected = vec![(b"a".to_vec(), b"2".to_vec()), (b"c".to_vec(), b"3".to_vec())];
    let sorted = |log: &dyn Log| {
        let mut positions = log.positions().expect("readable");
        positions.sort();
        positions
    };
    assert_eq!(sorted(&*log), expected);
    drop(log);
    assert_eq!(sorted(&*(subject.open)()), expected);
}

/// A topic that is not there is an error of its own, from every call.
pub fn a_missing_topic_is_named(subject: &Subject) {
    let (log, _) = subject.start(1);
    let missing = subject.name("missing");
    let named = |error: LogError| matches!(error, LogError::NoTopic(name) if name == missing);
    assert!(named(log.partitions(&missing).expect_err("missing")));
    let appended = match log.append(&[outgoing(&missing, 0, b"x")]) {
        Ok(pending) => pending.wait(PATIENCE).expect("answered").map(drop),
        Err(error) => Err(error),
    };
    assert!(named(appended.expect_err("missing")));
    assert!(named(log.fence(&missing, 0).expect_err("missing")));
    assert!(named(log.scan(&missing, 0, 0, 1, &mut |_| ControlFlow::Break(())).expect_err("gone")));
    assert!(named(log.reader("g", std::slice::from_ref(&missing)).err().expect("missing")));
}

/// A record over the limit is refused, and the log goes on.
pub fn a_record_over_the_limit_is_refused(subject: &Subject) {
    let (log, topic) = subject.start(1);
    let large = vec![b'x'; subject.record_bytes_max + 1];
    let refused = match log.append(&[outgoing(&topic, 0, &large)]) {
        Ok(pending) => pending.wait(PATIENCE).expect("answered").map(drop),
        Err(error) => Err(error),
    };
    assert!(
        matches!(refused, Err(LogError::TooLarge { limit, .. }) if limit == subject.record_bytes_max)
    );
    let fits = &large[..subject.record_bytes_max - 1000];
    append(&*log, &topic, 0, &[fits, b"after"]);
    let seen = scan(&*log, &topic, 0, 0, u64::MAX);
    assert_eq!(values(&seen), [fits, b"after"]);
}

/// What is there already stays as it is.
pub fn setup_twice_changes_nothing(subject: &Subject) {
    let (log, topic) = subject.start(2);
    append(&*log, &topic, 1, &[b"a"]);
    let again = [Topic { name: topic.clone(), partitions: 9, compacted: false }];
    log.setup(&again).expect("nothing to do");
    assert_eq!(log.partitions(&topic).expect("there"), 2);
    assert_eq!(values(&scan(&*log, &topic, 1, 0, 1)), [b"a"]);
}

/// The newer claim of a name holds, the older is told, and another name is nobody's business.
pub fn a_newer_claim_fences_the_older(subject: &Subject) {
    let (log, _) = subject.start(1);
    let (owner, other) = (subject.name("owner"), subject.name("other"));
    let older = log.own(&owner).expect("claimed");
    let unrelated = log.own(&other).expect("claimed");
    assert!(older.lost().is_none());
    let newer = log.own(&owner).expect("claimed");
    let deadline = Instant::now() + PATIENCE;
    while older.lost().is_none() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert!(matches!(older.lost(), Some(LogError::Fenced(name)) if name == owner));
    assert!(newer.lost().is_none() && unrelated.lost().is_none());
}

/// A reader is behind by what follows its place, or where it read nothing the group's, or else by
/// everything.
pub fn lag_is_told_of_every_partition(subject: &Subject) {
    let (log, topic) = subject.start(3);
    let (group, topics) = (subject.name("group"), [topic.clone()]);
    append(&*log, &topic, 0, &[b"0"]);
    append(&*log, &topic, 1, &[b"1", b"2"]);
    let mut reader = log.reader(&group, &topics).expect("joined");
    assert_eq!(read(&mut *reader, 3).len(), 3);
    reader.commit(&[(topic.clone(), 0, 1), (topic.clone(), 1, 2)]).expect("committed");
    drop(reader);
    append(&*log, &topic, 0, &[b"3"]);
    let mut reader = log.reader(&group, &topics).expect("joined");
    assert_eq!(values(&read(&mut *reader, 1)), [b"3"]);
    reader.pause(true).expect("paused");
    append(&*log, &topic, 0, &[b"4"]);
    append(&*log, &topic, 1, &[b"5", b"6", b"7"]);
    append(&*log, &topic, 2, &[b"8", b"9"]);
    let mut lag = reader.lag().expect("known");
    lag.sort_unstable();
    assert_eq!(lag, [(topic.clone(), 0, 1), (topic.clone(), 1, 3), (topic, 2, 2)]);
}

/// A paused reader visits nothing, and everything once it is resumed.
pub fn a_paused_reader_visits_nothing(subject: &Subject) {
    let (log, topic) = subject.start(1);
    append(&*log, &topic, 0, &[b"0"]);
    let mut reader = log.reader(&subject.name("group"), std::slice::from_ref(&topic)).expect("in");
    assert_eq!(read(&mut *reader, 1).len(), 1);
    reader.pause(true).expect("paused");
    append(&*log, &topic, 0, &[b"1", b"2"]);
    let mut seen = Vec::new();
    for _ in 0..5 {
        poll(&mut *reader, Duration::from_millis(100), &mut seen);
    }
    assert!(seen.is_empty());
    assert_eq!(reader.lag().expect("known"), [(topic, 0, 2)]);
    reader.pause(false).expect("resumed");
    assert_eq!(values(&read(&mut *reader, 2)), [b"1", b"2"]);
}

/// A hundred thousand records in many appends in flight come back exactly once and in order.
pub fn a_hundred_thousand_records_come_back_exactly_once(subject: &Subject) {
    const RECORDS: u32 = 100_000;
    let (log, topic) = subject.start(3);
    let bodies: Vec<String> = (0..RECORDS).map(|n| format!("{n:0>200}")).collect();
    let mut pending = Vec::new();
    for (chunk, bodies) in bodies.chunks(1000).enumerate() {
        let partition = |at: usize| u32::try_from((chunk * 1000 + at) % 3).expect("below 3");
        let records: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(at, body)| outgoing(&topic, partition(at), body.as_bytes()))
            .collect();
        pending.push(log.append(&records).expect("accepted"));
    }
    for one in &pending {
        durable(one);
    }
    let mut reader = log.reader(&subject.name("group"), &[topic]).expect("joined");
    let seen = read(&mut *reader, RECORDS as usize);
    for partition in 0..3 {
        let read = seen.iter().filter(|one| one.partition == partition).map(|one| &one.value[..]);
        let given = bodies.iter().skip(partition as usize).step_by(3).map(|body| body.as_bytes());
        assert!(read.eq(given), "partition {partition} differs");
    }
}

/// Threads that append at the same time each keep their own order, and nothing is lost.
pub fn concurrent_appends_keep_the_order_of_each_thread(subject: &Subject) {
    let (log, topic) = subject.start(1);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (log, topic) = (&log, &topic);
            scope.spawn(move || {
                for n in 0..50 {
                    append(&**log, topic, 0, &[format!("{thread} {n:02}").as_bytes()]);
                }
            });
        }
    });
    let seen = scan(&*log, &topic, 0, 0, u64::MAX);
    assert_eq!(seen.len(), 200);
    for thread in ["0 ", "1 ", "2 ", "3 "] {
        let own: Vec<_> =
            seen.iter().filter(|one| one.value.starts_with(thread.as_bytes())).collect();
        assert_eq!(own.len(), 50);
        assert!(own.is_sorted_by_key(|one| &one.value));
    }
}

/// What a replay asks of a log: what it holds, from when on, and what stands in any header.
pub fn further_headers_are_found_and_held_offsets_are_told(subject: &Subject) {
    let (log, topic) = subject.start(2);
    assert_eq!(log.offsets(&topic, 1, None).expect("told"), 0..0);
    let now = now_ms();
    let base = outgoing(&topic, 1, b"value");
    let more_headers: &[(&str, &[u8])] = &[("code", b"x"), ("reason", b"\xff"), ("code", b"y")];
    let records = [
        Outgoing { timestamp_ms: now - 60_000, ..base },
        Outgoing { timestamp_ms: now, more_headers, ..base },
    ];
    durable(&log.append(&records).expect("accepted"));
    let mut found = Vec::new();
    log.scan(&topic, 1, 0, 2, &mut |record| {
        let find = |name| record.more_headers.find(name).map(<[u8]>::to_vec);
        found.push(["code", "reason", "other"].map(find));
        ControlFlow::Continue(())
    })
    .expect("scanned");
    let second = [Some(b"x".to_vec()), Some(b"\xff".to_vec()), None];
    assert_eq!(found, [[None, None, None], second]);
    assert_eq!(log.offsets(&topic, 1, None).expect("told"), 0..2);
    // It may begin earlier, never later.
    let later = log.offsets(&topic, 1, Some(now)).expect("told");
    assert!(later.start <= 1 && later.end == 2, "{later:?}");
    assert_eq!(log.offsets(&topic, 0, Some(now)).expect("told"), 0..0);
    let asked = [(topic.as_str(), 1), (topic.as_str(), 7), (topic.as_str(), 0)];
    assert_eq!(log.ends(&asked).expect("told"), [Some(2), None, Some(0)]);
    assert_eq!(log.ends(&[]).expect("told"), []);
}

/// Makes one test of each promise; the argument turns the test's name into `Option<Subject>`,
/// `None` to skip.
#[macro_export]
macro_rules! log_contract {
    ($subject:expr) => {
        $crate::log_contract! { $subject =>
            a_record_comes_back_as_it_was_given
            offsets_are_dense_in_each_partition
            an_acknowledged_append_survives_reopening
            a_group_resumes_where_it_committed
            another_group_sees_everything
            a_visit_that_breaks_goes_on_behind_that_record
            a_fence_has_an_offset_and_no_value
            a_scan_visits_its_range_and_no_more
            further_headers_are_found_and_held_offsets_are_told
            positions_are_replaced_and_removed
            a_missing_topic_is_named
            a_record_over_the_limit_is_refused
            setup_twice_changes_nothing
            a_newer_claim_fences_the_older
            lag_is_told_of_every_partition
            a_paused_reader_visits_nothing
            a_hundred_thousand_records_come_back_exactly_once
            concurrent_appends_keep_the_order_of_each_thread
        }
    };
    ($subject:expr => $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                if let Some(subject) = $subject(stringify!($promise)) {
                    $crate::log_contract::$promise(&subject);
                }
            }
        )*
    };
}
