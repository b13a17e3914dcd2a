//! Values that stand for nothing: what a format, a library or a person writes where there is no
//! value. They are left out of every document and noted as `null_removed:<field>`.

use crate::field::Field;
use crate::fields;

/// The longest of the words.
const BYTES_MAX: usize = "undefined".len();

/// Whether a text is empty or one of the words for nothing. Words that may be a value are not
/// among them: `none` is a way to log in, `NA` a country, `unknown` a user, `0` a number.
#[inline]
pub(crate) fn is_nothing(text: &str) -> bool {
    // Its first byte tells a value mostly.
    match text.as_bytes().first() {
        None => true,
        Some(b'-' | b'N' | b'n' | b'(' | b'<' | b'#' | b'[' | b'u') => is_word_for_nothing(text),
        Some(_) => false,
    }
}

#[inline(never)]
fn is_word_for_nothing(text: &str) -> bool {
    matches!(
        text,
        "-" | "--"
            | "NULL"
            | "null"
            | "N/A"
            | "n/a"
            | "(null)"
            | "<null>"
            | "<nil>"
            | "#N/A"
            | "[unknown]"
            | "undefined"
    )
}

/// The same for a value as it stands in JSON: `null`, a text of the words, an object or list
/// without anything in it.
pub(crate) fn is_nothing_in_json(value: &[u8]) -> bool {
    match value {
        b"null" | b"{}" | b"[]" | b"\"N\\/A\"" | b"\"n\\/a\"" => true,
        [b'"', inside @ .., b'"'] => {
            inside.len() <= BYTES_MAX && std::str::from_utf8(inside).is_ok_and(is_nothing)
        }
        _ => false,
    }
}

/// Whether a field is left out if this is its text. In free text a dash may be all that was said,
/// and the original is what it is.
#[inline]
pub(crate) fn leaves_out(field: Field, text: &str) -> bool {
    is_nothing(text) && !is_said(field, text)
}

/// Whether what stands for nothing elsewhere is what was said.
fn is_said(field: Field, text: &str) -> bool {
    match field {
        fields::event::ORIGINAL => true,
        _ if text.is_empty() => false,
        _ => matches!(field.kind(), "match_only_text" | "text" | "wildcard"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing_are_none_that_may_be_values() {
        for nothing in ["", "-", "NULL", "(null)", "N/A", "[unknown]", "undefined", "<nil>"] {
            assert!(is_nothing(nothing), "{nothing}");
            assert!(is_nothing_in_json(format!("\"{nothing}\"").as_bytes()), "{nothing}");
        }
        for value in ["0", "none", "NA", "unknown", "false", "nullable", "Null Island", "---"] {
            assert!(!is_nothing(value), "{value}");
        }
        assert!(is_nothing_in_json(b"null") && is_nothing_in_json(b"\"N\\/A\""));
        assert!(!is_nothing_in_json(b"0") && !is_nothing_in_json(b"false"));
    }

    #[test]
    fn free_text_is_left_out_only_where_there_is_none() {
        assert!(leaves_out(fields::user::NAME, "-"));
        assert!(!leaves_out(fields::MESSAGE, "-"));
        assert!(leaves_out(fields::MESSAGE, ""));
        assert!(!leaves_out(fields::event::ORIGINAL, "NULL"));
    }
}
