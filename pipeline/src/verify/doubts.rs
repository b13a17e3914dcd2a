//! What seemed to differ where rows were read one after the other while they went on changing: a key
//! that was changed meanwhile is not compared, the others differ.

use std::collections::HashMap;

use super::{Compared, Why};

/// One key that differs, unless it was changed meanwhile.
#[derive(Clone, Debug)]
struct Doubt {
    table: usize,
    /// Where its row is; `None` for a key that is told and not in the table.
    row: Option<(u64, Why)>,
    key: String,
    excused: bool,
}

/// All of one pass, in the order in which they were found.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubts {
    found: Vec<Doubt>,
    by_key: HashMap<Box<[u8]>, usize>,
}

/// What one takes besides its key, which it has twice.
const DOUBT_BYTES: usize = size_of::<Doubt>() + size_of::<(Box<[u8]>, usize)>() * 8 / 7 + 32;

impl Doubts {
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds one, and says how many bytes it takes.
    pub fn add(
        &mut self,
        own: Box<[u8]>,
        table: usize,
        row: Option<(u64, Why)>,
        key: String,
    ) -> usize {
        let bytes = own.len() + key.len() + DOUBT_BYTES;
        self.by_key.insert(own, self.found.len());
        self.found.push(Doubt { table, row, key, excused: false });
        bytes
    }

    /// That key was changed meanwhile.
    pub fn excuse(&mut self, own: &[u8]) {
        if let Some(at) = self.by_key.get(own) {
            self.found[*at].excused = true;
        }
    }

    /// All of that table were.
    pub fn excuse_all(&mut self, table: usize) {
        let of_table = self.found.iter_mut().filter(|doubt| doubt.table == table);
        of_table.for_each(|doubt| doubt.excused = true);
    }

    /// Says of each what it is.
    pub fn settle(self, compared: &mut [Compared]) {
        for Doubt { table, row, key, excused } in self.found {
            match row {
                Some((chunk, _)) if excused => compared[table].chunk_at(chunk).unsure += 1,
                Some((chunk, why)) => compared[table].chunk_at(chunk).differs(key, why),
                None if excused => {}
                None => compared[table].not_there(key),
            }
        }
    }
}
