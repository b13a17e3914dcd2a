//! `log_line_prefix`: the text of the setting is compiled once to literals and values, and then
//! read against the beginning of a line. It fits if the whole of it does and a severity follows.
//!
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-LINE-PREFIX>

use std::ops::Range;

use super::doubt::is_backend_type;
use super::level::Label;
use super::stamp;
use crate::find::find_byte;

/// Bytes of a line within which its prefix ends.
pub(super) const HEAD_BYTES_MAX: usize = 1024;
/// Steps that the search for the ends of free texts may take, so that no line can prolong it.
const STEPS_MAX: u32 = 512;
/// Kinds of values.
const KINDS: usize = 19;

/// What stands for an escape in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    Application,
    User,
    Database,
    RemoteWithPort,
    Remote,
    Local,
    BackendType,
    Pid,
    LeaderPid,
    Time,
    Epoch,
    CommandTag,
    SqlState,
    Session,
    Line,
    SessionStart,
    Virtual,
    Transaction,
    QueryId,
}

/// The setting has an escape that PostgreSQL does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixError {
    /// The escape as it is written.
    pub escape: String,
}

impl std::fmt::Display for PrefixError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "log_line_prefix: {} is no escape of PostgreSQL 9.0 to 18", self.escape)
    }
}

impl std::error::Error for PrefixError {}

enum Step {
    Literal(Box<[u8]>),
    /// Padded values have spaces before or after them.
    Value {
        kind: Kind,
        padded: bool,
    },
    /// `%q`: background processes stop here.
    SessionsOnly,
}

/// A compiled `log_line_prefix`.
pub struct LinePrefix {
    steps: Vec<Step>,
}

/// Where the values of a line are, and its label.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    values: [(u16, u16); KINDS],
    pub label: Label,
    /// Where the label begins.
    pub label_at: usize,
    /// Where the text after it begins.
    pub text_at: usize,
}

impl Fit {
    /// Nothing found yet.
    pub(super) fn blank(label: Label, label_at: usize, text_at: usize) -> Self {
        Self { values: [(0, 0); KINDS], label, label_at, text_at }
    }

    pub(super) fn set(&mut self, kind: Kind, range: Range<usize>) {
        let short = |at| u16::try_from(at).unwrap_or(u16::MAX);
        self.values[kind as usize] = (short(range.start), short(range.end));
    }

    /// Where that value is; `None` if the line has none or an empty one.
    pub(super) fn range(&self, kind: Kind) -> Option<Range<usize>> {
        let (from, until) = self.values[kind as usize];
        (from < until).then_some(usize::from(from)..usize::from(until))
    }

    /// The bytes of that value.
    pub(super) fn bytes<'l>(&self, kind: Kind, line: &'l [u8]) -> Option<&'l [u8]> {
        line.get(self.range(kind)?)
    }
}

impl LinePrefix {
    /// Compiles the text of the setting.
    ///
    /// # Errors
    /// An escape that no version of PostgreSQL has.
    pub fn compile(setting: &str) -> Result<Self, PrefixError> {
        let mut steps = Vec::new();
        let mut literal = Vec::new();
        let mut bytes = setting.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                literal.push(byte);
                continue;
            }
            let mut escape = bytes.next();
            let padded = matches!(escape, Some(b'-' | b'0'..=b'9'));
            while matches!(escape, Some(b'-' | b'0'..=b'9')) {
                escape = bytes.next();
            }
            let step = match escape {
                None => break,
                Some(b'%') => {
                    literal.push(b'%');
                    continue;
                }
                Some(b'q') => Step::SessionsOnly,
                Some(letter) => Step::Value { kind: kind_of(letter)?, padded },
            };
            if !literal.is_empty() {
                steps.push(Step::Literal(std::mem::take(&mut literal).into()));
            }
            steps.push(step);
        }
        if !literal.is_empty() {
            steps.push(Step::Literal(literal.into()));
        }
        Ok(Self { steps })
    }

    /// Whether it begins with the time.
    pub(super) fn begins_with_time(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Value { kind: Kind::Time, padded: false }))
    }

    /// Reads the beginning of `line`. `clock` is the length of the stamp at its start, if the
    /// caller knows that there is one.
    pub(super) fn fit(&self, line: &[u8], clock: Option<usize>) -> Option<Fit> {
        let line = &line[..line.len().min(HEAD_BYTES_MAX)];
        let fit = Fit::blank(Label::Level("log"), 0, 0);
        let mut search = Search { line, clock, left: STEPS_MAX, fit };
        search.run(&self.steps, 0).then_some(search.fit)
    }
}

fn kind_of(letter: u8) -> Result<Kind, PrefixError> {
    Ok(match letter {
        b'a' => Kind::Application,
        b'u' => Kind::User,
        b'd' => Kind::Database,
        b'r' => Kind::RemoteWithPort,
        b'h' => Kind::Remote,
        b'L' => Kind::Local,
        b'b' => Kind::BackendType,
        b'p' => Kind::Pid,
        b'P' => Kind::LeaderPid,
        b't' | b'm' => Kind::Time,
        b'n' => Kind::Epoch,
        b'i' => Kind::CommandTag,
        b'e' => Kind::SqlState,
        b'c' => Kind::Session,
        b'l' => Kind::Line,
        b's' => Kind::SessionStart,
        b'v' => Kind::Virtual,
        b'x' => Kind::Transaction,
        b'Q' => Kind::QueryId,
        other => return Err(PrefixError { escape: format!("%{}", char::from(other)) }),
    })
}

