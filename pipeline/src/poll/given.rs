//! Rows that were given though others may still come before them, by cursor and hash, so that each
//! is given once however often the window is read. Bounded by bytes.

use std::collections::BTreeMap;
use std::ops::Bound;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

use super::Cursor;

/// The window's rows.
pub(super) struct Given {
    rows: BTreeMap<Cursor, Hashes>,
    bytes: usize,
    /// No two rows have one cursor, so another row there is a newer version.
    is_unique: bool,
    /// The cursor whose rows are being read, and those of it that were given before and not met yet.
    group: Option<(Cursor, Hashes)>,
}

type Hashes = SmallVec<[u128; 1]>;

impl Given {
    pub fn new(is_unique: bool) -> Self {
        Self { rows: BTreeMap::new(), bytes: 0, is_unique, group: None }
    }

    /// True if the row was not given before; it is then, and is remembered if it is `kept`.
    pub fn take(&mut self, cursor: &Cursor, bytes: &[u8], kept: bool) -> bool {
        let hash = xxh3_128(bytes);
        let group = match &mut self.group {
            Some((at, group)) if at == cursor => group,
            _ => {
                let there = self.rows.get(cursor).cloned().unwrap_or_default();
                &mut self.group.insert((cursor.clone(), there)).1
            }
        };
        if let Some(at) = group.iter().position(|known| *known == hash) {
            group.swap_remove(at);
            return false;
        }
        if kept {
            let hashes = self.rows.entry(cursor.clone()).or_default();
            let before = if hashes.is_empty() { 0 } else { bytes_of(cursor, hashes.len()) };
            if self.is_unique {
                hashes.clear();
            }
            hashes.push(hash);
            self.bytes = self.bytes - before + bytes_of(cursor, hashes.len());
        }
        true
    }

    /// A reading begins: every row may be met once more.
    pub fn begin(&mut self) {
        self.group = None;
    }

    /// Nothing up to there will be read again.
    pub fn forget(&mut self, through: &Cursor) {
        let behind = (Bound::Excluded(through), Bound::Unbounded);
        let first = self.rows.range(behind).next().map(|(cursor, _)| cursor.clone());
        let rest = first.map(|first| self.rows.split_off(&first)).unwrap_or_default();
        let gone = std::mem::replace(&mut self.rows, rest);
        let bytes = |(cursor, hashes): (&Cursor, &Hashes)| bytes_of(cursor, hashes.len());
        self.bytes -= gone.iter().map(bytes).sum::<usize>();
        self.group = None;
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}

fn bytes_of(cursor: &Cursor, hashes: usize) -> usize {
    cursor.bytes() + hashes * size_of::<u128>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::Part;

    fn at(number: i128) -> Cursor {
        Cursor(vec![Part::Number(number)])
    }

    #[test]
    fn equal_rows_at_one_place_are_given_as_often_as_they_are_there() {
        let mut given = Given::new(false);
        assert!(given.take(&at(1), b"a", true) && given.take(&at(1), b"a", true));
        given.begin();
        let again = [b"a", b"a", b"a", b"b"].map(|row| given.take(&at(1), row, true));
        assert_eq!(again, [false, false, true, true]);
        given.forget(&at(1));
        assert!(given.is_empty() && given.bytes() == 0);
    }

    #[test]
    fn a_row_that_went_back_to_an_earlier_version_is_given_again() {
        let mut given = Given::new(true);
        let versions = [b"a", b"b", b"b", b"a"].map(|row| {
            given.begin();
            given.take(&at(1), row, true)
        });
        assert_eq!(versions, [true, true, false, true]);
        assert!(given.take(&at(2), b"c", true));
        given.forget(&at(1));
        assert_eq!((given.rows(), given.bytes()), (1, bytes_of(&at(2), 1)));
    }
}
