//! The context and extra behind a message.
//!
//! LineFormatter writes `message context extra` with a space between them. As Laravel sets it up,
//! an empty one is nothing at all, so that the spaces tell what is there: two at the end of the
//! line, and it is neither; two before the only JSON, and it is the extra. Editors and carriers
//! trim ends, though: without a space at the end, one that is there alone is taken for the context.

use crate::find::find;
use crate::object::{entries, index};
use crate::scan::{Entries, Entry, Flaw, Scan};
use crate::{Event, Transformation};

/// How often the text of a record may be read in search of its context, and some bytes.
const READS_MAX: usize = 4;
const READS_BYTES: usize = 64 << 10;

/// What stands behind a header.
pub(super) struct Tail<'a> {
    pub message: &'a str,
    pub context: Option<Entries<'a>>,
    pub extra: Option<Entries<'a>>,
}

impl<'a> Tail<'a> {
    /// Splits what follows the space behind the level.
    pub fn of(body: &'a str, event: &mut Event<'a>) -> Self {
        let text = body.trim_end();
        let spaces = &body[text.len()..];
        // Entries take half a kilobyte: they are written where they stay.
        let mut tail = Self { message: text, context: None, extra: None };
        if !spaces.ends_with("  ") {
            // An empty list is written by formatters that leave nothing out.
            let has_no_extra = spaces == " " && !text.ends_with(" []");
            let is_found = text.ends_with(['}', ']']) && tail.take_end(text, has_no_extra, event);
            if !is_found {
                tail.take_broken(text, event);
            }
        }
        tail
    }

    /// Takes the JSON that a record ends with. Says whether it does.
    fn take_end(&mut self, text: &'a str, has_no_extra: bool, event: &Event<'a>) -> bool {
        let bytes = text.as_bytes();
        let mut budget = bytes.len() * READS_MAX + READS_BYTES;
        for at in memchr::memchr2_iter(b'{', b'[', bytes) {
            // What the body begins with is the message: there is a space before the context.
            let alone = at > 0 && matches!(bytes[at - 1], b' ' | b'\n');
            let object = matches!(bytes.get(at + 1), Some(b'"' | b'}' | b']' | b'{' | b'['));
            if !alone || !(object || bytes[at] == b'[') {
                continue;
            }
            let mut first = Scan::new(&bytes[at..]);
            let end = first.run();
            budget = budget.saturating_sub(first.at + 1);
            if let Ok(length) = end {
                let message = &text[..at];
                let rest = &bytes[at + length..];
                if rest.is_empty() {
                    index(&bytes[at..], &mut first.entries, event);
                    let is_extra = !has_no_extra && message.ends_with("  ");
                    let place = if is_extra { &mut self.extra } else { &mut self.context };
                    *place = Some(first.entries);
                    self.message = message;
                    return true;
                }
                let second = rest.trim_ascii_start();
                if !has_no_extra && !rest.starts_with(b"  ") && matches!(second[0], b'{' | b'[') {
                    let mut scan = Scan::new(second);
                    let is_whole = scan.run() == Ok(second.len());
                    budget = budget.saturating_sub(scan.at + 1);
                    if is_whole {
                        index(&bytes[at..], &mut first.entries, event);
                        index(second, &mut scan.entries, event);
                        self.context = Some(first.entries);
                        self.extra = Some(scan.entries);
                        self.message = message;
                        return true;
                    }
                }
            }
            if budget == 0 {
                break;
            }
        }
        false
    }

    /// Takes a context with an exception that is not what the record ends with: below it is a line
    /// that came from elsewhere, which stays in the message, or its own end was never written.
    fn take_broken(&mut self, text: &'a str, event: &mut Event<'a>) {
        const KEY: &[u8] = b"\"exception\":\"";
        let bytes = text.as_bytes();
        let Some(key_at) = find(bytes, b"[object] (").and_then(|at| at.checked_sub(KEY.len()))
        else {
            return;
        };
        if !bytes[key_at..].starts_with(KEY) {
            return;
        }
        let mut budget = bytes.len() * READS_MAX + READS_BYTES;
        for at in memchr::memchr_iter(b'{', &bytes[..key_at]) {
            if at == 0 || bytes[at - 1] != b' ' || bytes[at + 1] != b'"' {
                continue;
            }
            let mut scan = Scan::new(&bytes[at..]);
            let end = scan.run();
            budget = budget.saturating_sub(scan.at + 1);
            let (message, context) = (&text[..at], scan.entries);
            let found = match end {
                Ok(length) if at + length > key_at => {
                    with_lines_below(message, context, &text[at + length..], event)
                }
                Err(Flaw::Unfinished) if end_of(&context, bytes).unwrap_or(at) + 1 == key_at => {
                    cut_off(message, context, &text[key_at + KEY.len() - 1..], event)
                }
                _ => None,
            };
            if let Some(found) = found {
                *self = found;
                return;
            }
            if budget == 0 {
                return;
            }
        }
    }
}

/// Where the last of the entries that are in `bytes` ends.
fn end_of(entries: &[Entry<'_>], bytes: &[u8]) -> Option<usize> {
    let end = entries.last()?.value.as_ptr_range().end;
    Some(end.addr().wrapping_sub(bytes.as_ptr().addr()))
}

/// The context closes at the end of a line.
fn with_lines_below<'a>(
    message: &'a str,
    context: Entries<'a>,
    rest: &'a str,
    event: &Event<'a>,
) -> Option<Tail<'a>> {
    let (line, below) = rest.split_once('\n')?;
    let line = line.trim();
    let extra = if line.is_empty() { None } else { Some(entries(line.as_bytes(), event)?) };
    let message = event.format(format_args!("{}\n{below}", message.trim_end()));
    Some(Tail { message, context: Some(context), extra })
}

/// The text of the exception breaks off; `open` begins with its quotation mark.
fn cut_off<'a>(
    message: &'a str,
    mut context: Entries<'a>,
    mut open: &'a str,
    event: &mut Event<'a>,
) -> Option<Tail<'a>> {
    // It may end inside of an escape, and that in the second half of a pair.
    for _ in 0..3 {
        let value = event.format(format_args!("{open}\"")).as_bytes();
        if Scan::new(value).run() == Ok(value.len()) {
            event.transformation(Transformation::IncompleteRecord);
            context.push(Entry { key: b"exception", value });
            return Some(Tail { message, context: Some(context), extra: None });
        }
        open = &open[..open.rfind('\\')?];
    }
    None
}
