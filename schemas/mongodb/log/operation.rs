//! An operation in the text log: `<type> <namespace> key: { … } key:value … 123ms`. Documents are
//! in the shell's notation and only passed over; the whole is in `message`.

use super::attributes::{NS_PER_MS, set_error, set_plain, set_time};
use super::parser::set_namespace;
use crate::find::Find;
use crate::{Event, fields};

/// The kinds of operations that are logged when they were slow.
const TYPES: [&str; 8] =
    ["command", "query", "getmore", "insert", "update", "remove", "killcursors", "none"];
/// Keys that follow the documents, for a line whose documents were cut short or hold a regular
/// expression with a bracket of its own.
const AFTER_DOCUMENTS: [&str; 4] =
    [" planSummary: ", " keysExamined:", " ntoreturn:", " numYields:"];
/// What a plan is summed up in is short, whatever keys its indexes have.
const STAGES_MAX: usize = 64;

/// Sets what the text of an operation says. Says whether it was one.
pub(super) fn set<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some((kind, rest)) = text.split_on_byte(b' ').filter(|(kind, _)| TYPES.contains(kind))
    else {
        return false;
    };
    let (namespace, rest) = rest.split_on_byte(b' ').unwrap_or((rest, ""));
    if !namespace.contains('.') || !set_duration(text, event) {
        return false;
    }
    event.set(fields::mongodb::log::operation::TYPE, kind);
    set_namespace(namespace, event);
    set_words(rest, event);
    true
}

/// Sets the duration that a line ends with: `123ms`. Says whether it does.
pub(super) fn set_duration(text: &str, event: &mut Event<'_>) -> bool {
    let number = text.rsplit(' ').next().and_then(|word| word.strip_suffix("ms"));
    let Some(number) = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return false;
    };
    set_time(fields::event::DURATION, number, NS_PER_MS, event);
    !number.is_empty()
}

/// Sets the values of `key:value` words.
pub(super) fn set_words<'a>(text: &'a str, event: &mut Event<'a>) {
    let mut words = Words { text, at: 0 };
    let mut skipped = false;
    loop {
        match words.next() {
            Word::Pair(key, value) => set_word(key, value, event),
            Word::Other => {}
            Word::End => return,
            Word::Open if skipped => return,
            Word::Open => {
                let rest = &text[words.at..];
                let last = |key: &&str| rest.rfind(*key);
                let Some(at) = AFTER_DOCUMENTS.iter().find_map(last) else { return };
                words.at += at;
                skipped = true;
            }
        }
    }
}

fn set_word<'a>(key: &'a str, value: &'a str, event: &mut Event<'a>) {
    match key {
        "command" => {
            let inside = value.strip_prefix('{').map(str::trim_start);
            let name = match inside {
                Some(inside) => inside.split([':', ' ']).next().unwrap_or_default(),
                None => value,
            };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !matches!(name, "" | "q") && name.bytes().all(plain) {
                event.set(fields::mongodb::log::operation::COMMAND, name);
            }
        }
        "errMsg" | "exception" => {
            set_error(value, event);
            event.set(fields::event::OUTCOME, "failure");
        }
        "errName" => event.set(fields::error::TYPE, value),
        "errCode" | "code" => event.set(fields::error::CODE, value),
        "ok" if value == "0" => event.set(fields::event::OUTCOME, "failure"),
        _ => {
            set_plain(key, value, event);
        }
    }
}

enum Word<'a> {
    Pair(&'a str, &'a str),
    /// A document or word without a key.
    Other,
    /// A document that does not end.
    Open,
    End,
}

struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Word<'a> {
        let bytes = self.text.as_bytes();
        self.spaces();
        let from = self.at;
        let Some(&first) = bytes.get(from) else { return Word::End };
        if matches!(first, b'{' | b'[') {
            return self.document().map_or(Word::Open, |_| Word::Other);
        }
        if first == b'"' {
            return self.string().map_or(Word::Open, |_| Word::Other);
        }
        let ends = |byte: &u8| matches!(byte, b':' | b' ');
        let length = bytes[from..].iter().position(ends).unwrap_or(bytes.len() - from);
        self.at = from + length;
        let key = &self.text[from..self.at];
        if bytes.get(self.at) != Some(&b':') {
            return Word::Other;
        }
        self.at += 1;
        let value = match key {
            "planSummary" => self.plan(),
            "exception" => self.exception(),
            _ => self.value(),
        };
        value.map_or(Word::Open, |value| Word::Pair(key, value))
    }

    fn spaces(&mut self) {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b',' | b'\t')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<&'a str> {
        self.spaces();
        match self.text.as_bytes().get(self.at) {
            Some(b'{' | b'[') => self.document(),
            Some(b'"') => self.string(),
            _ => Some(self.word()),
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// `IXSCAN { a: 1 }, COLLSCAN`
    fn plan(&mut self) -> Option<&'a str> {
        self.spaces();
        let from = self.at;
        for _ in 0..STAGES_MAX {
            let stage = self.word();
            let rest = &self.text[self.at..];
            if rest.starts_with(" {") {
                self.at += 1;
                self.document()?;
                if !self.text[self.at..].starts_with(", ") {
                    break;
                }
                self.at += 2;
            } else if stage.ends_with(',') {
                self.at += usize::from(!rest.is_empty());
            } else {
                break;
            }
        }
        Some(self.text[from..self.at].trim_end_matches([' ', ',']))
    }

    /// A text up to its code: `E11000 duplicate key error … code:11000`.
    fn exception(&mut self) -> Option<&'a str> {
        self.spaces();
        let rest = &self.text[self.at..];
        let length = rest.find(" code:").unwrap_or(rest.len());
        self.at += length;
        Some(&rest[..length])
    }

    /// The inside of a string.
    fn string(&mut self) -> Option<&'a str> {
        let from = self.at + 1;
        let mut at = from;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.text.as_bytes().get(at..)?)?;
            if self.text.as_bytes()[at] == b'"' {
                break;
            }
            at += 2;
        }
        self.at = at + 1;
        Some(&self.text[from..at])
    }

    fn document(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let (from, mut at, mut depth) = (self.at, self.at, 0usize);
        loop {
            match bytes.get(at)? {
                b'"' => {
                    let mut inner = Words { text: self.text, at };
                    inner.string()?;
                    at = inner.at;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                self.at = at;
                return Some(&self.text[from..at]);
            }
        }
    }
}
