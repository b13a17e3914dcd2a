//! Sets of fields as bits by their numbers, so that they are read back in the order of documents
//! without being sorted.

use crate::Field;

/// In place of a slot: the field was taken out.
const GONE: u16 = u16::MAX;

/// Which fields an event has and where their values are.
pub(crate) struct Index {
    /// One bit per word of `words` that is not zero.
    pub summary: u64,
    /// One bit per field.
    pub words: [u64; 64],
    slots: [u16; 64 * 64],
}

impl Index {
    pub fn new() -> Box<Self> {
        Box::new(Self { summary: 0, words: [0; 64], slots: [0; 64 * 64] })
    }

    /// The slot of a field that was set.
    pub fn slot(&self, id: usize) -> Option<usize> {
        let known = self.words[id / 64] & 1 << (id % 64) != 0;
        let slot = self.slots[id];
        (known && slot != GONE).then_some(usize::from(slot))
    }

    /// The slot of a field whose bit is set, unless it was taken out.
    pub fn marked(&self, id: usize) -> Option<usize> {
        let slot = self.slots[id];
        (slot != GONE).then_some(usize::from(slot))
    }

    /// The field was taken out.
    pub fn is_gone(&self, id: usize) -> bool {
        self.words[id / 64] & 1 << (id % 64) != 0 && self.slots[id] == GONE
    }

    pub fn add(&mut self, id: usize, slot: usize) {
        self.mark(id, u16::try_from(slot).expect("an event has at most one slot per field"));
    }

    pub fn take_out(&mut self, id: usize) {
        self.mark(id, GONE);
    }

    fn mark(&mut self, id: usize, slot: u16) {
        self.summary |= 1 << (id / 64);
        self.words[id / 64] |= 1 << (id % 64);
        self.slots[id] = slot;
    }

    pub fn clear(&mut self) {
        while self.summary != 0 {
            self.words[self.summary.trailing_zeros() as usize] = 0;
            self.summary &= self.summary - 1;
        }
    }
}

/// Fields that are looked for together.
pub(crate) struct FieldSet {
    pub words: [u64; 64],
}

impl FieldSet {
    pub fn of(fields: impl IntoIterator<Item = Field>) -> Self {
        let mut set = Self { words: [0; 64] };
        for field in fields {
            set.words[field.id() / 64] |= 1 << (field.id() % 64);
        }
        set
    }
}
