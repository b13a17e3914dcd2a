//! One conversation with a server: login, statements, and the stream of changes.
//!
//! The released tokio-postgres has no replication mode, and pgwire-replication has nothing else,
//! from a task of its own behind a queue that is bounded by count and not by bytes. Rows of the
//! simple protocol and changes of pgoutput are the same text under the same settings, so one
//! blocking conversation serves both: one login, one way to read a value, and the order of calls
//! is the back-pressure. What must be right once and for all (SCRAM, the startup message, quoting)
//! is postgres-protocol's, on which tokio-postgres itself is built.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{SockRef, TcpKeepalive};
use tahoe_pipeline::secret::Secret;

use crate::cursor::Cursor;
use crate::failure::Failure;
use crate::tls::{TlsMode, client_config};

/// `--check` must answer within ten seconds, so a connection and a login have four each.
const CONNECT_MAX: Duration = Duration::from_secs(4);

/// A server that says nothing for so long in mid-statement is not coming back.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Of one message: a row of a gigabyte is the server's own limit.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

const READ_BYTES: usize = 64 * 1024;

/// Under these every value has one spelling, whatever the server's own defaults.
const SPELLING: &str = "-c datestyle=ISO,YMD -c intervalstyle=iso_8601 -c extra_float_digits=1 \
                        -c bytea_output=hex -c timezone=UTC -c search_path= \
                        -c standard_conforming_strings=on -c statement_timeout=55s";

/// Which server, and who we are to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Hosts that are tried, in this order.
    pub hosts: Vec<Host>,
    /// Which of them will do.
    pub wanted: TargetSession,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// Database.
    pub database: String,
    /// How far the certificate is trusted.
    pub tls: TlsMode,
    /// Authorities, or `system`.
    pub root: Option<PathBuf>,
}

/// One of a server's hosts.
#[derive(Clone, Debug)]
pub struct Host {
    /// Name, address, or the folder of a Unix socket.
    pub name: String,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
}

/// What a session must be, as libpq has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetSession {
    /// Whatever answers
    Any,
    /// Transactions may write
    ReadWrite,
    /// Transactions may not write
    ReadOnly,
    /// The server is no standby
    Primary,
    /// The server is a standby
    Standby,
    /// A standby if there is one, else any
    PreferStandby,
}

impl TargetSession {
    /// The statement that tells, its answer, and what a server with another one lacks.
    fn test(self) -> Option<(&'static str, &'static str, &'static str)> {
        const RECOVERS: &str = "SELECT pg_is_in_recovery()";
        const READ_ONLY: &str = "SHOW transaction_read_only";
        match self {
            Self::Any => None,
            Self::ReadWrite => Some((READ_ONLY, "off", "it may not write")),
            Self::ReadOnly => Some((READ_ONLY, "on", "it may write")),
            Self::Primary => Some((RECOVERS, "f", "it is a standby")),
            Self::Standby | Self::PreferStandby => Some((RECOVERS, "t", "it is no standby")),
        }
    }
}

impl Server {
    /// Where it is, for people.
    pub fn place(&self) -> String {
        let hosts = self.hosts.iter().map(|host| format!("{}:{}", host.name, host.port));
        format!("{}/{}", hosts.collect::<Vec<_>>().join(","), self.database)
    }
}

/// What a conversation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Statements.
    Statements,
    /// Changes: the server runs a WAL sender for it.
    Changes,
}

/// One conversation.
pub struct Connection {
    at: String,
    socket: Socket,
    input: BytesMut,
    chunk: Vec<u8>,
}

enum Socket {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

/// A message of the server.
pub struct Message {
    /// What it is.
    pub tag: u8,
    /// What it says.
    pub body: Bytes,
}

impl Connection {
    /// Connects to the first host that will do, and logs in.
    ///
    /// # Errors
    /// [`Failure`], with the setting where one is wrong.
    pub fn open(server: &Server, purpose: Purpose) -> Result<Self, Failure> {
        let mut reasons = Vec::new();
        if let Some(connection) = Self::open_any(server, purpose, server.wanted, &mut reasons)? {
            return Ok(connection);
        }
        if server.wanted == TargetSession::PreferStandby
            && let Some(any) = Self::open_any(server, purpose, TargetSession::Any, &mut reasons)?
        {
            return Ok(any);
        }
        Err(Failure::Unreachable { at: server.place(), reason: reasons.join("; ") })
    }

