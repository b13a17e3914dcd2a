//! The server: who it is, and what its errors mean for the loop.

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Database};
use tahoe_pipeline::seams::SourceError;
use tokio::runtime::{Builder, Runtime};

use crate::connection::Connection;
use crate::settings::Target;

/// What stands for a replica set's name behind mongos.
pub(crate) const SHARDED: &str = "sharded";

/// Who gave a position. A part that the server did not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The id that a replica set drew when it was made; telling it needs the role clusterMonitor.
    pub id: String,
    /// The replica set's name, or [`SHARDED`].
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

/// Drives the connections of one source, on its thread.
///
/// # Errors
/// The system has no more threads or files.
pub(crate) fn runtime() -> Result<Runtime, SourceError> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        SourceError::Retry(format!("cannot start to read: {error}"), Some(error.into()))
    })
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
        return Ok(Identity { id: cluster_id(db).await, set: SHARDED.to_owned() });
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

/// The server's number of an error that it answered with.
pub(crate) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// The user lacks a privilege.
pub(crate) fn is_forbidden(error: &Error) -> bool {
    code(error) == Some(13)
}

/// What the loop does about an error, and what a person can.
pub(crate) fn decide(error: Error, target: &Target) -> SourceError {
    let connection = &target.connection;
    let at = connection.describe();
    // A connection string that cannot be read may be told in parts, of which one is the password.
    let said = match &*error.kind {
        ErrorKind::InvalidArgument { .. } if connection.has_secrets() => {
            "the connection string cannot be read".to_owned()
        }
        kind => kind.to_string(),
    };
    let text = format!("MongoDB at {at}: {said}");
    let stop = |advice: &str| SourceError::Stop(format!("{text}; {advice}"), None);
    if let Some(advice) = login_advice(&error, target).or_else(|| tls_advice(&error)) {
        return stop(&advice);
    }
    match (&*error.kind, code(&error)) {
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
        (ErrorKind::InvalidArgument { .. }, _) => stop(
            "check MONGO_URI, in which a user's name and password are percent-encoded, and \
             MONGO_HOST",
        ),
        (ErrorKind::InvalidTlsConfig { .. }, _) => stop("check MONGO_CA_FILE and MONGO_CERT_FILE"),
        (ErrorKind::ServerSelection { .. }, _) => {
            let tls = match connection.tls {
                true => {
                    "if it speaks no TLS, leave MONGO_TLS, MONGO_CA_FILE and MONGO_CERT_FILE out"
                }
                false => "if it asks for TLS, set MONGO_TLS",
            };
            let name = match connection.direct {
                true => "",
                false => {
                    "; if it is reached under another name than the replica set has for it, set \
                     --mongo-direct"
                }
            };
            SourceError::Retry(format!("{text}; {tls}{name}"), None)
        }
        _ => SourceError::Retry(text, None),
    }
}

/// What to change where the server does not know who we are, or does not let us.
fn login_advice(error: &Error, target: &Target) -> Option<String> {
    let text = error.kind.to_string();
    let refused = matches!(&*error.kind, ErrorKind::Authentication { .. })
        || code(error) == Some(18)
        || text.contains("SCRAM failure")
        || text.contains("Authentication failed");
    if text.contains("SCRAM authentication to have completed") {
        return Some("passwords need MongoDB 4.4 or newer, or use MONGO_AUTH x509".to_owned());
    }
    Some(match (target.connection.uses_certificate(), refused) {
        (true, true) => "MONGO_CERT_FILE shows no user: its subject, as `openssl x509 -noout \
                         -subject -nameopt RFC2253` prints it, must be one: \
                         db.getSiblingDB(\"$external\").createUser({user: SUBJECT, roles: []})"
            .to_owned(),
        (false, true) => {
            "check MONGO_USER, MONGO_PASSWORD and MONGO_AUTH_DB; MONGO_AUTH, if it is \
                          set, must be a mechanism that the user has"
                .to_owned()
        }
        (_, false) if !is_forbidden(error) => return None,
        (_, false) if text.contains("requires authentication") => {
            "the server asks who we are: set MONGO_USER and MONGO_PASSWORD, or MONGO_AUTH x509"
                .to_owned()
        }
        (_, false) => {
            let user = target.connection.user().unwrap_or("USER");
            let db = &target.db;
            format!(
                "the user lacks a privilege: db.getSiblingDB(\"admin\").grantRolesToUser(\"{user}\", \
                 [{{role: \"read\", db: \"{db}\"}}])"
            )
        }
    })
}

/// What to change where a handshake fails: the driver has it as the text of a server that it could
/// not use.
fn tls_advice(error: &Error) -> Option<String> {
    if matches!(&*error.kind, ErrorKind::InvalidTlsConfig { .. }) {
        return None;
    }
    let text = error.kind.to_string();
    let found = |part: &str| text.contains(part);
    let advice = if found("NotValidForName") || found("certificate not valid for name") {
        "the server's certificate is for another name: MONGO_HOST must be one of its names"
    } else if found("UnknownIssuer") || found("BadSignature") {
        "the server's certificate is of an authority that is not trusted: name its file by \
         MONGO_CA_FILE"
    } else if found("invalid peer certificate") {
        "the server's certificate is not valid"
    } else if found("InvalidContentType") {
        "the server speaks no TLS at this port: leave MONGO_TLS, MONGO_CA_FILE and \
         MONGO_CERT_FILE out"
    } else if found("received fatal alert") {
        "the server refuses the TLS handshake: it may ask for a certificate, by MONGO_CERT_FILE, \
         of an authority that it trusts"
    } else {
        return None;
    };
    Some(advice.to_owned())
}
