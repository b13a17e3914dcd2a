//! Changes of a MariaDB whose binlog does not name columns. The setting is the whole server's, so
//! this is a file of its own: cargo runs those one after the other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tahoe_tests::documents::{Document, Documents as _, Embedded};
use tahoe_tests::mariadb::Mariadb;
use tahoe_tests::program::Program;
use tahoe_tests::servers::ask_services;
use tempfile::TempDir;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A server whose binlog leaves names out, until this is dropped.
struct Unnamed {
    server: Mariadb,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Unnamed {
    fn set_up(test: &str) -> Option<Self> {
        Self::set_up_with("NO_LOG", test)
    }

    /// With as little about columns as `metadata` says.
    fn set_up_with(metadata: &str, test: &str) -> Option<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut server = Mariadb::set_up(test)?;
        server.run(&format!("SET GLOBAL binlog_row_metadata = {metadata}"));
        Some(Self::of(server, alone))
    }

    /// A MySQL 5.5: its binlog never has names, nor global transaction ids.
    fn set_up_mysql(test: &str) -> Option<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self::of(Mariadb::set_up_mysql(test)?, alone))
    }

    fn of(server: Mariadb, alone: MutexGuard<'static, ()>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { server, folder, _alone: alone }
    }

    fn up(&self, more: &[&str]) -> Program {
        let data = self.folder.path().join("data");
        let data = data.to_str().expect("a temporary folder is UTF-8");
        let server = &self.server;
        let flags = [
            ["--data", data],
            ["--mysql-host", &server.host],
            ["--mysql-port", &server.port],
            ["--mysql-database", &server.database],
            ["--mysql-user", "root"],
        ];
        let all: Vec<_> = ["up", "--no-system"].into_iter().chain(flags.concat()).collect();
        Program::start("tahoe", &[&all, more].concat())
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn wait_for(&self, changes: usize) {
        Embedded(&self.store()).wait_for("event.dataset:mysql.change", changes);
    }

    /// What was told of rows, in the order of the binlog.
    fn rows(&self) -> Vec<Document> {
        let mut found = Embedded(&self.store()).find("event.dataset:mysql.change");
        found.retain(|one| one.source["db"].get("after").is_some());
        let at = |one: &Document| {
            let (file, at) = one.text("/db/position").split_once(':').expect("a place");
            let at: u64 = at.parse().expect("a number");
            (file.to_owned(), at, one.source["db"]["sequence"].as_u64())
        };
        found.sort_by_cached_key(at);
        found
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // MySQL 5.5 has no such setting.
        let _ = self.server.try_run("SET GLOBAL binlog_row_metadata = FULL");
    }
}

fn after(rows: &[Document]) -> Vec<Value> {
    rows.iter().map(|row| row.source["db"]["after"].clone()).collect()
}

#[test]
fn a_change_has_the_names_that_its_columns_had_when_it_was_made() {
    each_change_has_its_names("NO_LOG");
}

#[test]
fn a_change_has_its_names_where_the_binlog_tells_signs_and_character_sets_alone() {
    each_change_has_its_names("MINIMAL");
}

fn each_change_has_its_names(metadata: &str) {
    let test = format!("mysql_names_{}", metadata.to_lowercase());
    let Some(mut place) = Unnamed::set_up_with(metadata, &test) else { return };
    place.server.run_here(&[
        "CREATE TABLE t (id INT PRIMARY KEY, a INT UNSIGNED, b INT, s VARCHAR(9) CHARSET latin1)",
        "INSERT INTO t VALUES (1, 1, 2, 'é')",
    ]);
    let up = place.up(&[]);
    Embedded(&place.store()).wait_for("event.dataset:mysql.row", 1);
    place.server.run_here(&["INSERT INTO t VALUES (2, 4000000000, -2, 'é')"]);
    place.wait_for(1);
    up.kill();
    // All of this is read by a process that begins when it is over.
    place.server.run_here(&[
        "INSERT INTO t VALUES (3, 1, 2, 'ü')",
        "ALTER TABLE t CHANGE a b INT UNSIGNED, CHANGE b a INT",
        "INSERT INTO t VALUES (4, 4000000000, -2, 'ü')",
        "ALTER TABLE t DROP b, ADD state ENUM('new', 'old') CHARSET utf8mb4 FIRST",
        "INSERT INTO t VALUES ('old', 5, 1, 'x')",
        "CREATE TABLE copy LIKE t",
        "INSERT INTO copy VALUES ('new', 1, 2, 'y')",
        "CREATE TABLE plain (id INT KEY, text VARCHAR(9))",
        "INSERT INTO plain VALUES (1, 'ä')",
        "RENAME TABLE copy TO kept, plain TO copy",
        "INSERT INTO copy VALUES (2, 'ö')",
        "DROP TABLE t",
        "CREATE TABLE t (x INT PRIMARY KEY, y INT)",
        "INSERT INTO t VALUES (7, 8)",
    ]);
    let up = place.up(&[]);
    let expected = [
        json!({"id": 2, "a": 4_000_000_000_u32, "b": -2, "s": "é"}),
        json!({"id": 3, "a": 1, "b": 2, "s": "ü"}),
        json!({"id": 4, "b": 4_000_000_000_u32, "a": -2, "s": "ü"}),
        json!({"state": "old", "id": 5, "a": 1, "s": "x"}),
        json!({"state": "new", "id": 1, "a": 2, "s": "y"}),
        json!({"id": 1, "text": "ä"}),
        json!({"id": 2, "text": "ö"}),
        json!({"x": 7, "y": 8}),
    ];
    // And as many statements as change definitions.
    place.wait_for(expected.len() + 7);
    up.stop();
    let rows = place.rows();
    assert_eq!(after(&rows), expected);
    let keys: Vec<_> = rows.iter().map(|row| row.source["db"]["key"].clone()).collect();
    assert_eq!(keys[4..], [json!({"id": 1}), json!({"id": 1}), json!({"id": 2}), json!({"x": 7})]);
}

