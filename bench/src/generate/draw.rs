//! Numbers that only look random: SplitMix64, so that a seed means the same lines for ever.

use std::fmt;

pub(super) struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// From `from` up to and without `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.word() % (to - from)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.between(0, from.len() as u64) as usize]
    }

    /// One of `from`, each as often as its weight says.
    pub fn weighted<'a, T>(&mut self, from: &'a [(u64, T)]) -> &'a T {
        let total = from.iter().map(|(weight, _)| weight).sum();
        let mut left = self.between(0, total);
        let found = from.iter().find(|(weight, _)| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        &found.expect("the draw is below the sum of the weights").1
    }

    pub fn address(&mut self) -> Address {
        Address(self.word().to_le_bytes())
    }
}

/// A public IPv4 address.
pub(super) struct Address([u8; 8]);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{}.{b}.{c}.{}", 11 + a % 112, 1 + d % 254)
    }
}

/// A day of 2026 and the time on it; a log of any length goes through its days again and again.
pub(super) struct Clock {
    pub month: u64,
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
}

/// What a busy application or server writes.
const RECORDS_A_SECOND: u64 = 50;

impl Clock {
    /// When record `number` is written.
    pub fn of(number: u64) -> Self {
        let seconds = number / RECORDS_A_SECOND;
        let days = seconds / 86_400 % (28 * 12);
        Self {
            month: 1 + days / 28,
            day: 1 + days % 28,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }

    /// `Mar`
    pub fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        NAMES[(self.month - 1) as usize]
    }

    /// `2026-03-04`
    pub fn date(&self) -> String {
        format!("2026-{:02}-{:02}", self.month, self.day)
    }

    /// `09:27:05`
    pub fn time(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}
