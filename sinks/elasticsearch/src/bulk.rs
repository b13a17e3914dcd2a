//! Sending a batch as it stands: requests are slices of its body, cut between events.

use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use elasticsearch::http::Method;
use tahoe_seams::{EventBatch, Outcome, Rejection, SinkError};
use tracing::warn;

use crate::connection::Answer;
use crate::{Elasticsearch, outcome};

/// What the server made of one request.
enum Reply {
    Items(Answer),
    TooLarge,
    Busy,
    /// It could not read the request, and does not say which event is to blame.
    Unreadable(String),
}

impl Elasticsearch {
    pub(crate) async fn bulk(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
        let mut outcomes = vec![Outcome::Busy; batch.events.len()];
        let mut waiting = requests(batch, self.bulk_bytes_max.load(Ordering::Relaxed));
        waiting.reverse();
        let mut unreadable = 0;
        while let Some(events) = waiting.pop() {
            let bytes = bytes_of(batch, &events);
            let reason = match self.send_bulk(batch.body.slice(bytes.clone())).await? {
                Reply::Items(answer) => {
                    outcome::read(&answer.body, &mut outcomes[events])?;
                    continue;
                }
                // The server is full: what is left would only be refused as well.
                Reply::Busy => break,
                Reply::TooLarge => None,
                Reply::Unreadable(reason) => Some(reason),
            };
            if events.len() > 1 {
                if reason.is_none() {
                    self.learn_limit(bytes.len());
                }
                let middle = events.start + events.len() / 2;
                waiting.push(middle..events.end);
                waiting.push(events.start..middle);
            } else {
                unreadable += usize::from(reason.is_some());
                outcomes[events.start] = Outcome::Rejected(alone(bytes.len(), reason));
            }
        }
        // One bad event is the event's fault; if no event can be read, it is a proxy's or ours.
        if unreadable > 0 && unreadable == batch.events.len() {
            let text = match outcomes.swap_remove(0) {
                Outcome::Rejected(rejection) => rejection.reason.into_owned(),
                _ => String::new(),
            };
            let names = &self.connection.names;
            let text = format!("{names} reads no bulk request: {text}: is --elasticsearch right?");
            return Err(SinkError::Refused(text, None));
        }
        Ok(outcomes)
    }

    async fn send_bulk(&self, body: Bytes) -> Result<Reply, SinkError> {
        // Half our patience: an answer that shards are missing beats a time-out, which leaves the
        // fate of the whole request unknown.
        let wait_ms = self.connection.timeout().as_millis() / 2;
        loop {
            let required = self.requires_data_stream.load(Ordering::Relaxed);
            let require = if required { "&require_data_stream=true" } else { "" };
            let filter = outcome::FILTER;
            let path = format!("_bulk?filter_path={filter}&timeout={wait_ms}ms{require}");
            let answer = self.connection.send(Method::Post, &path, Some(body.clone())).await?;
            return match answer.status {
                200 => Ok(Reply::Items(answer)),
                413 => Ok(Reply::TooLarge),
                429 => Ok(Reply::Busy),
                400 => {
                    let reason = answer.reason();
                    // OpenSearch 2 and Elasticsearch before 8.13 do not know the parameter.
                    if required && reason.contains("require_data_stream") {
                        warn!(
                            "the server does not know require_data_stream: an event without a \
                             template would make a plain index, so run `tahoe setup` first"
                        );
                        self.requires_data_stream.store(false, Ordering::Relaxed);
                        continue;
                    }
                    // A proxy's own 400 is a page, and says nothing about events.
                    if answer.body.starts_with(b"{") {
                        Ok(Reply::Unreadable(reason))
                    } else {
                        Err(self.connection.refusal("writing events", &answer))
                    }
                }
                _ => Err(self.connection.refusal("writing events", &answer)),
            };
        }
    }

