//! Global transaction ids: what was read so far, as each of the two families of servers says it.

use std::collections::BTreeMap;
use std::fmt;

/// The transactions up to a place of the binlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gtids {
    /// MariaDB: the last of each domain, `domain-server-sequence`.
    Last(BTreeMap<u32, (u32, u64)>),
    /// MySQL: all of them, intervals for each `uuid` or `uuid:tag`.
    All(BTreeMap<String, Vec<(u64, u64)>>),
}

impl Gtids {
    /// `0-1-5,1-1-7` as in `gtid_binlog_pos`.
    pub fn mariadb(text: &str) -> Option<Self> {
        let mut last = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (domain, rest) = part.split_once('-')?;
            let (server, sequence) = rest.split_once('-')?;
            last.insert(domain.parse().ok()?, (server.parse().ok()?, sequence.parse().ok()?));
        }
        Some(Self::Last(last))
    }

    /// `uuid:1-5:7,uuid:tag:1` as in `gtid_executed`.
    pub fn mysql(text: &str) -> Option<Self> {
        let mut all = BTreeMap::<String, Vec<(u64, u64)>>::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut pieces = part.split(':');
            let uuid = pieces.next()?.to_ascii_lowercase();
            let mut name = uuid.clone();
            for piece in pieces {
                if piece.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    name = format!("{uuid}:{piece}");
                    continue;
                }
                let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
                let interval = (first.parse().ok()?, last.parse().ok()?);
                all.entry(name.clone()).or_default().push(interval);
            }
        }
        Some(Self::All(all))
    }

    /// Takes note of one of MariaDB's.
    pub fn advance(&mut self, domain: u32, server: u32, sequence: u64) {
        if let Self::Last(last) = self {
            last.insert(domain, (server, sequence));
        }
    }

    /// Takes note of one of MySQL's.
    pub fn add(&mut self, uuid: &str, number: u64) {
        let Self::All(all) = self else { return };
        if !all.contains_key(uuid) {
            all.insert(uuid.to_owned(), Vec::new());
        }
        let intervals = all.get_mut(uuid).expect("it was added");
        // Almost always the next one.
        let at = intervals.partition_point(|(first, _)| *first <= number);
        if at > 0 && intervals[at - 1].1 >= number {
            return;
        }
        let joins_left = at > 0 && intervals[at - 1].1 + 1 == number;
        let joins_right = intervals.get(at).is_some_and(|(first, _)| *first == number + 1);
        match (joins_left, joins_right) {
            (true, true) => {
                intervals[at - 1].1 = intervals[at].1;
                intervals.remove(at);
            }
            (true, false) => intervals[at - 1].1 = number,
            (false, true) => intervals[at].0 = number,
            (false, false) => intervals.insert(at, (number, number)),
        }
    }

    /// Of some domain it lacks what the other has; said of MariaDB's alone.
    pub fn is_behind(&self, other: &Self) -> bool {
        let (Self::Last(ours), Self::Last(others)) = (self, other) else { return false };
        let sequence = |domain: &u32| ours.get(domain).map_or(0, |(_, sequence)| *sequence);
        others.iter().any(|(domain, (_, other))| sequence(domain) < *other)
    }

    /// A tag is in it, which the request for the binlog cannot say.
    pub fn has_tags(&self) -> bool {
        matches!(self, Self::All(all) if all.keys().any(|name| name.contains(':')))
    }
}

impl fmt::Display for Gtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        match self {
            Self::Last(last) => {
                for (domain, (server, sequence)) in last {
                    write!(f, "{comma}{domain}-{server}-{sequence}")?;
                    comma = ",";
                }
            }
            Self::All(all) => {
                for (uuid, intervals) in all {
                    write!(f, "{comma}{uuid}")?;
                    comma = ",";
                    for (first, last) in intervals {
                        match first == last {
                            true => write!(f, ":{first}")?,
                            false => write!(f, ":{first}-{last}")?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// `3e11fa47-71ca-11e1-9e33-c80aa9429562`
pub(crate) fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The 16 bytes of a UUID.
pub(crate) fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let mut bytes = [0; 16];
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn a_set_grows_by_one_and_closes_its_gaps() {
        let mut set = Gtids::mysql(&format!("{}:1-3:5", UUID.to_uppercase())).expect("valid");
        set.add(UUID, 7);
        assert_eq!(set.to_string(), format!("{UUID}:1-3:5:7"));
        set.add(UUID, 4);
        set.add(UUID, 6);
        set.add(UUID, 2);
        assert_eq!(set.to_string(), format!("{UUID}:1-7"));
        set.add("another", 1);
        assert_eq!(set.to_string(), format!("{UUID}:1-7,another:1"));
        assert!(Gtids::mysql(&format!("{UUID}:blue:1-2")).expect("valid").has_tags());
    }

    #[test]
    fn a_mariadb_position_keeps_the_last_of_each_domain() {
        let mut last = Gtids::mariadb("0-1-5,3-2-9").expect("valid");
        last.advance(0, 4, 6);
        assert_eq!(last.to_string(), "0-4-6,3-2-9");
        assert_eq!(Gtids::mariadb("nonsense"), None);
        let behind = |ours, other| {
            let read = |text| Gtids::mariadb(text).expect("valid");
            read(ours).is_behind(&read(other))
        };
        assert!(behind("0-1-5", "0-4-6") && behind("", "0-1-1") && behind("0-1-9", "3-1-1"));
        assert!(!behind("0-4-6,3-1-1", "0-1-5") && !behind("0-4-6", "0-1-6"));
    }

    #[test]
    fn a_uuid_reads_back_as_it_was() {
        assert_eq!(uuid_text(&uuid_bytes(UUID).expect("valid")), UUID);
        assert_eq!(uuid_bytes("short"), None);
    }
}
