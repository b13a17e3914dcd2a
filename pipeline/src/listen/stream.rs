//! Syslog over TCP and TLS. There is no acknowledgement: what a sender's kernel had handed over
//! when we die is lost, and what it sends again is a new record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tahoe_seams::Stream;
use tokio::io::AsyncRead;

use super::Shared;
use super::closing::{CLOSING_TIME, LAST_BYTES_TIME, Lease};
use super::framing::{Decoder, Step};
use super::inbox::Inbox;
use super::queue::Chunk;

use crate::clock::now_ms;

/// Records are handed over when this many bytes are together, or when nothing more is there.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads one connection to its end, or to the end of what it has sent when it is time to stop.
/// What it leaves unfinished is a record too.
pub(super) async fn receive(
    mut socket: impl AsyncRead + Unpin,
    path: &str,
    peer: IpAddr,
    shared: &Shared,
    mut lease: Lease,
) {
    let stream = shared.connection_stream(path, peer);
    let mut inbox = Inbox::new(Arc::clone(&shared.growth));
    let mut decoder = Decoder::default();
    let mut next = 0;
    let mut closing: Option<Instant> = None;
    loop {
        let pause = closing.map_or(shared.idle_time, |until| {
            until.saturating_duration_since(Instant::now()).min(LAST_BYTES_TIME)
        });
        let filled = tokio::select! {
            filled = tokio::time::timeout(pause, inbox.fill(&mut socket)) => filled,
            () = lease.asked(), if closing.is_none() => {
                closing = Some(Instant::now() + CLOSING_TIME);
                continue;
            }
        };
        let ended = match filled {
            Ok(Ok(read)) => read == 0,
            Ok(Err(error)) => {
                tracing::debug!(path, %peer, %error, "connection broke");
                true
            }
            Err(_) => {
                if closing.is_none() {
                    tracing::info!(path, %peer, "connection closed: silent for --syslog-idle-time");
                }
                true
            }
        };
        while let Some(chunk) =
            cut(&mut inbox, &mut decoder, &stream, &mut next, shared.message_bytes_max, ended)
        {
            shared.queue.push(chunk).await;
        }
        if ended {
            break;
        }
    }
    let ended = Chunk { ended: vec![stream.origin.source], ..Chunk::of(&stream) };
    shared.queue.push(ended).await;
}

/// The whole records that are there, up to the size of a chunk; `None` if there are none.
fn cut(
    inbox: &mut Inbox,
    decoder: &mut Decoder,
    stream: &Arc<Stream>,
    next: &mut u64,
    limit: usize,
    ended: bool,
) -> Option<Chunk> {
    let mut chunk = Chunk { read_at_ms: now_ms(), ..Chunk::of(stream) };
    while chunk.bytes.len() < CHUNK_BYTES {
        match decoder.step(inbox.bytes(), inbox.limit(limit), ended) {
            Step::Message { text, part, end } => {
                chunk.push(0, *next, &inbox.bytes()[text], part);
                *next += 1;
                inbox.consume(end);
            }
            Step::Blank { end } => inbox.consume(end),
            Step::Partial => break,
        }
    }
    (!chunk.is_empty()).then_some(chunk)
}
