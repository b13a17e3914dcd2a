//! What replays found of dead letters, kept beside them, since a topic's records do not change.
//!
//! A mark says how often a letter was rejected again, and whether its record is stored. The marks of
//! 1024 letters are one value among the positions: `{"v":1,"runs":[[0,12,1,false],[12,3,0,true]]}`,
//! each run of `[first, letters, attempts, stored]`, counted from the first letter of the value.
//! That a second replay changes nothing does not rest on them but on the records' ids.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tahoe_seams::{KeyValue, Log, LogError};

/// The version that this code writes, and the newest that it reads.
const VERSION: u32 = 1;

/// Letters whose marks share a value: it has at most some 20 KiB, and a million letters take a
/// thousand values.
const LETTERS_PER_VALUE: u64 = 1024;

/// Begins the keys; no owner of positions is called so.
const PREFIX: &str = "dlq:";

/// What is known of one letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Replays that rejected it again.
    pub attempts: u32,
    /// Its record is in the store, or a rule leaves it out of it.
    pub stored: bool,
}

/// `[first, letters, attempts, stored]`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Run(u64, u64, u32, bool);

#[derive(Serialize, Deserialize)]
struct Value {
    v: u32,
    runs: Vec<Run>,
}

/// Topic, partition, and number of the value.
type Place = (String, u32, u64);

/// The marks of all letters.
#[derive(Debug, Default)]
pub struct Marks {
    letters: BTreeMap<Place, BTreeMap<u64, Mark>>,
    changed: BTreeSet<Place>,
}

impl Marks {
    /// Those that are kept in the log.
    ///
    /// # Errors
    /// [`LogError::Stop`] if a newer version wrote them; those of the log.
    pub fn load(log: &dyn Log) -> Result<Self, LogError> {
        Self::read(&log.positions()?)
    }

    fn read(stored: &[KeyValue]) -> Result<Self, LogError> {
        let mut marks = Self::default();
        for (key, value) in stored {
            let Some(place) = std::str::from_utf8(key).ok().and_then(place_of) else { continue };
            let name = String::from_utf8_lossy(key);
            let value: Value = serde_json::from_slice(value)
                .map_err(|error| LogError::Stop(format!("marks {name}: {error}"), None))?;
            if value.v > VERSION {
                let text = format!("marks {name} are of a newer version: update this binary");
                return Err(LogError::Stop(text, None));
            }
            let letters = marks.letters.entry(place).or_default();
            for Run(first, count, attempts, stored) in value.runs {
                let last = first.saturating_add(count).min(LETTERS_PER_VALUE);
                letters.extend((first..last).map(|at| (at, Mark { attempts, stored })));
            }
        }
        Ok(marks)
    }

    /// What is known of a letter.
    pub fn of(&self, topic: &str, partition: u32, offset: u64) -> Mark {
        let place = (topic.to_owned(), partition, offset / LETTERS_PER_VALUE);
        let letters = self.letters.get(&place);
        letters.and_then(|all| all.get(&(offset % LETTERS_PER_VALUE))).copied().unwrap_or_default()
    }

    /// Notes what was found of a letter.
    pub fn set(&mut self, topic: &str, partition: u32, offset: u64, mark: Mark) {
        let place = (topic.to_owned(), partition, offset / LETTERS_PER_VALUE);
        let letters = self.letters.entry(place.clone()).or_default();
        if letters.insert(offset % LETTERS_PER_VALUE, mark) != Some(mark) {
            self.changed.insert(place);
        }
    }

    /// Forgets the letters of a partition that retention has deleted, as far as a whole value goes.
    pub fn forget_before(&mut self, topic: &str, partition: u32, offset: u64) {
        let gone = |place: &&Place| {
            place.0 == topic && place.1 == partition && (place.2 + 1) * LETTERS_PER_VALUE <= offset
        };
        let gone: Vec<Place> = self.letters.keys().filter(gone).cloned().collect();
        for place in gone {
            self.letters.remove(&place);
            self.changed.insert(place);
        }
    }

    /// Durably stores what changed.
    ///
    /// # Errors
    /// Those of the log.
    pub fn store(&mut self, log: &dyn Log) -> Result<(), LogError> {
        let changes: Vec<_> = self.changed.iter().map(|place| self.change(place)).collect();
        if !changes.is_empty() {
            log.store_positions(&changes)?;
            self.changed.clear();
        }
        Ok(())
    }

    fn change(&self, place: &Place) -> (Vec<u8>, Option<Vec<u8>>) {
        let (topic, partition, number) = place;
        let key = format!("{PREFIX}{topic}/{partition}/{number}").into_bytes();
        let value = self.letters.get(place).map(|letters| {
            let mut runs: Vec<Run> = Vec::new();
            for (at, mark) in letters {
                match runs.last_mut() {
                    Some(Run(first, count, attempts, stored))
                        if *first + *count == *at
                            && (*attempts, *stored) == (mark.attempts, mark.stored) =>
                    {
                        *count += 1;
                    }
                    _ => runs.push(Run(*at, 1, mark.attempts, mark.stored)),
                }
            }
            serde_json::to_vec(&Value { v: VERSION, runs }).expect("numbers are always JSON")
        });
        (key, value)
    }
}

fn place_of(key: &str) -> Option<Place> {
    let mut parts = key.strip_prefix(PREFIX)?.rsplitn(3, '/');
    let number = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_owned(), partition, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(marks: &Marks) -> Vec<KeyValue> {
        let changes = marks.changed.iter().map(|place| marks.change(place));
        changes.filter_map(|(key, value)| Some((key, value?))).collect()
    }

    #[test]
    fn marks_come_back_as_they_were_stored_in_runs() {
        let mut marks = Marks::default();
        let stored_mark = Mark { attempts: 0, stored: true };
        (0..2000).for_each(|offset| marks.set("a.dlq", 3, offset, stored_mark));
        marks.set("a.dlq", 3, 1500, Mark { attempts: 2, stored: false });
        let values = stored(&marks);
        let text = String::from_utf8_lossy(&values[0].1).into_owned();
        assert_eq!((values.len(), text.as_str()), (2, r#"{"v":1,"runs":[[0,1024,0,true]]}"#));
        let other = (b"web-1/laravel/x".to_vec(), b"{}".to_vec());
        let read = Marks::read(&[values, vec![other]].concat()).expect("of this version");
        assert_eq!(read.of("a.dlq", 3, 1500).attempts, 2);
        assert_eq!(read.of("a.dlq", 3, 1999), stored_mark);
        assert_eq!(read.of("a.dlq", 3, 2000), Mark::default());
        assert_eq!(read.of("a.dlq", 2, 0), Mark::default());
    }

    #[test]
    fn marks_of_letters_that_are_gone_are_removed_and_newer_ones_stop_with_what_to_update() {
        let mut marks = Marks::default();
        for offset in [0, 1023, 1024] {
            marks.set("a.dlq", 0, offset, Mark { attempts: 1, stored: false });
        }
        marks.changed.clear();
        marks.forget_before("a.dlq", 0, 1030);
        let change = marks.change(marks.changed.first().expect("one has changed"));
        assert_eq!((marks.changed.len(), change), (1, (b"dlq:a.dlq/0/0".to_vec(), None)));
        assert_eq!(marks.of("a.dlq", 0, 1024).attempts, 1);
        let newer = [(b"dlq:a.dlq/0/0".to_vec(), br#"{"v":2,"runs":[]}"#.to_vec())];
        let error = Marks::read(&newer).expect_err("newer").to_string();
        assert!(error.contains("update this binary"), "{error}");
    }
}
