//! What a change stream or a collection gives, as records of `mongodb.change` and `mongodb.row`.
//! A record is a function of the event's bytes, so that a second read gives the same.
//!
//! | operation | `op` | what it has |
//! |---|---|---|
//! | insert | `insert` | `after` |
//! | replace | `update` | `after`, whole |
//! | update | `update` | `after`, if the stream gives it (`--mongo-full-document`); else a part |
//! | delete | `delete` | `key` |
//! | drop, rename, invalidate… | `ddl` | `statement`: the operation, and what it was done to |
//!
//! Of a part, `partial` is true, and `after` has what was set, by path, `removed` the paths that are
//! gone, `truncated` the new lengths of arrays.
//!
//! `before` is there where the stream gives it (`--mongo-before`). `position` is the `_data` of the
//! resume token, whose order as text is the order of the changes. A row's is that of the last change
//! before the chunk that it was read in: a document is its row, and then every change behind the
//! row's position. A partial update behind it may be in the row already; it sets values, so that
//! applying it again changes nothing in the end. `tx` is `lsid` and `txnNumber`; `time` is the wall
//! time, or the cluster's time before MongoDB 6.

use mongodb::bson::{RawBsonRef, RawDocument};
use tahoe_pipeline::replicate::{LARGE_MIN, gap_statement, write_within};
use tahoe_schemas::change::ChangeWriter;
use tahoe_schemas::time::Time;

use crate::value::{self, Damaged, digest};

/// A document of so many small fields that none of them can give way does so as a whole, if it has
/// more than this.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;

/// Of a key.
const KEY_FIELD_BYTES_MAX: usize = 64 << 10;

/// Makes records, into buffers that it keeps.
pub(crate) struct Recorder {
    /// Who gives them.
    pub server: String,
    record_bytes_max: usize,
    /// The Kafka key of the last record.
    pub key: Vec<u8>,
    /// The last record.
    pub bytes: Vec<u8>,
    /// The last change says what its document is now, whatever it was before.
    pub is_whole: bool,
}

/// How much of each field a record takes.
#[derive(Clone, Copy)]
struct Fields {
    bytes_max: usize,
    document_bytes_max: usize,
}

impl Fields {
    fn within(bytes_max: usize) -> Self {
        let is_last = bytes_max == LARGE_MIN;
        let document_bytes_max = if is_last { DOCUMENT_BYTES_MAX } else { usize::MAX };
        Self { bytes_max, document_bytes_max }
    }

    /// A key stays, unless it is itself what is large.
    fn of_key(self) -> Self {
        Self { bytes_max: self.bytes_max.max(KEY_FIELD_BYTES_MAX), ..Self::within(usize::MAX) }
    }
}

/// Where a document is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// Database.
    pub db: &'a str,
    /// Collection; empty for what concerns the whole database.
    pub collection: &'a str,
}

impl Recorder {
    /// For records of at most so many bytes.
    pub fn new(server: String, record_bytes_max: usize) -> Self {
        Self { server, record_bytes_max, key: Vec::new(), bytes: Vec::new(), is_whole: false }
    }

    /// Makes the record of one event.
    ///
    /// # Errors
    /// The event is no BSON.
    pub fn change(&mut self, event: &RawDocument) -> Result<(), Damaged> {
        let event = Event::read(event)?;
        self.keys(event.place, event.document_key.and_then(id_of))?;
        self.is_whole = event.operation == "delete" || event.after.is_some();
        self.bytes.clear();
        let server = &self.server;
        write_within(self.record_bytes_max, &mut self.bytes, |bytes_max, out| {
            event.write(server, Fields::within(bytes_max), out)
        })
    }

    /// Makes the record of a document that was read, as of `position`; `time` is its own, if it
    /// has one.
    ///
    /// # Errors
    /// The document is no BSON.
    pub fn row(
        &mut self,
        place: Place<'_>,
        document: &RawDocument,
        position: &str,
        time: Option<i64>,
    ) -> Result<(), Damaged> {
        let id = id_of(document);
        self.keys(place, id)?;
        self.bytes.clear();
        let server = &self.server;
        write_within(self.record_bytes_max, &mut self.bytes, |bytes_max, out| {
            let fields = Fields::within(bytes_max);
            let mut result = Ok(());
            let mut record = ChangeWriter::begin(out, "read");
            if let Some(ms) = time {
                record.time(Time::from_ms(ms));
            }
            record.text("system", "mongodb").text("server", server);
            record.text("db", place.db).text("table", place.collection);
            record.json("key", |out| keep(&mut result, write_id(id, out)));
            record.json("after", |out| keep(&mut result, write(document, fields, out)));
            record.text("position", position).end();
            result
        })
    }

