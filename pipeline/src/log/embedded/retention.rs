//! Old blocks go by age and by size, oldest first, and never one that a group still has to read.

use std::time::{Duration, Instant};

use redb::ReadableDatabase;

use super::block::Block;
use super::store::{BLOCKS, ENDS, End, Store};

/// Often enough that the log exceeds its bound by seconds of input, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_secs(10);
/// Bounds one pass, in memory and in time; the next pass goes on.
const BLOCKS_PER_PASS: usize = 4096;

/// What may stay, and when it was last looked at.
pub(super) struct Retention {
    pub bytes_max: u64,
    pub age_ms_max: i64,
    due: Instant,
    warned: bool,
}

struct Old {
    written_ms: i64,
    key: (u64, u64),
    bytes: u64,
}

impl Retention {
    pub fn new(bytes_max: u64, age_ms_max: i64) -> Self {
        Self { bytes_max, age_ms_max, due: Instant::now(), warned: false }
    }

    /// A failure here loses nothing and is tried again in [`EVERY`].
    pub fn apply_when_due(&mut self, store: &Store, now_ms: i64) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + EVERY;
        match self.apply(store, now_ms) {
            Ok(kept) if kept > self.bytes_max && !self.warned => {
                self.warned = true;
                tracing::warn!(
                    bytes = kept,
                    bytes_max = self.bytes_max,
                    "the log is over --log-retention-bytes, since records in it are not stored yet"
                );
            }
            Ok(kept) => self.warned = kept > self.bytes_max,
            Err(error) => tracing::warn!(%error, "old records of the log cannot be deleted now"),
        }
    }

    /// Says how many bytes are left.
    fn apply(&self, store: &Store, now_ms: i64) -> Result<u64, redb::Error> {
        let mut ends = store.ends();
        let mut kept: u64 = ends.values().map(|end| end.bytes).sum();
        let mut old = Vec::new();
        {
            let table = store.database.begin_read()?.open_table(BLOCKS)?;
            for (place, end) in &ends {
                let committed = store.committed_by_all(*place).min(end.next);
                for entry in table.range((*place, 0)..(*place, committed))?.take(BLOCKS_PER_PASS) {
                    let (key, value) = entry?;
                    let Some(block) = Block::open(value.value()) else { break };
                    if key.value().1 + u64::from(block.records) > committed {
                        break;
                    }
                    let expired = block.written_ms < now_ms.saturating_sub(self.age_ms_max);
                    if !expired && kept <= self.bytes_max {
                        break;
                    }
                    let bytes = value.value().len() as u64;
                    old.push(Old { written_ms: block.written_ms, key: key.value(), bytes });
                }
            }
        }
        old.sort_unstable_by_key(|block| (block.written_ms, block.key));
        let expired = now_ms.saturating_sub(self.age_ms_max);
        let mut gone = Vec::new();
        for block in old.into_iter().take(BLOCKS_PER_PASS) {
            if block.written_ms >= expired && kept <= self.bytes_max {
                break;
            }
            kept -= block.bytes;
            gone.push(block);
        }
        if !gone.is_empty() {
            Self::delete(store, &gone, &mut ends)?;
        }
        Ok(kept)
    }

    fn delete(
        store: &Store,
        gone: &[Old],
        ends: &mut std::collections::BTreeMap<u64, End>,
    ) -> Result<(), redb::Error> {
        let transaction = store.database.begin_write()?;
        {
            let mut blocks = transaction.open_table(BLOCKS)?;
            let mut table = transaction.open_table(ENDS)?;
            for block in gone {
                blocks.remove(block.key)?;
                let end = ends.entry(block.key.0).or_default();
                end.bytes = end.bytes.saturating_sub(block.bytes);
                table.insert(block.key.0, (end.next, end.bytes))?;
            }
        }
        transaction.commit()?;
        store
            .publish(gone.iter().filter_map(|block| Some((block.key.0, *ends.get(&block.key.0)?))));
        tracing::debug!(blocks = gone.len(), "old records of the log deleted");
        Ok(())
    }
}
