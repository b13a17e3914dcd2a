//! The spellings in which a value stands in a text: with JSON's escapes, with the percent signs of
//! URLs, a blank as `+`, with doubled quotation marks (CSV, SQL), and with one of them inside
//! another. A text is read without its escapes, so that it does not matter which of its characters
//! a writer found worth one.

use std::collections::HashSet;
use std::ops::Range;

use memchr::memmem::Finder;

use super::MASK;
use super::json_token::each_token;
use super::passage::{Passage, joined, replaced};
use super::privacy::WORD_BYTES_MIN;
use crate::url::hex;

/// How often escapes may be escaped again: a URL in a string of JSON.
const DEEP: usize = 2;
/// So many bytes are compared at most, which is a second; a text that needs more is hidden whole.
const BYTES_COMPARED_MAX: usize = 1 << 28;

/// A text without one kind of escapes.
pub(super) struct Plain {
    pub(super) text: String,
    /// Behind each escape: where that is here, and where it is in the text as written.
    behind: Vec<(usize, usize)>,
}

impl Plain {
    /// Without the escapes of JSON, and those of bytes (`\x22`) that servers write.
    pub(super) fn of_escapes(text: &str) -> Option<Self> {
        Self::of(text, (b'\\', b'\\'), escape)
    }

    /// Without the percent signs of a URL.
    pub(super) fn of_percent(text: &str) -> Option<Self> {
        Self::of(text, (b'%', b'%'), |rest, out| {
            let byte = rest.get(1..3).and_then(|digits| hex(digits[0], digits[1]));
            out.extend(byte);
            if byte.is_some() { 3 } else { 0 }
        })
    }

    /// With a blank for each plus sign.
    fn of_plus(text: &str) -> Option<Self> {
        Self::of(text, (b'+', b'+'), |_, out| {
            out.push(b' ');
            1
        })
    }

    /// With one quotation mark for two.
    fn of_doubled(text: &str) -> Option<Self> {
        Self::of(text, (b'"', b'\''), |rest, out| {
            let is_two = rest.get(1) == rest.first();
            out.extend(rest.first().filter(|_| is_two));
            if is_two { 2 } else { 0 }
        })
    }

    /// `read` gives what an escape stands for, and says how long it is: nothing, if it is none.
    fn of(
        text: &str,
        marks: (u8, u8),
        read: impl Fn(&[u8], &mut Vec<u8>) -> usize,
    ) -> Option<Self> {
        let bytes = text.as_bytes();
        memchr::memchr2(marks.0, marks.1, bytes)?;
        let (mut out, mut behind, mut at) = (Vec::with_capacity(text.len()), Vec::new(), 0);
        while let Some(length) = memchr::memchr2(marks.0, marks.1, &bytes[at..]) {
            out.extend_from_slice(&bytes[at..at + length]);
            at += length;
            let length = read(&bytes[at..], &mut out);
            if length == 0 {
                out.push(bytes[at]);
                at += 1;
            } else {
                at += length;
                behind.push((out.len(), at));
            }
        }
        out.extend_from_slice(&bytes[at..]);
        (!behind.is_empty()).then(|| Self { text: text_of(out), behind })
    }

    /// Where a passage stands in the text as written.
    pub(super) fn written(&self, range: &Range<usize>) -> Range<usize> {
        self.place(range.start)..self.place(range.end)
    }

    fn place(&self, at: usize) -> usize {
        let next = self.behind.partition_point(|(here, _)| *here <= at);
        let (here, there) = next.checked_sub(1).map_or((0, 0), |last| self.behind[last]);
        there + (at - here)
    }
}

/// What is no UTF-8 keeps its place, and is no letter.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::with_capacity(error.as_bytes().len());
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        text
    })
}

/// What a backslash and what follows it stand for.
fn escape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(next) = rest.get(1) else { return 0 };
    let byte = match next {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'u' => return escaped_character(rest, out),
        b'x' => match rest.get(2..4).and_then(|digits| hex(digits[0], digits[1])) {
            Some(byte) => {
                out.push(byte);
                return 4;
            }
            None => b'x',
        },
        // The character behind it is copied as any other.
        other if !other.is_ascii() => return 1,
        other => *other,
    };
    out.push(byte);
    2
}

