//! What can be set, and the connection that follows from it.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, FromArgMatches as _, ValueEnum};
use mongodb::options::ServerAddress;
use tahoe_pipeline::host::{HostParser, is_host};
use tahoe_pipeline::replicate::OnLostPosition;
use tahoe_pipeline::secret::{Secret, from_value_or_file};
use tahoe_pipeline::service::{List, Place, add_lists};

use crate::connection::{Connection, Mechanism};

/// Its settings.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "MongoDB")]
pub(crate) struct MongoArgs {
    /// Server, or some members of the replica set: HOST or HOST:PORT
    #[arg(long, env = "MONGO_HOST", value_name = "HOST", value_delimiter = ',',
          value_parser = HostParser::new("a connection string goes to MONGO_URI"))]
    pub mongo_host: Vec<String>,
    /// Port of those that name none
    #[arg(long, env = "MONGO_PORT", value_name = "PORT", default_value_t = 27017)]
    pub mongo_port: u16,
    /// Connection string (mongodb://…) instead of hosts, user and TLS
    #[arg(long, env = "MONGO_URI", value_name = "URI", hide_env_values = true)]
    pub mongo_uri: Option<Secret>,
    /// File with the connection string
    #[arg(long, env = "MONGO_URI_FILE", value_name = "PATH")]
    pub mongo_uri_file: Option<PathBuf>,
    /// User that MONGO_PASSWORD belongs to
    #[arg(long, env = "MONGO_USER", value_name = "NAME")]
    pub mongo_user: Option<String>,
    /// Password; the variable or the file keep it out of the process list
    #[arg(long, env = "MONGO_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub mongo_password: Option<Secret>,
    /// File with the password
    #[arg(long, env = "MONGO_PASSWORD_FILE", value_name = "PATH")]
    pub mongo_password_file: Option<PathBuf>,
    /// How to log in [default: what the server has for the user, SCRAM-SHA-256 first]
    #[arg(long, env = "MONGO_AUTH", value_name = "MECHANISM")]
    pub mongo_auth: Option<Mechanism>,
    /// Database that the user is defined in
    #[arg(long, env = "MONGO_AUTH_DB", value_name = "NAME", default_value = "admin")]
    pub mongo_auth_db: String,
    /// Speak TLS, and check the server's certificate and name
    #[arg(long, env = "MONGO_TLS")]
    pub mongo_tls: bool,
    /// Authority of the server's certificate, PEM [default: the public ones]
    #[arg(long, env = "MONGO_CA_FILE", value_name = "PATH")]
    pub mongo_ca_file: Option<PathBuf>,
    /// Our own certificate and its key, unencrypted, in one PEM file
    #[arg(long, env = "MONGO_CERT_FILE", value_name = "PATH")]
    pub mongo_cert_file: Option<PathBuf>,
    /// Only this one server, under this name: do not look for other members of its replica set
    #[arg(long, env = "MONGO_DIRECT")]
    pub mongo_direct: bool,
    /// Database whose documents are read
    #[arg(long, env = "MONGO_DB", value_name = "NAME")]
    pub mongo_db: Option<String>,
    /// Collection; may be repeated [default: all of the database]
    #[arg(long, env = "MONGO_COLLECTION", value_name = "NAME", value_delimiter = ',')]
    pub mongo_collection: Vec<String>,
    /// Read what is there first, or begin with the changes from now on
    #[arg(long, env = "MONGO_SNAPSHOT", value_name = "WHEN", default_value = "initial")]
    pub mongo_snapshot: Snapshot,
    /// Documents that are read at once in a snapshot, and of log documents
    #[arg(long, env = "MONGO_CHUNK", value_name = "DOCUMENTS", default_value_t = 10_000)]
    pub mongo_chunk: u32,
    /// Whole document with an update: looked up later (it may be newer than the change), or as it
    /// was (MongoDB 6 with changeStreamPreAndPostImages)
    #[arg(long, env = "MONGO_FULL_DOCUMENT", value_name = "HOW", default_value = "off")]
    pub mongo_full_document: FullDocument,
    /// Document before the change (MongoDB 6 with changeStreamPreAndPostImages)
    #[arg(long, env = "MONGO_BEFORE", value_name = "HOW", default_value = "off")]
    pub mongo_before: Before,
    /// When the server no longer has the changes from our position on
    #[arg(long, env = "MONGO_ON_LOST_POSITION", value_name = "WHAT", default_value = "stop")]
    pub mongo_on_lost_position: OnLostPosition,
    /// Hours before our position that the oplog is to reach back to, else there is a warning; 0 for
    /// none
    #[arg(long, env = "MONGO_OPLOG_WARN", value_name = "HOURS", default_value_t = 48)]
    pub mongo_oplog_warn: u32,
    /// Longest record; in a longer one large values are replaced by their length and SHA-256
    /// [default: four fifths of KAFKA_RECORD_BYTES_MAX, less under --privacy]
    #[arg(long, env = "MONGO_RECORD_BYTES_MAX", value_name = "BYTES")]
    mongo_record_bytes_max: Option<usize>,
    /// Collection of log documents, polled by their time and _id: COLLECTION or COLLECTION=DATASET;
    /// may be repeated
    #[arg(long, env = "MONGO_LOGS", value_name = "COLLECTION", value_delimiter = ',')]
    pub mongo_logs: Vec<String>,
    /// Field with a log document's time, a BSON date; with dots, one within others
    #[arg(long, env = "MONGO_LOGS_TIME", value_name = "FIELD", default_value = "timestamp")]
    pub mongo_logs_time: String,
    /// How often: a time (10s, 5m, 2h), or a cron line ('0 3 * * *') in the zone of --tz
    #[arg(long, env = "MONGO_LOGS_EVERY", default_value = "10s", value_name = "TIME")]
    pub mongo_logs_every: String,
    /// Seconds by which a log document may be later than documents behind it, beside its
    /// transaction [default: 10; 60 where the server does not say which transactions are open]
    #[arg(long, env = "MONGO_LOGS_OVERLAP", value_name = "SECONDS")]
    pub mongo_logs_overlap: Option<u64>,
    /// TOML file with lists, named like their flags: mongo-host, mongo-collection, mongo-logs,
    /// mongodb-log
    #[arg(long, env = "MONGO_LISTS", value_name = "PATH")]
    pub mongo_lists: Option<PathBuf>,
    /// The server's own log file or pattern (/var/log/mongodb/mongod.log); may be repeated
    #[arg(long, env = "MONGODB_LOG", value_name = "PATH", value_delimiter = ',')]
    pub mongodb_log: Vec<String>,
}

