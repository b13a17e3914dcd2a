//! Which tables a setting names.

use std::sync::Arc;

/// Names of tables, as patterns: `shop.public.orders`, `shop.*`, `*`. A `*` stands for any text.
/// Cloning shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePatterns(Arc<[String]>);

impl Default for TablePatterns {
    fn default() -> Self {
        Self::new([])
    }
}

impl TablePatterns {
    /// Patterns as a setting lists them; empty ones are left out.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self(patterns.into_iter().filter(|pattern| !pattern.is_empty()).collect())
    }

    /// No table at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them is for the table of that name, `shop.public.orders`.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, name))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        let has = |patterns: &[&str], name: &str| {
            TablePatterns::new(patterns.iter().map(|pattern| (*pattern).to_owned())).has(name)
        };
        assert!(has(&["*"], "shop.orders") && has(&["shop.*"], "shop.public.orders"));
        assert!(has(&["blog.*", "*.orders"], "shop.orders") && has(&["a*b*c"], "a.b.b.c"));
        assert!(!has(&[""], "shop.orders") && !has(&["shop.*"], "shop2.orders"));
        assert!(!has(&["shop.orders"], "shop.orders2") && !has(&["a*bc*c"], "a.bc"));
        assert!(TablePatterns::new([String::new()]).is_empty());
    }
}
