//! Time as an argument: quiet times are measured on it, so that tests move it instead of waiting.

use std::time::{Duration, Instant};

use crate::clock::now_ms;

/// What the tail asks for the time.
pub trait Clock: Send {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// Milliseconds since the epoch.
    fn wall_ms(&self) -> i64;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        now_ms()
    }
}
