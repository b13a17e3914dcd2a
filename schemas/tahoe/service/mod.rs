//! What Tahoe's own services say of themselves: one JSON object a line, a set of values of one
//! moment, whose keys are the fields' own names. Only fields that are declared here or that ECS has
//! for services, processes, hosts and events are taken; a newer service may say more, which an older
//! transformer keeps in `tahoe.fields`.
//!
//! Counts are those since the object before, so that a sum over any time is right whatever was
//! restarted meanwhile.

mod parser;

use crate::{Dataset, LineFramer, Parse};

/// `tahoe.service`
pub static DATASET: Dataset = Dataset {
    name: "tahoe.service",
    module: "tahoe",
    framer: &LineFramer,
    normalizer: &Parse { dataset: &DATASET, parser: parser::Measured },
};