/// Whether a collection is read before its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Snapshot {
    /// Once, at the beginning.
    Initial,
    /// Only what changes from now on.
    Never,
}

/// Which document comes with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FullDocument {
    /// What the update set and removed.
    Off,
    /// Looked up when the change is read.
    Lookup,
    /// As it was, where the collection keeps it.
    WhenAvailable,
    /// As it was; without it, stop.
    Required,
}

/// Which document comes before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Before {
    /// None.
    Off,
    /// Where the collection keeps it.
    WhenAvailable,
    /// Always; without it, stop.
    Required,
}

impl FullDocument {
    /// As `$changeStream` takes it.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Lookup => Some("updateLookup"),
            Self::WhenAvailable => Some("whenAvailable"),
            Self::Required => Some("required"),
        }
    }
}

impl Before {
    /// As `$changeStream` takes it.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::WhenAvailable => Some("whenAvailable"),
            Self::Required => Some("required"),
        }
    }
}

/// Where the documents are.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// How to get there.
    pub connection: Connection,
    /// Database.
    pub db: String,
    /// Collections; empty for all of the database.
    pub collections: Vec<String>,
}

impl MongoArgs {
    /// What was given, with the lists of the file.
    ///
    /// # Errors
    /// Names the setting, or the file and the line.
    pub fn read(matches: &ArgMatches, place: &Place) -> Result<Self, String> {
        let mut args = Self::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let lists = vec![
            List::of("mongo-host", &mut args.mongo_host),
            List::of("mongo-collection", &mut args.mongo_collection),
            List::of("mongo-logs", &mut args.mongo_logs),
            List::of("mongodb-log", &mut args.mongodb_log),
        ];
        add_lists("--mongo-lists", args.mongo_lists.as_deref(), lists)?;
        let asked = args.mongo_record_bytes_max;
        args.mongo_record_bytes_max = Some(place.fitting("--mongo-record-bytes-max", asked)?);
        Ok(args)
    }

