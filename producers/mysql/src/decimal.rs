//! Decimals as the binlog packs them: nine digits in four bytes, the rest in as few as they need,
//! big endian; the first bit is set for numbers that are not negative, and all bits of the others
//! are inverted.

use crate::bytes::big;

/// Bytes of so many digits, fewer than nine.
const BYTES: [usize; 9] = [0, 1, 1, 2, 2, 3, 3, 4, 4];

/// Bytes of a `DECIMAL(precision, scale)`.
pub(crate) fn length(precision: usize, scale: usize) -> usize {
    let part = |digits: usize| digits / 9 * 4 + BYTES[digits % 9];
    part(precision.saturating_sub(scale)) + part(scale)
}

/// Appends it as digits: `-12.50`. The bytes are as many as [`length`] says.
pub(crate) fn write(bytes: &[u8], precision: usize, scale: usize, out: &mut Vec<u8>) {
    let Some(first) = bytes.first() else { return out.push(b'0') };
    let negative = first & 0x80 == 0;
    let mut plain = [0u8; 64];
    let plain = &mut plain[..bytes.len().min(64)];
    plain.copy_from_slice(&bytes[..plain.len()]);
    plain[0] ^= 0x80;
    if negative {
        plain.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let mut digits = Vec::with_capacity(precision + 2);
    let whole = precision.saturating_sub(scale);
    let mut at = 0;
    let mut group = |count: usize, digits: &mut Vec<u8>| {
        let length = if count == 9 { 4 } else { BYTES[count] };
        let number = big(&plain[at..at + length]);
        at += length;
        let start = digits.len();
        digits.resize(start + count, b'0');
        let mut rest = number;
        for digit in digits[start..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    // The incomplete group comes first before the point, and last after it.
    group(whole % 9, &mut digits);
    (0..whole / 9).for_each(|_| group(9, &mut digits));
    let point = digits.len();
    (0..scale / 9).for_each(|_| group(9, &mut digits));
    group(scale % 9, &mut digits);
    if negative {
        out.push(b'-');
    }
    let zeros = digits[..point].iter().take_while(|digit| **digit == b'0').count();
    if zeros == point {
        out.push(b'0');
    }
    out.extend_from_slice(&digits[zeros..point]);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_in_both_signs() {
        // The example of MySQL's own description: DECIMAL(14,4), 1234567890.1234.
        let bytes = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(length(14, 4), bytes.len());
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            write(bytes, 14, 4, &mut out);
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(text(&bytes), "1234567890.1234");
        assert_eq!(text(&bytes.map(|byte| !byte)), "-1234567890.1234");
        assert_eq!(text(&[0x80, 0, 0, 0, 0, 0, 1]), "0.0001");
    }
}
