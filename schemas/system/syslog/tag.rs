//! The program that wrote the message, and what some devices and programs write around its name.

use super::codes::{is_severity_word, priority_of_word};
use super::envelope::Envelope;
use crate::find::Find;

/// The most bytes of a program's name with spaces in it, as macOS has them.
const SPACED_TAG_BYTES_MAX: usize = 48;
/// Digits of a MAC address, by which Ubiquiti's devices name themselves.
const MAC_DIGITS: usize = 12;
/// Digits of the number that ProCurve's switches give a kind of event.
const EVENT_DIGITS: usize = 5;
/// The levels among MikroTik's topics, gravest first.
const TOPIC_LEVELS: [&str; 5] = ["critical", "error", "warning", "info", "debug"];

impl<'a> Envelope<'a> {
    /// Only a tag can be recognised, and only one with a process or where a priority precedes.
    pub(super) fn without_time(&mut self, rest: &'a str) {
        match self.priority {
            Some(_) => self.tag(rest.trim_start_matches(' ')),
            None => self.bare(rest),
        }
    }

    /// The same where no priority would mean a tag: what a program or the kernel said.
    pub(super) fn bare(&mut self, rest: &'a str) {
        let message = rest.trim_start_matches(' ');
        self.tag(message);
        if self.procid.is_none() {
            // The topics of MikroTik's messages are no tag.
            if self.appname.take().is_some() {
                self.kind = None;
            }
            self.message = if self.stamp.is_some() { message } else { rest };
        }
    }

    /// Takes a tag that stands alone.
    pub(super) fn take_tag(&mut self, tag: &'a str) {
        let message = self.message;
        self.tag(tag.trim());
        self.message = message;
    }

    /// A tag, perhaps behind what some write before it.
    pub(super) fn tag(&mut self, rest: &'a str) {
        // The colon of a tag without a name.
        let rest = rest.strip_prefix(": ").unwrap_or(rest);
        self.message = rest;
        let is_end = |byte| matches!(byte, b':' | b'[' | b' ' | b'\t' | b',');
        let Some(end) = rest.bytes().position(is_end) else { return };
        let is_tagged = match (rest.as_bytes()[end], spaced_at(rest, end)) {
            (b',', _) => self.behind_list(rest) || self.plain_tag(rest),
            (b' ', None) => self.behind_word(rest, end),
            (_, spaced) => self.tag_until(rest, spaced.unwrap_or(end)),
        };
        if !is_tagged {
            self.message = rest;
        }
    }

    /// The same where nothing else precedes it. Says whether there is one.
    #[inline(never)]
    fn plain_tag(&mut self, rest: &'a str) -> bool {
        let is_end = |byte| matches!(byte, b':' | b'[' | b' ' | b'\t');
        let Some(end) = rest.bytes().position(is_end) else { return false };
        self.tag_until(rest, spaced_at(rest, end).unwrap_or(end))
    }

    /// `prog: `, `prog[pid]: `, `prog(module)[pid]: `, and macOS's `prog[pid] (of[pid]): ` and
    /// `prog[pid] <Level>: `, of which the name ends there.
    #[inline(always)]
    fn tag_until(&mut self, rest: &'a str, end: usize) -> bool {
        let bytes = rest.as_bytes();
        if end == 0 || matches!(bytes[end], b' ' | b'\t') {
            return false;
        }
        // A `:` inside a word (`a::b[1]:`, a URL) does not end the tag.
        if bytes[end] == b':' {
            let is_tag = matches!(bytes.get(end + 1), None | Some(b' ' | b'\t' | b'\n'));
            if is_tag {
                self.appname = Some(&rest[..end]);
                self.message = rest[end + 1..].trim_start_matches(' ');
            }
            return is_tag;
        }
        let Some(length) = memchr::memchr(b']', &bytes[end..]) else { return false };
        let (procid, after) = (&rest[end + 1..end + length], &rest[end + length + 1..]);
        let Some((level, message)) = after_procid(after) else { return false };
        if procid.contains(' ') {
            return false;
        }
        // Of launchd, the job is what the record is about: it stays in the name.
        let job = after.starts_with(" (").then(|| rest.len() - message.len() - 1);
        self.appname = Some(&rest[..job.unwrap_or(end)]);
        self.procid = Some(procid).filter(|procid| !procid.is_empty());
        self.level = level;
        self.message = message.trim_start_matches(' ');
        true
    }

