//! Files are read whatever their compression: gzip and Zstandard are told by their first bytes, as
//! a name says what somebody meant and standard input has none.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;

/// Names no file.
pub const STANDARD_INPUT: &str = "-";

/// Bytes that tell a compression.
const MAGIC_BYTES: usize = 4;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A file's bytes, or those of standard input (`-`), decompressed.
///
/// # Errors
/// It cannot be read; names it.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let context = || path.display().to_string();
    if path.to_str() == Some(STANDARD_INPUT) {
        return decompressed(io::stdin()).with_context(context);
    }
    File::open(path).and_then(decompressed).with_context(context)
}

fn decompressed(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::with_capacity(MAGIC_BYTES);
    input.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
    let whole = io::Cursor::new(magic.clone()).chain(input);
    Ok(match magic.as_slice() {
        magic if magic.starts_with(GZIP) => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(whole)))
        }
        magic if magic.starts_with(ZSTD) => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        decompressed(io::Cursor::new(bytes))?.read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn what_is_compressed_is_read_as_what_it_was_and_a_part_of_it_is_an_error() {
        let text = b"one\ntwo\n".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).expect("in memory");
        let gzip = gzip.finish().expect("in memory");
        let zstd = zstd::stream::encode_all(&text[..], 1).expect("in memory");
        let twice = [gzip.clone(), gzip.clone()].concat();
        assert_eq!(read(twice).expect("readable"), text.repeat(2));
        for packed in [gzip, zstd] {
            assert_eq!(read(packed.clone()).expect("readable"), text);
            assert!(read(packed[..packed.len() / 2].to_vec()).is_err());
        }
        for plain in [&b""[..], b"(", b"\x1f", b"plain"] {
            assert_eq!(read(plain.to_vec()).expect("readable"), plain);
        }
    }
}