    /// Lists without what is empty in them, each collection once.
    pub fn without_empty(mut self) -> Self {
        for list in [
            &mut self.mongo_host,
            &mut self.mongo_collection,
            &mut self.mongo_logs,
            &mut self.mongodb_log,
        ] {
            list.retain(|text| !text.is_empty());
        }
        self.mongo_collection.sort();
        self.mongo_collection.dedup();
        self
    }

    /// A server is named.
    pub fn names_a_server(&self) -> bool {
        !self.mongo_host.is_empty() || self.mongo_uri.is_some() || self.mongo_uri_file.is_some()
    }

    /// Longest record, once [`MongoArgs::read`] has seen what the log takes.
    pub fn record_bytes_max(&self) -> usize {
        self.mongo_record_bytes_max.unwrap_or(usize::MAX)
    }

    /// Who reads a collection of logs on a server without replicas wants no changes.
    pub fn reads_changes(&self) -> bool {
        self.mongo_logs.is_empty() || !self.mongo_collection.is_empty()
    }

    /// Where the documents are.
    ///
    /// # Errors
    /// Names the setting.
    pub fn target(&self) -> Result<Target, String> {
        let connection = self.connection()?;
        let db = match (&self.mongo_db, connection.database()) {
            (Some(db), _) => db.clone(),
            (None, Some(db)) => db,
            (None, None) => return Err("MONGO_DB is not set: name the database to read".to_owned()),
        };
        if self.mongo_chunk == 0 {
            return Err("--mongo-chunk 0: a snapshot reads at least one document at once".into());
        }
        Ok(Target { connection, db, collections: self.mongo_collection.clone() })
    }

    fn connection(&self) -> Result<Connection, String> {
        let uri = from_value_or_file(
            "MONGO_URI",
            self.mongo_uri.as_ref(),
            self.mongo_uri_file.as_deref(),
        )?;
        if uri.as_ref().is_some_and(|uri| uri.reveal().starts_with("mongodb+srv:")) {
            return Err("MONGO_URI: mongodb+srv:// is not supported; name the hosts, as \
                        mongodb://HOST1,HOST2/?replicaSet=NAME&tls=true&authSource=admin"
                .to_owned());
        }
        if uri.is_some() && !self.mongo_host.is_empty() {
            return Err("MONGO_URI and MONGO_HOST are both set: keep one".to_owned());
        }
        let by_certificate = self.mongo_auth == Some(Mechanism::X509);
        if by_certificate && self.mongo_cert_file.is_none() {
            return Err("MONGO_AUTH x509: MONGO_CERT_FILE is not set".to_owned());
        }
        if by_certificate && self.mongo_user.is_some() {
            return Err("MONGO_AUTH x509: the certificate names the user, so leave MONGO_USER out"
                .to_owned());
        }
        let password = from_value_or_file(
            "MONGO_PASSWORD",
            self.mongo_password.as_ref(),
            self.mongo_password_file.as_deref(),
        )?;
        let login = match (&self.mongo_user, password) {
            (Some(user), Some(password)) => Some((user.clone(), password)),
            (None, None) => None,
            (Some(_), None) => return Err("MONGO_USER is set, MONGO_PASSWORD is not".to_owned()),
            (None, Some(_)) => return Err("MONGO_PASSWORD is set, MONGO_USER is not".to_owned()),
        };
        let (ca, cert) = (self.mongo_ca_file.as_deref(), self.mongo_cert_file.as_deref());
        pem("MONGO_CA_FILE", ca, &["BEGIN CERTIFICATE"])?;
        pem("MONGO_CERT_FILE", cert, &["BEGIN CERTIFICATE", "PRIVATE KEY"])?;
        let hosts = self.mongo_host.iter().map(|host| self.address(host));
        Ok(Connection {
            uri,
            hosts: hosts.collect::<Result<_, String>>()?,
            login,
            mechanism: self.mongo_auth,
            auth_db: self.mongo_auth_db.clone(),
            tls: self.mongo_tls || ca.is_some() || cert.is_some(),
            ca_file: self.mongo_ca_file.clone(),
            cert_file: self.mongo_cert_file.clone(),
            direct: self.mongo_direct,
        })
    }

