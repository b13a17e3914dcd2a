//! Private data in free text, found by its form: addresses of e-mail, numbers of cards (Luhn), of
//! accounts (IBAN) and of Spanish identity cards (DNI, NIE), and secrets. What is found gives way to
//! a word in brackets that says what it was.
//!
//! Each form is looked for in a time that grows with the text's length alone, whatever is in it: a
//! line from outside must not stop the pipeline.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::json_token::{each_token, quoted, token_text};
use super::passage::{Passage, joined, replaced};
use super::secret::{is_named, secrets};
use super::spelling::{Plain, stands_alone};
use super::{MASK, is_encrypted};

/// Letters by the remainder of a DNI's number by 23.
const DNI_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
/// Digits of a card's number.
const CARD_DIGITS: Range<usize> = 13..20;
/// Characters of an IBAN.
const IBAN_CHARACTERS: Range<usize> = 15..35;
/// How long an IBAN of a country is (ISO 13616, the registry of SWIFT).
const IBAN_LENGTHS: [(usize, &str); 18] = [
    (15, "NO"),
    (16, "BE"),
    (18, "DKFIFKFOGLNLSD"),
    (19, "MKSI"),
    (20, "ATBAEEKZLTLUMNXK"),
    (21, "CHHRLILV"),
    (22, "BGBHCRDEGBGEIEMERSVA"),
    (23, "AEGIILIQOMSOTL"),
    (24, "ADCZESMDPKROSASESKTNVG"),
    (25, "LYPTST"),
    (26, "ISTR"),
    (27, "BIDJFRGRITMCMRSM"),
    (28, "ALAZBYCYDOGTHNHULBNIPLSV"),
    (29, "BREGPSQAUA"),
    (30, "JOKWMUYE"),
    (31, "MTSC"),
    (32, "LC"),
    (33, "RU"),
];

/// What stands in place of something private.
const WORDS: [&str; 6] = ["[email]", "[card]", "[iban]", "[dni]", "[token]", PASSWORD];
/// In place of secrets that have names.
pub(super) const PASSWORD: &str = "[password]";

/// Something private and where it stands.
pub(super) type Found = Passage<'static>;

/// The text without what is private in it; `None` if nothing is.
pub(super) fn redacted(text: &str) -> Option<String> {
    replaced(text, &all(text))
}

/// The same for a JSON text: strings are looked at each for itself, without their escapes, and a
/// number that is a card's becomes a string. So does what has a secret's name as its key, unless it
/// is one of those that stay.
pub(super) fn redacted_json(json: &str, stay: &[&str]) -> Option<String> {
    each_token(json, &mut |token, key| {
        let secret = secret_of_key(token, key);
        if secret.is_some_and(|secret| !stay.contains(&&*secret)) {
            return Some(quoted(PASSWORD));
        }
        redacted(&text_of_form(token)?).map(|text| quoted(&text))
    })
}

/// What is private in a string or number of a JSON text, each with what stands in its place.
pub(super) fn each_private(token: &str, key: Option<&str>, found: &mut dyn FnMut(&str, &str)) {
    if let Some(secret) = secret_of_key(token, key) {
        return found(&secret, PASSWORD);
    }
    if let Some(text) = text_of_form(token) {
        all(&text).into_iter().for_each(|(range, word)| found(&text[range], word));
    }
}

/// What has a secret's name as its key, unless it was hidden already.
pub(super) fn secret_of_key<'t>(token: &'t str, key: Option<&str>) -> Option<Cow<'t, str>> {
    key.filter(|key| is_named(key.as_bytes()))?;
    let text = token_text(token).filter(|text| !text.is_empty())?;
    (!is_hidden(&text, &(0..text.len()))).then_some(text)
}

/// A text, or a number of digits alone, as of a card.
fn text_of_form(token: &str) -> Option<Cow<'_, str>> {
    let is_one = token.starts_with('"') || token.bytes().all(|byte| byte.is_ascii_digit());
    if is_one { token_text(token) } else { None }
}

/// What is private, in order; what overlaps is one.
pub(super) fn all(text: &str) -> Vec<Found> {
    let mut found = forms(text);
    // As in a form or a URL.
    if let Some(plain) = Plain::of_percent(text) {
        let inside = forms(&plain.text).into_iter();
        found.extend(inside.map(|(range, word)| (plain.written(&range), word)));
    }
    joined(found)
}

