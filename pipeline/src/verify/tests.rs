//! What is told of a table `shop.t`, and what is in it.

use super::*;

/// Has what stands at or before its place.
struct Fake {
    place: u64,
    held: Vec<Held>,
    rows: Vec<String>,
    manner: Manner,
}

impl Truth for Fake {
    fn server(&self) -> &str {
        "s"
    }

    fn place(&self) -> String {
        self.place.to_string()
    }

    fn tables(&self) -> &[Held] {
        &self.held
    }

    fn is_reached(&self, _point: &[u8]) -> bool {
        true
    }

    fn has(&self, change: &Told<'_>) -> Has {
        match change.position().parse::<u64>() {
            Ok(place) if place == self.place => Has::Perhaps,
            Ok(place) if place < self.place => Has::Yes,
            _ => Has::No,
        }
    }

    fn order(&self, position: &str) -> Option<(u64, u64)> {
        position.parse().ok().map(|place| (place, 0))
    }

    fn rows(&mut self, _table: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        self.rows.iter().for_each(|row| each(row.as_bytes()));
        Ok(())
    }

    fn manner(&self) -> Manner {
        self.manner
    }
}

fn fake(rows: &[&str]) -> Fake {
    let (db, table) = ("shop".to_owned(), "t".to_owned());
    let row = |after: &&str| record("read", "0", 0, &format!("{},\"after\":{after}", key(after)));
    Fake {
        place: 100,
        held: vec![Held { db, table, ..Held::default() }],
        rows: rows.iter().map(row).collect(),
        manner: Manner::default(),
    }
}

/// Rows as documents are told: whole, or in parts.
fn documents(rows: &[&str]) -> Fake {
    let manner =
        Manner { named_by: Some("id"), rows_come_last: true, whole_rows: true, may_move: false };
    Fake { manner, ..fake(rows) }
}

/// `"key":{"id":7}` of `{"id":7,…}`
fn key(row: &str) -> String {
    let id = row.trim_start_matches("{\"id\":");
    let end = id.find([',', '}']).expect("a row");
    format!("\"key\":{{\"id\":{}}}", &id[..end])
}

fn record(op: &str, position: &str, n: u64, more: &str) -> String {
    let head = r#"{"v":1,"server":"s","db":"shop","table":"t""#;
    let number = if op == "read" { String::new() } else { format!(",\"n\":{n}") };
    format!("{head},\"op\":\"{op}\",\"position\":\"{position}\"{number},{more}}}")
}

fn put(op: &str, position: &str, n: u64, after: &str) -> String {
    record(op, position, n, &format!("{},\"after\":{after}", key(after)))
}

fn compared(truth: &mut Fake, told: &[String], bytes_max: usize) -> Option<Compared> {
    let mut compared = Compared::of(&truth.held[0]);
    let mut state = State::new(truth, (0, 1), bytes_max);
    for record in told {
        let told = Told::parse(record.as_bytes()).expect("a record");
        if state.take(&told, truth).expect("readable").is_err() {
            return None;
        }
    }
    if state.has_parts() {
        for record in told {
            let told = Told::parse(record.as_bytes()).expect("a record");
            if state.take_part(&told, truth).expect("readable").is_err() {
                return None;
            }
        }
        state.put_together().expect("documents");
    }
    let rows = truth.rows.clone();
    for (at, row) in rows.iter().enumerate() {
        state
            .compare(0, row.as_bytes(), at as u64 / 2, &mut compared)
            .expect("a row")
            .expect("it fits");
    }
    state.finish(0, &mut compared);
    Some(compared)
}