    /// Makes of a document that was read a record that is the document alone.
    ///
    /// # Errors
    /// The document is no BSON.
    pub fn document(&mut self, place: Place<'_>, document: &RawDocument) -> Result<(), Damaged> {
        self.keys(place, id_of(document))?;
        self.bytes.clear();
        write_within(self.record_bytes_max, &mut self.bytes, |bytes_max, out| {
            value::write_fields(document, bytes_max, out)
        })
    }

    /// The record that says what is missing where the server has lost our position.
    pub fn gap(&mut self, place: Place<'_>, lost: &str, position: &str) {
        self.keys(place, None).expect("without an id there is nothing to write");
        self.bytes.clear();
        let mut record = ChangeWriter::begin(&mut self.bytes, "ddl");
        record.text("system", "mongodb").text("server", &self.server).text("db", place.db);
        record.text("table", place.collection).text("position", position);
        record.text("statement", &gap_statement(lost, position));
        record.end();
    }

    /// `shop.orders:{"_id":7}`
    fn keys(&mut self, place: Place<'_>, id: Option<RawBsonRef<'_>>) -> Result<(), Damaged> {
        self.key.clear();
        self.key.extend_from_slice(place.db.as_bytes());
        self.key.push(b'.');
        self.key.extend_from_slice(place.collection.as_bytes());
        self.key.push(b':');
        match id {
            Some(_) => write_id(id, &mut self.key),
            None => Ok(()),
        }
    }
}

fn keep(result: &mut Result<(), Damaged>, new: Result<(), Damaged>) {
    if result.is_ok() {
        *result = new;
    }
}

fn write(document: &RawDocument, fields: Fields, out: &mut Vec<u8>) -> Result<(), Damaged> {
    let from = out.len();
    value::write_fields(document, fields.bytes_max, out)?;
    if out.len() - from > fields.document_bytes_max {
        digest(from, out);
    }
    Ok(())
}

fn write_id(id: Option<RawBsonRef<'_>>, out: &mut Vec<u8>) -> Result<(), Damaged> {
    out.extend_from_slice(b"{\"_id\":");
    value::write_value(id.unwrap_or(RawBsonRef::Null), out)?;
    out.push(b'}');
    Ok(())
}

/// A document's `_id`.
pub(crate) fn id_of(document: &RawDocument) -> Option<RawBsonRef<'_>> {
    document.get("_id").ok().flatten()
}

/// One event of a change stream, as it stands in the server's reply.
#[derive(Default)]
struct Event<'a> {
    operation: &'a str,
    place: Place<'a>,
    position: &'a str,
    time_ms: i64,
    document_key: Option<&'a RawDocument>,
    after: Option<&'a RawDocument>,
    before: Option<&'a RawDocument>,
    description: Option<&'a RawDocument>,
    to: Option<Place<'a>>,
    more: Option<&'a RawDocument>,
    session: Option<&'a RawDocument>,
    transaction: Option<i64>,
}

impl<'a> Event<'a> {
    fn read(document: &'a RawDocument) -> Result<Self, Damaged> {
        let mut event = Self::default();
        let mut wall_ms = None;
        for field in document.iter() {
            let (name, value) = field?;
            match (name.as_str(), value) {
                ("_id", RawBsonRef::Document(token)) => event.position = data_of(token),
                ("operationType", RawBsonRef::String(operation)) => event.operation = operation,
                ("ns", RawBsonRef::Document(place)) => event.place = place_of(place),
                ("to", RawBsonRef::Document(place)) => event.to = Some(place_of(place)),
                ("clusterTime", RawBsonRef::Timestamp(time)) => {
                    event.time_ms = i64::from(time.time) * 1000;
                }
                ("wallTime", RawBsonRef::DateTime(time)) => wall_ms = Some(time.timestamp_millis()),
                ("documentKey", RawBsonRef::Document(key)) => event.document_key = Some(key),
                ("fullDocument", RawBsonRef::Document(whole)) => event.after = Some(whole),
                ("fullDocumentBeforeChange", RawBsonRef::Document(whole)) => {
                    event.before = Some(whole);
                }
                ("updateDescription", RawBsonRef::Document(what)) => event.description = Some(what),
                ("operationDescription", RawBsonRef::Document(what)) => event.more = Some(what),
                ("lsid", RawBsonRef::Document(session)) => event.session = Some(session),
                ("txnNumber", RawBsonRef::Int64(number)) => event.transaction = Some(number),
                _ => {}
            }
        }
        event.time_ms = wall_ms.unwrap_or(event.time_ms);
        Ok(event)
    }