    /// Sends actions that are no plain creation, each a part of a bulk body; `read` says from the
    /// answer what became of them. Those that the server is too busy for stay busy.
    pub(crate) async fn send_lines(
        &self,
        lines: &[Vec<u8>],
        doing: &str,
        read: fn(&[u8], &mut [Outcome]) -> Result<(), SinkError>,
    ) -> Result<Vec<Outcome>, SinkError> {
        let mut outcomes = vec![Outcome::Busy; lines.len()];
        let bytes_max = self.bulk_bytes_max.load(Ordering::Relaxed);
        let mut waiting: Vec<_> = std::iter::once(0..lines.len()).collect();
        while let Some(range) = waiting.pop().filter(|range| !range.is_empty()) {
            let bytes: usize = lines[range.clone()].iter().map(Vec::len).sum();
            let middle = range.start + range.len() / 2;
            let halves = [middle..range.end, range.start..middle];
            if bytes > bytes_max && range.len() > 1 {
                waiting.extend(halves);
                continue;
            }
            let path = format!("_bulk?filter_path={}", outcome::FILTER);
            let body = Bytes::from(lines[range.clone()].concat());
            let answer = self.connection.send(Method::Post, &path, Some(body)).await?;
            match answer.status {
                200 => read(&answer.body, &mut outcomes[range])?,
                429 => break,
                413 if range.len() > 1 => waiting.extend(halves),
                413 => outcomes[range.start] = Outcome::Rejected(too_large(bytes)),
                _ => return Err(self.connection.refusal(doing, &answer)),
            }
        }
        Ok(outcomes)
    }

    /// The next batch is cut smaller from the start.
    fn learn_limit(&self, bytes_refused: usize) {
        let bytes = bytes_refused / 2;
        if self.bulk_bytes_max.fetch_min(bytes, Ordering::Relaxed) > bytes {
            warn!(
                bytes_refused,
                bytes_max = bytes,
                "bulk request too large for the server or a proxy: lower --bulk-bytes-max"
            );
        }
    }
}

fn alone(bytes: usize, unreadable: Option<String>) -> Rejection {
    match unreadable {
        None => too_large(bytes),
        Some(reason) => Rejection::whole("store", reason),
    }
}

/// What the server does not take even alone.
fn too_large(bytes: usize) -> Rejection {
    Rejection::whole("too_large", format!("{bytes} bytes are too many for the server"))
}

/// Cuts the batch into requests of at most `bytes_max`, and at least one event each.
fn requests(batch: &EventBatch, bytes_max: usize) -> Vec<Range<usize>> {
    let mut requests: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, event) in batch.events.iter().enumerate() {
        match requests.last_mut() {
            Some(last) if bytes + event.lines.len() <= bytes_max => {
                last.end = index + 1;
                bytes += event.lines.len();
            }
            _ => {
                requests.push(index..index + 1);
                bytes = event.lines.len();
            }
        }
    }
    requests
}

/// Where in the body these events are: they stand there one after the other.
fn bytes_of(batch: &EventBatch, events: &Range<usize>) -> Range<usize> {
    batch.events[events.start].lines.start..batch.events[events.end - 1].lines.end
}

#[cfg(test)]
mod tests {
    use tahoe_seams::{Events, RecordId};

    use super::*;

    #[test]
    fn requests_are_cut_between_events_and_cover_the_batch() {
        let mut events = Events::default();
        for size in [10usize, 10, 500, 10, 10] {
            let document = format!("{{\"a\":\"{}\"}}", "x".repeat(size));
            events.push("a.b", "c", RecordId::default(), |out| out.extend(document.bytes()));
        }
        let batch = events.take();
        let small = batch.events[0].lines.len();
        assert_eq!(requests(&batch, 2 * small), [0..2, 2..3, 3..5]);
        assert_eq!(requests(&batch, usize::MAX).len(), 1);
        assert_eq!(requests(&batch, 1).len(), 5);
        assert_eq!(bytes_of(&batch, &(0..5)), 0..batch.body.len());
    }
}
