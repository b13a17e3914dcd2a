//! Patroni's own lines, which containers write where the server writes its first:
//! `2026-11-21 09:00:00,123 INFO: no action. I am (pg-0), the leader with the lock`.
//!
//! <https://patroni.readthedocs.io/en/latest/yaml_configuration.html#log>

use crate::find::Find;
use crate::level::is_failure;
use crate::{Event, fields};

/// Bytes of the stamp, with a comma and milliseconds as only Python writes them.
const STAMP_BYTES: usize = 23;
const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

/// Sets what a line with its traceback says, but for its time. Says whether it is one.
pub(super) fn read<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    let Some((level, message)) = split(text) else { return false };
    event.set(fields::process::NAME, "patroni");
    event.set(fields::event::CATEGORY, "database");
    let level = event.set_named_level(level);
    event.set(fields::event::TYPE, if is_failure(level) { "error" } else { "info" });
    let (line, rest) = message.split_on_byte(b'\n').unwrap_or((message, ""));
    if rest.starts_with("Traceback ") {
        event.set(fields::error::STACK_TRACE, rest.trim_end());
        event.set(fields::MESSAGE, line.trim_end());
    } else {
        event.set(fields::MESSAGE, message.trim_end());
    }
    true
}

/// Whether a line is the beginning of such a record.
pub(super) fn begins(line: &[u8]) -> bool {
    let head = &line[..line.len().min(STAMP_BYTES + 16)];
    // A cut inside of a character ends what is looked at.
    let valid = std::str::from_utf8(head).unwrap_or_else(|error| {
        std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
    });
    split(valid).is_some()
}

/// The level and what follows its colon.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.as_bytes().get(19) != Some(&b',') {
        return None;
    }
    let rest = text.get(STAMP_BYTES..)?.strip_prefix(' ')?;
    let (level, message) = rest.split_on(": ")?;
    LEVELS.contains(&level).then_some((level, message))
}
