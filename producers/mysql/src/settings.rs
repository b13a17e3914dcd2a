//! What a feed reads, and what it does where it cannot go on as before.

use std::sync::Arc;

use tahoe_pipeline::replicate::OnLostPosition;

use crate::selection::Selection;
use crate::server::Server;

/// What to do with changes whose columns have no names, neither in the binlog nor elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnUnknownColumns {
    /// Say so and stop
    Stop,
    /// Give them as @1, @2 and so on, without a key
    Unnamed,
}

/// What is read, and how it begins.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub server: Arc<Server>,
    pub selection: Selection,
    /// Tables are read before their changes.
    pub snapshot: bool,
    pub chunk_rows: u64,
    pub on_lost_position: OnLostPosition,
    pub on_unknown_columns: OnUnknownColumns,
}