#[test]
fn names_stay_right_while_columns_are_renamed_and_the_reader_is_killed() {
    const ROUNDS: usize = 8;
    const ROWS_PER_ROUND: usize = 30;
    let Some(mut place) = Unnamed::set_up("mysql_renamed") else { return };
    place.server.run_here(&["CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, x0 INT, y0 INT)"]);
    let mut up = place.up(&[]);
    up.says("every table is read");
    for round in 0..ROUNDS {
        let database = place.server.database.clone();
        place.server.run(&format!("USE `{database}`"));
        for row in 0..ROWS_PER_ROUND {
            let n = round * ROWS_PER_ROUND + row;
            place.server.run(&format!("INSERT INTO t (x{n}, y{n}) VALUES ({n}, -{n})"));
            let next = n + 1;
            place.server.run(&format!(
                "ALTER TABLE t CHANGE y{n} y{next} INT AFTER id, RENAME COLUMN x{n} TO x{next}"
            ));
        }
        // In the middle of what it has to read.
        place.wait_for(2 * round * ROWS_PER_ROUND + ROWS_PER_ROUND);
        up.kill();
        up = place.up(&[]);
    }
    let all = ROUNDS * ROWS_PER_ROUND;
    place.wait_for(2 * all);
    up.stop();
    let rows = after(&place.rows());
    assert_eq!(rows.len(), all);
    for (n, row) in rows.iter().enumerate() {
        let number = i64::try_from(n).expect("few");
        assert_eq!(row[format!("x{n}")], json!(number), "{row}");
        assert_eq!(row[format!("y{n}")], json!(-number), "{row}");
    }
}

#[test]
fn values_stay_under_their_names_while_columns_come_and_go_and_the_reader_is_killed() {
    const ROUNDS: usize = 6;
    const ROWS_PER_ROUND: usize = 20;
    let Some(mut place) = Unnamed::set_up_with("MINIMAL", "mysql_come_and_go") else { return };
    place.server.run_here(&[
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, kept INT UNSIGNED, c0 VARCHAR(9))",
    ]);
    // InnoDB keeps what instant statements dropped, up to its limit.
    place.server.run("SET SESSION alter_algorithm = 'COPY'");
    let mut up = place.up(&[]);
    up.says("every table is read");
    for round in 0..ROUNDS {
        for row in 0..ROWS_PER_ROUND {
            let n = round * ROWS_PER_ROUND + row;
            let next = n + 1;
            // What comes in has the type of what goes out, and another place.
            let place_of = ["FIRST", "AFTER id", "AFTER kept", ""][n % 4];
            place.server.run_here(&[
                &format!("INSERT INTO t (kept, c{n}) VALUES ({n}, 'v{n}')"),
                &format!("ALTER TABLE t ADD c{next} VARCHAR(9) {place_of}, DROP c{n}"),
                "ALTER TABLE t CHANGE kept keep INT UNSIGNED",
                &format!("UPDATE t SET keep = keep + 1000, c{next} = 'w{n}' WHERE keep = {n}"),
                "ALTER TABLE t CHANGE keep kept INT UNSIGNED",
            ]);
        }
        // An insert, an update and three statements of each; in the middle of what it has to read.
        place.wait_for(5 * round * ROWS_PER_ROUND + 2 * ROWS_PER_ROUND);
        up.kill();
        up = place.up(&[]);
    }
    let all = ROUNDS * ROWS_PER_ROUND;
    place.wait_for(5 * all);
    up.stop();
    let rows = after(&place.rows());
    assert_eq!(rows.len(), 2 * all);
    for (n, pair) in rows.chunks(2).enumerate() {
        let next = n + 1;
        let (id, inserted, updated) = (next, format!("c{n}"), format!("c{next}"));
        let expected = [
            json!({"id": id, "kept": n, inserted: format!("v{n}")}),
            json!({"id": id, "keep": n + 1000, updated: format!("w{n}")}),
        ];
        assert_eq!(pair, expected);
    }
}

