//! A place in the write-ahead log, as PostgreSQL writes it: `16/B374D848`.

use std::fmt;
use std::str::FromStr;

/// A log sequence number: bytes from the beginning of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let half = |text: &str| u64::from(u32::from_str_radix(text, 16).unwrap_or(u32::MAX));
        match text.split_once('/') {
            Some((high, low)) => Ok(Self(half(high) << 32 | half(low))),
            None => Err(format!("{text} is no place in a write-ahead log")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_the_server_writes_it() {
        for text in ["0/0", "0/16B3748", "16/B374D848", "FFFFFFFF/1"] {
            assert_eq!(text.parse::<Lsn>().map(|lsn| lsn.to_string()).as_deref(), Ok(text));
        }
        assert!("nowhere".parse::<Lsn>().is_err());
    }
}
