//! MySQL and MariaDB: their logs, the rows of their tables and every change of them.
//!
//! Changes come from the binlog, as a replica reads it. A value becomes JSON by its column's type,
//! the same whether the binlog or a query gave it:
//!
//! | type | JSON |
//! |---|---|
//! | `TINYINT` to `BIGINT`, signed or not; `YEAR`; `BIT` | number |
//! | `DECIMAL` | text, all its digits: `"12.50"` |
//! | `FLOAT`, `DOUBLE` | number, the shortest that is the same `FLOAT` or `DOUBLE` |
//! | `CHAR`, `VARCHAR`, `TEXT` | text, whatever its character set |
//! | text that is not valid in its set | `{"base64":"…"}` |
//! | `BINARY`, `VARBINARY`, `BLOB`, `VECTOR`; a character set that is not known | text, base64 |
//! | `ENUM` | text; `""` for MySQL's invalid value |
//! | `SET` | list of texts |
//! | `DATE` | `"2026-11-21"` |
//! | `DATETIME` | `"2026-11-21T09:00:00.123"`, with the column's digits |
//! | `TIMESTAMP` | `"2026-11-21T09:00:00.123Z"` |
//! | dates with a month or day of 0 | as MySQL prints them: `"0000-00-00 00:00:00"` |
//! | `TIME` | `"-838:59:59.5"` |
//! | `JSON` of MySQL | JSON; its decimals and dates are text |
//! | `JSON` of MariaDB | text, as which MariaDB keeps it |
//! | geometry | text: `"SRID=4326;POINT(1 2)"`, without `SRID=0;` |
//! | NULL | `null` |
//! | a large value of a record that is longer than Kafka takes | `{"bytes":N,"sha256":"…"}` |
//!
//! The key of a record is the table's primary key. Without one a row is its own Kafka key.

mod ahead;
mod binlog;
mod bytes;
mod charset;
mod column;
mod ddl;
mod decimal;
mod event;
mod failure;
mod feed;
mod geometry;
mod gtid;
mod history;
mod inspect;
mod point;
mod polled;
mod read;
mod record;
mod rows;
mod selection;
mod server;
mod session;
mod settings;
mod shape;
mod snapshot;
mod statement;
mod steps;
mod table_map;
mod temporal;
mod value;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use tahoe_pipeline::host::HostParser;
use tahoe_pipeline::replicate::{OnLostPosition, RecordKind, Replicate};
use tahoe_pipeline::seams::SourceError;
use tahoe_pipeline::secret::{Secret, from_value_or_file};
use tahoe_pipeline::service::{
    Inspect, List, Open, Place, Planned, Producer, add_lists, path_set, plan_files,
};
use tahoe_pipeline::verify::Verification;
use tahoe_schemas::datasets;
use tahoe_schemas::table::Table;
use tokio::runtime::{Builder, Runtime};
use xxhash_rust::xxh3::xxh3_64;

use crate::failure::Failure;
use crate::feed::MysqlFeed;
use crate::selection::Selection;
use crate::server::Server;
use crate::settings::{OnUnknownColumns, Settings};

/// The producer of MySQL and MariaDB.
pub struct Mysql;

const HOST: HostParser =
    HostParser::new("MYSQL_USER, MYSQL_PASSWORD and MYSQL_DATABASE have what else a URI says");

/// What `--check` may take, less than the 10 s after which nobody listens any more.
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// What is read before changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Snapshot {
    /// At the first start, all rows
    Initial,
    /// Nothing
    Never,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// Its settings.