    /// The record's operation; `None` for what is not done to one document.
    fn operation(&self) -> Option<&'static str> {
        match self.operation {
            "insert" => Some("insert"),
            "update" | "replace" => Some("update"),
            "delete" => Some("delete"),
            _ => None,
        }
    }

    fn write(&self, server: &str, fields: Fields, out: &mut Vec<u8>) -> Result<(), Damaged> {
        let operation = self.operation();
        let mut result = Ok(());
        let mut record = ChangeWriter::begin(out, operation.unwrap_or("ddl"));
        record.time(Time::from_ms(self.time_ms)).text("system", "mongodb").text("server", server);
        record.text("db", self.place.db).text("table", self.place.collection);
        if let Some(key) = self.document_key {
            record.json("key", |out| keep(&mut result, write(key, fields.of_key(), out)));
        }
        if let Some(before) = self.before {
            record.json("before", |out| keep(&mut result, write(before, fields, out)));
        }
        match (operation, self.after, self.description) {
            (Some(_), Some(after), _) => {
                record.json("after", |out| keep(&mut result, write(after, fields, out)));
            }
            (Some("update"), None, Some(description)) => {
                keep(&mut result, write_description(description, fields, &mut record));
            }
            (Some(_), ..) => {}
            (None, ..) => {
                record.text("statement", &self.statement()?);
            }
        }
        record.text("tx", &self.tx()).text("position", self.position).end();
        result
    }

    /// `rename shop.orders to shop.archive`
    fn statement(&self) -> Result<String, Damaged> {
        let name = |place: Place<'_>| match place.collection {
            "" => place.db.to_owned(),
            collection => format!("{}.{collection}", place.db),
        };
        let mut text = format!("{} {}", self.operation, name(self.place));
        if let Some(to) = self.to {
            text.push_str(" to ");
            text.push_str(&name(to));
        }
        if let Some(more) = self.more {
            let mut json = vec![b' '];
            value::write_document(more, &mut json)?;
            text.push_str(&String::from_utf8_lossy(&json));
        }
        Ok(text.trim_end().to_owned())
    }

    /// `00112233-4455-6677-8899-aabbccddeeff:7`
    fn tx(&self) -> String {
        let id = self.session.and_then(|session| session.get_binary("id").ok());
        let id = id.and_then(|id| <[u8; 16]>::try_from(id.bytes).ok());
        match (id, self.transaction) {
            (Some(id), Some(number)) => format!("{}:{number}", value::uuid(id)),
            _ => String::new(),
        }
    }
}

/// What an update says where it does not come with the whole document.
fn write_description(
    description: &RawDocument,
    fields: Fields,
    record: &mut ChangeWriter<'_>,
) -> Result<(), Damaged> {
    let mut result = Ok(());
    record.json("partial", |out| out.extend_from_slice(b"true"));
    for field in description.iter() {
        match field? {
            (name, RawBsonRef::Document(updated)) if name.as_str() == "updatedFields" => {
                record.json("after", |out| keep(&mut result, write(updated, fields, out)));
            }
            (name, value) if name.as_str() == "removedFields" => {
                record.json("removed", |out| keep(&mut result, value::write_value(value, out)));
            }
            (name, RawBsonRef::Array(arrays)) if name.as_str() == "truncatedArrays" => {
                record.json("truncated", |out| {
                    let before = out.len();
                    out.push(b'{');
                    for array in arrays.into_iter().flatten() {
                        let Some(array) = array.as_document() else { continue };
                        let path = array.get_str("field").unwrap_or_default();
                        let size = array.get_i32("newSize").unwrap_or_default();
                        if out.len() > before + 1 {
                            out.push(b',');
                        }
                        tahoe_schemas::json::write_str(path, out);
                        out.extend_from_slice(format!(":{size}").as_bytes());
                    }
                    out.push(b'}');
                });
            }
            _ => {}
        }
    }
    result
}

fn place_of(document: &RawDocument) -> Place<'_> {
    Place {
        db: document.get_str("db").unwrap_or_default(),
        collection: document.get_str("coll").unwrap_or_default(),
    }
}

