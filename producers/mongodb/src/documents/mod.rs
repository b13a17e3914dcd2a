//! Collections of log documents: read by their time and `_id`, again and again, without a change
//! stream.

mod inspect;
mod order;
mod table;

use tahoe_pipeline::poll::{Poll, PollSettings};
use tahoe_pipeline::replicate::Replicate;
use tahoe_pipeline::service::{Place, Planned};

use crate::record_kind;
use crate::settings::{MongoArgs, Target};
use table::Documents;

/// A collection, and how it is read.
#[derive(Clone)]
struct Settings {
    target: Target,
    collection: String,
    /// The documents are records of a dataset of their own, not rows.
    plain: bool,
    args: MongoArgs,
}

/// One source for each collection, so that a slow one holds up no other.
///
/// # Errors
/// Names the setting that cannot be.
pub(crate) fn plan(
    args: &MongoArgs,
    target: &Target,
    place: &Place,
) -> Result<Vec<Planned>, String> {
    let every = ("--mongo-logs-every", args.mongo_logs_every.as_str());
    let poll = place.polling(every, args.mongo_logs_overlap, args.mongo_chunk.into())?;
    let mut planned: Vec<Planned> = Vec::new();
    for logs in &args.mongo_logs {
        let one = plan_collection(logs, args, target, place, &poll)?;
        if planned.iter().any(|other| other.name == one.name) {
            return Err(format!("--mongo-logs {logs}: the collection is there twice"));
        }
        planned.push(one);
    }
    Ok(planned)
}

fn plan_collection(
    logs: &str,
    args: &MongoArgs,
    target: &Target,
    place: &Place,
    poll: &PollSettings,
) -> Result<Planned, String> {
    let (collection, dataset) = logs.split_once('=').unwrap_or((logs, "mongodb.row"));
    let path = format!("{}.{collection}", target.db);
    let kind = record_kind(dataset, &format!("logs {path}"), true, place)?;
    let note = format!(
        "polling the log documents of {path} at {} by {}",
        target.connection.describe(),
        args.mongo_logs_time
    );
    let settings = Settings {
        target: Target { collections: vec![collection.to_owned()], ..target.clone() },
        collection: collection.to_owned(),
        plain: dataset != "mongodb.row",
        args: args.clone(),
    };
    let (inspected, poll) = (settings.clone(), poll.clone());
    Ok(Planned {
        name: format!("mongodb-logs-{path}"),
        notes: vec![note],
        waits_for_others: true,
        topics: vec![kind.topic.clone()],
        open: Box::new(move || {
            let feed = Poll::new(Documents::new(settings.clone())?, poll.clone());
            Ok(Box::new(Replicate::new(feed, vec![kind.clone()])))
        }),
        inspect: Some(Box::new(move || inspect::inspect(&inspected))),
    })
}
