//! How a file is known again after a rename, a truncation or a restart. Version 1 of the identity
//! that is kept with its position.
//!
//! Device numbers change with a reboot and are not part of it. A fingerprint covers only bytes that
//! were there when it was taken, so it holds while the file grows.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use tahoe_seams::SourceId;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The version that this code writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// Bytes at the head of a file that its fingerprint covers: several lines, and one page to read.
pub(super) const HEAD_BYTES_MAX: usize = 1024;

/// Bytes before the position that are compared before more is read behind them.
pub(super) const GUARD_BYTES_MAX: usize = 64;

/// A hash of `len` bytes that end at `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    pub(super) end: u64,
    pub(super) len: u32,
    pub(super) xxh3: u64,
}

/// What a file looked like: its head, the bytes before the position, and its first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    pub(super) head: Print,
    pub(super) guard: Print,
}

/// How a file compares with a [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Every byte that both have is the same, as far as the fingerprint goes.
    Same,
    /// Other bytes.
    Other,
    /// Too short to tell: it may be a copy in progress.
    TooShort,
}

impl Fingerprint {
    pub(super) fn of(head: &[u8], guard: &[u8], position: u64) -> Self {
        Self { head: print(head, head.len() as u64), guard: print(guard, position) }
    }

    /// Compares `file` with it.
    pub(super) fn compare(&self, file: &File) -> io::Result<Likeness> {
        let size = file.metadata()?.len();
        if self.head.len == 0 || size < u64::from(self.head.len) {
            return Ok(if self.head.len == 0 { Likeness::Other } else { Likeness::TooShort });
        }
        let same = matches(file, &self.head)?
            && (size < self.guard.end || self.guard.len == 0 || matches(file, &self.guard)?);
        Ok(if same { Likeness::Same } else { Likeness::Other })
    }

    /// Has `file`, whose whole head hashes to `head`, all that was read? In another folder equal
    /// names say little, so only a whole head and a whole guard are proof.
    pub(super) fn is_held_by(&self, file: &File, head: u64) -> io::Result<bool> {
        let whole =
            self.head.len as usize == HEAD_BYTES_MAX && self.guard.len as usize == GUARD_BYTES_MAX;
        Ok(whole && self.head.xxh3 == head && matches(file, &self.guard)?)
    }
}

/// The hash of a file's head, if it has a whole one.
pub(super) fn whole_head(file: &File) -> io::Result<Option<u64>> {
    let mut head = [0; HEAD_BYTES_MAX];
    let there = read_at_most(file, &mut head, 0)?;
    Ok((there == HEAD_BYTES_MAX).then(|| xxh3_64(&head)))
}

fn print(bytes: &[u8], end: u64) -> Print {
    let len = u32::try_from(bytes.len()).expect("at most 1024 bytes");
    Print { end, len, xxh3: xxh3_64(bytes) }
}

fn matches(file: &File, print: &Print) -> io::Result<bool> {
    let mut bytes = vec![0; print.len as usize];
    let start = print.end.saturating_sub(u64::from(print.len));
    Ok(read_at_most(file, &mut bytes, start)? == bytes.len() && xxh3_64(&bytes) == print.xxh3)
}

/// Fills `bytes` from `start` on as far as the file goes; gives how many there were.
pub(super) fn read_at_most(file: &File, bytes: &mut [u8], start: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The bytes `[end - max, end)` of a file, fewer at its beginning.
pub(super) fn before(file: &File, end: u64, max: usize) -> io::Result<Vec<u8>> {
    let start = end.saturating_sub(max as u64);
    let mut bytes = vec![0; usize::try_from(end - start).expect("at most max")];
    let there = read_at_most(file, &mut bytes, start)?;
    bytes.truncate(there);
    Ok(bytes)
}

/// An earlier generation, by which a late copy of it is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) read: u64,
    pub(super) fingerprint: Fingerprint,
}

