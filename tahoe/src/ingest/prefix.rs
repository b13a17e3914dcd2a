//! Standard input under a name that was used before has to begin with what was loaded under it: then
//! the rest is new. Any other bytes would be taken for those that are there, and be lost.

use serde_json::Value;
use tahoe_schemas::Frame;
use tahoe_seams::Known;
use xxhash_rust::xxh3::Xxh3;

/// The bytes of an input as they come.
#[derive(Default)]
pub struct Prefix {
    bytes: u64,
    hash: Xxh3,
    /// What was loaded before, until it has come again.
    awaited: Option<Loaded>,
}

#[derive(Debug, PartialEq, Eq)]
struct Loaded {
    bytes: u64,
    /// None where an earlier version loaded it.
    digest: Option<String>,
}

impl Prefix {
    /// Before the first byte, with what positions say of an input that was loaded to its end.
    pub fn of(known: &[Known]) -> Self {
        let awaited = known.iter().find_map(|known| Loaded::read(&known.identity));
        Self { awaited, ..Self::default() }
    }

    /// Sees the next bytes; `ended` says that there are no more.
    ///
    /// # Errors
    /// They are not what was loaded, or nobody can tell.
    pub fn see(&mut self, bytes: &[u8], ended: bool) -> Result<(), String> {
        let mut rest = bytes;
        if let Some(Loaded { bytes: loaded, digest }) = &self.awaited {
            let left = usize::try_from(loaded - self.bytes).unwrap_or(usize::MAX);
            let (again, more) = rest.split_at(left.min(rest.len()));
            self.hash.update(again);
            self.bytes += again.len() as u64;
            rest = more;
            let is_whole = self.bytes == *loaded;
            let is_known = match digest {
                Some(digest) => !is_whole || *digest == self.digest(),
                None => more.is_empty(),
            };
            if !is_known || (ended && !is_whole) {
                return Err(differs(*loaded));
            }
            if is_whole && (digest.is_some() || ended) {
                self.awaited = None;
            }
        }
        self.hash.update(rest);
        self.bytes += rest.len() as u64;
        Ok(())
    }

    /// Of the bytes so far.
    pub fn digest(&self) -> String {
        format!("{:032x}", self.hash.digest128())
    }

    /// Whether a record was loaded before, where `next` is the first byte that was not.
    ///
    /// # Errors
    /// It was in part, or it stands where none was.
    pub fn has_loaded(&self, frame: &Frame<'_>, next: u64) -> Result<bool, String> {
        if frame.start >= next {
            return self.awaited.as_ref().map_or(Ok(false), |loaded| Err(differs(loaded.bytes)));
        }
        match frame.start + frame.bytes.len() as u64 > next {
            true => {
                Err("the name was used, and the last record that was loaded under it is longer \
                         now: set another --name"
                    .to_owned())
            }
            false => Ok(true),
        }
    }
}

impl Loaded {
    fn read(identity: &Value) -> Option<Self> {
        identity["ended"].as_bool().filter(|ended| *ended)?;
        let digest = identity["digest"].as_str().map(str::to_owned);
        Some(Self { bytes: identity["bytes"].as_u64()?, digest })
    }
}

fn differs(loaded: u64) -> String {
    format!(
        "the name was used, and this input is not known to begin with the {loaded} bytes that were \
         loaded under it: set another --name"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(loaded: &[u8], keeps_digest: bool) -> Prefix {
        let mut first = Prefix::default();
        first.see(loaded, true).expect("nothing is awaited");
        let mut identity = json!({"ended": true, "bytes": loaded.len()});
        if keeps_digest {
            identity["digest"] = first.digest().into();
        }
        Prefix { awaited: Loaded::read(&identity), ..Prefix::default() }
    }

    fn is_taken(mut prefix: Prefix, input: &[u8], step: usize) -> bool {
        let mut pieces = input.chunks(step);
        pieces.all(|piece| prefix.see(piece, false).is_ok()) && prefix.see(b"", true).is_ok()
    }

    #[test]
    fn what_begins_with_what_was_loaded_goes_on_and_anything_else_is_refused() {
        for step in 1..9 {
            for more in ["one\ntwo\n", "one\ntwo\nthree\n", "one\ntwo\n\n"] {
                assert!(is_taken(after(b"one\ntwo\n", true), more.as_bytes(), step), "{more}");
            }
            for other in ["", "one\n", "one\ntwo", "two\none\n", "One\ntwo\nthree\n"] {
                assert!(!is_taken(after(b"one\ntwo\n", true), other.as_bytes(), step), "{other}");
            }
            assert!(is_taken(after(b"one\n", false), b"one\n", step));
            assert!(!is_taken(after(b"one\n", false), b"one\ntwo\n", step), "it cannot be known");
        }
    }

    #[test]
    fn a_record_that_goes_on_where_the_loaded_one_ended_is_refused() {
        let frame = |bytes: &'static [u8], start: u64, end: u64| Frame {
            bytes,
            start,
            end,
            line: 1,
            context: b"",
            part: None,
        };
        let prefix = Prefix::default();
        assert_eq!(prefix.has_loaded(&frame(b"one", 0, 4), 4), Ok(true));
        // Its line end had not come.
        assert_eq!(prefix.has_loaded(&frame(b"one", 0, 4), 3), Ok(true));
        assert_eq!(prefix.has_loaded(&frame(b"two", 4, 8), 4), Ok(false));
        let error = prefix.has_loaded(&frame(b"one\nmore", 0, 9), 4).expect_err("it is longer");
        assert!(error.contains("--name"), "{error}");
        let error = after(b"one\n", true).has_loaded(&frame(b"x", 0, 2), 0).expect_err("unknown");
        assert!(error.contains("the 4 bytes"), "{error}");
    }
}
