//! A statement in SQL without its values, and a key of it, so that those which differ in values
//! alone are counted as one. One pass over the text, whose form follows from its tokens:
//!
//! - texts, numbers, parameters, and `null`, `true` and `false` where a value stands, are `?`;
//!   several with commas between them are one `?`, so that a list of three is one of thirty;
//! - of the rows behind `VALUES` only the first is left;
//! - comments, what ends the statement, and the sign of a number are left out;
//! - words are in lower case; names in quotation marks stay, and lose the marks where they need none;
//! - white space is that of one habit of writing.
//!
//! It need not be a whole statement, or one at all: a text that is not closed ends with the text.

use bumpalo::collections::String as ArenaString;

use super::Filling;
use super::statement_tokens::{Token, Tokens};
use crate::fields;

/// The number of the rules above, which a fingerprint begins with.
const RULES: u32 = 1;

/// Words behind which a minus is the sign of a number.
const BEFORE_NUMBERS: [&str; 12] = [
    "and", "between", "by", "else", "limit", "like", "not", "offset", "or", "return", "select",
    "then",
];

/// How texts and names stand in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// As the standard has it, with `"a name"`, `E'\n'` and `$tag$ texts $tag$`.
    Standard,
    /// Backslashes escape, `"a text"` is one, names are in backticks, and `#` begins a comment.
    Backslash,
}

pub(super) fn fill(filling: &mut Filling<'_, '_>) {
    let Some((field, quoting)) = filling.event.statement() else { return };
    let Some(text) = filling.text(field) else { return };
    let normalized = normalized(text, quoting, filling.event.string(text.len())).into_bump_str();
    if !normalized.is_empty() {
        let key = filling.key(RULES, normalized);
        filling.set(fields::db::query::FINGERPRINT, key);
        filling.set(fields::db::query::NORMALIZED, normalized);
    }
}

/// Appends the statement without its values.
pub fn normalized<'a>(text: &str, quoting: Quoting, out: ArenaString<'a>) -> ArenaString<'a> {
    let mut form = Form { out, last: Last::Start, waits: None, depth: 0, rows: None, mutes: false };
    for token in Tokens::new(text, quoting) {
        form.take(token);
    }
    form.out
}

/// What was written last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Start,
    Word,
    /// A word of [`BEFORE_NUMBERS`].
    Before,
    Value,
    Open,
    Close,
    Comma,
    Tight,
    Operator,
}

/// What is written only if something else follows than might.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// A comma behind a value.
    AfterValue,
    /// A comma behind a row.
    AfterRow,
    /// A semicolon.
    End,
}

struct Form<'a> {
    out: ArenaString<'a>,
    last: Last,
    waits: Option<Waits>,
    depth: u32,
    /// The depth at which rows stand behind `VALUES`.
    rows: Option<u32>,
    /// Within rows behind the first.
    mutes: bool,
}

