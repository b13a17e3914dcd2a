//! Secrets, which are told by what stands before them: names in settings, forms and objects, a login
//! in a URL, the words of SQL, the schemes of HTTP. A text is gone through once: what was found is
//! not looked at again, and what stands before or behind a mark only so far.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;

use super::detect::{Found, PASSWORD};
use crate::url::hex;

/// Names of secrets, of which a longer name may be made, in letters and digits alone: `contraseña`
/// is without what is none.
const NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "clave",
    "contrasena",
    "contrasea",
];
/// What may stand behind such a name.
const ENDINGS: [&str; 11] = [
    "confirmation",
    "confirm",
    "again",
    "repeat",
    "hash",
    "digest",
    "base",
    "key",
    "old",
    "new",
    "current",
];
/// Words that end as a name does.
const NO_NAMES: [&str; 4] = ["bypass", "compass", "enclave", "autoclave"];
/// What is written instead of a secret: MySQL says `using password: YES`.
const NO_SECRETS: [&str; 7] = ["yes", "no", "true", "false", "null", "none", "nil"];
/// A longer name ends with so many bytes, and no more of blanks are before or behind a mark.
const NAME_BYTES_MAX: usize = 64;
/// White space, and what may stand before a mark that is escaped itself.
const BLANKS: &[u8] = b" \t\r\n";
const MARKS: &[u8] = b" \t\r\n\\";
/// Of the name of an account in `SET PASSWORD FOR …`, and of the attributes of a tag.
const ACCOUNT_BYTES_MAX: usize = 256;
/// A bearer's token is longer.
const TOKEN_BYTES_MIN: usize = 8;

const TOKEN: &str = "[token]";

/// All of a text's secrets, in no order.
pub(super) fn secrets(text: &str, found: &mut Vec<Found>) {
    schemes(text, found);
    tokens(text, found);
    logins(text, found);
    assigned(text, found);
    statements(text, found);
    elements(text, found);
}

/// Whether a name says that its value is a secret: `DB_PASSWORD`, `apiKey`, `user[password]`,
/// `password_confirmation`.
pub(super) fn is_named(name: &[u8]) -> bool {
    let mut bytes = [0; NAME_BYTES_MAX];
    let mut length = 0;
    let mut rest = &name[name.len().saturating_sub(NAME_BYTES_MAX)..];
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if let (b'%', [high, low, behind @ ..]) = (byte, behind)
            && hex(*high, *low).is_some()
        {
            rest = behind;
        } else if byte.is_ascii_alphanumeric() {
            bytes[length] = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    let Ok(mut name) = std::str::from_utf8(&bytes[..length]) else { return false };
    // `secret_access_key`, `password_hash_old`
    for _ in 0..3 {
        name = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if NAMES.iter().any(|of| name.ends_with(of)) {
            return !NO_NAMES.iter().any(|of| name.ends_with(of));
        }
        let Some(shorter) = ENDINGS.iter().find_map(|end| name.strip_suffix(end)) else { break };
        name = shorter;
    }
    false
}

/// `Bearer …`, and `Basic …` with what holds a colon in base64.
fn schemes(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr2_iter(b'B', b'b', bytes) {
        let is = |word: &[u8]| {
            bytes.get(at..at + word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word))
        };
        if is(b"bearer ") {
            let from = at + b"bearer ".len();
            let length = run(&bytes[from..], b"-._~+/=");
            if length >= TOKEN_BYTES_MIN {
                found.push((from..from + length, TOKEN));
            }
        } else if is(b"basic ") {
            let from = at + b"basic ".len();
            let length = run(&bytes[from..], b"+/=");
            let login = STANDARD_NO_PAD.decode(text[from..from + length].trim_end_matches('='));
            if login.is_ok_and(|login| login.contains(&b':')) {
                found.push((from..from + length, TOKEN));
            }
        }
    }
}

/// Letters, digits and those others.
fn run(bytes: &[u8], others: &[u8]) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || others.contains(byte);
    bytes.iter().take_while(is_part).count()
}

