//! What `alerts.yaml` says, as the build script read it: when somebody must be told. Like the
//! dashboards it names fields, and not how a particular Kibana asks.

use serde::{Deserialize, Serialize};

use crate::dashboard::{Data, Metric};

/// A question that is asked every so often, and the answer that somebody must be told of.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// `failed-logins`; its identity, for ever.
    pub name: String,
    /// For people.
    pub title: String,
    /// Documents that are asked.
    #[serde(default)]
    pub data: Data,
    /// Which of them, in Lucene's syntax.
    pub query: String,
    /// What is counted.
    pub value: Metric,
    /// For each value of this field; for all documents together, if it is empty.
    #[serde(default)]
    pub by: String,
    /// Of the last so many minutes.
    pub minutes: u32,
    /// Minutes between two looks.
    pub every_minutes: u32,
    /// More than this is told.
    #[serde(default)]
    pub above: Option<f64>,
    /// Less than this is told.
    #[serde(default)]
    pub below: Option<f64>,
}
