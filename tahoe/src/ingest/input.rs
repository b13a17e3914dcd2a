//! What is loaded: a file by its content, whatever its name and compression, or standard input by
//! the name that it is given.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tahoe_seams::SourceId;
use xxhash_rust::xxh3::Xxh3;

use crate::compression::{self, STANDARD_INPUT};

/// One input of the command.
#[derive(Clone, Debug)]
pub struct Input {
    /// As it was named.
    pub name: String,
    /// As its events say it.
    pub path: String,
    /// Bytes, once decompressed; unknown of standard input.
    pub bytes: Option<u64>,
    /// Its content, or its name; the stream's identity follows from it.
    content: Vec<u8>,
    file: PathBuf,
}

impl Input {
    /// Reads a file once, to know it by its content.
    ///
    /// # Errors
    /// It cannot be read, or is standard input without a name.
    pub fn open(path: &Path, stdin_name: Option<&str>) -> anyhow::Result<Self> {
        if path.to_str() == Some(STANDARD_INPUT) {
            let Some(name) = stdin_name.filter(|name| !name.is_empty()) else {
                bail!("-: standard input needs a name to be known by: set --name");
            };
            let content = [b"stdin\0", name.as_bytes()].concat();
            let path = format!("stdin:{name}");
            let (name, file) = (STANDARD_INPUT.to_owned(), PathBuf::from(STANDARD_INPUT));
            return Ok(Self { name, path, bytes: None, content, file });
        }
        let name = path.display().to_string();
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (bytes, digest) = digest(compression::open(path)?).context(name.clone())?;
        let content = [&b"file\0"[..], &digest.to_le_bytes(), &bytes.to_le_bytes()].concat();
        let path_text = absolute.to_string_lossy().into_owned();
        let file = path.to_owned();
        Ok(Self { name, path: path_text, bytes: Some(bytes), content, file })
    }

    /// What tells one stream of it from all others: it, the dataset and the client company. `more`
    /// tells streams of the same dataset apart.
    pub fn source(&self, dataset: &str, namespace: &str, more: &str) -> SourceId {
        let mut hash = Xxh3::new();
        // Version 1 of this identity.
        hash.update(b"tahoe ingest 1");
        for text in [dataset, namespace, more] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(&self.content);
        SourceId(hash.digest128().to_le_bytes())
    }

    /// Its bytes from the first on, decompressed.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn read(&self) -> anyhow::Result<Box<dyn Read + Send>> {
        compression::open(&self.file)
    }
}

fn digest(mut input: impl Read) -> io::Result<(u64, u128)> {
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok((bytes, hash.digest128())),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn write(folder: &Path, name: &str, bytes: &[u8]) -> Input {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("written");
        Input::open(&path, None).expect("readable")
    }

    #[test]
    fn a_file_is_known_by_its_content_whatever_its_name_and_compression() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = b"one\ntwo\n".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).expect("in memory");
        let gzip = gzip.finish().expect("in memory");
        let zstd = zstd::stream::encode_all(&text[..], 1).expect("in memory");
        let plain = write(folder.path(), "a.log", &text);
        let source = |input: &Input| input.source("a.b", "default", "");
        for (name, bytes) in [("b.log", &text), ("a.log.gz", &gzip), ("a.log.zst", &zstd)] {
            let other = write(folder.path(), name, bytes);
            assert_eq!((source(&other), other.bytes), (source(&plain), plain.bytes), "{name}");
            let mut read = Vec::new();
            other.read().expect("opens").read_to_end(&mut read).expect("reads");
            assert_eq!(read, text);
        }
        let longer = write(folder.path(), "c.log", &[&text[..], b"x"].concat());
        assert_ne!(source(&longer), source(&plain));
        assert_ne!(plain.source("a.c", "default", ""), source(&plain));
        assert_ne!(plain.source("a.b", "acme", ""), source(&plain));
    }

    #[test]
    fn standard_input_is_known_by_its_name_and_needs_one() {
        let named = |name| Input::open(Path::new("-"), name);
        assert!(named(None).expect_err("refused").to_string().contains("--name"));
        let source = |name| named(Some(name)).expect("named").source("a.b", "default", "");
        assert_eq!(source("x"), source("x"));
        assert_ne!(source("x"), source("y"));
    }
}
