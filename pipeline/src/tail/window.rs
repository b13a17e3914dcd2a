//! The one read buffer: it holds the bytes of one file from its position on, and is reused.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tahoe_seams::SourceId;

/// Bytes asked of the kernel at a time: large enough that the call costs nothing beside the copy,
/// small enough to stay in the processor's second cache.
pub(super) const READ_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Window {
    owner: Option<(SourceId, u32)>,
    /// Position in the file of `buffer[at]`.
    position: u64,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

impl Window {
    /// Makes it the window of `owner` at `position`; what it holds from there on stays.
    pub(super) fn own(&mut self, owner: (SourceId, u32), position: u64) {
        if self.owner == Some(owner) && self.position == position {
            return;
        }
        *self = Self {
            owner: Some(owner),
            position,
            buffer: std::mem::take(&mut self.buffer),
            at: 0,
            end: 0,
        };
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..self.end]
    }

    /// Position behind its last byte.
    pub(super) fn end(&self) -> u64 {
        self.position + (self.end - self.at) as u64
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.position += bytes as u64;
    }

    /// Reads on; gives how many bytes came, 0 at the end of the file.
    pub(super) fn fill(&mut self, file: &File) -> io::Result<usize> {
        self.buffer.copy_within(self.at..self.end, 0);
        (self.at, self.end) = (0, self.end - self.at);
        if self.buffer.len() < self.end + READ_BYTES {
            self.buffer.resize(self.end + READ_BYTES, 0);
        }
        let (from, to, position) = (self.end, self.end + READ_BYTES, self.end());
        loop {
            match file.read_at(&mut self.buffer[from..to], position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(n) => {
                    self.end += n;
                    return Ok(n);
                }
            }
        }
    }
}
