//! What users of Elasticsearch's `query_string` type, as queries of the embedded store.
//!
//! Values match exactly and with case, as keywords do; text and words without a field match by
//! word, whatever their case.

mod dates;
mod parse;
mod tree;

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Bound as Ends;

use base64::Engine as _;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, FuzzyTermQuery, Occur, PhraseQuery, Query,
    RangeQuery, RegexQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DateTime, Term};

use crate::fields::{Fields, is_text, text_fields, words};
pub(crate) use parse::QueryError;
use parse::parse;
use tree::{Bound, Glob, Leaf, Node, Test};

type Built = Result<Box<dyn Query>, QueryError>;

/// The query of `text`; `now_ms` stands for `now` in it.
pub(crate) fn compile(text: &str, fields: &Fields, now_ms: i64) -> Built {
    Compiler { fields, now_ms }.node(&parse(text)?)
}

/// Events whose time is in `[from_ms, to_ms)`.
pub(crate) fn in_time(fields: &Fields, from_ms: Option<i64>, to_ms: Option<i64>) -> Box<dyn Query> {
    let term = |ms| Term::from_field_date(fields.timestamp, DateTime::from_timestamp_millis(ms));
    // Milliseconds beyond what nanoseconds in 64 bits hold would overflow.
    let held = |ms: i64| ms.clamp(i64::MIN / 1_000_000, i64::MAX / 1_000_000);
    range(
        from_ms.map_or(Ends::Unbounded, |ms| Ends::Included(term(held(ms)))),
        to_ms.map_or(Ends::Unbounded, |ms| Ends::Excluded(term(held(ms)))),
    )
}

/// Both of the queries.
pub(crate) fn both(first: Box<dyn Query>, second: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(vec![(Occur::Must, first), (Occur::Must, second)]))
}

fn range(lower: Ends<Term>, upper: Ends<Term>) -> Box<dyn Query> {
    match (&lower, &upper) {
        (Ends::Unbounded, Ends::Unbounded) => Box::new(AllQuery),
        _ => Box::new(RangeQuery::new(lower, upper)),
    }
}

fn any(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::new(
            queries.into_iter().map(|query| (Occur::Should, query)).collect(),
        )),
    }
}

fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// Where words are looked for: a text field, or the words of all other fields.
#[derive(Clone, Copy)]
enum Place<'p> {
    Text(&'p str),
    All,
}

struct Compiler<'f> {
    fields: &'f Fields,
    now_ms: i64,
}

