//! Values that are longer than Elasticsearch indexes. It would keep them, find them by no search
//! and tell nobody: a keyword is cut and the event says so. Free text has no such limit. What is
//! inside an object stays as its source has it, and the event says that it is not found.

use crate::rules::is_encrypted;
use crate::{Event, Transformation, Value, fields};

/// The longest keyword that is indexed, in UTF-16 units, as Elasticsearch counts. Lucene's limit is
/// 32,766 bytes, and a unit has up to three.
pub(crate) const KEYWORD_LENGTH_MAX: usize = 8191;

/// Whether a value may be too long: a unit is a byte at least.
pub(crate) fn is_long(value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) => text.len() > KEYWORD_LENGTH_MAX,
        Value::Raw(json) => json.len() > KEYWORD_LENGTH_MAX,
        Value::List(texts) => texts.iter().any(|text| text.len() > KEYWORD_LENGTH_MAX),
        _ => false,
    }
}

impl Event<'_> {
    /// Cuts keywords that are too long, and says of what else is.
    pub(crate) fn shorten(&mut self) {
        for field in self.fields_set() {
            // The record as it was is for reading, and a key's holder reads what is encrypted.
            let Some(value) = self.get(field).filter(|_| field != fields::event::ORIGINAL) else {
                continue;
            };
            match (field.kind(), value) {
                ("keyword", Value::Str(text)) => {
                    if let Some(text) = cut(text) {
                        self.set(field, text);
                        self.transformation_of(Transformation::Truncated, field.path());
                    }
                }
                ("keyword", Value::List(texts)) if is_long(&value) => {
                    let mut all = self.list();
                    all.extend(texts.iter().map(|text| cut(text).unwrap_or(text)));
                    if all.as_slice() != texts {
                        self.set(field, all.into_bump_slice());
                        self.transformation_of(Transformation::Truncated, field.path());
                    }
                }
                ("flattened", Value::Raw(json)) if has_long_text(json) => {
                    self.transformation_of(Transformation::Unindexed, field.path());
                }
                _ => {}
            }
        }
    }
}

/// The beginning of a text that is too long.
fn cut(text: &str) -> Option<&str> {
    if text.len() <= KEYWORD_LENGTH_MAX || is_encrypted(text) {
        return None;
    }
    let mut units = 0;
    let end = text.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > KEYWORD_LENGTH_MAX
    });
    end.map(|(end, _)| &text[..end])
}

/// Whether a text in JSON is too long; keys count as texts, and too long none is.
fn has_long_text(json: &[u8]) -> bool {
    let (mut at, mut inside, mut units) = (0, false, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => (inside, units) = (!inside, 0),
            b'\\' => {
                units += 1;
                at += if json.get(at + 1) == Some(&b'u') { 5 } else { 1 };
            }
            // Of the bytes of a character one counts, and one more of those that are two units.
            0x80..0xc0 => {}
            _ => units += 1 + usize::from(*byte >= 0xf0),
        }
        if inside && units > KEYWORD_LENGTH_MAX {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_where_the_store_counts_the_limit() {
        assert_eq!(cut(&"a".repeat(8191)), None);
        assert_eq!(cut(&"a".repeat(8192)).map(str::len), Some(8191));
        assert_eq!(cut(&"ñ".repeat(8191)), None);
        assert_eq!(cut(&"𝄞".repeat(5000)).map(str::len), Some(4095 * 4));
        assert_eq!(cut(&format!("enc:1:k:{}", "a".repeat(9000))), None);
    }

    #[test]
    fn texts_in_json_are_counted_without_their_escapes() {
        let of =
            |text: &str, times| format!("{{\"k\":[1,\"{}\"]}}", text.repeat(times)).into_bytes();
        assert!(!has_long_text(&of("\\u00e9", 8191)) && has_long_text(&of("\\u00e9", 8192)));
        assert!(!has_long_text(&of("\\n", 8191)) && has_long_text(&of("\\n", 8192)));
        assert!(!has_long_text(&of("𝄞", 4095)) && has_long_text(&of("𝄞", 4096)));
        assert!(!has_long_text(&of("a\",\"", 5000)));
    }
}
