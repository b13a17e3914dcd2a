//! A row of a privacy policy: which field of which dataset, and what becomes of its value.

use super::place::{Holds, Place};
use super::table::Row;
use crate::{Field, Transformation, fields};

/// Fields that every event has from its producer's settings, whatever its text is: they stand in
/// every record's header.
const OF_PRODUCER: [&str; 5] =
    ["host.name", "log.file.path", "log.source.address", "labels", "tags"];

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) dataset: Option<&'static str>,
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    Drop,
    Mask,
    Hash,
    Encrypt,
    Truncate,
    Detect,
}

impl Action {
    /// What `tahoe.transformations` says of it, if it `drops` what has no other form.
    pub(super) fn word(self, drops: bool) -> Transformation {
        match self {
            _ if drops => Transformation::Dropped,
            Self::Hash => Transformation::Hashed,
            Self::Encrypt => Transformation::Encrypted,
            Self::Truncate => Transformation::AddressTruncated,
            Self::Keep | Self::Drop | Self::Mask | Self::Detect => Transformation::Masked,
        }
    }
}

impl Rule {
    /// `has_keys` says whether there is a secret, which some actions need.
    pub(super) fn read(row: &Row<'_>, has_keys: bool) -> Result<Self, String> {
        let [dataset, path, action] = row.words[..] else {
            return Err("a row has three words: DATASET FIELD ACTION".to_owned());
        };
        let place = Place::named(path)?;
        let action = match action {
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "mask" => Action::Mask,
            "hash" => Action::Hash,
            "encrypt" => Action::Encrypt,
            "truncate" => Action::Truncate,
            "detect" => Action::Detect,
            _ => {
                let known = "keep, drop, mask, hash, encrypt, truncate or detect";
                return Err(format!("{action}: an action is {known}"));
            }
        };
        let is_own =
            |field: Field| matches!(field, fields::TIMESTAMP | fields::tahoe::TRANSFORMATIONS);
        if is_own(place.field) || path.starts_with("data_stream.") {
            return Err(format!("{path} is what makes a document one of its stream: it stays"));
        }
        if matches!(action, Action::Hash | Action::Encrypt) && !has_keys {
            return Err("it needs a secret: TAHOE_PRIVACY_KEY or TAHOE_PRIVACY_KEY_FILE".to_owned());
        }
        match (place.holds(), action) {
            (_, Action::Keep | Action::Drop)
            | (Holds::Text | Holds::Key, _)
            | (Holds::Object, Action::Detect)
            | (Holds::Address, Action::Truncate) => {}
            (Holds::Object, _) => {
                return Err(format!("{path} is an object: drop it, or name a key inside it"));
            }
            (Holds::Address, _) => {
                return Err(format!("{path} holds an address: keep, drop or truncate it"));
            }
            _ => return Err(format!("{path} holds no text, so keep or drop it")),
        }
        Ok(Self { dataset: Row::dataset(dataset)?, path: path.to_owned(), place, action })
    }

    /// It is about this field, or a key inside it.
    pub(super) fn is_in(&self, name: &str) -> bool {
        let rest = self.path.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// It is about what a producer's settings say.
    pub(super) fn is_of_producer(&self) -> bool {
        OF_PRODUCER.iter().any(|name| self.is_in(name))
    }
}