impl Form<'_> {
    fn take(&mut self, token: Token<'_>) {
        let depth = self.depth;
        match token {
            Token::Open(_) => self.depth += 1,
            Token::Close(_) => self.depth = depth.saturating_sub(1),
            _ => {}
        }
        if self.waits.is_some() && self.is_settled(token) {
            return;
        }
        if let Some(rows) = self.rows.filter(|rows| depth <= *rows) {
            let goes_on = depth == rows
                && matches!(token, Token::Open(_) | Token::Comma | Token::Word("row" | "ROW"));
            if !goes_on {
                (self.rows, self.mutes) = (None, false);
            }
        }
        if !self.mutes {
            self.write(token);
        }
    }

    /// Decides what waited. Says whether that was all that the token was for.
    fn is_settled(&mut self, token: Token<'_>) -> bool {
        match (self.waits, token) {
            (Some(Waits::AfterValue), Token::Sign(_)) => return true,
            (Some(Waits::AfterValue), token) if is_value(token) => {
                self.waits = None;
                return true;
            }
            (Some(Waits::AfterRow), Token::Open(_) | Token::Word("row" | "ROW")) => {
                self.mutes = true;
            }
            (Some(Waits::AfterValue | Waits::AfterRow), _) => self.put(",", Last::Comma),
            (Some(Waits::End), _) => {
                self.put(";", Last::Comma);
                self.rows = None;
            }
            (None, _) => {}
        }
        self.waits = None;
        false
    }

    fn write(&mut self, token: Token<'_>) {
        let may_be_value =
            matches!(self.last, Last::Open | Last::Comma | Last::Operator | Last::Value);
        match token {
            Token::Value if self.last == Last::Value => {}
            Token::Value => self.put("?", Last::Value),
            token @ Token::Word(_) if may_be_value && is_value(token) => self.put("?", Last::Value),
            Token::Word(word) => self.word(word),
            Token::Name(name) => self.put(bare(name), Last::Word),
            Token::Open(mark) => self.put(mark, Last::Open),
            Token::Close(mark) => self.put(mark, Last::Close),
            Token::Tight(mark) => self.put(mark, Last::Tight),
            Token::Comma if self.last == Last::Value => self.waits = Some(Waits::AfterValue),
            Token::Comma if self.rows == Some(self.depth) && self.last == Last::Close => {
                self.waits = Some(Waits::AfterRow);
            }
            Token::Comma => self.put(",", Last::Comma),
            Token::End if self.last != Last::Start => self.waits = Some(Waits::End),
            Token::End => {}
            Token::Sign(sign) => match self.last {
                Last::Word | Last::Value | Last::Close | Last::Tight => {
                    self.put(sign, Last::Operator);
                }
                _ => {}
            },
            Token::Operator(text) => self.put(text, Last::Operator),
        }
    }

    fn word(&mut self, word: &str) {
        let is = |other: &&str| other.eq_ignore_ascii_case(word);
        let last = if BEFORE_NUMBERS.iter().any(is) { Last::Before } else { Last::Word };
        self.space(last);
        self.out.extend(word.chars().map(|character| character.to_ascii_lowercase()));
        self.last = last;
        if is(&"values") || is(&"value") {
            self.rows = Some(self.depth);
        }
    }

    fn put(&mut self, text: &str, last: Last) {
        if text != ";" {
            self.space(last);
        }
        self.out.push_str(text);
        self.last = last;
    }

    fn space(&mut self, next: Last) {
        let none = matches!(self.last, Last::Start | Last::Open | Last::Tight)
            || matches!(next, Last::Comma | Last::Close | Last::Tight)
            || next == Last::Open && !matches!(self.last, Last::Comma | Last::Operator);
        if !none {
            self.out.push(' ');
        }
    }
}

/// A value, or a word that may be one.
fn is_value(token: Token<'_>) -> bool {
    let Token::Word(word) = token else { return token == Token::Value };
    ["null", "true", "false"].iter().any(|value| value.eq_ignore_ascii_case(word))
}

