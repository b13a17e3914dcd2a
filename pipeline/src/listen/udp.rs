//! One datagram is one record. What the kernel dropped because we were slow is counted by the
//! kernel itself, per socket, in /proc/net/udp.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use tahoe_seams::{Part, Stream};
use tokio::net::UdpSocket;

use super::closing::{CLOSING_TIME, Lease};
use super::framing::strip;
use super::queue::Chunk;
use super::{Shared, socket_table};

use crate::clock::now_ms;

/// A datagram is at most 65,507 bytes long.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// A chunk of datagrams: large enough that handing over costs nothing per record.
const CHUNK_BYTES: usize = 256 << 10;
/// Senders that are remembered, each with a stream of its own.
const PEERS_MAX: usize = 4096;

struct Peer {
    stream: Arc<Stream>,
    next: u64,
    used: u64,
}

struct Peers {
    path: String,
    by_address: HashMap<IpAddr, Peer>,
    tick: u64,
}

/// Reads datagrams until it is time to stop, and then those that the kernel holds already.
pub(super) async fn receive(
    socket: UdpSocket,
    path: String,
    shared: Arc<Shared>,
    mut lease: Lease,
) {
    let mut peers = Peers { path, by_address: HashMap::new(), tick: 0 };
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let readable = tokio::select! {
            readable = socket.readable() => readable,
            () = lease.asked() => break,
        };
        if let Err(error) = readable {
            tracing::warn!(%error, "udp socket failed");
            return;
        }
        let chunk = peers.gather(&mut buffer, &shared, |buffer| socket.try_recv_from(buffer));
        if !chunk.is_empty() {
            shared.queue.push(chunk).await;
        }
    }
    // Without the runtime between, which may not know yet of what came last.
    let Ok(socket) = socket.into_std() else { return };
    let until = Instant::now() + CLOSING_TIME;
    while Instant::now() < until {
        let chunk = peers.gather(&mut buffer, &shared, |buffer| socket.recv_from(buffer));
        if chunk.is_empty() {
            break;
        }
        shared.queue.push(chunk).await;
    }
}

impl Peers {
    /// Takes what is there now, up to the size of a chunk.
    fn gather(
        &mut self,
        buffer: &mut [u8],
        shared: &Shared,
        receive: impl Fn(&mut [u8]) -> io::Result<(usize, SocketAddr)>,
    ) -> Chunk {
        self.tick += 1;
        let mut chunk = Chunk { read_at_ms: now_ms(), ..Chunk::default() };
        let mut indices: HashMap<IpAddr, u32> = HashMap::new();
        let mut last: Option<(IpAddr, u32)> = None;
        while chunk.bytes.len() < CHUNK_BYTES {
            let (length, sender) = match receive(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP answer to nothing that we sent; the next datagram is not affected.
                Err(_) => continue,
            };
            let datagram = &buffer[..length];
            let text = &datagram[..strip(datagram)];
            if text.is_empty() {
                continue;
            }
            let address = sender.ip().to_canonical();
            let index = match last {
                Some((known, index)) if known == address => index,
                _ => *indices.entry(address).or_insert_with(|| {
                    let peer = self.peer(address, shared, &mut chunk);
                    chunk.streams.push(peer);
                    u32::try_from(chunk.streams.len() - 1).expect("a chunk has few streams")
                }),
            };
            last = Some((address, index));
            self.push(&mut chunk, index, address, text, shared.message_bytes_max);
        }
        chunk
    }

    fn push(&mut self, chunk: &mut Chunk, index: u32, peer: IpAddr, text: &[u8], limit: usize) {
        let peer = self.by_address.get_mut(&peer).expect("it was put there above");
        if text.len() <= limit {
            chunk.push(index, peer.next, text, None);
            peer.next += 1;
            return;
        }
        let parts = text.chunks(limit);
        let count = parts.len();
        for (number, (at, text)) in (0u32..).zip(parts.enumerate()) {
            let part = Part { index: number, last: at + 1 == count };
            chunk.push(index, peer.next, text, Some(part));
            peer.next += 1;
        }
    }

    fn peer(&mut self, address: IpAddr, shared: &Shared, chunk: &mut Chunk) -> Arc<Stream> {
        if self.by_address.len() >= PEERS_MAX && !self.by_address.contains_key(&address) {
            self.evict(chunk);
        }
        let path = &self.path;
        let fresh = || Peer { stream: shared.connection_stream(path, address), next: 0, used: 0 };
        let peer = self.by_address.entry(address).or_insert_with(fresh);
        peer.used = self.tick;
        Arc::clone(&peer.stream)
    }

    /// Ends the older half of the streams that are not in this chunk.
    fn evict(&mut self, chunk: &mut Chunk) {
        let mut ticks: Vec<u64> = self.by_address.values().map(|peer| peer.used).collect();
        let middle = ticks.len() / 2;
        let (_, median, _) = ticks.select_nth_unstable(middle);
        let oldest = (*median).min(self.tick - 1);
        self.by_address.retain(|_, peer| {
            let kept = peer.used > oldest;
            if !kept {
                chunk.ended.push(peer.stream.origin.source);
            }
            kept
        });
    }
}

/// The kernel's drop counter of one socket.
pub(super) struct Drops {
    inode: u64,
    seen: u64,
}

impl Drops {
    pub(super) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let inode = rustix::fs::fstat(socket)?.st_ino;
        Ok(Self { inode, seen: 0 })
    }

    /// Drops since the last call, given the text of [`kernel_tables`].
    pub(super) fn since_last(&mut self, tables: &str) -> u64 {
        let total = drops_of(tables, self.inode).unwrap_or(self.seen);
        let new = total.saturating_sub(self.seen);
        self.seen = total;
        new
    }
}

/// `drops` is the last column.
fn drops_of(tables: &str, inode: u64) -> Option<u64> {
    socket_table::columns_of(tables, inode)?.next_back()?.parse().ok()
}

/// What the kernel knows of all sockets for datagrams.
pub(super) fn kernel_tables() -> String {
    socket_table::both("udp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_drops_are_found_by_inode_and_counted_once() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode ref pointer drops\n  \
                     87: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     \
                     0        0 4242 2 0000000000000000 17\n";
        let mut drops = Drops { inode: 4242, seen: 0 };
        assert_eq!((drops.since_last(table), drops.since_last(table)), (17, 0));
        assert_eq!(Drops { inode: 1, seen: 0 }.since_last(table), 0);
    }
}