/// Three parts with dots between them that begin as JSON does in base64 (JWT).
fn tokens(text: &str, found: &mut Vec<Found>) {
    let mut end = 0;
    for at in memmem::find_iter(text.as_bytes(), "eyJ") {
        // Behind the first there are fewer dots.
        if at < end {
            continue;
        }
        end = at + run(&text.as_bytes()[at..], b"-._~+/=");
        let token = &text[at..end];
        if token.matches('.').count() >= 2 {
            found.push((at..at + token.trim_end_matches('.').len(), TOKEN));
        }
    }
}

/// `://user:…@`
fn logins(text: &str, found: &mut Vec<Found>) {
    for (at, mark) in text.match_indices("://") {
        let from = at + mark.len();
        let rest = &text[from..];
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'');
        let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if let Some((login, _)) = authority.rsplit_once('@')
            && let Some((user, password)) = login.split_once(':')
            && !password.is_empty()
        {
            let begin = from + user.len() + 1;
            found.push((begin..begin + password.len(), PASSWORD));
        }
    }
}

/// `password=…`, `"secret": "…"`, `[token] => …`
fn assigned(text: &str, found: &mut Vec<Found>) {
    let mut end = 0;
    for at in memchr::memchr2_iter(b'=', b':', text.as_bytes()) {
        let name = name_before(text.as_bytes(), at);
        // A program with its process's number is called `passwd[77]:`.
        let is_process = text[at..].starts_with(':') && matches!(name, [.., b'0'..=b'9', b']']);
        if is_process || !is_named(name) {
            continue;
        }
        let Some(from) = value_behind(text, at + 1).filter(|from| *from >= end) else { continue };
        let range = match text.as_bytes().get(from) {
            Some(b'"' | b'\'') => quoted(text, from),
            _ => unquoted(text, from),
        };
        if let Some(range) = range {
            end = range.end;
            found.push((range, PASSWORD));
        }
    }
}

/// The name before a mark, perhaps in quotation marks.
fn name_before(text: &[u8], mark: usize) -> &[u8] {
    let near = &text[mark.saturating_sub(NAME_BYTES_MAX)..mark];
    let is_between = |byte: &u8| b"\"'`\\ \t".contains(byte);
    let end = mark - near.iter().rev().take_while(|byte| is_between(byte)).count();
    let near = &text[end.saturating_sub(NAME_BYTES_MAX)..end];
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_-.[]%$".contains(byte);
    let length = near.iter().rev().take_while(|byte| is_part(byte)).count();
    &near[near.len() - length..]
}

/// Where the value behind a mark begins: `=>`, `==` and `:=` are one mark, `::` is none.
fn value_behind(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let at = match bytes.get(at)? {
        b'=' | b'>' => at + 1,
        b':' => return None,
        _ => at,
    };
    let from = behind_blanks(bytes, at, b" \t>\\");
    // A list's first.
    let inside = behind_blanks(bytes, from + 1, b" \\");
    let is_list = bytes.get(from) == Some(&b'[') && matches!(bytes.get(inside), Some(b'"' | b'\''));
    Some(if is_list { inside } else { from })
}

fn behind_blanks(bytes: &[u8], at: usize, blanks: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default().iter().take(NAME_BYTES_MAX);
    at + rest.take_while(|byte| blanks.contains(byte)).count()
}

/// Up to what ends a word.
fn unquoted(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let ends = |c: char| c.is_whitespace() || ",;&\"')}]\\".contains(c);
    let value = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let is_said = NO_SECRETS.iter().any(|word| value.eq_ignore_ascii_case(word));
    (!value.is_empty() && !is_said).then_some(from..from + value.len())
}

/// The inside of the quotation marks at `at`; to the end, if they are not closed. Escaped and doubled
/// marks inside belong to it, unless the first is escaped itself.
fn quoted(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mark = bytes.get(at).copied().filter(|mark| matches!(mark, b'"' | b'\''))?;
    let is_escaped = text[..at].ends_with('\\');
    let from = at + 1;
    let mut end = from;
    while let Some(byte) = bytes.get(end) {
        end += match *byte {
            b'\\' if is_escaped => break,
            b'\\' => 2,
            byte if byte != mark => 1,
            _ if end > from && bytes.get(end + 1) == Some(&mark) => 2,
            _ => break,
        };
    }
    let end = text.floor_char_boundary(end.min(text.len()));
    (end > from).then_some(from..end)
}

