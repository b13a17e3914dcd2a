//! What a server refuses, sorted by what helps: waiting, or a person.

use tahoe_pipeline::seams::SourceError;

/// Why a conversation with the server failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It does not answer, or not any more.
    #[error("PostgreSQL at {at}: {reason}")]
    Unreachable {
        /// Host, port and database.
        at: String,
        /// As the system puts it.
        reason: String,
    },
    /// It answered with an error.
    #[error("PostgreSQL at {at}: {text} (SQLSTATE {code})")]
    Refused {
        /// Host, port and database.
        at: String,
        /// Five letters and digits.
        code: String,
        /// The server's own words.
        text: String,
    },
    /// A setting cannot be.
    #[error("{0}")]
    Setting(String),
}

/// Errors that end by themselves, by the beginning of their SQLSTATE: connections (08), resources
/// (53), a slot that a dead process still holds (55006), the server's stop and start (57P), a
/// conflict with recovery (40).
const PASSING: [&str; 6] = ["08", "53", "55006", "57P", "57014", "40"];

impl Failure {
    /// The SQLSTATE, if the server gave one.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }

    /// Waiting may help.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => PASSING.iter().any(|passing| code.starts_with(passing)),
            Self::Setting(_) => false,
        }
    }

    /// What a person can change, beside what the server says.
    pub fn advice(&self) -> &'static str {
        match self.code() {
            "28P01" | "28000" => {
                ": check --pg-user (PGUSER), --pg-password (PGPASSWORD) and the server's pg_hba.conf"
            }
            "3D000" => ": --pg-database (PGDATABASE) names none that exists",
            "42501" => ": the user lacks a privilege; `--check` names the statement to run",
            _ => "",
        }
    }
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        let text = format!("{failure}{}", failure.advice());
        match failure.passes() {
            true => Self::Retry(text, Some(Box::new(failure))),
            false => Self::Stop(text, Some(Box::new(failure))),
        }
    }
}
