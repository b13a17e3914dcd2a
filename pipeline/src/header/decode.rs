//! Reading a header: every byte of it is checked, and nothing is guessed.

use std::collections::HashMap;
use std::sync::Arc;

use tahoe_seams::{Origin, Part, RecordId, SourceId};

use super::{
    CONTEXT, Content, HIDDEN, Header, HeaderError, LAST_PART, PACK, PART, PLAIN, PRIVATE, Privacy,
    SEALED, VERSION,
};

/// Longest string in a header: what a settings file may hold, not a limit that real origins meet.
const STRING_BYTES_MAX: usize = 64 * 1024;

/// Origins remembered at most: a few hundred bytes each, so a few MiB. Past it, all are forgotten
/// at once, which costs one decoding each.
const ORIGINS_MAX: usize = 8192;

/// Iterates over `(bytes of text, bytes of span)` of a pack's records.
#[derive(Clone, Debug)]
pub struct Boundaries<'a>(Cursor<'a>);

impl<'a> Boundaries<'a> {
    /// Over [`Content::Pack`]'s boundaries.
    pub fn new(boundaries: &'a [u8]) -> Self {
        Self(Cursor { bytes: boundaries, at: 0 })
    }
}

impl Iterator for Boundaries<'_> {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let text = usize::try_from(self.0.varint().ok()?).ok()?;
        Some((text, self.0.varint().ok()?))
    }
}

/// Decodes headers and remembers the origins that it has seen, so that each is decoded once.
#[derive(Debug, Default)]
pub struct Decoder {
    last: Option<(Box<[u8]>, Arc<Origin>)>,
    seen: HashMap<Box<[u8]>, Arc<Origin>>,
}

impl Decoder {
    /// Decodes one header.
    ///
    /// # Errors
    /// [`HeaderError`]; nothing in it is guessed.
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Header<'a>, HeaderError> {
        let mut cursor = Cursor { bytes, at: 0 };
        let mut version = cursor.byte()?;
        let mut read_at_ms = None;
        if version == VERSION {
            read_at_ms = Some(i64::from_be_bytes(cursor.array()?));
            version = cursor.byte()?;
        }
        if version > PRIVATE {
            return Err(HeaderError::Newer(version));
        }
        let header = self.rest(version, cursor)?;
        Ok(Header { read_at_ms, ..header })
    }

    fn rest<'a>(&mut self, version: u8, mut cursor: Cursor<'a>) -> Result<Header<'a>, HeaderError> {
        let flags = cursor.byte()?;
        let of_policy = if version == PLAIN { 0 } else { HIDDEN | SEALED };
        if version == 0 || flags & !(PART | LAST_PART | CONTEXT | PACK | of_policy) != 0 {
            return Err(HeaderError::Broken(cursor.at - 1));
        }
        if flags & PACK != 0 {
            return self.pack(cursor);
        }
        let id = RecordId(cursor.array()?);
        let (start, end) = cursor.span()?;
        let part = match flags & PART {
            0 => None,
            _ => Some(Part { index: cursor.varint_u32()?, last: flags & LAST_PART != 0 }),
        };
        let context = if flags & CONTEXT == 0 { &[][..] } else { cursor.bytes()? };
        let privacy = match (flags & HIDDEN, flags & SEALED) {
            (0, 0) => Privacy::Plain,
            (0, _) => Privacy::Sealed,
            _ => Privacy::Hidden(cursor.text()?),
        };
        let origin = self.origin(cursor)?;
        let content = Content::Single { id, part, context, privacy };
        Ok(Header { content, origin, read_at_ms: None, start, end })
    }

    fn pack<'a>(&mut self, mut cursor: Cursor<'a>) -> Result<Header<'a>, HeaderError> {
        let ms: [u8; 6] = cursor.array()?;
        let mut wide = [0u8; 8];
        wide[2..].copy_from_slice(&ms);
        let (start, end) = cursor.span()?;
        let records = cursor.varint()?;
        let from = cursor.at;
        for _ in 0..records {
            cursor.varint()?;
            cursor.varint()?;
        }
        let boundaries = &cursor.bytes[from..cursor.at];
        let segment_ms = i64::from_be_bytes(wide);
        let origin = self.origin(cursor)?;
        Ok(Header {
            content: Content::Pack { segment_ms, boundaries, records },
            origin,
            read_at_ms: None,
            start,
            end,
        })
    }

    fn origin(&mut self, cursor: Cursor<'_>) -> Result<Arc<Origin>, HeaderError> {
        let encoded = &cursor.bytes[cursor.at..];
        if let Some((last, origin)) = &self.last
            && **last == *encoded
        {
            return Ok(Arc::clone(origin));
        }
        let origin = match self.seen.get(encoded) {
            Some(origin) => Arc::clone(origin),
            None => {
                let origin = Arc::new(decode_origin(cursor)?);
                if self.seen.len() >= ORIGINS_MAX {
                    self.seen.clear();
                }
                self.seen.insert(encoded.into(), Arc::clone(&origin));
                origin
            }
        };
        self.last = Some((encoded.into(), Arc::clone(&origin)));
        Ok(origin)
    }
}

fn decode_origin(mut cursor: Cursor<'_>) -> Result<Origin, HeaderError> {
    let mut origin = Origin {
        source: SourceId(cursor.array()?),
        generation: cursor.varint_u32()?,
        dataset: cursor.string()?,
        namespace: cursor.string()?,
        host: cursor.string()?,
        path: cursor.string()?,
        peer: cursor.string()?,
        time_zone: cursor.string()?,
        labels: Vec::new(),
        tags: Vec::new(),
    };
    for _ in 0..cursor.varint()? {
        origin.labels.push((cursor.string()?, cursor.string()?));
    }
    for _ in 0..cursor.varint()? {
        origin.tags.push(cursor.string()?);
    }
    if cursor.at == cursor.bytes.len() { Ok(origin) } else { Err(cursor.broken()) }
}

#[derive(Clone, Copy, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn broken(&self) -> HeaderError {
        HeaderError::Broken(self.at)
    }

    fn byte(&mut self) -> Result<u8, HeaderError> {
        let byte = *self.bytes.get(self.at).ok_or(self.broken())?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], HeaderError> {
        let end = self.at.checked_add(len).ok_or(self.broken())?;
        let taken = self.bytes.get(self.at..end).ok_or(self.broken())?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn varint(&mut self) -> Result<u64, HeaderError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.broken())
    }

    fn varint_u32(&mut self) -> Result<u32, HeaderError> {
        u32::try_from(self.varint()?).map_err(|_| self.broken())
    }

    fn span(&mut self) -> Result<(u64, u64), HeaderError> {
        let start = self.varint()?;
        let end = start.checked_add(self.varint()?).ok_or(self.broken())?;
        Ok((start, end))
    }

    fn bytes(&mut self) -> Result<&'a [u8], HeaderError> {
        let len = usize::try_from(self.varint()?).map_err(|_| self.broken())?;
        if len > STRING_BYTES_MAX {
            return Err(self.broken());
        }
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, HeaderError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.broken())
    }

    fn string(&mut self) -> Result<String, HeaderError> {
        self.text().map(str::to_owned)
    }
}
