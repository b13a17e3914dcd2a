//! Sockets as a source: syslog over UDP, TCP, TLS and RELP.
//!
//! A record is one message as it was sent, without its framing. Over UDP, TCP and TLS nobody
//! acknowledges it, so its identity is that of an event: this run of the listener (drawn at
//! random), the connection (for UDP the sender), and a sequence; nothing is resumed, and a sender's
//! repetition is a new record. RELP does acknowledge, so its streams are resumable and a repetition
//! is recognised: `lane` says how.
//!
//! One small runtime serves every socket and hands chunks of records to the loop through one queue
//! that is bounded by bytes. When the log is slow the queue fills, TCP and RELP senders wait, and
//! the kernel drops datagrams and counts them for us. A stop first closes what takes in and then
//! reads what was taken: `closing` says in which order.

mod closing;
mod door;
mod framing;
mod inbox;
mod lane;
mod line;
mod queue;
mod relp;
mod session;
mod settings;
mod socket_table;
mod stream;
mod tls;
mod udp;

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tahoe_seams::{Batch, BatchEnd, Known, Origin, Record, Source, SourceError, SourceId, Stream};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use xxhash_rust::xxh3::xxh3_128_with_seed;

pub use settings::{ClientCertificate, ListenArgs};

use closing::Leases;
use door::{Door, Protocol};
use lane::{Lane, Lanes};
use queue::{Chunk, Queue};
use udp::Drops;

use crate::clock::now_ms;

/// How often the kernel is asked for dropped datagrams.
const DROPS_EVERY: Duration = Duration::from_secs(1);
/// Connections that the kernel completes before we accept them.
const BACKLOG: i32 = 1024;
/// How often lanes are looked at, at most: a tenth of the time after which they are forgotten.
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(60);
/// Answers that are due when the source is dropped have this long to leave.
const LAST_ANSWERS_TIME: Duration = Duration::from_millis(200);

/// What every socket shares.
struct Shared {
    queue: Queue,
    lanes: Lanes,
    template: Stream,
    instance: SourceId,
    connections: AtomicU64,
    slots: Arc<Semaphore>,
    growth: Arc<Semaphore>,
    message_bytes_max: usize,
    idle_time: Duration,
    relp_window: usize,
}

impl Shared {
    /// A new stream for a connection (or a UDP sender), which ends with this run.
    fn connection_stream(&self, path: &str, peer: IpAddr) -> Arc<Stream> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let source = xxh3_128_with_seed(&self.instance.0, number).to_le_bytes();
        self.stream(SourceId(source), path, peer, false)
    }

    /// A new stream for a RELP sender, which later connections and runs go on with.
    fn lane_stream(&self, path: &str, peer: IpAddr) -> Arc<Stream> {
        self.stream(draw(), path, peer, true)
    }

    fn stream(&self, source: SourceId, path: &str, peer: IpAddr, resumable: bool) -> Arc<Stream> {
        let peer = peer.to_string();
        Arc::new(Stream {
            key: peer.clone().into_bytes(),
            origin: Origin { source, path: path.to_owned(), peer, ..self.template.origin.clone() },
            topic: self.template.topic.clone(),
            lane: None,
            resumable,
        })
    }
}

/// A random identity.
fn draw() -> SourceId {
    let mut id = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut id).expect("the kernel gives random bytes");
    SourceId(id)
}

enum Bound {
    Udp(tokio::net::UdpSocket),
    Stream(TcpListener, Protocol, Option<TlsAcceptor>),
}

/// The part of a chunk that did not fit into the last batch.
struct Rest {
    chunk: Chunk,
    at: usize,
}

/// One listener on any mix of addresses.
pub struct Listen {
    shared: Arc<Shared>,
    bound: Vec<(Bound, String)>,
    addresses: Vec<String>,
    drops: Vec<Drops>,
    drops_asked: Instant,
    sweep_every: Duration,
    swept: Instant,
    rest: Option<Rest>,
    /// RELP records that were given in a batch and are not yet durable: lane and end.
    unreleased: VecDeque<(BatchEnd, Arc<Lane>, u64)>,
    /// Lanes whose identity the loop has.
    identified: HashSet<SourceId>,
    leases: Leases,
    /// The kernel's drops up to the close of the sockets that they were counted on.
    dropped_at_close: u64,
    runtime: Runtime,
}