/// What is kept with a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) v: u32,
    /// The path that the settings led to.
    pub(super) path: PathBuf,
    /// Where the file really was (behind a link, or renamed).
    pub(super) real: PathBuf,
    pub(super) inode: u64,
    pub(super) birth_ns: u64,
    pub(super) generation: u32,
    /// First byte of this generation that was to be read.
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) fingerprint: Fingerprint,
    #[serde(default)]
    pub(super) past: Vec<Past>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone_since_ms: Option<i64>,
}

/// Which file a path leads to, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Zero where the file system does not keep it.
    pub(super) birth_ns: u64,
    pub(super) size: u64,
    pub(super) is_file: bool,
}

impl Stat {
    pub(super) fn of_path(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|found| Self::of(&found))
    }

    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::of(&found))
    }

    fn of(found: &Metadata) -> Self {
        let birth = found.created().ok().and_then(|birth| birth.duration_since(UNIX_EPOCH).ok());
        let birth_ns = birth.map_or(0, |birth| u64::try_from(birth.as_nanos()).unwrap_or(0));
        let (device, inode, size) = (found.dev(), found.ino(), found.len());
        Self { device, inode, birth_ns, size, is_file: found.is_file() }
    }
}

impl Stat {
    /// The same file, while the machine runs: only then are device numbers comparable.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        let unknown = self.device == 0 || other.device == 0;
        self.inode == other.inode
            && (self.device == other.device || unknown)
            && same_birth(self.birth_ns, other.birth_ns)
    }
}

/// The same birth, as far as both are known: an inode that was taken by a new file has another.
pub(super) fn same_birth(one: u64, other: u64) -> bool {
    one == other || one == 0 || other == 0
}

/// Draws a file's identity, once: what makes two files different, at this moment.
pub(super) fn draw_source(host: &str, path: &Path, stat: &Stat, head: &[u8]) -> SourceId {
    let line = memchr::memchr(b'\n', head).unwrap_or(head.len()).min(256);
    let mut seed = Vec::with_capacity(512);
    for text in [host.as_bytes(), path.as_os_str().as_encoded_bytes(), &head[..line]] {
        seed.extend_from_slice(&(text.len() as u64).to_le_bytes());
        seed.extend_from_slice(text);
    }
    seed.extend_from_slice(&stat.inode.to_le_bytes());
    seed.extend_from_slice(&stat.birth_ns.to_le_bytes());
    SourceId(xxh3_128(&seed).to_le_bytes())
}

/// May `name` be a rotation's name for a copy of `original`: the same up to the extension, then no
/// letter or digit (`x.log.1`, `x-20240101.log`, `x.log.bak`, but not `x2.log`).
pub(super) fn is_sibling_copy(original: &Path, name: &Path) -> bool {
    let (Some(stem), Some(name)) = (original.file_stem(), name.file_name()) else { return false };
    let rest = name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes());
    rest.is_some_and(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_are_told_from_names_of_neighbours() {
        let may = |one: &str, other: &str| is_sibling_copy(Path::new(one), Path::new(other));
        assert!(may("/l/x.log", "/l/x.log.1") && may("/l/x.log", "/l/x-20240101.log"));
        assert!(!may("/l/x.log", "/l/x2.log") && !may("/l/a.log", "/l/b.log"));
    }

    #[test]
    fn a_fingerprint_holds_while_the_file_grows_and_fails_when_it_is_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x");
        std::fs::write(&path, b"first line\nsecond").expect("write");
        let print = Fingerprint::of(b"first line\n", b"line\n", 11);
        let compare = || print.compare(&File::open(&path).expect("open")).expect("read");
        assert_eq!(compare(), Likeness::Same);
        std::fs::write(&path, b"first line\nsecond line\n").expect("write");
        assert_eq!(compare(), Likeness::Same);
        std::fs::write(&path, b"first").expect("write");
        assert_eq!(compare(), Likeness::TooShort);
        std::fs::write(&path, b"other line\n").expect("write");
        assert_eq!(compare(), Likeness::Other);
    }
}