#[test]
fn a_table_is_the_same_when_the_last_that_was_told_of_each_key_is_there() {
    let mut truth = fake(&[r#"{"id":1,"a":"new"}"#, r#"{"id":3,"a":"x"}"#, r#"{"id":9,"a":"m"}"#]);
    let moved = record(
        "update",
        "8",
        1,
        r#""key":{"id":9},"before":{"id":2,"a":"m"},"after":{"id":9,"a":"m"}"#,
    );
    let told = [
        // Partitions are read one after the other, so later ones may come first.
        put("update", "7", 0, r#"{"id":1,"a":"new"}"#),
        put("insert", "5", 0, r#"{"id":1,"a":"old"}"#),
        put("read", "5", 0, r#"{"id":3,"a":"x"}"#),
        put("read", "5", 0, r#"{"id":2,"a":"m"}"#),
        moved,
        put("insert", "6", 0, r#"{"id":4,"a":"x"}"#),
        record("delete", "6", 1, r#""key":{"id":4},"before":{"id":4}"#),
        // Since the snapshot.
        put("update", "101", 0, r#"{"id":1,"a":"newest"}"#),
        put("insert", "102", 0, r#"{"id":5,"a":"x"}"#),
    ];
    let found = compared(&mut truth, &told, 1 << 20).expect("it fits");
    assert_eq!(found.differ(), 0, "{found:?}");
    assert_eq!(found.chunks.iter().map(|chunk| chunk.same).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((&*found.chunks[0].from, &*found.chunks[0].to), (r#"{"id":1}"#, r#"{"id":3}"#));
}

#[test]
fn what_differs_is_named_with_the_reason() {
    let mut truth = fake(&[r#"{"id":1,"a":1}"#, r#"{"id":2,"a":1}"#, r#"{"id":3,"a":1}"#]);
    let told = [
        put("insert", "1", 0, r#"{"id":1,"a":2}"#),
        put("insert", "1", 1, r#"{"id":2,"a":1}"#),
        record("truncate", "2", 0, r#""key":null"#),
        put("insert", "3", 0, r#"{"id":1,"a":2}"#),
        put("insert", "3", 1, r#"{"id":7,"a":1}"#),
    ];
    let found = compared(&mut truth, &told, 1 << 20).expect("it fits");
    let keys: Vec<_> = found.chunks.iter().flat_map(|chunk| chunk.keys.clone()).collect();
    let expected = [
        (r#"{"id":1}"#.to_owned(), Why::OtherValues),
        (r#"{"id":2}"#.to_owned(), Why::ToldGone),
        (r#"{"id":3}"#.to_owned(), Why::NotTold),
    ];
    assert_eq!(keys, expected);
    assert_eq!(found.not_there, (1, vec![r#"{"id":7}"#.to_owned()]));
    let tables = vec![found];
    let report = Report { name: "x".to_owned(), place: "100".to_owned(), passes: 1, tables };
    let text = report.text();
    assert!(text.contains(r#"{"id":2} told to be deleted"#), "{text}");
    assert!(text.contains("shop.t: 3 rows in 2 chunks, 2 told: 4 differ"), "{text}");
    assert_eq!(report.json()["tables"][0]["chunks"][1]["keys"][0]["key"]["id"], 3);
}

#[test]
fn columns_that_were_not_told_are_left_out_and_changes_in_the_moment_are_unsure() {
    let mut truth = fake(&[r#"{"id":1,"a":1,"b":2}"#, r#"{"id":2,"a":1,"b":2}"#]);
    let told = [
        put("insert", "1", 0, r#"{"id":1,"a":1}"#),
        put("insert", "1", 1, r#"{"id":2,"a":9,"b":2}"#),
        put("update", "100", 0, r#"{"id":2,"a":8,"b":2}"#),
    ];
    let found = compared(&mut truth, &told, 1 << 20).expect("it fits");
    assert_eq!(found.differ(), 0, "{found:?}");
    assert_eq!((found.chunks[0].in_part, found.chunks[0].unsure), (1, 1));
    let old = [put("insert", "1", 0, r#"{"id":1,"gone":1}"#)];
    let found = compared(&mut truth, &old, 1 << 20).expect("it fits");
    assert_eq!((found.chunks[0].other_columns, found.differ()), (1, 1), "one is not told");
}

#[test]
fn keys_that_do_not_fit_into_a_pass_are_dealt_into_more() {
    let rows: Vec<_> = (0..40).map(|id| format!("{{\"id\":{id},\"a\":1}}")).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let told: Vec<_> = rows.iter().map(|row| put("insert", "1", 0, row)).collect();
    let mut truth = fake(&rows);
    assert!(compared(&mut truth, &told, 1000).is_none());
    let mut found = Compared::of(&truth.held[0]);
    for pass in 0..4 {
        let mut state = State::new(&truth, (pass, 4), 1 << 20);
        for record in &told {
            let told = Told::parse(record.as_bytes()).expect("a record");
            state.take(&told, &truth).expect("readable").expect("it fits");
        }
        for row in truth.rows.clone() {
            state.compare(0, row.as_bytes(), 0, &mut found).expect("a row").expect("it fits");
        }
        state.finish(0, &mut found);
    }
    let chunk = &found.chunks[0];
    assert_eq!((chunk.rows, chunk.same, found.differ()), (40, 40, 0));
}

fn part(position: &str, id: u64, more: &str) -> String {
    record(
        "update",
        position,
        0,
        &format!("\"key\":{{\"c\":1,\"id\":{id}}},\"partial\":true,{more}"),
    )
}

#[test]
fn a_document_is_its_last_whole_image_and_the_parts_behind_it() {
    let mut truth = documents(&[
        r#"{"id":1,"a":{"z":1,"b":2},"l":[1,7],"n":1.5}"#,
        r#"{"id":2,"a":1}"#,
        r#"{"id":3,"a":1,"b":1}"#,
        r#"{"id":4,"a":2}"#,
    ]);
    let told = [
        part("9", 1, r#""after":{"a.b":2,"l.1":7},"truncated":{"l":2},"removed":["gone"]"#),
        part("3", 1, r#""after":{"a.b":"before the row"}"#),
        put("read", "5", 0, r#"{"id":1,"a":{"b":1,"z":1},"l":[1,2,3],"gone":1,"n":1.5}"#),
        // What was told whole after its parts, and a row at the place of a change.
        part("2", 2, r#""after":{"a":9}"#),
        put("update", "3", 0, r#"{"id":2,"a":1}"#),
        put("read", "5", 0, r#"{"id":4,"a":2}"#),
        put("update", "5", 0, r#"{"id":4,"a":1}"#),
        put("insert", "3", 0, r#"{"id":3,"a":1}"#),
    ];
    let found = compared(&mut truth, &told, 1 << 20).expect("it fits");
    let keys: Vec<_> = found.chunks.iter().flat_map(|chunk| chunk.keys.clone()).collect();
    assert_eq!(keys, [(r#"{"id":3}"#.to_owned(), Why::OtherValues)], "a field was not told");
    let lost = [&told[1..], &[part("9", 1, r#""after":{"l.1":7},"truncated":{"l":2}"#)]].concat();
    let found = compared(&mut truth, &lost, 1 << 20).expect("it fits");
    assert_eq!(found.differ(), 2, "a part was not told");
}

#[test]
fn what_was_changed_while_rows_were_read_is_in_doubt_and_then_excused() {
    let mut truth = fake(&[r#"{"id":1,"a":2}"#, r#"{"id":2,"a":2}"#, r#"{"id":3,"a":1}"#]);
    truth.manner.may_move = true;
    let mut state = State::new(&truth, (0, 1), 1 << 20);
    let told = [1, 2, 3, 4, 5].map(|id| put("insert", "1", 0, &format!("{{\"id\":{id},\"a\":1}}")));
    for record in &told {
        let told = Told::parse(record.as_bytes()).expect("a record");
        state.take(&told, &truth).expect("readable").expect("it fits");
    }
    let mut all = vec![Compared::of(&truth.held[0])];
    for row in truth.rows.clone() {
        state.compare(0, row.as_bytes(), 0, &mut all[0]).expect("a row").expect("it fits");
    }
    state.finish(0, &mut all[0]);
    assert!(state.doubts() && all[0].differ() == 0);
    // The fake's place, at which it has a change perhaps.
    let changes = [
        put("update", "100", 0, r#"{"id":1,"a":2}"#),
        record("delete", "100", 1, r#""key":{"id":4}"#),
    ];
    for change in &changes {
        let told = Told::parse(change.as_bytes()).expect("a record");
        state.excuse(&told, &truth).expect("readable");
    }
    state.settle(&mut all);
    let chunk = &all[0].chunks[0];
    assert_eq!((chunk.same, chunk.unsure, chunk.differ), (1, 1, 1));
    assert_eq!(all[0].not_there, (1, vec![r#"{"id":5}"#.to_owned()]));
}
