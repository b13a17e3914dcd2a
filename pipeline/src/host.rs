//! The setting that names a server, or Kafka's brokers. A connection string there would be a name in
//! notes, errors and records, and it may hold a password, so it is refused before anything is logged.

use std::ffi::OsStr;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// Signs of what is more than a host, and that no name or address has.
const SIGNS: [char; 2] = ['@', '='];

/// Takes hosts, or folders of sockets, separated by commas; anything else is refused without being
/// repeated.
#[derive(Clone, Copy, Debug)]
pub struct HostParser {
    instead: &'static str,
    wanted: &'static str,
    is_one: fn(&str) -> bool,
}

impl HostParser {
    /// `instead` says which settings take the rest of a connection string.
    pub const fn new(instead: &'static str) -> Self {
        Self { instead, wanted: "the host", is_one: is_host }
    }

    /// The same for brokers, which may have a port and Kafka's name of a protocol.
    pub const fn brokers(instead: &'static str) -> Self {
        Self { instead, wanted: "HOST:PORT", is_one: are_brokers }
    }
}

impl TypedValueParser for HostParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        if (self.is_one)(&text) {
            return Ok(text);
        }
        let setting = argument.map(ToString::to_string).unwrap_or_default();
        let variable = argument.and_then(Arg::get_env).map(|name| name.to_string_lossy());
        let variable = variable.map(|name| format!(" ({name})")).unwrap_or_default();
        let Self { instead, wanted, .. } = self;
        let text = format!("{setting}{variable}: give {wanted} alone: {instead}\n");
        Err(Error::raw(ErrorKind::ValueValidation, text).with_cmd(command))
    }
}

/// Whether a text names hosts, or folders of sockets, and says nothing else.
pub fn is_host(text: &str) -> bool {
    let is_one = |one: &str| one.trim().starts_with('/') || !one.contains(SIGNS);
    !text.contains("://") && text.split(',').all(is_one)
}

/// `HOST`, `HOST:PORT` or `SASL_SSL://HOST:PORT`, separated by commas.
fn are_brokers(text: &str) -> bool {
    !text.contains(SIGNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_refused_by_the_name_of_its_setting_and_not_repeated() {
        let parser = HostParser::new("the user goes to --x-user");
        let host = Arg::new("x-host").long("x-host").env("X_HOST").value_name("HOST");
        let command = Command::new("x").arg(host.value_parser(parser));
        let given = |text: &str| command.clone().try_get_matches_from(["x", "--x-host", text]);
        for host in ["db.example", "192.0.2.7", "2001:db8::7", "fe80::1%eth0", "a, /run/a@b=c"] {
            let matches = given(host).expect("a host");
            assert_eq!(matches.get_one::<String>("x-host").map(String::as_str), Some(host));
        }
        for other in [
            "postgres://me:hunter2@h/db",
            "mysql://hunter2",
            "me:hunter2@h",
            "a,me:hunter2@h",
            "host=h password=hunter2",
        ] {
            let said = given(other).expect_err("no host").to_string();
            assert!(said.contains("--x-host <HOST> (X_HOST)"), "{said}");
            assert!(said.contains("--x-user") && !said.contains("hunter"), "{said}");
        }
    }

    #[test]
    fn brokers_may_have_a_protocol_and_no_user() {
        for brokers in ["a:9092", "a:9092,b", "SASL_SSL://a:9096, [2001:db8::7]:9092", ""] {
            assert!(are_brokers(brokers), "{brokers}");
        }
        for other in ["me:hunter2@a:9092", "a:9092,SASL_SSL://me:hunter2@b", "bootstrap.servers=a"]
        {
            assert!(!are_brokers(other), "{other}");
        }
    }
}
