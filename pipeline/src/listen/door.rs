//! A listening TCP socket: who is let in, and how many at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use super::closing::Lease;
use super::line::Line;
use super::{Shared, session, stream};

/// A client that has not finished its TLS handshake by then is turned away.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, mostly for want of file descriptors: it passes
/// when connections end.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// A connection that is silent for this long is asked whether it lives.
const SILENT_TIME: Duration = Duration::from_secs(60);
/// Without an answer it is asked so often again, and given up after so many times.
const ASKED_EVERY: Duration = Duration::from_secs(10);
const ASKED_TIMES: u32 = 3;

/// What is spoken behind a door.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Syslog,
    Relp,
}

/// What a connection through one listening socket is given.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) protocol: Protocol,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) path: Arc<str>,
    pub(super) shared: Arc<Shared>,
}

impl Door {
    /// Takes connections while there are slots for them, until it is time to stop; then those that
    /// the kernel has completed, because their senders believe to have been heard.
    pub(super) async fn keep(self, listener: TcpListener, mut lease: Lease) {
        let slots = Arc::clone(&self.shared.slots);
        loop {
            if slots.available_permits() == 0 {
                let path = &self.path;
                tracing::warn!(%path, "connections wait: --syslog-connections-max is reached");
            }
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot,
                () = lease.asked() => break,
            };
            let slot = slot.expect("the slots' semaphore is never closed");
            tokio::select! {
                accepted = listener.accept() => self.admit(accepted, slot, &lease).await,
                () = lease.asked() => break,
            }
        }
        while let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            let waiting = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
            let Ok(Ok(accepted)) = waiting else { break };
            self.admit(Ok(accepted), slot, &lease).await;
        }
    }

    async fn admit(
        &self,
        accepted: std::io::Result<(TcpStream, SocketAddr)>,
        slot: OwnedSemaphorePermit,
        lease: &Lease,
    ) {
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(path = %self.path, %error, "cannot accept a connection");
                return tokio::time::sleep(REFUSED_PAUSE).await;
            }
        };
        notice_dead(&socket);
        let (door, lease, peer) = (self.clone(), lease.clone(), peer.ip().to_canonical());
        tokio::spawn(async move {
            let _slot = slot;
            door.welcome(socket, peer, lease).await;
        });
    }

    async fn welcome(&self, socket: TcpStream, peer: IpAddr, mut lease: Lease) {
        let line = Line::of(&socket);
        let Some(acceptor) = &self.acceptor else {
            return self.serve(socket, peer, line, lease).await;
        };
        let path = &self.path;
        let handshake = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(socket));
        let done = tokio::select! {
            done = handshake => done,
            // Nothing was given yet.
            () = lease.asked() => return,
        };
        match done {
            Ok(Ok(socket)) => self.serve(socket, peer, line, lease).await,
            Ok(Err(error)) => tracing::warn!(%path, %peer, %error, "TLS handshake failed"),
            Err(_) => tracing::warn!(%path, %peer, "TLS handshake took too long"),
        }
    }

    async fn serve(
        &self,
        socket: impl AsyncRead + AsyncWrite + Unpin,
        peer: IpAddr,
        line: Line,
        lease: Lease,
    ) {
        let (path, shared) = (&self.path, self.shared.as_ref());
        match self.protocol {
            Protocol::Syslog => stream::receive(socket, path, peer, shared, lease).await,
            Protocol::Relp => {
                let ended = session::converse(socket, path, (peer, line), shared, lease).await;
                if let Err(error) = ended {
                    tracing::warn!(%path, %peer, %error, "relp connection ended");
                }
            }
        }
    }
}

/// A sender that is gone without a word is noticed, and answers that it does not take are given up
/// after as long.
fn notice_dead(socket: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(SILENT_TIME)
        .with_interval(ASKED_EVERY)
        .with_retries(ASKED_TIMES);
    let socket = socket2::SockRef::from(socket);
    let noticed = socket.set_tcp_keepalive(&keepalive);
    // Without it the kernel tries for a quarter of an hour.
    #[cfg(target_os = "linux")]
    let noticed =
        noticed.and(socket.set_tcp_user_timeout(Some(SILENT_TIME + ASKED_EVERY * ASKED_TIMES)));
    if let Err(error) = noticed {
        tracing::debug!(%error, "dead connections end when the kernel notices");
    }
}
