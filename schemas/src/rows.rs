//! What a change says of its row, for stores that keep one document per row beside the events, in
//! `rows-<package>.<table>-<namespace>`.
//!
//! A row's document is named by its key, and a change is ordered by its place in the database's own
//! log and its number in the transaction; a row that was only read is as old as the place that it
//! carries, so that it replaces no later change. A change of the key is two: of the row that is
//! there now, and of the one that is gone. A table without a key has no such rows.

use tahoe_seams::{Events, Record, RowChange, RowNow, RowPart};
use xxhash_rust::xxh3::xxh3_128;

use crate::scan::{Entries, Entry, Scan};
use crate::table::TableName;
use crate::{Event, Field, Value, fields};

/// How a position is written so that later ones of the same server sort later, as text; each
/// package of datasets has its own. `None` if it is not one.
pub(crate) type Place = fn(&str) -> Option<String>;

/// Bytes of an `_id`; Elasticsearch takes 512.
const ID_BYTES_MAX: usize = 512;

/// A document of this key is itself, whatever else its key names (a shard's).
const DOCUMENT_ID: &[u8] = b"_id";

/// What a row's document does not repeat of the event.
const LEFT_OUT: [Field; 12] = [
    fields::ROW,
    fields::MESSAGE,
    fields::db::AFTER,
    fields::db::BEFORE,
    fields::db::PARTIAL,
    fields::db::REMOVED,
    fields::db::TRUNCATED,
    fields::db::UNCHANGED,
    fields::event::ORIGINAL,
    fields::data_stream::DATASET,
    fields::data_stream::NAMESPACE,
    fields::data_stream::TYPE,
];

/// What a change says, as its event was given it.
pub(crate) struct Images<'a> {
    index: String,
    operation: &'a str,
    server: &'a str,
    version: String,
    key: Option<&'a [u8]>,
    before: Option<&'a [u8]>,
    after: Option<&'a [u8]>,
    unchanged: bool,
    partial: bool,
    removed: &'a [u8],
    truncated: &'a [u8],
}

impl<'a> Images<'a> {
    /// Of an event whose row is still whole in `db.after`.
    pub fn of(table: &TableName<'_>, place: Place, event: &Event<'a>, record: &Record<'a>) -> Self {
        let raw = |field| match event.get(field) {
            Some(Value::Raw(text)) => Some(text),
            _ => None,
        };
        let text = |field| event.get_str(field).unwrap_or_default();
        let (package, namespace) = (event.dataset().module, event.namespace());
        let place = event.get_str(fields::db::POSITION).and_then(place);
        let version = match (place, event.get(fields::db::SEQUENCE)) {
            (Some(place), Some(Value::I64(number))) => format!("{place}.{number:010}"),
            (Some(place), _) => place,
            // Before every place, since a row of unknown age replaces no change.
            (None, _) => format!("-{:020}", record.read_at_ms),
        };
        Self {
            index: format!("rows-{package}.{}-{namespace}", table.part()),
            operation: text(fields::db::operation::NAME),
            server: text(fields::db::SERVER),
            version,
            key: raw(fields::db::KEY),
            before: raw(fields::db::BEFORE),
            after: raw(fields::db::AFTER),
            unchanged: event.has(fields::db::UNCHANGED),
            partial: event.has(fields::db::PARTIAL),
            removed: raw(fields::db::REMOVED).unwrap_or_default(),
            truncated: raw(fields::db::TRUNCATED).unwrap_or_default(),
        }
    }

