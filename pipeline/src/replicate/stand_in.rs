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
/// is told how many bytes a value may have: any number at first, unless that `is_hopeless`.
///
/// # Errors
/// Those of `write`.
pub fn write_within<E>(
    bytes_max: usize,
    is_hopeless: bool,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    let whole = (!is_hopeless).then_some(usize::MAX);
    for value_bytes_max in whole.into_iter().chain(LARGE) {
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
        let written = |bytes_max, is_hopeless| {
            let mut out = b"before".to_vec();
            let done: Result<(), ()> =
                write_within(bytes_max, is_hopeless, &mut out, |max, out| {
                    for value in &values {
                        match value.len() <= max {
                            true => out.extend_from_slice(value.as_bytes()),
                            false => write_stand_in(value.as_bytes(), out),
                        }
                    }
                    Ok(())
                });
            done.expect("nothing fails");
            assert!(out.starts_with(b"before"));
            String::from_utf8_lossy(&out[6..]).matches("sha256").count()
        };
        assert_eq!(written(4 << 20, false), 0);
        assert_eq!(written(4 << 20, true), 1);
        assert_eq!(written(1 << 20, false), 1);
        assert_eq!(written(16 << 10, false), 2);
        assert_eq!(written(200, false), 3);
    }
}