impl Listen {
    /// Binds every address of `args`; nothing is read before [`Source::resume`]. Streams take
    /// topic, dataset, namespace, host, zone, labels and tags from `template`.
    ///
    /// # Errors
    /// [`SourceError::Stop`] names the flag: an address that is taken, or not ours; a certificate
    /// or key that is missing, expired or of the wrong kind.
    pub fn bind(args: &ListenArgs, template: Stream) -> Result<Self, SourceError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("listen")
            .enable_all()
            .build()
            .map_err(|error| stop(format!("cannot start threads for sockets: {error}")))?;
        let queue_bytes_max = args.syslog_queue_bytes_max as usize;
        let shared = Shared {
            queue: Queue::new(queue_bytes_max),
            lanes: Lanes::new(args.syslog_relp_forget_after),
            template,
            instance: draw(),
            connections: AtomicU64::new(0),
            slots: Arc::new(Semaphore::new(args.syslog_connections_max as usize)),
            growth: Arc::new(Semaphore::new(queue_bytes_max)),
            message_bytes_max: args.syslog_message_bytes_max as usize,
            idle_time: args.syslog_idle_time,
            relp_window: args.syslog_relp_window as usize,
        };
        let mut listen = Self {
            shared: Arc::new(shared),
            bound: Vec::new(),
            addresses: Vec::new(),
            drops: Vec::new(),
            drops_asked: Instant::now(),
            sweep_every: SWEEP_EVERY_MAX.min(args.syslog_relp_forget_after / 10),
            swept: Instant::now(),
            rest: None,
            unreleased: VecDeque::new(),
            identified: HashSet::new(),
            leases: Leases::new(),
            dropped_at_close: 0,
            runtime,
        };
        listen.bind_all(args)?;
        tracing::info!(
            addresses = ?listen.addresses,
            queue_bytes_max,
            connections_bytes_max =
                args.syslog_connections_max as usize * inbox::OWN_BYTES + queue_bytes_max,
            "listening"
        );
        Ok(listen)
    }

    /// What was bound, as `udp://127.0.0.1:5514`, in the order of the settings. A port of 0 is
    /// replaced by the one that the kernel chose.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    fn bind_all(&mut self, args: &ListenArgs) -> Result<(), SourceError> {
        for address in &args.syslog {
            let (udp, tcp) = (address.strip_prefix("udp://"), address.strip_prefix("tcp://"));
            if tcp.is_none() {
                self.bind_udp(udp.unwrap_or(address), args.syslog_udp_buffer_bytes as usize)?;
            }
            if udp.is_none() {
                let address = tcp.unwrap_or(address);
                self.bind_stream("--syslog", "tcp", address, Protocol::Syslog, None)?;
            }
        }
        for address in &args.syslog_relp {
            self.bind_stream("--syslog-relp", "relp", address, Protocol::Relp, None)?;
        }
        if args.syslog_tls.is_empty() && args.syslog_relp_tls.is_empty() {
            return Ok(());
        }
        let acceptor = tls::acceptor(args, now_ms() / 1000)?;
        for address in &args.syslog_tls {
            let acceptor = Some(acceptor.clone());
            self.bind_stream("--syslog-tls", "tls", address, Protocol::Syslog, acceptor)?;
        }
        for address in &args.syslog_relp_tls {
            let acceptor = Some(acceptor.clone());
            self.bind_stream("--syslog-relp-tls", "relp+tls", address, Protocol::Relp, acceptor)?;
        }
        Ok(())
    }

    fn bind_udp(&mut self, address: &str, buffer_bytes: usize) -> Result<(), SourceError> {
        let refused = |error| refused("--syslog", address, &error);
        let socket = open(resolve("--syslog", address)?, socket2::Type::DGRAM).map_err(refused)?;
        socket.set_recv_buffer_size(buffer_bytes).map_err(refused)?;
        // The kernel reports twice what it grants, for its own bookkeeping.
        let granted = socket.recv_buffer_size().map_err(refused)? / 2;
        if granted < buffer_bytes {
            tracing::info!(
                granted,
                wanted = buffer_bytes,
                "the kernel grants a smaller UDP buffer, enough for few senders: for more, raise \
                 net.core.rmem_max"
            );
        }
        self.drops.push(Drops::of(&socket).map_err(refused)?);
        let _entered = self.runtime.enter();
        let socket = tokio::net::UdpSocket::from_std(socket.into()).map_err(refused)?;
        let path = format!("udp://{}", socket.local_addr().map_err(refused)?);
        self.addresses.push(path.clone());
        self.bound.push((Bound::Udp(socket), path));
        Ok(())
    }

    fn bind_stream(
        &mut self,
        flag: &str,
        scheme: &str,
        address: &str,
        protocol: Protocol,
        acceptor: Option<TlsAcceptor>,
    ) -> Result<(), SourceError> {
        let refused = |error| refused(flag, address, &error);
        let socket = open(resolve(flag, address)?, socket2::Type::STREAM).map_err(refused)?;
        socket.listen(BACKLOG).map_err(refused)?;
        let _entered = self.runtime.enter();
        let listener = TcpListener::from_std(socket.into()).map_err(refused)?;
        let path = format!("{scheme}://{}", listener.local_addr().map_err(refused)?);
        self.addresses.push(path.clone());
        self.bound.push((Bound::Stream(listener, protocol, acceptor), path));
        Ok(())
    }

    /// Adds what fits of the chunk to the batch; true if all of it did.
    fn add(&mut self, batch: &mut Batch, rest: &mut Rest) -> bool {
        let Rest { chunk, at } = rest;
        let mut indices: Vec<Option<u32>> = vec![None; chunk.streams.len()];
        let first = *at;
        let end = chunk.entries.len();
        let mut room = batch.room();
        let taken = chunk.entries[first..].iter().take_while(|entry| {
            let fits = entry.len <= room;
            room = room.saturating_sub(entry.len);
            fits
        });
        let mut until = first + taken.count();
        if until == first && until < end && batch.records().is_empty() {
            until += 1;
        }
        for (number, entry) in (first..until).zip(&chunk.entries[first..until]) {
            let known = &mut indices[entry.stream as usize];
            let stream =
                *known.get_or_insert_with(|| batch.stream(&chunk.streams[entry.stream as usize]));
            let bytes = &chunk.bytes[entry.at..entry.at + entry.len];
            let span = (entry.sequence, entry.sequence + 1);
            // The loop keeps the context of the last record of a batch, so only that one has it.
            let carried = match &chunk.lane {
                Some(lane) if number + 1 == until => lane.carried(span.1),
                _ => Vec::new(),
            };
            batch.push(stream, span, bytes, &[], &carried, chunk.read_at_ms, entry.part);
        }
        if let (Some(lane), true) = (&chunk.lane, until > first) {
            let source = lane.stream.origin.source;
            if self.identified.insert(source) {
                batch.identify(source, lane.identity());
            }
            let sequence = chunk.entries[until - 1].sequence + 1;
            self.unreleased.push_back((batch.end(), Arc::clone(lane), sequence));
        }
        *at = until;
        until == end
    }

    fn count_drops(&mut self, batch: &mut Batch) {
        if self.drops.is_empty() || self.drops_asked.elapsed() < DROPS_EVERY {
            return;
        }
        self.drops_asked = Instant::now();
        let dropped = self.drops_now();
        if dropped > 0 {
            tracing::warn!(dropped, "the kernel dropped datagrams: the log is slower than senders");
            batch.count_dropped(dropped);
        }
    }

    /// Tells the loop when senders were seen last, and which of them to forget.
    fn sweep(&mut self, batch: &mut Batch) {
        if self.swept.elapsed() < self.sweep_every {
            return;
        }
        self.swept = Instant::now();
        let swept = self.shared.lanes.sweep(now_ms());
        for lane in swept.seen {
            batch.identify(lane.stream.origin.source, lane.identity());
        }
        for source in swept.forgotten {
            self.identified.remove(&source);
            batch.forget(source);
        }
    }

    fn drops_now(&mut self) -> u64 {
        let tables = udp::kernel_tables();
        self.drops.iter_mut().map(|drops| drops.since_last(&tables)).sum()
    }

    /// The next chunk, waiting at most `wait` for it; after [`Source::close`] as long as one may
    /// come, unless it is asked not to wait at all.
    fn next(&mut self, wait: Duration) -> Option<Rest> {
        if let Some(rest) = self.rest.take() {
            return Some(rest);
        }
        loop {
            // Asked first: what the last task added is in the queue before its lease is gone.
            let more_may_come = self.leases.is_closed() && !self.leases.is_fed();
            let chunk = self.shared.queue.pop(wait);
            if chunk.is_some() || wait.is_zero() || !more_may_come {
                return chunk.map(|chunk| Rest { chunk, at: 0 });
            }
        }
    }
}

