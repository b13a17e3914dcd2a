//! Searches in texts as long as a line. What the general ones prepare for long texts costs more
//! here than the search itself.

/// Where a part of a text begins in it; where the text ends if it is no part of it.
pub(crate) fn place(text: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(text.as_ptr().addr()).min(text.len())
}

/// Where `needle`, which is not empty, begins first.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let probe = probe_of(needle);
    let mut at = probe;
    loop {
        at += memchr::memchr(*needle.get(probe)?, text.get(at..)?)?;
        if text[at - probe..].starts_with(needle) {
            return Some(at - probe);
        }
        at += 1;
    }
}

/// Where it begins, each time; what begins inside of the one before does not count.
pub(crate) fn find_iter<'t>(text: &'t [u8], needle: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + find(text.get(from..)?, needle)?;
        from = at + needle.len();
        Some(at)
    })
}

/// Where it begins last.
pub(crate) fn rfind(text: &[u8], needle: &[u8]) -> Option<usize> {
    let probe = probe_of(needle);
    let mut end = text.len();
    loop {
        let at = memchr::memrchr(*needle.get(probe)?, &text[..end])?;
        if let Some(from) = at.checked_sub(probe).filter(|from| text[*from..].starts_with(needle)) {
            return Some(from);
        }
        end = at;
    }
}

/// Spaces and quotes are everywhere: what is looked for is the first byte that is neither.
fn probe_of(needle: &[u8]) -> usize {
    needle.iter().position(|byte| !matches!(byte, b' ' | b'"')).unwrap_or(0)
}

/// The same in text.
pub(crate) trait Find {
    /// What stands before the first `needle`, and what behind it.
    fn split_on(&self, needle: &str) -> Option<(&str, &str)>;

    /// The same of the last.
    fn rsplit_on(&self, needle: &str) -> Option<(&str, &str)>;

    /// Whether it occurs.
    fn has(&self, needle: &str) -> bool;

    /// What stands before the first of a byte of ASCII, and what behind it.
    fn split_on_byte(&self, byte: u8) -> Option<(&str, &str)>;
}

impl Find for str {
    fn split_on(&self, needle: &str) -> Option<(&str, &str)> {
        let at = find(self.as_bytes(), needle.as_bytes())?;
        Some((&self[..at], &self[at + needle.len()..]))
    }

    fn rsplit_on(&self, needle: &str) -> Option<(&str, &str)> {
        let at = rfind(self.as_bytes(), needle.as_bytes())?;
        Some((&self[..at], &self[at + needle.len()..]))
    }

    fn has(&self, needle: &str) -> bool {
        find(self.as_bytes(), needle.as_bytes()).is_some()
    }

    fn split_on_byte(&self, byte: u8) -> Option<(&str, &str)> {
        let at = find_byte(self.as_bytes(), byte)?;
        self.get(..at).zip(self.get(at + 1..))
    }
}

/// The words between white space of ASCII.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_space = |byte: u8| byte <= b' ' && byte.is_ascii_whitespace();
    let mut rest = text.trim_ascii_start();
    std::iter::from_fn(move || {
        let end = rest.bytes().position(is_space).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind.trim_ascii_start();
        (!word.is_empty()).then_some(word)
    })
}

/// Mostly near: one of the words and numbers of a line.
const NEAR_BYTES: usize = 16;

/// Where a byte is first.
pub(crate) fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    let (near, far) = text.split_at(text.len().min(NEAR_BYTES));
    match near.iter().position(|one| *one == byte) {
        None if far.is_empty() => None,
        None => memchr::memchr(byte, far).map(|at| NEAR_BYTES + at),
        found => found,
    }
}

/// Without white space around it, of which a text seldom has any.
pub(crate) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim(),
    }
}

/// Without white space before it. A text seldom begins with any.
pub(crate) fn trim_start(text: &str) -> &str {
    match text.as_bytes().first() {
        Some(b'!'..=b'~') => text,
        _ => text.trim_start(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn searches_find_what_the_general_ones_find(
            text in "[ab \":é\u{1}]{0,40}", needle in "[ab \":é]{1,4}",
        ) {
            prop_assert_eq!(text.split_on(&needle), text.split_once(needle.as_str()));
            prop_assert_eq!(text.rsplit_on(&needle), text.rsplit_once(needle.as_str()));
            prop_assert_eq!(text.has(&needle), text.contains(needle.as_str()));
            prop_assert_eq!(text.split_on_byte(b':'), text.split_once(':'));
            let all = find_iter(text.as_bytes(), needle.as_bytes());
            prop_assert!(all.eq(text.match_indices(needle.as_str()).map(|(at, _)| at)));
            prop_assert_eq!(trim_start(&text), text.trim_start());
            prop_assert_eq!(trim(&text), text.trim());
            let spaced = text.replace('b', "\t").replace('"', "\u{b}");
            prop_assert!(words(&spaced).eq(spaced.split_ascii_whitespace()));
        }
    }
}
