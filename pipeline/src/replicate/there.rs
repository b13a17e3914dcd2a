//! Rows that the log has beyond the point at which a start goes on: a second read of a table from
//! there may give them again, in another order and with others between them.
//!
//! A row that carries a place in the database's log is known by its key: every change behind that
//! point is told as well, so what the log has of the row and these changes are all there is to know
//! of it, whatever the row has become meanwhile. One that a transaction is named of was read
//! because that moved it, and tells what the change leaves out. It and rows of tables that are
//! polled are known by their bytes, since another version of one is another record; and of versions
//! of one key the last that the log has counts alone, so that a row that has gone back to an
//! earlier one is told again.
//!
//! Until the last of them has come, the lanes of rows stay where they are: the next start, after
//! another crash, must find in the log what this one found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// What has not come for so long is given up, if no further rows come at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// Most rows that are remembered, in 64 MiB: two tables of 2^20 entries of 32 bytes hold 7/8 of
/// them. A table without a primary key is one chunk, so that a crash may leave all of it beyond the
/// point.
const ROWS_MAX: usize = (1 << 20) / 8 * 7;

/// How often each row is there.
pub(super) struct There {
    counts: HashMap<u128, u32>,
    /// There were more than are remembered. All are told again then, counted from the same point,
    /// so that a table that did not change meanwhile has the same ids.
    overflows: bool,
    rows_max: usize,
    /// The last version of each key, of rows that are known by their bytes.
    versions: HashMap<u128, u128>,
    /// The rest is given up after a while: rows that are gone from the table since. Otherwise it
    /// stays until the feed says that it will not come.
    gives_up: bool,
    /// Records until then.
    patience: usize,
    /// When one was found last.
    found: Option<Instant>,
}

impl There {
    pub fn new(gives_up: bool) -> Self {
        Self {
            counts: HashMap::new(),
            overflows: false,
            rows_max: ROWS_MAX,
            versions: HashMap::new(),
            gives_up,
            patience: 0,
            found: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub fn clear(&mut self) {
        // The memory too.
        (self.counts, self.versions) = (HashMap::new(), HashMap::new());
    }

    pub fn expire(&mut self) {
        if self.gives_up && self.found.is_some_and(|found| found.elapsed() > PATIENCE) {
            self.clear();
        }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        if self.overflows {
            return;
        }
        if self.counts.len() >= self.rows_max {
            self.overflows = true;
            self.clear();
            let rows_max = self.rows_max;
            tracing::warn!(
                rows_max,
                "the log has more rows beyond the position than are remembered: they are told again"
            );
            return;
        }
        self.found = Some(Instant::now());
        let (identity, key) = identity(bytes);
        if let Some(before) = key.and_then(|key| self.versions.insert(key, identity)) {
            self.counts.remove(&before);
        }
        *self.counts.entry(identity).or_default() += 1;
        // The rows come again at once, among at most as many that the log does not have.
        self.patience = self.counts.len() * 2 + 1024;
    }

    /// True if the log has it; once for each.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        if self.counts.is_empty() {
            return false;
        }
        let there = match self.counts.entry(identity(bytes).0) {
            Entry::Occupied(mut entry) => {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
                self.found = Some(Instant::now());
                true
            }
            Entry::Vacant(_) => false,
        };
        self.patience = self.patience.saturating_sub(1);
        if self.gives_up && self.patience == 0 {
            self.clear();
        }
        there
    }
}

/// What of a row tells which one it is; `tahoe_schemas::change` has the format.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    db: Option<&'a RawValue>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    table: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    position: Option<&'a RawValue>,
    #[serde(borrow)]
    tx: Option<&'a RawValue>,
}

/// What a row is known by, and its key, if it is one of several versions.
fn identity(bytes: &[u8]) -> (u128, Option<u128>) {
    let whole = || xxh3_128(bytes);
    let Ok(row) = serde_json::from_slice::<Row<'_>>(bytes) else { return (whole(), None) };
    // Without a key, equal rows are told apart by nothing, and counted.
    let of = |last: Option<&RawValue>| {
        let mut hash = Xxh3::new();
        for part in [row.db, row.schema, row.table, last] {
            hash.update(part.map_or("", RawValue::get).as_bytes());
            hash.update(b"\0");
        }
        hash.digest128()
    };
    match (row.position, row.tx) {
        (Some(_), None) => (of(row.key.or(row.after)), None),
        (Some(_), Some(_)) => (whole(), None),
        (None, _) => (whole(), row.key.map(|key| of(Some(key)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_than_are_remembered_are_all_told_again() {
        let mut there = There { rows_max: 3, ..There::new(false) };
        let rows = [b"a", b"b", b"c", b"d", b"e"];
        rows[..3].iter().for_each(|row| there.add(*row));
        assert!(!there.is_empty());
        rows.iter().for_each(|row| there.add(*row));
        assert!(there.is_empty() && !rows.iter().any(|row| there.take(*row)));
    }

    #[test]
    fn a_row_with_a_place_is_known_by_its_key_and_any_other_by_all_of_it() {
        let row = |key: &str, after: &str, position: &str| {
            format!(r#"{{"op":"read","db":"a","table":"t",{key}"after":{after}{position}}}"#)
        };
        let known = |one: &str, other: &str| {
            let mut there = There::new(true);
            there.add(one.as_bytes());
            there.take(other.as_bytes())
        };
        let (key, at) = (r#""key":{"id":1},"#, r#","position":"0/1""#);
        let first = row(key, r#"{"id":1,"v":0}"#, at);
        assert!(known(&first, &row(key, r#"{"id":1,"v":1}"#, r#","position":"0/2""#)));
        assert!(!known(&first, &row(r#""key":{"id":2},"#, r#"{"id":1,"v":0}"#, at)));
        assert!(!known(&first, &first.replace(r#""t""#, r#""u""#)));
        let moved = r#","tx":"7","position":"0/1""#;
        assert!(!known(&first, &row(key, r#"{"id":1,"v":0}"#, moved)));
        assert!(!known(&row(key, r#"{"id":1,"v":0}"#, moved), &first));
        let keyless = row("", r#"{"v":0}"#, at);
        assert!(known(&keyless, &row("", r#"{"v":0}"#, r#","position":"0/2""#)));
        assert!(!known(&keyless, &row("", r#"{"v":1}"#, at)));
        let polled = row(key, r#"{"id":1,"v":0}"#, "");
        assert!(known(&polled, &polled));
        assert!(!known(&polled, &row(key, r#"{"id":1,"v":1}"#, "")));
        assert!(!known("not JSON", "nor this"));
    }

    #[test]
    fn of_the_versions_of_a_polled_row_the_last_counts() {
        let row = |id: u32, version: u32| {
            format!(r#"{{"op":"read","table":"t","key":{{"id":{id}}},"after":{{"v":{version}}}}}"#)
        };
        let mut there = There::new(false);
        for (id, version) in [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (3, 1)] {
            there.add(row(id, version).as_bytes());
        }
        let found = [(1, 1), (1, 2), (2, 1), (3, 2), (3, 1), (3, 1)]
            .map(|(id, version)| there.take(row(id, version).as_bytes()));
        assert_eq!(found, [false, true, true, false, true, false]);
        let line = r#"{"sql":"SELECT 1"}"#.as_bytes();
        there.add(line);
        there.add(line);
        assert!(there.take(line) && there.take(line) && there.is_empty());
    }
}
