//! What was last told of each key, and what of it differs from the row that is there.

use std::collections::HashMap;

use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use super::doubts::Doubts;
use super::parts::Parts;
use super::report::Chunk;
use super::told::{Columns, Told, canonical, columns, hash, is_whole};
use super::{Compared, Has, Held, Manner, Truth, Why};

/// Place, and number there.
pub(super) type Order = (u64, u64, u64);

/// What was told last of one key.
#[derive(Clone, Debug)]
struct Row {
    order: Order,
    /// Sum over its columns.
    hash: u128,
    /// Which columns it has, by index.
    shape: u32,
    is: Is,
    found: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    There,
    Gone,
    /// It was changed while the snapshot was taken.
    Unsure,
}

/// What the map takes for a row besides its key.
const ROW_BYTES: usize = size_of::<(Box<[u8]>, Row)>() * 8 / 7 + 16;

/// There are more keys than one pass may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// What was told of the keys of one pass.
pub(super) struct State {
    tables: HashMap<(String, String, String), usize>,
    manner: Manner,
    rows: HashMap<Box<[u8]>, Row>,
    /// Tables that were emptied, and when.
    emptied: Vec<Option<Order>>,
    shapes: Vec<Vec<String>>,
    shape_of: HashMap<Vec<String>, u32>,
    parts: Parts,
    /// What differs waits here, where rows may have been read while they changed.
    doubts: Option<Doubts>,
    pass: (u64, u64),
    bytes: usize,
    bytes_max: usize,
}

impl State {
    pub fn new(truth: &dyn Truth, pass: (u64, u64), bytes_max: usize) -> Self {
        let (tables, manner) = (truth.tables(), truth.manner());
        let name = |held: &Held| (held.db.clone(), held.schema.clone(), held.table.clone());
        let named = tables.iter().enumerate().filter(|(_, held)| held.left_out.is_none());
        Self {
            tables: named.map(|(at, held)| (name(held), at)).collect(),
            manner,
            rows: HashMap::new(),
            emptied: vec![None; tables.len()],
            shapes: Vec::new(),
            shape_of: HashMap::new(),
            parts: Parts::default(),
            doubts: manner.may_move.then(Doubts::default),
            pass,
            bytes: 0,
            bytes_max,
        }
    }

    fn table(&self, told: &Told<'_>) -> Option<usize> {
        let name = (told.db.to_string(), told.schema.to_string(), told.table.to_string());
        self.tables.get(&name).copied()
    }

    /// Its table, and where it is among the records; `None` if it is not compared.
    fn place(&self, told: &Told<'_>, truth: &dyn Truth) -> Option<(usize, Order)> {
        self.table(told).zip(order(told, truth))
    }

    fn room(&self) -> Result<(), Overflow> {
        if self.bytes > self.bytes_max { Err(Overflow) } else { Ok(()) }
    }

    /// Takes a record in, if the snapshot has it.
    pub fn take(
        &mut self,
        told: &Told<'_>,
        truth: &dyn Truth,
    ) -> Result<Result<(), Overflow>, String> {
        let Some((table, order)) = self.place(told, truth) else { return Ok(Ok(())) };
        let is = match truth.has(told) {
            Has::No => return Ok(Ok(())),
            Has::Yes => Is::There,
            Has::Perhaps => Is::Unsure,
        };
        if truth.empties(told) {
            self.emptied[table] = self.emptied[table].max(Some(order));
            return Ok(Ok(()));
        }
        let Some(key) = told.key(self.manner.named_by)? else { return Ok(Ok(())) };
        let name = canonical(&key);
        if told.is_part() {
            match (is, self.own(table, &name)) {
                (Is::There, Some(own)) => self.bytes += self.parts.note(own, order),
                (Is::There, None) => {}
                // Whatever else is told of it.
                _ => self.set(table, &name, Row::gone(Order::default(), is)),
            }
            return Ok(self.room());
        }
        if let Some(old) = told.old_key(&key)? {
            let is = if is == Is::There { Is::Gone } else { is };
            self.set(table, &old, Row::gone(order, is));
        }
        let row = match told.after {
            Some(after) if told.op != "delete" => self.row(after, order, is)?,
            _ if is == Is::There => Row::gone(order, Is::Gone),
            _ => Row::gone(order, is),
        };
        self.set(table, &name, row);
        Ok(self.room())
    }

    /// All was told. Says whether there are rows of which parts were told last: then everything is
    /// to be told again, to [`State::take_part`].
    pub fn has_parts(&mut self) -> bool {
        let rows = &self.rows;
        self.parts.keep(|own, last| {
            rows.get(own).is_some_and(|row| row.is == Is::There && row.order < last)
        });
        !self.parts.is_empty()
    }