#[test]
fn columns_that_cannot_be_known_stop_the_reader_or_go_without_names_as_the_setting_says() {
    let Some(mut place) = Unnamed::set_up("mysql_unknown") else { return };
    place.server.run("SET GLOBAL binlog_row_metadata = FULL");
    place.server.run_here(&[
        "CREATE TABLE t (id INT PRIMARY KEY, a INT)",
        "CREATE TABLE u (id INT PRIMARY KEY, a INT)",
        "INSERT INTO t VALUES (1, 1)",
    ]);
    let up = place.up(&[]);
    Embedded(&place.store()).wait_for("event.dataset:mysql.row", 1);
    up.stop();
    place.server.run("SET GLOBAL binlog_row_metadata = NO_LOG");
    place.server.run_here(&[
        // Of this one, what the server says now holds from here on.
        "INSERT INTO u VALUES (1, 2)",
        "INSERT INTO t VALUES (2, 2)",
        "ALTER TABLE t CHANGE a b INT",
        "INSERT INTO t VALUES (3, 3)",
    ]);
    let mut up = place.up(&[]);
    up.says("--mysql-on-unknown-columns unnamed");
    up.says(&format!("the columns of {}.t are not known", place.server.database));
    drop(up);
    let up = place.up(&["--mysql-on-unknown-columns", "unnamed"]);
    place.wait_for(4);
    up.stop();
    let expected = [json!({"id": 1, "a": 2}), json!({"@1": 2, "@2": 2}), json!({"id": 3, "b": 3})];
    assert_eq!(after(&place.rows()), expected);
}

#[test]
fn a_mysql_5_5_gives_its_log_its_rows_and_its_changes_with_their_names() {
    let Some(mut place) = Unnamed::set_up_mysql("mysql_old") else { return };
    place.server.run_here(&[
        "CREATE TABLE t (id INT PRIMARY KEY, a BIGINT UNSIGNED, s VARCHAR(9) CHARSET latin1,
         at DATETIME, price DECIMAL(9,2), state ENUM('new','old'))",
        "INSERT INTO t VALUES (1, 18446744073709551615, 'é', '2026-11-21 09:00:00', -1.5, 'old')",
    ]);
    let log = format!("{}/server.log", ask_services(&["home", "mysql"]));
    let flags = ["--mysql-error-log", log.as_str(), "--start-at", "beginning"];
    let up = place.up(&flags);
    let store = place.store();
    Embedded(&store).wait_for("event.dataset:mysql.row", 1);
    place.server.run_here(&["INSERT INTO t (id, s) VALUES (2, 'ü')"]);
    place.wait_for(1);
    up.kill();
    place.server.run_here(&[
        "UPDATE t SET a = 5, price = 2.25, state = 'new' WHERE id = 1",
        "ALTER TABLE t DROP at, CHANGE s name VARCHAR(20) CHARSET latin1 FIRST, ADD b TINYINT",
        "INSERT INTO t VALUES ('ä', 3, 7, 0.5, 'new', -1)",
        "CREATE TABLE plain (id INT KEY, note TEXT)",
        "INSERT INTO plain VALUES (1, 'ö')",
        "FLUSH LOGS",
        "ALTER TABLE plain RENAME kept, CHANGE note text TEXT",
        "INSERT INTO kept VALUES (2, 'ß')",
        "DELETE FROM kept WHERE id = 1",
    ]);
    let up = place.up(&flags);
    place.wait_for(9);
    up.stop();
    let read = Embedded(&store).find("event.dataset:mysql.row");
    let row = json!({
        "id": 1, "a": u64::MAX, "s": "é", "at": "2026-11-21T09:00:00", "price": "-1.50",
        "state": "old"
    });
    assert_eq!(after(&read), std::slice::from_ref(&row));
    let mut updated = row;
    (updated["a"], updated["price"], updated["state"]) = (json!(5), json!("2.25"), json!("new"));
    let nulls = json!({"id": 2, "a": null, "s": "ü", "at": null, "price": null, "state": null});
    let altered = json!({"name": "ä", "id": 3, "a": 7, "price": "0.50", "state": "new", "b": -1});
    let expected =
        [nulls, updated, altered, json!({"id": 1, "note": "ö"}), json!({"id": 2, "text": "ß"})];
    assert_eq!(after(&place.rows()), expected);
    let deleted = &Embedded(&store).find("event.action:delete")[0].source["db"];
    assert_eq!(deleted["before"], json!({"id": 1, "text": "ö"}));
    assert!(Embedded(&store).count("event.dataset:mysql.error") > 0);
}
