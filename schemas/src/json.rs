//! JSON text as fast as it can be copied: runs without anything to escape are found 32 bytes at a
//! time and copied whole.

/// Appends `text` as a JSON string, quotes included (RFC 8259, section 7).
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends a number; JSON has none for NaN and the infinities, which become `null`.
pub fn write_f64(number: f64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &number).expect("a Vec takes what is written to it");
}

pub(crate) fn write_i64(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(crate) fn write_u64(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_escaped(mut bytes: &[u8], out: &mut Vec<u8>) {
    loop {
        let run = plain_run(bytes);
        out.extend_from_slice(&bytes[..run]);
        let Some(&byte) = bytes.get(run) else { return };
        write_escape(byte, out);
        bytes = &bytes[run + 1..];
    }
}

fn must_be_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The number of bytes up to the first that must be escaped.
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
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
    let rest = &bytes[run..];
    run + rest.iter().position(|byte| must_be_escaped(*byte)).unwrap_or(rest.len())
}

/// Sets the high bit of each byte that must be escaped; exact up to and including the first.
fn escapes_in(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    (control | quote | backslash) & HIGH
}

#[cold]
fn write_escape(byte: u8, out: &mut Vec<u8>) {
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
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
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
