//! Events of the binlog as bytes: their numbers, and those whose bytes need more than a field.

use mysql_async::binlog::events::Event;
use mysql_common::proto::MySerialize as _;

use crate::bytes::Bytes;

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

/// Default database and text of a QUERY event.
pub(crate) fn query(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut bytes = Bytes(data);
    bytes.take(8)?;
    let database = usize::from(bytes.u8()?);
    bytes.take(2)?;
    let variables = usize::try_from(bytes.little(2)?).ok()?;
    bytes.take(variables)?;
    let database = bytes.take(database)?;
    bytes.take(1)?;
    Some((database, bytes.0))
}