    /// Hands the changes of rows over. The event is stored already and used up here.
    pub fn store(self, event: &mut Event<'a>, events: &mut Events) {
        LEFT_OUT.into_iter().for_each(|field| event.remove(field));
        if self.operation == "truncate" {
            return events.keep(self.change(String::new(), None, event, RowNow::Emptied));
        }
        let Some(key) = self.key.and_then(entries) else { return };
        let id = id_of(&key);
        let old = self.before.and_then(entries).and_then(|before| old_key(&key, &before));
        let id_before = old.as_deref().map(id_of).filter(|before| *before != id);
        if self.operation == "delete" {
            return events.keep(self.change(id, None, event, RowNow::Gone));
        }
        if let Some(row) = self.row() {
            events.keep(self.change(id, id_before.clone(), event, row));
        }
        if let (Some(id), Some(old)) = (id_before, old) {
            let key = crate::object::object(&old, event);
            key.into_iter().for_each(|key| event.set(fields::db::KEY, key));
            events.keep(self.change(id, None, event, RowNow::Gone));
        }
    }

    /// What is known of the row now.
    fn row(&self) -> Option<RowNow> {
        if !self.partial && !self.unchanged {
            return self.after.map(|after| RowNow::Whole(after.to_vec()));
        }
        Some(RowNow::Part(RowPart {
            set: self.after.unwrap_or_default().to_vec(),
            removed: self.removed.to_vec(),
            truncated: self.truncated.to_vec(),
            by_path: self.partial,
        }))
    }

    fn change(
        &self,
        id: String,
        id_before: Option<String>,
        event: &mut Event<'_>,
        row: RowNow,
    ) -> RowChange {
        let mut about = Vec::with_capacity(512);
        event.write(&mut about);
        let (index, version) = (self.index.clone(), self.version.clone());
        let server = self.server.to_owned();
        RowChange { record: 0, index, id, id_before, server, version, about, row }
    }
}

/// The keys and values of a valid object.
fn entries(text: &[u8]) -> Option<Entries<'_>> {
    let mut scan = Scan::of_any_keys(text);
    scan.run().ok()?;
    (!scan.entries.is_empty()).then_some(scan.entries)
}

