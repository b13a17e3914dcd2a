//! What records mean: one folder per dataset turns bytes into events of the Elastic Common Schema.
//!
//! Everything here is a function of its arguments: no I/O, clock, environment or hidden state, so
//! that a sample file is a complete test. A field has a constant only if ECS or a `dataset.yaml`
//! declares it; no other field can be written.

pub mod alert;
mod calendar;
pub mod change;
mod clf;
pub mod contract;
pub mod dashboard;
pub mod datasets;
mod declaration;
mod duration;
pub mod enrich;
mod event;
mod field;
mod find;
mod foreign;
mod framing;
mod index;
pub mod json;
mod length;
mod letterhead;
mod level;
mod lines;
mod nothing;
mod object;
mod page;
mod parser;
pub mod path;
mod peer;
mod protocol;
pub mod retention;
mod rows;
pub mod rules;
mod scan;
pub mod table;
pub mod templates;
#[cfg(test)]
mod testing;
pub mod time;
mod transformation;
mod url;
mod value;
mod writer;
mod zone;

pub use datasets::Dataset;
pub use declaration::{Declaration, OwnField, TimeZoneRule, alerts, dashboards, shared_fields};
pub use event::Event;
pub use field::{ECS_VERSION, Field, multi_fields};
pub use foreign::Foreign;
pub use framing::{Frame, Frames, LineFramer, PART_BYTES_MAX, frame_all};
pub use parser::{Parse, Parser};
pub use transformation::{Explained, Transformation};
pub use value::Value;
pub use zone::zone_is_known;

/// A constant for every field: `fields::event::DATASET` is `event.dataset`.
pub mod fields {
    include!(concat!(env!("OUT_DIR"), "/fields.rs"));
}
