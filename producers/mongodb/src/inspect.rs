//! What `--check` says of a server: version, role, what each mode needs, with the statement to run.

use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::bson::doc;
use mongodb::error::Error;

use crate::oplog::{GRANT, Window};
use crate::server::{SHARDED, connect, decide, identify, runtime};
use crate::settings::{Before, FullDocument, MongoArgs, Target};

/// Within this, a restart after a weekend finds its place.
const OPLOG_HOURS_MIN: u32 = 48;

/// Connects, changes nothing, and says what it found.
///
/// # Errors
/// What stands in the way, with the setting or the statement that helps.
pub(crate) fn inspect(target: &Target, args: &MongoArgs) -> Result<String, String> {
    within_runtime(target, look(target, args))
}

/// The lines that are found; one of them may be what stands in the way.
///
/// # Errors
/// That, or the server's.
pub(crate) fn within_runtime(
    target: &Target,
    look: impl Future<Output = Result<Vec<String>, Error>>,
) -> Result<String, String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    let lines = runtime.block_on(look).map_err(|error| decide(error, target).to_string())?;
    match lines.iter().find_map(|line| line.strip_prefix("error: ")) {
        Some(error) => Err(error.to_owned()),
        None => Ok(lines.join("\n")),
    }
}

/// The server, and which of the collections there are.
///
/// # Errors
/// The server's.
pub(crate) async fn describe(
    db: &Database,
    target: &Target,
) -> Result<(Vec<String>, Vec<Collection>), Error> {
    let build = db.run_command(doc! {"buildInfo": 1}).await?;
    let version = build.get_str("version").unwrap_or("of unknown version").to_owned();
    let role = match identify(db).await?.set.as_str() {
        "" => "a single server".to_owned(),
        SHARDED => "a sharded cluster".to_owned(),
        set => format!("replica set {set}"),
    };
    let at = target.connection.describe();
    let mut lines = vec![format!("MongoDB {version} at {at}, {role}, database {}", target.db)];
    let names: Vec<Collection> = list(db, target).await?;
    if names.is_empty() {
        lines.push(format!(
            "warning: {} has no such collection yet: check MONGO_DB, MONGO_COLLECTION and --mongo-logs",
            target.db
        ));
    }
    Ok((lines, names))
}

async fn look(target: &Target, args: &MongoArgs) -> Result<Vec<String>, Error> {
    let db = connect(&target.connection, &target.db).await?;
    let (mut lines, names) = describe(&db, target).await?;
    let server = identify(&db).await?;
    if server.set.is_empty() {
        let text = "error: change streams need a replica set: start mongod with --replSet rs0, \
                    then run rs.initiate(); without it only --mongo-logs and --mongodb-log work";
        lines.push(text.to_owned());
        return Ok(lines);
    }
    if server.id.is_empty() {
        lines.push(
            "warning: another server of the same set name is not recognised, since this user may \
             not ask for the set's id: db.grantRolesToUser(USER, [{role: \"clusterMonitor\", db: \
             \"admin\"}])"
                .to_owned(),
        );
    }
    if server.set != SHARDED {
        lines.extend(oplog_window(&db, args.mongo_oplog_warn).await);
    }
    lines.extend(images(&names, args));
    Ok(lines)
}

/// A collection that is to be read.
pub(crate) struct Collection {
    name: String,
    keeps_images: bool,
}

async fn list(db: &Database, target: &Target) -> Result<Vec<Collection>, Error> {
    let command = doc! {"listCollections": 1, "filter": {"type": "collection"}};
    let mut listed = db.run_cursor_command(command).await?;
    let mut found = Vec::new();
    while let Some(entry) = listed.next().await {
        let entry = entry?;
        let name = entry.get_str("name").unwrap_or_default();
        let wanted = match target.collections.is_empty() {
            true => !name.starts_with("system."),
            false => target.collections.iter().any(|wanted| wanted == name),
        };
        if wanted {
            let options = entry.get_document("options").cloned().unwrap_or_default();
            let images = options.get_document("changeStreamPreAndPostImages").cloned();
            let keeps_images =
                images.is_ok_and(|images| images.get_bool("enabled").unwrap_or_default());
            found.push(Collection { name: name.to_owned(), keeps_images });
        }
    }
    Ok(found)
}

/// How far back the server remembers.
async fn oplog_window(db: &Database, hours: u32) -> Option<String> {
    let window = match Window::ask(db).await {
        Ok(window) => window?,
        Err(_) => {
            return Some(format!(
                "how far back the oplog reaches is not told to this user: {GRANT}"
            ));
        }
    };
    let reaches = format!("the oplog reaches back {} h", window.seconds() / 3600);
    Some(match window.is_short(hours, None) {
        true => format!(
            "warning: {reaches}, and a longer stop loses changes: \
             db.adminCommand({{replSetResizeOplog: 1, minRetentionHours: {OPLOG_HOURS_MIN}}})"
        ),
        false => reaches,
    })
}

fn images(collections: &[Collection], args: &MongoArgs) -> Vec<String> {
    let asks = args.mongo_before != Before::Off
        || matches!(args.mongo_full_document, FullDocument::WhenAvailable | FullDocument::Required);
    let (with, without): (Vec<_>, Vec<_>) =
        collections.iter().partition(|collection| collection.keeps_images);
    let mut lines = Vec::new();
    if !with.is_empty() {
        let names: Vec<_> = with.iter().map(|collection| collection.name.as_str()).collect();
        lines.push(format!("images before and after changes are kept of {}", names.join(", ")));
    }
    for Collection { name, .. } in without {
        let warning = if asks { "warning: " } else { "" };
        lines.push(format!(
            "{warning}{name} keeps no images; to have whole documents with updates and deletes: \
             db.runCommand({{collMod: \"{name}\", changeStreamPreAndPostImages: {{enabled: \
             true}}}})"
        ));
    }
    lines
}
