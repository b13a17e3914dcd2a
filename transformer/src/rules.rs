//! The settings and files by which an operator says what events mean and whose they are, the same
//! for the service, `tahoe up` and `tahoe parse`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tahoe_pipeline::secret::{Secret, from_value_or_file};
use tahoe_schemas::enrich::Enrichment;
use tahoe_schemas::rules::{Allowed, AppFields, Companies, EventRules, Privacy, Sampling};

use crate::geoip::GeoFiles;

/// What the operator says of events.
#[derive(Args, Clone, Debug, Default)]
pub struct RuleArgs {
    /// Field whose value is the client company (laravel.context.company); repeatable, the first
    /// that an event has counts
    #[arg(
        long,
        env = "TAHOE_NAMESPACE_FROM",
        value_name = "FIELD",
        value_delimiter = ',',
        help_heading = "Events"
    )]
    pub namespace_from: Vec<String>,
    /// File that says by fields which company an event belongs to, a row each: DATASET FIELD VALUE
    /// NAMESPACE; `*` stands for any
    #[arg(long, env = "TAHOE_NAMESPACE_RULES", value_name = "FILE", help_heading = "Events")]
    pub namespace_rules: Option<PathBuf>,
    /// Namespace that events may have, or TOPIC=NAME for those of one topic; repeatable; others go
    /// to the default one [default: any]
    #[arg(
        long,
        env = "TAHOE_ALLOW_NAMESPACE",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Events"
    )]
    pub allow_namespace: Vec<String>,
    /// File that says which events are stored, where not all are wanted, a row each: DATASET FIELD
    /// VALUE KEEP NAME; KEEP is all, none, or 1/N
    #[arg(long, env = "TAHOE_SAMPLING", value_name = "FILE", help_heading = "Events")]
    pub sampling: Option<PathBuf>,
    /// File that says which fields the keys of an application's JSON lines (app.json) stand for, a
    /// row each: KEY FIELD, and ns, us, ms or s for a duration
    #[arg(long, env = "TAHOE_APP_FIELDS", value_name = "FILE", help_heading = "Events")]
    pub app_fields: Option<PathBuf>,
    /// File that says which fields are private, a row each: DATASET FIELD ACTION, which is keep,
    /// drop, mask, hash, encrypt, truncate or detect
    #[arg(long, env = "TAHOE_PRIVACY", value_name = "FILE", help_heading = "Events")]
    pub privacy: Option<PathBuf>,
    /// The secret of hashes and encryptions.
    #[command(flatten)]
    pub privacy_key: PrivacyKeyArgs,
    /// What events are given beyond what their records say; repeatable [default: nothing]
    #[arg(
        long,
        env = "TAHOE_ENRICH",
        value_name = "WHAT",
        value_delimiter = ',',
        help_heading = "Events"
    )]
    pub enrich: Vec<Enrich>,
    /// File in MaxMind's format that says where addresses are (City, Country) or whose they are
    /// (ASN); repeatable; read again when it changes
    #[arg(
        long,
        env = "TAHOE_GEOIP",
        value_name = "FILE",
        value_delimiter = ',',
        help_heading = "Events"
    )]
    pub geoip: Vec<PathBuf>,
}

/// What events are given beyond what their records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Enrich {
    /// All of the following
    All,
    /// The addresses, users, hosts and hashes of an event once more in related.*
    Related,
    /// What user_agent.original says of program, system and device
    UserAgents,
    /// error.grouping_key, the same for failures of the same kind
    Errors,
    /// db.query.fingerprint, the same for statements that differ in values alone
    Statements,
}

/// The secret by which a privacy policy hashes and encrypts.
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
    /// File with that secret
    #[arg(long, env = "TAHOE_PRIVACY_KEY_FILE", value_name = "PATH", help_heading = "Events")]
    pub privacy_key_file: Option<PathBuf>,
}

impl PrivacyKeyArgs {
    /// The secret, if there is one.
    ///
    /// # Errors
    /// Both are set, or the file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, String> {
        // A compose file passes unset variables on as empty ones.
        let value = self.privacy_key.as_ref().filter(|secret| !secret.reveal().is_empty());
        let file = self.privacy_key_file.as_deref().filter(|path| !path.as_os_str().is_empty());
        from_value_or_file("TAHOE_PRIVACY_KEY", value, file)
    }
}

impl RuleArgs {
    /// Reads the files. What they say later is not noticed.
    ///
    /// # Errors
    /// Name the setting, and the file and line.
    pub fn read(&self) -> Result<EventRules, String> {
        self.read_with_geoip().map(|(rules, _)| rules)
    }

    /// The same, and the files that may change, if there are any.
    ///
    /// # Errors
    /// Name the setting, and the file and line.
    pub fn read_with_geoip(&self) -> Result<(EventRules, Option<Arc<GeoFiles>>), String> {
        let mut rules = self.read_tables()?;
        let paths = self.geoip.iter().filter(|path| !path.as_os_str().is_empty());
        let paths: Vec<_> = paths.cloned().collect();
        if paths.is_empty() {
            return Ok((rules, None));
        }
        let files = GeoFiles::open(&paths)?;
        rules.enrichment.networks = files.networks();
        Ok((rules, Some(files)))
    }

    fn read_tables(&self) -> Result<EventRules, String> {
        let mut companies = Companies::default();
        if let Some((name, text)) = file("--namespace-rules", self.namespace_rules.as_deref())? {
            companies = Companies::read(&name, &text).map_err(of("--namespace-rules"))?;
        }
        for field in self.namespace_from.iter().filter(|field| !field.is_empty()) {
            companies.add_field(field).map_err(of("--namespace-from"))?;
        }
        let mut allowed = Allowed::default();
        for name in self.allow_namespace.iter().filter(|name| !name.is_empty()) {
            allowed.add(name).map_err(of("--allow-namespace"))?;
        }
        let app_fields = match file("--app-fields", self.app_fields.as_deref())? {
            Some((name, text)) => AppFields::read(&name, &text).map_err(of("--app-fields"))?,
            None => AppFields::default(),
        };
        let sampling = match file("--sampling", self.sampling.as_deref())? {
            Some((name, text)) => Sampling::read(&name, &text).map_err(of("--sampling"))?,
            None => Sampling::default(),
        };
        let secret = self.privacy_key.secret()?;
        let privacy = match file("--privacy", self.privacy.as_deref())? {
            Some((name, text)) => {
                let secret = secret.as_ref().map(Secret::reveal);
                Privacy::read(&name, &text, secret).map_err(of("--privacy"))?
            }
            None => Privacy::default(),
        };
        Ok(EventRules {
            sampling: Arc::new(sampling),
            companies: Arc::new(companies),
            allowed: Arc::new(allowed),
            app_fields: Arc::new(app_fields),
            privacy: Arc::new(privacy),
            enrichment: self.enrichment(),
        })
    }

    fn enrichment(&self) -> Enrichment {
        let has = |what| self.enrich.contains(&Enrich::All) || self.enrich.contains(&what);
        Enrichment {
            related: has(Enrich::Related),
            user_agents: has(Enrich::UserAgents),
            errors: has(Enrich::Errors),
            statements: has(Enrich::Statements),
            ..Enrichment::default()
        }
    }
}

/// An error with the setting before it.
fn of(setting: &str) -> impl Fn(String) -> String {
    move |error| format!("{setting}: {error}")
}

/// The name and text of a file, if one is named.
fn file(setting: &str, path: Option<&Path>) -> Result<Option<(String, String)>, String> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{setting} {name}: {error}"))?;
    Ok(Some((name, text)))
}
