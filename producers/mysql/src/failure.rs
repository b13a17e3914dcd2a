//! What a failure of the server or the connection means, and what to do about it.

use mysql_async::Error;
use tahoe_pipeline::seams::SourceError;

/// Why reading does not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may work in a moment.
    Retry(String),
    /// A person must change something first.
    Stop(String),
    /// The server no longer has the place at which reading was to go on.
    Lost(String),
}

/// The first thing that is tried.
pub(crate) const CONNECT: &str = "connect";

const DENIED: [u16; 4] = [1044, 1045, 1698, 1862];
const NO_DATABASE: u16 = 1049;
const MISSING_PRIVILEGE: [u16; 3] = [1142, 1143, 1227];
const BINLOG: u16 = 1236;

impl Failure {
    /// `what` was tried at `server`.
    pub fn of(server: &str, what: &str, error: Error) -> Self {
        let Error::Server(found) = &error else {
            let mend = if what == CONNECT { ": correct MYSQL_HOST and MYSQL_PORT" } else { "" };
            return Self::Retry(format!("MySQL at {server}: {what}: {error}{mend}"));
        };
        let (code, said) = (found.code, &found.message);
        let text = format!("MySQL at {server}: {what}: {code} {said}");
        if DENIED.contains(&code) {
            return Self::Stop(format!("{text}: correct MYSQL_USER and MYSQL_PASSWORD"));
        }
        if code == NO_DATABASE {
            return Self::Stop(format!("{text}: correct MYSQL_DATABASE"));
        }
        if MISSING_PRIVILEGE.contains(&code) {
            return Self::Stop(format!("{text}: {}", crate::inspect::GRANT));
        }
        if code != BINLOG {
            return Self::Retry(text);
        }
        let lower = said.to_lowercase();
        if lower.contains("same server_id") || lower.contains("same server_uuid") {
            return Self::Stop(format!("{text}: give this reader its own --mysql-server-id"));
        }
        if lower.contains("max_allowed_packet") {
            return Self::Stop(format!("{text}: raise the server's max_allowed_packet"));
        }
        Self::Lost(text)
    }
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry(text) => Self::Retry(text, None),
            Failure::Stop(text) => Self::Stop(text, None),
            Failure::Lost(text) => Self::Stop(
                format!(
                    "{text}: changes were lost; --mysql-on-lost-position snapshot reads the \
                     tables anew, latest goes on with what comes"
                ),
                None,
            ),
        }
    }
}
