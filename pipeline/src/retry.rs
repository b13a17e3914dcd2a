//! How long to wait before the same is tried again, and the one loop that starts loops again.

use std::time::{Duration, Instant};

use tahoe_seams::{LogError, SourceError};

use crate::stop::Stop;

/// Why a loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum EndedEarly {
    /// Start again from what is stored or committed, after a pause.
    #[error("{0}")]
    Again(String),
    /// A person must change something first.
    #[error("{0}")]
    Stop(String),
}

impl From<LogError> for EndedEarly {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Retry(..) | LogError::Stopped => Self::Again(error.to_string()),
            LogError::NoTopic(_)
            | LogError::Fenced(_)
            | LogError::TooLarge { .. }
            | LogError::Stop(..) => Self::Stop(error.to_string()),
        }
    }
}

impl From<SourceError> for EndedEarly {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Retry(..) => Self::Again(error.to_string()),
            SourceError::Stop(..) => Self::Stop(error.to_string()),
        }
    }
}

/// Calls `run` until it ends well, or starting it again cannot help; between two runs `again` is
/// told why, and there is a pause.
///
/// # Errors
/// [`EndedEarly::Stop`], or [`EndedEarly::Again`] of a run that ended after a stop was asked for.
pub fn keep_running(
    stop: &Stop,
    mut run: impl FnMut() -> Result<(), EndedEarly>,
    mut again: impl FnMut(&str),
) -> Result<(), EndedEarly> {
    let mut backoff = Backoff::usual();
    loop {
        let began = Instant::now();
        match run() {
            Err(EndedEarly::Again(text)) if !stop.is_asked() => again(&text),
            ended => return ended,
        }
        backoff.ran(began.elapsed());
        stop.is_asked_within(backoff.pause());
    }
}

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

    /// What is tried again ran for so long: longer than the longest wait, it worked.
    pub fn ran(&mut self, lasted: Duration) {
        if lasted > self.longest {
            self.reset();
        }
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

    #[test]
    fn a_run_that_lasted_longer_than_the_longest_wait_has_worked() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        let waits = [9, 0, 3, 4].map(|lasted| {
            backoff.ran(Duration::from_secs(lasted));
            backoff.pause().as_secs()
        });
        assert_eq!(waits, [1, 2, 3, 1]);
    }

    #[test]
    fn a_loop_is_run_again_until_it_ends_well_or_a_person_is_needed() {
        let again = || Err(EndedEarly::Again("later".to_owned()));
        for last in [Ok(()), Err(EndedEarly::Stop("never".to_owned()))] {
            let is_ok = last.is_ok();
            let (mut ends, mut told) = (vec![last, again()], Vec::new());
            let run = || ends.pop().expect("it is not run after its end");
            let ended = keep_running(&Stop::default(), run, |text| told.push(text.to_owned()));
            assert_eq!((ended.is_ok(), told), (is_ok, vec!["later".to_owned()]));
        }
        let stop = Stop::default();
        let asked = || {
            stop.ask();
            again()
        };
        let ended = keep_running(&stop, asked, |text| panic!("{text}: it is to stop"));
        assert!(matches!(ended, Err(EndedEarly::Again(_))));
    }
}
