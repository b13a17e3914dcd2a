//! How far back the server's changes go: a position that falls behind the oplog's first entry is
//! lost, so that is known, and warned of, before it happens.

use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::error::Error;
use tahoe_pipeline::seams::Lag;

use crate::server::is_forbidden;

/// Between two looks; an oplog's ends move in hours.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What lets a user see the oplog.
pub(crate) const GRANT: &str =
    "db.getSiblingDB(\"admin\").grantRolesToUser(USER, [{role: \"read\", db: \"local\"}])";

/// The times of its first and last entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    first: u32,
    last: u32,
    /// It has room yet, so that it will reach further back.
    is_filling: bool,
}

impl Window {
    /// Asks for it; `None` where there is none, as behind mongos.
    ///
    /// # Errors
    /// The server's; it may be that the user is not to see it.
    pub async fn ask(db: &Database) -> Result<Option<Self>, Error> {
        let local = db.client().database("local");
        let oplog = local.collection::<Document>("oplog.rs");
        let end = async |order: i32| {
            let found = oplog.find_one(doc! {}).sort(doc! {"$natural": order});
            let entry = found.projection(doc! {"ts": 1}).await?;
            Ok::<_, Error>(match entry.as_ref().and_then(|entry| entry.get("ts")) {
                Some(Bson::Timestamp(at)) => Some(at.time),
                _ => None,
            })
        };
        let (Some(first), Some(last)) = (end(1).await?, end(-1).await?) else { return Ok(None) };
        let sizes = local.run_command(doc! {"collStats": "oplog.rs"}).await.unwrap_or_default();
        let bytes = |name: &str| match sizes.get(name) {
            Some(Bson::Int32(number)) => Some(f64::from(*number)),
            Some(Bson::Int64(number)) => Some(*number as f64),
            Some(Bson::Double(number)) => Some(*number),
            _ => None,
        };
        let is_filling = matches!((bytes("size"), bytes("maxSize")),
            (Some(size), Some(most)) if size < 0.9 * most);
        Ok(Some(Self { first, last, is_filling }))
    }

    /// From its first to its last entry.
    pub fn seconds(&self) -> u32 {
        self.last.saturating_sub(self.first)
    }

    /// Until the oplog would no longer reach back to a position, if all of it went on as it did.
    fn seconds_before(&self, position: Option<Timestamp>) -> u32 {
        position.map_or(self.seconds(), |at| at.time.saturating_sub(self.first))
    }

    /// A stop of so many hours may lose changes.
    pub fn is_short(&self, hours: u32, position: Option<Timestamp>) -> bool {
        !self.is_filling && self.seconds_before(position) < hours.saturating_mul(3600)
    }
}

/// What is known of it while changes are read.
#[derive(Default)]
pub(crate) struct Watched {
    looked: Option<Instant>,
    window: Option<(Window, u32)>,
    is_short: bool,
    is_hidden: bool,
}

impl Watched {
    /// Looks, if it is time to, and warns when it begins to be short.
    pub async fn look(&mut self, db: &Database, position: Option<Timestamp>, hours: u32) {
        if self.is_hidden || self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let window = match Window::ask(db).await {
            Ok(Some(window)) => window,
            Ok(None) => return,
            Err(error) if is_forbidden(&error) => {
                self.is_hidden = true;
                let statement = GRANT;
                tracing::warn!(
                    statement,
                    "how far back the oplog reaches is not told to this user"
                );
                return;
            }
            // The changes themselves will say what is wrong.
            Err(_) => return,
        };
        let left_seconds = window.seconds_before(position);
        self.window = Some((window, left_seconds));
        let is_short = window.is_short(hours, position);
        if is_short && !self.is_short {
            let window_seconds = window.seconds();
            let statement = "db.adminCommand({replSetResizeOplog: 1, minRetentionHours: 48})";
            tracing::warn!(
                left_seconds,
                window_seconds,
                statement,
                "the oplog reaches back less than --mongo-oplog-warn says: a longer stop loses changes"
            );
        }
        self.is_short = is_short;
    }

    /// As metrics: the whole window, and what of it is before our position.
    pub fn lag(&self, db: &str) -> Vec<Lag> {
        let Some((window, left)) = self.window else { return Vec::new() };
        let lag = |what: &str, seconds: u32| Lag {
            of: format!("{db} oplog {what}"),
            bytes: 0,
            seconds: f64::from(seconds),
        };
        vec![lag("window", window.seconds()), lag("before position", left)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oplog_is_short_by_what_it_has_before_our_position_unless_it_still_fills() {
        let window = Window { first: 1000, last: 1000 + 50 * 3600, is_filling: false };
        let at = |hours: u32| Some(Timestamp { time: 1000 + hours * 3600, increment: 1 });
        assert!(!window.is_short(48, at(50)));
        assert!(window.is_short(48, at(3)), "the reader is far behind");
        assert!(!window.is_short(0, at(0)), "never to be warned of");
        assert!(!window.is_short(48, None) && window.is_short(51, None));
        assert!(!Window { is_filling: true, ..window }.is_short(48, at(3)));
    }
}
