//! What was last told of each key, and what of it differs from the row that is there.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;
use tahoe_schemas::json;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Compared, Has, Held, Truth, Why};

/// One record of rows or changes; `tahoe_schemas::change` has its format.
#[derive(Debug, Deserialize)]
pub struct Told<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow, default)]
    server: Cow<'a, str>,
    #[serde(borrow, default)]
    db: Cow<'a, str>,
    #[serde(borrow, default)]
    schema: Cow<'a, str>,
    #[serde(borrow, default)]
    table: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tx: Cow<'a, str>,
    #[serde(borrow, default)]
    position: Cow<'a, str>,
    n: Option<u64>,
}

/// Names and values of an object.
type Columns<'a> = BTreeMap<String, &'a RawValue>;

impl<'a> Told<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// It is none of rows or changes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("no record of a change: {error}"))
    }

    /// The server that it is from.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Its transaction; empty for a row that was read.
    pub fn transaction(&self) -> &str {
        &self.tx
    }

    /// Its place in the database's own log.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// It is a row that was read, and no change.
    pub fn is_read(&self) -> bool {
        self.op == "read"
    }

    fn key_columns(&self) -> Result<Vec<String>, String> {
        let Some(key) = self.key else { return Ok(Vec::new()) };
        Ok(columns(key)?.into_keys().collect())
    }

    /// The key that the row had before, if the record says it and it is another.
    fn old_key(&self) -> Result<Option<String>, String> {
        let (Some(key), Some(before)) = (self.key, self.before) else { return Ok(None) };
        let (names, before) = (self.key_columns()?, columns(before)?);
        let key = canonical(&columns(key)?);
        if !names.iter().all(|name| before.contains_key(name)) {
            return Ok(None);
        }
        let old: Columns<'_> =
            names.into_iter().map(|name| (name.clone(), before[&name])).collect();
        Ok(Some(canonical(&old)).filter(|old| *old != key))
    }
}

fn columns(object: &RawValue) -> Result<Columns<'_>, String> {
    serde_json::from_str(object.get()).map_err(|error| format!("no object of columns: {error}"))
}

