//! One RELP connection. A frame is answered `200 OK` once the log has it durably, in order, and
//! never before; [`super::lane`] says how a repetition is recognised.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tahoe_seams::Part;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::closing::Lease;
use super::framing::strip;
use super::inbox::{self, Inbox};
use super::lane::{self, Alignment, Lane};
use super::line::Line;
use super::queue::Chunk;
use super::relp::{self, Command, Header};

use crate::clock::now_ms;

/// A client repeats everything it has no answer for without a pause of its own, but its machine may
/// be busy and the way to it lossy. When nothing came for this long, what came is no repetition that
/// stops half-way: a line that was sent before was sent again, as news, and waited so long.
const QUIET: Duration = Duration::from_secs(5);
/// A client that takes no answers for this long is given up.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Bytes kept while it is open whether they are a repetition: eight full omrelp windows of 8 KiB.
/// They are charged to what all connections may grow by.
const HELD_BYTES_MAX: usize = 8 << 20;
/// What a held record weighs beside its bytes.
const HELD_COST: usize = 64;

enum Phase {
    /// No record yet.
    Fresh,
    Aligning(Alignment, Vec<Held>),
    /// Record `n` of this connection (from 0) has the sequence `offset + n`.
    Settled {
        lane: Arc<Lane>,
        offset: u64,
    },
}

struct Held {
    hash: u64,
    /// `None` if too much is held already, by this connection or by all: then only a repetition can
    /// be answered.
    bytes: Option<Vec<u8>>,
    part: Option<Part>,
}

struct Session<'a> {
    path: &'a str,
    peer: IpAddr,
    line: Line,
    shared: &'a Shared,
    phase: Phase,
    inbox: Inbox,
    /// Transaction, bytes that are still to come and number of parts so far of the current frame.
    frame: Option<(u32, usize, u32)>,
    /// Records of this connection.
    records: u64,
    /// Answers that are due when so many of its records are durable.
    due: VecDeque<(u32, u64)>,
    answers: Vec<u8>,
    chunk: Chunk,
    held_bytes: usize,
    /// For the bytes that are held.
    borrowed: Option<OwnedSemaphorePermit>,
    closing: bool,
    lease: Lease,
    /// Nothing more is taken in; what is given already is still answered.
    stopping: bool,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Phase::Settled { lane, .. } = &self.phase {
            lane.free(now_ms());
        }
    }
}

/// Serves one connection to its end.
///
/// # Errors
/// The connection broke, or did not speak RELP. The sender keeps what has no answer.
pub(super) async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    (peer, line): (IpAddr, Line),
    shared: &Shared,
    lease: Lease,
) -> io::Result<()> {
    let mut session = Session::new(path, (peer, line), shared, lease);
    loop {
        let understood = session.take_frames().await;
        // What has a sequence number must reach the log, whatever the rest of the bytes are.
        session.hand_over().await;
        understood.map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
        let lane = session.lane();
        tokio::select! {
            biased;
            () = reclaimed(lane.as_deref()) => {
                tracing::info!(path, %peer, "relp sender came back: its older connection is closed");
                return Ok(());
            }
            answered = session.answer(&mut socket) => answered?,
        }
        if session.closing && session.due.is_empty() {
            if let Phase::Settled { lane, .. } = &session.phase {
                lane.settle();
            }
            return socket.shutdown().await;
        }
        if session.stopping && session.due.is_empty() {
            relp::leave(&mut session.answers);
            session.answer(&mut socket).await?;
            return socket.shutdown().await;
        }
        if session.wait(&mut socket).await? == Wake::Ended {
            return Ok(());
        }
    }
}

/// Waits until a connection that has a lane is told to leave it.
async fn reclaimed(lane: Option<&Lane>) {
    match lane {
        Some(lane) => lane.reclaimed().await,
        None => std::future::pending().await,
    }
}

#[derive(PartialEq, Eq)]
enum Wake {
    Ready,
    Ended,
}

