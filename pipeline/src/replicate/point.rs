//! A place at which a feed can go on, and how many records of each kind precede it. Version 1:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | the point's number, little endian |
//! | 1 | how many kinds of records |
//! | 8 each | records of that kind before the point |
//! | the rest | the feed's own |

const VERSION: u8 = 1;

/// One point, and from it on where reading is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Counts from 1; 0 is before the first.
    pub number: u64,
    /// Records of each kind so far.
    pub counts: Vec<u64>,
    /// The feed's own name of the point.
    pub bytes: Vec<u8>,
}

impl Point {
    pub fn new(kinds: usize) -> Self {
        Self { number: 0, counts: vec![0; kinds], bytes: Vec::new() }
    }

    /// The next point.
    pub fn advance(&mut self, counts: &[u64], bytes: &[u8]) {
        self.number += 1;
        self.counts.clear();
        self.counts.extend_from_slice(counts);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + 8 * self.counts.len() + self.bytes.len());
        out.push(VERSION);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.push(self.counts.len() as u8);
        self.counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        out.extend_from_slice(&self.bytes);
        out
    }

    /// None if it is of a newer version, or damaged. A kind that it does not know yet has no
    /// records before it.
    pub fn decode(bytes: &[u8], kinds: usize) -> Option<Self> {
        let ([VERSION], rest) = bytes.split_first_chunk()? else { return None };
        let (number, rest) = rest.split_first_chunk()?;
        let ([known], mut rest) = rest.split_first_chunk()?;
        let mut counts = Vec::with_capacity(kinds);
        for _ in 0..*known {
            let (count, after) = rest.split_first_chunk()?;
            counts.push(u64::from_le_bytes(*count));
            rest = after;
        }
        counts.resize(kinds, 0);
        Some(Self { number: u64::from_le_bytes(*number), counts, bytes: rest.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_reads_back_as_it_was_and_nothing_else_does() {
        let point = Point { number: 7, counts: vec![3, 1 << 40], bytes: b"0/16B3748".to_vec() };
        let bytes = point.encode();
        assert_eq!(Point::decode(&bytes, 2).as_ref(), Some(&point));
        assert_eq!(Point::decode(&bytes, 3).map(|point| point.counts), Some(vec![3, 1 << 40, 0]));
        assert_eq!(Point::decode(&bytes[..12], 2), None);
        assert_eq!(Point::decode(&[2, 0, 0], 2), None);
        assert_eq!(Point::decode(&[], 2), None);
    }
}
