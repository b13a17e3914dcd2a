//! What the binlog has still to say of definitions, read ahead of its changes: the server tells a
//! table's columns as they are now, and only the statements up to now tell whether they were the
//! same at an earlier place.

use futures_util::StreamExt as _;
use mysql_async::Conn;

use crate::bytes::Bytes;
use crate::ddl::{Ddl, Definition, TableName};
use crate::event::{self, Query, without_checksum};
use crate::failure::Failure;
use crate::gtid::Gtids;
use crate::point::Offset;
use crate::selection::Selection;
use crate::server::{Server, Variables};
use crate::statement::Statement;
use crate::table_map::Dialect;

/// A beginning is looked for so often while somebody changes definitions.
const ATTEMPTS_MAX: u32 = 20;

/// What a server is, as far as its binlog and its statements depend on it.
#[derive(Clone, Copy)]
pub(crate) struct Family<'a> {
    pub variables: &'a Variables,
    pub dialect: &'a Dialect,
}

/// Statements that change definitions, as far as was read.
#[derive(Default)]
pub(crate) struct Ahead {
    statements: Vec<(Offset, Ddl)>,
    from: Offset,
    through: Offset,
}

impl Ahead {
    /// The columns of a table at a place; `None` if a statement has changed them since, or there is
    /// no such table now.
    pub async fn definition(
        &mut self,
        server: &Server,
        conn: &mut Conn,
        family: Family<'_>,
        (at, name): (&Offset, &TableName),
    ) -> Result<Option<Definition>, Failure> {
        let definition = server.definition(conn, name).await?;
        let (end, _) = server.end(conn, family.variables).await?;
        if !self.read(server, family.dialect, at, &end).await? {
            return Ok(None);
        }
        let stands = !self.touched(at, &end, name);
        Ok((stands && !definition.columns.is_empty()).then_some(definition))
    }

    fn touched(&self, from: &Offset, to: &Offset, name: &TableName) -> bool {
        let mut between = self.statements.iter().filter(|(at, _)| at > from && at <= to);
        between.any(|(_, ddl)| ddl.touches(name))
    }

    /// Reads what was not read of that range; false if it cannot be had.
    async fn read(
        &mut self,
        server: &Server,
        dialect: &Dialect,
        from: &Offset,
        to: &Offset,
    ) -> Result<bool, Failure> {
        if self.from > *from || self.through < *from {
            *self = Self { statements: Vec::new(), from: from.clone(), through: from.clone() };
        }
        self.statements.retain(|(at, _)| at > from);
        // A request cannot name a place behind that.
        if self.through.at > u64::from(u32::MAX) {
            return Ok(false);
        }
        if self.through >= *to {
            return Ok(true);
        }
        let mut stream = server.stream_to_end(&self.through).await?;
        let mut reading = self.through.clone();
        while let Some(event) = stream.next().await {
            let event = event.map_err(server.failure("read the binlog ahead"))?;
            let header = event.header();
            match header.event_type_raw() {
                event::ROTATE => {
                    let mut bytes = Bytes(without_checksum(&event));
                    let at = bytes.little(8).unwrap_or_default();
                    let file = String::from_utf8_lossy(bytes.0).into_owned();
                    if file != reading.file {
                        reading = Offset { file, at };
                    }
                    continue;
                }
                event::QUERY => {
                    let at = reading.at.max(u64::from(header.log_pos()));
                    let ddl = Query::parse(event.data()).and_then(|query| {
                        let is_definition = Statement::of(&query.sql()) == Statement::Definition;
                        is_definition.then(|| query.ddl(dialect))
                    });
                    let file = reading.file.clone();
                    self.statements.extend(ddl.map(|ddl| (Offset { file, at }, ddl)));
                }
                _ => {}
            }
            reading.at = reading.at.max(u64::from(header.log_pos()));
        }
        self.through = reading.max(self.through.clone());
        Ok(self.through >= *to)
    }
}

/// A place to begin at.
pub(crate) type Place = (Offset, Option<Gtids>);

/// The end of the binlog, and the selected tables with their columns there: none of them was changed
/// between the place and the moment in which it was looked at.
pub(crate) async fn beginning(
    server: &Server,
    conn: &mut Conn,
    family: Family<'_>,
    selection: &Selection,
) -> Result<(Place, Vec<(TableName, Definition)>), Failure> {
    for _ in 0..ATTEMPTS_MAX {
        let place = server.end(conn, family.variables).await?;
        let tables = server.definitions(conn, selection).await?;
        let (end, _) = server.end(conn, family.variables).await?;
        let mut ahead = Ahead::default();
        let whole = ahead.read(server, family.dialect, &place.0, &end).await?;
        let stands = |(name, _): &(TableName, Definition)| !ahead.touched(&place.0, &end, name);
        if whole && tables.iter().all(stands) {
            return Ok((place, tables));
        }
    }
    let text = "the tables' columns change all the time; this is tried again";
    Err(Failure::Retry(format!("MySQL at {}: {text}", server.name())))
}
