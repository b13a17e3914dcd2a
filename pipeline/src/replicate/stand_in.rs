//! Records that are longer than the log takes: key and coordinates stay, and large values give way
//! to what they can be compared by, the largest first.

use sha2::{Digest as _, Sha256};

/// What counts as large, in bytes, tried one after the other until the record is short enough. With
/// the last, the widest row of any of our databases has a few hundred KiB.
const LARGE: [usize; 4] = [1 << 20, 16 << 10, 256, LARGE_MIN];

/// Nothing shorter ever gives way on its own.
pub const LARGE_MIN: usize = 32;

/// Appends `{"bytes":N,"sha256":"…"}`, by which a value can be compared with another.
pub fn write_stand_in(value: &[u8], out: &mut Vec<u8>) {
    let hash: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("{{\"bytes\":{},\"sha256\":\"{hash}\"}}", value.len());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a record of at most `bytes_max`, if leaving out large values makes it so short: `write`
/// is told how many bytes a value may have, any number at first.
///
/// # Errors
/// Those of `write`.
pub fn write_within<E>(
    bytes_max: usize,
    out: &mut Vec<u8>,
    write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    write_first(std::iter::once(usize::MAX).chain(LARGE), bytes_max, out, write)
}

/// The same of a record that is too long with all its values.
///
/// # Errors
/// Those of `write`.
pub fn write_shortened<E>(
    bytes_max: usize,
    out: &mut Vec<u8>,
    write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    write_first(LARGE, bytes_max, out, write)
}

fn write_first<E>(
    value_bytes: impl IntoIterator<Item = usize>,
    bytes_max: usize,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    for value_bytes_max in value_bytes {
        out.truncate(start);
        write(value_bytes_max, out)?;
        if out.len() - start <= bytes_max {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_give_way_from_the_largest_on_and_only_as_far_as_they_must() {
        let values = [2 << 20, 20 << 10, 100].map(|bytes| "x".repeat(bytes));
        let write = |max, out: &mut Vec<u8>| {
            for value in &values {
                match value.len() <= max {
                    true => out.extend_from_slice(value.as_bytes()),
                    false => write_stand_in(value.as_bytes(), out),
                }
            }
            Ok::<(), ()>(())
        };
        let given_way = |out: &[u8]| {
            assert!(out.starts_with(b"before"));
            String::from_utf8_lossy(out).matches("sha256").count()
        };
        let within = |bytes_max| {
            let mut out = b"before".to_vec();
            write_within(bytes_max, &mut out, write).expect("nothing fails");
            given_way(&out)
        };
        assert_eq!([4 << 20, 1 << 20, 16 << 10, 200].map(within), [0, 1, 2, 3]);
        let mut out = b"before".to_vec();
        write_shortened(4 << 20, &mut out, write).expect("nothing fails");
        assert_eq!(given_way(&out), 1);
    }
}