impl Compiler<'_> {
    fn node(&self, node: &Node) -> Built {
        Ok(match node {
            Node::All => Box::new(AllQuery),
            Node::Not(node) => Box::new(BooleanQuery::new(vec![
                (Occur::Must, Box::new(AllQuery)),
                (Occur::MustNot, self.node(node)?),
            ])),
            Node::And(nodes) => self.boolean(nodes, &[], &[])?,
            Node::Clauses { must, should, must_not } => self.boolean(must, should, must_not)?,
            Node::Leaf(leaf) => self.leaf(leaf)?,
        })
    }

    fn boolean(&self, must: &[Node], should: &[Node], must_not: &[Node]) -> Built {
        let mut clauses = Vec::new();
        for node in must {
            clauses.push((Occur::Must, self.node(node)?));
        }
        // Hits are sorted by time: beside something required, an option changes nothing.
        for node in should.iter().filter(|_| must.is_empty()) {
            clauses.push((Occur::Should, self.node(node)?));
        }
        if clauses.is_empty() {
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        for node in must_not {
            clauses.push((Occur::MustNot, self.node(node)?));
        }
        Ok(Box::new(BooleanQuery::new(clauses)))
    }

    fn leaf(&self, leaf: &Leaf) -> Built {
        match leaf.field.as_deref() {
            None => self.anywhere(leaf),
            Some("_id") => self.id(leaf),
            Some("_index") => self.index(leaf),
            Some("@timestamp") => self.time(leaf),
            Some(path) if is_text(path) => self.text(Place::Text(path), leaf),
            Some(path) => self.value(path, leaf),
        }
    }

    fn anywhere(&self, leaf: &Leaf) -> Built {
        let mut queries = vec![self.text(Place::All, leaf)?];
        for path in text_fields() {
            queries.push(self.text(Place::Text(path), leaf)?);
        }
        Ok(any(queries))
    }

    fn id(&self, leaf: &Leaf) -> Built {
        let (Test::Word(text) | Test::Phrase(text, _)) = &leaf.test else {
            return match leaf.test {
                Test::Exists => Ok(Box::new(AllQuery)),
                _ => Err(QueryError::new(leaf.at, "an `_id` is searched whole")),
            };
        };
        // What is no id of ours is the id of nothing here.
        let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text);
        Ok(match decoded {
            Ok(id) => term_query(Term::from_field_bytes(self.fields.id, &id)),
            Err(_) => Box::new(EmptyQuery),
        })
    }

    fn index(&self, leaf: &Leaf) -> Built {
        let field = self.fields.index;
        Ok(match &leaf.test {
            Test::Word(text) | Test::Phrase(text, _) => {
                term_query(Term::from_field_text(field, text))
            }
            Test::Wildcard(globs) => self.regex(leaf, field, &glob_pattern(globs))?,
            Test::Regex(pattern) => self.regex(leaf, field, pattern)?,
            Test::Exists => Box::new(AllQuery),
            Test::Fuzzy(..) | Test::Range(..) => {
                return Err(QueryError::new(leaf.at, "`_index` takes a name or a wildcard"));
            }
        })
    }

    fn time(&self, leaf: &Leaf) -> Built {
        let term =
            |ms| Term::from_field_date(self.fields.timestamp, DateTime::from_timestamp_millis(ms));
        let unclear = || QueryError::new(leaf.at, dates::EXPECTED);
        let ends = match &leaf.test {
            Test::Exists => return Ok(Box::new(AllQuery)),
            Test::Word(text) | Test::Phrase(text, _) => {
                dates::equal(text, self.now_ms).ok_or_else(unclear)?
            }
            Test::Range(lower, upper) => {
                dates::between(lower, upper, self.now_ms).ok_or_else(unclear)?
            }
            Test::Wildcard(_) | Test::Regex(_) | Test::Fuzzy(..) => return Err(unclear()),
        };
        Ok(range(ends.0.map(term), ends.1.map(term)))
    }

    /// Words in a text field, or in all of them.
    fn text(&self, place: Place<'_>, leaf: &Leaf) -> Built {
        Ok(match &leaf.test {
            Test::Word(text) => self.phrase(place, text, 0),
            Test::Phrase(text, between) => self.phrase(place, text, *between),
            Test::Wildcard(globs) => self.word_globs(place, leaf, globs)?,
            Test::Regex(pattern) => self.word_regex(place, leaf, pattern)?,
            Test::Fuzzy(text, edits) => {
                let mut queries: Vec<(Occur, Box<dyn Query>)> = Vec::new();
                for word in words_of(text) {
                    let distance = edits_of(leaf, &word, *edits)?;
                    let term = self.word_term(place, &word);
                    queries
                        .push((Occur::Must, Box::new(FuzzyTermQuery::new(term, distance, true))));
                }
                Box::new(BooleanQuery::new(queries))
            }
            Test::Exists => match place {
                Place::Text(path) => self.named(leaf, path)?,
                Place::All => Box::new(AllQuery),
            },
            Test::Range(..) => {
                let reason = "a range needs a field with values, such as process.pid:[1 TO 9]";
                return Err(QueryError::new(leaf.at, reason));
            }
        })
    }

    fn phrase(&self, place: Place<'_>, text: &str, between: u32) -> Box<dyn Query> {
        let mut terms: Vec<Term> =
            words_of(text).iter().map(|word| self.word_term(place, word)).collect();
        match terms.len() {
            0 => Box::new(EmptyQuery),
            1 => term_query(terms.remove(0)),
            _ => {
                let terms = terms.into_iter().enumerate().collect();
                Box::new(PhraseQuery::new_with_offset_and_slop(terms, between))
            }
        }
    }

    /// A wildcard is matched word by word: `time-out*` asks for `time` and `out*`.
    fn word_globs(&self, place: Place<'_>, leaf: &Leaf, globs: &[Glob]) -> Built {
        let mut patterns = vec![Vec::new()];
        for glob in globs {
            let Glob::Text(text) = glob else {
                patterns.last_mut().expect("it is never empty").push(glob.clone());
                continue;
            };
            for (n, piece) in text.split(|c: char| !c.is_alphanumeric()).enumerate() {
                if n > 0 {
                    patterns.push(Vec::new());
                }
                if !piece.is_empty() {
                    let piece = Glob::Text(piece.to_lowercase());
                    patterns.last_mut().expect("it is never empty").push(piece);
                }
            }
        }
        let mut clauses = Vec::new();
        for pattern in patterns.iter().filter(|p| p.iter().any(|glob| *glob != Glob::Any)) {
            clauses.push((Occur::Must, self.word_regex(place, leaf, &glob_pattern(pattern))?));
        }
        if clauses.is_empty() {
            return Err(QueryError::new(leaf.at, "the wildcard has no letter or digit"));
        }
        Ok(Box::new(BooleanQuery::new(clauses)))
    }

    fn word_regex(&self, place: Place<'_>, leaf: &Leaf, pattern: &str) -> Built {
        match place {
            Place::All => self.regex(leaf, self.fields.all, pattern),
            Place::Text(path) => self.path_regex(
                leaf,
                &Term::from_field_json_path(self.fields.text, path, true),
                pattern,
            ),
        }
    }

    fn word_term(&self, place: Place<'_>, word: &str) -> Term {
        match place {
            Place::All => Term::from_field_text(self.fields.all, word),
            Place::Text(path) => {
                let mut term = Term::from_field_json_path(self.fields.text, path, true);
                term.append_type_and_str(word);
                term
            }
        }
    }

    /// Exact values.
    fn value(&self, path: &str, leaf: &Leaf) -> Built {
        Ok(match &leaf.test {
            Test::Word(text) | Test::Phrase(text, _) => self.equal(path, leaf, text)?,
            Test::Wildcard(globs) => {
                self.path_regex(leaf, &self.fields.value_term(path), &glob_pattern(globs))?
            }
            Test::Regex(pattern) => {
                self.path_regex(leaf, &self.fields.value_term(path), pattern)?
            }
            Test::Fuzzy(text, edits) => {
                let distance = edits_of(leaf, text, *edits)?;
                let mut term = self.fields.value_term(path);
                term.append_type_and_str(text);
                Box::new(FuzzyTermQuery::new(term, distance, true))
            }
            Test::Exists => {
                let column = Box::new(ExistsQuery::new(format!("doc.{path}"), true));
                any(vec![column, self.named(leaf, path)?])
            }
            Test::Range(lower, upper) => self.between(path, leaf, lower, upper)?,
        })
    }

    /// `5` is found whether it was given as a number or as text.
    fn equal(&self, path: &str, leaf: &Leaf, text: &str) -> Built {
        if let Some(pattern) = network_pattern(text) {
            return self.path_regex(leaf, &self.fields.value_term(path), &pattern);
        }
        let mut term = self.fields.value_term(path);
        term.append_type_and_str(text);
        let mut queries = vec![term_query(term)];
        let typed = number_term(self.fields.value_term(path), text).or_else(|| {
            let mut term = self.fields.value_term(path);
            term.append_type_and_fast_value(text.parse::<bool>().ok()?);
            Some(term)
        });
        queries.extend(typed.map(term_query));
        // A bare year is a number far more often than a date.
        if text.len() > 4
            && let Some((lower, upper)) = dates::equal(text, self.now_ms)
        {
            let term = |ms| date_term(self.fields.value_term(path), ms);
            queries.push(range(lower.map(term), upper.map(term)));
        }
        Ok(any(queries))
    }

    fn between(&self, path: &str, leaf: &Leaf, lower: &Bound, upper: &Bound) -> Built {
        let start = || self.fields.value_term(path);
        let values = [lower, upper].into_iter().filter_map(|bound| match bound {
            Bound::Including(value) | Bound::Excluding(value) => Some(value),
            Bound::Open => None,
        });
        if values.clone().count() == 0 {
            return self.value(path, &Leaf { test: Test::Exists, ..leaf.clone() });
        }
        if values.clone().any(|value| value.parse::<IpAddr>().is_ok()) {
            let reason = "addresses have no range here: write a network, such as 10.0.0.0/8";
            return Err(QueryError::new(leaf.at, reason));
        }
        let ends = |term: &dyn Fn(&str) -> Term| {
            let end = |bound: &Bound| match bound {
                Bound::Including(value) => Ends::Included(term(value)),
                Bound::Excluding(value) => Ends::Excluded(term(value)),
                Bound::Open => Ends::Unbounded,
            };
            range(end(lower), end(upper))
        };
        if values.clone().all(|value| value.parse::<f64>().is_ok()) {
            // Both bounds have to be of one type.
            let whole = values.clone().all(|value| value.parse::<i64>().is_ok());
            return Ok(ends(&|value| {
                let mut term = start();
                match value.parse::<i64>() {
                    Ok(number) if whole => term.append_type_and_fast_value(number),
                    _ => term.append_type_and_fast_value(value.parse::<f64>().unwrap_or(f64::NAN)),
                }
                term
            }));
        }
        if let Some((lower, upper)) = dates::between(lower, upper, self.now_ms) {
            let term = |ms| date_term(start(), ms);
            return Ok(range(lower.map(term), upper.map(term)));
        }
        Ok(ends(&|value| {
            let mut term = start();
            term.append_type_and_str(value);
            term
        }))
    }

    /// The path or one below it has text, or a value too long for a column.
    fn named(&self, leaf: &Leaf, path: &str) -> Built {
        self.regex(leaf, self.fields.names, &format!("{}(\\..*)?", escaped(path)))
    }

    /// Text values of one path that match: its terms begin with the path.
    fn path_regex(&self, leaf: &Leaf, path: &Term, pattern: &str) -> Built {
        let mut start = path.clone();
        start.append_type_and_str("");
        let start = String::from_utf8_lossy(start.serialized_value_bytes()).into_owned();
        self.regex(leaf, path.field(), &format!("{}({pattern})", escaped(&start)))
    }

    fn regex(&self, leaf: &Leaf, field: Field, pattern: &str) -> Built {
        let query = RegexQuery::from_pattern(pattern, field).map_err(|error| {
            QueryError::new(leaf.at, format!("this store cannot match the pattern: {error}"))
        })?;
        Ok(Box::new(query))
    }
}

