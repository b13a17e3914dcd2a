//! The headers of a record beside ours: looked up only when they are asked for, since most never are.

use std::fmt;

/// Where a log keeps a record's headers.
pub trait FindHeader {
    /// The value of the first header of that name.
    fn find(&self, name: &str) -> Option<&[u8]>;
}

/// The further headers of one record.
#[derive(Clone, Copy, Default)]
pub struct MoreHeaders<'a>(Option<&'a dyn FindHeader>);

impl<'a> MoreHeaders<'a> {
    /// Those that can be found there.
    pub fn of(headers: &'a dyn FindHeader) -> Self {
        Self(Some(headers))
    }

    /// The value of the first header of that name.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.0?.find(name)
    }
}

impl fmt::Debug for MoreHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "MoreHeaders(…)" } else { "MoreHeaders" })
    }
}