fn forms(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    secrets(text, &mut found);
    emails(text, &mut found);
    numbers(text, &mut found);
    ibans(text, &mut found);
    found.retain(|(range, _)| !is_hidden(text, range));
    found
}

/// Something stands there in place of what was private already.
fn is_hidden(text: &str, range: &Range<usize>) -> bool {
    let is_end = |after: &str| !after.chars().next().is_some_and(char::is_alphanumeric);
    let is_all = |word: &str| {
        let after = text[range.start..].strip_prefix(word);
        after.is_some_and(|after| range.end <= range.start + word.len() && is_end(after))
    };
    WORDS.iter().chain(&[MASK]).any(|word| is_all(word)) || is_encrypted(&text[range.clone()])
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// What stands between the password of a URL and its host (`://user:…@host.example`) is none.
fn emails(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let secret_ends: HashSet<usize> = found.iter().map(|(range, _)| range.end).collect();
    let local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let domain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    for at in memchr::memchr_iter(b'@', bytes) {
        let before = bytes[..at].iter().rev().take_while(|byte| local(byte)).count();
        let after = bytes[at + 1..].iter().take_while(|byte| domain(byte)).count();
        let host = text[at + 1..at + 1 + after].trim_end_matches(['.', '-']);
        let last = host.rsplit_once('.').map_or("", |(_, last)| last);
        let is_name = last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
        if before > 0 && is_name && !secret_ends.contains(&at) {
            found.push((at - before..at + 1 + host.len(), "[email]"));
        }
    }
}

/// Numbers of cards, DNI and NIE.
fn numbers(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let length = digits(&bytes[at..]);
        let card = card(bytes, at);
        if let Some(range) = card.filter(|range| stands_alone(text, range)) {
            at = range.end;
            found.push((range, "[card]"));
            continue;
        }
        if let Some(range) = dni(bytes, at, length).filter(|range| stands_alone(text, range)) {
            found.push((range, "[dni]"));
        }
        at += length;
    }
}

/// Groups of digits with a space, dash or plus sign (a form's space) between them, as many as make a
/// number; `at` is the first digit. Other numbers may follow.
fn card(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    if !matches!(bytes[at], b'2'..=b'6') {
        return None;
    }
    let (mut end, mut number) = (at, Vec::with_capacity(CARD_DIGITS.end));
    let mut longest = None;
    while let Some(byte) = bytes.get(end).filter(|_| number.len() < CARD_DIGITS.end) {
        let next_is_digit = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'0'..=b'9' => number.push(byte - b'0'),
            b' ' | b'-' | b'+' if next_is_digit => {}
            _ => break,
        }
        end += 1;
        if byte.is_ascii_digit() && !next_is_digit && is_card(&number) {
            longest = Some(at..end);
        }
    }
    longest
}

fn is_card(number: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    CARD_DIGITS.contains(&number.len()) && is_issued(number) && sum.is_multiple_of(10)
}

/// The first digits are those of a scheme that has numbers of that length; a time stamp is none.
fn is_issued(number: &[u8]) -> bool {
    let first = number[..4].iter().fold(0, |first, digit| first * 10 + u32::from(*digit));
    match first {
        // Visa.
        4000..=4999 => matches!(number.len(), 13 | 16 | 19),
        // Mastercard.
        2221..=2720 | 5100..=5599 => number.len() == 16,
        // American Express, Diners Club.
        3400..=3499 | 3700..=3799 => number.len() == 15,
        3000..=3099 | 3600..=3699 | 3800..=3999 => number.len() == 14,
        // Mir, JCB, Maestro, Discover, UnionPay and others.
        2200..=2204 | 3500..=3599 | 5000..=5099 | 5600..=5899 | 6000..=6999 => number.len() >= 16,
        _ => false,
    }
}

