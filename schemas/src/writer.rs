//! Fields in the order of nested JSON, with the objects between them opened and closed.

use crate::field::{LEAVES, NODES};
use crate::json;
use crate::value::Value;

/// The deepest that ECS and own fields nest, with room.
const DEPTH_MAX: usize = 16;

/// Writes fields that come in order, opening and closing the objects between them.
pub(crate) struct Writer<'o> {
    pub out: &'o mut Vec<u8>,
    /// The innermost open object.
    pub node: u16,
    /// Something precedes in it.
    pub comma: bool,
}

impl<'o> Writer<'o> {
    /// Begins the outermost object.
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, node: 0, comma: false }
    }

    pub fn field(&mut self, id: usize, value: &Value<'_>) {
        let leaf = &LEAVES[id];
        if leaf.node != self.node {
            self.enter(leaf.node);
        }
        self.key(leaf.key);
        let wrap = leaf.array && !matches!(value, Value::List(_) | Value::Raw(_));
        if wrap {
            self.out.push(b'[');
        }
        self.value(value);
        if wrap {
            self.out.push(b']');
        }
    }

    /// Keys are stored with the comma that precedes all but the first.
    fn key(&mut self, key: &'static [u8]) {
        self.out.extend_from_slice(if self.comma { key } else { &key[1..] });
        self.comma = true;
    }

    pub fn enter(&mut self, target: u16) {
        let mut opens = [0; DEPTH_MAX];
        let mut count = 0;
        let mut inner = target;
        while self.node != inner {
            let (open, wanted) = (&NODES[usize::from(self.node)], &NODES[usize::from(inner)]);
            if open.depth >= wanted.depth {
                self.out.push(b'}');
                self.comma = true;
                self.node = open.parent;
            } else {
                opens[count] = inner;
                count += 1;
                inner = wanted.parent;
            }
        }
        for node in opens[..count].iter().rev() {
            self.key(NODES[usize::from(*node)].key);
            self.comma = false;
        }
        self.node = target;
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