/// `\u00e9`, or two of them for what lies beyond 16 bits.
fn escaped_character(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let (high, low) = (hex(digits[0], digits[1])?, hex(digits[2], digits[3])?);
        Some(u16::from_be_bytes([high, low]))
    };
    let Some(first) = unit(0) else {
        out.push(b'u');
        return 2;
    };
    let units = [first, unit(6).unwrap_or_default()];
    let (character, length) = match char::decode_utf16(units).next() {
        Some(Ok(character)) => (character, 6 * character.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

/// Values to hide wherever they stand as words of their own, each with what stands there then.
pub(super) struct Values<'v> {
    all: Vec<(&'v str, &'v str)>,
    has_blank: bool,
    has_quote: bool,
}

impl<'v> Values<'v> {
    /// Of several with the same text the first counts; too short ones are left out.
    pub(super) fn new(values: impl Iterator<Item = (&'v str, &'v str)>) -> Self {
        let mut known = HashSet::new();
        let is_new =
            |(value, _): &(&'v str, &str)| value.len() >= WORD_BYTES_MIN && known.insert(*value);
        let all: Vec<_> = values.filter(is_new).collect();
        let any = |has: fn(char) -> bool| all.iter().any(|(value, _)| value.contains(has));
        let (has_blank, has_quote) = (any(|c| c == ' '), any(|c| matches!(c, '"' | '\'')));
        Self { all, has_blank, has_quote }
    }

    /// The text without them; `None` if there are none in it.
    pub(super) fn hidden(&self, text: &str) -> Option<String> {
        if self.are_too_many(text) {
            return Some(MASK.to_owned());
        }
        replaced(text, &self.spelled(text, DEEP))
    }

    /// The same of a JSON text, each string of which is read without its escapes. It is empty if it
    /// would have to be hidden whole.
    pub(super) fn hidden_in_json(&self, json: &str) -> Option<String> {
        if self.are_too_many(json) {
            return Some(String::new());
        }
        each_token(json, &mut |token, _| {
            let Some(inside) = token.strip_prefix('"').and_then(|it| it.strip_suffix('"')) else {
                let (_, instead) = self.all.iter().find(|(value, _)| *value == token)?;
                return Some(format!("\"{instead}\""));
            };
            // What stands for a value has nothing in it that JSON would escape.
            let found = match Plain::of_escapes(inside) {
                Some(plain) => written(&plain, self.spelled(&plain.text, DEEP)),
                None => self.spelled(inside, DEEP),
            };
            replaced(inside, &found).map(|text| format!("\"{text}\""))
        })
    }

    /// To look for all of them would take too long.
    pub(super) fn are_too_many(&self, text: &str) -> bool {
        self.all.len().saturating_mul(text.len()) > BYTES_COMPARED_MAX
    }

    fn spelled(&self, text: &str, deep: usize) -> Vec<Passage<'v>> {
        let mut found = self.as_written(text);
        if deep > 0 {
            let doubled = || if self.has_quote { Plain::of_doubled(text) } else { None };
            let plus = || if self.has_blank { Plain::of_plus(text) } else { None };
            let plain = [Plain::of_percent(text), Plain::of_escapes(text), doubled(), plus()];
            for plain in plain.into_iter().flatten() {
                found.extend(written(&plain, self.spelled(&plain.text, deep - 1)));
            }
        }
        joined(found)
    }

    /// Where they stand so that no letter or digit touches them.
    fn as_written(&self, text: &str) -> Vec<Passage<'v>> {
        let mut found = Vec::new();
        for (value, instead) in self.all.iter().filter(|(value, _)| value.len() <= text.len()) {
            let finder = Finder::new(value);
            let (mut at, mut in_vain) = (0, 0);
            while let Some(length) = finder.find(&text.as_bytes()[at..]) {
                let range = at + length..at + length + value.len();
                if stands_alone(text, &range) || in_vain > BYTES_COMPARED_MAX {
                    at = range.end;
                    found.push((range, *instead));
                } else {
                    at = range.start + 1;
                    in_vain += value.len();
                }
            }
        }
        found
    }
}

