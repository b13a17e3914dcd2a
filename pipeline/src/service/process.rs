//! What every process has, whatever it does: a log on stderr, metrics, and a way to stop.

use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{ArgMatches, Args, Command, ValueEnum};
use tokio::runtime::Runtime;

use super::{Health, emf, serve, stop_on_signals};
use crate::stop::{Patience, Stop};

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
    /// Serve /metrics, /healthz and /readyz here; not served unless set
    #[arg(long, env = "TAHOE_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
}

/// A process that has started.
pub struct Process {
    /// What asynchronous work runs on.
    pub runtime: Runtime,
    /// Asked for by SIGINT and SIGTERM.
    pub stop: Stop,
    /// How long a stop waits for what is in flight.
    pub grace: Duration,
    /// Where metrics are served, if anywhere.
    pub metrics: Option<SocketAddr>,
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
    /// Names `--metrics` when the address cannot be had.
    pub fn show(&self, service: &'static str, health: Arc<dyn Health>) -> Result<(), String> {
        let _on = self.runtime.enter();
        if let Some(namespace) = &self.emf_namespace {
            emf::publish(namespace.clone(), service, Arc::clone(&health));
        }
        self.metrics.map_or(Ok(()), |address| serve(address, health))
    }
}

impl ProcessArgs {
    /// Starts logging, with the effective settings as the first line, and listens for signals.
    ///
    /// # Errors
    /// Names the setting, or what the system refused.
    pub fn begin(&self, command: &Command, matches: &ArgMatches) -> Result<Process, String> {
        init_logging(&self.log, self.log_format)?;
        let settings = effective(command, matches).join(" ");
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
            metrics: self.metrics,
            emf_namespace: None,
            measured_every: None,
        })
    }
}

/// A command that takes a variable which is set and empty for one that is not set, as compose files
/// pass them on.
pub fn without_empty_variables(command: Command) -> Command {
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

/// Every setting that has a value, as a flag; a secret shows only that it is set.
fn effective(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let mut settings = Vec::new();
    for argument in command.get_arguments() {
        let Some(name) = argument.get_long() else { continue };
        let Ok(Some(values)) = matches.try_get_raw(argument.get_id().as_str()) else { continue };
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        if values.iter().all(|value| value.is_empty()) {
            continue;
        }
        let shown = match argument.is_hide_env_values_set() {
            true if !name.contains("elasticsearch") => "***".to_owned(),
            _ => values.iter().map(|value| without_login(value)).collect::<Vec<_>>().join(","),
        };
        settings.push(format!("--{name}={shown}"));
    }
    settings
}

/// An address without the user and password that it may hold.
fn without_login(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let host = rest.split('/').next().unwrap_or(rest);
    match host.rfind('@') {
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
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
        let command = ProcessArgs::augment_args(Command::new("x"))
            .arg(Arg::new("password").long("password").hide_env_values(true))
            .arg(Arg::new("url").long("url"));
        let line = ["x", "--password", "hunter2", "--url", "https://me:hunter3@host:9200/path"];
        let matches = command.clone().get_matches_from(line);
        let shown = effective(&command, &matches).join(" ");
        assert!(shown.contains("--password=*** --url=https://***@host:9200/path"), "{shown}");
        assert!(shown.contains("--grace-seconds=10") && !shown.contains("hunter"), "{shown}");
    }
}
