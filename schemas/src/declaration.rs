//! What a dataset.yaml says. The build script reads it too, so a field that no file declares has
//! no constant and cannot be named in code.

use serde::Deserialize;

/// A `dataset.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// `nginx.access`; the folder is `nginx/access`.
    pub name: String,
    /// For people: "nginx access log".
    pub title: String,
    /// Kafka topic that its records go to unless the producer's setting says otherwise.
    pub topic: String,
    /// Days that its data stream is kept.
    pub retention_days: u32,
    /// Where the zone of a stamp comes from.
    pub time_zone: TimeZoneRule,
    /// Fields that it writes besides those of ECS.
    #[serde(default)]
    pub fields: Vec<OwnField>,
    /// Members of its family to which its normaliser may route an event.
    #[serde(default)]
    pub routes: Vec<String>,
}

/// Where the zone of a dataset's stamps comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeZoneRule {
    /// Every stamp names its zone.
    Stamp,
    /// No stamp does: the zone is the one its source was configured with.
    Source,
    /// A stamp may; otherwise it is the source's.
    StampOrSource,
}

/// A field that is not in ECS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnField {
    /// Dotted path.
    pub name: String,
    /// Elasticsearch type: `keyword`, `long`, `flattened`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always written as an array.
    #[serde(default)]
    pub array: bool,
    /// For people.
    pub description: String,
}

/// `ecs/own.yaml`: fields that every dataset may write.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The fields.
    pub fields: Vec<OwnField>,
}

/// A declaration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct DeclarationError {
    /// The file to mend.
    pub file: String,
    /// What is wrong in it.
    pub reason: String,
}

/// The Elasticsearch types that own fields may have.
pub const KINDS: &[&str] = &[
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
    pub fn parse(file: &str, text: &str) -> Result<Self, DeclarationError> {
        let wrong = |reason: String| DeclarationError { file: file.to_owned(), reason };
        let read: Self = serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))?;
        check_fields(file, &read.fields)?;
        if read.name.split('.').count() != 2 {
            let reason = format!("name is {:?}, not <package>.<dataset>", read.name);
            return Err(wrong(reason));
        }
        Ok(read)
    }

    /// `nginx` of `nginx.access`.
    pub fn module(&self) -> &str {
        self.name.split('.').next().unwrap_or(&self.name)
    }
}

impl Shared {
    /// Reads the text of `file`; errors name it.
    pub fn parse(file: &str, text: &str) -> Result<Self, DeclarationError> {
        let read: Self = serde_saphyr::from_str(text).map_err(|error| DeclarationError {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        check_fields(file, &read.fields)?;
        Ok(read)
    }
}

fn check_fields(file: &str, fields: &[OwnField]) -> Result<(), DeclarationError> {
    for field in fields {
        if !KINDS.contains(&field.kind.as_str()) {
            let reason = format!("{} has type {:?}, not one of {KINDS:?}", field.name, field.kind);
            return Err(DeclarationError { file: file.to_owned(), reason });
        }
    }
    Ok(())
}
