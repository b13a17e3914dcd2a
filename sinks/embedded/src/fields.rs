//! What is indexed of a document: its id as bytes in the order of time, every value exactly, the
//! words of its text, and all words of all fields for a query that names none.

use tantivy::schema::{
    BytesOptions, DateOptions, DateTimePrecision, FAST, Field, INDEXED, IndexRecordOption,
    JsonObjectOptions, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer};
use tantivy::{Index, Term};

/// Fields whose words are searched instead of their exact value, as in Elasticsearch's own ECS
/// templates (`match_only_text`, `wildcard`).
const TEXT_FIELDS: [&str; 4] = ["message", "error.message", "error.stack_trace", "event.original"];

/// Name of the analyzer for text.
const WORDS: &str = "words";

/// Longest word in bytes: a SHA-512 in hex is 128, and Elasticsearch's standard analyzer cuts at 255.
const WORD_BYTES_MAX: usize = 255;

/// The fields of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The 16 bytes of the record's id, so that terms sort by time.
    pub id: Field,
    /// Name of the data stream.
    pub index: Field,
    /// The event's time.
    pub timestamp: Field,
    /// When this store took it: what retention goes by, as in a data stream.
    pub stored_at: Field,
    /// The document's bytes.
    pub source: Field,
    /// Every value that is not text, exactly.
    pub values: Field,
    /// The words of the text fields, by path.
    pub text: Field,
    /// The words of all other fields, for a query that names no field.
    pub all: Field,
    /// Paths that have no column: text fields, and values too long to be indexed exactly.
    pub names: Field,
}

impl Fields {
    /// The schema, and the fields in it.
    pub fn build() -> (Schema, Fields) {
        let mut schema = Schema::builder();
        let words = TextFieldIndexing::default()
            .set_tokenizer(WORDS)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let raw = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic);
        let fields = Fields {
            id: schema.add_bytes_field("_id", BytesOptions::default().set_indexed().set_stored()),
            index: schema.add_text_field("_index", STRING | FAST | STORED),
            timestamp: schema.add_date_field("@timestamp", milliseconds()),
            stored_at: schema.add_date_field("_stored_at", milliseconds()),
            source: schema.add_bytes_field("_source", STORED),
            values: schema.add_json_field(
                "doc",
                JsonObjectOptions::default()
                    .set_indexing_options(raw.clone())
                    .set_fast("raw")
                    .set_expand_dots_enabled(),
            ),
            text: schema.add_json_field(
                "text",
                JsonObjectOptions::default()
                    .set_indexing_options(words.clone())
                    .set_expand_dots_enabled(),
            ),
            all: schema.add_text_field("_all", TextOptions::default().set_indexing_options(words)),
            names: schema
                .add_text_field("_names", TextOptions::default().set_indexing_options(raw)),
        };
        (schema.build(), fields)
    }

    /// The term of an exact text value of `path`.
    pub fn value_term(&self, path: &str) -> Term {
        Term::from_field_json_path(self.values, path, true)
    }
}

fn milliseconds() -> DateOptions {
    DateOptions::from(INDEXED).set_precision(DateTimePrecision::Milliseconds).set_fast()
}

/// A text field's words are searched, and it may not be an object.
pub(crate) fn is_text(path: &str) -> bool {
    TEXT_FIELDS.contains(&path)
}

/// The text fields, which a query without a field searches besides `_all`.
pub(crate) fn text_fields() -> impl Iterator<Item = &'static str> {
    TEXT_FIELDS.into_iter()
}

/// Letters and digits in lower case, whatever stands between them.
pub(crate) fn words() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
        .filter(LowerCaser)
        .build()
}

/// Tells an index how text is cut into words; has to happen at every opening.
pub(crate) fn register_words(index: &Index) {
    index.tokenizers().register(WORDS, words());
}
