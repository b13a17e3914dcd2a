//! The durable logs behind the [`Log`](crate::seams::Log) seam: Apache Kafka for real
//! installations, and an embedded one for a single machine without any service.

pub mod embedded;
pub mod kafka;

use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::header;
use crate::seams::{Appended, LogError, Outgoing, Pending};
use crate::stop::Patience;

/// Between two looks at whether to go on waiting.
const LOOK: Duration = Duration::from_millis(100);

/// What a log that answers needs at most, and is given though the time for a stop is over.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Key of a fence: a record with an empty value that marks "everything before me was written
/// before I started".
pub const FENCE_KEY: &[u8] = b"tahoe.fence";

/// Largest record by default: Kafka's `max.message.bytes` of our topics, 20 MiB.
pub const RECORD_BYTES_MAX: usize = 20 << 20;

/// What [`Log::fence`](crate::seams::Log::fence) appends.
fn fence_of(topic: &str, partition: u32, timestamp_ms: i64) -> Outgoing<'_> {
    let (key, value) = (FENCE_KEY, &b""[..]);
    Outgoing { topic, partition, key, value, timestamp_ms, header: None, more_headers: &[] }
}

/// All headers of a record by their names, ours before the further ones.
fn headers_of<'a>(record: &Outgoing<'a>) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    let ours = record.header.map(|header| (header::NAME, header));
    ours.into_iter().chain(record.more_headers.iter().copied())
}

/// Waits until an append is durable or has failed, for as long as there is patience;
/// [`LogError::Stopped`] leaves its fate to the next start.
fn durable(pending: &Pending, patience: &Patience) -> Result<Appended, LogError> {
    while !patience.is_over() {
        if let Some(result) = pending.wait(LOOK) {
            return result;
        }
    }
    pending.wait(LAST_WAIT).unwrap_or(Err(LogError::Stopped))
}

/// Starts a thread of a log's own.
fn start_thread(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, LogError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started
        .map_err(|error| LogError::Retry("cannot start a thread".to_owned(), Some(Box::new(error))))
}