#[derive(Args)]
#[command(next_help_heading = "MySQL and MariaDB")]
struct MysqlArgs {
    /// Server whose rows and changes are read
    #[arg(long, env = "MYSQL_HOST", value_name = "HOST", value_parser = HOST)]
    mysql_host: Option<String>,
    /// Its port
    #[arg(long, env = "MYSQL_PORT", default_value_t = 3306, value_name = "PORT")]
    mysql_port: u16,
    /// User that may read, and replicate where changes are read
    #[arg(long, env = "MYSQL_USER", default_value = "tahoe", value_name = "USER")]
    mysql_user: String,
    /// Its password; MYSQL_PASSWORD_FILE names a file that holds it
    #[arg(long, env = "MYSQL_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    mysql_password: Option<Secret>,
    /// File that holds the password
    #[arg(long, env = "MYSQL_PASSWORD_FILE", value_name = "PATH")]
    mysql_password_file: Option<PathBuf>,
    /// Database whose tables are read [default: all but the server's own]
    #[arg(long, env = "MYSQL_DATABASE", default_value = "", value_name = "NAME")]
    mysql_database: String,
    /// Tables that are read, as patterns (shop.*, *.orders); may be repeated [default: all]
    #[arg(long, env = "MYSQL_TABLES", value_name = "PATTERN", value_delimiter = ',')]
    mysql_table: Vec<String>,
    /// Read rows and changes as a replica does [default: on, unless tables are polled]
    #[arg(long, env = "MYSQL_CHANGES", value_name = "SWITCH")]
    mysql_changes: Option<Switch>,
    /// Tables without their changes.
    #[command(flatten)]
    poll: polled::MysqlPollArgs,
    /// Rows that are there before the first change is read
    #[arg(long, env = "MYSQL_SNAPSHOT", default_value = "initial", value_name = "WHICH")]
    mysql_snapshot: Snapshot,
    /// Rows in one chunk of a snapshot
    #[arg(long, env = "MYSQL_CHUNK_ROWS", default_value_t = 10_000, value_name = "ROWS",
        value_parser = clap::value_parser!(u64).range(1..))]
    mysql_chunk_rows: u64,
    /// When the server no longer has the changes that are next
    #[arg(long, env = "MYSQL_ON_LOST_POSITION", default_value = "stop", value_name = "POLICY")]
    mysql_on_lost_position: OnLostPosition,
    /// When a change has no names of columns and they cannot be known any more
    #[arg(long, env = "MYSQL_ON_UNKNOWN_COLUMNS", default_value = "stop", value_name = "POLICY")]
    mysql_on_unknown_columns: OnUnknownColumns,
    /// Id among the server's replicas [default: follows from this host's name]
    #[arg(long, env = "MYSQL_SERVER_ID", value_name = "ID",
        value_parser = clap::value_parser!(u32).range(1..))]
    mysql_server_id: Option<u32>,
    /// Connect with TLS and verify the server's certificate
    #[arg(long, env = "MYSQL_TLS", default_value = "off", value_name = "SWITCH")]
    mysql_tls: Switch,
    /// Authority of that certificate, as PEM [default: the public ones]
    #[arg(long, env = "MYSQL_CA", value_name = "PATH")]
    mysql_ca: Option<PathBuf>,
    /// TOML file with lists, named like their flags: mysql-table, mysql-poll, mysql-log-table,
    /// mysql-error-log, mysql-slow-log, mysql-general-log, mysql-audit-log
    #[arg(long, env = "MYSQL_LISTS", value_name = "PATH")]
    mysql_lists: Option<PathBuf>,
    /// Error log, or a pattern; may be repeated
    #[arg(long, env = "MYSQL_ERROR_LOG", value_name = "PATH", value_delimiter = ',')]
    mysql_error_log: Vec<String>,
    /// Slow query log, or a pattern; may be repeated
    #[arg(long, env = "MYSQL_SLOW_LOG", value_name = "PATH", value_delimiter = ',')]
    mysql_slow_log: Vec<String>,
    /// General query log, or a pattern; may be repeated
    #[arg(long, env = "MYSQL_GENERAL_LOG", value_name = "PATH", value_delimiter = ',')]
    mysql_general_log: Vec<String>,
    /// Audit log, or a pattern; may be repeated
    #[arg(long, env = "MYSQL_AUDIT_LOG", value_name = "PATH", value_delimiter = ',')]
    mysql_audit_log: Vec<String>,
}

impl MysqlArgs {
    /// What was given, with the lists of the file.
    fn read(matches: &ArgMatches) -> Result<Self, String> {
        let mut args = Self::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let mut lists = vec![
            List::of("mysql-table", &mut args.mysql_table),
            List::of("mysql-error-log", &mut args.mysql_error_log),
            List::of("mysql-slow-log", &mut args.mysql_slow_log),
            List::of("mysql-general-log", &mut args.mysql_general_log),
            List::of("mysql-audit-log", &mut args.mysql_audit_log),
        ];
        lists.extend(args.poll.lists());
        add_lists("--mysql-lists", args.mysql_lists.as_deref(), lists)?;
        Ok(args)
    }
}

