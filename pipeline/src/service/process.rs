//! What every process has, whatever it does: a log on stderr, metrics, and a way to stop.

use std::any::TypeId;
use std::io::{self, IsTerminal as _, Write};
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, ValueEnum};
use tokio::runtime::Runtime;

use super::{Health, emf, serve, stop_on_signals};
use crate::secret::Secret;
use crate::stop::{Patience, Stop};

/// In place of what nobody may see.
const STARS: &str = "***";

/// How a process logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Logging {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of every process.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Seconds that a stop waits for what is in flight
    #[arg(long, env = "TAHOE_GRACE_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    pub grace_seconds: u64,
    /// Form of the log on stderr
    #[arg(long, env = "TAHOE_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: Logging,
    /// What is logged: error, warn, info, debug, or a tracing filter
    #[arg(long, env = "TAHOE_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// A process that has started.
pub struct Process {
    /// What asynchronous work runs on.
    pub runtime: Runtime,
    /// Asked for by SIGINT and SIGTERM.
    pub stop: Stop,
    /// How long a stop waits for what is in flight.
    pub grace: Duration,
    /// Where metrics are served, if anywhere: taken before anything else begins.
    pub metrics: Option<TcpListener>,
    /// The namespace of CloudWatch's metrics, if they are written.
    pub emf_namespace: Option<String>,
    /// How often it says in the log what it measures of itself, if it does.
    pub measured_every: Option<Duration>,
}

impl Process {
    /// How long its waits for servers go on.
    pub fn patience(&self) -> Patience {
        Patience::new(&self.stop, self.grace)
    }

    /// Shows what `health` says of this process wherever the settings ask for it.
    ///
    /// # Errors
    /// Names `--metrics` when nothing can be served there.
    pub fn show(&self, service: &'static str, health: Arc<dyn Health>) -> Result<(), String> {
        let _on = self.runtime.enter();
        if let Some(namespace) = &self.emf_namespace {
            emf::publish(namespace.clone(), service, Arc::clone(&health));
        }
        self.metrics.as_ref().map_or(Ok(()), |listener| serve(listener, health))
    }
}

impl ProcessArgs {
    /// Starts logging, with the effective settings as the first line (on a terminal those that were
    /// given), and listens for signals.
    ///
    /// # Errors
    /// Names the setting, or what the system refused.
    pub fn begin(&self, command: &Command, matches: &ArgMatches) -> Result<Process, String> {
        init_logging(&self.log, self.log_format)?;
        // Who sits before a terminal knows what was not set; a log that is kept tells it for later.
        let with_defaults = !io::stderr().is_terminal();
        let settings = effective(command, matches, with_defaults).join(" ");
        tracing::info!(version = env!("CARGO_PKG_VERSION"), settings, "starting");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("the system gives no threads: {error}"))?;
        let stop = Stop::default();
        runtime
            .block_on(async { stop_on_signals(&stop) })
            .map_err(|error| format!("the system gives no signal handler: {error}"))?;
        let grace = Duration::from_secs(self.grace_seconds);
        Ok(Process {
            runtime,
            stop,
            grace,
            metrics: None,
            emf_namespace: None,
            measured_every: None,
        })
    }
}

/// A command that takes a variable which is set and empty for one that is not set, as compose files
/// pass them on.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let empty = argument
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if empty { argument.env(None::<&'static str>) } else { argument }
    });
    command.mut_subcommands(without_empty_variables)
}

/// What lines of the log are written through, if not straight to stderr.
type WriteThrough = Box<dyn Fn(&[u8]) + Send + Sync>;

static WRITE_THROUGH: OnceLock<WriteThrough> = OnceLock::new();

