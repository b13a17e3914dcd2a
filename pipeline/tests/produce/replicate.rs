//! The reader of feeds in the real loop, over a log that fails in mid-stream.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Loop, TOPIC, Watched};
use tahoe_pipeline::partition;
use tahoe_pipeline::positions;
use tahoe_pipeline::renewed::{Renewed, Screens};
use tahoe_pipeline::replicate::{self, Feed, LANES, RecordKind, Replicate, Step, Take};
use tahoe_schemas::rules::{AppFields, Privacy, Screen};
use tahoe_seams::{Lag, Log as _, Origin, SourceError, SourceId};

const CHANGE: usize = 0;
const ROW: usize = 1;

/// What the feed's database remembers from one connection to the next.
#[derive(Default)]
struct Database {
    /// Transactions that can be read.
    committed: AtomicU64,
    /// It keeps those from here on.
    kept_from: AtomicU64,
    /// Connections so far.
    opened: AtomicU64,
}

/// Transactions 0, 1, 2…: the first `rows` of them are chunks of a table that is read while it
/// changes, the others have up to five changes.
struct Transactions {
    database: Arc<Database>,
    rows: u64,
    at: u64,
    opened: u64,
    begun: bool,
    given: usize,
    /// Its records are those of a table, with a private column.
    private: bool,
}

impl Transactions {
    fn new(database: &Arc<Database>, rows: u64) -> Self {
        let database = Arc::clone(database);
        Self { database, rows, at: 0, opened: 0, begun: false, given: 0, private: false }
    }

    /// The records of the transaction that is next, with their keys.
    fn records(&self) -> Vec<(usize, String, String)> {
        let at = self.at;
        if at >= self.rows {
            return (0..at % 6)
                .map(|n| (CHANGE, format!("key {}", (at + n) % 7), format!("{at:06}.{n}")))
                .collect();
        }
        // Each time that it is read, the chunk has another row in front.
        let fresh = format!("row {at}.new.{}", self.opened);
        let rows = (0..4).map(|n| format!("row {at}.{n}"));
        std::iter::once(fresh).chain(rows).map(|row| (ROW, row.clone(), row)).collect()
    }
}

