//! JSON text as fast as it can be copied: runs without anything to escape are found 32 bytes at a
//! time and copied whole.

/// Appends `text` as a JSON string, quotes included (RFC 8259, section 7).
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    match plain_run(bytes) {
        run if run == bytes.len() => out.extend_from_slice(bytes),
        run => write_escaped(bytes, run, out),
    }
    out.push(b'"');
}

/// Appends a number; JSON has none for NaN and the infinities, which become `null`.
pub fn write_f64(number: f64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &number).expect("a Vec takes what is written to it");
}

pub(crate) fn write_u64(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `run` bytes at the beginning need no escape.
fn write_escaped(mut bytes: &[u8], mut run: usize, out: &mut Vec<u8>) {
    loop {
        out.extend_from_slice(&bytes[..run]);
        let Some(&byte) = bytes.get(run) else { return };
        let (escape, length) = escaped(byte);
        out.extend_from_slice(&escape[..length]);
        bytes = &bytes[run + 1..];
        run = plain_run(bytes);
    }
}

#[inline]
pub(crate) fn must_be_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The number of bytes up to the first that must be escaped.
#[inline(always)]
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    // Keys and most values are short: more than twice eight bytes are seldom reached inside of JSON.
    let Some((first, second)) = bytes.first_chunk::<16>().map(|both| both.split_at(8)) else {
        return long_plain_run(bytes, 0);
    };
    let escapes =
        |half: &[u8]| half.first_chunk().map_or(0, |half| escapes_in(u64::from_le_bytes(*half)));
    match (escapes(first), escapes(second)) {
        (0, 0) => long_plain_run(bytes, 16),
        (0, escapes) => 8 + (escapes.trailing_zeros() / 8) as usize,
        (escapes, _) => (escapes.trailing_zeros() / 8) as usize,
    }
}

/// The same where `run` bytes are known to need no escape.
#[inline(never)]
fn long_plain_run(bytes: &[u8], mut run: usize) -> usize {
    if let Some(block) = bytes[run..].first_chunk::<8>() {
        let escapes = escapes_in(u64::from_le_bytes(*block));
        if escapes != 0 {
            return run + (escapes.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    // Without a branch inside, the compiler compares a block at once.
    while let Some(block) = bytes.get(run..run + 32) {
        if block.iter().fold(false, |found, byte| found | must_be_escaped(*byte)) {
            break;
        }
        run += 32;
    }
    while let Some(block) = bytes.get(run..).and_then(|rest| rest.first_chunk::<8>()) {
        let escapes = escapes_in(u64::from_le_bytes(*block));
        if escapes != 0 {
            return run + (escapes.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    // What is left is the end of the last eight bytes, if there are so many.
    if let Some(block) = bytes.last_chunk::<8>() {
        let seen = 8 - (bytes.len() - run);
        let escapes = match seen {
            8 => 0,
            seen => {
                escapes_in(u64::from_le_bytes(*block) >> (seen * 8) | PLAIN << ((8 - seen) * 8))
            }
        };
        return match escapes {
            0 => bytes.len(),
            _ => run + (escapes.trailing_zeros() / 8) as usize,
        };
    }
    let rest = &bytes[run..];
    run + rest.iter().position(|byte| must_be_escaped(*byte)).unwrap_or(rest.len())
}

/// Eight bytes that need no escape.
const PLAIN: u64 = u64::MAX / 255 * b' ' as u64;

/// Sets the high bit of each byte that must be escaped; exact up to and including the first.
#[inline]
pub(crate) fn escapes_in(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    (control | quote | backslash) & HIGH
}

/// What a byte that must be escaped is written as, and how long that is.
#[cold]
fn escaped(byte: u8) -> ([u8; 6], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            return ([b'\\', b'u', b'0', b'0', digits[0], digits[1]], 6);
        }
    };
    ([b'\\', short, 0, 0, 0, 0], 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_string_reads_back_as_it_was(text in "(?s)[\"\\\\\\x00-\\x7f]{0,5}.{0,90}") {
            let mut out = Vec::new();
            write_str(&text, &mut out);
            let read: String = serde_json::from_slice(&out).expect("it is JSON");
            prop_assert_eq!(read, text);
        }

        #[test]
        fn a_control_character_is_found_wherever_it_stands(
            plain in "[a-zé ]{0,80}", byte in 0u8..128, rest in "[a-z\"]{0,40}",
        ) {
            let text = format!("{plain}{}{rest}", char::from(byte));
            let mut out = Vec::new();
            write_str(&text, &mut out);
            let read: String = serde_json::from_slice(&out).expect("it is JSON");
            prop_assert_eq!(read, text);
        }
    }
}
