//! Fields in the order of nested JSON, with the objects between them opened and closed.

use crate::field::{KEY_BLOCK, KEYS, LEAVES, Leaf, NODES};
use crate::json;
use crate::page::{Block, Page};
use crate::value::Value;

/// Writes fields that come in order, opening and closing the objects between them.
pub(crate) struct Writer<'p> {
    /// With room for a field's keys.
    pub page: Page<'p>,
    /// The innermost open object.
    pub node: u16,
    /// Something precedes.
    comma: bool,
}

impl<'p> Writer<'p> {
    /// Begins the outermost object.
    pub fn begin(out: &'p mut Vec<u8>, block: &'p mut Block) -> Self {
        let mut page = Page::begin(out, block);
        page.byte(b'{');
        Self { page, node: 0, comma: false }
    }

    /// Writes a field that comes after those before.
    #[inline(always)]
    pub fn field(&mut self, id: usize, value: &Value<'_>) {
        let leaf = &LEAVES[id];
        self.open(id, leaf, usize::from(leaf.length));
        self.listed(leaf, value);
    }

    /// The same for the field that was [entered](Self::enter).
    pub fn entered_field(&mut self, id: usize, value: &Value<'_>) {
        let leaf = &LEAVES[id];
        self.keys(leaf, usize::from(leaf.key), usize::from(leaf.length));
        self.listed(leaf, value);
    }

    /// Opens the objects that a field is in, as far as its own key.
    pub fn enter(&mut self, id: usize) {
        let leaf = &LEAVES[id];
        self.open(id, leaf, usize::from(leaf.key));
    }

    /// Closes the objects that a field is not in, and writes its keys as far as `until`, without
    /// those that are open already. What follows has a comma before it: an object is only opened
    /// for the field that is next.
    #[inline(always)]
    fn open(&mut self, id: usize, leaf: &Leaf, until: usize) {
        let mut open = &NODES[usize::from(self.node)];
        while id >= usize::from(open.end) {
            self.page.byte(b'}');
            open = &NODES[usize::from(open.parent)];
        }
        self.page.padded(b",", usize::from(self.comma));
        self.comma = true;
        self.keys(leaf, usize::from(open.opened), until);
        self.node = leaf.node;
    }

    #[inline(always)]
    fn keys(&mut self, leaf: &Leaf, from: usize, until: usize) {
        let (mut at, mut left) = (leaf.keys as usize + from, until - from);
        while let Some(block) = KEYS[at..].first_chunk::<KEY_BLOCK>() {
            self.page.padded(block, left.min(KEY_BLOCK));
            if left <= KEY_BLOCK {
                break;
            }
            at += KEY_BLOCK;
            left -= KEY_BLOCK;
        }
    }

    #[inline(always)]
    fn listed(&mut self, leaf: &Leaf, value: &Value<'_>) {
        match value {
            Value::Str(text) if !leaf.array => self.page.string(text),
            Value::Str(_) | Value::List(_) | Value::Raw(_) => self.value(value),
            _ if leaf.array => {
                self.page.byte(b'[');
                self.value(value);
                self.page.byte(b']');
            }
            value => self.value(value),
        }
    }

    /// A value; a text is in a list.
    #[inline(never)]
    fn value(&mut self, value: &Value<'_>) {
        let page = &mut self.page;
        match value {
            Value::Str(text) => {
                page.byte(b'[');
                page.string(text);
                page.byte(b']');
            }
            Value::List(texts) => {
                page.byte(b'[');
                for (index, text) in texts.iter().enumerate() {
                    page.padded(b",", index.min(1));
                    page.string(text);
                }
                page.byte(b']');
            }
            Value::Time(time) => {
                let (text, length) = time.text();
                page.byte(b'"');
                page.padded(&text, length);
                page.byte(b'"');
            }
            Value::Raw(json) => page.bytes(json),
            Value::I64(number) => page.bytes(itoa::Buffer::new().format(*number).as_bytes()),
            Value::U64(number) => page.bytes(itoa::Buffer::new().format(*number).as_bytes()),
            Value::F64(number) => {
                let mut text = Vec::with_capacity(24);
                json::write_f64(*number, &mut text);
                page.bytes(&text);
            }
            Value::Bool(true) => page.padded(b"true", 4),
            Value::Bool(false) => page.padded(b"false", 5),
            Value::Bytes(bytes) => page.string(&String::from_utf8_lossy(bytes)),
        }
        page.turn();
    }

    /// Ends the outermost object.
    pub fn finish(mut self) {
        for _ in 0..=NODES[usize::from(self.node)].depth {
            self.page.byte(b'}');
        }
        self.page.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{ROOM, SHORT_MAX};

    #[test]
    fn there_is_room_for_any_keys_and_a_short_text() {
        let keys = LEAVES.iter().map(|leaf| usize::from(leaf.length)).max();
        let depth = NODES.iter().map(|node| usize::from(node.depth)).max();
        let around = "],".len() + "[\"\"".len() + KEY_BLOCK;
        let used = keys.expect("there are some") + depth.expect("there is one") + around;
        assert!(used + SHORT_MAX < ROOM, "{used}");
    }
}
