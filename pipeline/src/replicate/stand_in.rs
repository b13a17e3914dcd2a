//! What stands in a record for a value that is too large for it.

use sha2::{Digest as _, Sha256};

/// Appends `{"bytes":N,"sha256":"…"}`, by which a value can be compared with another.
pub fn write_stand_in(value: &[u8], out: &mut Vec<u8>) {
    let hash: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("{{\"bytes\":{},\"sha256\":\"{hash}\"}}", value.len());
    out.extend_from_slice(text.as_bytes());
}
