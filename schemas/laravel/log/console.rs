//! What stands beside Monolog's records in the same files: PHP's own log of errors, and what
//! `queue:work` and `schedule:work` say of their jobs.
//!
//! `[10-Oct-2026 13:55:36 UTC] PHP Fatal error:  …`
//! (<https://www.php.net/manual/en/errorfunc.configuration.php#ini.error-log>),
//! `[2026-10-10 13:55:36][17] Processed:  App\Jobs\Pay` up to Laravel 8, and from 9 on
//! `  2026-10-10 13:55:36 App\Jobs\Pay ..... 12.34ms DONE`.

use crate::find::Find;
use crate::level::is_failure;
use crate::time::{self, Stamp};
use crate::{Event, fields, zone_is_known};

/// `dd-Mmm-yyyy hh:mm:ss`
const PHP_STAMP_BYTES: usize = 20;
/// `yyyy-mm-dd hh:mm:ss`
const STAMP_BYTES: usize = 19;
/// Bytes in which the head of a line ends: a time with its zone, or with a job's identity.
const HEAD_BYTES_MAX: usize = 128;

/// A line by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Console<'a> {
    /// Its time, and where the message begins.
    Php(&'a [u8], usize),
    /// The same of a job.
    Job(&'a [u8], usize),
}

impl<'a> Console<'a> {
    /// Whether a line is one. A job's line from Laravel 9 on is known by its end, too.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        match line.first()? {
            b'[' => {
                let head = &line[..line.len().min(HEAD_BYTES_MAX)];
                let end = memchr::memchr(b']', head)?;
                let (stamp, rest) = (&head[1..end], &head[end + 1..]);
                if rest.starts_with(b" PHP ") {
                    return php_stamp(stamp).map(|_| Self::Php(stamp, end + 2));
                }
                let id = memchr::memchr(b']', rest.strip_prefix(b"[")?)? + 2;
                let is_job = [&b" Processing:"[..], b" Processed:", b" Failed:"];
                let is_job = is_job.iter().any(|status| rest[id..].starts_with(status));
                (is_job && is_whole(stamp)).then_some(Self::Job(stamp, end + id + 2))
            }
            b' ' => {
                let rest = line.strip_prefix(b"  ")?;
                let (stamp, said) = rest.split_at_checked(STAMP_BYTES)?;
                let is_job = said.starts_with(b" ") && is_whole(stamp) && outcome(said).is_some();
                is_job.then_some(Self::Job(stamp, 2 + STAMP_BYTES + 1))
            }
            _ => None,
        }
    }

    /// The text of its time.
    pub fn stamp(self) -> &'a [u8] {
        let (Self::Php(stamp, _) | Self::Job(stamp, _)) = self;
        stamp
    }
}

fn is_whole(stamp: &[u8]) -> bool {
    time::parse_iso(stamp).is_some_and(|(_, used)| used == stamp.len())
}

/// How a job's line ends: not yet, well or not.
fn outcome(said: &[u8]) -> Option<&'static str> {
    let said = said.trim_ascii_end();
    let (word, known) = [(&b" RUNNING"[..], ""), (b" DONE", "success"), (b" FAIL", "failure")]
        .into_iter()
        .find(|(word, _)| said.ends_with(word))?;
    // Dots lead to it.
    let before = &said[..said.len() - word.len()];
    crate::find::find(before, b" ..").map(|_| known)
}

/// `10-Oct-2026 13:55:36`, perhaps with the name of a zone.
pub(super) fn php_stamp(text: &[u8]) -> Option<(Stamp, Option<&str>)> {
    let (date, zone) = text.split_at_checked(PHP_STAMP_BYTES)?;
    let date = std::str::from_utf8(date).ok()?;
    let (day, month, year) = (date.get(..2)?, date.get(3..6)?, date.get(7..11)?);
    let month = time::month_named(month.as_bytes())?;
    if !date[2..].starts_with('-') || !date[6..].starts_with('-') {
        return None;
    }
    let iso = [year, "-", &format!("{month:02}"), "-", day, &date[11..]].concat();
    let (stamp, used) = time::parse_iso(iso.as_bytes())?;
    let zone = std::str::from_utf8(zone).ok()?.trim();
    let known = zone.is_empty() || zone_is_known(zone);
    (used == iso.len() && known).then_some((stamp, (!zone.is_empty()).then_some(zone)))
}

/// Sets what a line says beside its time, and gives its message.
pub(super) fn set<'a>(console: Console<'_>, text: &'a str, event: &mut Event<'a>) -> &'a str {
    match console {
        Console::Php(_, from) => {
            let message = &text[from..];
            let kind = message.strip_prefix("PHP ").and_then(|rest| rest.split_on(": "));
            if let Some(level) = kind.and_then(|(kind, _)| level(kind)) {
                event.set(fields::log::LEVEL, level);
                event.set(fields::event::TYPE, if is_failure(level) { "error" } else { "info" });
            }
            message
        }
        Console::Job(_, from) => {
            let message = text[from..].trim();
            let known = match message {
                _ if message.starts_with("Processed:") => Some("success"),
                _ if message.starts_with("Failed:") => Some("failure"),
                _ => outcome(message.as_bytes()).filter(|known| !known.is_empty()),
            };
            if let Some(known) = known {
                event.set(fields::event::OUTCOME, known);
            }
            event.set(fields::event::TYPE, if known == Some("failure") { "error" } else { "info" });
            message
        }
    }
}

/// PHP's kinds of errors as Monolog's levels.
fn level(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Fatal error" | "Recoverable fatal error" | "Parse error" => "error",
        "Warning" => "warning",
        "Notice" | "Strict Standards" | "Deprecated" => "notice",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_its_time_and_what_follows_it() {
        let stamp = |line: &str| {
            let console = Console::parse(line.as_bytes())?;
            Some(String::from_utf8_lossy(console.stamp()).into_owned())
        };
        for (line, expected) in [
            ("[10-Oct-2026 13:55:36 UTC] PHP Warning:  x", "10-Oct-2026 13:55:36 UTC"),
            ("[10-Oct-2026 13:55:36] PHP Notice:  x", "10-Oct-2026 13:55:36"),
            ("[2026-10-10 13:55:36][17] Processed:  A", "2026-10-10 13:55:36"),
            ("  2026-10-10 13:55:36 A ..... RUNNING", "2026-10-10 13:55:36"),
        ] {
            assert_eq!(stamp(line).as_deref(), Some(expected), "{line}");
        }
        for none in [
            "[10-Oct-2026 13:55:36 Mars/Olympus] PHP Warning:  x",
            "[32-Oct-2026 13:55:36 UTC] PHP Warning:  x",
            "[10-Oct-2026 13:55:36 UTC] x",
            "[2026-10-10 13:55:36][17] x",
            "[2026-10-10 13:55:36] local.INFO: x",
            "  2026-10-10 13:55:36 x",
            "  2026-10-10 13:55:36",
            " ",
            "[",
        ] {
            assert_eq!(stamp(none), None, "{none}");
        }
    }
}
