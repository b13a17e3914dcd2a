//! A polled table's rows, and the transactions that may still write some: those that hold locks or
//! have changed rows, as `information_schema.INNODB_TRX` has them for who may see it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Column, Conn, Row as Values, Value};
use tahoe_pipeline::poll::{Cursor, Look, Opened, Part, Range, Row, Rows, Table};
use tahoe_pipeline::replicate::write_within;
use tahoe_pipeline::seams::SourceError;
use tahoe_schemas::json;
use tokio::runtime::Runtime;

use super::Asked;
use super::shape::Shape;
use crate::failure::Failure;
use crate::read::{ReadRow, unreadable};
use crate::record::{Image, Origin, write_kafka_key};
use crate::server::Server;

/// A connection and when it began are a transaction: its number becomes another when it writes.
const TRANSACTIONS: &str = "SELECT CONCAT(trx_mysql_thread_id, ' ', trx_started) FROM \
     information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID() AND \
     (trx_lock_structs > 0 OR trx_rows_modified > 0)";

/// What we ask of a log's table shall not be in the log. Who may not say so is in it.
const UNHEARD: [&str; 2] =
    ["SET SESSION sql_log_off = 1", "SET SESSION min_examined_row_limit = 4294967295"];

/// PROCESS is missing, or the table is unknown to this version.
const NOT_SHOWN: [u16; 4] = [1044, 1109, 1142, 1227];

/// A table of one server.
pub(super) struct Polled {
    asked: Asked,
    server: Arc<Server>,
    /// Of times without one.
    zone: String,
    runtime: Runtime,
    state: Option<State>,
    conn: Option<Conn>,
}

struct State {
    shape: Shape,
    /// Which server, as records say it.
    identity: String,
    /// Open transactions can be asked for, and there can be any.
    asks: bool,
    record_bytes_max: usize,
}

impl Polled {
    pub fn new(asked: Asked, server: Arc<Server>, zone: String) -> Result<Self, SourceError> {
        let runtime = crate::runtime()?;
        Ok(Self { asked, server, zone, runtime, state: None, conn: None })
    }
}

/// The server shows open transactions.
pub(super) async fn shows_transactions(server: &Server, conn: &mut Conn) -> Result<bool, Failure> {
    match conn.query_drop(TRANSACTIONS).await {
        Ok(()) => Ok(true),
        Err(mysql_async::Error::Server(error)) if NOT_SHOWN.contains(&error.code) => Ok(false),
        Err(error) => Err(server.failure("look for open transactions")(error)),
    }
}

async fn connect(server: &Server, asked: &Asked) -> Result<Conn, Failure> {
    let mut conn = server.connect().await?;
    if asked.is_log() {
        for statement in UNHEARD {
            match conn.query_drop(statement).await {
                Ok(()) | Err(mysql_async::Error::Server(_)) => {}
                Err(error) => return Err(server.failure("prepare the session")(error)),
            }
        }
    }
    Ok(conn)
}

impl Polled {
    fn open_now(&mut self) -> Result<Opened, Failure> {
        let (server, asked) = (&self.server, &self.asked);
        let (state, conn) = self.runtime.block_on(async {
            let mut conn = connect(server, asked).await?;
            let identity = server.variables(&mut conn).await?.identity();
            let shape = Shape::look_up(server, &mut conn, asked).await?;
            let shown = shows_transactions(server, &mut conn).await?;
            let asks = shown && shape.is_transactional;
            let record_bytes_max = server.record_bytes_max;
            Ok::<_, Failure>((State { shape, identity, asks, record_bytes_max }, conn))
        })?;
        let is_unique = state.shape.is_unique;
        // Where there are no transactions, none is open.
        let sees_open = state.asks || !state.shape.is_transactional;
        (self.state, self.conn) = (Some(state), Some(conn));
        Ok(Opened { is_unique, sees_open })
    }

    fn look_now(&mut self) -> Result<Look, Failure> {
        let Self { asked, server, zone, runtime, state, conn } = self;
        let Some(state) = state else { return Ok(Look::default()) };
        runtime.block_on(async {
            let conn = match conn {
                Some(conn) => conn,
                None => conn.insert(connect(server, asked).await?),
            };
            let failed = server.failure("look for new rows");
            // A table may get another shape while it is polled.
            state.shape = Shape::look_up(server, conn, asked).await?;
            let shape = &state.shape;
            let names = shape.by.iter().map(|at| shape.sql_of(*at));
            let sql = format!(
                "SELECT {} FROM {} WHERE {}{} LIMIT 1",
                names.collect::<Vec<_>>().join(", "),
                shape.from(),
                shape.condition(zone),
                shape.order(" DESC"),
            );
            let mut result = conn.exec_iter(sql, ()).await.map_err(&failed)?;
            let columns = result.columns().unwrap_or_else(|| Arc::from(Vec::new()));
            let newest: Option<Values> = result.next().await.map_err(&failed)?;
            result.drop_result().await.map_err(&failed)?;
            let newest = newest.map(|row| {
                let described: Vec<_> =
                    shape.by.iter().map(|at| shape.described[*at].clone()).collect();
                let values = row.unwrap();
                let row = ReadRow { described: &described, columns: &columns, values: &values };
                cursor_of(&row, 0..described.len()).ok_or_else(|| no_order(asked))
            });
            let mut open = HashSet::new();
            if state.asks {
                let found: Vec<String> = conn.query(TRANSACTIONS).await.map_err(&failed)?;
                open.extend(found);
            }
            Ok(Look { newest: newest.transpose()?, open })
        })
    }

