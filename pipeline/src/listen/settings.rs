//! What an operator may say about listening. Declared once, with the reader that obeys it.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

/// Addresses to listen on, and the limits that keep senders from taking the machine.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Syslog")]
pub struct ListenArgs {
    /// Address for syslog over UDP and TCP (`udp://` or `tcp://` before it takes one of them);
    /// repeatable
    #[arg(long, env = "TAHOE_SYSLOG", value_name = "ADDRESS", value_delimiter = ',')]
    pub syslog: Vec<String>,

    /// Address for syslog over TLS; repeatable
    #[arg(long, env = "TAHOE_SYSLOG_TLS", value_name = "ADDRESS", value_delimiter = ',')]
    pub syslog_tls: Vec<String>,

    /// Address for RELP, which acknowledges a message once the log has it; repeatable
    #[arg(long, env = "TAHOE_SYSLOG_RELP", value_name = "ADDRESS", value_delimiter = ',')]
    pub syslog_relp: Vec<String>,

    /// Address for RELP over TLS; repeatable
    #[arg(long, env = "TAHOE_SYSLOG_RELP_TLS", value_name = "ADDRESS", value_delimiter = ',')]
    pub syslog_relp_tls: Vec<String>,

    /// Certificate chain of this listener, PEM
    #[arg(long, env = "TAHOE_SYSLOG_TLS_CERT", value_name = "FILE")]
    pub syslog_tls_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM
    #[arg(long, env = "TAHOE_SYSLOG_TLS_KEY", value_name = "FILE")]
    pub syslog_tls_key: Option<PathBuf>,

    /// Authorities that may have signed a client's certificate, PEM; without it no client is asked
    #[arg(long, env = "TAHOE_SYSLOG_TLS_CA_FILE", value_name = "FILE")]
    pub syslog_tls_ca_file: Option<PathBuf>,

    /// Whether a client without a certificate is turned away
    #[arg(
        long,
        env = "TAHOE_SYSLOG_TLS_CLIENT_CERT",
        value_name = "WHETHER",
        default_value = "required"
    )]
    pub syslog_tls_client_cert: ClientCertificate,

    /// Longest message in bytes; a longer one is split into parts
    #[arg(
        long,
        env = "TAHOE_SYSLOG_MESSAGE_BYTES_MAX",
        value_name = "BYTES",
        default_value_t = 1 << 20,
        value_parser = clap::value_parser!(u32).range(64..=64 << 20)
    )]
    pub syslog_message_bytes_max: u32,

    /// Connections at once; further ones wait in the kernel until one ends
    #[arg(
        long,
        env = "TAHOE_SYSLOG_CONNECTIONS_MAX",
        value_name = "COUNT",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub syslog_connections_max: u32,

    /// A connection that is silent for this long is closed
    #[arg(
        long,
        env = "TAHOE_SYSLOG_IDLE_TIME",
        value_name = "TIME",
        default_value = "1h",
        value_parser = duration
    )]
    pub syslog_idle_time: Duration,

    /// Bytes taken from sockets that the log has not taken yet; when they are used up, TCP and RELP
    /// senders are slowed down and the kernel drops (and counts) datagrams
    #[arg(
        long,
        env = "TAHOE_SYSLOG_QUEUE_BYTES_MAX",
        value_name = "BYTES",
        default_value_t = 16 << 20,
        value_parser = clap::value_parser!(u32).range(64 << 10..=1 << 30)
    )]
    pub syslog_queue_bytes_max: u32,

    /// Receive buffer that the kernel is asked for per UDP socket (it grants at most
    /// net.core.rmem_max)
    #[arg(
        long,
        env = "TAHOE_SYSLOG_UDP_BUFFER_BYTES",
        value_name = "BYTES",
        default_value_t = 8 << 20
    )]
    pub syslog_udp_buffer_bytes: u32,

    /// Messages that a RELP sender may have unacknowledged, at most: as many are remembered per
    /// sender to recognise what it repeats (omrelp's windowSize is 128)
    #[arg(
        long,
        env = "TAHOE_SYSLOG_RELP_WINDOW",
        value_name = "COUNT",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..=65_536)
    )]
    pub syslog_relp_window: u32,

    /// A RELP sender that was not connected for this long is forgotten, and what it repeats later is
    /// taken as new
    #[arg(
        long,
        env = "TAHOE_SYSLOG_RELP_FORGET_AFTER",
        value_name = "TIME",
        // A week: a machine that is down over holidays must not come back to duplicates.
        default_value = "168h",
        value_parser = duration
    )]
    pub syslog_relp_forget_after: Duration,
}

/// Whether TLS clients must show a certificate, where `--syslog-tls-ca-file` says who may sign it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientCertificate {
    /// A client without one is turned away.
    Required,
    /// One that is shown must be valid; none is fine too.
    Optional,
}

impl ListenArgs {
    /// True if any address is given.
    pub fn is_asked_for(&self) -> bool {
        [&self.syslog, &self.syslog_tls, &self.syslog_relp, &self.syslog_relp_tls]
            .iter()
            .any(|addresses| !addresses.is_empty())
    }
}

/// Reads `90s`, `10m`, `1h 30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    let positive = Duration::try_from(parsed).ok().filter(|duration| !duration.is_zero());
    positive.ok_or_else(|| "must be longer than nothing".to_owned())
}
