//! Reads what an event holds, field by field; `None` when it ends too early.

/// What is left of an event's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// So many bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// A little-endian number of up to eight bytes.
    pub fn little(&mut self, count: usize) -> Option<u64> {
        self.take(count).map(little)
    }

    /// MySQL's number of 1, 3, 4 or 9 bytes ("length-encoded integer").
    pub fn packed(&mut self) -> Option<usize> {
        let number = match self.u8()? {
            first @ 0..=250 => u64::from(first),
            252 => self.little(2)?,
            253 => self.little(3)?,
            254 => self.little(8)?,
            _ => return None,
        };
        usize::try_from(number).ok()
    }

    /// A number as [`Bytes::packed`], and so many bytes.
    pub fn packed_bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.packed()?;
        self.take(count)
    }
}

/// A little-endian number of up to eight bytes.
pub(crate) fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A big-endian number of up to eight bytes.
pub(crate) fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The bit of a bitmap whose first bit is the lowest of the first byte.
pub(crate) fn bit(bitmap: &[u8], at: usize) -> bool {
    bitmap.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}
