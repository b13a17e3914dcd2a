//! What a clause asks for: a word, a phrase, a range, a comparison, a regular expression.

use super::{Parser, QueryError};
use crate::query::tree::{Bound, Glob, Leaf, Node, Test};

impl Parser {
    /// The value that comes next, with its weight; `at` is where its clause begins.
    pub(super) fn value(&mut self, field: Option<String>, at: usize) -> Result<Node, QueryError> {
        let test = match self.peek() {
            Some('"') => {
                let phrase = self.quoted()?;
                let words = if self.take('~') { self.number()?.unwrap_or(0) } else { 0 };
                Test::Phrase(phrase, words)
            }
            Some('[' | '{') => self.range()?,
            Some('>' | '<') => self.comparison()?,
            Some('/') if self.regex_end().is_some() => {
                let end = self.regex_end().expect("it was found just now");
                let pattern = self.chars[self.at + 1..end].iter().collect();
                self.at = end + 1;
                Test::Regex(pattern)
            }
            _ => self.word_test()?,
        };
        self.boost()?;
        Ok(match (&field, &test) {
            (None, Test::Exists) => Node::All,
            _ => Node::Leaf(Leaf { field, at, test }),
        })
    }

    fn word_test(&mut self) -> Result<Test, QueryError> {
        let mut globs = self.word()?;
        Ok(match globs.as_slice() {
            [Glob::Text(_)] => {
                let Some(Glob::Text(text)) = globs.pop() else { unreachable!("matched just now") };
                if self.take('~') {
                    let edits = self.number()?.map(|edits| u8::try_from(edits).unwrap_or(u8::MAX));
                    Test::Fuzzy(text, edits)
                } else {
                    Test::Word(text)
                }
            }
            [Glob::Any] => Test::Exists,
            _ => Test::Wildcard(globs),
        })
    }

    /// Characters up to space or an operator; wildcards stand out, escapes are resolved.
    pub(super) fn word(&mut self) -> Result<Vec<Glob>, QueryError> {
        let mut globs = Vec::new();
        while let Some(c) = self.peek() {
            let literal = match c {
                '*' => {
                    globs.push(Glob::Any);
                    None
                }
                '?' => {
                    globs.push(Glob::One);
                    None
                }
                '\\' => {
                    self.at += 1;
                    Some(self.peek().ok_or_else(|| self.error("`\\` with nothing after it"))?)
                }
                c if c.is_whitespace() || "()[]{}\"~^".contains(c) => break,
                c => Some(c),
            };
            match (literal, globs.last_mut()) {
                (Some(c), Some(Glob::Text(text))) => text.push(c),
                (Some(c), _) => globs.push(Glob::Text(c.to_string())),
                (None, _) => {}
            }
            self.at += 1;
        }
        match self.peek() {
            _ if !globs.is_empty() => Ok(globs),
            None => Err(self.error("a value is missing at the end")),
            Some(c) => Err(self.error(format!("a value is expected, not `{c}`"))),
        }
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(QueryError::new(open, "`\"` is never closed")),
                Some('"') => break,
                Some('\\') if self.at + 1 < self.chars.len() => {
                    self.at += 1;
                    text.push(self.chars[self.at]);
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(text)
    }

    fn range(&mut self) -> Result<Test, QueryError> {
        let open = self.at;
        let including = self.peek() == Some('[');
        self.at += 1;
        let lower = self.bound()?;
        if !self.operator(&["TO"]) {
            return Err(self.error("a range is `[from TO to]`: `TO` is expected"));
        }
        let upper = self.bound()?;
        self.skip_space();
        let upper = match self.peek() {
            Some(']') => bounded(upper, true),
            Some('}') => bounded(upper, false),
            _ => return Err(QueryError::new(open, "the range is never closed")),
        };
        self.at += 1;
        Ok(Test::Range(bounded(lower, including), upper))
    }

    fn bound(&mut self) -> Result<Option<String>, QueryError> {
        self.skip_space();
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let at = self.at;
        match self.word()?.as_slice() {
            [Glob::Any] => Ok(None),
            [Glob::Text(text)] => Ok(Some(text.clone())),
            _ => Err(QueryError::new(at, "a range has no wildcards but `*` alone")),
        }
    }

    fn comparison(&mut self) -> Result<Test, QueryError> {
        let less = self.peek() == Some('<');
        self.at += 1;
        let including = self.take('=');
        let at = self.at;
        let Some(value) = self.bound()? else {
            return Err(QueryError::new(at, "a comparison needs a value"));
        };
        let bound = bounded(Some(value), including);
        Ok(if less { Test::Range(Bound::Open, bound) } else { Test::Range(bound, Bound::Open) })
    }

    /// Where the regular expression that begins here ends, if it is one.
    fn regex_end(&self) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            match self.chars.get(at)? {
                '\\' => at += 1,
                '/' => break,
                _ => {}
            }
            at += 1;
        }
        let ends = self.chars.get(at + 1).is_none_or(|c| c.is_whitespace() || ")^".contains(*c));
        (ends && at > self.at + 1).then_some(at)
    }

    /// Hits are sorted by time, so a weight changes nothing.
    pub(super) fn boost(&mut self) -> Result<(), QueryError> {
        if self.take('^') && self.number()?.is_none() {
            return Err(self.error("`^` needs a number"));
        }
        if !matches!(self.peek(), None | Some(')')) && !self.space_here() {
            let c = self.chars[self.at];
            return Err(
                self.error(format!("`{c}` is not expected here; quote it or write `\\{c}`"))
            );
        }
        self.skip_space();
        Ok(())
    }

    fn number(&mut self) -> Result<Option<u32>, QueryError> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        if text.is_empty() {
            return Ok(None);
        }
        let whole = text.split('.').next().unwrap_or_default();
        whole.parse().map(Some).map_err(|_| QueryError::new(start, "this is not a number"))
    }
}

fn bounded(value: Option<String>, including: bool) -> Bound {
    match value {
        None => Bound::Open,
        Some(value) if including => Bound::Including(value),
        Some(value) => Bound::Excluding(value),
    }
}
