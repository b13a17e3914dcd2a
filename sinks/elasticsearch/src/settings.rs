//! The settings of the sink, declared once; what they say about secrets never reaches a log.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use elasticsearch::auth::Credentials;
use elasticsearch::http::Url;
use tahoe_pipeline::secret::{self, Secret};

/// Where Elasticsearch is and how to talk to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Elasticsearch")]
pub struct ElasticsearchArgs {
    /// Address of Elasticsearch or OpenSearch; several nodes of one cluster, separated by commas.
    /// A user and password in it are used, and never logged
    #[arg(
        id = "elasticsearch",
        long,
        env = "ELASTICSEARCH_URL",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub addresses: Vec<Address>,

    /// How it knows us.
    #[command(flatten)]
    pub access: AccessArgs,

    // Elasticsearch's advice is to measure; 5 MiB is where throughput stopped growing on one node,
    // and far below its limit of 100 MB (`http.max_content_length`).
    /// Largest bulk request in bytes; one larger event is still sent, alone
    #[arg(long, env = "BULK_BYTES_MAX", value_name = "BYTES", default_value_t = 5 << 20)]
    pub bulk_bytes_max: usize,
}

/// The login, and whom to trust.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Elasticsearch")]
pub struct AccessArgs {
    /// User that ELASTIC_PASSWORD belongs to
    #[arg(long, env = "ELASTIC_USERNAME", value_name = "NAME", default_value = "elastic")]
    pub elastic_username: String,

    /// Password; the variable or the file keep it out of the process list
    #[arg(long, env = "ELASTIC_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub elastic_password: Option<Secret>,

    /// File with the password
    #[arg(long, env = "ELASTIC_PASSWORD_FILE", value_name = "PATH")]
    pub elastic_password_file: Option<PathBuf>,

    /// API key as Elasticsearch prints it (`encoded`), instead of a user and password
    #[arg(long, env = "ELASTIC_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub elastic_api_key: Option<Secret>,

    /// File with the API key
    #[arg(long, env = "ELASTIC_API_KEY_FILE", value_name = "PATH")]
    pub elastic_api_key_file: Option<PathBuf>,

    /// PEM file of the authority that signed the server's certificate, trusted in addition to
    /// the public ones
    #[arg(long, env = "ELASTIC_CA_FILE", value_name = "PATH")]
    pub elastic_ca_file: Option<PathBuf>,

    /// Seconds to wait for the answer to one request
    #[arg(long, env = "ELASTIC_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub elastic_timeout_seconds: u64,
}

impl ElasticsearchArgs {
    /// An address was given.
    pub fn is_set(&self) -> bool {
        !self.addresses.is_empty()
    }
}

impl AccessArgs {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.elastic_timeout_seconds)
    }

    /// What to log in with: an API key, or a password, or what the address holds, or nothing.
    pub(crate) fn credentials(&self, addresses: &[Address]) -> Result<Option<Credentials>, String> {
        // A compose file passes unset variables on as empty ones.
        let set = |secret: &Option<Secret>| secret.clone().filter(|s| !s.reveal().is_empty());
        let key = secret::from_value_or_file(
            "ELASTIC_API_KEY",
            set(&self.elastic_api_key).as_ref(),
            self.elastic_api_key_file.as_deref().filter(|path| !path.as_os_str().is_empty()),
        )?;
        let password = secret::from_value_or_file(
            "ELASTIC_PASSWORD",
            set(&self.elastic_password).as_ref(),
            self.elastic_password_file.as_deref().filter(|path| !path.as_os_str().is_empty()),
        )?;
        match (key, password) {
            (Some(_), Some(_)) => {
                Err("ELASTIC_API_KEY and ELASTIC_PASSWORD are both set: keep one".to_owned())
            }
            // The transport panics on a key that no header can carry.
            (Some(key), None) if !key.reveal().bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("ELASTIC_API_KEY holds a space or a control character".to_owned())
            }
            (Some(key), None) => Ok(Some(Credentials::EncodedApiKey(key.reveal().to_owned()))),
            (None, Some(password)) => Ok(Some(Credentials::Basic(
                self.elastic_username.clone(),
                password.reveal().to_owned(),
            ))),
            (None, None) => {
                let login = addresses.iter().find_map(Address::login);
                Ok(login.map(|(user, password)| Credentials::Basic(user, password)))
            }
        }
    }
}

/// A node's address. What it prints has no user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The address without user and password, which travel in a header instead.
    pub(crate) fn bare(&self) -> Url {
        let mut url = self.0.clone();
        // These two fail only for addresses without a host, which `from_str` does not let in.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }

    fn login(&self) -> Option<(String, String)> {
        let password = percent_decoded(self.0.password()?);
        Some((percent_decoded(self.0.username()), password))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text may hold a password, so no message repeats it.
        let url = Url::parse(text.trim()).map_err(|error| format!("not an address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("not an address: it begins with http:// or https://".to_owned());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.bare().as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3986 section 2.1, for the user and password in an address.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Command {
        #[command(flatten)]
        elasticsearch: ElasticsearchArgs,
    }

    fn parse(args: &[&str]) -> ElasticsearchArgs {
        let args = std::iter::once("tahoe").chain(args.iter().copied());
        Command::try_parse_from(args).expect("these are settings").elasticsearch
    }

    fn credentials(args: &ElasticsearchArgs) -> Result<Option<Credentials>, String> {
        args.access.credentials(&args.addresses)
    }

    #[test]
    fn a_password_in_an_address_is_used_and_never_printed() {
        let args = parse(&["--elasticsearch", "http://me:s%40cret@a:9200,http://b:9200/es"]);
        assert!(!format!("{args:?}").contains("cret"), "{args:?}");
        assert_eq!(args.addresses[0].to_string(), "http://a:9200");
        assert_eq!(args.addresses[1].to_string(), "http://b:9200/es");
        let login = credentials(&args).expect("one way to log in");
        assert!(matches!(&login, Some(Credentials::Basic(user, password))
                if user == "me" && password == "s@cret"));
    }

    #[test]
    fn an_empty_variable_is_an_unset_one_and_two_ways_to_log_in_are_one_too_many() {
        let args = parse(&["--elastic-password", "x", "--elastic-api-key", ""]);
        assert!(matches!(credentials(&args), Ok(Some(Credentials::Basic(..)))));
        let args = parse(&["--elastic-password", "x", "--elastic-api-key", "y"]);
        assert!(credentials(&args).expect_err("two").contains("ELASTIC_API_KEY"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        let error = "me:hunter2@host".parse::<Address>().expect_err("no scheme");
        assert!(!error.contains("hunter2"), "{error}");
        assert!("ftp://host".parse::<Address>().is_err());
    }
}
