//! The first records of a connection, laid against the ends of its host's lanes: which of them are
//! a repetition.

use std::cell::LazyCell;
use std::sync::Arc;

use super::Lane;
use crate::listen::line;

/// A lane and the place in it where a repetition may have begun.
struct Candidate {
    lane: Arc<Lane>,
    /// Sequence of the record that the next repeated one must equal.
    at: u64,
    /// A connection has the lane, and has written all answers.
    was_answered: bool,
}

/// What the records so far may repeat.
pub struct Alignment {
    candidates: Vec<Candidate>,
    /// Those lanes in which one was at the beginning.
    lanes: Vec<Arc<Lane>>,
    /// Records seen so far.
    seen: usize,
    /// The longest that reached the end of its lane.
    complete: Option<Repetition>,
}

/// The first records of a connection are the last of a lane.
#[derive(Clone)]
pub(super) struct Repetition {
    pub(super) lane: Arc<Lane>,
    /// How many they are.
    pub(super) records: usize,
    /// Sequence behind the last of them.
    pub(super) end: u64,
    /// It is one only if the answers to them were lost on their way.
    pub(super) was_answered: bool,
}

impl Alignment {
    /// Every place in these lanes that a repetition could begin with this record.
    pub(super) fn begin(lanes: &[Arc<Lane>], hash: u64) -> Self {
        let mut candidates = Vec::new();
        let tables = LazyCell::new(line::kernel_tables);
        for lane in lanes {
            let (is_free, released) = (lane.is_free(), lane.released());
            let tail = lane.tail();
            // Of a lane that has a connection everything without an answer must come again.
            let latest = match (is_free, released < tail.next) {
                (true, _) => u64::MAX,
                (false, true) => released,
                (false, false) if !tail.hashes.contains(&hash) => continue,
                (false, false) => match lane.line().is_in_doubt(&tables) {
                    true => u64::MAX,
                    false => continue,
                },
            };
            let places = (tail.first()..=latest).zip(&tail.hashes);
            let places = places.filter(|(_, known)| **known == hash);
            let was_answered = !is_free && released >= tail.next;
            let candidate = |at| Candidate { lane: Arc::clone(lane), at, was_answered };
            candidates.extend(places.map(|(at, _)| candidate(at)));
        }
        let mut lanes: Vec<_> = candidates.iter().map(|one| Arc::clone(&one.lane)).collect();
        lanes.dedup_by(|one, other| Arc::ptr_eq(one, other));
        Self { candidates, lanes, seen: 0, complete: None }
    }

    /// Takes the next record; false once no later one can change the answer.
    pub fn take(&mut self, hash: u64) -> bool {
        self.seen += 1;
        let seen = self.seen;
        let complete = &mut self.complete;
        self.candidates.retain_mut(|candidate| {
            let tail = candidate.lane.tail();
            let index = candidate.at.checked_sub(tail.first());
            let index = index.and_then(|index| usize::try_from(index).ok());
            if index.and_then(|index| tail.hashes.get(index)) != Some(&hash) {
                return false;
            }
            candidate.at += 1;
            let (end, through) = (tail.next, candidate.at == tail.next);
            drop(tail);
            if through {
                let lane = Arc::clone(&candidate.lane);
                let was_answered = candidate.was_answered;
                *complete = Some(Repetition { lane, records: seen, end, was_answered });
            }
            !through
        });
        !self.candidates.is_empty()
    }

    /// Nothing is compared with these lanes again: what comes is news.
    pub fn give_up(&self) {
        self.lanes.iter().for_each(|lane| lane.settle());
    }

    /// The longest repetition that the records taken so far begin with.
    pub(super) fn repetition(&self) -> Option<Repetition> {
        self.complete.clone()
    }
}
