//! Kafka keeps the contract, shares partitions between readers, and loses nothing when it restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tahoe_pipeline::header::{encode, encode_origin, encode_pack};
use tahoe_pipeline::log::kafka::{Headers, KafkaArgs, KafkaLog, LostOffsets, SecurityProtocol};
use tahoe_seams::{Log, LogError, LogReader, Origin, Outgoing, Polled, RecordId, Topic};
use tahoe_tests::log_contract::{Subject, append, durable, outgoing, poll, read, scan};

const RECORD_BYTES_MAX: usize = 2 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Address of the broker under test; `None` skips, unless the tests are to run in full.
fn brokers() -> Option<String> {
    let brokers = std::env::var("TAHOE_TEST_KAFKA").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        let required = std::env::var("TAHOE_TEST_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!required, "TAHOE_TEST_KAFKA is not set, and TAHOE_TEST_REQUIRED=1 asks for it");
        eprintln!("skipped: TAHOE_TEST_KAFKA is not set (tests/all sets it)");
    }
    brokers
}

fn args(brokers: &str, prefix: &str) -> KafkaArgs {
    KafkaArgs {
        record_bytes_max: RECORD_BYTES_MAX,
        kafka_positions_topic: format!("{prefix}_positions"),
        ..KafkaArgs::at(brokers)
    }
}

/// Names that no other test, and no earlier run, has used.
fn prefix(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("test_{name}_{}", now.as_nanos())
}

fn subject(name: &str) -> Option<Subject> {
    let brokers = brokers()?;
    let prefix = prefix(name);
    let args = args(&brokers, &prefix);
    Some(Subject {
        positions_topic: args.kafka_positions_topic.clone(),
        record_bytes_max: RECORD_BYTES_MAX,
        prefix,
        open: Box::new(move || Box::new(KafkaLog::connect(&args, "test").expect("connects"))),
    })
}

tahoe_tests::log_contract!(subject);

fn start(brokers: &str, name: &str, partitions: u32) -> (KafkaLog, String) {
    let topic = prefix(name);
    let log = KafkaLog::connect(&args(brokers, &topic), "test").expect("connects");
    let topics = [Topic { name: topic.clone(), partitions, compacted: false }];
    log.setup(&topics).expect("created");
    (log, topic)
}

#[test]
fn a_second_reader_gets_its_share_only_after_the_first_has_let_go() {
    let Some(brokers) = brokers() else { return };
    let (log, topic) = start(&brokers, "rebalance", 4);
    let topics = [topic.clone()];
    let mut first = log.reader(&topic, &topics).expect("joined");
    for partition in 0..4 {
        append(&log, &topic, partition, &[b"0", b"1"]);
    }
    assert_eq!(read(&mut *first, 8).len(), 8);
    let mut second = log.reader(&topic, &topics).expect("joined");
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    let mut unexpected = Vec::new();
    let taken = loop {
        assert!(Instant::now() < deadline, "nothing was revoked");
        poll(&mut *second, Duration::from_millis(20), &mut unexpected);
        let polled = first.read(Duration::from_millis(20), &mut |_| unreachable!("all is read"));
        if let Polled::Revoking(taken) = polled.expect("readable") {
            break taken;
        }
    };
    assert_eq!(taken.len(), 2);
    // Until it lets go, the second reader gets nothing.
    for _ in 0..20 {
        poll(&mut *second, Duration::from_millis(50), &mut unexpected);
        first.read(Duration::ZERO, &mut |_| unreachable!("all is read")).expect("readable");
    }
    assert!(unexpected.is_empty());
    let commits: Vec<_> = taken.iter().map(|(topic, of)| (topic.clone(), *of, 1)).collect();
    first.commit(&commits).expect("committed");
    first.confirm_revoked().expect("confirmed");
    while seen.len() < 2 && Instant::now() < deadline {
        poll(&mut *second, Duration::from_millis(20), &mut seen);
        poll(&mut *first, Duration::from_millis(20), &mut unexpected);
    }
    let moved: BTreeSet<_> = seen.iter().map(|one| one.partition).collect();
    assert_eq!(moved, taken.iter().map(|(_, partition)| *partition).collect());
    assert!(seen.iter().all(|one| one.offset == 1));
    assert!(unexpected.is_empty());
    let kept = first.lag().expect("known");
    assert_eq!(kept.len(), 2);
}

