//! Rows as they are now, one document each, in an index per table.
//!
//! Every document is read, compared and written only if nobody else wrote it meanwhile
//! (`if_seq_no`), so that changes of one row may come late, twice, in pieces and from several
//! partitions at once; [`fold`] has the rules. Elasticsearch's own versions would not do: one is a
//! single number, is forgotten a minute after a delete, and takes no part of a row.
//!
//! The alias `latest-<index>` leaves out what was deleted.

mod document;
mod emptied;
mod fold;
mod io;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tahoe_seams::{Outcome, Rejection, RowChange, RowNow, SinkError};

use crate::Elasticsearch;
use document::EMPTIED;
use fold::Row;
use io::{Held, Place, Wanted, Write};

/// Rounds in which somebody else was always faster, before the rest is left for later.
const ROUNDS_MAX: usize = 10;

/// One document's changes of a batch, by their places in it.
#[derive(Default)]
struct Changed {
    /// Those that it was made of, and those that it was found to know already.
    changes: Vec<usize>,
    /// The last one that it was made of.
    last: Option<usize>,
}

impl Elasticsearch {
    pub(crate) async fn keep_rows(&self, changes: &[RowChange]) -> Result<Vec<Outcome>, SinkError> {
        let indices: BTreeSet<&str> = changes.iter().map(|change| &*change.index).collect();
        for index in indices {
            self.ensure_index(index).await?;
        }
        let mut outcomes = vec![Outcome::Busy; changes.len()];
        let mut from = 0;
        // What came before a table was emptied is written before, in the order of the log.
        while let Some(first) = changes.get(from) {
            if first.row == RowNow::Emptied {
                outcomes[from] = self.empty_table(first).await?;
                from += 1;
                continue;
            }
            let rest = changes[from..].iter();
            let until = rest.take_while(|change| change.row != RowNow::Emptied).count() + from;
            self.keep_between(&changes[from..until], &mut outcomes[from..until]).await?;
            from = until;
        }
        Ok(outcomes)
    }

    async fn keep_between(
        &self,
        changes: &[RowChange],
        outcomes: &mut [Outcome],
    ) -> Result<(), SinkError> {
        let mut open: Vec<usize> = (0..changes.len()).collect();
        let mut emptied = HashMap::new();
        for _ in 0..ROUNDS_MAX {
            let mut held = self.read_rows(&wanted(changes, &open)).await?;
            for (index, version) in versions_of_emptied(&held) {
                emptied.entry(index).or_insert(version);
            }
            let (changed, writes) = fold_all(changes, &open, &mut held, outcomes);
            let written = self.write_rows(&writes).await?;
            open.clear();
            for (write, outcome) in writes.iter().zip(written) {
                let Some(of) = changed.get(&write.place) else { continue };
                settle(of, outcome, outcomes, &mut open);
            }
            if open.is_empty() {
                break;
            }
            open.sort_unstable();
        }
        // Somebody else was faster in every round: what was made of them is not written.
        open.into_iter().for_each(|at| outcomes[at] = Outcome::Busy);
        // Whoever emptied a table while this was written has not seen it.
        for (index, seen) in emptied {
            self.sweep_if_emptied_since(index, seen.as_deref()).await?;
        }
        Ok(())
    }
}

/// The documents that the changes need, and whether all of a row is needed.
fn wanted(changes: &[RowChange], open: &[usize]) -> Wanted {
    let mut wanted = Wanted::new();
    for change in open.iter().map(|at| &changes[*at]) {
        let is_part = matches!(change.row, RowNow::Part(_));
        let place = |id: &str| (change.index.clone(), id.to_owned());
        *wanted.entry(place(&change.id)).or_default() |= is_part;
        wanted.entry(place(EMPTIED)).or_default();
        if let Some(before) = change.id_before.as_deref().filter(|_| is_part) {
            wanted.insert(place(before), true);
        }
    }
    wanted
}

/// When each table was emptied last, as far as it is known.
fn versions_of_emptied(held: &BTreeMap<Place, Held>) -> Vec<(String, Option<String>)> {
    let markers = held.iter().filter(|((_, id), _)| id == EMPTIED);
    let version = |held: &Held| held.row.as_ref().map(|row| row.version.clone());
    markers.map(|((index, _), held)| (index.clone(), version(held))).collect()
}

/// Puts the changes onto what is there. Gives the documents that are other than before.
fn fold_all(
    changes: &[RowChange],
    open: &[usize],
    held: &mut BTreeMap<Place, Held>,
    outcomes: &mut [Outcome],
) -> (BTreeMap<Place, Changed>, Vec<Write>) {
    let mut changed: BTreeMap<Place, Changed> = BTreeMap::new();
    for &at in open {
        let change = &changes[at];
        let place = (change.index.clone(), change.id.clone());
        let moved = change
            .id_before
            .as_ref()
            .and_then(|before| held.get(&(change.index.clone(), before.clone()))?.row.clone());
        let emptied = held.get(&(change.index.clone(), EMPTIED.to_owned()));
        let emptied = emptied.and_then(|held| held.row.clone());
        let Some(there) = held.get_mut(&place) else { continue };
        let of = changed.entry(place).or_default();
        of.changes.push(at);
        outcomes[at] = match there.take(change, emptied.as_ref(), moved.as_ref()) {
            Ok(false) => Outcome::AlreadyThere,
            Ok(true) => {
                of.last = Some(at);
                Outcome::Stored
            }
            Err(error) => rejected(&error),
        };
    }
    let mut writes = Vec::new();
    for (place, of) in &changed {
        let (Some(last), Some(held)) = (of.last, held.get_mut(place)) else { continue };
        match held.written(&changes[last].about) {
            Ok(document) => {
                writes.push(Write { place: place.clone(), seen: held.seen, document });
            }
            Err(error) => outcomes[last] = rejected(&error),
        }
    }
    (changed, writes)
}