    /// None, with the reasons, if no host answers that is what is wanted.
    fn open_any(
        server: &Server,
        purpose: Purpose,
        wanted: TargetSession,
        reasons: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        reasons.clear();
        for host in &server.hosts {
            let named = |reason: String| match server.hosts.len() {
                1 => reason,
                _ => format!("{}:{}: {reason}", host.name, host.port),
            };
            let mut connection = match Self::open_at(server, host, purpose) {
                Ok(connection) => connection,
                Err(Failure::Unreachable { reason, .. }) => {
                    reasons.push(named(reason));
                    continue;
                }
                // Who is refused by one would be by the others.
                Err(other) => return Err(other),
            };
            match wanted.test() {
                Some((sql, answer, lacks)) if connection.value(sql)? != answer => {
                    let setting = "see --pg-target-session-attrs (PGTARGETSESSIONATTRS)";
                    reasons.push(named(format!("{lacks}: {setting}")));
                }
                _ => return Ok(Some(connection)),
            }
        }
        Ok(None)
    }

    fn open_at(server: &Server, host: &Host, purpose: Purpose) -> Result<Self, Failure> {
        let at = server.place();
        let fail = |reason: String| Failure::Unreachable { at: server.place(), reason };
        let each = CONNECT_MAX / u32::try_from(server.hosts.len()).unwrap_or(1);
        let socket = connect(host, each).map_err(fail)?;
        let (input, chunk) = (BytesMut::new(), vec![0; READ_BYTES]);
        let mut connection = Self { at, socket, input, chunk };
        connection.secure(server, host)?;
        let mut out = BytesMut::new();
        let options = [
            ("user", server.user.as_str()),
            ("database", &server.database),
            ("client_encoding", "UTF8"),
            ("application_name", "tahoe-postgres"),
            ("options", SPELLING),
            ("replication", "database"),
        ];
        let options = &options[..if purpose == Purpose::Changes { 6 } else { 5 }];
        frontend::startup_message(options.iter().copied(), &mut out)
            .map_err(|error| Failure::Setting(format!("--pg-user, --pg-database: {error}")))?;
        connection.send(&out)?;
        crate::login::log_in(&mut connection, server)?;
        Ok(connection)
    }

    /// Begins TLS if the settings want it and the server has it.
    fn secure(&mut self, server: &Server, host: &Host) -> Result<(), Failure> {
        if server.tls == TlsMode::Disable || matches!(self.socket, Socket::Unix(_)) {
            return Ok(());
        }
        let mut out = BytesMut::new();
        frontend::ssl_request(&mut out);
        self.send(&out)?;
        let mut answer = [0];
        self.socket.wait_at_most(CONNECT_MAX);
        self.socket.read_exact(&mut answer).map_err(|error| self.broken(&error))?;
        if answer != *b"S" {
            return match server.tls {
                TlsMode::Prefer => Ok(()),
                _ => Err(self.failed("it does not speak TLS; see --pg-sslmode (PGSSLMODE)")),
            };
        }
        let config = client_config(server.tls, server.root.as_deref()).map_err(Failure::Setting)?;
        let name = ServerName::try_from(host.name.clone())
            .map_err(|error| Failure::Setting(format!("--pg-host {}: {error}", host.name)))?;
        let session = ClientConnection::new(config, name)
            .map_err(|error| Failure::Setting(format!("--pg-sslmode: {error}")))?;
        let Socket::Tcp(tcp) = &self.socket else { return Ok(()) };
        let tcp = tcp.try_clone().map_err(|error| self.broken(&error))?;
        self.socket = Socket::Tls(Box::new(StreamOwned::new(session, tcp)));
        Ok(())
    }

    /// Sends what was prepared.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sent = self.socket.write_all(bytes).and_then(|()| self.socket.flush());
        sent.map_err(|error| self.broken(&error))
    }

