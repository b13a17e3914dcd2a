//! Lucene's query syntax, read into a tree that knows where each part stood in the text.
//!
//! Looser than Lucene where it stumbles over logs: a value may contain colons and begin with a
//! slash (`log.file.path:/var/log/syslog`, `source.ip:fe80::1`), `/…/` is a regular expression only
//! if no further slash is in it, and AND binds more tightly than OR.

mod value;

use std::fmt;

use super::tree::{Glob, Leaf, Node, Test};

/// Parentheses deeper than this are a mistake or an attack on the stack.
const DEPTH_MAX: usize = 64;

/// What is wrong with a query, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueryError {
    /// Characters before the place, from 0.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
}

impl QueryError {
    pub fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query, character {}: {}", self.at + 1, self.reason)
    }
}

/// Reads a query. Nothing but space matches everything.
pub(crate) fn parse(text: &str) -> Result<Node, QueryError> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0 };
    parser.skip_space();
    if parser.peek().is_none() {
        return Ok(Node::All);
    }
    let node = parser.clauses(None)?;
    match parser.peek() {
        None => Ok(node),
        Some(')') => Err(parser.error("`)` without `(`")),
        Some(c) => Err(parser.error(format!("`{c}` is not expected here"))),
    }
}

#[derive(PartialEq)]
enum Sign {
    Plain,
    Must,
    MustNot,
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn clauses(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        let mut or_before = false;
        loop {
            let (sign, node) = self.conjunction(field)?;
            match sign {
                Sign::Must => must.push(node),
                // `a OR NOT b` is a choice, `a NOT b` and `a -b` are an exclusion.
                Sign::MustNot if or_before => should.push(Node::Not(Box::new(node))),
                Sign::MustNot => must_not.push(node),
                Sign::Plain => should.push(node),
            }
            or_before = self.operator(&["OR", "||"]);
            if !or_before && matches!(self.peek(), None | Some(')')) {
                break;
            }
        }
        if must.is_empty() && must_not.is_empty() && should.len() == 1 {
            return Ok(should.remove(0));
        }
        Ok(Node::Clauses { must, should, must_not })
    }

    fn conjunction(&mut self, field: Option<&str>) -> Result<(Sign, Node), QueryError> {
        let (sign, first) = self.signed(field)?;
        if !self.operator(&["AND", "&&"]) {
            return Ok((sign, first));
        }
        let negated = |(sign, node)| match sign {
            Sign::MustNot => Node::Not(Box::new(node)),
            Sign::Plain | Sign::Must => node,
        };
        let mut all = vec![negated((sign, first))];
        loop {
            all.push(negated(self.signed(field)?));
            if !self.operator(&["AND", "&&"]) {
                return Ok((Sign::Plain, Node::And(all)));
            }
        }
    }

    fn signed(&mut self, field: Option<&str>) -> Result<(Sign, Node), QueryError> {
        self.skip_space();
        let mut sign = Sign::Plain;
        loop {
            let follows = self.chars.get(self.at + 1).is_some_and(|c| !c.is_whitespace());
            match self.peek() {
                Some('+') if follows => sign = Sign::Must,
                Some('-' | '!') if follows => sign = flipped(&sign),
                _ if self.operator(&["NOT"]) => {
                    sign = flipped(&sign);
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        Ok((sign, self.primary(field)?))
    }

    fn primary(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        self.skip_space();
        let at = self.at;
        if self.peek() == Some('(') {
            return self.group(field);
        }
        if field.is_none()
            && let Some(name) = self.field_name()?
        {
            return self.field_value(name, at);
        }
        self.value(field.map(str::to_owned), at)
    }

    fn field_value(&mut self, name: String, at: usize) -> Result<Node, QueryError> {
        self.skip_space();
        if name == "_exists_" {
            let path_at = self.at;
            return match self.word()?.as_slice() {
                [Glob::Text(path)] => {
                    Ok(Node::Leaf(Leaf { field: Some(path.clone()), at, test: Test::Exists }))
                }
                _ => Err(QueryError::new(path_at, "`_exists_:` needs the name of one field")),
            };
        }
        if name == "*" {
            let star = self.peek() == Some('*');
            let node = self.value(None, at)?;
            return Ok(if star { Node::All } else { node });
        }
        if name.contains('*') {
            return Err(QueryError::new(at, "this store has no wildcards in field names"));
        }
        if self.peek() == Some('(') {
            return self.group(Some(&name));
        }
        self.value(Some(name), at)
    }

    fn group(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        let open = self.at;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("more than {DEPTH_MAX} parentheses deep")));
        }
        self.at += 1;
        let node = self.clauses(field)?;
        if self.peek() != Some(')') {
            return Err(QueryError::new(open, "`(` is never closed"));
        }
        self.at += 1;
        self.depth -= 1;
        self.boost()?;
        Ok(node)
    }