impl Producer for Mysql {
    fn name(&self) -> &'static str {
        "tahoe-mysql"
    }

    fn about(&self) -> &'static str {
        "Takes rows, changes and logs of MySQL and MariaDB into Kafka"
    }

    fn example(&self) -> &'static str {
        "tahoe-mysql --kafka 127.0.0.1:9092 --mysql-host 127.0.0.1 --mysql-user tahoe"
    }

    fn arguments(&self, command: Command) -> Command {
        MysqlArgs::augment_args(command)
    }

    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String> {
        let args = MysqlArgs::read(matches)?;
        let polls = args.poll.is_set();
        let mut planned = Vec::new();
        if !place.once {
            planned.extend(logs(&args, place)?);
        } else if !polls || args.mysql_changes == Some(Switch::On) {
            let text = "--once reads polled tables and nothing that has no end: name some with \
                        --mysql-poll or --mysql-log-table, and leave --mysql-changes out";
            return Err(text.to_owned());
        }
        let host = args.mysql_host.as_deref().filter(|host| !host.is_empty());
        let Some(host) = host else {
            return if polls { Err("MYSQL_HOST is not set".to_owned()) } else { Ok(planned) };
        };
        let usual = if polls { Switch::Off } else { Switch::On };
        if args.mysql_changes.unwrap_or(usual) == Switch::On {
            planned.push(changes(&args, host, place)?);
        }
        if polls {
            let server = Arc::new(server(&args, host, place)?);
            planned.extend(polled::plan(&args.poll, &server, &args.mysql_database, place)?);
        }
        Ok(planned)
    }

    fn tables(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Table>, String> {
        let args = MysqlArgs::read(matches)?;
        let host = args.mysql_host.as_deref().filter(|host| !host.is_empty());
        let reads = args.poll.is_set() || args.mysql_changes.unwrap_or(Switch::On) == Switch::On;
        let host = host.filter(|_| reads);
        host.map_or(Ok(Vec::new()), |host| shape::tables(&settings(&args, host, place)?))
    }

    fn verifications(
        &self,
        matches: &ArgMatches,
        place: &Place,
    ) -> Result<Vec<Verification>, String> {
        let args = MysqlArgs::read(matches)?;
        let usual = if args.poll.is_set() { Switch::Off } else { Switch::On };
        let host = args.mysql_host.as_deref().filter(|host| !host.is_empty());
        let Some(host) = host.filter(|_| args.mysql_changes.unwrap_or(usual) == Switch::On) else {
            return Ok(Vec::new());
        };
        let settings = settings(&args, host, place)?;
        if !settings.snapshot {
            return Err(
                "--verify compares what was told of all rows, which --mysql-snapshot never \
                        leaves out"
                    .to_owned(),
            );
        }
        let kinds = kinds(&path(&args, &settings.server), place);
        let open = Box::new(move || verify::open(&settings));
        let name = "mysql".to_owned();
        Ok(vec![Verification { name, kinds, is_settled: verify::is_settled, open }])
    }

    fn is_database(&self) -> bool {
        true
    }

    fn reads_once(&self) -> bool {
        true
    }
}

/// The server's log files, as far as they are named.
fn logs(args: &MysqlArgs, place: &Place) -> Result<Option<Planned>, String> {
    let mut sets = Vec::new();
    let logs = [
        ("--mysql-error-log", "mysql.error", &args.mysql_error_log),
        ("--mysql-slow-log", "mysql.slowlog", &args.mysql_slow_log),
        ("--mysql-general-log", "mysql.general", &args.mysql_general_log),
        ("--mysql-audit-log", "mysql.audit", &args.mysql_audit_log),
    ];
    for (setting, dataset, paths) in logs {
        let paths: Vec<_> = paths.iter().filter(|path| !path.is_empty()).cloned().collect();
        if !paths.is_empty() {
            sets.push(path_set(setting, dataset, paths, place)?);
        }
    }
    if sets.is_empty() { Ok(None) } else { plan_files("mysql-logs", sets, place).map(Some) }
}

