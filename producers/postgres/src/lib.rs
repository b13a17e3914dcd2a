//! PostgreSQL: changes and rows by logical replication, tables that are polled, and the server's log
//! files.

mod catalog;
mod connection;
mod cursor;
mod failure;
mod feed;
mod inspect;
mod login;
mod lsn;
mod pgoutput;
mod point;
mod polled;
mod record;
mod rows;
mod settings;
mod setup;
mod shape;
mod statement;
mod stream;
mod table;
mod tls;
pub mod value;
mod verify;
mod visibility;

use std::sync::Arc;

use clap::{ArgMatches, Args as _, Command};
use tahoe_pipeline::replicate::{RecordKind, Replicate};
use tahoe_pipeline::service::{Check, Place, Planned, Producer, path_set, plan_files};
use tahoe_pipeline::verify::Verification;
use tahoe_schemas::datasets::{self, postgresql_log, with_line_prefix};
use tahoe_schemas::table::Table;

use crate::feed::Changes;
use crate::settings::{PostgresArgs, Settings, Snapshot};

/// The producer of PostgreSQL.
pub struct Postgres;

/// What the records are, by [`feed::CHANGE`] and [`feed::ROW`].
const DATASETS: [&str; 2] = ["postgresql.change", "postgresql.row"];

impl Producer for Postgres {
    fn name(&self) -> &'static str {
        "tahoe-postgres"
    }

    fn about(&self) -> &'static str {
        "Reads PostgreSQL's changes, rows and log files into Kafka"
    }

    fn example(&self) -> &'static str {
        "tahoe-postgres --kafka 127.0.0.1:9092 --pg-host 127.0.0.1 --pg-database shop"
    }

    fn arguments(&self, command: Command) -> Command {
        PostgresArgs::augment_args(command)
    }

    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String> {
        let mut args = PostgresArgs::read(matches)?;
        if place.once {
            args.leave_polled_tables()?;
        }
        let mut planned = Vec::new();
        let record_bytes_max = args.record_bytes_max(place)?;
        if let Some(settings) = args.settings()? {
            planned.push(changes(Settings { record_bytes_max, ..settings }, place));
        }
        if let Some(server) = args.server()? {
            planned.extend(polled::plan(&args.poll, &server, record_bytes_max, place)?);
        }
        let logs: Vec<_> = args.postgres_log.into_iter().filter(|path| !path.is_empty()).collect();
        if !logs.is_empty() {
            let mut set = path_set("--postgres-log", "postgresql.log", logs, place)?;
            if let Some(prefix) = args.pg_log_line_prefix.filter(|prefix| !prefix.is_empty()) {
                (set.framer, set.context) = with_line_prefix(&postgresql_log::DATASET, &prefix)
                    .map_err(|error| format!("--pg-log-line-prefix {prefix}: {error}"))?;
            }
            planned.push(plan_files("postgres-log", vec![set], place)?);
        }
        Ok(planned)
    }

    fn verifications(
        &self,
        matches: &ArgMatches,
        place: &Place,
    ) -> Result<Vec<Verification>, String> {
        let args = PostgresArgs::read(matches)?;
        let settings = args.settings()?;
        if settings.as_ref().is_some_and(|settings| settings.snapshot == Snapshot::Never) {
            return Err("--verify compares what was told of all rows, which --pg-snapshot never \
                        leaves out"
                .to_owned());
        }
        let record_bytes_max = args.record_bytes_max(place)?;
        let verification = |settings: Settings| {
            let settings = Settings { record_bytes_max, ..settings };
            let (name, kinds) = (name(&settings), kinds(&settings, place));
            let settings = Arc::new(settings);
            let open = Box::new(move || verify::open(&settings));
            Verification { name, kinds, is_settled: verify::is_settled, open }
        };
        Ok(settings.into_iter().map(verification).collect())
    }

    fn is_database(&self) -> bool {
        true
    }

    fn reads_once(&self) -> bool {
        true
    }

    fn prepare(&self, matches: &ArgMatches) -> Result<Vec<Check>, String> {
        step(matches, setup::prepare)
    }

    fn dismantle(&self, matches: &ArgMatches) -> Result<Vec<Check>, String> {
        step(matches, setup::dismantle)
    }

    fn tables(&self, matches: &ArgMatches, _place: &Place) -> Result<Vec<Table>, String> {
        let args = PostgresArgs::read(matches)?;
        args.settings()?.map_or(Ok(Vec::new()), |settings| shape::tables(&settings))
    }
}

fn step(
    matches: &ArgMatches,
    act: fn(&Settings) -> Result<String, String>,
) -> Result<Vec<Check>, String> {
    let args = PostgresArgs::read(matches)?;
    let settings = args.settings()?.into_iter();
    Ok(settings.map(|settings| Check::new("postgres", move || act(&settings))).collect())
}

fn name(settings: &Settings) -> String {
    format!("postgres-{}", settings.slot)
}

fn kinds(settings: &Settings, place: &Place) -> Vec<RecordKind> {
    let source =
        format!("{}\0postgresql\0{}\0{}", place.host, settings.server.database, settings.slot);
    let path = settings.server.place();
    DATASETS.iter().map(|dataset| kind(dataset, &source, &path, place)).collect()
}

fn changes(settings: Settings, place: &Place) -> Planned {
    let (name, kinds) = (name(&settings), kinds(&settings, place));
    let topics = kinds.iter().map(|kind| kind.topic.clone()).collect();
    let rows = match settings.snapshot {
        Snapshot::Initial => "; at the first start its rows too",
        Snapshot::Never => "",
    };
    let note = format!("reading changes of {}{rows}", settings.server.place());
    let settings = Arc::new(settings);
    let inspected = Arc::clone(&settings);
    Planned {
        name,
        notes: vec![note],
        waits_for_others: false,
        topics,
        open: Box::new(move || {
            let feed = Changes::new(Arc::clone(&settings));
            Ok(Box::new(Replicate::new(feed, kinds.clone())))
        }),
        inspect: Some(Box::new(move || inspect::inspect(&inspected))),
    }
}

/// Records of a dataset; the source's name is that of their identity.
fn kind(dataset: &str, source: &str, path: &str, place: &Place) -> RecordKind {
    let found = datasets::find(dataset).expect("the dataset is in the list");
    place.kind(found, source, path, dataset == DATASETS[feed::ROW])
}