    fn read_now(&mut self, range: &Range<'_>) -> Result<Rows, Failure> {
        let Self { asked, server, zone, runtime, state, conn } = self;
        let (Some(state), Some(conn)) = (state, conn) else { return Ok(Rows::default()) };
        let shape = &state.shape;
        let names: Vec<_> = (0..shape.described.len()).map(|at| shape.sql_of(at)).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {}{}{}{} LIMIT {}",
            names.join(", "),
            shape.from(),
            shape.condition(zone),
            range.after.map_or(String::new(), |after| shape.compared(after, ">")),
            shape.compared(range.through, "<="),
            shape.order(""),
            range.rows_max,
        );
        runtime.block_on(async {
            let failed = server.failure("read a table");
            let mut result = conn.exec_iter(sql, ()).await.map_err(&failed)?;
            let columns = result.columns().unwrap_or_else(|| Arc::from(Vec::new()));
            let (mut rows, mut bytes, mut seen) = (Vec::new(), 0, 0);
            if let Some(mut stream) = result.stream::<Values>().await.map_err(&failed)? {
                while let Some(row) = stream.try_next().await.map_err(&failed)? {
                    seen += 1;
                    // The statement is read to its end, but no more of it is kept.
                    if bytes < range.bytes_max {
                        let row = state.record(asked, &columns, &row.unwrap())?;
                        bytes += row.key.len() + row.bytes.len();
                        rows.push(row);
                    }
                }
            }
            let is_all = seen < range.rows_max && seen == rows.len() as u64;
            Ok(Rows { rows, is_all })
        })
    }
}

impl State {
    fn record(&self, asked: &Asked, columns: &[Column], values: &[Value]) -> Result<Row, Failure> {
        let shape = &self.shape;
        let row = ReadRow { described: &shape.described, columns, values };
        let cursor = cursor_of(&row, shape.by.iter().copied()).ok_or_else(|| no_order(asked))?;
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        let written = if asked.is_log() {
            let write = |large, out: &mut Vec<u8>| {
                key.clear();
                log_row(&row, shape, large, &mut key, out).ok_or(())
            };
            write_within(self.record_bytes_max, &mut bytes, write).ok()
        } else {
            let origin = Origin::read(&self.identity, "", self.record_bytes_max);
            let after = Some(&row as &dyn Image);
            let written = write_kafka_key(&shape.table, None, after, &mut key);
            written.and_then(|()| origin.write_row(&shape.table, None, after, &mut bytes))
        };
        written.ok_or_else(|| unreadable(&shape.table))?;
        Ok(Row { cursor, key, bytes })
    }
}

/// A row as one JSON object; what one connection did stays in order. A text that is `large` gives
/// way to its beginning, as of statements that is what tells most.
fn log_row(
    row: &ReadRow<'_>,
    shape: &Shape,
    large: usize,
    key: &mut Vec<u8>,
    bytes: &mut Vec<u8>,
) -> Option<()> {
    key.extend_from_slice(shape.table.key_prefix.as_bytes());
    for (at, column) in row.described.iter().enumerate() {
        bytes.push(if at == 0 { b'{' } else { b',' });
        json::write_str(&column.name, bytes);
        bytes.push(b':');
        let start = bytes.len();
        match &row.values[at] {
            // MySQL 8 keeps statements as bytes, which are text nearly always.
            Value::Bytes(text) if column.data_type.ends_with("blob") => {
                json::write_str(&beginning(text, large), bytes);
            }
            Value::Bytes(text) if text.len() > large => {
                json::write_str(&beginning(text, large), bytes);
            }
            _ => row.write(at, bytes)?,
        }
        if column.name == "thread_id" {
            key.extend_from_slice(&bytes[start..]);
        }
    }
    bytes.push(b'}');
    Some(())
}

fn beginning(text: &[u8], large: usize) -> Cow<'_, str> {
    if text.len() <= large {
        return String::from_utf8_lossy(text);
    }
    let begins = String::from_utf8_lossy(&text[..large]);
    format!("{}…", begins.trim_end_matches(char::REPLACEMENT_CHARACTER)).into()
}

fn cursor_of(row: &ReadRow<'_>, by: impl Iterator<Item = usize>) -> Option<Cursor> {
    let part = |at: usize| {
        let mut json = Vec::new();
        row.write(at, &mut json)?;
        Part::of_json(&json)
    };
    by.map(part).collect::<Option<_>>().map(Cursor)
}

fn no_order(asked: &Asked) -> Failure {
    let Asked { setting, database, table, by, .. } = asked;
    let by = by.join(",");
    Failure::Stop(format!("{setting} {database}.{table}: a row has no place by {by}: name others"))
}

impl Table for Polled {
    fn name(&self) -> String {
        format!("{} {}.{}", self.server.name(), self.asked.database, self.asked.table)
    }

    fn by(&self) -> &[String] {
        &self.asked.by
    }

    fn place_of(&self, record: &[u8]) -> Option<Cursor> {
        let at = if self.asked.is_log() { "" } else { "/after" };
        Cursor::of_record(record, at, &self.asked.by)
    }

    fn open(&mut self) -> Result<Opened, SourceError> {
        Ok(self.open_now()?)
    }

    fn look(&mut self) -> Result<Look, SourceError> {
        Ok(self.look_now()?)
    }

    fn read(&mut self, range: &Range<'_>) -> Result<Rows, SourceError> {
        Ok(self.read_now(range)?)
    }

    fn rest(&mut self) {
        if let Some(conn) = self.conn.take() {
            // The server finds out by itself if it does not hear this.
            let _ = self.runtime.block_on(conn.disconnect());
        }
    }
}
