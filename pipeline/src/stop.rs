//! Stopping is a request first and an order second: the first asks every loop to finish what is in
//! flight, the second to let go at once. Neither loses anything. What does not finish within the
//! grace period is let go too: whoever waits for a server waits with [`Patience`].

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Shared by everything that has to stop together.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    level: AtomicU8,
    asked_at: OnceLock<Instant>,
    gate: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    /// Asks once more: the first time to finish, the second time to stop at once. For people, and
    /// who speaks for them.
    pub fn ask(&self) {
        let _ = self.0.level.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |level| {
            Some(level.saturating_add(1))
        });
        self.wake();
    }

    /// Asks to finish, if nobody has asked yet. For parts of the program, whose reasons to stop may
    /// be several and make nothing urgent.
    pub fn ask_to_finish(&self) {
        self.0.level.fetch_max(1, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let _ = self.0.asked_at.set(Instant::now());
        let _guard = self.0.gate.lock();
        self.0.changed.notify_all();
    }

    /// Finish what is in flight and take nothing new.
    pub fn is_asked(&self) -> bool {
        self.0.level.load(Ordering::SeqCst) > 0
    }

    /// Do not even finish what is in flight.
    pub fn is_urgent(&self) -> bool {
        self.0.level.load(Ordering::SeqCst) > 1
    }

    /// It was asked longer ago than `grace`, or is urgent.
    pub fn is_over(&self, grace: Duration) -> bool {
        let asked_at = self.0.asked_at.get();
        self.is_urgent() || asked_at.is_some_and(|asked_at| asked_at.elapsed() >= grace)
    }

    /// Waits for `pause` unless stopping is asked for first; true if it is.
    pub fn is_asked_within(&self, pause: Duration) -> bool {
        let Ok(guard) = self.0.gate.lock() else { return self.is_asked() };
        let waited = self.0.changed.wait_timeout_while(guard, pause, |()| !self.is_asked());
        drop(waited);
        self.is_asked()
    }
}

/// How long a wait for a server goes on: for ever, until stopping is asked for, then for as long as
/// is granted to what is in flight. The default never ends.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    stop: Stop,
    grace: Duration,
}

impl Patience {
    /// Ends `grace` after `stop` was asked for, or with the second request.
    pub fn new(stop: &Stop, grace: Duration) -> Self {
        Self { stop: stop.clone(), grace }
    }

    /// There is nothing more to wait for.
    pub fn is_over(&self) -> bool {
        self.stop.is_over(self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_with_the_grace_period_or_the_second_request() {
        let stop = Stop::default();
        let (none, long) = (Duration::ZERO, Duration::from_secs(3600));
        let patience = [none, long].map(|grace| Patience::new(&stop, grace));
        let is_over = || patience.each_ref().map(Patience::is_over);
        assert_eq!(is_over(), [false, false]);
        stop.ask();
        assert_eq!(is_over(), [true, false]);
        stop.ask();
        assert_eq!(is_over(), [true, true]);
    }

    #[test]
    fn asking_to_finish_is_never_urgent_and_takes_nothing_from_a_request() {
        let stop = Stop::default();
        stop.ask_to_finish();
        stop.ask_to_finish();
        assert!(stop.is_asked() && !stop.is_urgent());
        stop.ask();
        stop.ask_to_finish();
        assert!(stop.is_urgent());
    }

    #[test]
    fn the_second_request_is_urgent_and_wakes_who_waits() {
        let stop = Stop::default();
        assert!(!stop.is_asked_within(Duration::ZERO));
        let waiting = std::thread::spawn({
            let stop = stop.clone();
            move || stop.is_asked_within(Duration::from_secs(60))
        });
        stop.ask();
        assert!(waiting.join().expect("no panic") && !stop.is_urgent());
        stop.ask();
        assert!(stop.is_urgent());
    }
}
