//! The settings of a privacy policy: of the transformer, and of producers where it holds before the
//! first write to the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tahoe_schemas::rules::{AppFields, Privacy, Screen};

use crate::renewed::{Renewed, Screens};
use crate::secret::{Secret, from_value_or_file};

/// The secrets by which a privacy policy hashes and encrypts.
#[derive(Args, Clone, Debug, Default)]
pub struct PrivacyKeyArgs {
    /// Secret of the privacy policy's hashes and encryptions, 16 bytes or more; the variable or the
    /// file keep it out of the process list
    #[arg(
        long,
        env = "TAHOE_PRIVACY_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "Events"
    )]
    pub privacy_key: Option<Secret>,
    /// File with that secret, and in further lines with older ones, which only decrypt; read again
    /// when it changes
    #[arg(long, env = "TAHOE_PRIVACY_KEY_FILE", value_name = "PATH", help_heading = "Events")]
    pub privacy_key_file: Option<PathBuf>,
}

impl PrivacyKeyArgs {
    /// The secrets, a line each, if there are any.
    ///
    /// # Errors
    /// Both are set, or the file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, String> {
        // A compose file passes unset variables on as empty ones.
        let value = self.privacy_key.as_ref().filter(|secret| !secret.reveal().is_empty());
        from_value_or_file("TAHOE_PRIVACY_KEY", value, self.file())
    }

    /// The file, if one is named.
    pub fn file(&self) -> Option<&Path> {
        self.privacy_key_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// A producer's policy.
#[derive(Args, Clone, Debug, Default)]
pub struct ScreenArgs {
    /// File that says what is private, a row each: DATASET FIELD ACTION; it holds before anything is
    /// written to Kafka, and needs a secret; read again when it changes
    #[arg(long, env = "TAHOE_PRIVACY", value_name = "FILE", help_heading = "Records")]
    pub privacy: Option<PathBuf>,
    /// The secret.
    #[command(flatten)]
    pub privacy_key: PrivacyKeyArgs,
    /// File that says which fields the keys of an application's JSON lines stand for, as the
    /// transformer has it, so that a policy knows them
    #[arg(long, env = "TAHOE_APP_FIELDS", value_name = "FILE", help_heading = "Records")]
    pub app_fields: Option<PathBuf>,
}

impl ScreenArgs {
    /// The policy before the log, if there is one; a secret alone reads what an earlier run
    /// encrypted.
    ///
    /// # Errors
    /// Name the setting, and the file and line.
    pub fn screens(&self) -> Result<Option<Arc<Screens>>, String> {
        let secret = self.privacy_key.secret()?;
        let of = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let privacy = of(&self.privacy);
        if privacy.is_none() && secret.is_none() {
            return Ok(None);
        }
        let app_fields = of(&self.app_fields);
        let key_file = self.privacy_key.file().map(Path::to_owned);
        let paths = [&privacy, &key_file, &app_fields].into_iter().flatten().cloned().collect();
        let key = self.privacy_key.clone();
        let read = move || {
            let policy = read_privacy("--privacy", privacy.as_deref(), &key)?;
            let app_fields = read_table("--app-fields", app_fields.as_deref(), AppFields::read)?;
            Screen::new(policy, app_fields.unwrap_or_default()).map_err(of_setting("--privacy"))
        };
        let screens = Renewed::open("--privacy", paths, Box::new(read))?;
        screens.watch();
        Ok(Some(screens))
    }
}

/// The policy of the file that `setting` names, with its secret; without a file, what reads what was
/// encrypted.
///
/// # Errors
/// Name the setting, and the file and line.
pub fn read_privacy(
    setting: &str,
    path: Option<&Path>,
    key: &PrivacyKeyArgs,
) -> Result<Privacy, String> {
    let secret = key.secret()?;
    let secret = secret.as_ref().map(Secret::reveal);
    let policy = read_table(setting, path, |name, text| Privacy::read(name, text, secret))?;
    match (policy, secret) {
        (Some(policy), _) => Ok(policy),
        (None, Some(secret)) => Privacy::of_secret(secret).map_err(of_setting("--privacy-key")),
        (None, None) => Ok(Privacy::default()),
    }
}

/// An error with the setting before it.
pub fn of_setting(setting: &str) -> impl Fn(String) -> String {
    move |error| format!("{setting}: {error}")
}

/// What `read` makes of a file's name and text, if one is named.
///
/// # Errors
/// It cannot be read, or says what cannot be; names the setting.
pub fn read_table<T>(
    setting: &str,
    path: Option<&Path>,
    read: impl FnOnce(&str, &str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("{setting} {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
        format!("{setting}: {name}:{line}: it is no UTF-8 at byte {}", at + 1)
    })?;
    read(&name, &text).map(Some).map_err(of_setting(setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_before_the_log_is_refused_by_the_name_of_what_is_missing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            Some(path)
        };
        let binary = folder.path().join("binary");
        std::fs::write(&binary, b"* message detect\n* a\xff drop\n").expect("written");
        let read = |path| read_privacy("--policy", path, &PrivacyKeyArgs::default());
        let error = read(Some(&binary)).expect_err("no text");
        assert!(error.starts_with("--policy: "), "{error}");
        assert!(error.ends_with("binary:2: it is no UTF-8 at byte 21"), "{error}");
        let none = ScreenArgs::default();
        assert!(none.screens().expect("nothing is asked").is_none());
        let policy = write("policy", "* message detect\n");
        let alone = ScreenArgs { privacy: policy.clone(), ..none.clone() };
        let error = alone.screens().expect_err("it needs a secret");
        assert!(error.starts_with("--privacy: ") && error.contains("TAHOE_PRIVACY_KEY"), "{error}");
        let key = |secret: &str| PrivacyKeyArgs {
            privacy_key_file: write("key", secret),
            ..PrivacyKeyArgs::default()
        };
        let privacy_key = key("0123456789abcdef\nan older one of its own\n");
        let whole = ScreenArgs { privacy_key: privacy_key.clone(), ..alone.clone() };
        let screens = whole.screens().expect("readable").expect("asked for");
        assert!(screens.now().hides());
        let keys = ScreenArgs { privacy_key, ..none };
        assert!(!keys.screens().expect("readable").expect("asked for").now().hides());
        let short = ScreenArgs { privacy_key: key("short"), ..alone };
        assert!(short.screens().expect_err("short").contains("16 bytes"));
    }
}
