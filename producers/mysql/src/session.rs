//! One connection to the server's binlog, and what is read beside it: the chunks of tables, each at
//! the place of the binlog that it is a snapshot of.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use mysql_async::binlog::events::Event;
use mysql_async::{BinlogStream, Conn};

use crate::ahead::{Ahead, Family};
use crate::binlog::{Binlog, Wants};
use crate::ddl::{Definition, TableName};
use crate::event;
use crate::failure::Failure;
use crate::point::Chunk;
use crate::server::{Descriptions, Server, Variables};
use crate::settings::{OnUnknownColumns, Settings};
use crate::snapshot::{self, Place, Rows};
use crate::steps::Steps;

/// A server that says nothing for so long is not there any more, whatever the network pretends: an
/// idle one has a heartbeat every second.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What lives as long as the connections do.
pub(crate) struct Session {
    variables: Variables,
    /// For questions beside the stream.
    conn: Conn,
    stream: BinlogStream,
    /// Read ahead when the stream was opened.
    first: Option<Event>,
    pub binlog: Binlog,
    phase: Phase,
    /// Definitions that come further on.
    ahead: Ahead,
    /// Columns of tables whose binlog names them, as the server describes them now.
    described: Descriptions,
    /// All was read that is there.
    pub drained: bool,
    /// How long was listened without a word from the server.
    silence: Duration,
}

pub(crate) enum Phase {
    /// Every table was read, or none is to be.
    Changes,
    Decide(Option<Chunk>),
    Open,
    /// Changes are read up to the place of the snapshot on this connection.
    Wait(Place, Box<Conn>),
    Read(Rows),
}

/// The server's next event.
pub(crate) async fn next(server: &Server, stream: &mut BinlogStream) -> Result<Event, Failure> {
    match stream.next().await {
        Some(Ok(event)) => Ok(event),
        Some(Err(error)) => Err(Failure::of(&server.name(), "read the binlog", error)),
        None => Err(Failure::Retry(format!("MySQL at {} ended the binlog", server.name()))),
    }
}

impl Session {
    pub fn new(
        (variables, conn): (Variables, Conn),
        (stream, first, binlog): (BinlogStream, Event, Binlog),
        phase: Phase,
    ) -> Self {
        Self {
            variables,
            conn,
            stream,
            first: Some(first),
            binlog,
            phase,
            ahead: Ahead::default(),
            described: Descriptions::default(),
            drained: false,
            silence: Duration::ZERO,
        }
    }

    /// One step further; false if nothing came until then.
    pub async fn advance(
        &mut self,
        settings: &Settings,
        until: tokio::time::Instant,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        let server = &settings.server;
        match std::mem::replace(&mut self.phase, Phase::Changes) {
            Phase::Changes => return self.pump(settings, until, steps).await,
            Phase::Decide(after) => self.decide(settings, after, steps).await?,
            Phase::Open => {
                let chunk = self.binlog.chunk.clone().expect("it was decided");
                let mut conn = Box::new(server.connect().await?);
                let place = snapshot::open(server, &mut conn, &self.variables, &chunk).await?;
                self.binlog.changed = (!place.exact).then(Default::default);
                self.phase = Phase::Wait(place, conn);
            }
            Phase::Wait(place, conn) if self.binlog.offset >= place.offset => {
                let chunk = self.binlog.chunk.clone().expect("it was decided");
                let identity = self.binlog.server.clone();
                self.phase = Phase::Read(snapshot::rows(server, *conn, chunk, identity));
            }
            waiting @ Phase::Wait(..) => {
                self.phase = waiting;
                return self.pump(settings, until, steps).await;
            }
            Phase::Read(rows) => return self.take_rows(rows, until, steps).await,
        }
        Ok(true)
    }

    async fn decide(
        &mut self,
        settings: &Settings,
        after: Option<Chunk>,
        steps: &mut Steps,
    ) -> Result<(), Failure> {
        let at = (self.binlog.offset.text(), settings.chunk_rows);
        let (server, selection) = (&settings.server, &settings.selection);
        let chunk =
            snapshot::next_chunk(server, &mut self.conn, selection, after.as_ref(), at).await?;
        self.phase = match &chunk {
            Some(_) => Phase::Open,
            None => {
                self.binlog.log_all_read();
                Phase::Changes
            }
        };
        self.binlog.chunk = chunk;
        self.binlog.begins = false;
        steps.point(|out| self.binlog.point().encode(out));
        Ok(())
    }

