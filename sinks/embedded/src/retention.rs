//! What is past its retention, by data stream: a day counts from when the store took an event, as
//! it does for a data stream of Elasticsearch's, so that an archive that is loaded today stays.

use std::collections::BTreeSet;
use std::ops::Bound;

use tahoe_schemas::retention::{DAY_MS, Keep, Retention};
use tantivy::collector::Count;
use tantivy::query::{BooleanQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{DateTime, Searcher, Term};

use crate::fields::Fields;

/// One data stream's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The data stream.
    pub data_stream: String,
    /// How long its events are kept.
    pub keep: Keep,
    /// Events that are past it.
    pub events: u64,
    /// Events that stay.
    pub kept: u64,
}

/// A share, and how its expired events are found, if there are any.
type Found = (Expired, Option<Box<dyn Query>>);

/// What is past its retention in a store as it is now; data streams in the order of their names.
pub(crate) fn expired(
    searcher: &Searcher,
    fields: &Fields,
    retention: &Retention,
    now_ms: i64,
) -> tantivy::Result<Vec<Found>> {
    let mut all = Vec::new();
    for data_stream in data_streams(searcher, fields)? {
        let keep = retention.of_ours(&data_stream);
        let of_stream = TermQuery::new(
            Term::from_field_text(fields.index, &data_stream),
            IndexRecordOption::Basic,
        );
        let total = searcher.search(&of_stream, &Count)?;
        let old = match keep {
            Keep::Forever => None,
            Keep::Days(days) => {
                let from = now_ms.saturating_sub(i64::from(days) * DAY_MS);
                let from = DateTime::from_timestamp_millis(from);
                let from = Term::from_field_date(fields.stored_at, from);
                let old = RangeQuery::new(Bound::Unbounded, Bound::Excluded(from));
                let both: Vec<Box<dyn Query>> = vec![Box::new(of_stream), Box::new(old)];
                Some(BooleanQuery::intersection(both))
            }
        };
        let events = old.as_ref().map_or(Ok(0), |old| searcher.search(old, &Count))?;
        let old = old.filter(|_| events > 0).map(|old| Box::new(old) as Box<dyn Query>);
        let kept = total.saturating_sub(events) as u64;
        if total > 0 {
            all.push((Expired { data_stream, keep, events: events as u64, kept }, old));
        }
    }
    Ok(all)
}

/// The names that events have; a deleted event's may still be among them.
fn data_streams(searcher: &Searcher, fields: &Fields) -> tantivy::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let terms = segment.inverted_index(fields.index)?;
        let mut terms = terms.terms().stream()?;
        while let Some((name, _)) = terms.next() {
            names.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}
