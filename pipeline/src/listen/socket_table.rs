//! The kernel's tables of sockets, as text.

use std::str::SplitAsciiWhitespace;

/// Both tables of a protocol (`tcp`, `udp`); empty on systems that have none.
pub(super) fn both(protocol: &str) -> String {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    read(format!("/proc/net/{protocol}")) + &read(format!("/proc/net/{protocol}6"))
}

/// The columns of the socket that has this inode, which is the tenth of them.
pub(super) fn columns_of(tables: &str, inode: u64) -> Option<SplitAsciiWhitespace<'_>> {
    let inode = inode.to_string();
    let mut rows = tables.lines().map(str::split_ascii_whitespace);
    rows.find(|columns| columns.clone().nth(9) == Some(inode.as_str()))
}