#[test]
fn a_reader_that_is_gone_leaves_its_partitions_to_the_other() {
    let Some(brokers) = brokers() else { return };
    let (log, topic) = start(&brokers, "leave", 2);
    let topics = [topic.clone()];
    let first = log.reader(&topic, &topics).expect("joined");
    let mut second = log.reader(&topic, &topics).expect("joined");
    assert!(second.lag().expect("known").is_empty(), "it has no partition yet");
    drop(first);
    append(&log, &topic, 0, &[b"0"]);
    append(&log, &topic, 1, &[b"0"]);
    assert_eq!(read(&mut *second, 2).len(), 2);
}

/// Deletes the records before `offset`, as retention does.
fn delete_before(brokers: &str, topic: &str, offset: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("settings are fine");
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("an offset");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let deleted = runtime.block_on(admin.delete_records(&gone, &AdminOptions::new()));
    let deleted = deleted.expect("deleted");
    deleted.elements()[0].error().expect("deleted");
}

#[test]
fn records_that_retention_deleted_unread_stop_a_group_and_a_recovery_unless_told_otherwise() {
    let Some(brokers) = brokers() else { return };
    let (log, topic) = start(&brokers, "retention", 1);
    let topics = [topic.clone()];
    append(&log, &topic, 0, &[b"0", b"1", b"2", b"3", b"4", b"5", b"6"]);
    let mut reader = log.reader(&topic, &topics).expect("joined");
    assert_eq!(read(&mut *reader, 7).len(), 7);
    reader.commit(&[(topic.clone(), 0, 2)]).expect("committed");
    drop(reader);
    delete_before(&brokers, &topic, 2);
    assert_eq!(scan(&log, &topic, 0, 2, 7).len(), 5, "what is gone was read");
    delete_before(&brokers, &topic, 5);
    let mut reader = log.reader(&topic, &topics).expect("joined");
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        assert!(Instant::now() < deadline, "the group was told nothing");
        match reader.read(Duration::from_millis(50), &mut |_| unreachable!("some are gone")) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let stops = |error: &LogError| {
        let text = error.to_string();
        let says = text.contains("offsets 2 to 4") && text.contains("--kafka-lost-offsets");
        assert!(matches!(error, LogError::Stop(..)) && says, "{text}");
    };
    stops(&told);
    drop(reader);
    let scanned = log.scan(&topic, 0, 2, 7, &mut |_| unreachable!("some are gone"));
    stops(&scanned.expect_err("some are gone"));
    let args = KafkaArgs {
        kafka_lost_offsets: LostOffsets::Earliest,
        ..args(&brokers, &prefix("retention"))
    };
    let log = KafkaLog::connect(&args, "test").expect("connects");
    let mut reader = log.reader(&topic, &topics).expect("joined");
    assert_eq!(read(&mut *reader, 2).len(), 2);
    assert_eq!(scan(&log, &topic, 0, 2, 7).len(), 2);
}

#[test]
fn check_says_what_is_there_and_names_what_is_missing() {
    let Some(brokers) = brokers() else { return };
    let (log, topic) = start(&brokers, "check", 3);
    let positions = Topic { name: format!("{topic}_positions"), partitions: 1, compacted: true };
    log.setup(&[positions]).expect("created");
    let said = log.check(std::slice::from_ref(&topic)).expect("all is there");
    assert!(said.contains(&format!("topic {topic}: 3 partition(s), 1 replica(s)")), "{said}");
    let missing = log.check(&["tahoe_test_missing".to_owned()]).expect_err("missing");
    assert!(matches!(missing, LogError::NoTopic(name) if name == "tahoe_test_missing"));
}

