//! What the keys of an application's JSON lines mean where `app.json` cannot know it.
//!
//! ```text
//! # KEY           FIELD              UNIT
//! took            event.duration     ms
//! customer.mail   user.email
//! "who did it"    user.name
//! ```
//!
//! A key inside an object is named by its path. UNIT (`ns`, `us`, `ms`, `s`) says what a duration is
//! counted in; without it, a number is taken as it is.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::table::{Row, rows};
use crate::{Dataset, Field, datasets, fields, shared_fields};

/// Fields that say what the pipeline knows of a record, which is not the record's to say.
const OWN: [&str; 10] = [
    "data_stream.",
    "tahoe.",
    "ecs.",
    "event.created",
    "event.dataset",
    "event.ingested",
    "event.module",
    "event.original",
    "log.file.",
    "log.offset",
];

/// What a duration is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// As it is.
    None,
    /// So many nanoseconds.
    Nanoseconds(u32),
}

/// Where a key's value goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The field.
    pub field: Field,
    /// What it is counted in.
    pub unit: Unit,
}

/// Keys and the fields that they stand for.
#[derive(Debug, Default)]
pub struct AppFields {
    targets: HashMap<String, Target>,
    /// Paths of the objects that have such keys inside them.
    above: HashSet<String>,
}

impl AppFields {
    /// Reads a table of keys.
    ///
    /// # Errors
    /// Name the file and the line.
    pub fn read(file: &str, text: &str) -> Result<Self, String> {
        let mut read = Self::default();
        for row in rows(file, text)? {
            let (key, target) = target(&row).map_err(|what| row.error(what))?;
            if !read.add(key, target) {
                return Err(row.error(format_args!("{key} is there twice")));
            }
        }
        Ok(read)
    }

    /// The fields of ECS by their own names, as ecs-logging's libraries write them.
    pub(crate) fn of_ecs() -> &'static Self {
        static ECS: LazyLock<AppFields> = LazyLock::new(|| {
            let mut ecs = AppFields::default();
            for field in Field::all() {
                let is_own = OWN.iter().any(|own| field.path().starts_with(own));
                if !is_own && !is_object(field) && !of_dataset(field.path(), |_| true) {
                    ecs.add(field.path(), Target { field, unit: Unit::None });
                }
            }
            ecs
        });
        &ECS
    }

    /// Says whether the key was new.
    fn add(&mut self, key: &str, target: Target) -> bool {
        self.above.extend(key.match_indices('.').map(|(at, _)| key[..at].to_owned()));
        self.targets.insert(key.to_owned(), target).is_none()
    }

    /// No key is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Where the value of a key goes.
    pub(crate) fn target(&self, path: &str) -> Option<Target> {
        self.targets.get(path).copied()
    }

    /// Whether a key inside the object of that path is named.
    pub(crate) fn is_above(&self, path: &str) -> bool {
        self.above.contains(path)
    }
}

fn target<'t>(row: &Row<'t>) -> Result<(&'t str, Target), String> {
    let (key, path, unit) = match row.words[..] {
        [key, path] => (key, path, Unit::None),
        [key, path, unit] => (key, path, Unit::Nanoseconds(nanoseconds(unit)?)),
        _ => return Err("a row has two or three words: KEY FIELD [UNIT]".to_owned()),
    };
    let field = Field::named(path).ok_or_else(|| format!("{path} is no field of ECS"))?;
    let is_other = of_dataset(path, |dataset| dataset.module != "app");
    if OWN.iter().any(|own| path.starts_with(own)) || is_other {
        return Err(format!("{path} is not a field that a record may set: name one of ECS"));
    }
    if is_object(field) {
        return Err(format!("{path} is an object: name a field inside it"));
    }
    if unit != Unit::None && field != fields::event::DURATION {
        return Err(format!("{path} has no unit: only event.duration has one"));
    }
    Ok((key, Target { field, unit }))
}

/// Whether a dataset of those, or every dataset, declares the field as its own.
fn of_dataset(path: &str, of: impl Fn(&Dataset) -> bool) -> bool {
    let all = datasets::ALL.iter().filter(|dataset| of(dataset));
    let declared = all.flat_map(|dataset| dataset.declared().fields);
    declared.chain(shared_fields()).any(|own| own.name == path)
}

fn is_object(field: Field) -> bool {
    matches!(field.kind(), "object" | "nested" | "geo_point")
}

fn nanoseconds(unit: &str) -> Result<u32, String> {
    Ok(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(format!("{unit}: a unit is ns, us, ms or s")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_line() {
        for (text, expected) in [
            ("a", "f:1: a row has two or three words"),
            ("\na no.such", "f:2: no.such is no field of ECS"),
            ("a event.dataset", "f:1: event.dataset is not a field that a record may set"),
            ("a nginx.error.connection_id", "f:1: nginx.error.connection_id is not a field"),
            ("a labels", "f:1: labels is an object"),
            ("a user.name ms", "f:1: user.name has no unit"),
            ("a event.duration h", "f:1: h: a unit is"),
            ("a user.name\na user.id", "f:2: a is there twice"),
        ] {
            let error = AppFields::read("f", text).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
        let read = AppFields::read("f", "a.b.c user.name").expect("a table");
        assert!(read.is_above("a") && read.is_above("a.b") && !read.is_above("a.b.c"));
        assert_eq!(read.target("a.b.c").map(|target| target.field), Some(fields::user::NAME));
    }
}
