//! Rows and changes of one server in one order: changes as the binlog has them and, while tables
//! are read, each chunk of rows at the place of the binlog that it is a snapshot of.
//!
//! A chunk is decided, a point names it, a snapshot is opened, changes are given up to its place,
//! then its rows, then the next chunk is decided. So no row is older than a change before it.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use mysql_async::binlog::events::Event;
use mysql_async::{BinlogStream, Conn};
use tahoe_pipeline::replicate::{Feed, OnLostPosition, Take};
use tahoe_pipeline::seams::{Lag, SourceError};
use tokio::runtime::Runtime;

use crate::binlog::{Binlog, Wants};
use crate::column::{Described, Table};
use crate::failure::Failure;
use crate::gtid::Gtids;
use crate::point::{Chunk, Offset, Point};
use crate::selection::Selection;
use crate::server::{Descriptions, Server, Variables};
use crate::snapshot::{self, Place, Rows};
use crate::steps::Steps;

/// What is read, and how it begins.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub server: Arc<Server>,
    pub selection: Selection,
    /// Tables are read before their changes.
    pub snapshot: bool,
    pub chunk_rows: u64,
    pub on_lost_position: OnLostPosition,
}

/// The feed of one server.
pub(crate) struct MysqlFeed {
    settings: Settings,
    runtime: Runtime,
    steps: Steps,
    session: Option<Session>,
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
    /// Tables as they were last known, and which of them may have changed since.
    described: Descriptions,
    outdated: HashSet<(String, String)>,
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
        Ok(Self { settings, runtime, steps: Steps::default(), session: None })
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
        let opening = begin(&self.settings, at.transpose()?, &mut self.steps);
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

    fn forget(&mut self, _before: &[u8]) -> Result<(), SourceError> {
        // A binlog is kept for as long as the server's settings say.
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
    at: Option<Point>,
    steps: &mut Steps,
) -> Result<Session, Failure> {
    let server = &settings.server;
    let mut conn = server.connect().await?;
    let variables = server.variables(&mut conn).await?;
    if let Some(refusal) = crate::inspect::refusal(server, &variables) {
        return Err(Failure::Stop(refusal));
    }
    let Some(point) = at else {
        return fresh(settings, conn, variables, settings.snapshot, None, steps).await;
    };
    let lost = match resume(settings, &mut conn, &variables, &point).await {
        Ok((stream, first, binlog)) => {
            // A chunk that was decided is read once more, from its beginning.
            let phase = if binlog.chunk.is_some() { Phase::Open } else { Phase::Changes };
            if binlog.chunk.is_none() {
                log_all_read(&binlog);
            }
            return session(settings, (variables, conn), (stream, first, binlog), phase).await;
        }
        Err(Failure::Lost(text)) => text,
        Err(other) => return Err(other),
    };
    match settings.on_lost_position {
        OnLostPosition::Stop => Err(Failure::Lost(lost)),
        policy => {
            let snapshot = policy == OnLostPosition::Snapshot;
            tracing::error!(from = point.offset.text(), "changes were lost: {lost}");
            fresh(settings, conn, variables, snapshot, Some(&point), steps).await
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
    snapshot: bool,
    lost: Option<&Point>,
    steps: &mut Steps,
) -> Result<Session, Failure> {
    let server = &settings.server;
    let at = server.end(&mut conn, &variables).await?;
    let (stream, first) = open_stream(server, &variables, &at).await?;
    let mut binlog = new_binlog(settings, &mut conn, &variables, at).await?;
    if let Some(lost) = lost {
        binlog.tell_gap(&lost.offset, steps);
    }
    steps.point(|out| binlog.point().encode(out));
    let phase = if snapshot { Phase::Decide(None) } else { Phase::Changes };
    session(settings, (variables, conn), (stream, first, binlog), phase).await
}

async fn session(
    settings: &Settings,
    (variables, mut conn): (Variables, Conn),
    (stream, first, binlog): (BinlogStream, Event, Binlog),
    phase: Phase,
) -> Result<Session, Failure> {
    // With names in the binlog nobody asks for them.
    let described = match variables.get("binlog_row_metadata") {
        "FULL" => Descriptions::default(),
        _ => settings.server.describe_all(&mut conn, &settings.selection).await?,
    };
    Ok(Session {
        variables,
        conn,
        stream,
        first: Some(first),
        binlog,
        phase,
        described,
        outdated: HashSet::new(),
        drained: false,
    })
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
    let mut binlog = new_binlog(settings, conn, variables, at).await?;
    binlog.chunk.clone_from(&point.chunk);
    Ok((stream, first, binlog))
}

async fn new_binlog(
    settings: &Settings,
    conn: &mut Conn,
    variables: &Variables,
    at: (Offset, Option<Gtids>),
) -> Result<Binlog, Failure> {
    let identity = variables.identity();
    let dialect = settings.server.dialect(conn, variables).await?;
    let mut binlog = Binlog::new(identity, at, settings.selection.clone(), dialect);
    binlog.tolerates_statements = settings.on_lost_position == OnLostPosition::Latest;
    Ok(binlog)
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
            Phase::Changes => return self.pump(server, until, steps).await,
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
                return self.pump(server, until, steps).await;
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

    /// The columns of a table as it is at this place of the binlog: as they were known, until
    /// a statement changes them; then as they are now, unless that is later still.
    async fn definition(
        &mut self,
        server: &Server,
        table: &Table,
    ) -> Result<Vec<Described>, Failure> {
        if std::mem::take(&mut self.binlog.definitions_changed) {
            self.outdated = self.described.keys().cloned().collect();
        }
        let name = (table.database.clone(), table.name.clone());
        let known = self.described.get(&name);
        if let Some(known) = known.filter(|_| !self.outdated.contains(&name)) {
            return Ok(known.clone());
        }
        let now = server.describe(&mut self.conn, &table.database, &table.name).await?;
        if let Some(known) =
            known.filter(|known| !table.is_described_by(&now) && table.is_described_by(known))
        {
            return Ok(known.clone());
        }
        self.outdated.remove(&name);
        self.described.insert(name, now.clone());
        Ok(now)
    }

    /// Reads one event.
    async fn pump(
        &mut self,
        server: &Server,
        until: tokio::time::Instant,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
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
        if let Wants::Description(id) = self.binlog.take(&event, steps)?
            && let Some(table) = self.binlog.table(id)
        {
            let described = self.definition(server, &table).await?;
            self.binlog.describe(id, &described);
        }
        Ok(true)
    }
}