#[test]
fn a_group_that_is_new_or_set_back_reads_again_what_there_is_until_it_is_past_it() {
    let Some(brokers) = brokers() else { return };
    let (log, topic) = start(&brokers, "set_back", 1);
    append(&log, &topic, 0, &[b"0", b"1", b"2", b"3"]);
    let join = || log.reader(&topic, std::slice::from_ref(&topic)).expect("joined");
    let commit = |reader: &mut dyn LogReader, next| {
        reader.commit(&[(topic.clone(), 0, next)]).expect("committed");
    };
    let replayed_to = |reader: &dyn LogReader| reader.replayed_to(&topic, 0);

    let mut new = join();
    assert_eq!(read(&mut *new, 4).len(), 4);
    assert_eq!(replayed_to(&*new), 4);
    commit(&mut *new, 2);
    drop(new);
    let mut half_way = join();
    assert_eq!(read(&mut *half_way, 2).len(), 2);
    assert_eq!(replayed_to(&*half_way), 4, "a restart on the way has not forgotten it");
    commit(&mut *half_way, 4);
    drop(half_way);
    append(&log, &topic, 0, &[b"4", b"5"]);
    let mut past = join();
    assert_eq!(read(&mut *past, 2).len(), 2);
    assert_eq!(replayed_to(&*past), 4, "what was appended since is new");
    commit(&mut *past, 6);
    drop(past);

    // As Kafka's own tool does it.
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &brokers).set("group.id", &topic);
    let operator: BaseConsumer = config.create().expect("a client");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, Offset::Offset(1)).expect("an offset");
    operator.commit(&offsets, rdkafka::consumer::CommitMode::Sync).expect("set back");
    let mut set_back = join();
    assert_eq!(read(&mut *set_back, 5).len(), 5);
    assert_eq!(replayed_to(&*set_back), 6);
}

#[test]
fn brokers_that_do_not_answer_are_told_within_ten_seconds_with_the_setting() {
    // Nothing listens on the port of the discard service here; no broker is needed for this test.
    let log = KafkaLog::connect(&KafkaArgs::at("127.0.0.1:9"), "test").expect("settings are fine");
    let start = Instant::now();
    let error = log.check(&[]).expect_err("unreachable");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(
        matches!(&error, LogError::Retry(text, _) if text.contains("KAFKA_BOOTSTRAP_SERVERS")),
        "{error}"
    );
}

#[test]
fn tls_to_a_broker_that_speaks_none_names_the_settings_of_tls() {
    let Some(brokers) = brokers() else { return };
    let args = KafkaArgs {
        kafka_security_protocol: SecurityProtocol::Ssl,
        ..args(&brokers, "tahoe_test")
    };
    let log = KafkaLog::connect(&args, "test").expect("settings are fine");
    let error = log.check(&[]).expect_err("no TLS there");
    assert!(error.to_string().contains("KAFKA_SECURITY_PROTOCOL"), "{error}");
}

/// The headers of the first record of a topic, as any reader finds them.
fn first_headers(brokers: &str, topic: &str) -> BTreeMap<String, String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", topic)
        .set("enable.auto.commit", "false")
        .create()
        .expect("settings are fine");
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&start).expect("assigned");
    let message = consumer.poll(PATIENCE).expect("a record").expect("readable");
    let headers = message.headers().expect("it has headers").iter();
    let text = |value: Option<&[u8]>| String::from_utf8(value.expect("a value").to_vec());
    headers.map(|one| (one.key.to_owned(), text(one.value).expect("UTF-8"))).collect()
}

#[test]
fn a_record_is_a_cloudevent_for_other_readers_and_the_same_for_our_own() {
    let Some(brokers) = brokers() else { return };
    let (_, topic) = start(&brokers, "cloudevents", 1);
    let args = KafkaArgs { kafka_headers: Headers::CloudEvents, ..args(&brokers, &topic) };
    let log = KafkaLog::connect(&args, "test").expect("connects");
    let origin = Origin {
        dataset: "laravel.log".to_owned(),
        namespace: "acme".to_owned(),
        host: "web-1".to_owned(),
        path: "/srv/a b/é.log".to_owned(),
        ..Origin::default()
    };
    let id = RecordId::new(1_700_000_000_000, origin.source, 0, (7, 12), b"line");
    let mut header = Vec::new();
    let encoded = encode_origin(&origin);
    encode(&mut header, id, (7, 12), None, b"", &encoded);
    let record = Outgoing {
        header: Some(&header),
        timestamp_ms: 1_700_000_000_001,
        ..outgoing(&topic, 0, b"line")
    };
    durable(&log.append(&[record]).expect("accepted"));
    let found = first_headers(&brokers, &topic);
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_id", &id.to_string()),
        ("ce_source", "file://web-1/srv/a%20b/%C3%A9.log"),
        ("ce_type", "laravel.log"),
        ("ce_subject", "7-12"),
        ("ce_time", "2023-11-14T22:13:20.001Z"),
        ("ce_namespace", "acme"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!found.contains_key("tahoe"), "{found:?}");
    assert_eq!(scan(&log, &topic, 0, 0, 1)[0].header.as_ref(), Some(&header));
    let mut reader = log.reader(&topic, std::slice::from_ref(&topic)).expect("joined");
    assert_eq!(read(&mut *reader, 1)[0].header.as_ref(), Some(&header));
    let mut pack = Vec::new();
    encode_pack(&mut pack, 1_700_000_000_000, 12, &[(4, 5), (4, 5)], &encoded);
    let packed = Outgoing { header: Some(&pack), ..outgoing(&topic, 0, b"line\nline") };
    let refused = log.append(&[packed]).expect("accepted").wait(PATIENCE).expect("told");
    assert!(refused.expect_err("refused").to_string().contains("--pack"));
}

