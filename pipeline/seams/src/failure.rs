//! Errors are decisions: each variant is what the loop does next, and its text names the setting to change.

use std::borrow::Cow;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a record can never be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}{}", .byte.map(|b| format!(" (byte {b})")).unwrap_or_default())]
pub struct Rejection {
    /// One word of a closed, documented vocabulary: `no_timestamp`, `mapping`.
    pub code: &'static str,
    /// A sentence for people.
    pub reason: Cow<'static, str>,
    /// Where in the record's bytes; what is missing is missed at their end. `None` if the bytes
    /// are not at fault.
    pub byte: Option<usize>,
}

impl Rejection {
    /// A rejection at one byte of the record.
    pub fn at(code: &'static str, reason: impl Into<Cow<'static, str>>, byte: usize) -> Self {
        Self { code, reason: reason.into(), byte: Some(byte) }
    }

    /// A rejection for what is not in the record's bytes: its header, or what the store says.
    pub fn whole(code: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into(), byte: None }
    }
}

/// What a source cannot do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Try the same again after a pause; nothing is lost by waiting.
    #[error("{0}")]
    Retry(String, #[source] Option<Cause>),
    /// A person must change something first; the text says which setting.
    #[error("{0}")]
    Stop(String, #[source] Option<Cause>),
}

/// What the log cannot do.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Unreachable or overloaded now: try again.
    #[error("{0}")]
    Retry(String, #[source] Option<Cause>),
    /// The topic is not there; `tahoe setup` creates it.
    #[error("topic {0} does not exist: run `tahoe setup`, or name another topic")]
    NoTopic(String),
    /// A newer instance of the same owner has taken over: stop and touch nothing.
    #[error("another instance owns {0}: stop one of the two, or give each its own --host")]
    Fenced(String),
    /// A record that the log will never take: over its size limit.
    #[error(
        "record of {bytes} bytes is over the log's limit of {limit}: raise --kafka-record-bytes-max"
    )]
    TooLarge {
        /// Size of the record.
        bytes: usize,
        /// What the log takes.
        limit: usize,
    },
    /// Refused for good: wrong password, no permission, a newer format.
    #[error("{0}")]
    Stop(String, #[source] Option<Cause>),
    /// The log was closed, or waited for no longer, while this was in flight; its fate is unknown
    /// until the next start.
    #[error("stopped before the log had everything")]
    Stopped,
}

/// What a sink cannot do with a whole batch.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// No answer, or one that says to come back: the fate of the batch is unknown.
    #[error("{0}")]
    Unavailable(String, #[source] Option<Cause>),
    /// A person must change something first; the text says which setting.
    #[error("{0}")]
    Refused(String, #[source] Option<Cause>),
}
