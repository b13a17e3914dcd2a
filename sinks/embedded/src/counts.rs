//! Counts by the values of one or several fields, exact, read from the columns.
//!
//! Within a segment a value is the number that its column keeps; it becomes text once per row.

use std::collections::HashMap;

use jiff::Timestamp;
use tahoe_seams::SinkError;
use tahoe_seams::search::{Count, Counts, SearchRequest};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::DynamicColumn;
use tantivy::query::Query;
use tantivy::{DocId, Score, Searcher, SegmentReader};

use crate::fields::is_text;
use crate::writer::Shared;

/// 500,000 rows of some 100 bytes: a count by more values than that is a list of events.
const ROWS_MAX: usize = 500_000;

/// A value in a segment: which of the field's columns, and its number there.
type Number = Option<(usize, u64)>;

type Rows = HashMap<Vec<Option<String>>, u64>;

/// Answers a request with `by`.
pub(crate) fn count(
    shared: &Shared,
    searcher: &Searcher,
    query: &dyn Query,
    request: &SearchRequest,
) -> Result<Counts, SinkError> {
    for field in &request.by {
        if is_text(field) || field == "_id" || field.is_empty() {
            let text = format!("cannot count by `{field}`: name a field with exact values in --by");
            return Err(SinkError::Refused(text, None));
        }
    }
    let rows = searcher
        .search(query, &By { fields: request.by.iter().map(|field| column_name(field)).collect() })
        .map_err(|error| shared.unavailable(error))?;
    let Some(rows) = rows else {
        let text = format!("more than {ROWS_MAX} different rows: name fewer fields in --by");
        return Err(SinkError::Refused(text, None));
    };
    let rows = rows.into_iter().map(|(values, events)| Count { values, events }).collect();
    Ok(Counts::top(rows, request.limit))
}

fn column_name(field: &str) -> String {
    match field {
        "_index" | "@timestamp" => field.to_owned(),
        _ => format!("doc.{field}"),
    }
}

struct By {
    fields: Vec<String>,
}

struct SegmentBy {
    fields: Vec<Vec<DynamicColumn>>,
    rows: HashMap<Vec<Number>, u64>,
    row: Vec<Number>,
    overflow: bool,
}

impl Collector for By {
    /// None: too many rows.
    type Fruit = Option<Rows>;
    type Child = SegmentBy;

    fn for_segment(&self, _segment: u32, reader: &SegmentReader) -> tantivy::Result<SegmentBy> {
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let mut columns = Vec::new();
            for handle in reader.fast_fields().dynamic_column_handles(field)? {
                columns.push(handle.open()?);
            }
            fields.push(columns);
        }
        let row = Vec::with_capacity(fields.len());
        Ok(SegmentBy { fields, rows: HashMap::new(), row, overflow: false })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Option<Rows>>) -> tantivy::Result<Option<Rows>> {
        let mut all = Rows::new();
        for rows in fruits {
            let Some(rows) = rows else { return Ok(None) };
            for (values, events) in rows {
                *all.entry(values).or_default() += events;
            }
            if all.len() > ROWS_MAX {
                return Ok(None);
            }
        }
        Ok(Some(all))
    }
}

impl SegmentCollector for SegmentBy {
    type Fruit = Option<Rows>;

    fn collect(&mut self, document: DocId, _score: Score) {
        self.combine(document);
    }

    fn harvest(self) -> Option<Rows> {
        if self.overflow {
            return None;
        }
        let text = |(number, columns): (&Number, &Vec<DynamicColumn>)| {
            number.map(|(column, number)| as_text(&columns[column], number))
        };
        let rows = self.rows.iter().map(|(row, events)| {
            (row.iter().zip(&self.fields).map(text).collect::<Vec<_>>(), *events)
        });
        // Two numbers may have one text: 5 in one column and "5" in another.
        let mut texts = Rows::new();
        for (row, events) in rows {
            *texts.entry(row).or_default() += events;
        }
        Some(texts)
    }
}

impl SegmentBy {
    /// Counts a document in every row that its values make: one, unless a field has several.
    fn combine(&mut self, document: DocId) {
        let field = self.row.len();
        let Some(columns) = self.fields.get(field) else {
            if let Some(events) = self.rows.get_mut(&self.row) {
                *events += 1;
            } else if self.rows.len() < ROWS_MAX {
                self.rows.insert(self.row.clone(), 1);
            } else {
                self.overflow = true;
            }
            return;
        };
        let mut numbers: Vec<Number> = Vec::new();
        for (n, column) in columns.iter().enumerate() {
            values(column, document, |number| numbers.push(Some((n, number))));
        }
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            numbers.push(None);
        }
        for number in numbers {
            self.row.push(number);
            self.combine(document);
            self.row.pop();
        }
    }
}

#[expect(clippy::cast_sign_loss, reason = "bits are kept, and read back by `as_text`")]
fn values(column: &DynamicColumn, document: DocId, mut each: impl FnMut(u64)) {
    match column {
        DynamicColumn::Str(column) => column.ords().values_for_doc(document).for_each(each),
        DynamicColumn::U64(column) => column.values_for_doc(document).for_each(each),
        DynamicColumn::I64(column) => column.values_for_doc(document).for_each(|v| each(v as u64)),
        DynamicColumn::F64(column) => {
            column.values_for_doc(document).for_each(|v| each(v.to_bits()));
        }
        DynamicColumn::Bool(column) => column.values_for_doc(document).for_each(|v| each(v.into())),
        DynamicColumn::DateTime(column) => {
            column.values_for_doc(document).for_each(|v| each(v.into_timestamp_millis() as u64))
        }
        DynamicColumn::Bytes(_) | DynamicColumn::IpAddr(_) => {}
    }
}

#[expect(clippy::cast_possible_wrap, reason = "bits come back as `values` read them")]
fn as_text(column: &DynamicColumn, number: u64) -> String {
    match column {
        DynamicColumn::Str(column) => {
            let mut text = String::new();
            // An ordinal that the column itself gave is in its dictionary.
            let _ = column.ord_to_str(number, &mut text);
            text
        }
        DynamicColumn::I64(_) => (number as i64).to_string(),
        DynamicColumn::F64(_) => f64::from_bits(number).to_string(),
        DynamicColumn::Bool(_) => (number != 0).to_string(),
        DynamicColumn::DateTime(_) => Timestamp::from_millisecond(number as i64)
            .map_or_else(|_| (number as i64).to_string(), |time| time.to_string()),
        DynamicColumn::U64(_) | DynamicColumn::Bytes(_) | DynamicColumn::IpAddr(_) => {
            number.to_string()
        }
    }
}
