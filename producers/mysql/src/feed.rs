//! Rows and changes of one server in one order: changes as the binlog has them and, while tables
//! are read, each chunk of rows at the place of the binlog that it is a snapshot of.
//!
//! A chunk is decided, a point names it, a snapshot is opened, changes are given up to its place,
//! then its rows, then the next chunk is decided. So no row is older than a change before it.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use mysql_async::binlog::events::Event;
use mysql_async::{BinlogStream, Conn};
use tahoe_pipeline::replicate::{Feed, OnLostPosition, Take};
use tahoe_pipeline::seams::{Lag, SourceError};
use tokio::runtime::Runtime;

use crate::ahead::{Ahead, Family, beginning};
use crate::binlog::{Binlog, Wants};
use crate::ddl::{Definition, TableName};
use crate::failure::Failure;
use crate::gtid::Gtids;
use crate::history::History;
use crate::point::{Chunk, Offset, Point};
use crate::server::{Descriptions, Server, Variables};
use crate::settings::{OnUnknownColumns, Settings};
use crate::snapshot::{self, Place, Rows};
use crate::steps::Steps;
use crate::table_map::Dialect;

/// The feed of one server.
pub(crate) struct MysqlFeed {
    settings: Settings,
    runtime: Runtime,
    steps: Steps,
    session: Option<Session>,
    /// What the log has of the history of definitions.
    kept: Vec<String>,
}

/// What lives as long as the connections do.
struct Session {
    variables: Variables,
    /// For questions beside the stream.
    conn: Conn,
    stream: BinlogStream,
    /// Read ahead when the stream was opened.
    first: Option<Event>,
    binlog: Binlog,
    phase: Phase,
    /// Definitions that come further on.
    ahead: Ahead,
    /// Columns of tables whose binlog names them, as the server describes them now.
    described: Descriptions,
    /// All was read that is there.
    drained: bool,
}

enum Phase {
    /// Every table was read, or none is to be.
    Changes,
    Decide(Option<Chunk>),
    Open,
    /// Changes are read up to the place of the snapshot on this connection.
    Wait(Place, Box<Conn>),
    Read(Rows),
}

impl MysqlFeed {
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            SourceError::Retry("cannot start a runtime".to_owned(), Some(error.into()))
        })?;
        Ok(Self { settings, runtime, steps: Steps::default(), session: None, kept: Vec::new() })
    }
}

impl Feed for MysqlFeed {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        self.steps.clear();
        self.session = None;
        let at = at.map(|at| {
            Point::decode(at).ok_or_else(|| {
                let text = "the stored place in the binlog is damaged, or of a newer version: \
                     update this binary";
                SourceError::Stop(text.to_owned(), None)
            })
        });
        let history = History::of(&std::mem::take(&mut self.kept)).ok_or_else(|| {
            let text = "what was kept of the tables' columns is damaged, or of a newer version: \
                 update this binary";
            SourceError::Stop(text.to_owned(), None)
        })?;
        let opening = begin(&self.settings, (at.transpose()?, history), &mut self.steps);
        self.session = Some(self.runtime.block_on(opening)?);
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let Self { settings, runtime, steps, session, .. } = self;
        let done = runtime.block_on(async {
            let Some(session) = session else {
                return Err(Failure::Retry("the connection was lost".to_owned()));
            };
            let mut until = tokio::time::Instant::now() + wait;
            loop {
                if !steps.is_empty() {
                    if steps.give(take) == ControlFlow::Break(()) {
                        return Ok(());
                    }
                    until = tokio::time::Instant::now();
                }
                if !session.advance(settings, until, steps).await? {
                    return Ok(());
                }
            }
        });
        if done.is_err() {
            self.session = None;
            self.steps.clear();
        }
        Ok(done?)
    }

    fn kept(&mut self, bytes: &[u8]) {
        self.kept.push(String::from_utf8_lossy(bytes).into_owned());
    }

    fn forget(&mut self, before: &[u8]) -> Result<(), SourceError> {
        // A binlog is kept for as long as the server's settings say, definitions for as long as a
        // start may need them.
        let point = Point::decode(before).and_then(|point| point.history);
        if let (Some(number), Some(session)) = (point, &mut self.session) {
            let gone = session.binlog.history.forget(number);
            session.binlog.keep(&gone, &mut self.steps);
        }
        Ok(())
    }

    fn lag(&self) -> Vec<Lag> {
        let Some(session) = &self.session else { return Vec::new() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let behind = match session.drained || session.binlog.event_time_s == 0 {
            true => 0.0,
            false => (now.as_secs_f64() - f64::from(session.binlog.event_time_s)).max(0.0),
        };
        vec![Lag { of: self.settings.server.name(), bytes: 0, seconds: behind }]
    }
}

