//! How to reach the server. Whatever is said of a connection leaves its secrets out.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use mongodb::options::{AuthMechanism, ClientOptions, Credential, ServerAddress, Tls, TlsOptions};
use tahoe_pipeline::secret::Secret;

/// A server that is there answers sooner, and `--check` is to answer within 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// How we log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mechanism {
    /// With MONGO_USER and MONGO_PASSWORD
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// The same, as servers before MongoDB 4 have it
    #[value(name = "scram-sha-1")]
    ScramSha1,
    /// With MONGO_CERT_FILE, whose subject is the user
    X509,
}

impl Mechanism {
    fn of_the_driver(self) -> AuthMechanism {
        match self {
            Self::ScramSha256 => AuthMechanism::ScramSha256,
            Self::ScramSha1 => AuthMechanism::ScramSha1,
            Self::X509 => AuthMechanism::MongoDbX509,
        }
    }
}

/// How to reach the server; what it holds of secrets does not print.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// A connection string, instead of hosts.
    pub uri: Option<Secret>,
    /// Some members of the replica set, or the server.
    pub hosts: Vec<ServerAddress>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// How to log in, if that is not left to the server.
    pub mechanism: Option<Mechanism>,
    /// Database that the user is defined in.
    pub auth_db: String,
    /// Speak TLS.
    pub tls: bool,
    /// Authority of the server's certificate; else the public ones.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key.
    pub cert_file: Option<PathBuf>,
    /// Look for no other members.
    pub direct: bool,
}

impl Connection {
    /// The connection string behind its user and password. Signs that should be encoded may be in
    /// a password as they are, so its end is the last `@`.
    fn public_part(&self) -> Option<&str> {
        let uri = self.uri.as_ref()?.reveal().strip_prefix("mongodb://").unwrap_or_default();
        Some(uri.rsplit_once('@').map_or(uri, |(_, public)| public))
    }

    /// The database that the connection string names.
    pub fn database(&self) -> Option<String> {
        let (_, path) = self.public_part()?.split_once('/')?;
        let name = path.split('?').next()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// What the driver is given.
    ///
    /// # Errors
    /// The connection string, or a certificate, is not as it should be.
    pub async fn options(&self) -> Result<ClientOptions, mongodb::error::Error> {
        let mut options = match &self.uri {
            Some(uri) => ClientOptions::parse(uri.reveal()).await?,
            None => ClientOptions::builder().hosts(self.hosts.clone()).build(),
        };
        let mechanism = self.mechanism.map(Mechanism::of_the_driver);
        if let Some((user, password)) = &self.login {
            let credential = Credential::builder()
                .username(user.clone())
                .password(password.reveal().to_owned())
                .mechanism(mechanism)
                .source(self.auth_db.clone());
            options.credential = Some(credential.build());
        } else if self.mechanism == Some(Mechanism::X509) {
            options.credential = Some(Credential::builder().mechanism(mechanism).build());
        }
        if self.tls {
            let mut tls = match options.tls.take() {
                Some(Tls::Enabled(tls)) => tls,
                _ => TlsOptions::default(),
            };
            tls.ca_file_path = self.ca_file.clone().or(tls.ca_file_path);
            tls.cert_key_file_path = self.cert_file.clone().or(tls.cert_key_file_path);
            options.tls = Some(Tls::Enabled(tls));
        }
        if self.direct {
            options.direct_connection = Some(true);
        }
        options.app_name.get_or_insert_with(|| "tahoe-mongodb".to_owned());
        options.server_selection_timeout.get_or_insert(ANSWER_WITHIN);
        options.connect_timeout.get_or_insert(ANSWER_WITHIN);
        // One command at a time; the driver's own two watch the server.
        options.max_pool_size.get_or_insert(4);
        Ok(options)
    }

    /// A certificate says who we are.
    pub fn uses_certificate(&self) -> bool {
        self.mechanism == Some(Mechanism::X509)
    }

    /// The user, if a setting of its own names it.
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|(user, _)| user.as_str())
    }

    /// The connection string may have a password.
    pub fn has_secrets(&self) -> bool {
        let secret = |uri: &Secret| uri.reveal().contains('@') || uri.reveal().contains("assword");
        self.uri.as_ref().is_some_and(secret)
    }

    /// The server's name for notes, without the password.
    pub fn describe(&self) -> String {
        let Some(public) = self.public_part() else {
            let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
            return hosts.join(",");
        };
        public.split(['/', '?']).next().unwrap_or_default().to_owned()
    }
}
