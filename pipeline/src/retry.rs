//! How long to wait before the same is tried again.

use std::time::Duration;

/// Waits that double from `first` to `longest`, and start over after a success.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// A tenth of a second at first, five seconds at most: short enough to be back soon after a
    /// restart of a server, long enough not to add to its load.
    pub fn usual() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Waits from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next wait.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    /// It worked: the next failure waits short again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        let waits = [1, 2, 3, 3].map(|_| backoff.pause().as_secs());
        assert_eq!(waits, [1, 2, 3, 3]);
        backoff.reset();
        assert_eq!(backoff.pause().as_secs(), 1);
    }
}
