//! What the kernel knows of a connection: whether the other end has acknowledged all that was
//! written to it. Only while it has not, a connection that seems to live may be dead.

use std::os::fd::AsFd;

use super::socket_table;

/// A connection, by the number of its socket; 0 if the system does not say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line(u64);

impl Line {
    pub(super) fn of(socket: &impl AsFd) -> Self {
        Self(rustix::fs::fstat(socket).map_or(0, |stat| stat.st_ino))
    }

    /// Given the text of [`kernel_tables`], something that was written is not acknowledged.
    pub(super) fn is_in_doubt(self, tables: &str) -> bool {
        unacknowledged_of(tables, self.0).is_some_and(|bytes| bytes > 0)
    }

    /// As it is kept in an atomic number.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// From [`Line::number`].
    pub(super) fn of_number(number: u64) -> Self {
        Self(number)
    }
}

/// `tx_queue:rx_queue` is the fifth column, in hexadecimal digits.
fn unacknowledged_of(tables: &str, inode: u64) -> Option<u64> {
    let (written, _) = socket_table::columns_of(tables, inode)?.nth(4)?.split_once(':')?;
    u64::from_str_radix(written, 16).ok()
}

/// What the kernel knows of all of them.
pub(super) fn kernel_tables() -> String {
    socket_table::both("tcp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_end_has_not_acknowledged_is_found_by_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode\n  \
                     0: 0100007F:0A0B 0100007F:9C40 01 0000000E:00000000 01:00000014 00000003     \
                     0        0 4242 2 0000000000000000 20 4 30 10 -1\n  \
                     1: 0100007F:0A0B 0100007F:9C41 01 00000000:00000000 00:00000000 00000000     \
                     0        0 4243 1 0000000000000000 20 4 30 10 -1\n";
        assert_eq!(
            [4242, 4243, 1].map(|inode| Line(inode).is_in_doubt(table)),
            [true, false, false]
        );
    }
}
