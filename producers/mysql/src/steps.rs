//! What was decoded and not yet given: the records of one event, the point behind them, and what is
//! to be kept before them.

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
    is: Kind,
    /// A record's key, or the name of what is kept.
    key: Range<usize>,
    bytes: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record(usize),
    Point,
    Keep,
    /// Nothing is kept under that name.
    KeepNothing,
    Repeated,
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
        self.steps.push(Pending { is: Kind::Record(kind), key: start..middle, bytes });
        Some(())
    }

    pub fn point(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let bytes = start..self.bytes.len();
        self.steps.push(Pending { is: Kind::Point, key: 0..0, bytes });
    }

    /// Something to be kept by a name, or no longer.
    pub fn keep(&mut self, name: &str, text: Option<&str>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        let is = if text.is_some() { Kind::Keep } else { Kind::KeepNothing };
        self.steps.push(Pending { is, key: start..middle, bytes: middle..self.bytes.len() });
    }

    /// What the log has of rows is not told by what follows.
    pub fn forget_rows(&mut self) {
        let is = Kind::Repeated;
        self.steps.push(Pending { is, key: 0..0, bytes: 0..0 });
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
        self.steps
            .retain(|step| !matches!(step.is, Kind::Record(_)) || wanted(&bytes[step.key.clone()]));
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
            take(match step.is {
                Kind::Record(kind) => Step::Record { kind, key, bytes },
                Kind::Point => Step::Point(bytes),
                Kind::Keep => Step::Keep { name: key, bytes: Some(bytes) },
                Kind::KeepNothing => Step::Keep { name: key, bytes: None },
                Kind::Repeated => Step::Repeated,
            })?;
        }
        self.clear();
        ControlFlow::Continue(())
    }
}
