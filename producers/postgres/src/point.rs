//! Where the stream and the reading of the tables go on. Version 2, numbers big endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 2 |
//! | 8 | the server's system identifier |
//! | 4 | its timeline |
//! | 8 | place in the log behind the last transaction that was given |
//! | 1 | tables: 0 read, or not to be; 1 not begun; 2 the chunk that follows; 3 the same, a table's last |
//! | 8 | of a chunk: where the stream was when it was decided on |
//! | texts | of a chunk: schema, table, how many key columns, the upper bound's values, the lower's |
//!
//! A text is its length in four bytes, and itself. A table's first chunk has no lower bound. Version
//! 1 is read too: there a chunk was decided on where the point is.

use crate::cursor::Cursor;
use crate::lsn::Lsn;

const VERSION: u8 = 2;

/// A place to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The server's system identifier.
    pub system: u64,
    /// Its timeline.
    pub timeline: u32,
    /// Everything that was committed before it was given.
    pub lsn: Lsn,
    /// How far the tables are read.
    pub progress: Progress,
}

/// How far the tables are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of them, or none are to be.
    Done,
    /// The first is next.
    Begin,
    /// This is next.
    Chunk(Chunk),
}

/// A range of a table's rows, decided before they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Key of the row before; none at the table's beginning.
    pub lower: Option<Vec<String>>,
    /// Key of the last row.
    pub upper: Vec<String>,
    /// What is behind it came later, and comes with the changes.
    pub is_last: bool,
    /// Place in the log when it was decided on, which its rows carry: they are at least as new.
    pub at: Lsn,
}

impl Point {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.system.to_be_bytes());
        out.extend_from_slice(&self.timeline.to_be_bytes());
        out.extend_from_slice(&self.lsn.0.to_be_bytes());
        match &self.progress {
            Progress::Done => out.push(0),
            Progress::Begin => out.push(1),
            Progress::Chunk(chunk) => {
                out.push(if chunk.is_last { 3 } else { 2 });
                out.extend_from_slice(&chunk.at.0.to_be_bytes());
                write_text(&chunk.schema, &mut out);
                write_text(&chunk.table, &mut out);
                out.push(u8::try_from(chunk.upper.len()).expect("a key has at most 32 columns"));
                let lower = chunk.lower.iter().flatten();
                chunk.upper.iter().chain(lower).for_each(|text| write_text(text, &mut out));
            }
        }
        out
    }

    /// None if it is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Cursor(bytes);
        let version = rest.u8()?;
        matches!(version, 1 | VERSION).then_some(())?;
        let (system, timeline, lsn) = (rest.u64()?, rest.u32()?, Lsn(rest.u64()?));
        let progress = match rest.u8()? {
            0 => Progress::Done,
            1 => Progress::Begin,
            kind @ (2 | 3) => {
                let at = if version == 1 { lsn } else { Lsn(rest.u64()?) };
                let (schema, table) = (text(&mut rest)?, text(&mut rest)?);
                let columns = rest.u8()?;
                let mut key = || (0..columns).map(|_| text(&mut rest)).collect::<Option<Vec<_>>>();
                let upper = key()?;
                let lower = key();
                Progress::Chunk(Chunk { schema, table, lower, upper, is_last: kind == 3, at })
            }
            _ => return None,
        };
        rest.0.is_empty().then_some(Self { system, timeline, lsn, progress })
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let length = u32::try_from(text.len()).expect("a key is shorter than a page");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn text(rest: &mut Cursor<'_>) -> Option<String> {
    let length = rest.u32()? as usize;
    String::from_utf8(rest.bytes(length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_reads_back_as_it_was_and_nothing_else_does() {
        let chunk = |lower: Option<&[&str]>| {
            let lower = lower.map(|key| key.iter().map(|text| (*text).to_owned()).collect());
            let upper = vec!["7".to_owned(), "ñ".to_owned()];
            let (schema, table) = ("public".to_owned(), "a\"b".to_owned());
            Progress::Chunk(Chunk { schema, table, lower, upper, is_last: false, at: Lsn(7) })
        };
        for progress in [Progress::Done, Progress::Begin, chunk(None), chunk(Some(&["1", ""]))] {
            let point = Point { system: u64::MAX, timeline: 3, lsn: Lsn(1 << 40), progress };
            let bytes = point.encode();
            assert_eq!(Point::decode(&bytes).as_ref(), Some(&point));
            assert_eq!(Point::decode(&[&bytes[..], b"x"].concat()), None);
            assert_eq!(Point::decode(&bytes[..20]), None);
        }
        assert_eq!(Point::decode(&[3; 30]), None);
    }

    #[test]
    fn a_point_of_version_1_has_its_chunk_where_it_is_itself() {
        let chunk = Chunk {
            schema: "public".to_owned(),
            table: "orders".to_owned(),
            lower: None,
            upper: vec!["7".to_owned()],
            is_last: true,
            at: Lsn(9),
        };
        let progress = Progress::Chunk(chunk);
        let point = Point { system: 1, timeline: 1, lsn: Lsn(9), progress };
        let mut bytes = point.encode();
        bytes[0] = 1;
        let behind_kind = 1 + 8 + 4 + 8 + 1;
        bytes.drain(behind_kind..behind_kind + 8);
        assert_eq!(Point::decode(&bytes), Some(point));
    }
}
