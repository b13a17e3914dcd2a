//! When a table is read: every so often, at the times of a cron line, once, or when someone asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::cron::Cron;
use crate::clock;

/// Between two readings where the first had to leave something for the next.
const SOON: Duration = Duration::from_secs(1);

/// When a table is read.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At the start, and so long after the beginning of each reading.
    Every(Duration),
    /// At the times of a cron line.
    At(Box<Cron>),
    /// At the start, until everything that was there then is given for good.
    Once,
}

impl Schedule {
    /// From `10s`, `5m`, `2h`, or a cron line in the zone that is given.
    ///
    /// # Errors
    /// What is wrong with it; the caller knows the setting's name.
    pub fn parse(text: &str, zone: &str) -> Result<Self, String> {
        if text.split_ascii_whitespace().count() > 1 {
            return Cron::parse(text, zone).map(|cron| Self::At(Box::new(cron)));
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit_s = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => 0,
        };
        let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_s));
        match seconds {
            Some(seconds @ 1..) => Ok(Self::Every(Duration::from_secs(seconds))),
            _ => Err(format!("{text:?} is neither a time (10s, 5m, 2h) nor a cron line")),
        }
    }
}

/// Asks all tables to be read now.
#[derive(Clone, Debug, Default)]
pub struct Trigger(Arc<AtomicU64>);

impl Trigger {
    /// Asks.
    pub fn pull(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When one table is read next.
pub(super) struct Clock {
    schedule: Schedule,
    trigger: Trigger,
    /// Askings that were answered.
    answered: u64,
    next: Next,
}

enum Next {
    At(Instant),
    Time(Timestamp),
    Never,
}

impl Clock {
    /// A table whose reading was broken off goes on at once.
    pub fn new(schedule: Schedule, trigger: Trigger, broken_off: bool) -> Self {
        let next = match &schedule {
            Schedule::At(cron) if !broken_off => cron.next(clock::timestamp()).into(),
            _ => Next::At(Instant::now()),
        };
        Self { schedule, answered: trigger.count(), trigger, next }
    }

    /// It is time, or someone has asked.
    pub fn is_due(&self) -> bool {
        let due = match self.next {
            Next::At(time) => time <= Instant::now(),
            Next::Time(time) => time <= clock::timestamp(),
            Next::Never => false,
        };
        due || self.trigger.count() != self.answered
    }

    /// A reading begins: when the next is to.
    pub fn begin(&mut self) {
        self.answered = self.trigger.count();
        self.next = match &self.schedule {
            Schedule::Every(every) => Next::At(Instant::now() + *every),
            Schedule::At(cron) => cron.next(clock::timestamp()).into(),
            Schedule::Once => Next::Never,
        };
    }

    /// The reading that began has left something for the next.
    pub fn soon(&mut self) {
        let soon = Instant::now() + SOON;
        if !matches!(self.next, Next::At(time) if time < soon) {
            self.next = Next::At(soon);
        }
    }

    /// It is to be read once.
    pub fn is_once(&self) -> bool {
        matches!(self.schedule, Schedule::Once)
    }

    /// Longer than a minute may pass before the next reading.
    pub fn rests(&self) -> bool {
        match self.next {
            Next::At(time) => time > Instant::now() + Duration::from_secs(60),
            Next::Time(_) | Next::Never => true,
        }
    }
}

impl From<Option<Timestamp>> for Next {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Never, Self::Time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_unit_and_a_cron_line_five_fields() {
        let every = |text| match Schedule::parse(text, "") {
            Ok(Schedule::Every(time)) => Some(time.as_secs()),
            _ => None,
        };
        assert_eq!([every("1s"), every("5m"), every("2h")], [Some(1), Some(300), Some(7200)]);
        assert!(matches!(Schedule::parse("*/5 * * * *", ""), Ok(Schedule::At(_))));
        for wrong in ["", "s", "0s", "5", "5x", "-1s", "* * * *", "99999999999999999999s"] {
            assert!(Schedule::parse(wrong, "").is_err(), "{wrong}");
        }
    }

    #[test]
    fn someone_who_asks_is_answered_once_and_at_once() {
        let trigger = Trigger::default();
        let hours = Schedule::Every(Duration::from_secs(7200));
        let mut clock = Clock::new(hours, trigger.clone(), false);
        assert!(clock.is_due());
        clock.begin();
        assert!(!clock.is_due() && clock.rests());
        trigger.pull();
        assert!(clock.is_due());
        clock.begin();
        assert!(!clock.is_due());
    }
}
