//! Changes of rows that PostgreSQL's logical replication gave, one record each, as
//! [`crate::change`] describes them.

use crate::change::ChangeRecord;
use crate::find::Find;
use crate::{Dataset, LineFramer, Parse};

/// `postgresql.change`
pub static DATASET: Dataset = Dataset {
    name: "postgresql.change",
    module: "postgresql",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord { place } },
};

/// An LSN, `16/B374D848`: a number of 64 bits in two halves.
pub(crate) fn place(position: &str) -> Option<String> {
    let (high, low) = position.split_on_byte(b'/')?;
    let half = |text| u32::from_str_radix(text, 16).ok();
    Some(format!("{:08X}{:08X}", half(high)?, half(low)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_lsn_sorts_later() {
        let lsn = ["0/A", "0/16B3748", "0/FFFFFFFF", "1/0", "A/0", "10/0"];
        let places: Vec<_> = lsn.into_iter().map(|lsn| place(lsn).expect("an LSN")).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(place("bin.000001:4"), None);
    }
}