/// Connects and goes on at a point, or begins.
async fn begin(
    settings: &Settings,
    (at, history): (Option<Point>, History),
    steps: &mut Steps,
) -> Result<Session, Failure> {
    let server = &settings.server;
    let mut conn = server.connect().await?;
    let variables = server.variables(&mut conn).await?;
    if let Some(refusal) = crate::inspect::refusal(server, &variables) {
        return Err(Failure::Stop(refusal));
    }
    let Some(point) = at else {
        let begins = (settings.snapshot, None, history);
        return fresh(settings, conn, variables, begins, steps).await;
    };
    let lost = match resume(settings, &mut conn, &variables, &point).await {
        Ok((stream, first, mut binlog)) => {
            binlog.history = history;
            let number = point.history.unwrap_or_default();
            let changed = binlog.history.go_back(number, &settings.selection);
            binlog.keep(&changed, steps);
            // A chunk that was decided is read once more, from its beginning.
            let phase = match (&binlog.chunk, binlog.begins) {
                (Some(_), _) => Phase::Open,
                (None, true) => Phase::Decide(None),
                (None, false) => {
                    log_all_read(&binlog);
                    Phase::Changes
                }
            };
            return Ok(session((variables, conn), (stream, first, binlog), phase));
        }
        Err(Failure::Lost(text)) => text,
        Err(other) => return Err(other),
    };
    match settings.on_lost_position {
        OnLostPosition::Stop => Err(Failure::Lost(lost)),
        policy => {
            let snapshot = policy == OnLostPosition::Snapshot;
            tracing::error!(from = point.offset.text(), "changes were lost: {lost}");
            fresh(settings, conn, variables, (snapshot, Some(&point), history), steps).await
        }
    }
}

/// Also at a start after that.
fn log_all_read(binlog: &Binlog) {
    tracing::info!(position = binlog.offset.text(), "every table is read");
}

/// Begins at the end of the binlog; a record marks the gap behind a place that was lost.
async fn fresh(
    settings: &Settings,
    mut conn: Conn,
    variables: Variables,
    (snapshot, lost, mut history): (bool, Option<&Point>, History),
    steps: &mut Steps,
) -> Result<Session, Failure> {
    let server = &settings.server;
    let dialect = server.dialect(&mut conn, &variables).await?;
    let (at, tables) = match variables.get("binlog_row_metadata") {
        // With names in the binlog nobody asks for them.
        "FULL" => (server.end(&mut conn, &variables).await?, Vec::new()),
        _ => {
            let family = Family { variables: &variables, dialect: &dialect };
            beginning(server, &mut conn, family, &settings.selection).await?
        }
    };
    let (stream, first) = open_stream(server, &variables, &at).await?;
    let mut binlog = new_binlog(settings, &variables, at, dialect);
    let known = history.begin(tables);
    binlog.history = history;
    binlog.keep(&known, steps);
    binlog.begins = snapshot;
    if let Some(lost) = lost {
        steps.forget_rows();
        binlog.tell_gap(&lost.offset, steps);
    }
    steps.point(|out| binlog.point().encode(out));
    let phase = if snapshot { Phase::Decide(None) } else { Phase::Changes };
    Ok(session((variables, conn), (stream, first, binlog), phase))
}

fn session(
    (variables, conn): (Variables, Conn),
    (stream, first, binlog): (BinlogStream, Event, Binlog),
    phase: Phase,
) -> Session {
    Session {
        variables,
        conn,
        stream,
        first: Some(first),
        binlog,
        phase,
        ahead: Ahead::default(),
        described: Descriptions::default(),
        drained: false,
    }
}

async fn resume(
    settings: &Settings,
    conn: &mut Conn,
    variables: &Variables,
    point: &Point,
) -> Result<(BinlogStream, Event, Binlog), Failure> {
    let server = &settings.server;
    let gtids = match &point.gtids {
        Some(text) if variables.is_mariadb() => Gtids::mariadb(text),
        Some(text) => Gtids::mysql(text),
        None => None,
    };
    let identity = variables.identity();
    let mut offset = point.offset.clone();
    if identity != point.server {
        if gtids.is_none() {
            return Err(Failure::Lost(format!(
                "MySQL at {} is {identity}, and its changes were read from {} so far",
                server.name(),
                point.server
            )));
        }
        tracing::warn!(from = point.server, to = identity, "another server goes on by its GTIDs");
        offset = Offset::default();
    }
    let at = (offset, gtids);
    let (stream, first) = open_stream(server, variables, &at).await?;
    let dialect = server.dialect(conn, variables).await?;
    let mut binlog = new_binlog(settings, variables, at, dialect);
    binlog.chunk.clone_from(&point.chunk);
    binlog.begins = point.begins;
    Ok((stream, first, binlog))
}

fn new_binlog(
    settings: &Settings,
    variables: &Variables,
    at: (Offset, Option<Gtids>),
    dialect: Dialect,
) -> Binlog {
    let identity = variables.identity();
    let mut binlog = Binlog::new(identity, at, settings.selection.clone(), dialect);
    binlog.tolerates_statements = settings.on_lost_position == OnLostPosition::Latest;
    binlog
}

/// The stream and its first event, which says that the server has the place.
async fn open_stream(
    server: &Server,
    variables: &Variables,
    at: &(Offset, Option<Gtids>),
) -> Result<(BinlogStream, Event), Failure> {
    let mut stream = server.stream(variables, at).await?;
    let first = next(server, &mut stream).await?;
    Ok((stream, first))
}

async fn next(server: &Server, stream: &mut BinlogStream) -> Result<Event, Failure> {
    match stream.next().await {
        Some(Ok(event)) => Ok(event),
        Some(Err(error)) => Err(Failure::of(&server.name(), "read the binlog", error)),
        None => Err(Failure::Retry(format!("MySQL at {} ended the binlog", server.name()))),
    }
}

impl Session {
    /// One step further; false if nothing came until then.
    async fn advance(
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
                log_all_read(&self.binlog);
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

    /// Reads one event.
    async fn pump(
        &mut self,
        settings: &Settings,
        until: tokio::time::Instant,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        let server = &settings.server;
        let event = match self.first.take() {
            Some(event) => event,
            None => tokio::select! {
                biased;
                event = next(server, &mut self.stream) => event?,
                () = tokio::time::sleep_until(until) => {
                    self.drained = true;
                    return Ok(false);
                }
            },
        };
        self.drained = false;
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
