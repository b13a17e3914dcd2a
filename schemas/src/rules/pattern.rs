//! A text in a rule, with one `*` at most.

/// A text, or what stands before and after its only `*`.
#[derive(Debug)]
pub(super) enum Pattern {
    Text(String),
    Around(String, String),
}

impl Pattern {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        match text.split_once('*') {
            Some((_, after)) if after.contains('*') => Err(format!("{text}: one * at most")),
            Some((before, after)) => Ok(Self::Around(before.to_owned(), after.to_owned())),
            None => Ok(Self::Text(text.to_owned())),
        }
    }

    /// What its `*` stands for in a text that it matches; all of it, if it has none.
    pub(super) fn matched<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(whole) => (whole == text).then_some(text),
            Self::Around(before, after) => {
                text.strip_prefix(before.as_str())?.strip_suffix(after.as_str())
            }
        }
    }
}
