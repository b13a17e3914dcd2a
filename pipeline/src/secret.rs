//! A password that cannot reach a log: it prints as stars, and comes from a variable or a file.

use std::fmt;
use std::path::Path;

/// A secret setting. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A setting `name` that may be given as a value or as the path of a file that holds it (one
/// trailing newline is not part of it).
///
/// # Errors
/// Names the setting if both are given, or if the file cannot be read.
pub fn from_value_or_file(
    name: &str,
    value: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<Secret>, String> {
    match (value, file) {
        (Some(_), Some(_)) => Err(format!("{name} and {name}_FILE are both set: keep one")),
        (Some(value), None) => Ok(Some(value.clone())),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{name}_FILE: cannot read {}: {error}", path.display()))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(Some(Secret(text.strip_suffix('\r').unwrap_or(text).to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{0} {0:?}", Secret::from("hunter2")), "*** ***");
    }

    #[test]
    fn a_file_gives_its_content_without_the_newline_and_a_missing_one_names_the_setting() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\n").expect("write");
        let read = from_value_or_file("ELASTIC_PASSWORD", None, Some(&path));
        assert_eq!(read.expect("readable").expect("set").reveal(), "hunter2");
        let missing = from_value_or_file("ELASTIC_PASSWORD", None, Some(Path::new("/nonexistent")));
        assert!(missing.expect_err("missing").contains("ELASTIC_PASSWORD_FILE"));
        let secret = Secret::from("x");
        assert!(from_value_or_file("A", Some(&secret), Some(&path)).is_err());
    }
}
