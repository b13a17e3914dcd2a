//! Fields in the order of nested JSON, with the objects between them opened and closed.

use crate::field::{LEAVES, Leaf, NODES};
use crate::json;
use crate::value::Value;

/// Writes fields that come in order, opening and closing the objects between them.
pub(crate) struct Writer<'o> {
    pub out: &'o mut Vec<u8>,
    /// The innermost open object.
    pub node: u16,
    /// Something precedes.
    comma: bool,
}

impl<'o> Writer<'o> {
    /// Begins the outermost object.
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, node: 0, comma: false }
    }

    /// Writes a field that comes after those before.
    pub fn field(&mut self, id: usize, value: &Value<'_>) {
        let leaf = &LEAVES[id];
        let opened = self.leave(id);
        self.out.extend_from_slice(&leaf.keys[opened..]);
        self.node = leaf.node;
        self.listed(leaf, value);
    }

    /// The same for the field that was [entered](Self::enter).
    pub fn entered_field(&mut self, id: usize, value: &Value<'_>) {
        let leaf = &LEAVES[id];
        self.out.extend_from_slice(leaf.own_key());
        self.listed(leaf, value);
    }

    fn listed(&mut self, leaf: &Leaf, value: &Value<'_>) {
        let wrap = leaf.array && !matches!(value, Value::List(_) | Value::Raw(_));
        if wrap {
            self.out.push(b'[');
        }
        self.value(value);
        if wrap {
            self.out.push(b']');
        }
    }

    /// Opens the objects that a field is in, as far as its own key.
    pub fn enter(&mut self, id: usize) {
        let leaf = &LEAVES[id];
        let opened = self.leave(id);
        self.out.extend_from_slice(&leaf.keys[opened..usize::from(leaf.key)]);
        self.node = leaf.node;
    }

    /// Closes the objects that a field is not in, and says how much of its keys is open already.
    /// What follows has a comma before it: an object is only opened for the field that is next.
    fn leave(&mut self, id: usize) -> usize {
        let mut open = &NODES[usize::from(self.node)];
        while id >= usize::from(open.end) {
            self.out.push(b'}');
            self.node = open.parent;
            open = &NODES[usize::from(open.parent)];
        }
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
        usize::from(open.opened)
    }

    fn value(&mut self, value: &Value<'_>) {
        match value {
            Value::Str(text) => json::write_str(text, self.out),
            Value::Bytes(bytes) => json::write_str(&String::from_utf8_lossy(bytes), self.out),
            Value::I64(number) => json::write_i64(*number, self.out),
            Value::U64(number) => json::write_u64(*number, self.out),
            Value::F64(number) => json::write_f64(*number, self.out),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Time(time) => {
                self.out.push(b'"');
                time.write(self.out);
                self.out.push(b'"');
            }
            Value::List(texts) => {
                self.out.push(b'[');
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    json::write_str(text, self.out);
                }
                self.out.push(b']');
            }
            Value::Raw(json) => self.out.extend_from_slice(json),
        }
    }

    pub fn finish(&mut self) {
        for _ in 0..=NODES[usize::from(self.node)].depth {
            self.out.push(b'}');
        }
    }
}