fn words_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    words().token_stream(text).process(&mut |token| found.push(token.text.clone()));
    found
}

/// As many as Elasticsearch's `AUTO` allows, unless the query says how many.
fn edits_of(leaf: &Leaf, word: &str, edits: Option<u8>) -> Result<u8, QueryError> {
    match (edits, word.chars().count()) {
        (Some(edits @ 0..=2), _) => Ok(edits),
        (Some(_), _) => Err(QueryError::new(leaf.at, "`~` allows at most 2 edits")),
        (None, 0..=2) => Ok(0),
        (None, 3..=5) => Ok(1),
        (None, _) => Ok(2),
    }
}

fn number_term(mut term: Term, text: &str) -> Option<Term> {
    if let Ok(number) = text.parse::<i64>() {
        term.append_type_and_fast_value(number);
    } else if let Ok(number) = text.parse::<u64>() {
        term.append_type_and_fast_value(number);
    } else {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        // Whole numbers are indexed as such, however they were written.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is compared with what it came from"
        )]
        let whole = number as i64;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a difference only means that it is not whole"
        )]
        if whole as f64 == number {
            term.append_type_and_fast_value(whole);
        } else {
            term.append_type_and_fast_value(number);
        }
    }
    Some(term)
}

fn date_term(mut term: Term, ms: i64) -> Term {
    term.append_type_and_fast_value(DateTime::from_timestamp_millis(ms));
    term
}

fn glob_pattern(globs: &[Glob]) -> String {
    globs
        .iter()
        .map(|glob| match glob {
            Glob::Text(text) => escaped(text),
            Glob::Any => "(?s:.)*".to_owned(),
            Glob::One => "(?s:.)".to_owned(),
        })
        .collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The addresses of an IPv4 network such as `10.16.0.0/12`, as a pattern of their text.
fn network_pattern(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let bits: usize = bits.parse().ok().filter(|bits| *bits <= 32)?;
    let octets = address.octets();
    let mut parts = Vec::new();
    for (n, octet) in octets.iter().enumerate() {
        let fixed = bits.saturating_sub(n * 8).min(8);
        parts.push(match fixed {
            8 => octet.to_string(),
            0 => "[0-9]+".to_owned(),
            _ => {
                let size = 1usize << (8 - fixed);
                let first = usize::from(*octet) / size * size;
                let all: Vec<_> = (first..first + size).map(|n| n.to_string()).collect();
                format!("({})", all.join("|"))
            }
        });
    }
    Some(parts.join("\\."))
}
