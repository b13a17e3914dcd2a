//! Events of the binlog as bytes: their numbers, and those whose bytes need more than a field.

use std::borrow::Cow;

use mysql_async::binlog::events::Event;
use mysql_common::proto::MySerialize as _;

use crate::bytes::Bytes;
use crate::charset::Charset;
use crate::ddl::{Ddl, Modes};
use crate::table_map::Dialect;

pub(crate) const QUERY: u8 = 2;
pub(crate) const ROTATE: u8 = 4;
pub(crate) const XID: u8 = 16;
pub(crate) const TABLE_MAP: u8 = 19;
pub(crate) const INCIDENT: u8 = 26;
pub(crate) const HEARTBEAT: u8 = 27;
pub(crate) const GTID: u8 = 33;
pub(crate) const ANONYMOUS_GTID: u8 = 34;
pub(crate) const XA_PREPARE: u8 = 38;
pub(crate) const PARTIAL_UPDATE: u8 = 39;
pub(crate) const HEARTBEAT_2: u8 = 41;
pub(crate) const GTID_TAGGED: u8 = 42;
pub(crate) const MARIADB_GTID: u8 = 162;
pub(crate) const COMPRESSED: std::ops::RangeInclusive<u8> = 165..=171;

/// Sent by an idle server, which has nothing more.
pub(crate) fn is_heartbeat(event: &Event) -> bool {
    [HEARTBEAT, HEARTBEAT_2].contains(&event.header().event_type_raw())
}

/// The first event of a stream comes before the one that says that events end with a checksum: the
/// four bytes are one if they are the sum of what is before them.
pub(crate) fn without_checksum(event: &Event) -> &[u8] {
    let data = event.data();
    let Some((content, sum)) = data.split_last_chunk() else { return data };
    let mut whole = Vec::new();
    event.header().serialize(&mut whole);
    whole.extend_from_slice(content);
    if crc32(&whole) == u32::from_le_bytes(*sum) { content } else { data }
}

/// CRC-32 of IEEE 802.3, for a few bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// A QUERY event: a statement, and as much of its session as its meaning needs.
pub(crate) struct Query<'a> {
    database: &'a [u8],
    sql: &'a [u8],
    modes: Modes,
    /// Collation of the text, if the event has it.
    collation: Option<usize>,
    /// It ended with an error, after a part of it was done.
    pub failed: bool,
}

impl<'a> Query<'a> {
    /// `None` if it is damaged.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(data);
        bytes.take(8)?;
        let database = usize::from(bytes.u8()?);
        let failed = bytes.little(2)? != 0;
        let variables = usize::try_from(bytes.little(2)?).ok()?;
        let (modes, collation) = session(Bytes(bytes.take(variables)?));
        let database = bytes.take(database)?;
        bytes.take(1)?;
        Some(Self { database, sql: bytes.0, modes, collation, failed })
    }

    /// The session's database.
    pub fn database(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.database)
    }

    /// The statement.
    pub fn sql(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.sql)
    }

    /// What it does to definitions.
    pub fn ddl(&self, dialect: &Dialect) -> Ddl {
        let is_utf8 = |id| dialect.collations.get(id) == Some(&Charset::Utf8);
        if !self.sql.is_ascii() && !self.collation.as_ref().is_none_or(is_utf8) {
            return Ddl::Unclear;
        }
        let (sql, database) = (self.sql(), self.database());
        let ddl = Ddl::parse(&sql, &database, self.modes, dialect.mariadb);
        if dialect.folds_names { ddl.folded() } else { ddl }
    }
}

/// `sql_mode` and the collation of the text, which stand first and in this order among what an
/// event says of its session.
fn session(mut bytes: Bytes<'_>) -> (Modes, Option<usize>) {
    const FLAGS: u8 = 0;
    const SQL_MODE: u8 = 1;
    const AUTO_INCREMENT: u8 = 3;
    const CHARSET: u8 = 4;
    const CATALOG: u8 = 6;
    let mut modes = Modes::default();
    while let Some(code) = bytes.u8() {
        let taken = match code {
            FLAGS | AUTO_INCREMENT => bytes.take(4).map(|_| ()),
            SQL_MODE => bytes.little(8).map(|mode| modes = Modes(mode)),
            CATALOG => bytes.u8().and_then(|count| bytes.take(usize::from(count))).map(|_| ()),
            CHARSET => {
                let client = bytes.little(2).and_then(|id| usize::try_from(id).ok());
                return (modes, client);
            }
            _ => None,
        };
        if taken.is_none() {
            break;
        }
    }
    (modes, None)
}
