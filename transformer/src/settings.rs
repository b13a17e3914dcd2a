//! What a transformer is told, whoever runs it: its service, `tahoe up`, or a test.

use std::time::Duration;

use tahoe_schemas::rules::EventRules;
use tahoe_seams::Conditions;

use crate::rules::Renewal;

/// How a transformer runs.
#[derive(Clone, Debug)]
pub struct TransformSettings {
    /// Consumer group.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<String>,
    /// How long a batch that is not full waits for more while others are in flight.
    pub linger: Duration,
    /// What normalisers are given; the time is the loop's.
    pub given: Conditions,
    /// What the operator's own files say of events.
    pub rules: EventRules,
    /// Files behind those rules that may change.
    pub renewal: Renewal,
    /// How long a stop, or a partition that the group wants back, waits for what is in flight.
    pub grace: Duration,
    /// How long a stop reads on what is in the log already; zero leaves it for the next start.
    pub drain: Duration,
}

impl Default for TransformSettings {
    fn default() -> Self {
        Self {
            group: "tahoe-transformer".to_owned(),
            topics: Vec::new(),
            linger: Duration::from_millis(200),
            given: Conditions::default(),
            rules: EventRules::default(),
            renewal: Renewal::default(),
            grace: Duration::from_secs(10),
            drain: Duration::ZERO,
        }
    }
}
