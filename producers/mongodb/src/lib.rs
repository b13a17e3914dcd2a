//! MongoDB: what its collections hold, their changes, collections of log documents, and the
//! server's own log.
//!
//! A change stream begins before the collections are read, and each chunk of a collection is given
//! after the changes up to the time of its reading, so that documents and changes together are the
//! collection, with no gap between them. Changes resume at the stream's
//! token; where the server no longer has it, a policy decides (`--mongo-on-lost-position`).

mod change;
mod changes;
mod connection;
mod documents;
mod inspect;
mod oplog;
mod point;
mod reader;
mod server;
mod settings;
mod snapshot;
mod stream;
mod value;
mod verify;

use clap::{ArgMatches, Args as _, Command};
use tahoe_pipeline::replicate::{RecordKind, Replicate};
use tahoe_pipeline::service::{Place, Planned, Producer, path_set, plan_files};
use tahoe_pipeline::verify::Verification;
use tahoe_schemas::datasets;

use crate::changes::Changes;
use crate::settings::{MongoArgs, Snapshot, Target};

/// The producer of MongoDB.
pub struct MongoDb;

impl Producer for MongoDb {
    fn name(&self) -> &'static str {
        "tahoe-mongodb"
    }

    fn about(&self) -> &'static str {
        "Takes MongoDB's documents, their changes and its log into Kafka"
    }

    fn example(&self) -> &'static str {
        "tahoe-mongodb --kafka 127.0.0.1:9092 --mongo-host 127.0.0.1 --mongo-db shop"
    }

    fn arguments(&self, command: Command) -> Command {
        MongoArgs::augment_args(command)
    }

    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String> {
        let args = MongoArgs::read(matches, place)?.without_empty();
        let mut planned = Vec::new();
        if place.once && (args.mongo_logs.is_empty() || args.reads_changes()) {
            let text = "--once reads log documents and nothing that has no end: name some with \
                        --mongo-logs, and leave MONGO_COLLECTION out";
            return Err(text.to_owned());
        }
        if !place.once && !args.mongodb_log.is_empty() {
            let paths = args.mongodb_log.clone();
            let set = path_set("--mongodb-log", "mongodb.log", paths, place)?;
            planned.push(plan_files("mongodb-log", vec![set], place)?);
        }
        if !args.names_a_server() {
            return match args.mongo_logs.first() {
                Some(_) => Err("--mongo-logs: MONGO_HOST is not set".to_owned()),
                None => Ok(planned),
            };
        }
        let target = args.target()?;
        if args.reads_changes() {
            planned.push(plan_changes(&args, &target, place)?);
        }
        planned.extend(documents::plan(&args, &target, place)?);
        Ok(planned)
    }

    fn is_database(&self) -> bool {
        true
    }

    fn reads_once(&self) -> bool {
        true
    }

    fn verifications(
        &self,
        matches: &ArgMatches,
        place: &Place,
    ) -> Result<Vec<Verification>, String> {
        let args = MongoArgs::read(matches, place)?.without_empty();
        if !args.names_a_server() || !args.reads_changes() {
            return Ok(Vec::new());
        }
        if args.mongo_snapshot == Snapshot::Never {
            return Err(
                "--verify compares what was told of all documents, which --mongo-snapshot \
                        never leaves out"
                    .to_owned(),
            );
        }
        let target = args.target()?;
        let name = format!("mongodb-{}", path_of(&target));
        let kinds = change_kinds(&target, place)?;
        let settings = changes::Settings { target, args };
        let open = Box::new(move || verify::open(settings));
        Ok(vec![Verification { name, kinds, is_settled: verify::is_settled, open }])
    }
}

/// What the changes are called by: `shop`, or `shop.orders,users`.
fn path_of(target: &Target) -> String {
    match target.collections.is_empty() {
        true => target.db.clone(),
        false => format!("{}.{}", target.db, target.collections.join(",")),
    }
}

fn change_kinds(target: &Target, place: &Place) -> Result<Vec<RecordKind>, String> {
    let path = path_of(target);
    let change = record_kind("mongodb.change", &path, false, place)?;
    let row = record_kind("mongodb.row", &path, true, place)?;
    Ok(vec![change, row])
}

fn plan_changes(args: &MongoArgs, target: &Target, place: &Place) -> Result<Planned, String> {
    let path = path_of(target);
    let kinds = change_kinds(target, place)?;
    let first = match args.mongo_snapshot {
        Snapshot::Initial => "what it holds, then its changes",
        Snapshot::Never => "its changes",
    };
    let (inspected, settings) = ((target.clone(), args.clone()), (target.clone(), args.clone()));
    let topics = kinds.iter().map(|kind| kind.topic.clone()).collect();
    Ok(Planned {
        name: format!("mongodb-{path}"),
        notes: vec![format!("reading {path} at {}: {first}", target.connection.describe())],
        waits_for_others: true,
        topics,
        open: Box::new(move || {
            let (target, args) = settings.clone();
            let feed = Changes::new(changes::Settings { target, args })?;
            Ok(Box::new(Replicate::new(feed, kinds.clone())))
        }),
        inspect: Some(Box::new(move || inspect::inspect(&inspected.0, &inspected.1))),
    })
}

fn record_kind(
    dataset: &str,
    path: &str,
    may_change: bool,
    place: &Place,
) -> Result<RecordKind, String> {
    let found = datasets::named(dataset).map_err(|error| format!("--mongo-logs {error}"))?;
    // The host as it owns the positions: two servers may have databases of one name, and a replica
    // set's members come and go.
    let name = format!("{}\0mongodb\0{path}", place.host);
    let kind = place.kind(found, &name, &format!("mongodb://{path}"), may_change);
    Ok(kind.formerly(&format!("mongodb {path}")))
}