    /// Takes a record in, if it is one of a row of which parts were told last.
    pub fn take_part(
        &mut self,
        told: &Told<'_>,
        truth: &dyn Truth,
    ) -> Result<Result<(), Overflow>, String> {
        let Some((table, order)) = self.place(told, truth) else { return Ok(Ok(())) };
        if truth.has(told) != Has::Yes {
            return Ok(Ok(()));
        }
        let Some(key) = told.key(self.manner.named_by)? else { return Ok(Ok(())) };
        if let Some(own) = self.own(table, &canonical(&key))
            && let Some(row) = self.rows.get(&own)
        {
            self.bytes += self.parts.take(&own, told, order, row.order);
        }
        Ok(self.room())
    }

    /// Everything was told again.
    ///
    /// # Errors
    /// What was told is no document.
    pub fn put_together(&mut self) -> Result<(), String> {
        let mut parts = std::mem::take(&mut self.parts);
        let put = parts.put_together(|own, document| {
            let columns = document.iter().map(|(name, value)| (name, value.to_string()));
            let (hash, shape) = self.image(columns);
            if let Some(row) = self.rows.get_mut(own) {
                (row.hash, row.shape) = (hash, shape);
            }
        });
        self.parts = parts;
        put
    }

    fn row(&mut self, after: &RawValue, order: Order, is: Is) -> Result<Row, String> {
        let columns = columns(after)?;
        let (hash, shape) = self.image(columns.iter().map(|(name, value)| (name, value.get())));
        Ok(Row { order, hash, shape, is, found: false })
    }

    /// The sum over those of the columns that are there whole, and which these are.
    fn image<'n>(
        &mut self,
        columns: impl Iterator<Item = (&'n String, impl AsRef<str>)>,
    ) -> (u128, u32) {
        let (mut names, mut sum) = (Vec::new(), 0_u128);
        for (name, value) in columns.filter(|(_, value)| is_whole(value.as_ref())) {
            names.push(name.clone());
            sum = sum.wrapping_add(hash(name, value.as_ref()));
        }
        (sum, self.shape(names))
    }

    fn shape(&mut self, names: Vec<String>) -> u32 {
        if let Some(known) = self.shape_of.get(&names) {
            return *known;
        }
        let number = u32::try_from(self.shapes.len()).expect("a shape is many bytes of a record");
        self.bytes +=
            names.iter().map(|name| 2 * (name.len() + size_of::<String>())).sum::<usize>();
        self.shapes.push(names.clone());
        self.shape_of.insert(names, number);
        number
    }

    fn set(&mut self, table: usize, key: &str, row: Row) {
        let Some(key) = self.own(table, key) else { return };
        match self.rows.get_mut(&key) {
            Some(known) if known.order > row.order => {
                // What came while the snapshot was taken stays unsure.
                if row.is == Is::Unsure {
                    known.is = Is::Unsure;
                }
            }
            Some(known) => {
                let unsure = known.is == Is::Unsure;
                *known = row;
                if unsure {
                    known.is = Is::Unsure;
                }
            }
            None => {
                self.bytes += key.len() + ROW_BYTES;
                self.rows.insert(key, row);
            }
        }
    }

    /// The key in the map, if it is one of this pass.
    fn own(&self, table: usize, key: &str) -> Option<Box<[u8]>> {
        let number = u32::try_from(table).expect("a database has fewer tables").to_le_bytes();
        let whole = [&number, key.as_bytes()].concat();
        let (pass, passes) = self.pass;
        (xxh3_64(&whole) % passes == pass).then(|| whole.into_boxed_slice())
    }

    /// Compares a row that is there with what was told of it.
    ///
    /// # Errors
    /// The row is no record.
    pub fn compare(
        &mut self,
        table: usize,
        record: &[u8],
        number: u64,
        compared: &mut Compared,
    ) -> Result<Result<(), Overflow>, String> {
        let record = Told::parse(record)?;
        let (Some(key), Some(after)) = (record.key(self.manner.named_by)?, record.after) else {
            return Ok(Ok(()));
        };
        let key = canonical(&key);
        let chunk = compared.chunk(number, &key);
        let Some(own) = self.own(table, &key) else { return Ok(Ok(())) };
        chunk.rows += 1;
        let there = columns(after)?;
        let whole = sum(&there, &mut there.keys());
        chunk.checksum = chunk.checksum.wrapping_add(whole);
        let emptied = self.emptied[table];
        let why = match self.rows.get_mut(&own) {
            None => Some(Why::NotTold),
            Some(told) => {
                told.found = true;
                match told.is {
                    Is::Unsure => {
                        chunk.unsure += 1;
                        None
                    }
                    Is::Gone => Some(Why::ToldGone),
                    Is::There if emptied > Some(told.order) => Some(Why::ToldGone),
                    Is::There => {
                        let names = &self.shapes[told.shape as usize];
                        let in_parts = self.parts.has(&own);
                        match self.manner.whole_rows {
                            true => told.compare_whole(names, &there, in_parts, chunk)?,
                            false => told.compare_told(names, &there, chunk),
                        }
                    }
                }
            }
        };
        let Some(why) = why else { return Ok(Ok(())) };
        match &mut self.doubts {
            None => chunk.differs(key, why),
            Some(doubts) => self.bytes += doubts.add(own, table, Some((number, why)), key),
        }
        Ok(if self.doubts.is_some() { self.room() } else { Ok(()) })
    }