impl<'a> Session<'a> {
    fn new(path: &'a str, (peer, line): (IpAddr, Line), shared: &'a Shared, lease: Lease) -> Self {
        Self {
            path,
            peer,
            line,
            shared,
            phase: Phase::Fresh,
            inbox: Inbox::new(Arc::clone(&shared.growth)),
            frame: None,
            records: 0,
            due: VecDeque::new(),
            answers: Vec::new(),
            chunk: Chunk::default(),
            held_bytes: 0,
            borrowed: None,
            closing: false,
            lease,
            stopping: false,
        }
    }

    async fn wait(&mut self, socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Wake> {
        let lane = self.lane();
        let released = async {
            match &lane {
                // Told to leave, it is at its next answer.
                Some(lane) => tokio::select! {
                    () = lane.changed() => {}
                    () = lane.reclaimed() => {}
                },
                None => std::future::pending().await,
            }
        };
        let aligning = matches!(self.phase, Phase::Aligning(..));
        let pause = if aligning { QUIET } else { self.shared.idle_time };
        if self.stopping {
            if lane.is_none() {
                return Ok(Wake::Ended);
            }
            released.await;
            return Ok(Wake::Ready);
        }
        tokio::select! {
            read = self.inbox.fill(socket) => {
                return Ok(if read? == 0 { Wake::Ended } else { Wake::Ready });
            }
            () = released => return Ok(Wake::Ready),
            () = self.lease.asked() => {
                // The sender keeps what has no answer, so nothing more needs to be taken in.
                self.lease.feeds_no_more();
                self.stopping = true;
                return Ok(Wake::Ready);
            }
            () = tokio::time::sleep(pause) => {}
        }
        if aligning {
            let resolved = self.resolve().await;
            self.hand_over().await;
            resolved.map_err(io::Error::other)?;
            return Ok(Wake::Ready);
        }
        if self.due.is_empty() {
            let peer = self.peer;
            tracing::info!(path = self.path, %peer, "connection closed: silent for --syslog-idle-time");
            return Ok(Wake::Ended);
        }
        Ok(Wake::Ready)
    }

    fn lane(&self) -> Option<Arc<Lane>> {
        match &self.phase {
            Phase::Settled { lane, .. } => Some(Arc::clone(lane)),
            _ => None,
        }
    }

    async fn hand_over(&mut self) {
        if let Phase::Settled { lane, .. } = &self.phase
            && !self.chunk.is_empty()
        {
            let empty = Chunk { lane: Some(Arc::clone(lane)), ..Chunk::of(&lane.stream) };
            let chunk = std::mem::replace(&mut self.chunk, empty);
            self.shared.queue.push(Chunk { read_at_ms: now_ms(), ..chunk }).await;
        }
    }

    async fn answer(&mut self, socket: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let durable = match &self.phase {
            Phase::Settled { lane, offset } => lane.released().saturating_sub(*offset),
            _ => 0,
        };
        while let Some((transaction, _)) = self.due.pop_front_if(|(_, due)| *due <= durable) {
            relp::accept(&mut self.answers, transaction);
        }
        if self.answers.is_empty() {
            return Ok(());
        }
        let written = async {
            socket.write_all(&self.answers).await?;
            socket.flush().await
        };
        tokio::time::timeout(ANSWER_TIME, written).await??;
        self.answers.clear();
        Ok(())
    }

    async fn take_frames(&mut self) -> Result<(), String> {
        while !self.closing && !self.stopping {
            if let Some((transaction, left, parts)) = self.frame {
                if !self.take_data(transaction, left, parts).await? {
                    return Ok(());
                }
                continue;
            }
            let Some(header) = Header::parse(self.inbox.bytes())? else { return Ok(()) };
            if header.command == Command::Syslog {
                self.inbox.consume(header.end);
                self.frame = Some((header.transaction, header.data, 0));
                continue;
            }
            // The data of an `open` are its offers, a few hundred bytes.
            if header.data > inbox::OWN_BYTES / 2 {
                return Err(format!("a RELP command with {} bytes of data", header.data));
            }
            let end = header.end + header.data + 1;
            if self.inbox.bytes().len() < end {
                return Ok(());
            }
            self.inbox.consume(end);
            match header.command {
                Command::Open => relp::offer(&mut self.answers, header.transaction),
                Command::Close => {
                    if matches!(self.phase, Phase::Aligning(..)) {
                        self.resolve().await?;
                    }
                    self.due.push_back((header.transaction, self.records));
                    self.closing = true;
                }
                Command::Syslog | Command::Unknown => {
                    relp::refuse(&mut self.answers, header.transaction);
                }
            }
        }
        Ok(())
    }

    /// Takes a message, or a part of a long one; false if more bytes are needed.
    async fn take_data(
        &mut self,
        transaction: u32,
        left: usize,
        parts: u32,
    ) -> Result<bool, String> {
        // Parts are cut at the same places whenever they come, so that they hash the same.
        let limit = self.shared.message_bytes_max;
        let have = self.inbox.bytes().len();
        if left > limit && have >= limit {
            let text = self.inbox.bytes()[..limit].to_vec();
            self.take_record(&text, Some(Part { index: parts, last: false })).await?;
            self.inbox.consume(limit);
            self.frame = Some((transaction, left - limit, parts + 1));
            return Ok(true);
        }
        if have <= left {
            return Ok(false);
        }
        if self.inbox.bytes()[left] != b'\n' {
            return Err("a RELP frame that is longer than it says".to_owned());
        }
        let mut text = self.inbox.bytes()[..left].to_vec();
        let part = (parts > 0).then_some(Part { index: parts, last: true });
        if part.is_none() {
            text.truncate(strip(&text));
        }
        if !text.is_empty() {
            self.take_record(&text, part).await?;
        }
        self.inbox.consume(left + 1);
        self.frame = None;
        self.due.push_back((transaction, self.records));
        Ok(true)
    }

    async fn take_record(&mut self, text: &[u8], part: Option<Part>) -> Result<(), String> {
        self.records += 1;
        let hash = lane::hash(text);
        let window = self.shared.relp_window;
        if let Phase::Settled { lane, .. } = &self.phase {
            let sequence = lane.append(hash, window);
            self.chunk.push(0, sequence, text, part);
            return Ok(());
        }
        if let Phase::Fresh = self.phase {
            let alignment = self.shared.lanes.align(self.path, self.peer, hash);
            self.phase = Phase::Aligning(alignment, Vec::new());
        }
        let Phase::Aligning(alignment, held) = &mut self.phase else {
            unreachable!("a connection that is neither settled nor fresh is being aligned")
        };
        let cost = text.len() + HELD_COST;
        self.held_bytes += cost;
        let within = self.held_bytes <= HELD_BYTES_MAX;
        let is_held = within && inbox::borrow(&self.shared.growth, &mut self.borrowed, cost);
        held.push(Held { hash, bytes: is_held.then(|| text.to_vec()), part });
        if alignment.take(hash) { Ok(()) } else { self.resolve().await }
    }

    /// Decides which of the held records are there already, and goes on in their lane.
    async fn resolve(&mut self) -> Result<(), String> {
        let Phase::Aligning(alignment, held) = std::mem::replace(&mut self.phase, Phase::Fresh)
        else {
            return Ok(());
        };
        let shared = self.shared;
        let (lane, repeated) = shared.lanes.settle(&alignment).await.unwrap_or_else(|| {
            let stream = || shared.lane_stream(self.path, self.peer);
            (shared.lanes.take(self.path, self.peer, now_ms(), stream), 0)
        });
        lane.goes_over(self.line);
        let offset = lane.next() - repeated as u64;
        self.chunk = Chunk { lane: Some(Arc::clone(&lane)), ..Chunk::of(&lane.stream) };
        self.phase = Phase::Settled { lane: Arc::clone(&lane), offset };
        if repeated > 0 {
            let peer = self.peer;
            tracing::info!(path = self.path, %peer, repeated, "relp sender repeated what is there");
        }
        let news = &held[repeated..];
        if news.iter().any(|held| held.bytes.is_none()) {
            // It comes again, and then it is not held: nothing is there to compare it with.
            alignment.give_up();
            return Err("too much was held to tell a repetition from news".to_owned());
        }
        for Held { hash, bytes, part } in news {
            let sequence = lane.append(*hash, shared.relp_window);
            self.chunk.push(0, sequence, bytes.as_deref().unwrap_or_default(), *part);
        }
        self.borrowed = None;
        Ok(())
    }
}
