//! A field is a number whose order is that of nested JSON: the fields of one object are adjacent.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// The version of ECS that the constants were generated from.
pub const ECS_VERSION: &str = "9.4.0";

/// The length of `null_removed:`, which precedes the path in [`Leaf::removed`].
const PREFIX_LEN: usize = "null_removed:".len();

/// A field of ECS or of a dataset.yaml.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(u16);

pub(crate) struct Leaf {
    /// Where in [`KEYS`] is what opens the objects that it is in, from the root on, and its own key:
    /// `"event":{"code":`
    pub keys: u32,
    /// How long that is.
    pub length: u16,
    /// Where its own key begins in that.
    pub key: u16,
    /// The object that it is in.
    pub node: u16,
    /// One past the last field below it; the next number if it is no object.
    pub end: u16,
    /// Always written as an array.
    pub array: bool,
    pub kind: &'static str,
    /// The path, after a prefix, so that neither is built per event.
    pub removed: &'static str,
}

impl Leaf {
    /// The length of `"code":`.
    pub fn own_key_length(&self) -> usize {
        usize::from(self.length - self.key)
    }
}

pub(crate) struct Node {
    /// The object that it is in; the root is its own parent.
    pub parent: u16,
    pub depth: u16,
    /// How much of a leaf's keys it takes to open it.
    pub opened: u16,
    /// One past the last field inside it.
    pub end: u16,
}

impl Field {
    pub(crate) const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The field of that number, which is one of a field.
    pub(crate) fn numbered(id: usize) -> Self {
        Self(u16::try_from(id).expect("the build script counted them"))
    }

    pub(crate) fn id(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn leaf(self) -> &'static Leaf {
        &LEAVES[self.id()]
    }

    /// Every field, in the order of nested JSON.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..LEAVES.len()).map(Self::numbered)
    }

    /// The field of that dotted path.
    pub fn named(path: &str) -> Option<Self> {
        static BY_PATH: LazyLock<HashMap<&str, Field>> =
            LazyLock::new(|| Field::all().map(|field| (field.path(), field)).collect());
        BY_PATH.get(path).copied()
    }

    /// The field that a dotted path names or lies in, and the path inside its free object:
    /// `labels.env` is `env` in `labels`.
    pub fn holding(path: &str) -> Option<(Self, &str)> {
        let mut end = path.len();
        loop {
            if let Some(field) = Self::named(&path[..end]) {
                let inside = path[end..].trim_start_matches('.');
                let is_free = matches!(field.kind(), "flattened" | "object" | "nested");
                if inside.is_empty() || is_free {
                    return Some((field, inside));
                }
            }
            end = path[..end].rfind('.')?;
        }
    }

    /// Dotted path: `event.dataset`.
    pub fn path(self) -> &'static str {
        &self.leaf().removed[PREFIX_LEN..]
    }

    /// Elasticsearch type: `keyword`.
    pub fn kind(self) -> &'static str {
        self.leaf().kind
    }

    /// Always written as an array, even of one value.
    pub fn is_array(self) -> bool {
        self.leaf().array
    }

    /// `null_removed:event.dataset`
    pub(crate) fn removed(self) -> &'static str {
        self.leaf().removed
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// Fields of ECS that index another field once more (`user.name.text`), with their types. They
/// are in templates and never in documents.
pub fn multi_fields() -> &'static [(&'static str, &'static str)] {
    &MULTI_FIELDS_OF_ECS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn constants_name_their_paths() {
        assert_eq!(fields::TIMESTAMP.path(), "@timestamp");
        assert_eq!(fields::log::syslog::facility::CODE.path(), "log.syslog.facility.code");
        assert_eq!(fields::client::r#as::NUMBER.path(), "client.as.number");
        assert_eq!(fields::event::CATEGORY.kind(), "keyword");
        assert!(fields::event::CATEGORY.is_array());
        assert_eq!(Field::named("message"), Some(fields::MESSAGE));
    }

    #[test]
    fn no_object_is_opened_twice() {
        let mut closed: Vec<u16> = Vec::new();
        let mut open: Vec<u16> = Vec::new();
        for field in Field::all() {
            let mut way = vec![field.leaf().node];
            while let Some(&node) = way.last().filter(|node| **node != 0) {
                way.push(NODES[usize::from(node)].parent);
            }
            closed.extend(open.iter().filter(|node| !way.contains(node)));
            assert!(way.iter().all(|node| !closed.contains(node)), "{field:?}");
            open = way;
        }
    }
}
