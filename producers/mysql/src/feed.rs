//! Rows and changes of one server in one order: changes as the binlog has them and, while tables
//! are read, each chunk of rows at the place of the binlog that it is a snapshot of.
//!
//! A chunk is decided, a point names it, a snapshot is opened, changes are given up to its place,
//! then its rows, then the next chunk is decided. So no row is older than a change before it.

use std::ops::ControlFlow;
use std::time::Duration;

use mysql_async::binlog::events::Event;
use mysql_async::{BinlogStream, Conn};
use tahoe_pipeline::clock::now_ms;
use tahoe_pipeline::replicate::{Feed, OnLostPosition, Take};
use tahoe_pipeline::seams::{Lag, SourceError};
use tokio::runtime::Runtime;

use crate::ahead::{Family, beginning};
use crate::binlog::Binlog;
use crate::failure::Failure;
use crate::gtid::Gtids;
use crate::history::History;
use crate::point::{Gap, Offset, Point};
use crate::server::{Server, Variables};
use crate::session::{Phase, Session, next};
use crate::settings::Settings;
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
    /// The point behind changes that are lost, until it is stored: a start before that would find
    /// another one, and number the changes behind it as those behind this one.
    unstored: Option<Unstored>,
}

struct Unstored {
    point: Vec<u8>,
    gap: Gap,
}

impl MysqlFeed {
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        let (runtime, steps) = (crate::runtime()?, Steps::default());
        Ok(Self { settings, runtime, steps, session: None, kept: Vec::new(), unstored: None })
    }
}

impl Feed for MysqlFeed {
    fn open(&mut self, at: Option<&[u8]>) -> Result<(), SourceError> {
        self.steps.clear();
        (self.session, self.unstored) = (None, None);
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
        let (session, unstored) = self.runtime.block_on(opening)?;
        (self.session, self.unstored) = (Some(session), unstored);
        Ok(())
    }

    fn read(&mut self, wait: Duration, take: &mut Take<'_>) -> Result<(), SourceError> {
        let Self { settings, runtime, steps, session, unstored, .. } = self;
        let done = runtime.block_on(async {
            let Some(open) = session else {
                return Err(Failure::Retry("the connection was lost".to_owned()));
            };
            let lost = match read_on(settings, (open, unstored.is_some()), wait, steps, take).await
            {
                Err(Failure::Lost(text)) => text,
                other => return other,
            };
            // A start would come to the same place of the binlog again.
            let (point, history) = (open.binlog.point(), std::mem::take(&mut open.binlog.history));
            (*session, *unstored) = (None, None);
            steps.clear();
            let conn = settings.server.connect().await?;
            let (behind, gap) = behind_gap(settings, conn, (&point, lost), history, steps).await?;
            (*session, *unstored) = (Some(behind), Some(gap));
            Ok(())
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
        if let Some(unstored) = self.unstored.take_if(|unstored| unstored.point == before)
            && let Some(session) = &mut self.session
        {
            session.binlog.tell_gap(&unstored.gap, &mut self.steps);
        }
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
        let behind = match session.drained || session.binlog.event_time_s == 0 {
            true => 0.0,
            false => {
                let event_ms = i64::from(session.binlog.event_time_s) * 1000;
                (now_ms() - event_ms).max(0) as f64 / 1000.0
            }
        };
        vec![Lag { of: self.settings.server.name(), bytes: 0, seconds: behind }]
    }
}

/// Gives what is there until nothing comes for as long as is waited, or `take` says that it is
/// enough. Behind changes that are lost nothing comes until the point there is stored.
async fn read_on(
    settings: &Settings,
    (session, holds): (&mut Session, bool),
    wait: Duration,
    steps: &mut Steps,
    take: &mut Take<'_>,
) -> Result<(), Failure> {
    let mut until = tokio::time::Instant::now() + wait;
    loop {
        if !steps.is_empty() {
            if steps.give(take) == ControlFlow::Break(()) {
                return Ok(());
            }
            until = tokio::time::Instant::now();
        }
        if holds {
            tokio::time::sleep_until(until).await;
            return Ok(());
        }
        if !session.advance(settings, until, steps).await? {
            return Ok(());
        }
    }
}

/// Connects and goes on at a point, or begins.
async fn begin(
    settings: &Settings,
    (at, history): (Option<Point>, History),
    steps: &mut Steps,
) -> Result<(Session, Option<Unstored>), Failure> {
    let server = &settings.server;
    let mut conn = server.connect().await?;
    let variables = server.variables(&mut conn).await?;
    if let Some(refusal) = crate::inspect::refusal(server, &variables) {
        return Err(Failure::Stop(refusal));
    }
    if let Some(text) = crate::inspect::keeps_nothing(&variables) {
        tracing::warn!(server = server.name(), "{text}");
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
            if let Some(gap) = &point.gap {
                binlog.tell_gap(gap, steps);
            }
            // A chunk that was decided is read once more, from its beginning.
            let phase = match (&binlog.chunk, binlog.begins) {
                (Some(_), _) => Phase::Open,
                (None, true) => Phase::Decide(None),
                (None, false) => {
                    binlog.log_all_read();
                    Phase::Changes
                }
            };
            return Ok((Session::new((variables, conn), (stream, first, binlog), phase), None));
        }
        Err(Failure::Lost(text)) => text,
        Err(other) => return Err(other),
    };
    let (behind, gap) = behind_gap(settings, conn, (&point, lost), history, steps).await?;
    Ok((behind, Some(gap)))
}

/// Begins behind changes that are lost, if the policy has it so.
async fn behind_gap(
    settings: &Settings,
    mut conn: Conn,
    (point, lost): (&Point, String),
    history: History,
    steps: &mut Steps,
) -> Result<(Session, Unstored), Failure> {
    let snapshot = match settings.on_lost_position {
        OnLostPosition::Stop => return Err(Failure::Lost(lost)),
        policy => policy == OnLostPosition::Snapshot,
    };
    let from = point.offset.text();
    tracing::error!(from, "changes were lost: {lost}");
    let variables = settings.server.variables(&mut conn).await?;
    // What was lost before and is not told yet is part of it.
    let from = point.gap.as_ref().map_or(from, |gap| gap.from.clone());
    let gap = Gap { from, found_s: now_ms() / 1000 };
    let begins = (snapshot, Some(gap), history);
    let (session, unstored) = fresh(settings, conn, variables, begins, steps).await?;
    Ok((session, unstored.expect("there is a gap")))
}

/// Begins at the end of the binlog; behind a gap, a record is to say so once the point is stored.
async fn fresh(
    settings: &Settings,
    mut conn: Conn,
    variables: Variables,
    (snapshot, gap, mut history): (bool, Option<Gap>, History),
    steps: &mut Steps,
) -> Result<(Session, Option<Unstored>), Failure> {
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
    let mut point = binlog.point();
    if let Some(gap) = &gap {
        steps.forget_rows();
        point = point.with_gap(gap.clone());
    }
    let mut encoded = Vec::new();
    point.encode(&mut encoded);
    steps.point(|out| out.extend_from_slice(&encoded));
    let phase = if snapshot { Phase::Decide(None) } else { Phase::Changes };
    let unstored = gap.map(|gap| Unstored { point: encoded, gap });
    Ok((Session::new((variables, conn), (stream, first, binlog), phase), unstored))
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
        server.must_have(conn, variables, gtids.as_ref()).await?;
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
    binlog.record_bytes_max = settings.server.record_bytes_max;
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
