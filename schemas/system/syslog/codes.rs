//! Facilities and severities by number and name.

use crate::find::Find;

use crate::{Event, fields};

/// Facilities by code (RFC 5424, table 1), by the names that syslog.conf has for them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// Severities by code (RFC 5424, table 2), and the levels that they mean.
const SEVERITIES: [(&str, &str); 8] = [
    ("Emergency", "emergency"),
    ("Alert", "alert"),
    ("Critical", "critical"),
    ("Error", "error"),
    ("Warning", "warning"),
    ("Notice", "notice"),
    ("Informational", "info"),
    ("Debug", "debug"),
];

/// Severities as syslog.conf has them.
const SEVERITY_WORDS: [(&str, u8); 11] = [
    ("emerg", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("error", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
];

/// What a severity means.
pub(super) fn level(severity: u8) -> &'static str {
    SEVERITIES[usize::from(severity)].1
}

/// The priority that a word before the tag says, as programs that write files add it:
/// `daemon.info` (BusyBox, OpenWrt), `<daemon.info>` and `<3.6>` (FreeBSD), `In(30)` (ESXi),
/// `auth|security:info` (AIX).
pub(super) fn priority_of_word(word: &str) -> Option<u8> {
    let bytes = word.as_bytes();
    if let [b'A'..=b'Z', b'a'..=b'z', b'(', number @ .., b')'] = bytes {
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        let known =
            matches!(&bytes[..2], b"Em" | b"Al" | b"Cr" | b"Er" | b"Wa" | b"No" | b"In" | b"Db");
        return Some(number).filter(|number: &u8| *number < 192 && known);
    }
    let inside = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
    let parts = inside.unwrap_or(word).split_on_byte(b'.').or_else(|| of_aix(word));
    let (facility, severity) = parts?;
    let numbers = facility.parse::<u8>().ok().zip(severity.parse::<u8>().ok());
    if let Some((facility, severity)) = numbers.filter(|_| inside.is_some()) {
        return (facility < 24 && severity < 8).then_some(facility << 3 | severity);
    }
    let facility = position(facility)?;
    Some(facility << 3 | severity_of_word(severity)?)
}

/// Facility and severity, of which the facility may have a second name.
fn of_aix(word: &str) -> Option<(&str, &str)> {
    // Most words here are tags, which end with their colon.
    if !word.as_bytes().last()?.is_ascii_lowercase() {
        return None;
    }
    let (facility, severity) = word.split_on_byte(b':')?;
    Some((facility.strip_suffix("|security").unwrap_or(facility), severity))
}

/// The priority that `kern  :info  : ` says, columns of six bytes or more, and its length
/// (`dmesg --decode`).
pub(super) fn priority_of_columns(bytes: &[u8]) -> Option<(u8, usize)> {
    if !bytes.first()?.is_ascii_lowercase() {
        return None;
    }
    let (facility, rest) = column(bytes)?;
    let (severity, rest) = column(rest)?;
    let rest = rest.strip_prefix(b" ")?;
    let priority = position(facility)? << 3 | severity_of_word(severity)?;
    Some((priority, bytes.len() - rest.len()))
}

/// The word in a column, and what follows its colon.
fn column(bytes: &[u8]) -> Option<(&str, &[u8])> {
    const BYTES_MIN: usize = 6;
    const BYTES_MAX: usize = "authpriv".len();
    let length = bytes.iter().take(BYTES_MAX + 1).position(|byte| *byte == b':')?;
    let word = std::str::from_utf8(&bytes[..length]).ok().filter(|_| length >= BYTES_MIN)?;
    Some((word.trim_ascii_end(), &bytes[length + 1..]))
}

/// Whether a word is a severity as syslog.conf has them.
pub(super) fn is_severity_word(word: &str) -> bool {
    severity_of_word(word).is_some()
}

fn severity_of_word(word: &str) -> Option<u8> {
    SEVERITY_WORDS.iter().find(|(one, _)| *one == word).map(|(_, number)| *number)
}

fn position(facility: &str) -> Option<u8> {
    let at = FACILITIES.iter().position(|name| name.eq_ignore_ascii_case(facility))?;
    u8::try_from(at).ok()
}

/// The facility that a number or a name means.
pub(super) fn facility_named(word: &str) -> Option<u8> {
    let number = word.parse().ok().or_else(|| position(word));
    number.filter(|number| *number < 24)
}

/// The severity that a number, a word of syslog.conf or a name means.
pub(super) fn severity_named(word: &str) -> Option<u8> {
    let is_it = |name: &&str| name.eq_ignore_ascii_case(word);
    let named = || SEVERITY_WORDS.iter().find(|(name, _)| is_it(name)).map(|(_, number)| *number);
    let in_full = || {
        let at = SEVERITIES.iter().position(|(name, _)| is_it(name))?;
        u8::try_from(at).ok()
    };
    word.parse().ok().or_else(named).or_else(in_full).filter(|number| *number < 8)
}

/// Sets facility (0 to 23) and severity (0 to 7), as far as they are known, by code and name.
pub(crate) fn codes(facility: Option<u8>, severity: Option<u8>, event: &mut Event<'_>) {
    if let Some(facility) = facility {
        event.set(fields::log::syslog::facility::CODE, facility);
        event.set(fields::log::syslog::facility::NAME, FACILITIES[usize::from(facility)]);
    }
    if let Some(severity) = severity {
        let (name, level) = SEVERITIES[usize::from(severity)];
        event.set(fields::log::syslog::severity::CODE, severity);
        event.set(fields::log::syslog::severity::NAME, name);
        event.set(fields::log::LEVEL, level);
    }
}
