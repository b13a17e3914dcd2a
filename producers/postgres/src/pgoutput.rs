//! The messages of pgoutput, protocol version 1, as "Logical Replication Message Formats" of
//! PostgreSQL's documentation lays them out.

use crate::cursor::Cursor;
use crate::lsn::Lsn;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins; those that are streamed have committed already.
    Begin {
        /// Where its commit record is.
        commit: Lsn,
        /// When it was committed: microseconds since 2000.
        time_us: i64,
        /// Its id.
        xid: u32,
    },
    /// It ends.
    Commit {
        /// Behind its commit record: where a later stream goes on.
        end: Lsn,
    },
    /// A table, before the first change of it in this connection and after each change of its shape.
    Relation(Relation),
    /// A row is new.
    Insert {
        /// Table.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row is another.
    Update {
        /// Table.
        relation: u32,
        /// What it was, as far as the table's identity says.
        old: Option<Old<'a>>,
        /// What it is.
        new: Tuple<'a>,
    },
    /// A row is gone.
    Delete {
        /// Table.
        relation: u32,
        /// What it was, as far as the table's identity says.
        old: Old<'a>,
    },
    /// Tables are empty.
    Truncate {
        /// Which.
        relations: Vec<u32>,
    },
    /// A type that is not built in, where a change came from before it was replicated here, or a
    /// message of an application: nothing of a row.
    Aside,
}

/// A table as the stream describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its number in the messages.
    pub id: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// `d`efault, `n`othing, `f`ull, `i`ndex.
    pub identity: u8,
    /// Columns, as they are in its tuples.
    pub columns: Vec<RelationColumn>,
}

/// A column of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Name.
    pub name: String,
    /// Number of its type.
    pub type_oid: u32,
    /// Part of the replica identity.
    pub is_key: bool,
}

/// A row before a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Old<'a> {
    /// The columns of its identity, the others NULL.
    Key(Tuple<'a>),
    /// All of it.
    Full(Tuple<'a>),
}

/// A row's values.
pub type Tuple<'a> = Vec<Cell<'a>>;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A large value that the change did not touch, and that the log does not repeat.
    Unchanged,
    /// As text.
    Text(&'a [u8]),
}

/// Reads a message; `None` if it is damaged or of a newer protocol.
pub fn decode(bytes: &[u8]) -> Option<Message<'_>> {
    let mut body = Cursor(bytes);
    let message = match body.u8()? {
        b'B' => {
            let commit = Lsn(body.u64()?);
            let time_us = body.u64()?.cast_signed();
            Message::Begin { commit, time_us, xid: body.u32()? }
        }
        b'C' => {
            let (_flags, _commit) = (body.u8()?, body.u64()?);
            let end = Lsn(body.u64()?);
            body.u64()?;
            Message::Commit { end }
        }
        b'R' => Message::Relation(relation(&mut body)?),
        b'I' => {
            let relation = body.u32()?;
            (body.u8()? == b'N').then_some(())?;
            Message::Insert { relation, new: tuple(&mut body)? }
        }
        b'U' => {
            let relation = body.u32()?;
            let (old, mark) = match body.u8()? {
                mark @ (b'K' | b'O') => (Some(old(mark, &mut body)?), body.u8()?),
                mark => (None, mark),
            };
            (mark == b'N').then_some(())?;
            Message::Update { relation, old, new: tuple(&mut body)? }
        }
        b'D' => {
            let relation = body.u32()?;
            let mark = body.u8()?;
            Message::Delete { relation, old: old(mark, &mut body)? }
        }
        b'T' => {
            let count = body.u32()?;
            body.u8()?;
            let relations: Option<Vec<u32>> = (0..count).map(|_| body.u32()).collect();
            Message::Truncate { relations: relations? }
        }
        b'Y' | b'O' | b'M' => return Some(Message::Aside),
        _ => return None,
    };
    body.0.is_empty().then_some(message)
}

fn name(body: &mut Cursor<'_>) -> Option<String> {
    Some(String::from_utf8_lossy(body.text()?).into_owned())
}

fn relation(body: &mut Cursor<'_>) -> Option<Relation> {
    let id = body.u32()?;
    let mut schema = name(body)?;
    if schema.is_empty() {
        schema.push_str("pg_catalog");
    }
    let name_of_table = name(body)?;
    let identity = body.u8()?;
    let count = body.u16()?;
    let mut columns = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let is_key = body.u8()? & 1 != 0;
        let name = name(body)?;
        let type_oid = body.u32()?;
        body.u32()?;
        columns.push(RelationColumn { name, type_oid, is_key });
    }
    Some(Relation { id, schema, name: name_of_table, identity, columns })
}

fn old<'a>(mark: u8, body: &mut Cursor<'a>) -> Option<Old<'a>> {
    match mark {
        b'K' => Some(Old::Key(tuple(body)?)),
        b'O' => Some(Old::Full(tuple(body)?)),
        _ => None,
    }
}

fn tuple<'a>(body: &mut Cursor<'a>) -> Option<Tuple<'a>> {
    let count = body.u16()?;
    let mut cells = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        cells.push(match body.u8()? {
            b'n' => Cell::Null,
            b'u' => Cell::Unchanged,
            b't' => {
                let length = body.u32()? as usize;
                Cell::Text(body.bytes(length)?)
            }
            _ => return None,
        });
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn an_update_has_its_old_key_and_tells_null_from_unchanged() {
        let old: [&[u8]; 2] = [b"K\0\x03t\0\0\0\x017nn", b"N\0\x03"];
        let bytes = message(&[b"U\0\0\x40\x01", old[0], old[1], b"t\0\0\0\x018nu"]);
        let key = Old::Key(vec![Cell::Text(b"7"), Cell::Null, Cell::Null]);
        let new = vec![Cell::Text(b"8"), Cell::Null, Cell::Unchanged];
        let update = Message::Update { relation: 0x4001, old: Some(key), new };
        assert_eq!(decode(&bytes), Some(update));
    }

    #[test]
    fn a_table_is_described_with_its_key() {
        let bytes = message(&[
            b"R\0\0\x40\x01public\0or\"ders\0d\0\x02\x01id\0\0\0\0\x17\xFF\xFF\xFF\xFF",
            b"\0note\0\0\0\0\x19\xFF\xFF\xFF\xFF",
        ]);
        let Some(Message::Relation(relation)) = decode(&bytes) else { panic!("no relation") };
        assert_eq!((relation.name.as_str(), relation.identity), ("or\"ders", b'd'));
        let keys: Vec<_> = relation.columns.iter().map(|column| column.is_key).collect();
        assert_eq!(keys, [true, false]);
    }

    #[test]
    fn no_message_cut_short_or_with_more_behind_it_is_taken() {
        let whole = message(&[b"I\0\0\x40\x01N\0\x02t\0\0\0\x03abcn"]);
        assert!(decode(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(decode(&whole[..end]), None, "{end} bytes");
        }
        assert_eq!(decode(&message(&[&whole, b"x"])), None);
        assert_eq!(decode(b"?"), None);
    }
}
