//! What `--check` says of a collection of log documents, and the statement for what it lacks.

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::doc;
use mongodb::error::Error;

use super::Settings;
use super::table::Role;
use crate::inspect::{describe, within_runtime};
use crate::server::{code, connect};

/// Connects, changes nothing, and says what it found.
///
/// # Errors
/// What stands in the way, with the setting or the statement that helps.
pub(super) fn inspect(settings: &Settings) -> Result<String, String> {
    within_runtime(&settings.target, look(settings))
}

async fn look(settings: &Settings) -> Result<Vec<String>, Error> {
    let db = connect(&settings.target.connection, &settings.target.db).await?;
    let (mut lines, collections) = describe(&db, &settings.target).await?;
    let (collection, time) = (&settings.collection, &settings.args.mongo_logs_time);
    lines.push(format!("{collection} by {time},_id"));
    if !collections.is_empty() && !has_index(&db, settings).await? {
        lines.push(format!(
            "warning: no index begins with {time}: every reading goes through the whole \
             collection; db.{collection}.createIndex({{\"{time}\": 1, _id: 1}})"
        ));
    }
    let role = Role::ask(&db).await?;
    lines.push(match (role.has_transactions, role.shows_transactions(&db).await?) {
        (false, _) => "a server without replicas has no transactions to wait for".to_owned(),
        (true, true) => "late documents are looked for back to the oldest open transaction".into(),
        (true, false) => {
            let user = settings.target.connection.user().unwrap_or("USER");
            format!(
                "warning: open transactions cannot be seen: late documents are looked for only \
                 --mongo-logs-overlap seconds back; at the primary, \
                 db.getSiblingDB(\"admin\").grantRolesToUser(\"{user}\", [{{role: \
                 \"clusterMonitor\", db: \"admin\"}}])"
            )
        }
    });
    Ok(lines)
}

async fn has_index(db: &Database, settings: &Settings) -> Result<bool, Error> {
    let command = doc! {"listIndexes": &settings.collection};
    let mut indexes = match db.run_cursor_command(command).await {
        Ok(indexes) => indexes,
        // Views have none, and who may not list them is told so nowhere else.
        Err(error) if code(&error).is_some() => return Ok(true),
        Err(error) => return Err(error),
    };
    while let Some(index) = indexes.next().await.transpose()? {
        let first = index.get_document("key").ok().and_then(|key| key.keys().next());
        if first == Some(&settings.args.mongo_logs_time) {
            return Ok(true);
        }
    }
    Ok(false)
}
