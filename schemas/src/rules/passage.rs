//! Passages of a text, and what stands in their place.

use std::cmp::Reverse;
use std::ops::Range;

/// Where a passage is, and what stands there then.
pub(super) type Passage<'w> = (Range<usize>, &'w str);

/// The passages in order. Those that overlap are one, up to the end of all of them, in whose place
/// stands what stood for the first, and of those that begin together for the longest.
pub(super) fn joined(mut found: Vec<Passage<'_>>) -> Vec<Passage<'_>> {
    found.sort_by_key(|(range, _)| (range.start, Reverse(range.end)));
    found.dedup_by(|(next, _), (before, _)| {
        let is_one = next.start < before.end;
        before.end = if is_one { before.end.max(next.end) } else { before.end };
        is_one
    });
    found
}

/// The text with others in place of passages that follow each other; `None` if there are none.
pub(super) fn replaced(text: &str, found: &[Passage<'_>]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (range, instead) in found {
        out.push_str(&text[at..range.start]);
        out.push_str(instead);
        at = range.end;
    }
    Some(out + &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_one_to_the_end_of_both() {
        let found = joined(vec![(7..9, "d"), (2..6, "b"), (0..4, "a"), (0..2, "c")]);
        assert_eq!(found, [(0..6, "a"), (7..9, "d")]);
        assert_eq!(replaced("0123456789", &found).as_deref(), Some("a6d9"));
        assert_eq!(replaced("0123456789", &[]), None);
    }
}
