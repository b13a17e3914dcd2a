//! What a comparison found, for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Held;

/// Keys that are named of each chunk and each table; the others are counted.
const KEYS_MAX: usize = 10;

/// How a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is in the table, and was never told.
    NotTold,
    /// It is in the table, and was told to be deleted.
    ToldGone,
    /// The row has other values than were told.
    OtherValues,
}

impl Why {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotTold => "never told",
            Self::ToldGone => "told to be deleted",
            Self::OtherValues => "told with other values",
        }
    }
}

/// Some rows of a table, one behind the other by its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Its first key.
    pub from: String,
    /// Its last.
    pub to: String,
    /// Rows in the table.
    pub rows: u64,
    /// Those of them that were told.
    pub told: u64,
    /// Those that were told as they are.
    pub same: u64,
    /// Those that were changed while the snapshot was taken, and are not compared.
    pub unsure: u64,
    /// Those whose last change has columns that the table has not.
    pub other_columns: u64,
    /// Those of which some columns were compared: the last change has no others.
    pub in_part: u64,
    /// Sum of the hashes of the rows in the table.
    pub checksum: u128,
    /// Rows that differ.
    pub differ: u64,
    /// The first keys of them.
    pub keys: Vec<(String, Why)>,
}

impl Chunk {
    pub(super) fn differs(&mut self, key: String, why: Why) {
        self.differ += 1;
        if self.keys.len() < KEYS_MAX {
            self.keys.push((key, why));
        }
    }

    fn json(&self) -> Value {
        let key = |(key, why): &(String, Why)| json!({"key": raw(key), "why": why.text()});
        json!({
            "from": raw(&self.from), "to": raw(&self.to), "rows": self.rows, "told": self.told,
            "same": self.same, "differ": self.differ, "unsure": self.unsure,
            "other_columns": self.other_columns, "in_part": self.in_part,
            "checksum": format!("{:032x}", self.checksum),
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(),
        })
    }
}

fn raw(key: &str) -> Value {
    serde_json::from_str(key).unwrap_or_else(|_| Value::String(key.to_owned()))
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// `shop.public.orders`
    pub table: String,
    /// Why it was not compared.
    pub left_out: Option<String>,
    /// In the order of its key.
    pub chunks: Vec<Chunk>,
    /// Keys that were told and are not in the table, and the first of them.
    pub not_there: (u64, Vec<String>),
}

impl Compared {
    pub(super) fn of(held: &Held) -> Self {
        Self { table: held.name(), left_out: held.left_out.clone(), ..Self::default() }
    }

    /// The chunk of that number.
    pub(super) fn chunk_at(&mut self, number: u64) -> &mut Chunk {
        let number = usize::try_from(number).expect("a chunk is many rows");
        if number >= self.chunks.len() {
            self.chunks.resize(number + 1, Chunk::default());
        }
        &mut self.chunks[number]
    }

    /// The chunk of that number, which a key is in.
    pub(super) fn chunk(&mut self, number: u64, key: &str) -> &mut Chunk {
        let chunk = self.chunk_at(number);
        if chunk.from.is_empty() {
            key.clone_into(&mut chunk.from);
        }
        key.clone_into(&mut chunk.to);
        chunk
    }

    pub(super) fn not_there(&mut self, key: String) {
        self.not_there.0 += 1;
        if self.not_there.1.len() < KEYS_MAX {
            self.not_there.1.push(key);
            self.not_there.1.sort_unstable();
        }
    }

    fn sum(&self, of: impl Fn(&Chunk) -> u64) -> u64 {
        self.chunks.iter().map(of).sum()
    }

    /// Keys that differ.
    pub fn differ(&self) -> u64 {
        self.sum(|chunk| chunk.differ) + self.not_there.0
    }

    fn write(&self, out: &mut String) {
        if let Some(reason) = &self.left_out {
            let _ = writeln!(out, "{}: not compared: {reason}", self.table);
            return;
        }
        let (rows, told) = (self.sum(|chunk| chunk.rows), self.sum(|chunk| chunk.told));
        let told = told + self.not_there.0;
        let found = match self.differ() {
            0 => "the same".to_owned(),
            count => format!("{count} differ"),
        };
        let chunks = self.chunks.len();
        let _ =
            writeln!(out, "{}: {rows} rows in {chunks} chunks, {told} told: {found}", self.table);
        for (count, what) in [
            (self.sum(|chunk| chunk.unsure), "changed while this looked, and not compared"),
            (self.sum(|chunk| chunk.other_columns), "told with columns that the table has not"),
            (self.sum(|chunk| chunk.in_part), "compared in those columns that were told last"),
        ] {
            if count > 0 {
                let _ = writeln!(out, "  {count} rows {what}");
            }
        }
        for chunk in self.chunks.iter().filter(|chunk| chunk.differ > 0) {
            let Chunk { from, to, rows, told, differ, .. } = chunk;
            let _ = writeln!(out, "  {from} to {to}: {rows} rows, {told} told, {differ} differ");
            for (key, why) in &chunk.keys {
                let _ = writeln!(out, "    {key} {}", why.text());
            }
        }
        if self.not_there.0 > 0 {
            let _ = writeln!(out, "  {} told and not in the table", self.not_there.0);
            for key in &self.not_there.1 {
                let _ = writeln!(out, "    {key}");
            }
        }
    }

    fn json(&self) -> Value {
        let (count, keys) = &self.not_there;
        json!({
            "table": self.table, "left_out": self.left_out, "differ": self.differ(),
            "rows": self.sum(|chunk| chunk.rows), "told": self.sum(|chunk| chunk.told) + count,
            "chunks": self.chunks.iter().map(Chunk::json).collect::<Vec<_>>(),
            "not_in_the_table": {
                "keys": keys.iter().map(|key| raw(key)).collect::<Vec<_>>(), "count": count,
            },
        })
    }
}

/// What was found of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The producer's name of it.
    pub name: String,
    /// Where both sides were taken.
    pub place: String,
    /// How often both sides were read.
    pub passes: u64,
    /// Table by table.
    pub tables: Vec<Compared>,
}

impl Report {
    /// No key differs.
    pub fn is_same(&self) -> bool {
        self.tables.iter().all(|table| table.differ() == 0)
    }

    /// Line by line.
    pub fn text(&self) -> String {
        let mut out = format!("{} at {}\n", self.name, self.place);
        self.tables.iter().for_each(|table| table.write(&mut out));
        let differ: u64 = self.tables.iter().map(Compared::differ).sum();
        let compared = self.tables.iter().filter(|table| table.left_out.is_none()).count();
        let _ = match differ {
            0 => writeln!(out, "{compared} tables: Kafka says what is in them"),
            _ => writeln!(out, "{compared} tables: {differ} rows differ from what Kafka says"),
        };
        out
    }

    /// The same as one object.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name, "place": self.place, "passes": self.passes, "same": self.is_same(),
            "tables": self.tables.iter().map(Compared::json).collect::<Vec<_>>(),
        })
    }
}
