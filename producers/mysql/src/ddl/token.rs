//! A statement's words, names and texts, and a place among them.

/// What a statement is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A word, a number or a bare name.
    Word(&'a str),
    /// A name in quotes, without them.
    Name(String),
    /// A text, without its quotes and escapes.
    Text(String),
    Sign(char),
}

/// How a session reads quotes, by its `sql_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes(pub u64);

impl Modes {
    const REAL_AS_FLOAT: u64 = 1;
    const ANSI_QUOTES: u64 = 1 << 2;
    const ORACLE: u64 = 1 << 9;
    const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

    /// Types have other names, or names mean other types.
    pub fn is_foreign(self) -> bool {
        self.0 & (Self::REAL_AS_FLOAT | Self::ORACLE) != 0
    }
}

/// The tokens of a statement; `None` if a quote does not end. What stands between `/*!` and `*/` is
/// executed, and so is part of it.
pub(super) fn tokens(sql: &str, modes: Modes) -> Option<Vec<Token<'_>>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = after_comment(rest) {
            rest = after?;
        } else if first.is_whitespace() {
            rest = rest.trim_start();
        } else if is_of_word(first) {
            let end = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
            found.push(Token::Word(&rest[..end]));
            rest = &rest[end..];
        } else if matches!(first, '`' | '"' | '\'') {
            let is_name = first == '`' || first == '"' && modes.0 & Modes::ANSI_QUOTES != 0;
            let escapes = !is_name && modes.0 & Modes::NO_BACKSLASH_ESCAPES == 0;
            let (text, after) = quoted(&rest[1..], first, escapes)?;
            found.push(if is_name { Token::Name(text) } else { Token::Text(text) });
            rest = after;
        } else {
            found.push(Token::Sign(first));
            rest = &rest[first.len_utf8()..];
        }
    }
    Some(found)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !c.is_whitespace()
}

/// What follows a comment, or its beginning or end if it is executed; `Some(None)` if it has no end.
#[expect(clippy::option_option, reason = "no comment is not a comment without an end")]
fn after_comment(text: &str) -> Option<Option<&str>> {
    for executed in ["/*!", "/*M!"] {
        if let Some(inside) = text.strip_prefix(executed) {
            return Some(Some(inside.trim_start_matches(|c: char| c.is_ascii_digit())));
        }
    }
    if let Some(after) = text.strip_prefix("*/") {
        return Some(Some(after));
    }
    if let Some(inside) = text.strip_prefix("/*") {
        return Some(inside.split_once("*/").map(|(_, after)| after));
    }
    let is_line = text.starts_with('#')
        || text.strip_prefix("--").is_some_and(|rest| {
            rest.chars().next().is_none_or(|c| c.is_whitespace() || c.is_control())
        });
    is_line.then(|| Some(text.split_once('\n').map_or("", |(_, after)| after)))
}

/// The text up to the closing quote, and what is behind that.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.next_if(|(_, next)| *next == quote).is_none() {
                return Some((out, &text[at + quote.len_utf8()..]));
            }
            out.push(quote);
        } else if c == '\\' && escapes {
            out.push(match chars.next()?.1 {
                '0' => '\0',
                'b' => '\u{8}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'Z' => '\u{1a}',
                other => other,
            });
        } else {
            out.push(c);
        }
    }
    None
}

/// A place among tokens.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'t>(pub &'t [Token<'t>]);

impl<'t> Tokens<'t> {
    pub fn next(&mut self) -> Option<&'t Token<'t>> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The word that is next, in capitals; empty if it is none.
    pub fn peek(&self) -> String {
        self.peek_at(0)
    }

    pub fn peek_at(&self, at: usize) -> String {
        match self.0.get(at) {
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    /// Goes past these words if they are next.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let there = words.iter().enumerate().all(|(at, word)| self.peek_at(at) == *word);
        if there {
            self.0 = &self.0[words.len()..];
        }
        there
    }

    pub fn sign(&mut self, sign: char) -> bool {
        let there = self.0.first() == Some(&Token::Sign(sign));
        if there {
            self.0 = &self.0[1..];
        }
        there
    }

    /// A name, in quotes or bare. One with the mark of bytes that are no UTF-8 is none.
    pub fn name(&mut self) -> Option<String> {
        let name = match self.next()? {
            Token::Word(word) => (*word).to_owned(),
            Token::Name(name) => name.clone(),
            Token::Text(_) | Token::Sign(_) => return None,
        };
        (!name.contains(char::REPLACEMENT_CHARACTER)).then_some(name)
    }

    /// `database.table`, or a table of that database.
    pub fn table(&mut self, database: &str) -> Option<(String, String)> {
        let first = self.name()?;
        match self.sign('.') {
            true => Some((first, self.name()?)),
            false => Some((database.to_owned(), first)),
        }
    }

    /// Goes past `( … )`, if that is next.
    pub fn group(&mut self) -> Option<bool> {
        if !self.sign('(') {
            return Some(false);
        }
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                _ => {}
            }
        }
        Some(true)
    }

    /// At a comma, a closing bracket or the end.
    pub fn is_at_end_of_item(&self) -> bool {
        matches!(self.0.first(), None | Some(Token::Sign(',' | ')')))
    }

    /// Goes past everything up to there.
    pub fn skip_item(&mut self) -> Option<()> {
        while !self.is_at_end_of_item() {
            if !self.group()? {
                self.next();
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_texts_and_executed_comments_are_told_apart() {
        use Token::{Name, Sign, Text, Word};
        let sql = "ADD `a``b` /* no */ /*!50100 größe */ 'it''s\\n' \"x\" -- end\n, # end";
        let found = tokens(sql, Modes::default()).expect("its quotes end");
        let text = |text: &str| Text(text.to_owned());
        let expected = [
            Word("ADD"),
            Name("a`b".to_owned()),
            Word("größe"),
            text("it's\n"),
            text("x"),
            Sign(','),
        ];
        assert_eq!(found, expected);
        let ansi = tokens("\"x\"", Modes(Modes::ANSI_QUOTES)).expect("its quotes end");
        assert_eq!(ansi, [Name("x".to_owned())]);
        assert_eq!(tokens("'", Modes::default()), None);
    }
}
