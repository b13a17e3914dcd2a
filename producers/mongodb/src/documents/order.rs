//! Where a document stands: its time, the kind of its `_id`, and the `_id`. MongoDB orders values of
//! different kinds by their kinds, but `$gt` sees only those of the kind that it is given; so a
//! place says the kind, and a range names the kinds that follow and those that come before.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, Timestamp, doc,
};
use tahoe_pipeline::poll::{Cursor, Former, Part};

use crate::change::id_of;
use crate::value;

/// What an `_id` can be, in the order of MongoDB's manual. Positions say them by number.
const KINDS: [&str; 11] = [
    "minKey",
    "null",
    "number",
    "string",
    "object",
    "binData",
    "objectId",
    "bool",
    "date",
    "timestamp",
    "maxKey",
];

/// Documents of one collection, by one field's time and their `_id`.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The field; with dots, one within others.
    field: String,
}

impl Order {
    pub fn by(field: &str) -> Self {
        Self { field: field.to_owned() }
    }

    /// A document's time.
    pub fn time(&self, document: &RawDocument) -> Option<DateTime> {
        let (mut path, name) = self.split();
        let within = path.try_fold(document, |document, name| document.get_document(name).ok())?;
        within.get_datetime(name).ok()
    }

    fn split(&self) -> (impl Iterator<Item = &str>, &str) {
        let (path, name) = self.field.rsplit_once('.').unwrap_or(("", &self.field));
        (path.split('.').filter(|name| !name.is_empty()), name)
    }

    /// Where a document stands; `None` without a time, or if its `_id` has no order here.
    pub fn place(&self, document: &RawDocument) -> Option<Cursor> {
        place_of(self.time(document)?, id_of(document)?)
    }

    /// Behind every document of the time that a record has at this place.
    pub fn end_of_time(record: &[u8], at: &str, name: &str) -> Option<Cursor> {
        let mut cursor = Cursor::of_record(record, at, &[name.to_owned()])?;
        cursor.0.push(Part::Number(i128::MAX));
        Some(cursor)
    }

    /// The same of a record that is the document itself.
    pub fn end_of_own_time(&self, record: &[u8]) -> Option<Cursor> {
        let (path, name) = self.split();
        let at: String = path.map(|name| format!("/{name}")).collect();
        Self::end_of_time(record, &at, name)
    }

    /// Documents that have a time, and one of this age: of a list of times none is its time.
    pub fn condition(&self, until: DateTime) -> Document {
        let first = DateTime::from_millis(*value::DATES_MS.start());
        let not_many = doc! {"$type": "array"};
        doc! {&self.field: {"$type": "date", "$not": not_many, "$gte": first, "$lte": until}}
    }

    /// Documents of a range; `None` if a place is none of ours.
    pub fn range(&self, after: Option<&Cursor>, through: &Cursor) -> Option<Document> {
        let field = self.field.as_str();
        let (last, kind, id) = parts_of(through)?;
        let before = [doc! {field: {"$lt": last}}, doc! {field: last, "_id": {"$lte": id}}];
        let mut parts = vec![self.condition(last), either(before, field, last, &KINDS[..kind])];
        if let Some(after) = after {
            let (first, kind, id) = parts_of(after)?;
            let behind = [doc! {field: {"$gt": first}}, doc! {field: first, "_id": {"$gt": id}}];
            parts.push(doc! {field: {"$gte": first}});
            parts.push(either(behind, field, first, &KINDS[kind + 1..]));
        }
        Some(doc! {"$and": parts})
    }

    /// In this order, or against it.
    pub fn sort(&self, direction: i32) -> Document {
        doc! {&self.field: direction, "_id": direction}
    }
}

/// These, or those of a time whose `_id` is of one of the kinds.
fn either(these: [Document; 2], field: &str, time: DateTime, kinds: &[&str]) -> Document {
    let mut either = these.to_vec();
    if !kinds.is_empty() {
        either.push(doc! {field: time, "_id": {"$type": kinds}});
    }
    doc! {"$or": either}
}