impl Feed for Transactions {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        self.opened = self.database.opened.fetch_add(1, Ordering::SeqCst);
        self.begun = at.is_some();
        if let Some(at) = at {
            let text = std::str::from_utf8(at).expect("it is ours");
            self.at = text.parse().expect("it is a number");
        }
        let kept_from = self.database.kept_from.load(Ordering::SeqCst);
        assert!(self.at >= kept_from, "{} is gone, the first is {kept_from}", self.at);
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        if !self.begun {
            self.begun = true;
            let _ = take(Step::Point(b"0"));
            return Ok(());
        }
        let committed = self.database.committed.load(Ordering::SeqCst);
        if self.at >= committed {
            std::thread::park_timeout(wait);
        }
        while self.at < committed {
            while let Some((kind, key, text)) = self.records().into_iter().nth(self.given) {
                self.given += 1;
                let text = if self.private { of_table(&text) } else { text };
                let step = Step::Record { kind, key: key.as_bytes(), bytes: text.as_bytes() };
                if take(step) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
            self.at += 1;
            self.given = 0;
            if take(Step::Point(self.at.to_string().as_bytes())) == ControlFlow::Break(()) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn forget(&mut self, before: &[u8]) -> Result<(), SourceError> {
        let before = std::str::from_utf8(before).expect("it is ours").parse();
        self.database.kept_from.store(before.expect("it is a number"), Ordering::SeqCst);
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        Vec::new()
    }
}

/// A row of a table, or a change.
fn of_table(text: &str) -> String {
    format!(
        "{{\"v\":1,\"op\":\"read\",\"system\":\"mysql\",\"server\":\"s\",\"db\":\"d\",\"table\":\"t\",\
         \"key\":{{\"id\":\"{text}\"}},\"after\":{{\"id\":\"{text}\",\"mail\":\"{text}@shop.example\"}}}}"
    )
}

fn source(database: &Arc<Database>, rows: u64) -> Replicate<Transactions> {
    source_of(Transactions::new(database, rows), None)
}

fn source_of(feed: Transactions, screen: Option<&Arc<Screens>>) -> Replicate<Transactions> {
    let kinds = kinds(&NAME, "").map(|kind| RecordKind { screen: screen.cloned(), ..kind });
    Replicate::new(feed, kinds.to_vec())
}

const NAME: SourceId = SourceId([3; 16]);

fn kinds(name: &SourceId, host: &str) -> [RecordKind; 2] {
    [("mysql.change", false), ("mysql.row", true)].map(|(dataset, may_change)| RecordKind {
        origin: Origin {
            source: *name,
            dataset: dataset.into(),
            host: host.to_owned(),
            ..Origin::default()
        },
        topic: TOPIC.into(),
        may_change,
        screen: None,
        former: None,
    })
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// How many records the transactions up to `committed` have, with one row of each chunk that is new
/// at every reading left out.
fn expected(rows: u64, committed: u64) -> Vec<String> {
    let mut transactions = Transactions::new(&Arc::default(), rows);
    let mut all = Vec::new();
    for at in 0..committed {
        transactions.at = at;
        let texts = transactions.records().into_iter().map(|(.., text)| text);
        all.extend(texts.filter(|text| !text.contains("new")));
    }
    all.sort_unstable();
    all
}

/// Both are sorted; says what is too many or missing rather than all.
fn assert_same(found: &[String], expected: &[String]) {
    let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let some = |texts: &[String]| texts.iter().skip(at).take(3).cloned().collect::<Vec<_>>();
    assert_eq!((found.len(), some(found)), (expected.len(), some(expected)), "from {at} on");
}

fn old_texts(log: &Watched) -> Vec<String> {
    log.texts().into_iter().filter(|text| !text.contains("new")).collect()
}

/// Lets the log fail in each of the rounds, with transactions before and behind; says how many were
/// committed.
fn fail_again_and_again(
    rounds: u64,
    log: &Watched,
    database: &Database,
    start: impl Fn() -> Loop,
) -> u64 {
    let mut committed = 0;
    for round in 1..=rounds {
        let running = start();
        let before = old_texts(log).len();
        committed += 3 * round;
        database.committed.store(committed, Ordering::SeqCst);
        wait_until("nothing more came", || old_texts(log).len() > before);
        log.fill();
        database.committed.store(committed + 5, Ordering::SeqCst);
        committed += 5;
        running.join().expect_err("the log failed");
        log.make_room();
    }
    committed
}

#[test]
fn each_change_and_each_row_is_in_the_log_once_however_often_the_log_fails() {
    const ROWS: u64 = 40;
    let log = Watched::new();
    let database = Arc::new(Database::default());
    let start = || Loop::start(&log, source(&database, ROWS));
    let committed = fail_again_and_again(20, &log, &database, start);
    let running = Loop::start(&log, source(&database, ROWS));
    let all = expected(ROWS, committed);
    wait_until("some are missing", || old_texts(&log).len() >= all.len());
    running.stop.ask();
    running.join().expect("it stops in order");
    assert_same(&old_texts(&log), &all);
    let mut last: HashMap<String, String> = HashMap::new();
    for (partition, key, text) in log.records().into_iter().filter(|(.., t)| !t.contains("row")) {
        assert_eq!(partition, partition::of_key(key.as_bytes(), 2), "as Kafka's clients do");
        let before = last.insert(key.clone(), text.clone()).unwrap_or_default();
        assert!(before < text, "{key}: {text} came after {before}");
    }
    assert_eq!(last.len(), 7);
}

#[test]
fn rows_that_a_policy_changes_are_told_again_after_the_log_failed_and_nothing_hidden_is_kept() {
    const ROWS: u64 = 40;
    let read = || {
        let table = "* db.after.mail hash\n";
        let policy = Privacy::read("policy", table, Some("a secret of the test"))?;
        Screen::new(policy, AppFields::default())
    };
    let screen = Renewed::open("--privacy", Vec::new(), Box::new(read)).expect("it can hold");
    let log = Watched::new();
    let database = Arc::new(Database::default());
    let start = || {
        let feed = Transactions { private: true, ..Transactions::new(&database, ROWS) };
        Loop::start_behind(Some(Arc::clone(&screen)), &log, source_of(feed, Some(&screen)))
    };
    let committed = fail_again_and_again(10, &log, &database, start);
    let running = start();
    let all = expected(ROWS, committed);
    // A hash may have the letters of "new" in it.
    let old = || {
        let texts = log.texts().into_iter();
        texts.filter(|text| !text.contains(".new.")).collect::<Vec<_>>()
    };
    wait_until("some are missing", || old().len() >= all.len());
    running.stop.ask();
    running.join().expect("it stops in order");
    let id = |text: &String| {
        let (_, rest) = text.split_once("\"after\":{\"id\":\"").expect("a row");
        rest.split_once('"').expect("a text").0.to_owned()
    };
    let mut ids: Vec<_> = old().iter().map(id).collect();
    ids.sort_unstable();
    assert_same(&ids, &all);
    for (_, key, text) in log.records() {
        assert!(!text.contains("@shop.example") && text.contains("\"mail\":\""), "{text}");
        assert!(!key.contains("row ") && !key.contains("key "), "{key}");
    }
    for (_, value) in log.positions().expect("readable") {
        let text = String::from_utf8_lossy(&value);
        assert!(text.contains("\"sealed\""), "{text}");
    }
}

/// A database that is read on another host, whose feed has the same name, to its end.
fn read_elsewhere(log: &Arc<Watched>, committed: u64) {
    let database = Arc::new(Database::default());
    database.committed.store(committed, Ordering::SeqCst);
    let feed = Transactions::new(&database, 0);
    let other = Replicate::new(feed, kinds(&NAME, "other").to_vec());
    let running = Loop::start_on("other", log, other);
    wait_until("the other is not read", || database.kept_from.load(Ordering::SeqCst) == committed);
    running.stop.ask();
    running.join().expect("it stops in order");
}

#[test]
fn what_another_host_wrote_under_the_same_name_moves_no_position() {
    let log = Watched::new();
    let database = Arc::new(Database::default());
    let start = || Loop::start(&log, source(&database, 0));
    let committed = fail_again_and_again(3, &log, &database, start);
    read_elsewhere(&log, 2 * committed);
    let running = start();
    database.committed.store(2 * committed, Ordering::SeqCst);
    let mut all = vec![expected(0, 2 * committed); 2].concat();
    all.sort_unstable();
    wait_until("some are missing", || log.texts().len() >= all.len());
    running.stop.ask();
    running.join().expect("it stops in order");
    assert_same(&log.texts(), &all);
}

#[test]
fn a_feed_that_has_another_name_today_goes_on_where_it_was_under_the_former_one() {
    const ROWS: u64 = 40;
    const FORMER_ROUNDS: u64 = 6;
    let log = Watched::new();
    let database = Arc::new(Database::default());
    let start = || {
        let feed = Transactions::new(&database, ROWS);
        let kinds = match database.opened.load(Ordering::SeqCst) < FORMER_ROUNDS {
            true => kinds(&NAME, ""),
            false => {
                kinds(&SourceId([4; 16]), "").map(|kind| RecordKind { former: Some(NAME), ..kind })
            }
        };
        Loop::start(&log, Replicate::new(feed, kinds.to_vec()))
    };
    let committed = fail_again_and_again(2 * FORMER_ROUNDS, &log, &database, start);
    let running = start();
    let all = expected(ROWS, committed);
    wait_until("some are missing", || old_texts(&log).len() >= all.len());
    running.stop.ask();
    running.join().expect("it stops in order");
    assert_same(&old_texts(&log), &all);
    let stored = positions::of_owner("host/test", &log.positions().expect("readable"), None);
    let former = replicate::sources(&kinds(&NAME, ""));
    let stored = stored.expect("of this version");
    assert!(stored.iter().all(|position| !former.contains(&position.source)), "{stored:?}");
}

#[test]
fn the_database_may_forget_only_what_no_start_asks_for_again() {
    let log = Watched::new();
    let database = Arc::new(Database::default());
    database.committed.store(100, Ordering::SeqCst);
    let running = Loop::start(&log, source(&database, 0));
    let kept_from = || database.kept_from.load(Ordering::SeqCst);
    wait_until("nothing may be forgotten", || kept_from() == 100);
    // Transaction 102 has no records, 103 has one: every lane moves on with them all the same.
    database.committed.store(103, Ordering::SeqCst);
    wait_until("a transaction without records holds up", || kept_from() == 103);
    log.fill();
    database.committed.store(110, Ordering::SeqCst);
    running.join().expect_err("the log failed");
    assert_eq!(kept_from(), 103, "what the log has not is kept");
    log.make_room();
    let running = Loop::start(&log, source(&database, 0));
    wait_until("it does not go on", || kept_from() == 110);
    running.stop.ask();
    running.join().expect("it stops in order");
    assert_same(&old_texts(&log), &expected(0, 110));
}

/// Calls of [`Feed::read`], each with steps: a number is a point, anything else a row. Behind them
/// comes one more row when the log has failed, so that the loop ends.
struct Calls {
    calls: VecDeque<&'static [&'static str]>,
    opens_at: Option<&'static str>,
    log: Arc<Watched>,
}

impl Feed for Calls {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        assert_eq!(at, self.opens_at.map(str::as_bytes));
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let steps = match self.calls.pop_front() {
            Some(steps) => steps,
            None if self.log.is_full() => &["behind the failure"],
            None => {
                std::thread::park_timeout(wait);
                return Ok(());
            }
        };
        for step in steps {
            let bytes = step.as_bytes();
            let _ = take(match step.parse::<u64>() {
                Ok(_) => Step::Point(bytes),
                Err(_) => Step::Record { kind: ROW, key: bytes, bytes },
            });
        }
        Ok(())
    }

    fn forget(&mut self, _before: &[u8]) -> Result<(), SourceError> {
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        Vec::new()
    }
}

#[test]
fn a_known_row_behind_a_point_of_the_same_call_is_found_again_after_one_more_failure() {
    let log = Watched::new();
    let start = |opens_at, calls: &[&'static [&'static str]]| {
        let calls = calls.iter().copied().collect();
        let feed = Calls { calls, opens_at, log: Arc::clone(&log) };
        Loop::start(&log, Replicate::new(feed, kinds(&NAME, "").to_vec()))
    };
    let fail = |running: Loop| {
        log.fill();
        running.join().expect_err("the log failed");
        log.make_room();
    };
    let is_stored = |point: &str| {
        let stored = positions::of_owner("host/test", &log.positions().expect("readable"), None);
        let contexts = stored.expect("of this version").into_iter().map(|stored| stored.context);
        let points = contexts.filter_map(|context| replicate::point(&context, 2));
        points.into_iter().any(|found| found == point.as_bytes())
    };
    let running = start(None, &[&["0"], &["row a", "row b"]]);
    wait_until("the rows are not in the log", || log.texts().len() == 2);
    fail(running);
    let running = start(Some("0"), &[&["row a", "1", "row b"]]);
    wait_until("the point is not stored", || is_stored("1"));
    fail(running);
    let running = start(Some("1"), &[&["row b", "row c"]]);
    wait_until("the last row is not in the log", || log.texts().contains(&"row c".to_owned()));
    running.stop.ask();
    running.join().expect("it stops in order");
    assert_eq!(log.texts(), ["row a", "row b", "row c"]);
}

#[test]
fn lanes_have_each_key_where_kafka_puts_it_for_the_usual_numbers_of_partitions() {
    for partitions in [1, 2, 3, 4, 6, 8, 12, 24] {
        for key in 0..500 {
            let key = format!("shop.orders:{key}");
            let lane = partition::of_key(key.as_bytes(), LANES);
            assert_eq!(lane % partitions, partition::of_key(key.as_bytes(), partitions));
        }
    }
}
