//! Where a JSON text ends and what its outermost keys are, in one pass and without a copy.
//!
//! Line ends and other control characters are let through in strings, since Laravel writes them.
//! What Elasticsearch would refuse is refused here: keys that occur twice, halves of surrogate
//! pairs, numbers out of range, deep nesting.

use smallvec::SmallVec;

use crate::json::plain_run;

/// Elasticsearch's `flattened` goes 20 deep; the field that holds it counts.
const DEPTH_MAX: usize = 18;
/// Keys are compared with each other, so their number in one object has a limit.
const KEYS_MAX: usize = 512;
/// Entries of an object: those of a usual one are on the stack.
pub(crate) type Entries<'a> = SmallVec<[Entry<'a>; 16]>;
/// A number with fewer bytes and no exponent is in the range of a double.
const NUMBER_BYTES_SAFE: usize = 300;

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// What is there is right, but it does not end.
    Unfinished,
    /// It is wrong at this byte.
    At(usize),
}

/// A key and its value as they stand in the text; the key without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// One pass over a text.
pub(crate) struct Scan<'a> {
    text: &'a [u8],
    /// After [`Scan::run`], where it ends, or how far it was looked at.
    pub at: usize,
    /// Keys of the open objects inside the outermost one.
    keys: SmallVec<[&'a [u8]; 16]>,
    /// Entries of the outermost object, or elements of the outermost list, whose keys are empty.
    pub entries: Entries<'a>,
    collects: bool,
    /// Keys are compared with each other down to this depth.
    compares: usize,
    /// It cannot be written as it is: control characters.
    pub repair: bool,
}

