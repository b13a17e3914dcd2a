//! Polled tables in the real loop: rows that are written late, again and at one time while they are
//! read, and a log that fails.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::support::{Loop, TOPIC, Watched};
use tahoe_pipeline::poll::{
    Cursor, Former, Look, Opened, Part, Poll, PollSettings, Range, Row, Rows, Schedule, Table,
};
use tahoe_pipeline::replicate::{Feed, RecordKind, Replicate, Step, Take};
use tahoe_seams::{Lag, Origin, SourceError, SourceId};

/// Times are of so many milliseconds: many rows have the same.
const TICK_MS: u128 = 4;

/// Longer than a tick, and shorter than what a look takes now and then.
const OVERLAP: Duration = Duration::from_millis(6);

/// What others do in one round.
const STEPS: u32 = 400;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Rows are only inserted, and read by their number.
    Numbers,
    /// Rows are updated, and read by the time of that and their number.
    Times,
    /// Rows have neither number nor key; some are equal.
    Log,
}

/// Where a row is, and what it says.
type Placed = (Vec<i128>, String);

struct Database {
    kind: Kind,
    random: u64,
    began: Instant,
    next: i128,
    committed: BTreeMap<Vec<i128>, Vec<String>>,
    /// Where each row of a key is.
    places: BTreeMap<i128, Vec<i128>>,
    /// Open transactions, each with its name and what it wrote.
    open: Vec<(u64, Vec<Placed>)>,
    transactions: u64,
    /// What they still do: as much as each round lets them, so that no test takes longer than another.
    steps: u32,
    /// Every version that was ever seen, by its key.
    seen: BTreeMap<i128, Vec<String>>,
}

impl Database {
    fn new(kind: Kind, seed: u64) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            kind,
            random: seed,
            began: Instant::now(),
            next: 0,
            committed: BTreeMap::new(),
            places: BTreeMap::new(),
            open: Vec::new(),
            transactions: 0,
            steps: 0,
            seen: BTreeMap::new(),
        }))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % end
    }

    fn now(&self) -> i128 {
        i128::try_from(self.began.elapsed().as_millis() / TICK_MS).expect("soon")
    }

    /// What other clients do meanwhile.
    fn go_on(&mut self) {
        for _ in 0..self.below(6).min(self.steps.into()) {
            self.steps -= 1;
            let open = self.open.len() as u64;
            match self.below(10) {
                0 | 1 if open < 6 => {
                    self.transactions += 1;
                    self.open.push((self.transactions, Vec::new()));
                }
                2..=5 if open > 0 => self.write(),
                // The first is open for long.
                6 if open > 0 => self.commit(1.min(open - 1)),
                7 if open > 0 && self.below(20) == 0 => self.commit(0),
                8 if open > 3 => {
                    let at = self.below(open);
                    drop(self.open.remove(usize::try_from(at).expect("few")));
                }
                _ => {}
            }
        }
    }

    fn write(&mut self) {
        let row = match self.kind {
            Kind::Numbers => {
                self.next += 1 + i128::from(self.below(2));
                (vec![self.next], format!("row {}", self.next))
            }
            Kind::Times => {
                let written = self.open.iter().flat_map(|(_, rows)| rows);
                let locked: HashSet<i128> = written.map(|(place, _)| place[1]).collect();
                let mut id = i128::from(self.below(60));
                while locked.contains(&id) {
                    id += 1;
                }
                self.next += 1;
                (vec![self.now(), id], format!("version {} of {id}", self.next))
            }
            Kind::Log => (vec![self.now()], format!("said {}", self.below(3))),
        };
        let at = usize::try_from(self.below(self.open.len() as u64)).expect("few");
        self.open[at].1.push(row);
    }

    fn commit(&mut self, at: u64) {
        let (_, rows) = self.open.remove(usize::try_from(at).expect("few"));
        for (place, text) in rows {
            if self.kind == Kind::Times {
                if let Some(before) = self.places.insert(place[1], place.clone()) {
                    self.committed.remove(&before);
                }
                self.seen.entry(place[1]).or_default().push(text.clone());
            }
            self.committed.entry(place).or_default().push(text);
        }
    }

    /// Every row that is there.
    fn rows(&self) -> Vec<Placed> {
        let each = |(place, texts): (&Vec<i128>, &Vec<String>)| {
            let one = |text: &String| (place.clone(), text.clone());
            texts.iter().map(one).collect::<Vec<_>>()
        };
        self.committed.iter().flat_map(each).collect()
    }

    /// The last transactions end, and no other begins.
    fn end(&mut self) {
        while !self.open.is_empty() {
            self.commit(0);
        }
        self.steps = 0;
    }
}

