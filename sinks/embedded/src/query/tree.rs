//! What a query asks for, and where each part stood in its text.

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Everything.
    All,
    /// What the node does not match.
    Not(Box<Node>),
    /// All of them.
    And(Vec<Node>),
    /// Clauses without an operator between them: all `must`, none of `must_not`, and at least one
    /// `should` if nothing is in `must`.
    Clauses { must: Vec<Node>, should: Vec<Node>, must_not: Vec<Node> },
    /// One test of one field, or of all of them.
    Leaf(Leaf),
}

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// Dotted path; none tests the words of every field.
    pub field: Option<String>,
    /// Characters before it in the query.
    pub at: usize,
    /// What is tested.
    pub test: Test,
}

/// What a field is tested for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// A value without spaces.
    Word(String),
    /// A quoted value, and how many words may stand between its words.
    Phrase(String, u32),
    /// A word with `*` or `?` in it.
    Wildcard(Vec<Glob>),
    /// `/pattern/`.
    Regex(String),
    /// `word~` and the number of edits, if given.
    Fuzzy(String, Option<u8>),
    /// Two bounds.
    Range(Bound, Bound),
    /// `field:*` or `_exists_:field`.
    Exists,
}

/// A part of a wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    /// As it stands.
    Text(String),
    /// `*`
    Any,
    /// `?`
    One,
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// With the value itself.
    Including(String),
    /// Without it.
    Excluding(String),
    /// `*`
    Open,
}
