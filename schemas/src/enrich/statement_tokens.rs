//! The tokens of a statement in SQL, as far as telling values from the rest needs them.

use super::statement::Quoting;

/// A part of a statement. What text it has is as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A text, a number, a parameter.
    Value,
    /// A word without quotation marks.
    Word(&'t str),
    /// A name with its quotation marks.
    Name(&'t str),
    Open(&'t str),
    Close(&'t str),
    Comma,
    /// What has no space around it: a dot, a cast.
    Tight(&'t str),
    /// A plus or minus that a number follows at once.
    Sign(&'t str),
    Operator(&'t str),
    /// A semicolon.
    End,
}

pub(super) struct Tokens<'t> {
    text: &'t str,
    at: usize,
    quoting: Quoting,
}

impl<'t> Tokens<'t> {
    pub fn new(text: &'t str, quoting: Quoting) -> Self {
        Self { text, at: 0, quoting }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// What lies between a place and here. Both are next to ASCII, or the ends.
    fn since(&self, from: usize) -> &'t str {
        &self.text[from..self.at]
    }

    fn has_backslashes(&self) -> bool {
        self.quoting == Quoting::Backslash
    }

    /// Goes past white space and comments.
    fn skip(&mut self) {
        while let Some(byte) = self.byte(0) {
            let next = self.byte(1);
            match byte {
                b'/' if next == Some(b'*') => self.comment(),
                b'-' if next == Some(b'-') && self.is_dashes_comment() => self.line(),
                b'#' if self.has_backslashes() => self.line(),
                0..=b' ' | 0x7f => self.at += 1,
                _ => return,
            }
        }
    }

    fn is_dashes_comment(&self) -> bool {
        !self.has_backslashes() || self.byte(2).is_none_or(|byte| byte <= b' ')
    }

    fn line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.byte(0) {
            match (byte, self.byte(1)) {
                // The standard's comments hold others.
                (b'/', Some(b'*')) if depth == 0 || !self.has_backslashes() => depth += 1,
                (b'*', Some(b'/')) => depth -= 1,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    /// Goes past what stands between marks; a mark inside is written twice, or escaped.
    fn quoted(&mut self, mark: u8, escapes: bool) {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\\' if escapes => self.at += 2,
                _ if byte == mark && self.byte(1) == Some(mark) => self.at += 2,
                _ if byte == mark => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
    }

    /// `1`, `1.5e-3`, `0x1F`; what else touches it belongs to it.
    fn number(&mut self) {
        while let Some(byte) = self.byte(0) {
            let is_exponent = matches!(byte, b'+' | b'-')
                && matches!(self.text.as_bytes()[self.at - 1], b'e' | b'E')
                && self.byte(1).is_some_and(|next| next.is_ascii_digit());
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_') && !is_exponent {
                return;
            }
            self.at += 1;
        }
    }

    fn word(&mut self) -> Token<'t> {
        let from = self.at;
        while self
            .byte(0)
            .is_some_and(|byte| is_word(byte) || byte.is_ascii_digit() || byte == b'$')
        {
            self.at += 1;
        }
        if self.has_backslashes() {
            while self.byte(0).is_some_and(|byte| byte == b'@' || is_word(byte)) {
                self.at += 1;
            }
        }
        let word = self.since(from);
        let is_mark = |byte| byte == b'\'' || byte == b'"' && self.has_backslashes();
        if let Some(mark) = self.byte(0).filter(|byte| is_mark(*byte)) {
            let escapes = self.has_backslashes() || word.eq_ignore_ascii_case("e");
            let introduces = matches!(word, "e" | "E" | "b" | "B" | "x" | "X" | "n" | "N")
                || self.has_backslashes() && word.starts_with('_');
            if introduces {
                self.quoted(mark, escapes);
                return Token::Value;
            }
        }
        Token::Word(word)
    }

    /// `$1`, `$tag$ text $tag$`
    fn dollar(&mut self) -> Token<'t> {
        let from = self.at;
        self.at += 1;
        if self.byte(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.number();
            return Token::Value;
        }
        while self.byte(0).is_some_and(|byte| is_word(byte) || byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.byte(0) != Some(b'$') {
            return Token::Word(self.since(from));
        }
        self.at += 1;
        let tag = self.since(from);
        let rest = &self.text.as_bytes()[self.at..];
        let end = memchr::memmem::find(rest, tag.as_bytes()).map(|at| at + tag.len());
        self.at += end.unwrap_or(rest.len());
        Token::Value
    }

    fn operator(&mut self) -> Token<'t> {
        let from = self.at;
        while let Some(byte) = self.byte(0).filter(|byte| is_operator(*byte)) {
            let next = self.byte(1);
            let ends = matches!((byte, next), (b'/', Some(b'*')) | (b'-', Some(b'-')))
                || matches!(byte, b'+' | b'-') && next.is_some_and(|next| next.is_ascii_digit())
                || matches!(byte, b'#' | b'`' | b'@' | b'?') && self.has_backslashes();
            if ends && self.at > from {
                break;
            }
            self.at += 1;
        }
        Token::Operator(self.since(from))
    }

    fn one(&mut self) -> &'t str {
        self.at += 1;
        self.since(self.at - 1)
    }

    /// A dot and a digit begin a number, unless the dot stands behind a name.
    fn is_number(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.text.as_bytes()[at]);
        let touches = |byte| is_word(byte) || matches!(byte, b'`' | b'"' | b')' | b']');
        self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) && !before.is_some_and(touches)
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.skip();
        let (from, backslashes) = (self.at, self.has_backslashes());
        let next_is_digit = self.byte(1).is_some_and(|byte| byte.is_ascii_digit());
        let token = match self.byte(0)? {
            b'\'' => {
                self.quoted(b'\'', backslashes);
                Token::Value
            }
            b'"' if backslashes => {
                self.quoted(b'"', true);
                Token::Value
            }
            mark @ (b'"' | b'`') => {
                self.quoted(mark, false);
                Token::Name(self.since(from))
            }
            b'?' if backslashes => {
                self.at += 1;
                Token::Value
            }
            b'0'..=b'9' => {
                self.number();
                Token::Value
            }
            b'.' if self.is_number() => {
                self.number();
                Token::Value
            }
            b'$' if !backslashes => self.dollar(),
            b'(' | b'[' => Token::Open(self.one()),
            b')' | b']' => Token::Close(self.one()),
            b'.' => Token::Tight(self.one()),
            b':' if self.byte(1) == Some(b':') => {
                self.at += 2;
                Token::Tight("::")
            }
            b'+' | b'-' if next_is_digit => Token::Sign(self.one()),
            b',' => {
                self.at += 1;
                Token::Comma
            }
            b';' => {
                self.at += 1;
                Token::End
            }
            byte if is_word(byte) || byte == b'@' && backslashes => {
                self.at += usize::from(byte == b'@');
                self.at += usize::from(byte == b'@' && self.byte(0) == Some(b'@'));
                let at = self.at;
                match self.word() {
                    Token::Word(_) => Token::Word(self.since(from)),
                    _ if at > from => Token::Word("@"),
                    token => token,
                }
            }
            byte if is_operator(byte) => self.operator(),
            _ => Token::Operator(self.one()),
        };
        Some(token)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?:".contains(&byte)
}
