//! Changes of rows that MySQL's or MariaDB's binlog gave, one record each, as
//! [`crate::change`] describes them.

use crate::change::ChangeRecord;
use crate::{Dataset, LineFramer, Parse};

/// `mysql.change`
pub static DATASET: Dataset = Dataset {
    name: "mysql.change",
    module: "mysql",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: ChangeRecord { place } },
};

/// `mysql-bin.000007:1234`: the file's number, and the offset in it.
pub(crate) fn place(position: &str) -> Option<String> {
    let (file, offset) = position.rsplit_once(':')?;
    let (_, number) = file.rsplit_once('.')?;
    let (number, offset): (u64, u64) = (number.parse().ok()?, offset.parse().ok()?);
    Some(format!("{number:010}:{offset:020}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_place_in_the_binlog_sorts_later() {
        let places = ["b.000001:4", "b.000001:99", "b.000002:4", "b.999999:5", "b.1000000:4"];
        let places: Vec<_> = places.into_iter().map(|text| place(text).expect("one")).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(place("0/16B3748"), None);
    }
}
