//! The server's stream of changes: what it is, where it begins, what it is told.

use std::time::{Duration, Instant};

use bytes::Bytes;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use tahoe_pipeline::clock::now_us;

use crate::connection::{Connection, Purpose, Server};
use crate::cursor::Cursor;
use crate::failure::Failure;
use crate::lsn::Lsn;

/// Microseconds from 1970 to 2000, from when PostgreSQL counts.
const EPOCH_US: u64 = 946_684_800_000_000;

/// Bytes of a message before what the plugin wrote: kind, two places, time.
const HEAD_BYTES: usize = 25;

/// A conversation in which the server streams.
pub struct Stream {
    connection: Connection,
    /// What the server is.
    pub system: u64,
    /// Its timeline.
    pub timeline: u32,
    /// Where its log ended when the conversation began.
    pub end: Lsn,
    asked: Instant,
    told: Instant,
}

/// The slot as the server keeps it.
pub struct Slot {
    /// What was confirmed last: nothing before it comes again.
    pub confirmed: Lsn,
    /// The server has thrown away what it should have kept.
    pub is_lost: bool,
}

/// What the server sends.
pub enum Sent {
    /// A message of the plugin.
    Change(Bytes),
    /// Everything before this place was sent; perhaps it wants to know whether we are there.
    Reached {
        /// The place.
        lsn: Lsn,
        /// An answer is waited for.
        asks: bool,
    },
}

/// Between two of our messages, whatever comes: a server may give up a receiver of which it has
/// heard nothing for a second (`wal_sender_timeout`), be it in the midst of a transaction.
const TELL: Duration = Duration::from_millis(250);

impl Stream {
    /// Connects and asks what the server is.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn open(server: &Server) -> Result<Self, Failure> {
        let mut connection = Connection::open(server, Purpose::Changes)?;
        let row = connection.query("IDENTIFY_SYSTEM")?.into_iter().next().unwrap_or_default();
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let (system, timeline) = (text(0).parse(), text(1).parse());
        let (Ok(system), Ok(timeline), Ok(end)) = (system, timeline, text(2).parse()) else {
            return Err(connection.failed("it does not say which server it is"));
        };
        let now = Instant::now();
        Ok(Self { connection, system, timeline, end, asked: now, told: now })
    }

    /// The slot, if there is one of that name for this database.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn slot(&mut self, name: &str) -> Result<Option<Slot>, Failure> {
        let version = self.connection.value("SHOW server_version_num")?;
        let lost = if version.parse().unwrap_or(0) >= 130_000 { "wal_status" } else { "''" };
        let name = escape_literal(name);
        let sql = format!(
            "SELECT confirmed_flush_lsn, {lost} FROM pg_replication_slots \
             WHERE slot_name = {name} AND database = current_database() AND plugin = 'pgoutput'"
        );
        let Some(row) = self.connection.query(&sql)?.into_iter().next() else { return Ok(None) };
        let text = |at: usize| row[at].as_deref().unwrap_or_default();
        let confirmed = text(0).parse().unwrap_or_default();
        Ok(Some(Slot { confirmed, is_lost: text(1) == "lost" }))
    }

    /// Begins at the first transaction that was committed at that place or later.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn begin(&mut self, slot: &str, publication: &str, from: Lsn) -> Result<(), Failure> {
        let publication = escape_literal(&escape_identifier(publication));
        self.connection.begin_stream(&format!(
            "START_REPLICATION SLOT {} LOGICAL {from} \
             (proto_version '1', publication_names {publication})",
            escape_identifier(slot)
        ))
    }

    /// What comes next, if it comes within `wait`.
    ///
    /// # Errors
    /// [`Failure`] if the server ends the stream.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Sent>, Failure> {
        loop {
            let Some(message) = self.connection.receive(wait)? else { return Ok(None) };
            match message.tag {
                b'd' => {}
                b'E' => return Err(self.connection.refusal(&message.body)),
                b'c' => return Err(self.connection.failed("the server ended the stream")),
                _ => continue,
            }
            let mut head = Cursor(&message.body);
            let asks = message.body.last() == Some(&1);
            let sent = match (head.u8(), head.u64()) {
                (Some(b'w'), Some(_)) if message.body.len() > HEAD_BYTES => {
                    Sent::Change(message.body.slice(HEAD_BYTES..))
                }
                (Some(b'k'), Some(end)) => Sent::Reached { lsn: Lsn(end), asks },
                _ => return Err(self.connection.failed("a message of the stream is damaged")),
            };
            return Ok(Some(sent));
        }
    }

    /// Asks how far the server has sent, at most every `pause`.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub fn ask(&mut self, pause: Duration, at: Lsn, stored: Lsn) -> Result<(), Failure> {
        if self.asked.elapsed() < pause {
            return Ok(());
        }
        self.asked = Instant::now();
        self.tell(at, stored, true)
    }

    /// Tells it too where nothing was to be told for a while.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub fn keep_alive(&mut self, at: Lsn, stored: Lsn) -> Result<(), Failure> {
        if self.told.elapsed() < TELL {
            return Ok(());
        }
        self.tell(at, stored, false)
    }

    /// Tells the server what was read, and what is stored and may be let go.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub fn tell(&mut self, at: Lsn, stored: Lsn, answer: bool) -> Result<(), Failure> {
        self.told = Instant::now();
        let now_us = u64::try_from(now_us()).unwrap_or_default().saturating_sub(EPOCH_US);
        // Copy data of 38 bytes with its own length: a standby's status.
        let mut status = vec![b'd', 0, 0, 0, 38, b'r'];
        for number in [at.max(stored).0, stored.0, stored.0, now_us] {
            status.extend_from_slice(&number.to_be_bytes());
        }
        status.push(u8::from(answer));
        self.connection.send(&status)
    }
}
