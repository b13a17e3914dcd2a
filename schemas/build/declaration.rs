//! Reads `dataset.yaml` and `ecs/own.yaml`.

use std::fmt::Write;

use serde::Deserialize;

use crate::Failure;

/// A `dataset.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    pub name: String,
    title: String,
    pub topic: String,
    #[serde(default)]
    pub topic_default: bool,
    #[serde(default = "retention_days")]
    retention_days: u32,
    time_zone: TimeZoneRule,
    #[serde(default)]
    pub fields: Vec<OwnField>,
    #[serde(default)]
    pub fields_of: Vec<String>,
    #[serde(default)]
    routes: Vec<String>,
}

/// Days that events are kept unless their dataset has a reason to differ: a quarter.
pub const RETENTION_DAYS: u32 = 90;

fn retention_days() -> u32 {
    RETENTION_DAYS
}

/// Named as in the library, which is given it by name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TimeZoneRule {
    Stamp,
    Source,
    StampOrSource,
}

/// A field that is not in ECS.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnField {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub array: bool,
    description: String,
}

/// `ecs/own.yaml`: fields that every dataset may write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    pub fields: Vec<OwnField>,
}

/// The Elasticsearch types that own fields may have.
const KINDS: &[&str] = &[
    "boolean",
    "date",
    "double",
    "flattened",
    "float",
    "geo_point",
    "integer",
    "ip",
    "keyword",
    "long",
    "match_only_text",
    "nested",
    "object",
    "text",
    "wildcard",
];

impl Declaration {
    /// Reads the text of `file`; errors name it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Failure> {
        let read: Self = parsed(file, text)?;
        check_fields(file, &read.fields)?;
        if read.name.split('.').count() != 2 {
            return Err(format!("{file}: name {:?} is not <package>.<dataset>", read.name).into());
        }
        Ok(read)
    }

    /// The same as a constant of the library, whose fields are also those that the datasets of
    /// `fields_of` declare themselves.
    pub fn constant(&self, all: &[Self]) -> Result<String, Failure> {
        let mut fields = constants(&self.fields);
        for name in &self.fields_of {
            let other = all.iter().find(|other| other.name == *name);
            let other = other.ok_or_else(|| format!("{}: fields_of {name:?}", self.name))?;
            fields.push_str(&constants(&other.fields));
        }
        Ok(format!(
            "Declaration {{ name: {:?}, title: {:?}, topic: {:?}, topic_default: {}, \
             retention_days: {}, time_zone: TimeZoneRule::{:?}, fields: &[{fields}], routes: &{:?} }}",
            self.name,
            self.title,
            self.topic,
            self.topic_default,
            self.retention_days,
            self.time_zone,
            self.routes
        ))
    }
}

impl Shared {
    /// Reads the text of `file`; errors name it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Failure> {
        let read: Self = parsed(file, text)?;
        check_fields(file, &read.fields)?;
        Ok(read)
    }
}

/// Fields as constants of the library, each with a comma.
pub fn constants(fields: &[OwnField]) -> String {
    let mut text = String::new();
    for OwnField { name, kind, array, description } in fields {
        let _ = write!(
            text,
            "OwnField {{ name: {name:?}, kind: {kind:?}, array: {array}, \
             description: {description:?} }}, "
        );
    }
    text
}

/// Reads the text of `file`; errors name it.
pub fn parsed<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Failure> {
    serde_saphyr::from_str(text).map_err(|error| format!("{file}: {error}").into())
}

fn check_fields(file: &str, fields: &[OwnField]) -> Result<(), Failure> {
    let unknown = fields.iter().find(|field| !KINDS.contains(&field.kind.as_str()));
    unknown.map_or(Ok(()), |OwnField { name, kind, .. }| {
        Err(format!("{file}: {name} has type {kind:?}, not one of {KINDS:?}").into())
    })
}
