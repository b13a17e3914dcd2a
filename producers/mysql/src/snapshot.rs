//! Tables as they are, in chunks, each at an exact place of the binlog: MariaDB says which place a
//! consistent snapshot is of; on MySQL the table is locked for the moment in which both are taken.
//! Without the right to lock, the place is only known to lie between two, and rows that change
//! between them are left to their changes.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::binlog::ROW;
use crate::column::Described;
use crate::ddl::TableName;
use crate::failure::Failure;
use crate::point::{Chunk, Offset};
use crate::read::{ReadRow, Reading, quoted_table, table_of, unreadable};
use crate::record::{Image, Origin, write_kafka_key};
use crate::selection::Selection;
use crate::server::{Server, Variables};
use crate::steps::Steps;

/// Rows go from the query's task to the feed in pieces of this, a few at a time.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_MAX: usize = 4;

/// The chunk that follows `after`, at the binlog's place `at`; none when all tables were read.
pub(crate) async fn next_chunk(
    server: &Server,
    conn: &mut Conn,
    selection: &Selection,
    after: Option<&Chunk>,
    (at, rows): (String, u64),
) -> Result<Option<Chunk>, Failure> {
    let (mut database, mut table, mut lower) = match after {
        Some(Chunk { database, table, upper: Some(upper), .. }) => {
            (database.clone(), table.clone(), Some(upper.clone()))
        }
        _ => match next_table(server, conn, selection, after).await? {
            Some((database, table)) => (database, table, None),
            None => return Ok(None),
        },
    };
    loop {
        let described = server.describe(conn, &database, &table).await?;
        let mut chunk = Chunk { database, table, lower, upper: None, at: at.clone() };
        if !described.is_empty() {
            chunk.upper = upper(server, conn, &chunk, &described, rows).await?;
            return Ok(Some(chunk));
        }
        // It was dropped meanwhile.
        match next_table(server, conn, selection, Some(&chunk)).await? {
            Some(next) => (database, table, lower) = (next.0, next.1, None),
            None => return Ok(None),
        }
    }
}

async fn next_table(
    server: &Server,
    conn: &mut Conn,
    selection: &Selection,
    after: Option<&Chunk>,
) -> Result<Option<(String, String)>, Failure> {
    let mut tables = selection.tables(conn).await.map_err(server.failure("list the tables"))?;
    // By bytes, so that no collation takes two names for one.
    tables.sort_unstable();
    let after = after.map(|chunk| (chunk.database.clone(), chunk.table.clone()));
    Ok(tables.into_iter().find(|table| after.as_ref().is_none_or(|after| table > after)))
}

async fn upper(
    server: &Server,
    conn: &mut Conn,
    chunk: &Chunk,
    described: &[Described],
    rows: u64,
) -> Result<Option<Vec<String>>, Failure> {
    let key = table_of(&chunk.database, &chunk.table, described).key;
    if key.is_empty() {
        return Ok(None);
    }
    let reading = Reading { chunk, described, key: &key };
    let query = reading.upper(rows);
    let row: Option<Row> =
        conn.exec_first(query, ()).await.map_err(server.failure("find the end of a chunk"))?;
    Ok(row.map(|row| reading.bound(row)))
}

/// The binlog's place that a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub offset: Offset,
    /// Otherwise it is of an earlier place that was read already, or of this one.
    pub exact: bool,
}

const SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
/// The account may not do this.
const NOT_ALLOWED: [u16; 3] = [1044, 1142, 1227];

/// Opens a snapshot for reading the chunk and says of which place it is.
pub(crate) async fn open(
    server: &Server,
    conn: &mut Conn,
    variables: &Variables,
    chunk: &Chunk,
) -> Result<Place, Failure> {
    let name = (chunk.database.clone(), chunk.table.clone());
    open_tables(server, conn, variables, &[name]).await
}

