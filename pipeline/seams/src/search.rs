//! Looking for what was stored: one question and one answer, whatever the store.
//!
//! Hits are visited page by page, so that asking for all of them needs no more memory than asking
//! for one page.

use std::ops::ControlFlow;

use crate::SinkError;

/// A question to a store. Both stores take the same text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SearchRequest {
    /// Lucene's query syntax as in Kibana (`log.level:error AND "connection lost"`); words without
    /// an operator between them are alternatives. Empty matches every event.
    pub query: String,
    /// Only events whose `@timestamp` is at or after this, in milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// Only events whose `@timestamp` is before this, in milliseconds since the epoch.
    pub to_ms: Option<i64>,
    /// At most so many hits, or rows of counts; all of them if `None`.
    pub limit: Option<usize>,
    /// Fields to count by; empty when hits are asked for.
    pub by: Vec<String>,
}

/// One event found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// The document's `_id`.
    pub id: &'a str,
    /// Where it is: the data stream, or the backing index that it is in.
    pub index: &'a str,
    /// The document, as JSON on one line.
    pub source: &'a [u8],
}

/// How many events share the values of [`SearchRequest::by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// One per field, in the order asked for; `None` for the events that do not have the field.
    pub values: Vec<Option<String>>,
    /// How many events.
    pub events: u64,
}

/// The answer to a question with [`SearchRequest::by`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Most events first, equal ones by their values; exact, and at most
    /// [`SearchRequest::limit`] of them.
    pub rows: Vec<Count>,
    /// Rows that the limit left out.
    pub rows_left_out: u64,
}

impl Counts {
    /// Sorts `rows` as an answer has them and keeps the first `limit`; those left out are counted.
    pub fn top(mut rows: Vec<Count>, limit: Option<usize>) -> Self {
        rows.sort_unstable_by(|a, b| b.events.cmp(&a.events).then_with(|| a.values.cmp(&b.values)));
        let kept = limit.unwrap_or(usize::MAX).min(rows.len());
        let rows_left_out = (rows.len() - kept) as u64;
        rows.truncate(kept);
        Self { rows, rows_left_out }
    }
}

/// Called per hit; `Break` ends the search after this hit, which counts as visited.
pub type VisitHit<'v> = dyn FnMut(Hit<'_>) -> ControlFlow<()> + Send + 'v;

/// A store that can be asked. Called by the operator's command, and by tests.
#[async_trait::async_trait]
pub trait Search: Send + Sync {
    /// Visits the hits, newest `@timestamp` first, and says how many it visited. It holds one page
    /// of them at a time. A query that cannot be parsed is [`SinkError::Refused`].
    async fn search(
        &self,
        request: &SearchRequest,
        visit: &mut VisitHit<'_>,
    ) -> Result<u64, SinkError>;
    /// Counts the matching events by the values of [`SearchRequest::by`].
    async fn count(&self, request: &SearchRequest) -> Result<Counts, SinkError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_values_come_first_and_the_rest_is_counted() {
        let row = |value: &str, events| Count { values: vec![Some(value.to_owned())], events };
        let counts = Counts::top(vec![row("b", 1), row("c", 5), row("a", 1)], Some(2));
        assert_eq!(counts, Counts { rows: vec![row("c", 5), row("a", 1)], rows_left_out: 1 });
    }
}
