//! A record goes on until the next header, since Laravel lets real line ends through. A header
//! that stands inside a string of the context is part of the record: visitors can write one.

use memchr::{memchr, memchr_iter, memrchr};
use tahoe_seams::{Beginning, Cut, Framer};

use super::console::Console;
use super::header::Header;
use crate::scan::{Flaw, Scan};
use crate::{LineFramer, lines};

/// Bytes of context that are read to tell whether a header is inside of it.
const LOOK_AHEAD_BYTES: usize = 64 << 10;
/// Bytes read per cut for that purpose; then headers count without a question.
const BUDGET_BYTES: usize = 4 * LOOK_AHEAD_BYTES;

pub(super) struct HeaderFramer;

impl Framer for HeaderFramer {
    fn cut(&self, bytes: &[u8], scanned: usize, ended: bool) -> Cut {
        let (line, next) = match LineFramer.cut(bytes, 0, ended) {
            Cut::Record { text, end, .. } => (&bytes[..text], end),
            cut => return cut,
        };
        if is_object(line) {
            return Cut::Record { text: line.len(), end: next, head: Beginning::Own };
        }
        let header = Header::parse(line);
        let console = if header.is_some() { None } else { Console::parse(line) };
        let stamp = match (&header, &console) {
            (Some(header), _) => Some(&line[1..header.stamp_end]),
            (None, Some(console)) => Some(console.stamp()),
            (None, None) => None,
        };
        let head = lines::head(line, stamp);
        if let Some(Console::Job(..)) = console {
            return Cut::Record { text: line.len(), end: next, head };
        }
        match next_record(bytes, next, scanned, (head.is_missing(), ended)) {
            Next::At(end) => Cut::Record { text: lines::trimmed(&bytes[..end]), end, head },
            Next::Perhaps(end) => Cut::Open { text: lines::trimmed(&bytes[..end]), end, head },
            Next::Unseen if ended => {
                Cut::Record { text: lines::trimmed(bytes), end: bytes.len(), head }
            }
            Next::Unseen => {
                let end = memrchr(b'\n', bytes).map_or(next, |at| at + 1);
                Cut::Open { text: lines::trimmed(&bytes[..end]), end, head }
            }
        }
    }
}

/// A line that is one JSON object, as far as its ends tell.
fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{\"") && line.trim_ascii_end().ends_with(b"}")
}

/// Such a line after a header's: only one that begins as the formatters' do, because a message may
/// hold JSON too.
fn is_formatters_object(line: &[u8]) -> bool {
    let begins = |start: &[u8]| line.starts_with(start);
    is_object(line) && (begins(b"{\"message\":") || begins(b"{\"@timestamp\":"))
}

enum Next {
    /// The next record begins here.
    At(usize),
    /// It does, unless what follows closes the context around it.
    Perhaps(usize),
    Unseen,
}

fn next_record(bytes: &[u8], first: usize, scanned: usize, (orphan, ended): (bool, bool)) -> Next {
    // A header that an earlier call left open is at most that far from its end.
    let mut from = scanned.saturating_sub(LOOK_AHEAD_BYTES + 1).max(first - 1);
    from = memrchr(b'\n', &bytes[..=from.min(bytes.len() - 1)]).unwrap_or(first - 1);
    let mut budget = BUDGET_BYTES;
    for at in memchr_iter(b'\n', &bytes[from..]) {
        let next = from + at + 1;
        // Lines inside a string that was seen to close are passed by.
        let is_job = bytes[next..].starts_with(b"  2");
        if next < from || !(is_job || matches!(bytes.get(next), Some(b'[' | b'{'))) {
            continue;
        }
        let rest = &bytes[next..];
        let begins = match Header::parse(rest) {
            // What follows its colon tells, and may not be there yet.
            Some(header) => ended || header.level.1 + 1 < rest.len(),
            None => match memchr(b'\n', rest) {
                Some(end) if Console::parse(rest[..end].trim_ascii_end()).is_some() => true,
                None if ended && Console::parse(rest).is_some() => true,
                _ if rest[0] == b'[' => false,
                Some(end) if orphan => is_object(&rest[..end]),
                Some(end) => is_formatters_object(&rest[..end]),
                None => ended && is_formatters_object(rest),
            },
        };
        if !begins {
            continue;
        }
        match inside_context(bytes, next, ended, &mut budget) {
            Inside::No => return Next::At(next),
            Inside::Perhaps => return Next::Perhaps(next),
            Inside::Yes => {}
        }
    }
    Next::Unseen
}

enum Inside {
    No,
    Perhaps,
    Yes,
}

/// Whether the byte at `place` is inside an object that begins after a space and closes at the
/// end of a line, perhaps before the extra.
fn inside_context(bytes: &[u8], place: usize, ended: bool, budget: &mut usize) -> Inside {
    match is_between_strings(bytes, place) {
        true => Inside::No,
        false => read_context(bytes, place, ended, budget),
    }
}