/// `12345678Z`, `X1234567L`, perhaps with dots between thousands and dashes beside the letters.
fn dni(bytes: &[u8], at: usize, length: usize) -> Option<Range<usize>> {
    let (mut end, mut count) = (at + length, length);
    let is_next = |end: usize| bytes.get(end) == Some(&b'.') && digits(&bytes[end + 1..]) == 3;
    while count < 7 && is_next(end) {
        (end, count) = (end + 4, count + 3);
    }
    let before = |back: usize| at.checked_sub(back).map(|place| bytes[place].to_ascii_uppercase());
    let back = if before(1) == Some(b'-') { 2 } else { 1 };
    let (from, leading) = match (count, before(back)) {
        (8, _) => (at, 0),
        (7, Some(letter @ b'X'..=b'Z')) => (at - back, u32::from(letter - b'X')),
        _ => return None,
    };
    let all = bytes[at..end].iter().filter(|byte| byte.is_ascii_digit());
    let number = all.fold(leading, |n, byte| n * 10 + u32::from(byte - b'0'));
    let dash = usize::from(bytes.get(end) == Some(&b'-'));
    let letter = bytes.get(end + dash)?.to_ascii_uppercase();
    let right = DNI_LETTERS[usize::try_from(number % 23).ok()?] == letter;
    right.then_some(from..end + dash + 1)
}

fn ibans(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    for at in 0..bytes.len().saturating_sub(IBAN_CHARACTERS.start - 1) {
        let begins = bytes[at..at + 2].iter().all(u8::is_ascii_alphabetic)
            && bytes[at + 2..at + 4].iter().all(u8::is_ascii_digit);
        if begins {
            found.extend(iban(text, at).map(|range| (range, "[iban]")));
        }
    }
}

/// Two letters, two digits and more, in one or in groups of four; the remainder by 97 is 1. In small
/// letters or with dashes it has its country's length: hashes look so too.
fn iban(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let value = |byte: u8| u32::from(byte.to_ascii_uppercase() - b'A') + 10;
    let check = u32::from(bytes[at + 2] - b'0') * 10 + u32::from(bytes[at + 3] - b'0');
    let head = value(bytes[at]) * 10_000 + value(bytes[at + 1]) * 100 + check;
    let (mut end, mut count, mut rest, mut is_usual) = (at, 0, 0, true);
    let mut longest = None;
    while let Some(byte) = bytes.get(end).filter(|_| count < IBAN_CHARACTERS.end) {
        let is_group = count > 0 && count % 4 == 0;
        match byte {
            b' ' if is_group => {}
            b'-' if is_group => is_usual = false,
            byte if byte.is_ascii_alphanumeric() => count += 1,
            _ => break,
        }
        end += 1;
        if !byte.is_ascii_alphanumeric() {
            continue;
        }
        is_usual &= !byte.is_ascii_lowercase();
        if count > 4 {
            rest = match byte {
                b'0'..=b'9' => rest * 10 + u32::from(byte - b'0'),
                letter => rest * 100 + value(*letter),
            } % 97;
        }
        let is_right = (rest * 1_000_000 + head) % 97 == 1;
        if is_right
            && IBAN_CHARACTERS.contains(&count)
            && (is_usual || is_of_country(&text[at..at + 2], count))
            && stands_alone(text, &(at..end))
        {
            longest = Some(at..end);
        }
    }
    longest
}