    /// A name and its colon, if they come next; otherwise nothing is read.
    fn field_name(&mut self) -> Result<Option<String>, QueryError> {
        let start = self.at;
        let mut name = String::new();
        while let Some(c) = self.peek() {
            match c {
                ':' if !name.is_empty() => {
                    self.at += 1;
                    // `http://…` is a value, not the field `http`.
                    let address = self.chars[self.at..].starts_with(&['/', '/']);
                    let starts = name.starts_with(|c: char| c.is_alphabetic() || "_@*".contains(c));
                    if !address && starts {
                        return Ok(Some(name));
                    }
                    break;
                }
                '\\' => {
                    self.at += 1;
                    name.push(self.peek().ok_or_else(|| self.error("`\\` with nothing after it"))?);
                }
                c if c.is_alphanumeric() || "_.@-*".contains(c) => name.push(c),
                _ => break,
            }
            self.at += 1;
        }
        self.at = start;
        Ok(None)
    }

    /// Takes one of the words if it comes next, as a word of its own.
    fn operator(&mut self, words: &[&str]) -> bool {
        self.skip_space();
        for word in words {
            let len = word.chars().count();
            let there = self.chars[self.at..].iter().take(len).copied().eq(word.chars());
            let ends = match self.chars.get(self.at + len) {
                None => word.starts_with(|c: char| c.is_alphabetic()),
                Some(c) => c.is_whitespace() || *c == '(' || !word.chars().all(char::is_alphabetic),
            };
            if there && ends {
                self.at += len;
                self.skip_space();
                return true;
            }
        }
        false
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn space_here(&self) -> bool {
        self.peek().is_some_and(char::is_whitespace)
    }

    fn skip_space(&mut self) {
        while self.space_here() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn error(&self, reason: impl Into<String>) -> QueryError {
        QueryError::new(self.at, reason)
    }
}

fn flipped(sign: &Sign) -> Sign {
    if *sign == Sign::MustNot { Sign::Plain } else { Sign::MustNot }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tree::Bound;

    fn error(text: &str) -> (usize, String) {
        let error = parse(text).expect_err(text);
        (error.at, error.reason)
    }

    fn leaf(text: &str) -> (Option<String>, Test) {
        match parse(text).expect(text) {
            Node::Leaf(leaf) => (leaf.field, leaf.test),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn values_of_logs_are_read_as_they_are_typed() {
        for (text, field, value) in [
            ("log.level:error", Some("log.level"), "error"),
            ("log.file.path:/var/log/syslog", Some("log.file.path"), "/var/log/syslog"),
            ("log.file.path:/var/log/", Some("log.file.path"), "/var/log/"),
            ("source.ip:fe80::1", Some("source.ip"), "fe80::1"),
            ("host.name:web-01.example", Some("host.name"), "web-01.example"),
            ("http://example.com/a", None, "http://example.com/a"),
            ("10:30:00", None, "10:30:00"),
            (r"a\:b\ c", None, "a:b c"),
        ] {
            let expected = (field.map(str::to_owned), Test::Word(value.to_owned()));
            assert_eq!(leaf(text), expected, "{text}");
        }
        assert_eq!(leaf("/joh?n/").1, Test::Regex("joh?n".into()));
        assert_eq!(leaf("n:>=5").1, Test::Range(Bound::Including("5".into()), Bound::Open));
        assert_eq!(leaf("_exists_:user.name"), (Some("user.name".into()), Test::Exists));
    }

    #[test]
    fn and_binds_more_tightly_than_or_and_not_excludes() {
        let text = |node: &str| format!("{:?}", parse(node).expect(node));
        assert_eq!(text("  "), "All");
        assert_eq!(text("a    b"), text("a OR b"));
        assert_ne!(text("a OR b AND c"), text("(a OR b) AND c"));
        let Node::Clauses { must, should, must_not } = parse("+a b -c NOT d").expect("clauses")
        else {
            panic!("clauses");
        };
        assert_eq!((must.len(), should.len(), must_not.len()), (1, 1, 2));
        assert!(matches!(parse("NORTH ORDER").expect("words"), Node::Clauses { .. }));
    }

    #[test]
    fn an_error_names_its_place() {
        assert_eq!(error("log.level:(error"), (10, "`(` is never closed".into()));
        assert_eq!(error("a )").0, 2);
        assert_eq!(error("a \"b").0, 2);
        assert_eq!(error("n:[1 2]").0, 5);
        assert_eq!(error("a AND").0, 5);
        assert_eq!(error("n:").0, 2);
        assert_eq!(error("lab*s:x").0, 0);
        assert_eq!(error(&"(".repeat(100)).1, "more than 64 parentheses deep");
    }
}
