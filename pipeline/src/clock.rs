//! The one place where the pipeline asks what time it is. Formats never do: they are given the time
//! at which a record was read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since the epoch; 0 for a clock that is set before it.
pub fn now_ms() -> i64 {
    now_us() / 1000
}

/// Microseconds since the epoch; 0 for a clock that is set before it.
pub fn now_us() -> i64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The system's own, to compare with times that others have set, such as the end of credentials.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The same as calendars and zones take it.
pub fn timestamp() -> Timestamp {
    Timestamp::from_millisecond(now_ms()).unwrap_or_default()
}

/// One moment, as it is told to others and as the beginning of a span: a clock that is set anew
/// makes no span longer or shorter.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Milliseconds since the epoch, as [`now_ms`].
    pub ms: i64,
    /// The same for spans.
    pub at: Instant,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { ms: now_ms(), at: Instant::now() }
    }
}
