//! The strings and numbers of a JSON text, one by one, without reading it into a tree.

use std::borrow::Cow;

/// Is given a string or number as it is written, and the key whose value it is, or in whose list;
/// gives what stands in its place.
pub(super) type ChangeToken<'c> = dyn FnMut(&str, Option<&str>) -> Option<String> + 'c;

/// A JSON text with others in place of the strings and numbers for which `change` gives one; `None`
/// if it gives none.
pub(super) fn each_token(json: &str, change: &mut ChangeToken<'_>) -> Option<String> {
    let (mut out, mut at, mut changed) = (String::with_capacity(json.len()), 0, false);
    let bytes = json.as_bytes();
    let mut key = None;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => string_end(bytes, at),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => {
                let plain = |byte: &u8| matches!(byte, b'"' | b'-' | b'0'..=b'9');
                let length = bytes[at..].iter().position(plain).unwrap_or(bytes.len() - at);
                // Its own keys follow, or those of what it is in.
                if bytes[at..at + length].iter().any(|byte| matches!(byte, b'{' | b'}' | b']')) {
                    key = None;
                }
                out.push_str(&json[at..at + length]);
                at += length;
                continue;
            }
        };
        let token = &json[at..end];
        let is_key = bytes[at] == b'"' && bytes[end..].trim_ascii_start().starts_with(b":");
        let instead = change(token, if is_key { None } else { key });
        if is_key {
            key = Some(token.trim_matches('"'));
        }
        changed |= instead.is_some();
        out.push_str(instead.as_deref().unwrap_or(token));
        at = end;
    }
    changed.then_some(out)
}

/// The text that a string of a JSON text stands for, or a number as it is written.
pub(super) fn token_text(token: &str) -> Option<Cow<'_, str>> {
    match token.strip_prefix('"') {
        None => Some(token.into()),
        Some(_) if token.contains('\\') => {
            serde_json::from_str::<String>(token).ok().map(Into::into)
        }
        Some(inside) => inside.strip_suffix('"').map(Into::into),
    }
}

/// A string of JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

/// One past the string that begins at `at`.
fn string_end(json: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = json.get(end) {
        match byte {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    json.len()
}

/// One past the number that begins at `at`.
fn number_end(json: &[u8], at: usize) -> usize {
    let part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    at + json[at..].iter().take_while(part).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_with_its_key() {
        let mut seen = Vec::new();
        let json = r#"{"a" : 1,"b":["x",[2],"y"],"c":{"d":"e"},"f":"\"g"}"#;
        let same = each_token(json, &mut |token, key| {
            seen.push(format!("{} {token}", key.unwrap_or("-")));
            None
        });
        let expected = [
            "- \"a\"",
            "a 1",
            "- \"b\"",
            "b \"x\"",
            "b 2",
            "- \"y\"",
            "- \"c\"",
            "- \"d\"",
            "d \"e\"",
            "- \"f\"",
            "f \"\\\"g\"",
        ];
        assert_eq!((same, seen), (None, expected.map(str::to_owned).to_vec()));
    }
}