fn place_of(time: DateTime, id: RawBsonRef<'_>) -> Option<Cursor> {
    let (kind, id) = match id {
        RawBsonRef::MinKey => ("minKey", Part::Number(0)),
        RawBsonRef::Null => ("null", Part::Number(0)),
        RawBsonRef::Int32(number) => ("number", Part::Number(number.into())),
        RawBsonRef::Int64(number) => ("number", Part::Number(number.into())),
        RawBsonRef::Double(number) => ("number", Part::Number(whole(number)?)),
        RawBsonRef::String(text) => ("string", Part::Text(text.to_owned())),
        RawBsonRef::Binary(binary) => {
            let kind: u8 = binary.subtype.into();
            let length = binary.bytes.len();
            let bytes: String = binary.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            ("binData", Part::Text(format!("{length:08x}{kind:02x}{bytes}")))
        }
        RawBsonRef::ObjectId(id) => ("objectId", Part::Text(id.to_hex())),
        RawBsonRef::Boolean(is) => ("bool", Part::Number(is.into())),
        RawBsonRef::DateTime(date) => ("date", Part::Number(date.timestamp_millis().into())),
        RawBsonRef::Timestamp(stamp) => {
            ("timestamp", Part::Number(i128::from(stamp.time) << 32 | i128::from(stamp.increment)))
        }
        RawBsonRef::MaxKey => ("maxKey", Part::Number(0)),
        _ => return None,
    };
    let kind = KINDS.iter().position(|known| *known == kind).expect("the kind is in the list");
    let kind = i128::try_from(kind).expect("there are few");
    let mut json = Vec::new();
    value::write_value(RawBsonRef::DateTime(time), &mut json).ok()?;
    Some(Cursor(vec![Part::of_json(&json)?, Part::Number(kind), id]))
}

/// A number without a fraction that no other number is taken for.
fn whole(number: f64) -> Option<i128> {
    let exact = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
    exact.then_some(number as i128)
}

/// Time, kind and `_id` of a place.
fn parts_of(place: &Cursor) -> Option<(DateTime, usize, Bson)> {
    let [Part::Text(time), Part::Number(kind), id] = &place.0[..] else { return None };
    let time = DateTime::parse_rfc3339_str(format!("{time}Z")).ok()?;
    let kind = usize::try_from(*kind).ok()?;
    let id = match (*KINDS.get(kind)?, id) {
        ("minKey", _) => Bson::MinKey,
        ("null", _) => Bson::Null,
        ("maxKey", _) => Bson::MaxKey,
        ("number", Part::Number(number)) => Bson::Int64(i64::try_from(*number).ok()?),
        ("string", Part::Text(text)) => Bson::String(text.clone()),
        ("binData", Part::Text(text)) => Bson::Binary(binary_of(text)?),
        ("objectId", Part::Text(text)) => Bson::ObjectId(ObjectId::parse_str(text).ok()?),
        ("bool", Part::Number(number)) => Bson::Boolean(*number != 0),
        ("date", Part::Number(ms)) => {
            Bson::DateTime(DateTime::from_millis(i64::try_from(*ms).ok()?))
        }
        ("timestamp", Part::Number(number)) => Bson::Timestamp(Timestamp {
            time: u32::try_from(number >> 32).ok()?,
            increment: u32::try_from(number & i128::from(u32::MAX)).ok()?,
        }),
        _ => return None,
    };
    Some((time, kind, id))
}

/// Its length, its subtype and its bytes, as which MongoDB orders it, in hexadecimal digits.
fn binary_of(text: &str) -> Option<Binary> {
    let digits = text.get(8..)?;
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let mut bytes: Vec<u8> = pairs.map(byte).collect::<Option<_>>()?;
    if bytes.is_empty() {
        return None;
    }
    let subtype = BinarySubtype::from(bytes.remove(0));
    Some(Binary { subtype, bytes })
}

