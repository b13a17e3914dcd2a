//! A place in a change stream from which a start goes on, and in a snapshot: the chunk that is read
//! next, with both its ends, so that a second reading covers the same documents. It is BSON,
//! version 1: `{v, id, set, token, lost?, chunk?: {collection, kind, after?, through}}`.

use mongodb::bson::{Bson, Document, RawDocument, Timestamp, doc};

use crate::change::data_of;
use crate::server::Identity;
use crate::stream::place_in_oplog;

const VERSION: i32 = 1;

/// Where reading is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// Who gave it.
    pub server: Identity,
    /// The resume token.
    pub token: Document,
    /// What is read of the snapshot next; `None` when it is over.
    pub chunk: Option<Chunk>,
    /// The position whose changes up to this point are lost.
    pub lost: Option<String>,
}

/// A range of one collection's documents, by `_id`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    /// The collection.
    pub collection: String,
    /// Which kind of ids, as [`crate::snapshot`] counts them.
    pub kind: usize,
    /// It begins behind this id.
    pub after: Option<Bson>,
    /// Its last id.
    pub through: Bson,
}

impl Point {
    /// As text, what changes are ordered by.
    pub fn position(&self) -> String {
        let token = mongodb::bson::RawDocumentBuf::try_from(&self.token).unwrap_or_default();
        data_of(&token).to_owned()
    }

    /// The cluster's time at it.
    pub fn time(&self) -> Option<Timestamp> {
        place_in_oplog(&self.position()).map(|(time, _)| time)
    }

    /// The point's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut document = doc! {
            "v": VERSION,
            "id": &self.server.id,
            "set": &self.server.set,
            "token": &self.token,
        };
        if let Some(lost) = &self.lost {
            document.insert("lost", lost);
        }
        if let Some(chunk) = &self.chunk {
            let kind = i32::try_from(chunk.kind).expect("there are few kinds");
            let mut range = doc! {
                "collection": &chunk.collection,
                "kind": kind,
                "through": &chunk.through,
            };
            if let Some(after) = &chunk.after {
                range.insert("after", after);
            }
            document.insert("chunk", range);
        }
        document.to_vec().expect("it is a small document of ours")
    }

    /// `None` if it is of a newer version, or damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let document = Document::try_from(RawDocument::from_bytes(bytes).ok()?).ok()?;
        if document.get_i32("v").ok() != Some(VERSION) {
            return None;
        }
        let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
        let chunk = match document.get_document("chunk") {
            Ok(range) => Some(Chunk {
                collection: range.get_str("collection").ok()?.to_owned(),
                kind: usize::try_from(range.get_i32("kind").ok()?).ok()?,
                after: range.get("after").cloned(),
                through: range.get("through")?.clone(),
            }),
            Err(_) => None,
        };
        Some(Self {
            server: Identity { id: text("id")?, set: text("set")? },
            token: document.get_document("token").ok()?.clone(),
            chunk,
            lost: text("lost"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_reads_back_as_it_was_and_nothing_else_does() {
        let chunk = Chunk {
            collection: "größe.$x".to_owned(),
            kind: 2,
            after: None,
            through: Bson::Document(doc! {"a": 1.5}),
        };
        let server = Identity { id: String::new(), set: "rs0".to_owned() };
        let token = doc! {"_data": "8265F0"};
        let lost = Some("8265".to_owned());
        let point = Point { server, token, chunk: Some(chunk), lost };
        assert_eq!(point.position(), "8265F0");
        assert_eq!(Point::decode(&point.encode()).as_ref(), Some(&point));
        let plain = Point { chunk: None, lost: None, ..point };
        assert_eq!(Point::decode(&plain.encode()).as_ref(), Some(&plain));
        assert_eq!(Point::decode(&doc! {"v": 2}.to_vec().expect("BSON")), None);
        assert_eq!(Point::decode(b"not BSON"), None);
    }
}
