//! What a dataset.yaml says, as the build script read it: a field that no file declares has no
//! constant and cannot be named in code.

use crate::alert::Alert;
use crate::dashboard::Dashboard;

include!(concat!(env!("OUT_DIR"), "/declarations.rs"));

/// A `dataset.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// `nginx.access`; the folder is `nginx/access`.
    pub name: &'static str,
    /// For people: "nginx access log".
    pub title: &'static str,
    /// Kafka topic that its records go to unless the producer's setting says otherwise.
    pub topic: &'static str,
    /// Records of the topic that do not say their dataset are of this one. Of datasets that share a
    /// topic one says so.
    pub topic_default: bool,
    /// Days that its events are kept unless the operator says otherwise; 90 if it says nothing.
    pub retention_days: u32,
    /// Where the zone of a stamp comes from.
    pub time_zone: TimeZoneRule,
    /// Fields that it writes besides those of ECS.
    pub fields: &'static [OwnField],
    /// Members of its family to which its normaliser may route an event.
    pub routes: &'static [&'static str],
}

/// Where the zone of a dataset's stamps comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeZoneRule {
    /// Every stamp names its zone.
    Stamp,
    /// No stamp does: the zone is the one its source was configured with.
    Source,
    /// A stamp may; otherwise it is the source's.
    StampOrSource,
}

/// A field that is not in ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnField {
    /// Dotted path.
    pub name: &'static str,
    /// Elasticsearch type: `keyword`, `long`, `flattened`.
    pub kind: &'static str,
    /// Always written as an array.
    pub array: bool,
    /// For people.
    pub description: &'static str,
}

/// Fields that every dataset may write: `ecs/own.yaml`.
pub fn shared_fields() -> &'static [OwnField] {
    SHARED
}

/// What the dataset of that name declares.
pub(crate) fn find(name: &str) -> Option<&'static Declaration> {
    DECLARATIONS.iter().find(|declared| declared.name == name)
}

/// Every dashboard, in their order: `dashboards/` and what the datasets add.
pub fn dashboards() -> Vec<Dashboard> {
    serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/dashboards.json")))
        .expect("the build script wrote it by the same types")
}

/// Every alert of `alerts.yaml`.
pub fn alerts() -> Vec<Alert> {
    serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/alerts.json")))
        .expect("the build script wrote it by the same types")
}