/// The part of a resume token by which changes are ordered.
pub(crate) fn data_of(token: &RawDocument) -> &str {
    token.get_str("_data").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Binary, Document, RawDocumentBuf, Timestamp, doc, spec::BinarySubtype};
    use serde_json::Value;

    use super::*;

    fn record(event: &Document, bytes_max: usize) -> (String, Value) {
        let event = RawDocumentBuf::try_from(event).expect("it is BSON");
        let mut recorder = Recorder::new("rs0".to_owned(), bytes_max);
        recorder.change(&event).expect("it is BSON");
        assert!(recorder.bytes.len() <= bytes_max);
        let record = serde_json::from_slice(&recorder.bytes).expect("it is JSON");
        (String::from_utf8(recorder.key).expect("it is UTF-8"), record)
    }

    #[test]
    fn a_transaction_has_its_session_and_number_and_an_old_server_the_clusters_time() {
        let session = Binary { subtype: BinarySubtype::Uuid, bytes: vec![0x11; 16] };
        let (key, record) = record(
            &doc! {
                "_id": {"_data": "8265"}, "operationType": "insert",
                "clusterTime": Timestamp { time: 1_772_000_000, increment: 3 },
                "lsid": {"id": session, "uid": "x"}, "txnNumber": 7_i64,
                "ns": {"db": "shop", "coll": "or.ders"},
                "documentKey": {"country": "ES", "_id": 7},
                "fullDocument": {"_id": 7, "country": "ES"},
            },
            16 << 20,
        );
        assert_eq!(key, "shop.or.ders:{\"_id\":7}");
        assert_eq!(record["tx"], "11111111-1111-1111-1111-111111111111:7");
        assert_eq!(record["time"], "2026-02-25T06:13:20.000Z");
        assert_eq!(record["key"], serde_json::json!({"country": "ES", "_id": 7}));
    }

    #[test]
    fn what_is_done_to_a_collection_is_told_as_a_statement() {
        let event = |operation: &str, more: Document| {
            let mut event = doc! {"_id": {"_data": "8265"}, "operationType": operation};
            event.extend(more);
            record(&event, 16 << 20).1["statement"].clone()
        };
        let orders = doc! {"db": "shop", "coll": "orders"};
        let to = doc! {"ns": orders.clone(), "to": {"db": "shop", "coll": "archive"}};
        assert_eq!(event("rename", to), "rename shop.orders to shop.archive");
        assert_eq!(event("dropDatabase", doc! {"ns": {"db": "shop"}}), "dropDatabase shop");
        let index = doc! {"ns": orders, "operationDescription": {"indexes": [{"key": {"n": 1}}]}};
        let text = "createIndexes shop.orders {\"indexes\":[{\"key\":{\"n\":1}}]}";
        assert_eq!(event("createIndexes", index), text);
    }

    #[test]
    fn a_record_that_is_too_long_keeps_its_key_and_place() {
        let large = doc! {
            "_id": {"_data": "8265"}, "operationType": "replace",
            "ns": {"db": "shop", "coll": "photos"}, "documentKey": {"_id": 7},
            "fullDocument": {"_id": 7, "name": "a", "bytes": "x".repeat(200_000)},
        };
        let (_, record) = record(&large, 100_000);
        assert_eq!(record["key"]["_id"], 7);
        assert_eq!(record["after"]["name"], "a");
        assert_eq!(record["after"]["bytes"]["bytes"], 200_002);
        let mut many = Document::new();
        many.extend((0..20_000).map(|n| (format!("f{n}"), n.into())));
        let many = doc! {
            "_id": {"_data": "8265"}, "operationType": "insert",
            "ns": {"db": "shop", "coll": "photos"}, "documentKey": {"_id": 7}, "fullDocument": many,
        };
        let (_, record) = self::record(&many, 100_000);
        assert_eq!(record["key"]["_id"], 7);
        assert!(record["after"]["sha256"].is_string(), "{record}");
    }

    #[test]
    fn a_log_document_that_is_too_long_keeps_what_is_short_in_it() {
        let large = doc! {"_id": 7, "level": "error", "dump": "x".repeat(200_000)};
        let large = RawDocumentBuf::try_from(&large).expect("it is BSON");
        let mut recorder = Recorder::new(String::new(), 100_000);
        let place = Place { db: "shop", collection: "logs" };
        recorder.document(place, &large).expect("it is BSON");
        let record: Value = serde_json::from_slice(&recorder.bytes).expect("it is JSON");
        assert_eq!((&record["_id"], &record["level"]), (&Value::from(7), &Value::from("error")));
        assert_eq!(record["dump"]["bytes"], 200_002);
        assert_eq!(recorder.key, b"shop.logs:{\"_id\":7}");
    }
}