/// `PASSWORD '…'`, `PASSWORD('…')`, `SET PASSWORD FOR account = '…'`, `IDENTIFIED BY '…'`,
/// `IDENTIFIED WITH plugin BY '…'`
fn statements(text: &str, found: &mut Vec<Found>) {
    let lower = text.to_ascii_lowercase();
    for (word, value) in [("password", of_password as Behind), ("identified", of_identified)] {
        let mut end = 0;
        for at in memmem::find_iter(lower.as_bytes(), word) {
            let mark = value(lower.as_bytes(), at + word.len()).filter(|mark| *mark >= end);
            if let Some(range) = mark.and_then(|mark| quoted(text, mark)) {
                end = range.end;
                found.push((range, PASSWORD));
            }
        }
    }
}

/// Where the quotation mark may be that belongs to a word, which ends there.
type Behind = fn(&[u8], usize) -> Option<usize>;

fn of_password(text: &[u8], at: usize) -> Option<usize> {
    let from = behind_blanks(text, at, BLANKS);
    let rest = &text[from..];
    if rest.starts_with(b"(") {
        return Some(behind_blanks(text, from + 1, MARKS));
    }
    // A mark that touches the word closes it.
    if from == at {
        return None;
    }
    if rest.starts_with(b"for ") {
        let mark = memchr::memchr(b'=', &rest[..rest.len().min(ACCOUNT_BYTES_MAX)])?;
        return Some(behind_blanks(text, from + mark + 1, MARKS));
    }
    Some(behind_blanks(text, from, MARKS))
}

fn of_identified(text: &[u8], at: usize) -> Option<usize> {
    let mut from = behind_blanks(text, at, BLANKS);
    if text[from..].starts_with(b"with") || text[from..].starts_with(b"via") {
        // That word, and the plugin's name.
        for _ in 0..2 {
            let word = text[from..].iter().take(NAME_BYTES_MAX);
            from += word.take_while(|byte| !byte.is_ascii_whitespace()).count();
            from = behind_blanks(text, from, BLANKS);
        }
    }
    let is_word = |word: &[u8]| text[from..].starts_with(word);
    (is_word(b"by") || is_word(b"as")).then(|| behind_blanks(text, from + 2, MARKS))
}

/// `<password>…</password>`
fn elements(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'<', bytes) {
        let near = &bytes[at + 1..bytes.len().min(at + 1 + NAME_BYTES_MAX)];
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte);
        let length = near.iter().take_while(is_part).count();
        if !is_named(&near[..length]) {
            continue;
        }
        let behind = &bytes[at + 1 + length..];
        let near = &behind[..behind.len().min(ACCOUNT_BYTES_MAX)];
        let Some(tag) = memchr::memchr2(b'>', b'<', near).filter(|end| near[*end] == b'>') else {
            continue;
        };
        let from = at + 1 + length + tag + 1;
        let rest = &bytes[from..];
        let end = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        if end > 0 {
            found.push((from..from + end, PASSWORD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_the_end_of_a_name_however_it_is_written() {
        for name in [
            "password",
            "DB_PASSWORD",
            "userPassword",
            "user[password]",
            "user%5Bpassword%5D",
            "password_confirmation",
            "new-password2",
            "password[0]",
            "aws_secret_access_key",
            "secret_key_base",
            "X-Api-Key",
            "apiKey",
            "access_token",
            "contraseña",
            "contrase%C3%B1a",
            "Clave",
            "db_pass",
            "spring.datasource.password",
            "100%password",
        ] {
            assert!(is_named(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "passwordless",
            "password_expires_at",
            "token_type",
            "tokens",
            "bypass",
            "enclave",
            "key",
            "monkey",
            "aws_access_key_id",
            "secretary",
            "%",
            "123",
        ] {
            assert!(!is_named(name.as_bytes()), "{name}");
        }
    }
}