    /// What was told of keys that are not in the table.
    pub fn finish(&mut self, table: usize, compared: &mut Compared) {
        let number = u32::try_from(table).expect("a database has fewer tables").to_le_bytes();
        let of_table = self.rows.iter().filter(|(key, _)| key.starts_with(&number));
        let emptied = self.emptied[table];
        for (own, row) in of_table {
            if !row.found && row.is == Is::There && emptied < Some(row.order) {
                let key = String::from_utf8_lossy(&own[number.len()..]).into_owned();
                match &mut self.doubts {
                    None => compared.not_there(key),
                    Some(doubts) => self.bytes += doubts.add(own.clone(), table, None, key),
                }
            }
        }
    }

    /// Something seems to differ, and may only have been changed meanwhile.
    pub fn doubts(&self) -> bool {
        self.doubts.as_ref().is_some_and(|doubts| !doubts.is_empty())
    }

    /// What that record changed while rows were read is not compared.
    ///
    /// # Errors
    /// The record is none of a change.
    pub fn excuse(&mut self, told: &Told<'_>, truth: &dyn Truth) -> Result<(), String> {
        let Some(table) = self.table(told) else { return Ok(()) };
        if truth.has(told) != Has::Perhaps {
            return Ok(());
        }
        let own = match told.key(self.manner.named_by)? {
            Some(key) => self.own(table, &canonical(&key)),
            None => None,
        };
        let Some(doubts) = &mut self.doubts else { return Ok(()) };
        if truth.empties(told) {
            doubts.excuse_all(table);
        }
        if let Some(own) = own {
            doubts.excuse(&own);
        }
        Ok(())
    }

    /// Whatever was in doubt and not excused differs.
    pub fn settle(self, compared: &mut [Compared]) {
        self.doubts.into_iter().for_each(|doubts| doubts.settle(compared));
    }
}

/// `None` for a row that has no place, as one of a polled table.
fn order(told: &Told<'_>, truth: &dyn Truth) -> Option<Order> {
    let (high, low) = truth.order(&told.position)?;
    let number = match told.is_read() && truth.manner().rows_come_last {
        true => u64::MAX,
        false => told.n.map_or(0, |number| number + 1),
    };
    Some((high, low, number))
}

fn sum(there: &Columns<'_>, names: &mut dyn Iterator<Item = &String>) -> u128 {
    names.fold(0_u128, |sum, name| sum.wrapping_add(hash(name, there[name].get())))
}

/// The same where nothing tells the order of what is inside of a column.
fn sum_of_values(there: &Columns<'_>, names: &[String]) -> Result<u128, String> {
    let mut sum = 0_u128;
    for name in names {
        let value: serde_json::Value =
            serde_json::from_str(there[name].get()).map_err(|error| format!("no JSON: {error}"))?;
        sum = sum.wrapping_add(hash(name, &value.to_string()));
    }
    Ok(sum)
}

impl Row {
    fn gone(order: Order, is: Is) -> Self {
        Self { order, hash: 0, shape: 0, is, found: false }
    }

    /// Compares those of the row's columns that were told.
    fn compare_told(
        &self,
        names: &[String],
        there: &Columns<'_>,
        chunk: &mut Chunk,
    ) -> Option<Why> {
        chunk.told += 1;
        if !names.iter().all(|name| there.contains_key(name)) {
            chunk.other_columns += 1;
            return None;
        }
        if names.len() < there.len() {
            chunk.in_part += 1;
        }
        let same = sum(there, &mut names.iter()) == self.hash;
        chunk.same += u64::from(same);
        (!same).then_some(Why::OtherValues)
    }

    /// Compares all of the row's columns, except those that gave way to their hashes.
    fn compare_whole(
        &self,
        names: &[String],
        there: &Columns<'_>,
        put_together: bool,
        chunk: &mut Chunk,
    ) -> Result<Option<Why>, String> {
        chunk.told += 1;
        let whole: Vec<_> = there.keys().filter(|name| is_whole(there[*name].get())).collect();
        if whole.len() < there.len() {
            chunk.in_part += 1;
            // What a part put into such a value cannot be compared with its hash.
            if put_together {
                chunk.same += 1;
                return Ok(None);
            }
        }
        let same = names.iter().eq(whole.iter().copied())
            && self.hash
                == match put_together {
                    true => sum_of_values(there, names)?,
                    false => sum(there, &mut names.iter()),
                };
        chunk.same += u64::from(same);
        Ok((!same).then_some(Why::OtherValues))
    }
}