/// A name without the marks that it does not need.
fn bare(name: &str) -> &str {
    let inside = name.strip_prefix(['"', '`']).and_then(|name| name.strip_suffix(['"', '`']));
    let inside = inside.unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_bare = inside.bytes().all(is_part) && !inside.is_empty();
    if is_bare && !inside.as_bytes()[0].is_ascii_digit() { inside } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;
    use proptest::prelude::*;

    fn of(text: &str, quoting: Quoting) -> String {
        let arena = Bump::new();
        normalized(text, quoting, ArenaString::new_in(&arena)).to_string()
    }

    #[test]
    fn values_become_question_marks_whatever_they_look_like() {
        for (text, expected) in [
            ("SELECT * FROM `orders` WHERE id = 7;", "select * from orders where id = ?"),
            ("select * from orders where id=-7.5e-3", "select * from orders where id = ?"),
            ("SELECT 'it''s', \"a \\\" b\", x'1F', 0xff, .5", "select ?"),
            (
                "SELECT a FROM t WHERE b = 'x\\'y' AND c = _utf8mb4'z'",
                "select a from t where b = ? and c = ?",
            ),
            ("SELECT a-1, a - -1, b BETWEEN -5 AND 5", "select a - ?, a - ?, b between ? and ?"),
            ("SELECT t1.c2, @v, @@x FROM t1", "select t1.c2, @v, @@x from t1"),
            ("SELECT 1 -- one\n# two\n/* three */ + 2", "select ? + ?"),
            ("SELECT a--1", "select a - ?"),
            (
                "UPDATE t SET a = NULL, b = true WHERE c IS NOT NULL",
                "update t set a = ?, b = ? where c is not null",
            ),
            (
                "SELECT `Mixed`, `with space`, `2fa` FROM `a`.`b`",
                "select `Mixed`, `with space`, `2fa` from a.b",
            ),
            ("select 'never closed", "select ?"),
            ("SELECT ¿qué? FROM niño", "select ¿qué ? from niño"),
            ("", ""),
            (";;", ""),
            ("select 1; select 2;", "select ?; select ?"),
        ] {
            assert_eq!(of(text, Quoting::Backslash), expected, "{text}");
        }
    }

    #[test]
    fn the_standard_has_names_where_others_have_texts() {
        for (text, expected) in [
            (
                "SELECT \"id\", \"Name\" FROM \"users\" WHERE x = 'a\\'",
                "select id, \"Name\" from users where x = ?",
            ),
            ("SELECT E'it\\'s', $1, $$a 'text'$$, $t$ $$ $t$, 5::int", "select ?::int"),
            ("SELECT a->>'b', c @> '{}', d::jsonb", "select a ->> ?, c @> ?, d::jsonb"),
            ("SELECT 1 /* a /* nested */ comment */ + $2--end", "select ? + ?"),
            ("SELECT ARRAY[1, 2, 3]", "select array[?]"),
            ("DO $never$ closed", "do ?"),
        ] {
            assert_eq!(of(text, Quoting::Standard), expected, "{text}");
        }
    }

    #[test]
    fn lists_of_any_length_are_one_and_of_rows_the_first_is_left() {
        let same = [
            "INSERT INTO t (a, b) VALUES (1, 'x')",
            "insert into t(a,b) values (2, null), (3, 'y'),(4,'z')",
            "INSERT INTO t (a, b) VALUES (-1, 'x'), (-2, 'y');",
        ];
        for text in same {
            assert_eq!(of(text, Quoting::Backslash), "insert into t(a, b) values(?)", "{text}");
        }
        for (text, expected) in [
            (
                "DELETE FROM t WHERE a IN (1,2,3) OR a IN (4)",
                "delete from t where a in(?) or a in(?)",
            ),
            (
                "INSERT INTO t VALUES (1, now()), (2, now()) ON DUPLICATE KEY UPDATE a = VALUES(a), \
              b = VALUES(b), c = 1",
                "insert into t values(?, now()) on duplicate key update a = values(a), \
                 b = values(b), c = ?",
            ),
            ("VALUES ROW(1, 2), ROW(3, 4) ORDER BY 1", "values row(?) order by ?"),
            (
                "SELECT (SELECT 1 FROM (VALUES (1), (2)) x), b",
                "select(select ? from(values(?)) x), b",
            ),
        ] {
            assert_eq!(of(text, Quoting::Backslash), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_form_that_is_its_own(
            text in "([a-z0-9'\"`$@#;:,.()*/\\\\\n ñ-]|VALUES|/\\*|\\*/|--|NULL){0,80}",
        ) {
            for quoting in [Quoting::Standard, Quoting::Backslash] {
                let once = of(&text, quoting);
                prop_assert!(once.len() <= text.len() * 3 + 1, "{}", once);
            }
        }
    }
}