    fn address(&self, host: &str) -> Result<ServerAddress, String> {
        // One of a file; it may hold a password.
        if !is_host(host) {
            return Err("MONGO_HOST is a connection string: that goes to MONGO_URI".to_owned());
        }
        let address = ServerAddress::parse(host);
        Ok(match address.map_err(|error| format!("MONGO_HOST {host}: {error}"))? {
            ServerAddress::Tcp { host, port: None } => {
                ServerAddress::Tcp { host, port: Some(self.mongo_port) }
            }
            address => address,
        })
    }
}

/// The file can be read and has what it must have.
fn pem(setting: &str, path: Option<&Path>, parts: &[&str]) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let at = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{setting}: cannot read {at}: {error}"))?;
    if text.contains("ENCRYPTED") {
        return Err(format!("{setting}: the key in {at} is encrypted, which is not supported"));
    }
    match parts.iter().find(|part| !text.contains(**part)) {
        Some(part) => Err(format!("{setting}: {at} has no {} in PEM", part.replace("BEGIN ", ""))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        mongo: MongoArgs,
    }

    fn target(arguments: &[&str]) -> Result<Target, String> {
        let line = Line::parse_from([&["x"], arguments].concat());
        line.mongo.without_empty().target()
    }

    #[test]
    fn what_is_missing_or_doubled_is_said_by_the_name_of_its_setting() {
        let refused = |arguments: &[&str]| target(arguments).expect_err("refused");
        let uri = "mongodb://me:hunter2@h1:1,h2/shop?replicaSet=rs0";
        assert!(refused(&["--mongo-host", "h"]).starts_with("MONGO_DB is not set"));
        assert!(refused(&["--mongo-uri", uri, "--mongo-host", "h"]).contains("keep one"));
        assert!(refused(&["--mongo-host", "h", "--mongo-user", "me"]).contains("MONGO_PASSWORD"));
        let srv = ["--mongo-uri", "mongodb+srv://cluster.example.com/shop"];
        assert!(refused(&srv).starts_with("MONGO_URI: mongodb+srv"));
        let read = target(&["--mongo-uri", uri]).expect("a target");
        assert_eq!(read.db, "shop");
        assert_eq!(read.connection.describe(), "h1:1,h2");
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn a_password_with_signs_that_should_be_encoded_is_in_no_name_and_no_error() {
        for uri in [
            "mongodb://me:hunter/2secret@h1/shop",
            "mongodb://me:hunter?2@secret@h1/shop",
            "mongodb://me:hunter%2secret@h1/shop",
            "mongodb://me:hunter:2secret@h1/shop",
            "mongodb://h1/shop?tlsCertificateKeyFilePassword=hunter2&tls=maybe",
        ] {
            let read = target(&["--mongo-uri", uri]).expect("a target");
            assert_eq!((&*read.connection.describe(), &*read.db), ("h1", "shop"), "{uri}");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a thread");
            if let Err(error) = runtime.block_on(read.connection.options()) {
                let said = crate::server::decide(error, &read).to_string();
                assert!(said.contains("MONGO_URI"), "{said}");
                assert!(!said.contains("hunter") && !said.contains("secret"), "{said}");
            }
        }
        let mut line = Line::parse_from(["x", "--mongo-db", "shop"]);
        line.mongo.mongo_host.push("mongodb://me:hunter2@h1".to_owned());
        let of_file = line.mongo.target().expect_err("no host");
        let of_flag = Line::try_parse_from(["x", "--mongo-host", "me:hunter2@h1"]);
        let of_flag = of_flag.map(|line| line.mongo.mongo_host).expect_err("no host").to_string();
        for said in [of_file, of_flag] {
            assert!(said.contains("MONGO_URI") && !said.contains("hunter"), "{said}");
        }
    }

    #[test]
    fn a_certificate_that_is_missing_or_in_another_form_is_said_by_its_setting() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----").expect("written");
        let path = path.to_str().expect("UTF-8");
        let refused = |more: &[&str]| {
            let host = ["--mongo-host", "h", "--mongo-db", "shop"];
            target(&[&host[..], more].concat()).expect_err("refused")
        };
        assert!(refused(&["--mongo-ca-file", "/nonexistent"]).starts_with("MONGO_CA_FILE: cannot"));
        assert!(refused(&["--mongo-cert-file", path]).contains("has no PRIVATE KEY"));
        assert!(refused(&["--mongo-auth", "x509"]).contains("MONGO_CERT_FILE is not set"));
    }
}