/// The key that the row had before, if all of it is known.
fn old_key<'a>(key: &[Entry<'a>], before: &[Entry<'a>]) -> Option<Entries<'a>> {
    let find = |column: &Entry<'a>| before.iter().find(|old| old.key == column.key).copied();
    key.iter().map(find).collect()
}

/// The value of a key of one column, or the key as an object.
fn id_of(key: &[Entry<'_>]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let own = key.iter().find(|column| column.key == DOCUMENT_ID);
    let id = match (own, key) {
        (Some(column), _) | (None, [column]) => text(column.value),
        (None, columns) => {
            let one =
                |column: &Entry<'_>| format!("\"{}\":{}", text(column.key), text(column.value));
            format!("{{{}}}", columns.iter().map(one).collect::<Vec<_>>().join(","))
        }
    };
    // No JSON begins with this sign.
    if id.len() > ID_BYTES_MAX { format!("#{:032x}", xxh3_128(id.as_bytes())) } else { id }
}

#[cfg(test)]
mod tests {
    use tahoe_seams::{Conditions, Origin, TablePatterns};

    use super::*;
    use crate::datasets;

    fn kept(dataset: &str, record: &str) -> Vec<RowChange> {
        let all = TablePatterns::new(["*".to_owned()]);
        let given = Conditions { latest_state: all, ..Conditions::default() };
        let mut events = Events::default();
        let origin = Origin { namespace: "acme".to_owned(), ..Origin::default() };
        let record = Record { read_at_ms: 7, ..Record::new(record.as_bytes(), &origin) };
        let dataset = datasets::find(dataset).expect("a dataset");
        dataset.normalizer.normalize(&record, &given, &mut events).expect("a change");
        assert_eq!(events.len(), 1, "the event is stored too");
        events.take_row_changes()
    }

    fn change(more: &str) -> Vec<RowChange> {
        let head = r#"{"v":1,"time":"2026-11-21T09:00:00Z","system":"postgresql","server":"s","#;
        let names = r#""db":"shop","schema":"public","table":"orders","#;
        kept("postgresql.change", &format!("{head}{names}{more}}}"))
    }

    #[test]
    fn a_row_is_named_by_its_key_and_ordered_by_its_place() {
        let insert =
            r#""op":"insert","key":{"id":7},"after":{"id":7},"position":"0/16B3748","n":3"#;
        let [put] = &change(insert)[..] else { panic!("one row") };
        assert_eq!((&*put.index, &*put.id), ("rows-postgresql.shop.public.orders-acme", "7"));
        assert_eq!(put.row, RowNow::Whole(b"{\"id\":7}".to_vec()));
        let later = insert.replace("0/16B3748", "1/0");
        assert!(change(&later)[0].version > put.version);
        let next = insert.replace("\"n\":3", "\"n\":12");
        assert!(change(&next)[0].version > put.version);
        let about = String::from_utf8_lossy(&put.about);
        assert!(about.contains("\"key\":{\"id\":7}") && !about.contains("after"), "{about}");
    }

    #[test]
    fn a_row_that_was_read_is_older_than_the_change_at_its_place() {
        let read = r#""op":"read","key":{"id":7},"after":{"id":7}"#;
        let insert = r#""op":"insert","key":{"id":7},"after":{"id":7},"position":"0/5","n":0"#;
        let placed = format!("{read},\"position\":\"0/5\"");
        assert!(change(&placed)[0].version < change(insert)[0].version);
        assert!(change(read)[0].version < change(&placed)[0].version);
    }

    #[test]
    fn another_key_is_another_row_and_the_old_one_is_gone() {
        let update = r#""op":"update","key":{"a":"ä","b":2},"before":{"a":"ä","b":1,"c":0},
            "after":{"a":"ä","b":2,"c":1},"position":"0/5","n":0"#
            .replace("\n", "");
        let [put, gone] = &change(&update)[..] else { panic!("two rows") };
        assert_eq!(put.id, r#"{"a":"ä","b":2}"#);
        assert_eq!((&*gone.id, &gone.row), (r#"{"a":"ä","b":1}"#, &RowNow::Gone));
        assert_eq!(put.id_before.as_ref(), Some(&gone.id));
        assert!(String::from_utf8_lossy(&gone.about).contains(r#""key":{"a":"ä","b":1}"#));
        let same = update.replace("\"b\":1,", "\"b\":2,");
        assert_eq!(change(&same).len(), 1);
    }

    #[test]
    fn what_a_change_leaves_out_is_no_null() {
        let update = r#""op":"update","key":{"id":1},"after":{"id":1},"unchanged":["note"],
            "position":"0/5","n":0"#
            .replace("\n", "");
        assert!(matches!(&change(&update)[0].row, RowNow::Part(part) if !part.by_path));
        let partial = concat!(
            r#"{"v":1,"op":"update","system":"mongodb","server":"s","db":"shop","table":"orders","#,
            r#""key":{"country":"ES","_id":{"x":1}},"partial":true,"removed":["note"],"#,
            r#""position":"82"}"#
        );
        let [part] = &kept("mongodb.change", partial)[..] else { panic!("one row") };
        assert_eq!(part.id, r#"{"x":1}"#);
        let RowNow::Part(row) = &part.row else { panic!("a part") };
        assert!(row.by_path && row.set.is_empty() && row.removed == b"[\"note\"]");
    }

    #[test]
    fn an_emptied_table_is_one_change_and_a_table_without_a_key_none() {
        let truncate = change(r#""op":"truncate","position":"0/5","n":0"#);
        assert_eq!(truncate.len(), 1);
        assert_eq!(truncate[0].row, RowNow::Emptied);
        assert_eq!(change(r#""op":"insert","after":{"n":1},"position":"0/5","n":0"#), []);
    }

    #[test]
    fn a_long_key_is_known_by_its_hash() {
        let key = format!("{{\"id\":\"{}\"}}", "x".repeat(600));
        let insert = format!(r#""op":"insert","key":{key},"after":{key},"position":"0/5","n":0"#);
        let id = change(&insert)[0].id.clone();
        assert!(id.starts_with('#') && id.len() == 33, "{id}");
    }
}
