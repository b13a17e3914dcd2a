//! The rules that records are taken in by: those of now, and of a topic that has its own.

use std::collections::HashMap;

use tahoe_schemas::rules::{EventRules, Privacy};
use tahoe_seams::Rules;

use crate::rules::Renewal;

/// Rules whose files may change meanwhile.
pub(super) struct CurrentRules {
    rules: EventRules,
    /// Only of topics that have rules of their own.
    by_topic: HashMap<String, Rules>,
    renewal: Renewal,
    /// Of the databases that the rules ask, and of the policy.
    renewed: (Option<u64>, Option<u64>),
}

impl CurrentRules {
    pub fn new(rules: &EventRules, renewal: Renewal) -> Self {
        Self { rules: rules.clone(), by_topic: HashMap::new(), renewal, renewed: (None, None) }
    }

    /// As normalisers are given them.
    pub fn given(&self) -> Rules {
        self.rules.clone().given()
    }

    /// What is private.
    pub fn privacy(&self) -> &Privacy {
        &self.rules.privacy
    }

    /// The rules with the databases and the policy of now; none if they are those of before.
    pub fn renew(&mut self) -> Option<Rules> {
        let Renewal { geoip, policy } = &self.renewal;
        let geoip_version = geoip.as_ref().map(|files| files.version());
        let versions = (geoip_version, policy.as_ref().map(|policy| policy.version()));
        if self.renewed == versions {
            return None;
        }
        self.renewed = versions;
        if let Some(files) = geoip {
            self.rules.enrichment.networks = files.networks();
        }
        if let Some(policy) = policy {
            self.rules.privacy = policy.now();
        }
        self.by_topic.clear();
        Some(self.given())
    }

    /// Those of a topic; none where all topics have the same.
    pub fn of_topic(&mut self, topic: &str) -> Option<Rules> {
        if !self.rules.allowed.differs_by_topic() {
            return None;
        }
        if !self.by_topic.contains_key(topic) {
            let rules = self.rules.of_topic(topic).given();
            self.by_topic.insert(topic.to_owned(), rules);
        }
        self.by_topic.get(topic).cloned()
    }
}