/// Stops the broker by its process id and starts it with the command that the tests give.
fn restart(pid_file: &PathBuf, start: &str) {
    let pid = std::fs::read_to_string(pid_file).expect("the broker's pid file");
    let killed = Command::new("kill").arg(pid.trim()).status().expect("kill runs");
    assert!(killed.success());
    let deadline = Instant::now() + PATIENCE;
    let process = PathBuf::from("/proc").join(pid.trim());
    // A zombie has no command line.
    let runs = || std::fs::read(process.join("cmdline")).is_ok_and(|line| !line.is_empty());
    while runs() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let started = Command::new("bash").args(["-c", start]).status().expect("bash runs");
    assert!(started.success());
}

/// Needs the broker for itself: `tests/all` runs it alone and sets both variables.
#[test]
fn a_broker_that_restarts_in_mid_stream_loses_and_doubles_nothing() {
    let Some(brokers) = brokers() else { return };
    let (Some(pid_file), Ok(start_broker)) =
        (std::env::var_os("TAHOE_TEST_KAFKA_PID"), std::env::var("TAHOE_TEST_KAFKA_START"))
    else {
        eprintln!("skipped: TAHOE_TEST_KAFKA_PID and TAHOE_TEST_KAFKA_START are not set");
        return;
    };
    let (log, topic) = start(&brokers, "restart", 2);
    let positions = Topic { name: format!("{topic}_positions"), partitions: 1, compacted: true };
    log.setup(&[positions]).expect("created");
    let claim = log.own(&topic).expect("claimed");
    let mut reader = log.reader(&topic, std::slice::from_ref(&topic)).expect("joined");
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let (log, topic, start_broker) = (&log, &topic, &start_broker);
        let writer = scope.spawn(move || {
            let mut pending = Vec::new();
            for n in 0..400 {
                let values: Vec<_> = (0..50).map(|at| format!("{n:04} {at:02}")).collect();
                let records: Vec<_> =
                    values.iter().map(|value| outgoing(topic, n % 2, value.as_bytes())).collect();
                pending.push(log.append(&records).expect("accepted"));
                if n == 100 {
                    restart(&PathBuf::from(&pid_file), start_broker);
                }
            }
            pending.iter().for_each(|one| drop(durable(one)));
        });
        let deadline = Instant::now() + 2 * PATIENCE;
        while seen.len() < 20_000 && Instant::now() < deadline {
            let polled = poll(&mut *reader, Duration::from_millis(100), &mut seen);
            // Nothing was committed, so what is taken away comes again from the beginning.
            if let Polled::Revoking(gone) | Polled::Lost(gone) = polled {
                seen.retain(|one| !gone.contains(&(topic.clone(), one.partition)));
            }
        }
        writer.join().expect("everything was acknowledged");
    });
    for partition in 0..2 {
        let stored = scan(&log, &topic, partition, 0, u64::MAX);
        assert_eq!(stored.len(), 10_000);
        assert!(stored.is_sorted_by(|a, b| a.value < b.value));
        let read: Vec<_> = seen.iter().filter(|one| one.partition == partition).collect();
        assert!(read.iter().map(|one| &one.value).eq(stored.iter().map(|one| &one.value)));
    }
    let commits = [(topic.clone(), 0, 10_000), (topic.clone(), 1, 10_000)];
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = reader.commit(&commits) {
        assert!(matches!(error, LogError::Retry(..)), "{error}");
        assert!(Instant::now() < deadline);
        poll(&mut *reader, Duration::from_millis(100), &mut seen);
    }
    assert!(claim.lost().is_none());
}