/// `{"a":1,"b":2}`, by the names of the columns.
fn canonical(columns: &Columns<'_>) -> String {
    let mut out = Vec::new();
    for (name, value) in columns {
        out.push(if out.is_empty() { b'{' } else { b',' });
        json::write_str(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// A value that gave way to its length and hash is not compared.
fn is_whole(value: &RawValue) -> bool {
    let text = value.get();
    !(text.starts_with("{\"bytes\":") && text.contains("\"sha256\":"))
}

/// Columns add up, so that it does not matter which come first, and some can be left out.
fn hash(name: &str, value: &RawValue) -> u128 {
    let text = value.get().as_bytes();
    let mut bytes = Vec::with_capacity(name.len() + 1 + text.len());
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(text);
    xxh3_128(&bytes)
}

/// Place, and number there: a row that was read comes before the changes at its place.
type Order = (u64, u64, u64);

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
    rows: HashMap<Box<[u8]>, Row>,
    /// Tables that were emptied, and when.
    emptied: Vec<Option<Order>>,
    shapes: Vec<Vec<String>>,
    shape_of: HashMap<Vec<String>, u32>,
    pass: (u64, u64),
    bytes: usize,
    bytes_max: usize,
}

impl State {
    pub fn new(tables: &[Held], pass: (u64, u64), bytes_max: usize) -> Self {
        let name = |held: &Held| (held.db.clone(), held.schema.clone(), held.table.clone());
        let named = tables.iter().enumerate().filter(|(_, held)| held.left_out.is_none());
        Self {
            tables: named.map(|(at, held)| (name(held), at)).collect(),
            rows: HashMap::new(),
            emptied: vec![None; tables.len()],
            shapes: Vec::new(),
            shape_of: HashMap::new(),
            pass,
            bytes: 0,
            bytes_max,
        }
    }

    /// Takes a record in, if the snapshot has it.
    pub fn take(
        &mut self,
        told: &Told<'_>,
        truth: &dyn Truth,
    ) -> Result<Result<(), Overflow>, String> {
        let name = (told.db.to_string(), told.schema.to_string(), told.table.to_string());
        let Some(table) = self.tables.get(&name).copied() else { return Ok(Ok(())) };
        // A polled row has no place.
        let Some((high, low)) = truth.order(&told.position) else { return Ok(Ok(())) };
        let order = (high, low, told.n.map_or(0, |number| number + 1));
        let is = match truth.has(told) {
            Has::No => return Ok(Ok(())),
            Has::Yes => Is::There,
            Has::Perhaps => Is::Unsure,
        };
        if told.op == "truncate" {
            self.emptied[table] = self.emptied[table].max(Some(order));
            return Ok(Ok(()));
        }
        let Some(key) = told.key else { return Ok(Ok(())) };
        if let Some(old) = told.old_key()? {
            let is = if is == Is::There { Is::Gone } else { is };
            self.set(table, &old, Row { order, hash: 0, shape: 0, is, found: false });
        }
        let row = match told.after {
            Some(after) if told.op != "delete" => self.row(after, order, is)?,
            _ if is == Is::There => Row { order, hash: 0, shape: 0, is: Is::Gone, found: false },
            _ => Row { order, hash: 0, shape: 0, is, found: false },
        };
        self.set(table, &canonical(&columns(key)?), row);
        Ok(if self.bytes > self.bytes_max { Err(Overflow) } else { Ok(()) })
    }

    fn row(&mut self, after: &RawValue, order: Order, is: Is) -> Result<Row, String> {
        let columns = columns(after)?;
        let whole = columns.iter().filter(|(_, value)| is_whole(value));
        let (mut names, mut sum) = (Vec::with_capacity(columns.len()), 0_u128);
        for (name, value) in whole {
            names.push(name.clone());
            sum = sum.wrapping_add(hash(name, value));
        }
        Ok(Row { order, hash: sum, shape: self.shape(names), is, found: false })
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
    pub fn compare(
        &mut self,
        table: usize,
        record: &[u8],
        chunk: u64,
        compared: &mut Compared,
    ) -> Result<(), String> {
        let record = Told::parse(record)?;
        let (Some(key), Some(after)) = (record.key, record.after) else { return Ok(()) };
        let key = canonical(&columns(key)?);
        let chunk = compared.chunk(chunk, &key);
        let Some(own) = self.own(table, &key) else { return Ok(()) };
        chunk.rows += 1;
        let there = columns(after)?;
        let sum = |names: &mut dyn Iterator<Item = &String>| {
            names.fold(0_u128, |sum, name| sum.wrapping_add(hash(name, there[name])))
        };
        chunk.checksum = chunk.checksum.wrapping_add(sum(&mut there.keys()));
        let emptied = self.emptied[table];
        let Some(told) = self.rows.get_mut(&own) else {
            chunk.differs(key, Why::NotTold);
            return Ok(());
        };
        told.found = true;
        match told.is {
            Is::Unsure => chunk.unsure += 1,
            Is::Gone => chunk.differs(key, Why::ToldGone),
            Is::There if emptied > Some(told.order) => chunk.differs(key, Why::ToldGone),
            Is::There => {
                chunk.told += 1;
                let names = &self.shapes[told.shape as usize];
                if !names.iter().all(|name| there.contains_key(name)) {
                    chunk.other_columns += 1;
                    return Ok(());
                }
                if names.len() < there.len() {
                    chunk.in_part += 1;
                }
                match sum(&mut names.iter()) == told.hash {
                    true => chunk.same += 1,
                    false => chunk.differs(key, Why::OtherValues),
                }
            }
        }
        Ok(())
    }

    /// What was told of keys that are not in the table.
    pub fn finish(&self, table: usize, compared: &mut Compared) {
        let number = u32::try_from(table).expect("a database has fewer tables").to_le_bytes();
        let of_table = self.rows.iter().filter(|(key, _)| key.starts_with(&number));
        let emptied = self.emptied[table];
        for (key, row) in of_table {
            if !row.found && row.is == Is::There && emptied < Some(row.order) {
                compared.not_there(String::from_utf8_lossy(&key[number.len()..]).into_owned());
            }
        }
    }
}