fn written<'w>(plain: &Plain, mut found: Vec<Passage<'w>>) -> Vec<Passage<'w>> {
    found.iter_mut().for_each(|(range, _)| *range = plain.written(range));
    found
}

/// Neither a letter nor a digit touches the range.
pub(super) fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let after = text[range.end..].chars().next();
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str, values: &[(&str, &str)]) -> Option<String> {
        Values::new(values.iter().copied()).hidden(text)
    }

    #[test]
    fn a_value_is_found_however_a_text_spells_it() {
        let values = [("José \"O'Brien\" @x", "***")];
        for text in [
            r#"a José "O'Brien" @x b"#,
            r#"a José \"O'Brien\" @x b"#,
            r#"a Jos\u00e9 \u0022O\x27Brien\" \u0040x b"#,
            r"a Jos\xc3\xa9 \x22O\'Brien\x22 @x b",
            r#"a José ""O'Brien"" @x b"#,
            r#"a José "O''Brien" @x b"#,
            "a Jos%C3%A9%20%22O'Brien%22%20%40x b",
            "a Jos%c3%a9+%22O%27Brien%22+@x b",
            r"a Jos\u00e9%20%22O\'Brien%22%20@x b",
            "a Jos%25C3%25A9%2520%2522O'Brien%2522%20@x b",
        ] {
            assert_eq!(hidden(text, &values).as_deref(), Some("a *** b"), "{text}");
        }
        let smile = [("a \u{1f600} b", "***")];
        assert_eq!(hidden(r"x a \ud83d\ude00 b", &smile).as_deref(), Some("x ***"));
        assert_eq!(hidden(r"x a \ud83d b", &smile), None);
    }

    #[test]
    fn a_word_of_its_own_is_hidden_and_a_longer_value_before_a_shorter_one() {
        let values =
            [("ana", "A"), ("ana maria", "AM"), ("ana@x.es", "mail"), ("maria lopez", "M")];
        for (text, expected) in [
            ("ana, ana maria, ana@x.es", Some("A, AM, mail")),
            ("ana maria lopez paid", Some("AM paid")),
            ("banana, anas, xana-ana", Some("banana, anas, xana-A")),
            ("%20ana%20 \\nana", Some("%20A%20 \\nA")),
            ("an ab", None),
        ] {
            assert_eq!(hidden(text, &values).as_deref(), expected, "{text}");
        }
        assert_eq!(hidden("ab", &[("ab", "***")]), None, "it stands there by chance");
    }

    #[test]
    fn json_stays_json() {
        let values = [("nana", "***"), ("12345", "***"), ("a\"b", "***")];
        let values = Values::new(values.into_iter());
        let json =
            r#"{"nana":"x\nnana","n":12345,"m":-12345,"q":["a\"b","\u0061\"b"],"e":"\"nana\""}"#;
        let expected = r#"{"***":"x\nnana","n":"***","m":-12345,"q":["***","***"],"e":"\"***\""}"#;
        let expected = expected.replace(r"x\nnana", r"x\n***");
        assert_eq!(values.hidden_in_json(json), Some(expected));
        assert_eq!(values.hidden_in_json(r#"{"a":true}"#), None);
    }

    /// In a time that grows with the square of the length this takes minutes.
    #[test]
    fn long_texts_and_many_values_take_no_long_time() {
        let text = "a-".repeat(1 << 16);
        let value = "a-".repeat(1 << 14);
        assert!(hidden(&text, &[(&value, "***")]).is_some(), "it was looked for long enough");
        assert_eq!(hidden(&text.replace('-', "a"), &[("aaa", "***")]), None);
        let values: Vec<_> = (0..10_000).map(|n| format!("value {n}")).collect();
        let values: Vec<_> = values.iter().map(|value| (value.as_str(), "***")).collect();
        assert_eq!(hidden(&text, &values).as_deref(), Some("***"), "it is hidden whole");
    }
}
