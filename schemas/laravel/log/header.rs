//! `[2026-03-04 09:27:05.123456+01:00] channel.LEVEL: `, the only mark of a record's beginning; a
//! format of the application's own may leave the channel out or have another date.

use super::{console, stamp};

/// Monolog's levels with their numbers.
pub(super) const LEVELS: [(&str, u16); 8] = [
    ("DEBUG", 100),
    ("INFO", 200),
    ("NOTICE", 250),
    ("WARNING", 300),
    ("ERROR", 400),
    ("CRITICAL", 500),
    ("ALERT", 550),
    ("EMERGENCY", 600),
];

/// Bytes within which a header ends; channels are short words.
pub(super) const HEADER_BYTES_MAX: usize = 192;
/// Bytes within which a date in another format ends, with the name of a zone.
const STAMP_BYTES_MAX: usize = 64;

/// Where the pieces of a header are in its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// One past the last byte of the stamp, which begins at 1.
    pub stamp_end: usize,
    /// The channel; empty, if there is none.
    pub channel: (usize, usize),
    /// The level's name.
    pub level: (usize, usize),
}

impl Header {
    /// Whether `text` begins with a header. The stamp has the shape of one and may be impossible.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = &text[..text.len().min(HEADER_BYTES_MAX)];
        let stamp_end = match text.strip_prefix(b"[")?.first_chunk::<19>() {
            Some(date) if is_shaped(date) => {
                20 + text[20..].iter().position(|byte| matches!(byte, b']' | b'\n'))?
            }
            _ => other_stamp_end(text)?,
        };
        let from = stamp_end + 2;
        let rest = text.get(stamp_end..)?.strip_prefix(b"] ")?;
        let mut level = None;
        for (end, &byte) in rest.iter().enumerate() {
            // Letters come behind all that matters.
            if byte > b':' {
                continue;
            }
            match (byte, level) {
                (b'.', _) => level = Some(end + 1),
                (b'\n', _) => return None,
                (b':', _)
                    if matches!(rest.get(end + 1), None | Some(b' ' | b'\r' | b'\n'))
                        && is_level(&rest[level.unwrap_or(0)..end]) =>
                {
                    // It follows the channel after a dot.
                    let begin = level.unwrap_or(0);
                    let channel = (from, from + begin.saturating_sub(1));
                    return Some(Self { stamp_end, channel, level: (from + begin, from + end) });
                }
                _ => {}
            }
        }
        None
    }
}

/// Where the bracket closes around a date of another format.
#[cold]
fn other_stamp_end(text: &[u8]) -> Option<usize> {
    if !text.get(1)?.is_ascii_digit() {
        return None;
    }
    let end = memchr::memchr(b']', &text[..text.len().min(STAMP_BYTES_MAX)])?;
    let written = std::str::from_utf8(&text[1..end]).ok()?;
    // Whatever the year, it is a date or none.
    let is_date = || stamp::other(written, 0).is_some();
    (is_date() || console::php_stamp(written.as_bytes()).is_some()).then_some(end)
}

/// Whether it is one of [`LEVELS`]; as a pattern, a few comparisons of whole words of memory.
fn is_level(name: &[u8]) -> bool {
    matches!(
        name,
        b"DEBUG"
            | b"INFO"
            | b"NOTICE"
            | b"WARNING"
            | b"ERROR"
            | b"CRITICAL"
            | b"ALERT"
            | b"EMERGENCY"
    )
}

/// Whether it looks like `2026-03-04 09:27:05`, or has a `T` in the middle.
fn is_shaped(date: &[u8; 19]) -> bool {
    let [a, b, c, d, e, f, g, h, i, j, middle, clock @ ..] = *date;
    let day = [a, b, c, d, e, f, g, h];
    fits(day, b"0000-00-")
        && i.is_ascii_digit()
        && j.is_ascii_digit()
        && matches!(middle, b' ' | b'T')
        && fits(clock, b"00:00:00")
}

/// Whether digits stand where `shape` has a 0, and what it has everywhere else. All of it is
/// compared at once.
#[inline(always)]
fn fits(text: [u8; 8], shape: &[u8; 8]) -> bool {
    let ones =
        |of: fn(u8) -> bool| u64::from_le_bytes(shape.map(|byte| if of(byte) { 0xff } else { 0 }));
    let (digits, others) = (ones(|byte| byte == b'0'), ones(|byte| byte != b'0'));
    let (text, shape) = (u64::from_le_bytes(text), u64::from_le_bytes(*shape));
    // A digit is 0x30 to 0x39, so that neither it nor it and 6 leaves the sixteen from 0x30 on.
    let high = 0xf0f0_f0f0_f0f0_f0f0 & digits;
    let zeros = 0x3030_3030_3030_3030 & digits;
    let digit = text & digits;
    digit & high == zeros
        && (digit + (0x0606_0606_0606_0606 & digits)) & high == zeros
        && (text ^ shape) & others == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_ends_behind_the_first_level_that_a_colon_and_a_space_follow() {
        let parse = |rest: &str| {
            let line = format!("[2026-03-04 09:27:05] {rest}");
            let header = Header::parse(line.as_bytes())?;
            let (from, until) = header.channel;
            let (begin, end) = header.level;
            Some((line[from..until].to_owned(), line[begin..end].to_owned()))
        };
        for (level, _) in LEVELS {
            let expected = Some(("a.b:c".to_owned(), level.to_owned()));
            assert_eq!(parse(&format!("a.b:c.{level}: x.INFO: y")), expected);
            assert_eq!(parse(&format!("a.{level}s: x")), None);
        }
        assert_eq!(parse("a.INFO:x b.ERROR:"), Some(("a.INFO:x b".into(), "ERROR".into())));
        assert_eq!((parse("INFO:x"), parse("a.info: x"), parse("a\n.INFO: x")), (None, None, None));
        assert_eq!(parse("INFO: x"), Some((String::new(), "INFO".into())));
        assert_eq!(parse(".INFO: x"), Some((String::new(), "INFO".into())));
    }

    #[test]
    fn a_header_may_have_another_date() {
        let is_one = |line: &str| Header::parse(line.as_bytes()).is_some();
        for line in [
            "[2026-10-25] local.INFO: a",
            "[25/10/2026 14:49:33] local.INFO: a",
            "[25.10.2026 14:49] INFO: a",
            "[25-Oct-2026 14:49:33 UTC] a.ERROR: a",
            "[2026/10/25 14:49:33 Europe/Madrid] a.ERROR:",
        ] {
            assert!(is_one(line), "{line}");
        }
        for line in [
            "[stacktrace]",
            "[previous exception] [object] (A(code: 0): a.INFO: b at /x:1)",
            "[2026] local.INFO: a",
            "[12] local.INFO: a",
            "[33/10/2026 14:49:33] local.INFO: a",
            "[2026-10-25]local.INFO: a",
            "[2026-10-25\n] local.INFO: a",
            "[2026-10-25",
            "[25-Oct-2026 14:49:33 UTC] PHP Warning:  a",
        ] {
            assert!(!is_one(line), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_date_has_its_shape_and_no_other(
            date in "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}",
            at in 0usize..19, byte in any::<u8>(),
        ) {
            let mut bytes = *date.as_bytes().first_chunk::<19>().expect("it has so many");
            prop_assert!(is_shaped(&bytes));
            let was = std::mem::replace(&mut bytes[at], byte);
            let same = byte == was || was.is_ascii_digit() && byte.is_ascii_digit()
                || at == 10 && matches!(byte, b' ' | b'T');
            prop_assert_eq!(is_shaped(&bytes), same, "{} at {}", byte, at);
        }
    }
}
