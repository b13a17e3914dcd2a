//! The settings and files by which an operator says what events mean and whose they are, the same
//! for the service, `tahoe up` and `tahoe parse`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tahoe_pipeline::renewed::{Renewed, Screens};
use tahoe_pipeline::service::{PrivacyKeyArgs, ScreenArgs, of_setting, read_privacy, read_table};
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
    /// drop, mask, hash, encrypt, truncate or detect; read again when it changes
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

/// Where the policy holds, of a command that is producer and transformer in one.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct AtSourceArgs {
    /// Apply the privacy policy (--privacy) before anything is written to the log, not only before
    /// it is stored; needs a secret
    #[arg(long, env = "TAHOE_PRIVACY_AT_SOURCE", help_heading = "Records")]
    pub privacy_at_source: bool,
}

impl AtSourceArgs {
    /// The policy before the log, that of `rules`. Without one, what an earlier run encrypted is
    /// read still.
    ///
    /// # Errors
    /// Name the setting, and the file and line.
    pub fn screens(self, rules: &RuleArgs) -> Result<Option<Arc<Screens>>, String> {
        let privacy = rules.privacy.clone().filter(|path| !path.as_os_str().is_empty());
        if self.privacy_at_source && privacy.is_none() {
            return Err("--privacy-at-source: --privacy names no policy".to_owned());
        }
        let args = ScreenArgs {
            privacy: privacy.filter(|_| self.privacy_at_source),
            privacy_key: rules.privacy_key.clone(),
            app_fields: rules.app_fields.clone(),
        };
        args.screens()
    }
}

/// Files that are read again when they change.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// Databases of networks.
    pub geoip: Option<Arc<GeoFiles>>,
    /// The privacy policy and its secrets.
    pub policy: Option<Arc<Renewed<Privacy>>>,
}

impl Renewal {
    /// Looks for changes again and again.
    pub fn watch(&self) {
        self.geoip.iter().for_each(|files| files.watch());
        self.policy.iter().for_each(Renewed::watch);
    }
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

impl RuleArgs {
    /// Reads the files. What they say later is not noticed.
    ///
    /// # Errors
    /// Name the setting, and the file and line.
    pub fn read(&self) -> Result<EventRules, String> {
        Ok(self.read_to_renew()?.0)
    }

    /// The same, and the files that may change, if there are any.
    ///
    /// # Errors
    /// Name the setting, and the file and line.
    pub fn read_to_renew(&self) -> Result<(EventRules, Renewal), String> {
        let renewal = Renewal { geoip: self.geo_files()?, policy: self.policy()? };
        let privacy = match &renewal.policy {
            Some(policy) => policy.now(),
            None => Arc::new(read_privacy("--privacy", None, &self.privacy_key)?),
        };
        let mut rules = self.read_tables(privacy)?;
        if let Some(files) = &renewal.geoip {
            rules.enrichment.networks = files.networks();
        }
        Ok((rules, renewal))
    }

    fn geo_files(&self) -> Result<Option<Arc<GeoFiles>>, String> {
        let paths = self.geoip.iter().filter(|path| !path.as_os_str().is_empty());
        let paths: Vec<_> = paths.cloned().collect();
        if paths.is_empty() { Ok(None) } else { GeoFiles::open(&paths).map(Some) }
    }

    fn policy(&self) -> Result<Option<Arc<Renewed<Privacy>>>, String> {
        let privacy = self.privacy.clone().filter(|path| !path.as_os_str().is_empty());
        let key = self.privacy_key.clone();
        let paths: Vec<_> = privacy.iter().cloned().chain(key.file().map(Path::to_owned)).collect();
        if paths.is_empty() {
            return Ok(None);
        }
        let read = move || read_privacy("--privacy", privacy.as_deref(), &key);
        Renewed::open("--privacy", paths, Box::new(read)).map(Some)
    }

    /// All but the networks.
    fn read_tables(&self, privacy: Arc<Privacy>) -> Result<EventRules, String> {
        let table = self.namespace_rules.as_deref();
        let mut companies =
            read_table("--namespace-rules", table, Companies::read)?.unwrap_or_default();
        for field in self.namespace_from.iter().filter(|field| !field.is_empty()) {
            companies.add_field(field).map_err(of_setting("--namespace-from"))?;
        }
        let mut allowed = Allowed::default();
        for name in self.allow_namespace.iter().filter(|name| !name.is_empty()) {
            allowed.add(name).map_err(of_setting("--allow-namespace"))?;
        }
        let app_fields = read_table("--app-fields", self.app_fields.as_deref(), AppFields::read)?;
        let sampling = read_table("--sampling", self.sampling.as_deref(), Sampling::read)?;
        Ok(EventRules {
            sampling: Arc::new(sampling.unwrap_or_default()),
            companies: Arc::new(companies),
            allowed: Arc::new(allowed),
            app_fields: Arc::new(app_fields.unwrap_or_default()),
            privacy,
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
