//! The outermost keys of an object by its quotes and brackets alone. What the server logs may be
//! deeper than the store takes, name a key twice, or have been cut short on its way: then most of
//! it is still worth having.

use memchr::memchr2;

use crate::scan::{Entries, Entry};

/// Keys and values as they stand in the text.
pub(super) struct Outline<'a> {
    pub entries: Entries<'a>,
    /// The object ends, and the text with it.
    pub whole: bool,
}

/// Walks the object that `text` begins with.
pub(super) fn outline(text: &str) -> Outline<'_> {
    let mut walk = Walk { text: text.as_bytes(), at: 1 };
    let mut entries = Entries::new();
    let ended = loop {
        match walk.entry() {
            Step::Entry(entry) => entries.push(entry),
            Step::End => break true,
            Step::Broken => break false,
        }
    };
    Outline { whole: ended && walk.text[walk.at..].trim_ascii().is_empty(), entries }
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
}

enum Step<'a> {
    Entry(Entry<'a>),
    End,
    Broken,
}

impl<'a> Walk<'a> {
    fn entry(&mut self) -> Step<'a> {
        while self.peek() == Some(b',') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                Step::End
            }
            Some(b'"') => self.pair().map_or(Step::Broken, Step::Entry),
            _ => Step::Broken,
        }
    }

    fn pair(&mut self) -> Option<Entry<'a>> {
        let key = self.string()?;
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        let opening = self.peek()?;
        let from = self.at;
        match opening {
            b'"' => self.string().map(|_| ())?,
            b'{' | b'[' => self.nested()?,
            _ => {
                let rest = &self.text[from..];
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b' ');
                self.at += rest.iter().position(ends)?;
            }
        }
        let value = &self.text[from..self.at];
        (!value.is_empty()).then_some(Entry { key, value })
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// The inside of a string.
    fn string(&mut self) -> Option<&'a [u8]> {
        let from = self.at + 1;
        let mut at = from;
        loop {
            at += memchr2(b'"', b'\\', self.text.get(at..)?)?;
            if self.text[at] == b'"' {
                break;
            }
            at += 2;
        }
        self.at = at + 1;
        Some(&self.text[from..at])
    }

    fn nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> (String, bool) {
        let found = outline(text);
        let keys: Vec<_> =
            found.entries.iter().map(|entry| String::from_utf8_lossy(entry.key)).collect();
        (keys.join(" "), found.whole)
    }

    #[test]
    fn an_object_is_read_as_far_as_it_goes() {
        assert_eq!(keys(r#"{"a":1, "b":{"c":["}\"",{}]} ,"d":"x"}"#), ("a b d".to_owned(), true));
        assert_eq!(keys(r#"{"a":1,"b":{"c":["#), ("a".to_owned(), false));
        assert_eq!(keys(r#"{"a":1,"b":"x\"#), ("a".to_owned(), false));
        assert_eq!(keys(r#"{"a":1} more"#), ("a".to_owned(), false));
        assert_eq!(keys("{}"), (String::new(), true));
    }
}