fn is_of_country(code: &str, length: usize) -> bool {
    let of_length = IBAN_LENGTHS.iter().find(|(of, _)| *of == length);
    let codes = of_length.map_or("", |(_, codes)| codes).as_bytes();
    codes.chunks(2).any(|of| of.eq_ignore_ascii_case(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn private_data_gives_way_to_what_it_was() {
        for (text, expected) in [
            ("mail to ana.lopez+x@shop.example.", "mail to [email]."),
            ("card 4111 1111 1111 1111 paid", "card [card] paid"),
            ("card 4111111111111111", "card [card]"),
            ("card 4111111111111111 2026-11-21", "card [card] 2026-11-21"),
            ("iban ES91 2100 0418 4502 0005 1332 ok", "iban [iban] ok"),
            ("to DE89370400440532013000", "to [iban]"),
            ("dni 12345678Z, nie X1234567L", "dni [dni], nie [dni]"),
            ("Authorization: Bearer abc.DEF-123456", "Authorization: Bearer [token]"),
            ("t=eyJhbGciOi.eyJzdWIi.c2ln", "t=[token]"),
            ("mysql://app:hunter2@db/shop", "mysql://app:[password]@db/shop"),
            ("see https://app:hunter2@db.example/", "see https://app:[password]@db.example/"),
            ("https://ana@shop.example/ or a@b.example", "https://[email]/ or [email]"),
            ("login?user=a&password=hunter2&x=1", "login?user=a&password=[password]&x=1"),
            ("{\"password\": \"hun ter2\"}", "{\"password\": \"[password]\"}"),
            ("CREATE USER a IDENTIFIED BY 'hunter2'", "CREATE USER a IDENTIFIED BY '[password]'"),
            ("SET x = PASSWORD('hunter2')", "SET x = PASSWORD('[password]')"),
            (r#"{"password": "hun\"ter2", "x": 1}"#, r#"{"password": "[password]", "x": 1}"#),
            (
                r#"{\"password\": \"hunter2\", \"x\": 1}"#,
                r#"{\"password\": \"[password]\", \"x\": 1}"#,
            ),
            ("password='never closed, hunter2", "password='[password]"),
            (
                "CREATE ROLE bob LOGIN PASSWORD 'hunter2'",
                "CREATE ROLE bob LOGIN PASSWORD '[password]'",
            ),
            ("ALTER ROLE bob PASSWORD\n'hun''ter2';", "ALTER ROLE bob PASSWORD\n'[password]';"),
            ("SET PASSWORD FOR 'bob'@'%' = 'hunter2'", "SET PASSWORD FOR 'bob'@'%' = '[password]'"),
            (
                "ALTER USER b IDENTIFIED WITH caching_sha2_password BY 'hunter2'",
                "ALTER USER b IDENTIFIED WITH caching_sha2_password BY '[password]'",
            ),
            ("IDENTIFIED BY PASSWORD 'hunter2'", "IDENTIFIED BY PASSWORD '[password]'"),
            ("identified  by 'hunter2'", "identified  by '[password]'"),
            (
                "IDENTIFIED BY 'a' or PASSWORD 'b'",
                "IDENTIFIED BY '[password]' or PASSWORD '[password]'",
            ),
            ("a=1&password_confirmation=hunter2", "a=1&password_confirmation=[password]"),
            ("user[password]=hunter2&x", "user[password]=[password]&x"),
            ("user%5Bpassword%5D=hunter2&x", "user%5Bpassword%5D=[password]&x"),
            ("x?body=password%3Dhunter2%26x", "x?body=password%3D[password]%26x"),
            ("    [password] => hunter2\n", "    [password] => [password]\n"),
            ("<password>hunter2 x</password>", "<password>[password]</password>"),
            (
                "<ns:Password Type=\"a\">hunter2</ns:Password>",
                "<ns:Password Type=\"a\">[password]</ns:Password>",
            ),
            ("password:\thunter2\r\nx", "password:\t[password]\r\nx"),
            ("aws_secret_access_key=hunter2", "aws_secret_access_key=[password]"),
            ("token=hunter2 pass=b clave=c", "token=[password] pass=[password] clave=[password]"),
            ("password: [\"hunter2\"]", "password: [\"[password]\"]"),
            ("Authorization: Basic Ym9iOmh1bnRlcjI=", "Authorization: Basic [token]"),
            ("?mail=bob%40shop.example&x", "?mail=[email]&x"),
            ("card=4111+1111+1111+1111&x", "card=[card]&x"),
            ("dni 12.345.678-Z, nie X-1.234.567-L", "dni [dni], nie [dni]"),
            ("to es91-2100-0418-4502-0005-1332", "to [iban]"),
            ("to gb29nwbk60161331926819.", "to [iban]."),
            ("jwt eyJhbGciOi.eyJzdWIi.c2ln.", "jwt [token]."),
            ("pwd:card-4111 1111 1111 1111", "pwd:[password]"),
            ("secret=x-ES91 2100 0418 4502 0005 1332", "secret=[password]"),
            ("Mastercard 5555555555554444", "Mastercard [card]"),
            ("American Express 378282246310005", "American Express [card]"),
        ] {
            assert_eq!(redacted(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for text in [
            "order 4111111111111112",
            "at 1772616425123456",
            "12345678A",
            "a @ b.c",
            "user@localhost",
            "ES91 2100 0418 4502 0005 1333",
            "http://shop.example:8080/a@b",
            "the password was wrong",
            "Bearer of news",
            "at http://shop.example:8080\nand a@b",
            "backup 20261121090009.sql",
            "trace de89370400440532013000abcdef0123",
            "access denied for user 'a' (using password: YES)",
            "Basic authentication failed",
            "App\\Token::make",
            "passwd[77]: changed",
            "Unknown password\"x\"",
        ] {
            assert_eq!(redacted(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_hidden_is_not_hidden_again() {
        for text in ["password=[password]&x=1", "pwd: '***'", "secret=***", "{\"pwd\": \"***\"}"] {
            assert_eq!(redacted(text), None, "{text}");
        }
        assert!(redacted("password=[password]hunter2").is_some());
        assert!(redacted("password=***hunter2").is_some());
    }

    #[test]
    fn a_secret_of_an_object_is_found_by_its_key() {
        let json =
            r#"{"a":{"password":"hunter2","api_key":12},"tokens":["x"],"token":["k",["l"]]}"#;
        let expected = r#"{"a":{"password":"[password]","api_key":"[password]"},"tokens":["x"],"token":["[password]",["[password]"]]}"#;
        assert_eq!(redacted_json(json, &[]).as_deref(), Some(expected));
        assert_eq!(redacted_json(expected, &[]), None);
        assert_eq!(
            redacted_json(r#"{"pwd":"***","token":"enc:1:x","secret":"","pass":null}"#, &[]),
            None
        );
        assert_eq!(redacted_json(r#"{"pwd":"a hash"}"#, &["a hash"]), None);
    }

    /// In a time that grows with the square of the length each of these takes minutes.
    #[test]
    fn a_long_line_from_outside_takes_no_long_time() {
        for piece in [
            "pwd=",
            "pwd='",
            "pwd=\"'",
            "pwd ",
            "pwd:\\",
            "=",
            ": ",
            "eyJ",
            "eyJ.",
            "bearer ",
            "basic ",
            "://",
            "://a:",
            "a@",
            "a.",
            "AA11",
            "aa11-",
            "4111 ",
            "1.",
            "password ",
            "password '",
            "password \\'",
            "password for ",
            "password for =",
            "identified ",
            "identified by '",
            "identified with x by ",
            "<pwd",
            "<pwd>",
            "<pwd ",
            "%25",
            "%",
            "%27",
        ] {
            let text = piece.repeat((1 << 17) / piece.len());
            let _ = redacted(&text);
        }
    }

    #[test]
    fn json_stays_json() {
        let json = r#"{"a":"x@shop.example","n":4111111111111111,"b":[1,"Bearer abcdefgh\"i"]}"#;
        let expected = r#"{"a":"[email]","n":"[card]","b":[1,"Bearer [token]\"i"]}"#;
        assert_eq!(redacted_json(json, &[]).as_deref(), Some(expected));
        assert_eq!(redacted_json(r#"{"a":1}"#, &[]), None);
        for (json, expected) in [
            (r#"["password='hunter2"]"#, r#"["password='[password]"]"#),
            (r#"["to\nx@shop.example"]"#, r#"["to\n[email]"]"#),
            (r#"["\nES9121000418450200051332"]"#, r#"["\n[iban]"]"#),
            (r#"["password=\"hun\\\"ter2\""]"#, r#"["password=\"[password]\""]"#),
        ] {
            assert_eq!(redacted_json(json, &[]).as_deref(), Some(expected), "{json}");
        }
        for json in ["[-4111111111111111]", "[4111111111111111.5]", "[1e4111111111111111]"] {
            assert_eq!(redacted_json(json, &[]), None);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_through(
            text in "([a-zA-Z0-9@:=/'\"\\\\\n\t .é-]|password|Bearer |://|eyJ){0,60}",
            number in any::<f64>(),
        ) {
            let _ = redacted(&text);
            let numbers = serde_json::json!([4111111111111111u64, number]);
            let json = serde_json::json!({"k": text, "n": numbers}).to_string();
            if let Some(json) = redacted_json(&json, &[]) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
            }
        }
    }
}
