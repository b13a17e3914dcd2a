//! The published tables as one snapshot has them, for `--verify`. A snapshot says which
//! transactions it saw, and a change says which one made it: so both sides have the same ones.

use std::sync::Arc;

use tahoe_pipeline::seams::SourceError;
use tahoe_pipeline::verify::{Has, Held, Told, Truth};

use crate::catalog::{Catalog, Published};
use crate::connection::{Connection, Purpose};
use crate::failure::Failure;
use crate::lsn::Lsn;
use crate::pgoutput::Cell;
use crate::point::{Point, Progress};
use crate::record::{Writer, Written};
use crate::rows::{LOG_END, columns};
use crate::settings::Settings;
use crate::stream::Stream;
use crate::visibility::Visibility;

/// A transaction that is not ended until it is dropped.
pub struct Snapshot {
    connection: Connection,
    writer: Writer,
    saw: Visibility,
    /// Where the log ended behind everything that it saw.
    end: Lsn,
    tables: Vec<Published>,
    held: Vec<Held>,
}

/// A feed at this point has read its tables.
pub fn is_settled(point: &[u8]) -> bool {
    Point::decode(point).is_some_and(|point| point.progress == Progress::Done)
}

/// Takes a snapshot.
///
/// # Errors
/// A sentence that names the setting to change.
pub fn open(settings: &Arc<Settings>) -> Result<Box<dyn Truth>, String> {
    let snapshot = Snapshot::open(settings).map_err(said)?;
    Ok(Box::new(snapshot))
}

fn said(failure: Failure) -> String {
    SourceError::from(failure).to_string()
}

impl Snapshot {
    fn open(settings: &Arc<Settings>) -> Result<Self, Failure> {
        let system = Stream::open(&settings.server)?.system.to_string();
        let mut tables = Vec::new();
        let mut catalog = Catalog::new(settings.server.clone());
        let mut behind: Option<(String, String)> = None;
        loop {
            let name = behind.as_ref().map(|(schema, table)| (schema.as_str(), table.as_str()));
            let Some(found) = catalog.published(&settings.publication, name, ">")? else { break };
            behind = Some((found.table.schema.clone(), found.table.name.clone()));
            tables.push(found);
        }
        let mut connection = Connection::open(&settings.server, Purpose::Statements)?;
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        // A table is one statement here, however long it is.
        connection.query("SET LOCAL statement_timeout = 0")?;
        let text = connection.value("SELECT pg_current_snapshot()")?;
        let end = connection.value(LOG_END)?;
        let (Some(saw), Ok(end)) = (Visibility::parse(&text), end.parse()) else {
            return Err(Failure::Setting(format!("no snapshot of the server: {text} at {end}")));
        };
        let database = settings.server.database.clone();
        let held = tables.iter().map(|found| held(&database, found)).collect();
        let writer = Writer { system, database, bytes_max: settings.record_bytes_max };
        Ok(Self { connection, writer, saw, end, tables, held })
    }
}

fn held(database: &str, found: &Published) -> Held {
    let in_publication = |key: &String| found.table.columns.iter().any(|one| one.name == *key);
    let has_key = !found.key.is_empty() && found.key.iter().all(in_publication);
    let reason = "it has no primary key by which a row is known";
    Held {
        db: database.to_owned(),
        schema: found.table.schema.clone(),
        table: found.table.name.clone(),
        left_out: (!has_key).then(|| reason.to_owned()),
    }
}

impl Truth for Snapshot {
    fn server(&self) -> &str {
        &self.writer.system
    }

    fn place(&self) -> String {
        self.end.to_string()
    }

    fn tables(&self) -> &[Held] {
        &self.held
    }

    fn is_reached(&self, point: &[u8]) -> bool {
        Point::decode(point).is_some_and(|point| {
            point.system.to_string() == self.writer.system && point.lsn >= self.end
        })
    }

    fn has(&self, change: &Told<'_>) -> Has {
        let seen = |transaction: &str| transaction.parse().is_ok_and(|xid| self.saw.saw(xid));
        match change.is_read() || seen(change.transaction()) {
            true => Has::Yes,
            false => Has::No,
        }
    }

    fn order(&self, position: &str) -> Option<(u64, u64)> {
        position.parse().ok().map(|lsn: Lsn| (lsn.0, 0))
    }

    fn rows(&mut self, table: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let found = &self.tables[table];
        let names: Vec<_> = found.table.columns.iter().map(|column| column.name.clone()).collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {}",
            columns(&names, ""),
            found.from,
            columns(&found.key, "")
        );
        let (writer, end) = (&self.writer, self.end);
        let mut written = Written::default();
        let read = self.connection.query_each(&sql, &mut |values| {
            let row: Vec<_> =
                values.iter().map(|value| value.map_or(Cell::Null, Cell::Text)).collect();
            writer.row(&found.table, &row, Some(end), &mut written);
            each(&written.bytes);
        });
        read.map_err(said)
    }
}