/// The same for reading some tables.
pub(crate) async fn open_tables(
    server: &Server,
    conn: &mut Conn,
    variables: &Variables,
    tables: &[TableName],
) -> Result<Place, Failure> {
    let failed = server.failure("open a snapshot");
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await
        .map_err(&failed)?;
    if variables.is_mariadb() {
        conn.query_drop(SNAPSHOT).await.map_err(&failed)?;
        let query = "SHOW STATUS WHERE Variable_name IN \
             ('binlog_snapshot_file', 'binlog_snapshot_position')";
        let found: Vec<(String, String)> = conn.query(query).await.map_err(&failed)?;
        let of = |name: &str| {
            let found = found.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value.as_str())
        };
        let offset = Offset {
            file: of("binlog_snapshot_file").to_owned(),
            at: of("binlog_snapshot_position").parse().unwrap_or_default(),
        };
        if !offset.file.is_empty() {
            return Ok(Place { offset, exact: true });
        }
        let (offset, _) = server.end(conn, variables).await?;
        return Ok(Place { offset, exact: false });
    }
    let mut lock = server.connect().await?;
    let name = |(database, table): &TableName| quoted_table(database, table) + " READ";
    let names: Vec<_> = tables.iter().map(name).collect();
    let exact = match lock.query_drop(format!("LOCK TABLES {}", names.join(", "))).await {
        Ok(()) => true,
        Err(mysql_async::Error::Server(error)) if NOT_ALLOWED.contains(&error.code) => false,
        Err(error) => return Err(failed(error)),
    };
    let opened = conn.query_drop(SNAPSHOT).await.map_err(&failed);
    let end = server.end(&mut lock, variables).await;
    let unlocked = lock.query_drop("UNLOCK TABLES").await.map_err(&failed);
    let _ = lock.disconnect().await;
    opened.and(unlocked)?;
    Ok(Place { offset: end?.0, exact })
}

/// Rows that a task reads, as records; the channel closes at the end.
pub(crate) struct Rows {
    pub pieces: mpsc::Receiver<Steps>,
    /// Gives the connection back.
    pub task: JoinHandle<Result<Conn, Failure>>,
}

/// Reads the chunk from the snapshot that is open on `conn`.
pub(crate) fn rows(server: &Arc<Server>, conn: Conn, chunk: Chunk, identity: String) -> Rows {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let server = Arc::clone(server);
    let task = tokio::spawn(async move { read(&server, conn, &chunk, &identity, &sender).await });
    Rows { pieces, task }
}

async fn read(
    server: &Server,
    mut conn: Conn,
    chunk: &Chunk,
    identity: &str,
    sender: &mpsc::Sender<Steps>,
) -> Result<Conn, Failure> {
    let described = server.describe(&mut conn, &chunk.database, &chunk.table).await?;
    if !described.is_empty() {
        let table = table_of(&chunk.database, &chunk.table, &described);
        let query = Reading { chunk, described: &described, key: &table.key }.rows();
        let failed = server.failure("read a table");
        let mut result = conn.exec_iter(query, ()).await.map_err(&failed)?;
        let columns = result.columns().unwrap_or_else(|| Arc::from(Vec::new()));
        let origin = Origin::read(identity, &chunk.at, server.record_bytes_max);
        let mut steps = Steps::default();
        if let Some(mut stream) = result.stream::<Row>().await.map_err(&failed)? {
            while let Some(row) = stream.try_next().await.map_err(&failed)? {
                let values = row.unwrap();
                let row = ReadRow { described: &described, columns: &columns, values: &values };
                let after = Some(&row as &dyn Image);
                let written = steps.record(
                    ROW,
                    |out| write_kafka_key(&table, None, after, out),
                    |out| origin.write_row(&table, None, after, out),
                );
                written.ok_or_else(|| unreadable(&table))?;
                if steps.length() > PIECE_BYTES
                    && sender.send(std::mem::take(&mut steps)).await.is_err()
                {
                    return Err(Failure::Retry("nobody takes the rows".to_owned()));
                }
            }
        }
        if !steps.is_empty() {
            let _ = sender.send(steps).await;
        }
    }
    conn.query_drop("COMMIT").await.map_err(server.failure("end a snapshot"))?;
    Ok(conn)
}