/// The same by reading whatever may be such an object.
fn read_context(bytes: &[u8], place: usize, ended: bool, budget: &mut usize) -> Inside {
    let mut at = 0;
    while let Some(found) = memchr(b'{', &bytes[at..place]) {
        let from = at + found;
        at = from + 1;
        if !may_open(&bytes[..place], from) {
            continue;
        }
        let until = bytes.len().min(from + LOOK_AHEAD_BYTES.min(*budget));
        let mut scan = Scan::without_entries(&bytes[from..until]);
        let done = scan.run();
        *budget = budget.saturating_sub(scan.at + 1);
        match done {
            Ok(length) if from + length <= place => at = from + length,
            Ok(length) if closes(&bytes[from + length..]) => return Inside::Yes,
            Err(Flaw::Unfinished) if until == bytes.len() && !ended => return Inside::Perhaps,
            Err(Flaw::Unfinished) if until - from >= *budget => return Inside::No,
            Ok(_) | Err(_) => {}
        }
    }
    Inside::No
}

/// Whether a context may begin with the `{` at `from`, as its place and what follows tell.
fn may_open(bytes: &[u8], from: usize) -> bool {
    bytes.get(from + 1) == Some(&b'"') && from > 0 && matches!(bytes[from - 1], b' ' | b'[')
}

/// Whether the quotation marks tell already that the header at `place` is in no string, as they do
/// of nearly every record: one object may be a context, nothing in it is escaped, and it has no
/// string open. Between its strings there is no room for a header, which is no JSON.
fn is_between_strings(bytes: &[u8], place: usize) -> bool {
    let record = &bytes[..place];
    let mut openings = memchr_iter(b'{', record).filter(|from| may_open(record, *from));
    let Some(from) = openings.next() else { return true };
    let context = &record[from..];
    bytes[place] == b'['
        && openings.next().is_none()
        && memchr(b'\\', context).is_none()
        && memchr_iter(b'"', context).count().is_multiple_of(2)
}

/// What may follow a context on its last line.
fn closes(rest: &[u8]) -> bool {
    let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
    matches!(line.trim_ascii().first(), None | Some(b'{' | b'[' | b']' | b','))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Frames, frame_all};

    fn whole(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        frame_all(&HeaderFramer, text.as_bytes(), &mut |frame| {
            found.push(String::from_utf8(frame.bytes.to_vec()).expect("the text is UTF-8"));
        });
        found
    }

    const FORGED: &str = "[2026-03-04 09:27:32] a.INFO: x {\"note\":\"one\n\
        [2026-03-04 00:00:00] a.ERROR: forged\n\"} \n\
        [2026-03-04 09:27:33] a.INFO: cut {\"note\":\"two\n\
        [2026-03-04 09:27:34] a.INFO: y {\"a\":1}\n\n\nmore\n";

    proptest! {
        #[test]
        fn quotation_marks_tell_nothing_that_reading_would_not(
            before in proptest::collection::vec(0..PIECES.len(), 0..12),
            after in proptest::collection::vec(0..PIECES.len(), 0..6),
        ) {
            let text = |pieces: &[usize]| pieces.iter().map(|at| PIECES[*at]).collect::<String>();
            let (before, after) = (text(&before) + "\n", text(&after));
            for header in ["[2026-03-04 00:00:00] a.ERROR: forged", "{\"message\":1}"] {
                let whole = format!("{before}{header}\n{after}");
                let inside = |ended| {
                    let mut budget = BUDGET_BYTES;
                    read_context(whole.as_bytes(), before.len(), ended, &mut budget)
                };
                if is_between_strings(whole.as_bytes(), before.len()) {
                    prop_assert!(matches!((inside(true), inside(false)), (Inside::No, Inside::No)));
                }
            }
        }
    }

    /// What a record may be made of, as far as it matters for where it ends.
    const PIECES: [&str; 14] =
        [" {\"", "{\"a\":", "\"", "}", "} ", "[", "]", "\\", "\n", ":", ",", "x", " []", " 1"];

    #[test]
    fn a_header_inside_a_string_of_the_context_begins_no_record() {
        let found = whole(FORGED);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("forged\n\"} ") && found[2].ends_with("\n\n\nmore"));
    }

    #[test]
    fn records_are_the_same_however_the_bytes_arrive() {
        let mut found = Vec::new();
        let (mut frames, mut used) = (Frames::new(&HeaderFramer), 0);
        for end in 0..=FORGED.len() {
            let ended = end == FORGED.len();
            used += frames.feed(&FORGED.as_bytes()[used..end], ended, &mut |frame| {
                found.push(String::from_utf8(frame.bytes.to_vec()).expect("the text is UTF-8"));
            });
        }
        assert_eq!(found, whole(FORGED));
    }

    #[test]
    fn a_record_without_a_successor_is_open_and_keeps_only_whole_lines() {
        let bytes = b"[2026-03-04 09:27:32] a.INFO: x\r\nmore\r\nhal";
        let head = Beginning::Stamp { from: 1, to: 20 };
        let expected = Cut::Open { text: 37, end: 39, head };
        assert_eq!(HeaderFramer.cut(bytes, 0, false), expected);
        assert_eq!(HeaderFramer.cut(bytes, 20, false), expected);
    }

    #[test]
    fn an_object_line_is_closed_and_ends_a_record_before_it() {
        let found = whole(
            "x\n[2026-03-04 09:27:32] a.INFO: x\n{\"a\":1}\n{\"message\":\"y\"}\n{\"b\":1}\n",
        );
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
