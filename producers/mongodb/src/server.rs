//! The server: who it is, and what its errors mean for the loop.

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Database};
use tahoe_pipeline::seams::SourceError;

use crate::settings::Connection;

/// Who gave a position. A part that the server did not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The id that a replica set drew when it was made; telling it needs the role clusterMonitor.
    pub id: String,
    /// The replica set's name; `sharded` behind mongos.
    pub set: String,
}

impl Identity {
    /// Both may be the same server: nothing that both told differs.
    pub fn may_be(&self, other: &Self) -> bool {
        match self.id.is_empty() || other.id.is_empty() {
            false => self.id == other.id,
            true => self.set == other.set,
        }
    }

    /// What records call it.
    pub fn name(&self) -> &str {
        if self.id.is_empty() { &self.set } else { &self.id }
    }
}

/// Connects to a database.
///
/// # Errors
/// The settings are not as they should be; the server is asked only later.
pub(crate) async fn connect(connection: &Connection, db: &str) -> Result<Database, Error> {
    Ok(Client::with_options(connection.options().await?)?.database(db))
}

/// Asks the server who it is.
///
/// # Errors
/// It does not answer.
pub(crate) async fn identify(db: &Database) -> Result<Identity, Error> {
    let admin = db.client().database("admin");
    let hello = admin.run_command(doc! {"hello": 1}).await?;
    let text = |name: &str| hello.get_str(name).unwrap_or_default().to_owned();
    if text("msg") == "isdbgrid" {
        return Ok(Identity { id: cluster_id(db).await, set: "sharded".to_owned() });
    }
    let set = text("setName");
    let id = match set.is_empty() {
        true => String::new(),
        false => replica_set_id(&admin).await,
    };
    Ok(Identity { id, set })
}

/// Empty where this user may not ask.
async fn replica_set_id(admin: &Database) -> String {
    let reply = admin.run_command(doc! {"replSetGetConfig": 1}).await.unwrap_or_default();
    let config = reply.get_document("config").cloned().unwrap_or_default();
    let settings = config.get_document("settings").cloned().unwrap_or_default();
    text_of(settings.get("replicaSetId"))
}

async fn cluster_id(db: &Database) -> String {
    let versions = db.client().database("config").collection::<Document>("version");
    let version = versions.find_one(doc! {}).await.ok().flatten().unwrap_or_default();
    text_of(version.get("clusterId"))
}

fn text_of(id: Option<&Bson>) -> String {
    match id {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(Bson::String(id)) => id.clone(),
        _ => String::new(),
    }
}

/// The changes from our position on are no longer to be had.
pub(crate) fn is_lost(error: &Error) -> bool {
    // ChangeStreamFatalError, ChangeStreamHistoryLost, InvalidResumeToken, and the oplog's
    // CappedPositionLost.
    matches!(code(error), Some(280 | 286 | 260 | 136))
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// What the loop does about an error, and what a person can.
pub(crate) fn decide(error: Error, connection: &Connection) -> SourceError {
    let at = connection.describe();
    let text = format!("MongoDB at {at}: {}", error.kind);
    let stop = |advice: &str| SourceError::Stop(format!("{text}; {advice}"), None);
    match (&*error.kind, code(&error)) {
        (ErrorKind::Authentication { .. }, _) | (_, Some(18)) => {
            stop("check MONGO_USER, MONGO_PASSWORD and MONGO_AUTH_DB")
        }
        (_, Some(13)) => stop(
            "MONGO_USER lacks a privilege: db.grantRolesToUser(USER, [{role: \"read\", db: DB}])",
        ),
        // Not a replica set; and one that does not know the stage at all.
        (_, Some(40573 | 40324)) => stop(
            "change streams need a replica set: start mongod with --replSet rs0, run \
             rs.initiate(), or leave MONGO_COLLECTION out and read --mongo-logs alone",
        ),
        (_, Some(10334)) => stop(
            "a change with its documents is over 16 MB: set --mongo-full-document and \
             --mongo-before to off",
        ),
        // NoMatchingDocument: the collection does not keep the images that were asked for.
        (_, Some(47)) => stop(
            "the collection does not keep images of its documents: \
             db.runCommand({collMod: COLLECTION, changeStreamPreAndPostImages: {enabled: true}}), \
             or set --mongo-full-document and --mongo-before to when-available",
        ),
        // BadValue, FailedToParse, InvalidOptions, and fields that an older server does not know.
        (_, Some(2 | 9 | 72 | 40415)) => {
            stop("the server does not take this command: MongoDB 4.2 or newer is needed")
        }
        (_, Some(280 | 286 | 260 | 136)) => stop(
            "the changes from the stored position on are gone: choose \
             --mongo-on-lost-position snapshot or latest, and enlarge the oplog: \
             db.adminCommand({replSetResizeOplog: 1, minRetentionHours: 48})",
        ),
        (ErrorKind::InvalidArgument { .. } | ErrorKind::InvalidTlsConfig { .. }, _) => {
            stop("check MONGO_URI, MONGO_HOST and MONGO_CA_FILE")
        }
        (ErrorKind::ServerSelection { .. }, _) if !connection.is_direct() => SourceError::Retry(
            format!(
                "{text}; if it is reached under another name than the replica set has for it, set \
                 --mongo-direct"
            ),
            None,
        ),
        _ => SourceError::Retry(text, None),
    }
}
