//! Facilities and severities by number and name.

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