/// A connection to it.
struct Client {
    database: Arc<Mutex<Database>>,
    by: Vec<String>,
    sees_open: bool,
}

impl Client {
    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().expect("no panic")
    }
}

fn cursor(place: &[i128]) -> Cursor {
    Cursor(place.iter().map(|number| Part::Number(*number)).collect())
}

fn place(cursor: &Cursor) -> Vec<i128> {
    let number = |part: &Part| match part {
        Part::Number(number) => *number,
        Part::Text(_) => unreachable!("the simulated columns are numbers"),
    };
    cursor.0.iter().map(number).collect()
}

fn record(by: &[String], (place, text): &Placed) -> Row {
    let mut row = serde_json::json!({"text": text});
    for (column, number) in by.iter().zip(place) {
        row[column] = i64::try_from(*number).expect("small").into();
    }
    let bytes = serde_json::json!({ "after": row }).to_string().into_bytes();
    let key = place.last().expect("a column").to_string().into_bytes();
    Row { cursor: cursor(place), key, bytes }
}

impl Table for Client {
    fn name(&self) -> String {
        "simulated".to_owned()
    }

    fn by(&self) -> &[String] {
        &self.by
    }

    fn place_of(&self, record: &[u8]) -> Option<Cursor> {
        Cursor::of_record(record, "/after", &self.by)
    }

    fn former(&self, position: &[u8]) -> Option<Former> {
        let number = std::str::from_utf8(position).ok()?.strip_prefix("stood at ")?;
        let stood = Some(cursor(&[number.parse().ok()?]));
        Some(Former { after: stood.clone(), settled: stood })
    }

    fn open(&mut self) -> Result<Opened, SourceError> {
        let is_unique = self.database().kind != Kind::Log;
        Ok(Opened { is_unique, sees_open: self.sees_open })
    }

    fn look(&mut self) -> Result<Look, SourceError> {
        let mut database = self.database();
        database.go_on();
        let newest = database.committed.keys().next_back().map(|place| cursor(place));
        database.go_on();
        let open = match self.sees_open {
            true => database.open.iter().map(|(id, _)| id.to_string()).collect(),
            false => HashSet::new(),
        };
        database.go_on();
        Ok(Look { newest, open })
    }

    fn read(&mut self, range: &Range<'_>) -> Result<Rows, SourceError> {
        let mut database = self.database();
        database.go_on();
        let after = range.after.map_or(Unbounded, |after| Excluded(place(after)));
        let places = database.committed.range((after, Included(place(range.through))));
        let each = places.flat_map(|(place, texts)| texts.iter().map(move |text| (place, text)));
        let rows_max = usize::try_from(range.rows_max).expect("few");
        let found: Vec<_> = each.take(rows_max + 1).collect();
        let is_all = found.len() <= rows_max;
        let of = |(place, text): &(&Vec<i128>, &String)| {
            record(&self.by, &((*place).clone(), (*text).clone()))
        };
        let rows = found.iter().take(rows_max).map(of).collect();
        database.go_on();
        Ok(Rows { rows, is_all })
    }

    fn rest(&mut self) {}
}

