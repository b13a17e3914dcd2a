//! What is to be stored of positions, at once.

use tahoe_schemas::rules::Screen;
use tahoe_seams::{Log, LogError, SourceId};

use crate::positions::{Position, key};

/// Positions of one owner that differ from what is stored.
pub(super) struct Changes<'a> {
    owner: &'a str,
    screen: Option<&'a Screen>,
    now_ms: i64,
    /// By key; no value removes it.
    all: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl<'a> Changes<'a> {
    pub fn new(owner: &'a str, screen: Option<&'a Screen>, now_ms: i64) -> Self {
        Self { owner, screen, now_ms, all: Vec::new() }
    }

    /// Adds a position, encrypted where the policy hides values.
    pub fn put(&mut self, position: &Position) {
        let value = match self.screen.filter(|screen| screen.hides()) {
            Some(screen) => position.sealed(screen).encode(self.now_ms),
            None => position.encode(self.now_ms),
        };
        self.all.push((key(self.owner, position.source), Some(value)));
    }

    pub fn remove(&mut self, source: SourceId) {
        self.all.push((key(self.owner, source), None));
    }

    /// Stores them durably, if there are any.
    pub fn store(self, log: &dyn Log) -> Result<(), LogError> {
        if self.all.is_empty() { Ok(()) } else { log.store_positions(&self.all) }
    }
}