impl Source for Listen {
    fn resume(&mut self, known: Vec<Known>) -> Result<(), SourceError> {
        for position in &known {
            let shared = &self.shared;
            shared.lanes.restore(position, now_ms(), |path, peer, source| {
                shared.stream(source, path, peer, true)
            });
        }
        for (bound, path) in self.bound.drain(..) {
            let Some(lease) = self.leases.lease() else { break };
            let shared = Arc::clone(&self.shared);
            match bound {
                Bound::Udp(socket) => self.runtime.spawn(udp::receive(socket, path, shared, lease)),
                Bound::Stream(listener, protocol, acceptor) => {
                    let door = Door { protocol, acceptor, path: path.into(), shared };
                    self.runtime.spawn(door.keep(listener, lease))
                }
            };
        }
        Ok(())
    }

    fn recover(&mut self, record: &Record<'_>, context: &mut Vec<u8>) {
        if record.origin.path.starts_with("relp") {
            lane::carry(record.bytes, context, self.shared.relp_window);
        }
    }

    fn knows_by_bytes(&self, stream: &Stream) -> bool {
        stream.origin.path.starts_with("relp")
    }

    fn read(&mut self, batch: &mut Batch, mut wait: Duration) -> Result<(), SourceError> {
        batch.count_dropped(std::mem::take(&mut self.dropped_at_close));
        self.count_drops(batch);
        self.sweep(batch);
        while !batch.is_full() {
            let Some(mut rest) = self.next(wait) else { break };
            wait = Duration::ZERO;
            if !self.add(batch, &mut rest) {
                self.rest = Some(rest);
                break;
            }
            for source in &rest.chunk.ended {
                batch.forget(*source);
            }
            self.shared.queue.give_back(&rest.chunk);
        }
        Ok(())
    }

