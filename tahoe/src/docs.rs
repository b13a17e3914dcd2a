//! Pages that are made from the code: a test of each says whether it is the code's.

use std::path::Path;

/// Compares a page with what it should be, or writes it if `UPDATE_DOCS` is set.
pub fn assert_current(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).expect("the page can be written");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{page} is not what the code says: UPDATE_DOCS=1 cargo test -p tahoe");
}

/// The text of a page.
pub fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    std::fs::read_to_string(path).expect("the page can be read")
}