    /// `err tmm[123]: ` (F5) and `00076 ports: ` (ProCurve): a level or a number before the tag.
    /// Words of a text may be levels too, so there a process must follow.
    #[inline(never)]
    fn behind_word(&mut self, rest: &'a str, end: usize) -> bool {
        let (word, after) = (&rest[..end], &rest[end + 1..]);
        if word.len() == EVENT_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit()) {
            let is_tagged = self.plain_tag(after);
            self.kind = is_tagged.then_some(word);
            return is_tagged;
        }
        if !is_severity_word(word) {
            return false;
        }
        let is_tagged = self.plain_tag(after) && self.procid.is_some();
        if is_tagged {
            self.level = self.level.or(Some(word));
        } else {
            self.appname = None;
        }
        is_tagged
    }

    /// Words with commas between them: who a device of Ubiquiti is, with its version, before the
    /// tag (`788a20aabbcc,UAP-AC-Pro-6.2.44+14098: `, older `("U7LT,788a20aabbcc,v4.0.21") `), or
    /// the topics of MikroTik's messages (`system,error,critical `), which stay in the message.
    #[inline(never)]
    fn behind_list(&mut self, rest: &'a str) -> bool {
        if let Some((_, after)) = rest.strip_prefix("(\"").and_then(|rest| rest.split_on("\") ")) {
            return self.plain_tag(after);
        }
        let Some((list, after)) = rest.split_on_byte(b' ') else { return false };
        let bare = list.strip_suffix(':').unwrap_or(list);
        let (first, others) = bare.split_on_byte(b',').unwrap_or((bare, ""));
        let is_mac = first.len() == MAC_DIGITS && first.bytes().all(|b| b.is_ascii_hexdigit());
        if is_mac && bare.len() < list.len() {
            return self.plain_tag(after);
        }
        let is_topic = |word: &str| {
            let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            !word.is_empty() && word.bytes().all(fits)
        };
        let has = |level: &&&str| others.split(',').any(|word| word == **level);
        let Some(level) = TOPIC_LEVELS.iter().find(has) else { return false };
        let are_topics = bare.split(',').all(is_topic);
        if are_topics {
            (self.level, self.kind) = (Some(*level), Some(first));
        }
        are_topics
    }

    /// `[ID 702911 auth.info] ` before the message, as Solaris' syslogd adds it.
    pub(super) fn message_id(&mut self) {
        let parts = self.message.strip_prefix("[ID ").and_then(|text| text.split_on("] "));
        let Some((inside, message)) = parts else { return };
        let Some((number, word)) = inside.split_on_byte(b' ') else { return };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(priority) = priority_of_word(word).filter(|_| is_number) {
            self.kind = Some(number);
            self.priority = self.priority.or(Some(priority));
            self.message = message;
        }
    }
}

/// [`spaced`] where a space is what a name seems to end with.
fn spaced_at(rest: &str, end: usize) -> Option<usize> {
    if rest.as_bytes()[end] == b' ' { spaced(rest) } else { None }
}

/// What follows `prog[pid]` up to the colon: nothing, `(job[pid])` or `<Level>`.
fn after_procid(after: &str) -> Option<(Option<&str>, &str)> {
    if let Some(message) = after.strip_prefix(':') {
        return Some((None, message));
    }
    if after.starts_with(" (") {
        return after.split_on("):").map(|(_, message)| (None, message));
    }
    let (level, message) = after.strip_prefix(" <")?.split_on(">:")?;
    level.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some((Some(level), message))
}

/// The end of a name with spaces: a capital first, a number in brackets and a colon after it.
fn spaced(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    if !bytes.first()?.is_ascii_uppercase() {
        return None;
    }
    let name = &bytes[..bytes.len().min(SPACED_TAG_BYTES_MAX)];
    let end = name.iter().position(|byte| matches!(byte, b'[' | b':' | b'='))?;
    let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let closed = bytes[end] == b'[' && digits > 0 && bytes[end + 1 + digits..].starts_with(b"]:");
    closed.then_some(end)
}