    fn release(&mut self, through: BatchEnd) -> Result<(), SourceError> {
        while let Some((_, lane, end)) =
            self.unreleased.pop_front_if(|(batch, ..)| *batch <= through)
        {
            lane.release(end);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), SourceError> {
        self.dropped_at_close = self.drops_now();
        self.drops.clear();
        self.bound.clear();
        self.leases.close();
        Ok(())
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        if self.leases.is_closed() {
            let ended = self.leases.ended();
            let in_time = async { tokio::time::timeout(LAST_ANSWERS_TIME, ended).await };
            let _ = self.runtime.block_on(in_time);
        }
    }
}

fn stop(text: String) -> SourceError {
    SourceError::Stop(text, None)
}

fn refused(flag: &str, address: &str, error: &std::io::Error) -> SourceError {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    let advice = match error.kind() {
        AddrInUse => "address already in use: stop the other program or pass another address",
        AddrNotAvailable => "this machine has no such address: pass one that it has",
        PermissionDenied => {
            "not permitted: ports below 1024 need CAP_NET_BIND_SERVICE; pass \
                             another address"
        }
        _ => return stop(format!("{flag} {address}: {error}")),
    };
    stop(format!("{flag} {address}: {advice}"))
}

fn resolve(flag: &str, address: &str) -> Result<SocketAddr, SourceError> {
    let form = "give HOST:PORT, such as 127.0.0.1:5514";
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| stop(format!("{flag} {address}: {error}: {form}")))?;
    found.next().ok_or_else(|| stop(format!("{flag} {address}: no such host: {form}")))
}

fn open(address: SocketAddr, kind: socket2::Type) -> std::io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), kind, None)?;
    if kind == socket2::Type::STREAM {
        // A restart must not wait for connections that the last run closed.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
