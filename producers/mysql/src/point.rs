//! Where reading goes on: a place between two transactions of one server's binlog and, while tables
//! are read, the chunk that is next. It is JSON of version 1, or 2 where a gap is to be told:
//!
//! | key | what |
//! |---|---|
//! | `v` | 1 or 2 |
//! | `s` | the server: its uuid, or its id where it has none |
//! | `f`, `p` | file of the binlog, and offset in it |
//! | `g` | global transaction ids up to there, where the server has them |
//! | `h` | statements before it that changed columns, as [`crate::history`] counts them |
//! | `b` | no chunk was decided yet |
//! | `c` | the chunk; none once every table was read |
//! | `x` | changes before it are lost, which the next record says: `f`, the place up to which none are, and `t`, when that was found, in seconds |

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

const VERSION: u32 = 2;

/// The one of points without a gap, which every release reads.
const WHOLE: u32 = 1;

/// A place in a server's binlog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset {
    #[serde(rename = "f")]
    pub file: String,
    #[serde(rename = "p")]
    pub at: u64,
}

impl Offset {
    /// `mysql-bin.000007:1234`
    pub fn text(&self) -> String {
        format!("{}:{}", self.file, self.at)
    }
}

impl Ord for Offset {
    /// Names of files count up, and grow longer after 999999.
    fn cmp(&self, other: &Self) -> Ordering {
        let of = |offset: &Self| (offset.file.len(), offset.file.clone(), offset.at);
        match self.file == other.file {
            true => self.at.cmp(&other.at),
            false => of(self).cmp(&of(other)),
        }
    }
}

impl PartialOrd for Offset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A range of one table's primary key, decided before it is read. Bounds are literals of SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    #[serde(rename = "d")]
    pub database: String,
    #[serde(rename = "t")]
    pub table: String,
    /// The last key of the chunk before; none at the table's beginning.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<Vec<String>>,
    /// Its own last key; none for the table's last chunk.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<Vec<String>>,
    /// The binlog's place when it was decided, which its rows carry: they are at least as new.
    #[serde(rename = "a")]
    pub at: String,
}

/// Where reading goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Point {
    v: u32,
    #[serde(rename = "s")]
    pub server: String,
    #[serde(flatten)]
    pub offset: Offset,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub gtids: Option<String>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub history: Option<u64>,
    #[serde(rename = "b", default, skip_serializing_if = "is_false")]
    pub begins: bool,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Chunk>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// Changes that are lost, up to the point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// None is missing before this.
    #[serde(rename = "f")]
    pub from: String,
    /// When it was found, seconds since the epoch.
    #[serde(rename = "t")]
    pub found_s: i64,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Point {
    pub fn new(server: &str, offset: Offset, gtids: Option<String>, chunk: Option<Chunk>) -> Self {
        Self {
            v: WHOLE,
            server: server.to_owned(),
            offset,
            gtids,
            history: None,
            begins: false,
            chunk,
            gap: None,
        }
    }

    pub fn with_history(self, number: u64) -> Self {
        Self { history: Some(number), ..self }
    }

    pub fn with_beginning(self, begins: bool) -> Self {
        Self { begins, ..self }
    }

    pub fn with_gap(self, gap: Gap) -> Self {
        Self { v: VERSION, gap: Some(gap), ..self }
    }

    /// Every table was read, or none is to be.
    pub fn is_settled(&self) -> bool {
        self.chunk.is_none() && !self.begins
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("a Vec takes what is written to it");
    }

    /// None if it is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|point: &Self| (WHOLE..=VERSION).contains(&point.v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(file: &str, at: u64) -> Offset {
        Offset { file: file.to_owned(), at }
    }

    #[test]
    fn a_point_reads_back_as_it_was_and_a_newer_one_does_not() {
        let chunk = Chunk {
            database: "shop".to_owned(),
            table: "orders".to_owned(),
            lower: None,
            upper: Some(vec!["7".to_owned(), "X'00'".to_owned()]),
            at: "bin.000001:4".to_owned(),
        };
        let gtids = Some("0-1-5".to_owned());
        let point = Point::new("1", offset("bin.000001", 4), gtids, Some(chunk)).with_history(7);
        let mut bytes = Vec::new();
        point.encode(&mut bytes);
        assert_eq!(Point::decode(&bytes).as_ref(), Some(&point));
        let newer = String::from_utf8(bytes).expect("JSON").replace("\"v\":1", "\"v\":3");
        let behind = point.with_gap(Gap { from: "bin.000001:2".to_owned(), found_s: 7 });
        let mut bytes = Vec::new();
        behind.encode(&mut bytes);
        assert!(bytes.starts_with(b"{\"v\":2,"));
        assert_eq!(Point::decode(&bytes), Some(behind));
        assert_eq!(Point::decode(newer.as_bytes()), None);
    }

    #[test]
    fn places_are_ordered_by_file_and_offset_beyond_a_million_files() {
        assert!(offset("bin.999999", 9) < offset("bin.1000000", 4));
        assert!(offset("bin.000001", 9) < offset("bin.000002", 4));
        assert!(offset("bin.000001", 1 << 33) > offset("bin.000001", 1 << 32));
    }
}
