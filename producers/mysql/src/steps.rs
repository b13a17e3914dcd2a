//! What was decoded and not yet given: the records of one event, and the point behind them.

use std::ops::{ControlFlow, Range};

use tahoe_pipeline::replicate::{Step, Take};

/// Steps in order, their bytes in one buffer.
#[derive(Default)]
pub(crate) struct Steps {
    bytes: Vec<u8>,
    steps: Vec<Pending>,
    given: usize,
}

struct Pending {
    kind: usize,
    key: Range<usize>,
    /// Of a record, or of a point if there is no key.
    bytes: Range<usize>,
    is_point: bool,
}

/// A buffer that has grown over this is given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl Steps {
    /// Appends a record; `write` and `write_key` say `None` if it is damaged.
    pub fn record(
        &mut self,
        kind: usize,
        write_key: impl FnOnce(&mut Vec<u8>) -> Option<()>,
        write: impl FnOnce(&mut Vec<u8>) -> Option<()>,
    ) -> Option<()> {
        let start = self.bytes.len();
        write_key(&mut self.bytes)?;
        let middle = self.bytes.len();
        write(&mut self.bytes)?;
        let bytes = middle..self.bytes.len();
        self.steps.push(Pending { kind, key: start..middle, bytes, is_point: false });
        Some(())
    }

    pub fn point(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let bytes = start..self.bytes.len();
        self.steps.push(Pending { kind: 0, key: 0..0, bytes, is_point: true });
    }

    pub fn is_empty(&self) -> bool {
        self.given == self.steps.len()
    }

    /// Bytes of all.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Leaves out the records whose key is not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.steps.retain(|step| step.is_point || wanted(&bytes[step.key.clone()]));
    }

    /// Forgets what was not given.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.given = 0;
    }

    /// Gives them one after the other until there are none, or `take` says that it is enough.
    pub fn give(&mut self, take: &mut Take<'_>) -> ControlFlow<()> {
        while let Some(step) = self.steps.get(self.given) {
            self.given += 1;
            let bytes = &self.bytes[step.bytes.clone()];
            let key = &self.bytes[step.key.clone()];
            take(match step.is_point {
                true => Step::Point(bytes),
                false => Step::Record { kind: step.kind, key, bytes },
            })?;
        }
        self.clear();
        ControlFlow::Continue(())
    }
}