fn server(args: &MysqlArgs, host: &str, place: &Place) -> Result<Server, String> {
    let file = args.mysql_password_file.as_deref().filter(|path| !path.as_os_str().is_empty());
    let password = from_value_or_file("MYSQL_PASSWORD", args.mysql_password.as_ref(), file)?;
    let ours = format!("{} tahoe-mysql {}", place.host, args.mysql_database);
    // The upper half, where people do not give ids by hand.
    let derived = xxh3_64(ours.as_bytes()) as u32 | 1 << 31;
    Ok(Server {
        host: host.to_owned(),
        port: args.mysql_port,
        user: args.mysql_user.clone(),
        password,
        tls: args.mysql_tls == Switch::On,
        ca: args.mysql_ca.clone().filter(|path| !path.as_os_str().is_empty()),
        server_id: args.mysql_server_id.unwrap_or(derived),
        record_bytes_max: place.record_bytes_max(),
    })
}

fn settings(args: &MysqlArgs, host: &str, place: &Place) -> Result<Settings, String> {
    let server = server(args, host, place)?;
    let tables: Vec<_> =
        args.mysql_table.iter().filter(|table| !table.is_empty()).cloned().collect();
    Ok(Settings {
        server: Arc::new(server),
        selection: Selection::new(&args.mysql_database, &tables)?,
        snapshot: args.mysql_snapshot == Snapshot::Initial,
        chunk_rows: args.mysql_chunk_rows,
        on_lost_position: args.mysql_on_lost_position,
        on_unknown_columns: args.mysql_on_unknown_columns,
    })
}

/// What the records say that they are from.
fn path(args: &MysqlArgs, server: &Server) -> String {
    format!("mysql://{}/{}", server.name(), args.mysql_database)
}

fn changes(args: &MysqlArgs, host: &str, place: &Place) -> Result<Planned, String> {
    let settings = settings(args, host, place)?;
    let server = Arc::clone(&settings.server);
    let path = path(args, &server);
    let kinds = kinds(&path, place);
    let topics = kinds.iter().map(|kind| kind.topic.clone()).collect();
    let rows = if settings.snapshot { "rows, then changes" } else { "changes" };
    let note = format!("reading {rows} of {path} as replica {}", server.server_id);
    let open: Open = Box::new(move || {
        let feed = MysqlFeed::new(settings.clone())?;
        Ok(Box::new(Replicate::new(feed, kinds.clone())))
    });
    Ok(Planned {
        name: "mysql".to_owned(),
        notes: vec![note],
        waits_for_others: false,
        topics,
        open,
        inspect: Some(inspection(server, |server| async move { inspect::inspect(&server).await })),
    })
}

/// Drives the connections of one source, on its thread.
fn runtime() -> Result<Runtime, SourceError> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        SourceError::Retry("cannot start a runtime".to_owned(), Some(error.into()))
    })
}

fn inspection<F>(
    server: Arc<Server>,
    look: impl FnOnce(Arc<Server>) -> F + Send + 'static,
) -> Inspect
where
    F: Future<Output = Result<String, Failure>>,
{
    Box::new(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let name = server.name();
        // A timer belongs to a runtime, so it is made inside.
        let looking = async { tokio::time::timeout(CHECK_TIMEOUT, look(server)).await };
        match runtime.block_on(looking) {
            Ok(found) => found.map_err(|failure| SourceError::from(failure).to_string()),
            Err(_) => {
                Err(format!("MySQL at {name} does not answer: correct MYSQL_HOST and MYSQL_PORT"))
            }
        }
    })
}

/// Changes and rows, in the order of [`binlog::CHANGE`] and [`binlog::ROW`].
fn kinds(path: &str, place: &Place) -> Vec<RecordKind> {
    let name = format!("{} {path}", place.host);
    let kind = |(dataset, may_change)| {
        let dataset = datasets::find(dataset).expect("the dataset is in the list");
        place.kind(dataset, &name, path, may_change)
    };
    [("mysql.change", false), ("mysql.row", true)].map(kind).to_vec()
}
