//! A database of one test on the stand-in for MongoDB.

use mongodb::Client;
use mongodb::bson::{Document, doc};
use tokio::runtime::Runtime;

use crate::servers::setting;

/// A database of one test.
pub struct Database {
    /// Its name.
    pub name: String,
    /// HOST:PORT
    pub server: String,
    /// What the driver runs on.
    pub runtime: Runtime,
    /// The driver's view of it.
    pub db: mongodb::Database,
}

impl Database {
    /// `None` skips the test.
    ///
    /// # Panics
    /// When the server is not there.
    pub fn open(name: &str) -> Option<Self> {
        let server = setting("TAHOE_TEST_MONGODB")?;
        let runtime = Runtime::new().expect("threads");
        let uri = format!("mongodb://{server}/?directConnection=true");
        let client = runtime.block_on(Client::with_uri_str(uri)).expect("an address");
        let db = client.database(name);
        Some(Self { name: name.to_owned(), server, runtime, db })
    }

    /// Runs a command.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn run(&self, command: Document) -> Document {
        self.runtime.block_on(async { self.db.run_command(command).await }).expect("it answers")
    }

    /// Adds documents.
    ///
    /// # Panics
    /// When the server refuses them.
    pub fn insert(&self, collection: &str, documents: impl IntoIterator<Item = Document>) {
        let documents: Vec<_> = documents.into_iter().collect();
        self.run(doc! {"insert": collection, "documents": documents});
    }

    /// Changes the document of that number, as an update or by replacing it.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn update(&self, collection: &str, id: i64, update: Document) {
        let one = doc! {"q": {"_id": id}, "u": update, "upsert": false};
        self.run(doc! {"update": collection, "updates": [one]});
    }

    /// Deletes the document of that number.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn delete(&self, collection: &str, id: i64) {
        self.run(doc! {"delete": collection, "deletes": [{"q": {"_id": id}, "limit": 1}]});
    }
}
