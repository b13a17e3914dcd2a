//! What to do when a database no longer has the changes that come next.

use clap::ValueEnum;

/// The operator's answer to a gap. With all but the first a `ddl` record marks the gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnLostPosition {
    /// Say so and stop: a person decides
    Stop,
    /// Read all rows again, then go on with the changes
    Snapshot,
    /// Go on with the changes that the server still has
    Latest,
}

/// The statement of the record that marks a gap between two of the database's own positions.
pub fn gap_statement(from: &str, to: &str) -> String {
    format!("gap: the changes from {from} to {to} are lost")
}