/// Bytes of a free text: names have at most 63 (`NAMEDATALEN`), host names 255.
fn free_bytes_max(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Application | Kind::User | Kind::Database | Kind::BackendType => Some(63),
        Kind::CommandTag => Some(63),
        Kind::RemoteWithPort | Kind::Remote | Kind::Local => Some(263),
        _ => None,
    }
}

struct Search<'l> {
    line: &'l [u8],
    clock: Option<usize>,
    left: u32,
    fit: Fit,
}

impl Search<'_> {
    fn run(&mut self, steps: &[Step], mut at: usize) -> bool {
        for (index, step) in steps.iter().enumerate() {
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            match step {
                Step::Literal(text) => {
                    if !self.line[at..].starts_with(text) {
                        return false;
                    }
                    at += text.len();
                }
                Step::SessionsOnly => {
                    if self.label(at) {
                        return true;
                    }
                }
                Step::Value { kind, padded } => {
                    if *padded {
                        at += spaces(&self.line[at..]);
                    }
                    if let Some(longest) = free_bytes_max(*kind) {
                        return self.free(*kind, (at, longest), *padded, &steps[index + 1..]);
                    }
                    let clock = self.clock.filter(|_| at == 0 && *kind == Kind::Time);
                    let Some(length) = clock.or_else(|| length_of(*kind, &self.line[at..])) else {
                        return false;
                    };
                    self.fit.set(*kind, at..at + length);
                    at += length;
                    if *padded {
                        at += spaces(&self.line[at..]);
                    }
                }
            }
        }
        self.label(at)
    }

    /// Tries every end of a free text at which what follows it may begin, the nearest first.
    fn free(
        &mut self,
        kind: Kind,
        (from, longest): (usize, usize),
        padded: bool,
        rest: &[Step],
    ) -> bool {
        let first = match rest.first() {
            Some(Step::Literal(text)) => Some(text[0]),
            _ => None,
        };
        let last = self.line.len().min(from + longest);
        // The next place that may be an end.
        let next = |line: &[u8], end: usize| match first {
            Some(byte) => {
                find_byte(line.get(end..line.len().min(last + 1))?, byte).map(|run| end + run)
            }
            None => (end <= last).then_some(end),
        };
        // An IPv6 address may hold what follows it, but the server writes a port after it; what a
        // process is called may have spaces.
        let is_whole: Option<fn(&[u8]) -> bool> = match kind {
            Kind::RemoteWithPort => Some(is_remote),
            Kind::BackendType => Some(is_backend_type),
            _ => None,
        };
        let passes = [is_whole, None];
        for is_whole in &passes[usize::from(is_whole.is_none())..] {
            let mut at = from;
            while let Some(end) = next(self.line, at) {
                at = end + 1;
                let value = &self.line[from..end];
                if is_whole.is_some_and(|is_whole| !is_whole(value)) {
                    continue;
                }
                self.fit.set(kind, from..end - trailing_spaces(value, padded));
                if self.run(rest, end) {
                    return true;
                }
            }
        }
        false
    }

    fn label(&mut self, at: usize) -> bool {
        let Some((label, length)) = Label::at(&self.line[at..]) else { return false };
        self.fit.label = label;
        (self.fit.label_at, self.fit.text_at) = (at, at + length);
        true
    }
}

/// Whether a text is what the server writes for `%r`.
fn is_remote(value: &[u8]) -> bool {
    value.is_empty() || value == b"[local]" || value.ends_with(b")")
}

fn spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b' ').count()
}

fn trailing_spaces(text: &[u8], padded: bool) -> usize {
    if padded { text.iter().rev().take_while(|byte| **byte == b' ').count() } else { 0 }
}

/// The length of a value whose end can be seen; values that may be missing have none.
fn length_of(kind: Kind, text: &[u8]) -> Option<usize> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match kind {
        Kind::Time | Kind::SessionStart => stamp::parse(text).map(|written| written.length),
        Kind::Epoch => stamp::epoch(text).map(|(_, length)| length),
        Kind::Pid | Kind::Line => Some(digits(text)).filter(|length| *length > 0),
        Kind::Transaction | Kind::LeaderPid => Some(digits(text)),
        Kind::QueryId => {
            let sign = usize::from(text.first() == Some(&b'-'));
            Some(sign + digits(&text[sign..]))
        }
        Kind::SqlState => sql_state(text).then_some(5),
        Kind::Session => session(text),
        Kind::Virtual => {
            let part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'/' | b'-');
            Some(text.iter().take_while(part).count())
        }
        _ => None,
    }
}

/// Whether `text` begins with five digits and capitals, and not with a longer word. Every code of
/// the server has a digit; the word `AUDIT`, with which pgAudit's messages begin, has none.
pub(super) fn sql_state(text: &[u8]) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    let length = text.iter().take_while(is_part).count();
    length == 5 && text[..length].iter().any(u8::is_ascii_digit)
}

/// `5ff25bb2.22`: when the session began and its process, in hexadecimal digits.
pub(super) fn session(text: &[u8]) -> Option<usize> {
    let hex = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let began = hex(text);
    if began == 0 || text.get(began) != Some(&b'.') {
        return None;
    }
    let process = hex(&text[began + 1..]);
    (process > 0).then_some(began + 1 + process)
}
