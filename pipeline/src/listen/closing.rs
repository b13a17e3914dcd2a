//! Stopping in order. First every task is told; then each gives what its socket holds already and
//! lets go of its [`Lease`]; once all have, the queue gets nothing more and the loop can read it
//! empty. RELP conversations stay a little longer, to answer what becomes durable meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// After it was told, a task gives what its socket holds for at most this long: a sender that never
/// pauses must not keep us from stopping.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(2);
/// A connection from which nothing came for this long has given what was on its way.
pub(super) const LAST_BYTES_TIME: Duration = Duration::from_millis(50);

/// Held by a task of the listener; dropped with it.
#[derive(Clone)]
pub(super) struct Lease {
    asked: watch::Receiver<bool>,
    feeds: Option<mpsc::Sender<Infallible>>,
    _lives: mpsc::Sender<Infallible>,
}

impl Lease {
    /// Waits until it is time to stop.
    pub(super) async fn asked(&mut self) {
        // The other end is dropped with the listener, which ends the task as well.
        let _ = self.asked.wait_for(|asked| *asked).await;
    }

    /// This task adds nothing more to the queue, though it goes on.
    pub(super) fn feeds_no_more(&mut self) {
        self.feeds = None;
    }
}

/// The leases of one listener.
pub(super) struct Leases {
    asked: watch::Sender<bool>,
    /// What every lease is copied from, until it is time to stop.
    original: Option<Lease>,
    feeding: mpsc::Receiver<Infallible>,
    living: mpsc::Receiver<Infallible>,
}

impl Leases {
    pub(super) fn new() -> Self {
        let (asked, told) = watch::channel(false);
        let (feeds, feeding) = mpsc::channel(1);
        let (lives, living) = mpsc::channel(1);
        let original = Some(Lease { asked: told, feeds: Some(feeds), _lives: lives });
        Self { asked, original, feeding, living }
    }

    /// A lease for a task; none once it is time to stop.
    pub(super) fn lease(&self) -> Option<Lease> {
        self.original.clone()
    }

    /// Tells every task to stop.
    pub(super) fn close(&mut self) {
        self.original = None;
        self.asked.send_replace(true);
    }

    /// It is time to stop.
    pub(super) fn is_closed(&self) -> bool {
        self.original.is_none()
    }

    /// No task can add anything to the queue any more.
    pub(super) fn is_fed(&mut self) -> bool {
        matches!(self.feeding.try_recv(), Err(mpsc::error::TryRecvError::Disconnected))
    }

    /// Waits until every task has ended.
    pub(super) async fn ended(&mut self) {
        while self.living.recv().await.is_some() {}
    }
}