    async fn take_rows(
        &mut self,
        mut rows: Rows,
        until: tokio::time::Instant,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        let piece = tokio::select! {
            biased;
            piece = rows.pieces.recv() => piece,
            () = tokio::time::sleep_until(until) => {
                self.phase = Phase::Read(rows);
                return Ok(false);
            }
        };
        if let Some(mut piece) = piece {
            if let Some(changed) = &self.binlog.changed {
                piece.retain(|key| !changed.contains(key));
            }
            *steps = piece;
            self.phase = Phase::Read(rows);
            return Ok(true);
        }
        let ended = rows.task.await;
        let conn = ended.map_err(|error| Failure::Retry(format!("reading a table: {error}")))??;
        let _ = conn.disconnect().await;
        self.binlog.changed = None;
        self.phase = Phase::Decide(self.binlog.chunk.clone());
        Ok(true)
    }

    /// Asks the server for the columns of a table that the history does not know here.
    async fn define(
        &mut self,
        settings: &Settings,
        id: u64,
        name: &TableName,
        steps: &mut Steps,
    ) -> Result<(), Failure> {
        let family = Family { variables: &self.variables, dialect: &self.binlog.dialect };
        let here = (&self.binlog.reading, name);
        let server = &settings.server;
        let found = self.ahead.definition(server, &mut self.conn, family, here).await?;
        if found.is_some_and(|found: Definition| self.binlog.learn(id, found, steps)) {
            return Ok(());
        }
        let text = format!(
            "the columns of {}.{} are not known: binlog_row_metadata is not FULL, and the table \
             was changed since in a way that cannot be traced back",
            name.0, name.1
        );
        match settings.on_unknown_columns {
            OnUnknownColumns::Stop => Err(self.binlog.stop(&format!(
                "{text}; --mysql-on-unknown-columns unnamed goes on and gives such changes with \
                 the columns @1, @2; SET GLOBAL binlog_row_metadata = FULL keeps names from now on"
            ))),
            OnUnknownColumns::Unnamed => {
                tracing::error!(position = self.binlog.reading.text(), "{text}");
                Ok(())
            }
        }
    }

    /// Asks the server what it says now of columns that the binlog names.
    async fn describe(&mut self, server: &Server, id: u64, name: TableName) -> Result<(), Failure> {
        if std::mem::take(&mut self.binlog.definitions_changed) {
            self.described.clear();
        }
        if !self.described.contains_key(&name) {
            let described = server.describe(&mut self.conn, &name.0, &name.1).await?;
            self.described.insert(name.clone(), described);
        }
        self.binlog.refine(id, &self.described[&name]);
        Ok(())
    }

    /// Nothing was heard for so long again; what the server sent while nobody listened does not
    /// count.
    fn stay_silent(&mut self, server: &Server, listened: Duration) -> Result<(), Failure> {
        self.silence += listened;
        match self.silence < SILENCE_MAX {
            true => Ok(()),
            false => Err(Failure::Retry(format!(
                "MySQL at {} has not said anything for {} s, not even its heartbeat: the \
                 connection is dead",
                server.name(),
                SILENCE_MAX.as_secs()
            ))),
        }
    }

    /// Reads one event.
    async fn pump(
        &mut self,
        settings: &Settings,
        until: tokio::time::Instant,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        let server = &settings.server;
        let listened = Instant::now();
        let event = match self.first.take() {
            Some(event) => event,
            None => tokio::select! {
                biased;
                event = next(server, &mut self.stream) => event?,
                () = tokio::time::sleep_until(until) => {
                    return self.stay_silent(server, listened.elapsed()).map(|()| false);
                }
            },
        };
        self.silence = Duration::ZERO;
        // A server that has nothing more says so.
        self.drained = event::is_heartbeat(&event);
        match self.binlog.take(&event, steps)? {
            Wants::Nothing => {}
            Wants::Definition(id) => {
                if let Some(name) = self.binlog.table(id) {
                    self.define(settings, id, &name, steps).await?;
                }
            }
            Wants::Description(id) => {
                if let Some(name) = self.binlog.table(id) {
                    self.describe(server, id, name).await?;
                }
            }
        }
        Ok(true)
    }
}