/// Gives every further line of the log to `write`, which keeps it and a live view apart. Only the
/// first call in a process counts.
pub fn log_through(write: impl Fn(&[u8]) + Send + Sync + 'static) {
    let _ = WRITE_THROUGH.set(Box::new(write));
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match WRITE_THROUGH.get() {
            Some(write) => write(line),
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts logging to stderr. Later calls in the same process change nothing.
fn init_logging(filter: &str, format: Logging) -> Result<(), String> {
    use tracing_subscriber::EnvFilter;
    // The client's own lines name brokers, not settings; ours say what to do.
    let filter = format!("{filter},librdkafka=error,rdkafka=error,tantivy=warn");
    let filter = EnvFilter::try_new(&filter).map_err(|error| format!("--log: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| LogWriter);
    let _ = match format {
        Logging::Text => builder.with_target(false).try_init(),
        Logging::Json => builder.json().try_init(),
    };
    Ok(())
}

/// The settings of a command line; it ends the process where they are wrong, and an empty variable
/// is an unset one.
pub fn matches_of(command: Command) -> ArgMatches {
    let command = without_empty_variables(command);
    let matches = command.clone().try_get_matches();
    matches.unwrap_or_else(|error| without_secret(error, &command).exit())
}

/// What is wrong with a value is said without the value where it may hold a secret.
fn without_secret(mut error: clap::Error, command: &Command) -> clap::Error {
    let is_of = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.clone(),
        _ => return error,
    };
    if has_secret(command, &is_of) && error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, ContextValue::String(STARS.to_owned()));
    }
    error
}

/// The argument that the message names is one that may hold a secret.
fn has_secret(command: &Command, named: &str) -> bool {
    let flag = named.split([' ', '=']).next().and_then(|word| word.strip_prefix("--"));
    let mut arguments = command.get_arguments();
    arguments.any(|argument| argument.is_hide_env_values_set() && argument.get_long() == flag)
        || command.get_subcommands().any(|below| has_secret(below, named))
}

/// Every setting that has a value, as a flag. An argument says itself what may be seen of it: one
/// of the type [`Secret`] nothing, one with `hide_env_values` the part that is none.
fn effective(command: &Command, matches: &ArgMatches, with_defaults: bool) -> Vec<String> {
    let mut settings = Vec::new();
    for argument in command.get_arguments() {
        let (id, Some(name)) = (argument.get_id().as_str(), argument.get_long()) else { continue };
        let Ok(Some(values)) = matches.try_get_raw(id) else { continue };
        if !with_defaults && matches.value_source(id) == Some(ValueSource::DefaultValue) {
            continue;
        }
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        if values.iter().all(|value| value.is_empty()) {
            continue;
        }
        let is_secret = argument.get_value_parser().type_id() == TypeId::of::<Secret>();
        let show: fn(&str) -> String = match argument.is_hide_env_values_set() {
            _ if is_secret => |_: &str| STARS.to_owned(),
            true => in_part,
            false => without_login,
        };
        let shown: Vec<_> = values.iter().map(|value| show(value)).collect();
        settings.push(format!("--{name}={}", shown.join(",")));
    }
    settings
}

/// Of an address all but its login and query, of `KEY=VALUE` the key, of anything else nothing.
fn in_part(value: &str) -> String {
    if value.contains("://") {
        let address = without_login(value);
        return match address.split_once('?') {
            Some((address, _)) => format!("{address}?{STARS}"),
            None => address,
        };
    }
    value.split_once('=').map_or(STARS.to_owned(), |(key, _)| format!("{key}={STARS}"))
}

/// An address without the user and password that it may hold; these may hold anything, too.
fn without_login(value: &str) -> String {
    match value.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
    {
        Some((scheme, (_, host))) => format!("{scheme}://{STARS}@{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        // Cargo sets this one for every test, to nothing, unless the package names its authors.
        let name = "CARGO_PKG_AUTHORS";
        assert_eq!(std::env::var(name).as_deref(), Ok(""));
        let argument = Arg::new("n").long("n").env(name).value_parser(clap::value_parser!(u16));
        let command = Command::new("x").subcommand(Command::new("y").arg(argument));
        assert!(command.clone().try_get_matches_from(["x", "y"]).is_err());
        assert!(without_empty_variables(command).try_get_matches_from(["x", "y"]).is_ok());
    }

    #[test]
    fn the_start_up_line_shows_settings_and_hides_secrets() {
        let marked = |name: &'static str| Arg::new(name).long(name).hide_env_values(true);
        let command = ProcessArgs::augment_args(Command::new("x"))
            .arg(marked("password").value_parser(clap::value_parser!(Secret)))
            .arg(marked("elasticsearch-key"))
            .arg(marked("option").action(clap::ArgAction::Append))
            .arg(marked("address"))
            .arg(Arg::new("url").long("url"));
        let line = [
            "--password=a://hunter1=hunter2",
            "--elasticsearch-key=hunter3",
            "--option=ssl.key.password=hunter4",
            "--option=hunter5",
            "--address=http://host/path?key=hunter6",
            "--url=https://me:hunter/7?@host:9200/path",
        ];
        let matches = command.clone().get_matches_from([&["x"], &line[..]].concat());
        let given = effective(&command, &matches, false).join(" ");
        assert!(given.contains("--password=*** ") && !given.contains("--grace-seconds"), "{given}");
        let shown = effective(&command, &matches, true).join(" ");
        for expected in [
            "--password=*** ",
            "--elasticsearch-key=*** ",
            "--option=ssl.key.password=***,*** ",
            "--address=http://host/path?*** ",
            "--url=https://***@host:9200/path",
            "--grace-seconds=10",
        ] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn an_error_says_what_is_wrong_with_a_secret_and_not_the_secret() {
        let number = clap::value_parser!(u16);
        let argument = |name: &'static str| Arg::new(name).long(name).value_parser(number);
        let below = Command::new("y").arg(argument("key").hide_env_values(true)).arg(argument("n"));
        let command = Command::new("x").subcommand(below);
        let said = |line: &[&str]| {
            let error = command.clone().try_get_matches_from(line).expect_err("no number");
            without_secret(error, &command).to_string()
        };
        let secret = said(&["x", "y", "--key", "hunter1"]);
        assert!(
            secret.contains("'***' for '--key <key>'") && !secret.contains("hunter"),
            "{secret}"
        );
        assert!(said(&["x", "y", "--n", "many"]).contains("'many' for '--n <n>'"));
    }
}
