//! Where the database is, and what is wanted of it.

use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches as _, ValueEnum};
use tahoe_pipeline::host::HostParser;
use tahoe_pipeline::replicate::OnLostPosition;
use tahoe_pipeline::secret::{Secret, from_value_or_file};
use tahoe_pipeline::service::{List, Place, add_lists};

use crate::connection::{Host, Server, TargetSession};
use crate::polled::PostgresPollArgs;
use crate::tls::TlsMode;

const HOST: HostParser =
    HostParser::new("PGUSER, PGPASSWORD, PGDATABASE and PGSSLMODE have what else a URI says");

/// Flags and variables, by the names that psql knows.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "PostgreSQL")]
pub struct PostgresArgs {
    /// Server: a name, an address, or the folder of a Unix socket; several, separated by commas,
    /// are tried one after the other. This or a database turns reading on
    #[arg(long, env = "PGHOST", value_name = "HOST", value_parser = HOST)]
    pg_host: Option<String>,
    /// Its port, or one for each host
    #[arg(long, env = "PGPORT", default_value = "5432", value_name = "PORT")]
    pg_port: String,
    /// What a host must be, so that of several the right one is taken
    #[arg(long, env = "PGTARGETSESSIONATTRS", default_value = "any", value_name = "WHAT")]
    pg_target_session_attrs: TargetSession,
    /// Role to log in with; it needs SELECT on the tables, and REPLICATION for changes
    #[arg(long, env = "PGUSER", default_value = "postgres", value_name = "ROLE")]
    pg_user: String,
    /// Its password
    #[arg(long, env = "PGPASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pg_password: Option<Secret>,
    /// File that holds the password
    #[arg(long, env = "PGPASSWORD_FILE", value_name = "PATH")]
    pg_password_file: Option<PathBuf>,
    /// Database [default: postgres]
    #[arg(long, env = "PGDATABASE", value_name = "NAME")]
    pg_database: Option<String>,
    /// How far the server's certificate is trusted, as psql has it
    #[arg(long, env = "PGSSLMODE", default_value = "prefer", value_name = "MODE")]
    pg_sslmode: TlsMode,
    /// Authorities that may have signed it, in PEM [default: the system's]
    #[arg(long, env = "PGSSLROOTCERT", value_name = "PATH")]
    pg_sslrootcert: Option<PathBuf>,
    /// Read changes by logical replication [default: on, unless tables are polled]
    #[arg(long, env = "TAHOE_PG_CHANGES", value_name = "SWITCH")]
    pg_changes: Option<Switch>,
    /// Tables without their changes.
    #[command(flatten)]
    pub(crate) poll: PostgresPollArgs,
    /// Publication whose tables are read; --setup creates it
    #[arg(long, env = "TAHOE_PG_PUBLICATION", default_value = "tahoe", value_name = "NAME")]
    pg_publication: String,
    /// Replication slot; --setup creates it [default: tahoe_ and the database's name]
    #[arg(long, env = "TAHOE_PG_SLOT", value_name = "NAME")]
    pg_slot: Option<String>,
    /// Table for a publication that --setup creates, shop.orders; may be repeated [default: all]
    #[arg(long, env = "TAHOE_PG_TABLES", value_name = "TABLE", value_delimiter = ',')]
    pg_table: Vec<String>,
    /// Rows that are there at the first start
    #[arg(long, env = "TAHOE_PG_SNAPSHOT", default_value = "initial", value_name = "WHEN")]
    pg_snapshot: Snapshot,
    /// Rows that are read by one statement at most; fewer where they are large
    #[arg(long, env = "TAHOE_PG_CHUNK_ROWS", default_value_t = 20_000, value_name = "ROWS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pg_chunk_rows: u64,
    /// Log that the server keeps for the slot, in bytes, beyond which a warning is logged
    #[arg(long, env = "TAHOE_PG_RETAINED_WARN", default_value_t = 1 << 30, value_name = "BYTES")]
    pg_retained_warn: u64,
    /// When the server no longer has what comes next
    #[arg(long, env = "TAHOE_PG_ON_LOST_POSITION", default_value = "stop", value_name = "POLICY")]
    pg_on_lost_position: OnLostPosition,
    /// Bytes of a record's JSON; beyond, large values give way to their length and hash [default:
    /// four fifths of KAFKA_RECORD_BYTES_MAX, less under --privacy]
    #[arg(long, env = "TAHOE_PG_RECORD_BYTES_MAX", value_name = "BYTES")]
    pg_record_bytes_max: Option<usize>,
    /// TOML file with lists, named like their flags: pg-table, pg-poll, postgres-log
    #[arg(long, env = "TAHOE_PG_LISTS", value_name = "PATH")]
    pg_lists: Option<PathBuf>,
    /// PostgreSQL's log file or pattern (/var/log/postgresql/*.log); may be repeated
    #[arg(long, env = "POSTGRES_LOG_FILE", value_name = "PATH", value_delimiter = ',')]
    pub(crate) postgres_log: Vec<String>,
    /// The server's log_line_prefix, where it is none of the usual ones: '%d|%u|%p|%m|'
    #[arg(long, env = "TAHOE_PG_LOG_LINE_PREFIX", value_name = "PREFIX")]
    pub(crate) pg_log_line_prefix: Option<String>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// Whether the rows that are there are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Snapshot {
    /// They are read, while changes are
    Initial,
    /// They are left
    Never,
}