/// A position of the reader before this one: `{v: 1, after?: {time, id}, through?: {time, id}}` as
/// BSON. All up to `after` was given, and of what followed up to `through` perhaps a part; nothing
/// was to come there any more. `None` if it is something else.
pub(super) fn former(bytes: &[u8]) -> Option<Former> {
    let document = Document::try_from(RawDocument::from_bytes(bytes).ok()?).ok()?;
    if document.get_i32("v").ok() != Some(1) {
        return None;
    }
    let at = |name: &str| match document.get_document(name) {
        Err(_) => Some(None),
        Ok(at) => {
            let id = RawDocumentBuf::try_from(&doc! {"_id": at.get("id")?}).ok()?;
            place_of(*at.get_datetime("time").ok()?, id_of(&id)?).map(Some)
        }
    };
    let (after, through) = (at("after")?, at("through")?);
    Some(Former { settled: through.or_else(|| after.clone()), after })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(document).expect("it is BSON")
    }

    fn place(ms: i64, id: impl Into<Bson>) -> Option<Cursor> {
        Order::by("at").place(&raw(&doc! {"_id": id.into(), "at": DateTime::from_millis(ms)}))
    }

    #[test]
    fn places_have_the_order_of_mongodb_and_their_ids_read_back() {
        let binary = |bytes: &[u8]| Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() };
        let ids: Vec<Bson> = vec![
            Bson::MinKey,
            Bson::Null,
            (-7_i64).into(),
            3_i64.into(),
            20_i64.into(),
            "".into(),
            "9".into(),
            "ß".into(),
            binary(&[9]).into(),
            binary(&[1, 0]).into(),
            ObjectId::from_bytes([1; 12]).into(),
            ObjectId::from_bytes([200; 12]).into(),
            false.into(),
            true.into(),
            DateTime::from_millis(-1).into(),
            DateTime::from_millis(10).into(),
            Bson::Timestamp(Timestamp { time: u32::MAX, increment: 7 }),
            Bson::MaxKey,
        ];
        let places: Vec<_> = ids.iter().map(|id| place(5, id.clone())).collect();
        for pair in places.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for (id, place) in ids.iter().zip(&places) {
            let (time, _, read) = parts_of(place.as_ref().expect("a place")).expect("ours");
            assert_eq!((time.timestamp_millis(), &read), (5, id));
        }
        assert_eq!(place(5, 3.0), place(5, 3));
        assert!(place(1_772_000_000_000, "z") < place(1_772_000_000_250, 1));
        assert_eq!([place(5, 0.5), place(5, doc! {"a": 1})], [None, None]);
    }

    #[test]
    fn a_time_may_be_within_a_field_and_a_record_tells_it() {
        let order = Order::by("meta.at");
        let time = DateTime::from_millis(1_772_000_000_000);
        let document = raw(&doc! {"_id": 1, "meta": {"at": time}, "at": "never"});
        assert_eq!(order.time(&document), Some(time));
        let mut json = Vec::new();
        value::write_document(&document, &mut json).expect("BSON");
        let end = order.end_of_own_time(&json).expect("it has a time");
        let place = order.place(&document).expect("a place");
        assert!(place < end && place.0[0] == end.0[0], "{place} {end}");
        assert_eq!(order.place(&raw(&doc! {"_id": 1, "meta": {"at": [time]}})), None);
    }

    #[test]
    fn a_position_of_the_former_reader_is_understood_and_no_other_is() {
        let at = |ms: i64, id: i32| doc! {"time": DateTime::from_millis(ms), "id": id};
        let read = |document: Document| former(&document.to_vec().expect("BSON"));
        let found = read(doc! {"v": 1, "after": at(7, 3), "through": at(9, 4)}).expect("known");
        assert_eq!((found.after, found.settled), (place(7, 3), place(9, 4)));
        let found = read(doc! {"v": 1, "after": at(7, 3)}).expect("known");
        assert_eq!((&found.after, &found.settled), (&place(7, 3), &place(7, 3)));
        let found = read(doc! {"v": 1}).expect("known");
        assert_eq!((found.after, found.settled), (None, None));
        assert!(read(doc! {"v": 2}).is_none() && former(b"{}").is_none());
    }
}