fn source(
    database: &Arc<Mutex<Database>>,
    sees_open: bool,
    schedule: Schedule,
) -> Replicate<Poll<Client>> {
    let kind = database.lock().expect("no panic").kind;
    let by = match kind {
        Kind::Numbers => vec!["id"],
        Kind::Times => vec!["t", "id"],
        Kind::Log => vec!["t"],
    };
    let by = by.into_iter().map(str::to_owned).collect();
    let client = Client { database: Arc::clone(database), by, sees_open };
    let settings = PollSettings {
        schedule,
        overlap: Some(if kind == Kind::Numbers { Duration::ZERO } else { OVERLAP }),
        chunk_rows_max: 7,
        trigger: Default::default(),
        screen: None,
    };
    Replicate::new(Poll::new(client, settings), vec![kind_of_rows()])
}

fn kind_of_rows() -> RecordKind {
    let origin =
        Origin { source: SourceId([5; 16]), dataset: "mysql.row".into(), ..Origin::default() };
    RecordKind { origin, topic: TOPIC.into(), may_change: true, screen: None, former: None }
}

fn often() -> Schedule {
    Schedule::Every(Duration::from_millis(3))
}

fn texts(log: &Watched) -> Vec<String> {
    let text = |record: String| {
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        record["after"]["text"].as_str().expect("a text").to_owned()
    };
    let mut texts: Vec<_> = log.records().into_iter().map(|(.., record)| text(record)).collect();
    texts.sort_unstable();
    texts
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Reads while others write, and is broken off again and again; gives the texts in the log when
/// nothing more comes.
fn read_all(kind: Kind, seed: u64, rounds: usize) -> (Arc<Mutex<Database>>, Vec<String>) {
    let log = Watched::new();
    let database = Database::new(kind, seed);
    for round in 0..rounds {
        let before = log.texts().len();
        database.lock().expect("no panic").steps = STEPS;
        let running = Loop::start(&log, source(&database, true, often()));
        wait_until("nothing more came", || log.texts().len() > before + 5 * round % 30);
        if round % 5 == 4 {
            running.stop.ask();
            running.join().expect("it stops in order");
            continue;
        }
        log.fill();
        database.lock().expect("no panic").steps = STEPS;
        running.join().expect_err("the log failed");
        log.make_room();
    }
    read_the_rest(&log, &database, |rows| {
        let texts = texts(&log);
        rows.iter().all(|(_, text)| texts.binary_search(text).is_ok())
    });
    (database, texts(&log))
}

/// Reads until `is_there` says that the last rows are in the log, and all that may come twice.
fn read_the_rest(
    log: &Arc<Watched>,
    database: &Arc<Mutex<Database>>,
    is_there: impl Fn(&[Placed]) -> bool,
) -> Vec<Placed> {
    let running = Loop::start(log, source(database, true, often()));
    database.lock().expect("no panic").end();
    let rows = database.lock().expect("no panic").rows();
    wait_until("some are missing", || is_there(&rows));
    // The window is read again and again meanwhile.
    let until = Instant::now() + 2 * OVERLAP;
    wait_until("time stands still", || Instant::now() > until);
    running.stop.ask();
    running.join().expect("it stops in order");
    rows
}

#[test]
fn each_row_is_in_the_log_once_however_late_it_was_written_and_often_the_log_fails() {
    for seed in 1..=2 {
        let (database, texts) = read_all(Kind::Numbers, seed, 12);
        let database = database.lock().expect("no panic");
        let mut expected: Vec<_> = database.rows().into_iter().map(|(_, text)| text).collect();
        expected.sort_unstable();
        let missing = expected.iter().filter(|text| texts.binary_search(text).is_err()).count();
        assert_eq!((missing, texts.len()), (0, expected.len()), "seed {seed}");
        assert_eq!(texts, expected, "seed {seed}");
    }
}

#[test]
fn no_version_of_a_row_is_in_the_log_twice_and_the_last_of_each_is_there() {
    for seed in 1..=2 {
        let (database, texts) = read_all(Kind::Times, seed, 10);
        let database = database.lock().expect("no panic");
        for pair in texts.windows(2) {
            assert_ne!(pair[0], pair[1], "seed {seed}");
        }
        for (id, versions) in &database.seen {
            let last = versions.last().expect("one at least");
            assert!(texts.binary_search(last).is_ok(), "seed {seed}: {id} has {versions:?}");
        }
        assert!(database.seen.len() > 20, "{}", database.seen.len());
    }
}

#[test]
fn equal_rows_of_a_table_without_a_key_are_in_the_log_as_often_as_in_the_table() {
    for seed in 1..=2 {
        let log = Watched::new();
        let database = Database::new(Kind::Log, seed);
        let count = |log: &Watched| log.texts().len();
        for round in 0..10 {
            let before = count(&log);
            database.lock().expect("no panic").steps = STEPS;
            let running = Loop::start(&log, source(&database, true, often()));
            wait_until("nothing more came", || count(&log) > before + 2 * round);
            log.fill();
            database.lock().expect("no panic").steps = STEPS;
            running.join().expect_err("the log failed");
            log.make_room();
        }
        let rows = read_the_rest(&log, &database, |rows| count(&log) >= rows.len());
        let by = ["t".to_owned()];
        let text = |row: &Placed| String::from_utf8(record(&by, row).bytes).expect("JSON");
        let mut expected: Vec<_> = rows.iter().map(text).collect();
        expected.sort_unstable();
        assert_eq!(log.texts(), expected, "seed {seed}");
    }
}

#[test]
fn a_table_that_is_read_once_ends_when_all_that_was_there_is_given_for_good() {
    let log = Watched::new();
    let database = Database::new(Kind::Times, 9);
    database.lock().expect("no panic").steps = STEPS;
    for _ in 0..300 {
        database.lock().expect("no panic").go_on();
    }
    database.lock().expect("no panic").end();
    for run in 0..2 {
        let running = Loop::start(&log, source(&database, run == 0, Schedule::Once));
        running.join().expect("it ends by itself");
        let rows = database.lock().expect("no panic").rows().len();
        assert_eq!(texts(&log).len(), rows, "run {run}");
    }
    let stored = log.stored();
    let last = stored.iter().rev().find_map(|(_, value)| value.as_deref()).expect("a position");
    let last: serde_json::Value = serde_json::from_slice(last).expect("JSON");
    assert_eq!(last["clean"], true, "the next start need not look into the log");
}

/// A reader that is no more: its position is behind the fourth row, and the log has some beyond.
struct Gone {
    rows: Vec<Row>,
    begun: bool,
}

impl Feed for Gone {
    fn open(&mut self, _at: Option<&[u8]>) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        if !std::mem::replace(&mut self.begun, true) {
            let _ = take(Step::Point(b"stood at 0"));
            return Ok(());
        }
        if self.rows.is_empty() {
            std::thread::park_timeout(wait);
        }
        for (number, row) in std::mem::take(&mut self.rows).iter().enumerate() {
            if number == 4 {
                let _ = take(Step::Point(b"stood at 4"));
            }
            let _ = take(Step::Record { kind: 0, key: &row.key, bytes: &row.bytes });
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
fn a_table_goes_on_where_a_reader_stood_that_is_no_more() {
    let log = Watched::new();
    let database = Database::new(Kind::Numbers, 1);
    let rows: Vec<Placed> = (1..=20).map(|n| (vec![n], format!("row {n:02}"))).collect();
    for (place, text) in rows.clone() {
        database.lock().expect("no panic").committed.insert(place, vec![text]);
    }
    let by = ["id".to_owned()];
    let before = rows.iter().take(9).map(|row| record(&by, row)).collect();
    let running = Loop::start(
        &log,
        Replicate::new(Gone { rows: before, begun: false }, vec![kind_of_rows()]),
    );
    wait_until("the first rows are missing", || log.texts().len() == 9);
    log.fill();
    running.stop.ask();
    let _ = running.join();
    log.make_room();
    let running = Loop::start(&log, source(&database, true, Schedule::Once));
    running.join().expect("it ends by itself");
    let expected: Vec<_> = rows.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts(&log), expected);
}
