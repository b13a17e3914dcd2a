//! The selected tables as one snapshot has them, for `--verify`, and the place of the binlog that it
//! is of: as of a chunk, MariaDB says it; on MySQL the tables are locked for a moment. Without the
//! right to lock, what changed in that moment is not compared.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row};
use tahoe_pipeline::seams::SourceError;
use tahoe_pipeline::verify::{Has, Held, Told, Truth};
use tokio::runtime::{Builder, Runtime};

use crate::column::Described;
use crate::failure::Failure;
use crate::point::{Chunk, Offset, Point};
use crate::read::{ReadRow, Reading, table_of, unreadable};
use crate::record::{Image, Origin};
use crate::server::Server;
use crate::settings::Settings;
use crate::snapshot;

/// A transaction that is not ended until it is dropped.
pub(crate) struct Snapshot {
    runtime: Runtime,
    conn: Conn,
    server: Arc<Server>,
    identity: String,
    /// It has all before `from`, and nothing behind `to`.
    from: Offset,
    to: Offset,
    tables: Vec<(Chunk, Vec<Described>)>,
    held: Vec<Held>,
}

/// A feed at this point has read its tables.
pub(crate) fn is_settled(point: &[u8]) -> bool {
    Point::decode(point).is_some_and(|point| point.is_settled())
}

/// Takes a snapshot.
///
/// # Errors
/// A sentence that names the setting to change.
pub(crate) fn open(settings: &Settings) -> Result<Box<dyn Truth>, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    Ok(Box::new(Snapshot::open(settings, runtime).map_err(said)?))
}

fn said(failure: Failure) -> String {
    SourceError::from(failure).to_string()
}

impl Snapshot {
    fn open(settings: &Settings, runtime: Runtime) -> Result<Self, Failure> {
        let server = Arc::clone(&settings.server);
        let (conn, identity, from, to, found) = runtime.block_on(async {
            let mut conn = server.connect().await?;
            let variables = server.variables(&mut conn).await?;
            let described = server.describe_all(&mut conn, &settings.selection).await?;
            let mut found: Vec<_> = described.into_iter().collect();
            found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let names: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
            let (before, _) = server.end(&mut conn, &variables).await?;
            let place = snapshot::open_tables(&server, &mut conn, &variables, &names).await?;
            let from = if place.exact { place.offset.clone() } else { before };
            Ok((conn, variables.identity(), from, place.offset, found))
        })?;
        let tables: Vec<_> = found
            .into_iter()
            .map(|((database, table), described)| {
                let at = to.text();
                (Chunk { database, table, lower: None, upper: None, at }, described)
            })
            .collect();
        let held = tables.iter().map(|(chunk, described)| held(chunk, described)).collect();
        Ok(Self { runtime, conn, server, identity, from, to, tables, held })
    }
}

fn held(chunk: &Chunk, described: &[Described]) -> Held {
    let has_key = described.iter().any(|column| column.in_key.is_some());
    Held {
        db: chunk.database.clone(),
        schema: String::new(),
        table: chunk.table.clone(),
        left_out: (!has_key).then(|| "it has no primary key by which a row is known".to_owned()),
    }
}

/// `binlog.000003:1234`
fn offset(position: &str) -> Option<Offset> {
    let (file, at) = position.rsplit_once(':')?;
    Some(Offset { file: file.to_owned(), at: at.parse().ok()? })
}

impl Truth for Snapshot {
    fn server(&self) -> &str {
        &self.identity
    }

    fn place(&self) -> String {
        self.to.text()
    }

    fn tables(&self) -> &[Held] {
        &self.held
    }

    fn is_reached(&self, point: &[u8]) -> bool {
        Point::decode(point)
            .is_some_and(|point| point.server == self.identity && point.offset >= self.to)
    }

    fn has(&self, change: &Told<'_>) -> Has {
        match offset(change.position()) {
            _ if change.is_read() => Has::Yes,
            Some(at) if at <= self.from => Has::Yes,
            Some(at) if at <= self.to => Has::Perhaps,
            _ => Has::No,
        }
    }

    fn order(&self, position: &str) -> Option<(u64, u64)> {
        let offset = offset(position)?;
        let digits = offset.file.rsplit_once('.').map(|(_, digits)| digits)?;
        Some((digits.parse().ok()?, offset.at))
    }

    fn rows(&mut self, table: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let Self { runtime, conn, server, identity, tables, .. } = self;
        let (chunk, described) = &tables[table];
        runtime.block_on(read(server, conn, identity, (chunk, described), each)).map_err(said)
    }
}

async fn read(
    server: &Server,
    conn: &mut Conn,
    identity: &str,
    (chunk, described): (&Chunk, &[Described]),
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), Failure> {
    let table = table_of(&chunk.database, &chunk.table, described);
    let query = Reading { chunk, described, key: &table.key }.ordered_rows();
    let failed = server.failure("read a table");
    let mut result = conn.exec_iter(query, ()).await.map_err(&failed)?;
    let columns = result.columns().unwrap_or_else(|| Arc::from(Vec::new()));
    let origin = Origin::read(identity, &chunk.at, server.record_bytes_max);
    let Some(mut stream) = result.stream::<Row>().await.map_err(&failed)? else { return Ok(()) };
    let mut record = Vec::new();
    while let Some(row) = stream.try_next().await.map_err(&failed)? {
        let values = row.unwrap();
        let row = ReadRow { described, columns: &columns, values: &values };
        record.clear();
        let written = origin.write_row(&table, None, Some(&row as &dyn Image), &mut record);
        written.ok_or_else(|| unreadable(&table))?;
        each(&record);
    }
    Ok(())
}