fn rejected(error: &serde_json::Error) -> Outcome {
    Outcome::Rejected(Rejection::whole("store", format!("the row is no JSON: {error}")))
}

impl Held {
    /// Puts a change onto it; true if that makes it another.
    fn take(
        &mut self,
        change: &RowChange,
        emptied: Option<&Row>,
        moved: Option<&Row>,
    ) -> serde_json::Result<bool> {
        if let Some(emptied) = emptied.filter(|emptied| emptied.server == change.server) {
            // It went with its table: the sweep has not come to it yet, or came before it.
            let went = self.row.as_ref().is_some_and(|row| {
                !row.deleted && row.server == emptied.server && row.version < emptied.version
            });
            if went {
                self.row = Some(emptied.clone());
            }
            if change.version <= emptied.version {
                return Ok(went);
            }
        }
        let next = Row::with(self.row.as_ref(), change, moved)?;
        let is_another = next.is_some();
        self.row = next.or(self.row.take());
        Ok(is_another)
    }

    fn written(&mut self, about: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut document = Vec::with_capacity(1024);
        document::write(about, self.row.take().unwrap_or_default(), &mut document)?;
        Ok(document)
    }
}

/// What became of a document is what became of its changes.
fn settle(of: &Changed, outcome: Outcome, outcomes: &mut [Outcome], open: &mut Vec<usize>) {
    let is_open = |at: &&usize| !matches!(outcomes[**at], Outcome::Rejected(_));
    match outcome {
        Outcome::Stored => {}
        // Somebody else wrote it since it was read.
        Outcome::AlreadyThere => open.extend(of.changes.iter().filter(is_open)),
        Outcome::Busy => of.changes.iter().for_each(|at| outcomes[*at] = Outcome::Busy),
        Outcome::Rejected(_) => {
            let last = of.last.unwrap_or_default();
            open.extend(of.changes.iter().filter(is_open).filter(|at| **at != last));
            outcomes[last] = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(id: &str, version: &str) -> RowChange {
        RowChange {
            record: 0,
            index: "rows-a.b-c".to_owned(),
            id: id.to_owned(),
            id_before: None,
            server: "s".to_owned(),
            version: version.to_owned(),
            about: b"{}".to_vec(),
            row: RowNow::Whole(b"{\"a\":1}".to_vec()),
        }
    }

    fn all_absent(changes: &[RowChange], open: &[usize]) -> BTreeMap<Place, Held> {
        wanted(changes, open).into_keys().map(|place| (place, Held::default())).collect()
    }

    #[test]
    fn the_changes_of_one_row_in_a_batch_are_one_write() {
        let changes = [put("1", "1"), put("2", "2"), put("1", "4"), put("1", "3")];
        let mut outcomes = vec![Outcome::Busy; 4];
        let mut held = all_absent(&changes, &[0, 1, 2, 3]);
        let (_, writes) = fold_all(&changes, &[0, 1, 2, 3], &mut held, &mut outcomes);
        assert_eq!(writes.len(), 2);
        use Outcome::{AlreadyThere, Stored};
        assert_eq!(outcomes, [Stored, Stored, Stored, AlreadyThere]);
    }

    #[test]
    fn a_rejected_document_costs_its_last_change_and_the_others_are_tried_again() {
        let of = Changed { changes: vec![0, 2, 3], last: Some(2) };
        let (mut outcomes, mut open) = (vec![Outcome::Stored; 4], Vec::new());
        let no = Outcome::Rejected(Rejection::whole("mapping", "no"));
        settle(&of, no.clone(), &mut outcomes, &mut open);
        assert_eq!((&outcomes[2], open), (&no, vec![0, 3]));
    }

    #[test]
    fn what_is_older_than_an_emptied_table_stays_away_from_it() {
        let changes = [put("1", "2"), put("2", "6")];
        let mut held = all_absent(&changes, &[0, 1]);
        let marker = Row {
            server: "s".to_owned(),
            version: "5".to_owned(),
            deleted: true,
            ..Row::default()
        };
        let place = (changes[0].index.clone(), EMPTIED.to_owned());
        held.insert(place, Held { row: Some(marker), seen: None });
        let mut outcomes = vec![Outcome::Busy; 2];
        let (_, writes) = fold_all(&changes, &[0, 1], &mut held, &mut outcomes);
        assert_eq!(outcomes, [Outcome::AlreadyThere, Outcome::Stored]);
        assert_eq!((writes.len(), writes[0].place.1.as_str()), (1, "2"));
    }

    #[test]
    fn a_row_that_was_written_behind_the_sweep_goes_with_its_next_change_however_old() {
        let changes = [put("1", "2")];
        let mut held = all_absent(&changes, &[0]);
        let row = |version: &str, deleted| {
            let (server, version) = ("s".to_owned(), version.to_owned());
            Held { row: Some(Row { server, version, deleted, ..Row::default() }), seen: None }
        };
        let place = |id: &str| (changes[0].index.clone(), id.to_owned());
        held.insert(place(EMPTIED), row("5", true));
        held.insert(place("1"), row("2", false));
        let mut outcomes = vec![Outcome::Busy];
        let (_, writes) = fold_all(&changes, &[0], &mut held, &mut outcomes);
        let text = String::from_utf8_lossy(&writes[0].document);
        assert!(text.contains(r#""version":"5","server":"s","deleted":true"#), "{text}");
    }
}