impl<'a> Scan<'a> {
    /// Reads one value at the start of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        let (keys, entries) = (SmallVec::new(), SmallVec::new());
        Self { text, at: 0, keys, entries, collects: true, compares: DEPTH_MAX, repair: false }
    }

    /// The same for a text that was made by a program which wrote no key twice in the objects inside
    /// the outermost one.
    pub fn of_unique_keys(text: &'a [u8]) -> Self {
        Self { compares: 1, ..Self::new(text) }
    }

    /// The same without [`Scan::entries`], for who only wants to know where it ends: keys are not
    /// compared with each other.
    pub fn without_entries(text: &'a [u8]) -> Self {
        let (keys, entries) = (SmallVec::new(), SmallVec::new());
        Self { text, at: 0, keys, entries, collects: false, compares: 0, repair: false }
    }

    /// The same without comparing keys: for a text that was found valid, however many it has, and
    /// where a key that occurs again gives another value.
    pub fn of_any_keys(text: &'a [u8]) -> Self {
        Self { compares: 0, ..Self::new(text) }
    }

    /// Reads a whole object or list; gives its length.
    pub fn run(&mut self) -> Result<usize, Flaw> {
        let end = self.usual_space(0).and_then(|(at, byte)| self.value(at, byte, 0));
        self.at = match end {
            Ok(at) | Err(Flaw::At(at)) => at,
            Err(Flaw::Unfinished) => self.text.len(),
        };
        end
    }

    /// The next byte from `at` on that is no white space, and where it is.
    #[inline(always)]
    fn space(&mut self, at: usize) -> Result<(usize, u8), Flaw> {
        match self.text.get(at) {
            Some(&byte) if byte > b' ' => Ok((at, byte)),
            _ => self.space_skipped(at),
        }
    }

    /// The same where one space is usual, behind colons and commas.
    #[inline(always)]
    fn usual_space(&mut self, at: usize) -> Result<(usize, u8), Flaw> {
        // Branches, since what comes next is mostly what came before.
        match (self.text.get(at), self.text.get(at + 1)) {
            (Some(&byte), _) if byte > b' ' => Ok((at, byte)),
            (Some(b' '), Some(&byte)) if byte > b' ' => Ok((at + 1, byte)),
            _ => self.space_skipped(at),
        }
    }

    #[inline(never)]
    fn space_skipped(&mut self, mut at: usize) -> Result<(usize, u8), Flaw> {
        loop {
            match self.text.get(at) {
                Some(b' ') => {}
                Some(b'\n' | b'\r' | b'\t') => self.repair = true,
                Some(byte) => return Ok((at, *byte)),
                None => return Err(Flaw::Unfinished),
            }
            at += 1;
        }
    }

    /// Where the value ends that begins at `at` with `byte`.
    #[inline(always)]
    fn value(&mut self, at: usize, byte: u8, depth: usize) -> Result<usize, Flaw> {
        match byte {
            b'"' => self.string(at).map(|(end, _)| end),
            b'{' => self.container(at, b'}', depth),
            b'[' => self.container(at, b']', depth),
            b't' => self.word(at, b"true"),
            b'f' => self.word(at, b"false"),
            b'n' => self.word(at, b"null"),
            _ => self.number(at),
        }
    }

    /// An object or a list inside of `depth` others.
    #[inline(never)]
    fn container(&mut self, at: usize, close: u8, depth: usize) -> Result<usize, Flaw> {
        if depth == DEPTH_MAX {
            return Err(Flaw::At(at));
        }
        let is_object = close == b'}';
        let collects = self.collects && depth == 0;
        let base = self.keys.len();
        let mut marks = 0;
        let (mut at, byte) = self.space(at + 1)?;
        if byte == close {
            return Ok(at + 1);
        }
        loop {
            let mut key: &[u8] = &[];
            if is_object {
                (key, at) = self.key(at, depth, base, &mut marks)?;
            }
            let (from, byte) = self.usual_space(at)?;
            at = self.value(from, byte, depth + 1)?;
            if collects {
                self.entries.push(Entry { key, value: &self.text[from..at] });
            }
            let (end, byte) = self.space(at)?;
            if byte == b',' {
                at = end + 1;
            } else if byte == close {
                self.keys.truncate(base);
                return Ok(end + 1);
            } else {
                return Err(Flaw::At(end));
            }
        }
    }

    /// The key that begins at `at`, behind white space, and where its value does.
    ///
    /// `marks` has a bit for the length and ends of each key before it in the same object: keys of
    /// other marks are other keys, and need not be compared.
    #[inline(always)]
    fn key(
        &mut self,
        at: usize,
        depth: usize,
        base: usize,
        marks: &mut u64,
    ) -> Result<(&'a [u8], usize), Flaw> {
        let (from, byte) = self.usual_space(at)?;
        if byte != b'"' {
            return Err(Flaw::At(from));
        }
        let (end, is_plain) = self.string(from)?;
        let key = &self.text[from + 1..end - 1];
        if depth < self.compares {
            let mark = mark_of(key);
            let may_be_twice = *marks & mark != 0;
            // The outermost object's are among its entries.
            let (count, twice) = if depth == 0 {
                let is_it = |entry: &Entry<'_>| entry.key == key;
                (self.entries.len(), may_be_twice && self.entries.iter().any(is_it))
            } else {
                let keys = &self.keys[base..];
                (keys.len(), may_be_twice && keys.contains(&key))
            };
            *marks |= mark;
            // Keys that are spelt with escapes could be equal without looking so.
            if !(is_plain || has_one_spelling(key)) || count == KEYS_MAX || twice {
                return Err(Flaw::At(from));
            }
            if depth > 0 {
                self.keys.push(key);
            }
        }
        match self.space(end)? {
            (at, b':') => Ok((key, at + 1)),
            (at, _) => Err(Flaw::At(at)),
        }
    }

    /// Where the string ends that begins at `at`, and whether its inside is what it says: no escapes
    /// or control characters.
    #[inline(always)]
    fn string(&mut self, at: usize) -> Result<(usize, bool), Flaw> {
        let from = at + 1;
        let end = from + plain_run(self.text.get(from..).unwrap_or_default());
        match self.text.get(end) {
            Some(b'"') => Ok((end + 1, true)),
            _ => self.string_end(end).map(|end| (end + 1, false)),
        }
    }

    /// The end of the string that has at `at` what is not plain.
    #[inline(never)]
    fn string_end(&mut self, mut at: usize) -> Result<usize, Flaw> {
        loop {
            match self.text.get(at) {
                Some(b'"') => return Ok(at),
                Some(b'\\') => at += self.escape(at)?,
                Some(_) => {
                    self.repair = true;
                    at += 1;
                }
                None => return Err(Flaw::Unfinished),
            }
            at += plain_run(self.text.get(at..).unwrap_or_default());
        }
    }

    /// The length of an escape.
    fn escape(&self, at: usize) -> Result<usize, Flaw> {
        let rest = &self.text[at..];
        match rest.get(1) {
            None => Err(Flaw::Unfinished),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match unit(rest) {
                Some(0xdc00..=0xdfff) => Err(Flaw::At(at)),
                Some(0xd800..=0xdbff) => match rest.get(6..).and_then(unit) {
                    Some(0xdc00..=0xdfff) => Ok(12),
                    _ if rest.len() < 12 => Err(Flaw::Unfinished),
                    _ => Err(Flaw::At(at)),
                },
                Some(_) => Ok(6),
                None if rest.len() < 6 => Err(Flaw::Unfinished),
                None => Err(Flaw::At(at)),
            },
            Some(_) => Err(Flaw::At(at)),
        }
    }

    fn word(&self, at: usize, word: &[u8]) -> Result<usize, Flaw> {
        let rest = &self.text[at..];
        if rest.starts_with(word) {
            return Ok(at + word.len());
        }
        Err(if word.starts_with(rest) { Flaw::Unfinished } else { Flaw::At(at) })
    }

    fn number(&self, at: usize) -> Result<usize, Flaw> {
        let rest = &self.text[at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let ends = matches!(rest.get(digits), Some(b',' | b'}' | b']' | b' '));
        if ends && (1..NUMBER_BYTES_SAFE).contains(&digits) && (rest[0] != b'0' || digits == 1) {
            return Ok(at + digits);
        }
        let is_part =
            |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        if !is_number(&rest[..length]) {
            // `1.` and `-` may become numbers.
            let goes_on = length == rest.len();
            return Err(if goes_on { Flaw::Unfinished } else { Flaw::At(at) });
        }
        Ok(at + length)
    }
}

/// One of 64 bits, from the length and both ends of a key.
fn mark_of(key: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    1 << ((key.len() * 7 + end(key.first()) * 3 + end(key.last())) % 64)
}

/// The code unit of a `\uXXXX` at the start of `text`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// No control characters, and only escapes that have no other spelling here.
fn has_one_spelling(key: &[u8]) -> bool {
    let mut rest = key;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        if !matches!(rest.get(at + 1), Some(b'\\' | b'"')) {
            return false;
        }
        rest = &rest[at + 2..];
    }
    key.iter().all(|byte| *byte >= 0x20)
}

/// RFC 8259, section 6, and within the range of a double.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    let is_short = text.len() < NUMBER_BYTES_SAFE;
    if whole == rest.len() && is_short {
        return true;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if rest.is_empty() && is_short {
        return true;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-"));
        let exponent = exponent.unwrap_or(&rest[1..]);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = &exponent[count..];
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    rest.is_empty() && number.is_some_and(f64::is_finite)
}
