//! Documents by their ids alone, in whatever data stream, and how one of them is removed.

use std::hash::{DefaultHasher, Hasher as _};

use tahoe_seams::{Present, RecordId, Version};
use tantivy::collector::DocSetCollector;
use tantivy::query::{BooleanQuery, Query, TermQuery, TermSetQuery};
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{Searcher, TantivyDocument, Term};

use crate::fields::Fields;

/// All committed documents of these ids.
pub(crate) fn present_in(
    searcher: &Searcher,
    fields: &Fields,
    ids: &[RecordId],
) -> tantivy::Result<Vec<Present>> {
    let terms = ids.iter().map(|id| Term::from_field_bytes(fields.id, &id.0));
    let found = searcher.search(&TermSetQuery::new(terms), &DocSetCollector)?;
    let mut present = Vec::with_capacity(found.len());
    for address in found {
        let document: TantivyDocument = searcher.doc(address)?;
        let field = |field| document.get_first(field);
        let id = field(fields.id).and_then(|value| value.as_bytes()?.try_into().ok());
        let data_stream = field(fields.index).and_then(|value| value.as_str()).unwrap_or_default();
        let source = field(fields.source).and_then(|value| value.as_bytes()).unwrap_or_default();
        present.push(Present {
            id: RecordId(id.unwrap_or_default()),
            data_stream: data_stream.to_owned(),
            version: version(data_stream, source),
            document: source.to_vec().into(),
        });
    }
    Ok(present)
}

/// There are no sequence numbers here: a hash of the document says that it is the one that was seen.
fn version(data_stream: &str, source: &[u8]) -> Version {
    let mut hash = DefaultHasher::new();
    hash.write(source);
    Version { index: data_stream.to_owned(), seq_no: hash.finish(), primary_term: 0 }
}

/// The document of an id in one data stream.
pub(crate) fn copy_of(fields: &Fields, id: RecordId, data_stream: &str) -> Box<dyn Query> {
    let terms = [
        Term::from_field_bytes(fields.id, &id.0),
        Term::from_field_text(fields.index, data_stream),
    ];
    let query =
        |term| -> Box<dyn Query> { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) };
    Box::new(BooleanQuery::intersection(terms.map(query).into()))
}
