//! Which rows may still come though rows behind them were read.
//!
//! A row gets its place in the order when it is written, and is seen when its transaction ends. So
//! each look notes the newest row and then the transactions that are open: a transaction that is not
//! among them writes behind the newest row. So what comes late stands behind the newest row of the
//! last look at which its transaction was not open yet. Some seconds are added to that for what no
//! database tells: a time that another machine's clock gave or that is rounded, a number that was
//! drawn before its transaction began. They are counted from the beginning of that look back to the
//! end of an earlier one, so that it does not matter how long looks take, or how rare they are.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Cursor;

/// Looks that are kept; of more, every second is forgotten, which makes the window larger at most.
const LOOKS_MAX: usize = 1024;

/// What was seen of a table so far.
pub(super) struct Window {
    overlap: Duration,
    /// When each look at which there was a newer row ended, and that row.
    looks: VecDeque<(Instant, Cursor)>,
    /// When the last look began at which an open transaction was not open yet, if there was one.
    open: HashMap<String, Option<Instant>>,
    /// When the last look began.
    looked: Option<Instant>,
    /// No other row will come up to here.
    settled: Option<Cursor>,
}

/// What follows from a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Rows may have come behind this since the look before.
    pub from: Option<Cursor>,
    /// Once they are read, no other row will come up to here.
    pub settled: Option<Cursor>,
}

impl Window {
    pub fn new(overlap: Duration, settled: Option<Cursor>) -> Self {
        let (looks, open) = (VecDeque::new(), HashMap::new());
        Self { overlap, looks, open, looked: None, settled }
    }

    /// Takes note of the newest row, and of the transactions that were open after it was looked up,
    /// at a look that began and ended then.
    pub fn look(
        &mut self,
        (began, ended): (Instant, Instant),
        newest: Option<Cursor>,
        open: HashSet<String>,
    ) -> Seen {
        let gone =
            self.open.iter().filter(|(id, _)| !open.contains(*id)).map(|(_, not_yet)| *not_yet);
        // What began and ended between two looks was not open at the first of them.
        let from = gone.min().unwrap_or(self.looked).min(self.looked);
        let from = self.newest_at(from).or(self.settled.as_ref()).cloned();
        self.open.retain(|id, _| open.contains(id));
        open.into_iter().for_each(|id| {
            self.open.entry(id).or_insert(self.looked);
        });
        if let Some(newest) = newest
            && self.looks.back().is_none_or(|(_, last)| *last < newest)
        {
            self.looks.push_back((ended, newest));
        }
        self.looked = Some(began);
        let oldest = self.open.values().min().copied();
        let settled = self.newest_at(oldest.unwrap_or(self.looked)).cloned();
        self.settled = settled.max(self.settled.take());
        self.prune();
        Seen { from, settled: self.settled.clone() }
    }

    /// The newest row at the last look that had ended `overlap` earlier.
    fn newest_at(&self, at: Option<Instant>) -> Option<&Cursor> {
        let at = at?;
        let mut looks = self.looks.iter().rev();
        looks.find(|(ended, _)| *ended + self.overlap <= at).map(|(_, newest)| newest)
    }

    fn prune(&mut self) {
        if let Some(settled) = &self.settled {
            let passed = self.looks.partition_point(|(_, newest)| newest < settled);
            self.looks.drain(..passed);
        }
        if self.looks.len() > LOOKS_MAX {
            let mut number = 0;
            self.looks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
    }

    /// Transactions that the window waits for.
    pub fn waits_for(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::Part;

    struct Looks {
        window: Window,
        began: Instant,
    }

    impl Looks {
        fn new(overlap_s: u64) -> Self {
            let window = Window::new(Duration::from_secs(overlap_s), None);
            Self { window, began: Instant::now() }
        }

        /// At a second, with that newest row and those transactions: from where to read again, and
        /// up to where all is settled.
        fn at(&mut self, second: u64, newest: i128, open: &[&str]) -> (Option<i128>, Option<i128>) {
            let number = |cursor: Option<Cursor>| match cursor?.0[..] {
                [Part::Number(number)] => Some(number),
                _ => None,
            };
            let open = open.iter().map(|id| (*id).to_owned()).collect();
            let now = self.began + Duration::from_secs(second);
            let seen = self.window.look((now, now), Some(Cursor(vec![Part::Number(newest)])), open);
            (number(seen.from), number(seen.settled))
        }
    }

    #[test]
    fn without_open_transactions_what_was_seen_is_settled_at_once() {
        let mut looks = Looks::new(0);
        assert_eq!(looks.at(0, 10, &[]), (None, Some(10)));
        assert_eq!(looks.at(1, 12, &[]), (Some(10), Some(12)));
        assert_eq!(looks.at(2, 12, &[]), (Some(12), Some(12)));
    }

    #[test]
    fn an_open_transaction_holds_back_what_came_after_it_began_and_is_read_again_when_it_ends() {
        let mut looks = Looks::new(0);
        looks.at(0, 10, &[]);
        assert_eq!(looks.at(1, 12, &["a"]), (Some(10), Some(10)));
        assert_eq!(looks.at(2, 15, &["a", "b"]), (Some(12), Some(10)));
        assert_eq!(looks.at(3, 20, &["b"]), (Some(10), Some(12)));
        assert_eq!(looks.at(4, 21, &[]), (Some(12), Some(21)));
    }

    #[test]
    fn a_transaction_that_was_open_at_the_first_look_may_hold_any_row() {
        let mut looks = Looks::new(0);
        assert_eq!(looks.at(0, 10, &["a"]), (None, None));
        assert_eq!(looks.at(1, 12, &["a"]), (Some(10), None));
        assert_eq!(looks.at(2, 12, &[]), (None, Some(12)));
    }

    #[test]
    fn the_seconds_count_back_from_the_look_before_a_transaction_however_rare_looks_are() {
        let mut looks = Looks::new(5);
        assert_eq!(looks.at(0, 10, &[]), (None, None));
        assert_eq!(looks.at(100, 20, &[]), (None, Some(10)));
        assert_eq!(looks.at(200, 30, &["a"]), (Some(10), Some(10)));
        assert_eq!(looks.at(300, 40, &[]), (Some(10), Some(30)));
    }

    #[test]
    fn seconds_are_added_for_what_no_database_tells() {
        let mut looks = Looks::new(5);
        assert_eq!(looks.at(0, 10, &[]), (None, None));
        assert_eq!(looks.at(3, 12, &[]), (None, None));
        assert_eq!(looks.at(5, 13, &[]), (None, Some(10)));
        assert_eq!(looks.at(8, 14, &["a"]), (Some(10), Some(10)));
        assert_eq!(looks.at(20, 15, &["a"]), (Some(12), Some(10)));
        assert_eq!(looks.at(30, 16, &[]), (Some(10), Some(15)));
    }
}
