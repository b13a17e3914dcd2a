//! Which documents are stored already: asked before every one is written, so it has to be cheap.
//!
//! Ids begin with time, and so do the terms of `_id`: a segment whose first and last id are not
//! around the wanted one is never opened, which leaves one or two segments for new events.

use std::collections::HashMap;
use std::sync::Mutex;

use tantivy::columnar::StrColumn;
use tantivy::index::SegmentId;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED};

use crate::fields::Fields;

/// First and last id in a segment; none if it has no documents.
type Ends = Option<([u8; 16], [u8; 16])>;

/// What is remembered of the segments between two questions.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ends: Mutex<HashMap<SegmentId, Ends>>,
}

impl Known {
    /// For every `(id, data stream)` whether a committed document has both.
    pub fn contains(
        &self,
        searcher: &Searcher,
        fields: &Fields,
        wanted: &[([u8; 16], &str)],
    ) -> tantivy::Result<Vec<bool>> {
        let mut found = vec![false; wanted.len()];
        for (segment, ends) in searcher.segment_readers().iter().zip(self.ends(searcher, fields)?) {
            let Some((first, last)) = ends else { continue };
            let inside = |id: &[u8; 16]| (first..=last).contains(id);
            if !wanted.iter().any(|(id, _)| inside(id)) {
                continue;
            }
            let mut lookup = Lookup::open(segment, fields)?;
            for ((id, data_stream), found) in wanted.iter().zip(&mut found) {
                if !*found && inside(id) {
                    *found = lookup.contains(id, data_stream)?;
                }
            }
        }
        Ok(found)
    }

    fn ends(&self, searcher: &Searcher, fields: &Fields) -> tantivy::Result<Vec<Ends>> {
        let mut known = self.ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let segments = searcher.segment_readers();
        let ends: tantivy::Result<Vec<Ends>> = segments
            .iter()
            .map(|segment| match known.get(&segment.segment_id()) {
                Some(ends) => Ok(*ends),
                None => read_ends(segment, fields),
            })
            .collect();
        let ends = ends?;
        *known = segments.iter().map(SegmentReader::segment_id).zip(ends.iter().copied()).collect();
        Ok(ends)
    }
}

fn read_ends(segment: &SegmentReader, fields: &Fields) -> tantivy::Result<Ends> {
    let inverted = segment.inverted_index(fields.id)?;
    let terms = inverted.terms();
    let Some(last) = terms.num_terms().checked_sub(1) else { return Ok(None) };
    let mut bytes = Vec::with_capacity(16);
    let mut end = |ord: usize| -> tantivy::Result<Option<[u8; 16]>> {
        terms.ord_to_term(ord as u64, &mut bytes)?;
        Ok(bytes.as_slice().try_into().ok())
    };
    Ok(end(0)?.zip(end(last)?))
}

struct Lookup<'s> {
    segment: &'s SegmentReader,
    inverted: std::sync::Arc<tantivy::InvertedIndexReader>,
    data_streams: Option<StrColumn>,
    ordinals: HashMap<String, Option<u64>>,
}

impl<'s> Lookup<'s> {
    fn open(segment: &'s SegmentReader, fields: &Fields) -> tantivy::Result<Self> {
        Ok(Self {
            segment,
            inverted: segment.inverted_index(fields.id)?,
            data_streams: segment.fast_fields().str("_index")?,
            ordinals: HashMap::new(),
        })
    }

    fn contains(&mut self, id: &[u8; 16], data_stream: &str) -> tantivy::Result<bool> {
        let Some(term) = self.inverted.terms().get(id)? else { return Ok(false) };
        let Some(column) = &self.data_streams else { return Ok(false) };
        if !self.ordinals.contains_key(data_stream) {
            let ordinal = column.dictionary().term_ord(data_stream)?;
            self.ordinals.insert(data_stream.to_owned(), ordinal);
        }
        let Some(wanted) = self.ordinals[data_stream] else { return Ok(false) };
        let mut documents =
            self.inverted.read_postings_from_terminfo(&term, IndexRecordOption::Basic)?;
        while documents.doc() != TERMINATED {
            let document = documents.doc();
            if !self.segment.is_deleted(document) && column.ords().first(document) == Some(wanted) {
                return Ok(true);
            }
            documents.advance();
        }
        Ok(false)
    }
}