/// What reading of changes needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which server.
    pub server: Server,
    /// Which tables.
    pub publication: String,
    /// How the server remembers us.
    pub slot: String,
    /// Tables of a publication that is still to be made; empty is all.
    pub tables: Vec<String>,
    /// Whether the rows that are there are read.
    pub snapshot: Snapshot,
    /// Rows that are read by one statement.
    pub chunk_rows_max: u64,
    /// Log kept for the slot beyond which a warning is logged.
    pub retained_warn_bytes: u64,
    /// What is done about a gap.
    pub on_lost_position: OnLostPosition,
    /// Bytes of a record's JSON, where records are made.
    pub record_bytes_max: usize,
}

impl PostgresArgs {
    /// What was given, with the lists of the file.
    ///
    /// # Errors
    /// Names the setting, or the file and the line.
    pub fn read(matches: &ArgMatches) -> Result<Self, String> {
        let mut args = Self::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let lists = vec![
            List::of("pg-table", &mut args.pg_table),
            args.poll.list(),
            List::of("postgres-log", &mut args.postgres_log),
        ];
        add_lists("--pg-lists", args.pg_lists.as_deref(), lists)?;
        Ok(args)
    }

    /// None, if no database is asked for.
    ///
    /// # Errors
    /// Names the setting that cannot be.
    pub fn server(&self) -> Result<Option<Server>, String> {
        let (host, database) = (given(&self.pg_host), given(&self.pg_database));
        if host.is_none() && database.is_none() {
            return Ok(None);
        }
        let value = self.pg_password.as_ref().filter(|secret| !secret.reveal().is_empty());
        let file = self.pg_password_file.as_deref();
        let password = from_value_or_file("PGPASSWORD", value, file)?;
        Ok(Some(Server {
            hosts: self.hosts(host.as_deref().unwrap_or("127.0.0.1"))?,
            wanted: self.pg_target_session_attrs,
            user: self.pg_user.clone(),
            password,
            database: database.unwrap_or_else(|| "postgres".to_owned()),
            tls: self.pg_sslmode,
            root: self.pg_sslrootcert.clone(),
        }))
    }

    fn hosts(&self, names: &str) -> Result<Vec<Host>, String> {
        let names: Vec<_> = names.split(',').map(str::trim).collect();
        let ports = self.pg_port.split(',').map(|port| {
            let wrong = |error| format!("--pg-port {}: {error}", self.pg_port);
            port.trim().parse::<u16>().map_err(wrong)
        });
        let mut ports = ports.collect::<Result<Vec<_>, _>>()?;
        if ports.len() == 1 {
            ports.resize(names.len(), ports[0]);
        }
        if ports.len() != names.len() {
            let (hosts, ports) = (names.len(), ports.len());
            return Err(format!(
                "--pg-port: {ports} ports for {hosts} hosts: one, or one for each"
            ));
        }
        let host = |(name, port): (&&str, u16)| Host { name: (*name).to_owned(), port };
        Ok(names.iter().zip(ports).map(host).collect())
    }

    /// Leaves nothing but polled tables.
    ///
    /// # Errors
    /// There are none, or what has no end was asked for beside them.
    pub fn leave_polled_tables(&mut self) -> Result<(), String> {
        if !self.poll.is_set() {
            return Err("--once reads polled tables: name them with --pg-poll".to_owned());
        }
        if self.pg_changes == Some(Switch::On) {
            return Err("--once: changes have no end; leave --pg-changes out".to_owned());
        }
        self.pg_changes = Some(Switch::Off);
        self.postgres_log.clear();
        Ok(())
    }

    /// Bytes of a record's JSON.
    ///
    /// # Errors
    /// More than the log takes; names the settings.
    pub fn record_bytes_max(&self, place: &Place) -> Result<usize, String> {
        place.fitting("--pg-record-bytes-max", self.pg_record_bytes_max)
    }

    /// None, if no changes are to be read.
    ///
    /// # Errors
    /// Names the setting that cannot be.
    pub fn settings(&self) -> Result<Option<Settings>, String> {
        let usual = if self.poll.is_set() { Switch::Off } else { Switch::On };
        if self.pg_changes.unwrap_or(usual) == Switch::Off {
            return Ok(None);
        }
        let Some(server) = self.server()? else { return Ok(None) };
        let slot = given(&self.pg_slot).unwrap_or_else(|| slot_of(&server.database));
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if slot.len() > 63 || !slot.chars().all(allowed) {
            return Err(format!("--pg-slot {slot}: at most 63 of a-z, 0-9 and _ make a slot"));
        }
        Ok(Some(Settings {
            server,
            publication: self.pg_publication.clone(),
            slot,
            tables: self.pg_table.iter().filter(|name| !name.is_empty()).cloned().collect(),
            snapshot: self.pg_snapshot,
            chunk_rows_max: self.pg_chunk_rows,
            retained_warn_bytes: self.pg_retained_warn,
            on_lost_position: self.pg_on_lost_position,
            record_bytes_max: usize::MAX,
        }))
    }
}

fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// Slots are the whole server's, so each database has its own.
fn slot_of(database: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = database.chars().map(plain).collect();
    format!("tahoe_{}", &name[..name.len().min(57)])
}
