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
        let writer = Writer::begin(out, self.block);
        let (head, values) = (self.letterhead, &*self.values);
        let mut form = Form { writer, head, values, printed: 0, run: 0..0, held: None };
        let mut summary = self.index.summary;
        while summary != 0 {
            let word = summary.trailing_zeros() as usize;
            summary &= summary - 1;
            let mut own = self.index.words[word];
            while own != 0 {
                let id = word * 64 + own.trailing_zeros() as usize;
                own &= own - 1;
                form.print_until(id);
                if let Some(slot) = self.index.marked(id) {
                    form.write(id, slot);
                }
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
    /// Fields of the letterhead that are passed.
    printed: usize,
    /// Those of them that follow each other and so are copied at once.
    run: Range<usize>,
    /// An object given as a whole, which gives way to fields inside it given one by one: its slot,
    /// its number, and one past the last inside it.
    held: Option<(usize, usize, usize)>,
}

impl Form<'_, '_> {
    /// The letterhead's fields before that one are next, and not the same one.
    #[inline(always)]
    fn print_until(&mut self, id: usize) {
        let from = self.printed;
        while self.head.printed(self.printed).is_some_and(|printed| printed < id) {
            self.printed += 1;
        }
        if self.printed > from {
            self.print(from);
        }
        if self.head.printed(self.printed) == Some(id) {
            self.printed += 1;
        }
    }

    /// The letterhead's fields from that number on are next.
    fn print(&mut self, from: usize) {
        if self.run.end != from {
            self.end_run();
            self.run.start = from;
        }
        self.run.end = self.printed;
        if let Some(first) = self.head.printed(from) {
            self.release(first);
        }
    }

    /// The next field is the event's own.
    #[inline(always)]
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

    #[inline(always)]
    fn release(&mut self, next: usize) {
        if self.held.is_some() {
            self.release_held(next);
        }
    }

    #[cold]
    fn release_held(&mut self, next: usize) {
        if let Some((slot, id, end)) = self.held.take()
            && next >= end
        {
            self.writer.field(id, &self.values[slot]);
        }
    }

    #[inline(always)]
    fn end_run(&mut self) {
        if !self.run.is_empty() {
            self.copy_run();
        }
    }

    #[inline(never)]
    fn copy_run(&mut self) {
        self.head.copy(std::mem::take(&mut self.run), &mut self.writer);
    }

    fn finish(mut self) {
        self.print_until(usize::MAX);
        self.end_run();
        self.release(usize::MAX);
        self.writer.finish();
    }
}
