//! An event as its document: the form is printed with what its letterhead says, and filled in with
//! what is its own.

use std::ops::Range;

use bumpalo::collections::Vec as ArenaVec;

use super::Event;
use crate::field::LEAVES;
use crate::fields;
use crate::letterhead::Letterhead;
use crate::value::Value;
use crate::writer::Writer;

impl Event<'_> {
    /// Appends the event as one line of nested JSON, without a line end.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        if !self.transformations.is_empty() {
            let all = std::mem::replace(&mut self.transformations, ArenaVec::new_in(self.arena));
            self.set(fields::tahoe::TRANSFORMATIONS, all.into_bump_slice());
        }
        let (index, head) = (&*self.index, self.letterhead);
        let writer = Writer::begin(out);
        let mut form = Form { writer, head, values: &self.values, run: 0..0, held: None };
        let mut printed = 0;
        let mut summary = index.summary | head.summary();
        while summary != 0 {
            let word = summary.trailing_zeros() as usize;
            summary &= summary - 1;
            let (own, common) = (index.words[word], head.word(word));
            let mut bits = own | common;
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let id = word * 64 + bit;
                if own & 1 << bit == 0 {
                    form.print(id, printed);
                } else if let Some(slot) = index.slot(id) {
                    form.write(id, slot);
                }
                printed += usize::from(common & 1 << bit != 0);
            }
        }
        form.finish();
    }
}

/// An event's own fields and those of its letterhead, which come in one order.
struct Form<'o, 'e> {
    writer: Writer<'o>,
    head: &'e Letterhead,
    values: &'e [Value<'e>],
    /// Fields of the letterhead that follow each other and so are copied at once.
    run: Range<usize>,
    /// An object given as a whole, which gives way to fields inside it given one by one: its slot,
    /// its number, and one past the last inside it.
    held: Option<(usize, usize, usize)>,
}

impl Form<'_, '_> {
    /// The next field is the letterhead's `number`-th.
    fn print(&mut self, id: usize, number: usize) {
        self.release(id);
        if self.run.end != number {
            self.end_run();
            self.run.start = number;
        }
        self.run.end = number + 1;
    }

    /// The next field is the event's own.
    fn write(&mut self, id: usize, slot: usize) {
        self.end_run();
        self.release(id);
        let end = usize::from(LEAVES[id].end);
        if end > id + 1 {
            self.held = Some((slot, id, end));
        } else {
            self.writer.field(id, &self.values[slot]);
        }
    }

    fn release(&mut self, next: usize) {
        if let Some((slot, id, end)) = self.held.take()
            && next >= end
        {
            self.writer.field(id, &self.values[slot]);
        }
    }

    fn end_run(&mut self) {
        if !self.run.is_empty() {
            self.head.copy(self.run.clone(), &mut self.writer);
        }
        self.run = 0..0;
    }

    fn finish(mut self) {
        self.end_run();
        self.release(usize::MAX);
        self.writer.finish();
    }
}