    /// The next message; `None` if none is whole within `wait`.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] if the connection ends.
    pub fn receive(&mut self, wait: Duration) -> Result<Option<Message>, Failure> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(message) = self.whole_message()? {
                return Ok(Some(message));
            }
            self.socket.wait_at_most(deadline.saturating_duration_since(Instant::now()));
            match self.socket.read(&mut self.chunk) {
                Ok(0) => return Err(self.failed("the server closed the connection")),
                Ok(length) => self.input.extend_from_slice(&self.chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) =>
                {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    fn whole_message(&mut self) -> Result<Option<Message>, Failure> {
        let mut head = Cursor(&self.input);
        let (Some(tag), Some(length)) = (head.u8(), head.u32()) else { return Ok(None) };
        let length = length as usize;
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(self.failed("its answer is not PostgreSQL's: is --pg-port (PGPORT) right?"));
        }
        if self.input.len() < length + 1 {
            return Ok(None);
        }
        let mut whole = self.input.split_to(length + 1);
        let body = whole.split_off(5).freeze();
        Ok(Some(Message { tag, body }))
    }

    /// The next message of an answer; an error of the server is one here.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn answer(&mut self) -> Result<Message, Failure> {
        loop {
            let Some(message) = self.receive(ANSWER_MAX)? else {
                return Err(self.failed("no answer within 60 s"));
            };
            match message.tag {
                b'E' => return Err(self.refusal(&message.body)),
                // Notices, parameters, notifications.
                b'N' | b'S' | b'A' => {}
                _ => return Ok(message),
            }
        }
    }

    /// What the server says in an error message.
    pub fn refusal(&self, body: &[u8]) -> Failure {
        let mut fields = Cursor(body);
        let (mut code, mut text, mut detail) = (String::new(), String::new(), String::new());
        while let Some(field) = fields.u8().filter(|field| *field != 0) {
            let value = String::from_utf8_lossy(fields.text().unwrap_or_default()).into_owned();
            match field {
                b'C' => code = value,
                b'M' => text = value,
                b'D' | b'H' => detail = format!("{detail}; {value}"),
                _ => {}
            }
        }
        Failure::Refused { at: self.at.clone(), code, text: text + &detail }
    }

    /// The conversation cannot go on.
    pub fn failed(&self, reason: &str) -> Failure {
        Failure::Unreachable { at: self.at.clone(), reason: reason.to_owned() }
    }

    fn broken(&self, error: &std::io::Error) -> Failure {
        match error.kind() {
            // What TLS does not take: a certificate.
            ErrorKind::InvalidData => Failure::Setting(format!(
                "PostgreSQL at {}: {error}: see --pg-sslmode (PGSSLMODE) and --pg-sslrootcert \
                 (PGSSLROOTCERT)",
                self.at
            )),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                self.failed("no answer in time: is --pg-port (PGPORT) right?")
            }
            _ => self.failed(&error.to_string()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        // The server finds out by itself if it does not hear this.
        let _ = self.send(&out);
    }
}

impl Socket {
    /// Of the next read. Zero would mean for ever.
    fn wait_at_most(&self, wait: Duration) {
        let wait = Some(wait.max(Duration::from_millis(1)));
        let set = match self {
            Self::Tcp(tcp) => tcp.set_read_timeout(wait),
            Self::Tls(tls) => tls.sock.set_read_timeout(wait),
            Self::Unix(unix) => unix.set_read_timeout(wait),
        };
        set.expect("the time is not zero, and the socket is ours");
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(into),
            Self::Tls(tls) => tls.read(into),
            Self::Unix(unix) => unix.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
            Self::Unix(unix) => unix.flush(),
        }
    }
}

fn connect(host: &Host, within: Duration) -> Result<Socket, String> {
    if host.name.starts_with('/') {
        let path = format!("{}/.s.PGSQL.{}", host.name, host.port);
        let connected = UnixStream::connect(&path).map_err(|error| format!("{path}: {error}"))?;
        return Ok(Socket::Unix(connected));
    }
    let addresses = (host.name.as_str(), host.port).to_socket_addrs();
    let addresses: Vec<_> = addresses.map_err(|error| error.to_string())?.collect();
    let each = within / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, each) {
            Ok(tcp) => {
                tcp.set_nodelay(true).map_err(|error| error.to_string())?;
                tcp.set_write_timeout(Some(ANSWER_MAX)).map_err(|error| error.to_string())?;
                // A server that vanished without a word is noticed within a minute.
                let keepalive = TcpKeepalive::new()
                    .with_time(Duration::from_secs(20))
                    .with_interval(Duration::from_secs(10));
                SockRef::from(&tcp)
                    .set_tcp_keepalive(&keepalive)
                    .map_err(|error| error.to_string())?;
                return Ok(Socket::Tcp(tcp));
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}
