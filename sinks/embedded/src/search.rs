//! Hits in the order of time, one page at a time, from one snapshot of the index.
//!
//! A page is found by walking over all matches and keeping the next ones, so that any number of
//! hits takes no more memory than [`PAGE_HITS`]; documents are fetched by the mebibyte.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tahoe_seams::search::{Counts, Hit, Search, SearchRequest, VisitHit};
use tahoe_seams::{RecordId, SinkError};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::Query;
use tantivy::schema::Value as _;
use tantivy::{DateTime, DocAddress, DocId, Score, Searcher, SegmentReader, TantivyDocument};

use crate::EmbeddedStore;
use crate::counts::count;
use crate::query::{both, compile, in_time};
use crate::writer::{Shared, now_ms};

/// 50,000 places of 24 bytes per segment; a walk over a million matches takes some 10 ms.
const PAGE_HITS: usize = 50_000;

/// Documents held at once while they are visited.
const FETCHED_BYTES: usize = 1024 * 1024;

/// Newest first, then as stored.
type Place = (Reverse<i64>, u32, DocId);

struct Found {
    id: String,
    index: String,
    source: Vec<u8>,
}

#[async_trait::async_trait]
impl Search for EmbeddedStore {
    async fn search(
        &self,
        request: &SearchRequest,
        visit: &mut VisitHit<'_>,
    ) -> Result<u64, SinkError> {
        let shared = self.shared();
        let question = request.clone();
        let (searcher, query) = blocking(move || prepare(&shared, &question)).await?;
        let mut left = request.limit.unwrap_or(usize::MAX);
        let (mut after, mut visited) = (None, 0);
        while left > 0 {
            let (shared, searcher_, query_) = (self.shared(), searcher.clone(), query.box_clone());
            let page = Page { after, hits: left.min(PAGE_HITS) };
            let places = blocking(move || {
                searcher_.search(&query_, &page).map_err(|error| shared.unavailable(error))
            });
            let places = places.await?;
            left -= places.len();
            after = places.last().copied();
            if places.is_empty() {
                break;
            }
            let mut rest = places;
            while !rest.is_empty() {
                let (shared, searcher_) = (self.shared(), searcher.clone());
                let fetched = blocking(move || fetch(&shared, &searcher_, rest)).await?;
                rest = fetched.1;
                for found in &fetched.0 {
                    visited += 1;
                    let Found { id, index, source } = found;
                    if visit(Hit { id, index, source }).is_break() {
                        return Ok(visited);
                    }
                }
            }
        }
        Ok(visited)
    }

    async fn count(&self, request: &SearchRequest) -> Result<Counts, SinkError> {
        let (shared, request) = (self.shared(), request.clone());
        blocking(move || {
            let (searcher, query) = prepare(&shared, &request)?;
            count(&shared, &searcher, &query, &request)
        })
        .await
    }
}

/// Runs on a thread that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(SinkError::Unavailable(
            format!("the store's task ended: {error}"),
            Some(Box::new(error)),
        ))
    })
}

/// A snapshot of the last commit, whoever made it, and the query. The segments that it needs stay
/// readable even when a merge deletes their files, and the writer's lock holds deletion off while
/// they are opened.
fn prepare(
    shared: &Shared,
    request: &SearchRequest,
) -> Result<(Searcher, Box<dyn Query>), SinkError> {
    let query = compile(&request.query, &shared.fields, now_ms())
        .map_err(|error| SinkError::Refused(error.to_string(), None))?;
    let query = match (request.from_ms, request.to_ms) {
        (None, None) => query,
        (from, to) => both(query, in_time(&shared.fields, from, to)),
    };
    shared.reader.reload().map_err(|error| shared.unavailable(error))?;
    Ok((shared.reader.searcher(), query))
}

/// The documents of the first places, up to [`FETCHED_BYTES`], and the places left.
fn fetch(
    shared: &Shared,
    searcher: &Searcher,
    mut places: Vec<Place>,
) -> Result<(Vec<Found>, Vec<Place>), SinkError> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for (_, segment, document) in &places {
        let address = DocAddress::new(*segment, *document);
        let document: TantivyDocument =
            searcher.doc(address).map_err(|error| shared.unavailable(error))?;
        let field = |field| document.get_first(field);
        let id = field(shared.fields.id).and_then(|value| value.as_bytes()?.try_into().ok());
        let source = field(shared.fields.source).and_then(|value| value.as_bytes());
        let source = source.unwrap_or_default().to_vec();
        bytes += source.len();
        found.push(Found {
            id: RecordId(id.unwrap_or_default()).to_string(),
            index: field(shared.fields.index)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
                .to_owned(),
            source,
        });
        if bytes >= FETCHED_BYTES {
            break;
        }
    }
    places.drain(..found.len());
    Ok((found, places))
}

/// Collects the first `hits` places after `after`.
struct Page {
    after: Option<Place>,
    hits: usize,
}

struct SegmentPage {
    after: Option<Place>,
    hits: usize,
    segment: u32,
    times: Column<DateTime>,
    /// The last of the places kept is on top.
    kept: BinaryHeap<Place>,
}

impl Collector for Page {
    type Fruit = Vec<Place>;
    type Child = SegmentPage;

    fn for_segment(&self, segment: u32, reader: &SegmentReader) -> tantivy::Result<SegmentPage> {
        Ok(SegmentPage {
            after: self.after,
            hits: self.hits,
            segment,
            times: reader.fast_fields().date("@timestamp")?,
            kept: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Vec<Place>>) -> tantivy::Result<Vec<Place>> {
        let mut places: Vec<Place> = fruits.into_iter().flatten().collect();
        places.sort_unstable();
        places.truncate(self.hits);
        Ok(places)
    }
}

impl SegmentCollector for SegmentPage {
    type Fruit = Vec<Place>;

    fn collect(&mut self, document: DocId, _score: Score) {
        let time = self.times.first(document).map_or(i64::MIN, DateTime::into_timestamp_millis);
        let place = (Reverse(time), self.segment, document);
        if self.after.is_some_and(|after| place <= after) {
            return;
        }
        if self.kept.len() < self.hits {
            self.kept.push(place);
        } else if let Some(mut last) = self.kept.peek_mut()
            && place < *last
        {
            *last = place;
        }
    }

    fn harvest(self) -> Vec<Place> {
        self.kept.into_vec()
    }
}
