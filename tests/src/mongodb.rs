//! A database of one test on the stand-in for MongoDB.

use std::process::Command;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use tokio::runtime::Runtime;

use crate::program::Program;
use crate::servers::{free_port, setting};
use crate::wait::until_true;

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
    /// A server that nobody else uses.
    _own: Option<Program>,
}

impl Database {
    /// `None` skips the test.
    ///
    /// # Panics
    /// When the server is not there.
    pub fn open(name: &str) -> Option<Self> {
        Some(Self::at(setting("TAHOE_TEST_MONGODB")?, name, None))
    }

    /// The same on a second server, which ends with it.
    ///
    /// # Panics
    /// When that does not start.
    pub fn open_another(name: &str) -> Option<Self> {
        let folder = setting("TAHOE_TEST_MONGODB_HOME")?;
        let port = free_port().to_string();
        let mut command = Command::new("sh");
        command.args([&format!("{folder}/alone"), &port, "rs0"]);
        let own = Program::spawn("stand-in", command);
        until_true("it is ready", || own.stdout().contains("ready on"));
        Some(Self::at(format!("127.0.0.1:{port}"), name, Some(own)))
    }

    fn at(server: String, name: &str, own: Option<Program>) -> Self {
        let runtime = Runtime::new().expect("threads");
        let uri = format!("mongodb://{server}/?directConnection=true");
        let client = runtime.block_on(Client::with_uri_str(uri)).expect("an address");
        let db = client.database(name);
        Self { name: name.to_owned(), server, runtime, db, _own: own }
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
