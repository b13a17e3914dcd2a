//! `tahoe tenant`: client companies, each of which sees its own events and no others.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use tahoe_pipeline::secret::{self, Secret};
use tahoe_pipeline::service::{Process, ProcessArgs};
use tahoe_sink_elasticsearch::{
    Added, Address, Company, ElasticsearchArgs, Removed, Tenant, Tenants, Wanted,
};

use crate::{dataset, kibana, output};

/// Bytes of a password that is drawn: 24 characters.
const PASSWORD_BYTES: usize = 18;

#[derive(Subcommand)]
enum Action {
    Add(Box<AddArgs>),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Where the companies' access is kept.
#[derive(Args)]
struct ServerArgs {
    /// Address of Kibana, which takes the same login as Elasticsearch; without it no space is made
    #[arg(long, env = "KIBANA_URL", value_name = "URL", hide_env_values = true)]
    kibana: Option<Address>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    elasticsearch: ElasticsearchArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Let a company see its own events: a role that reads its data streams, and what is asked for
/// beside it.
///
/// Also makes the internal roles tahoe-admin, tahoe-analyst and tahoe-support, of which support
/// sees every company. Run again it makes what is missing. Passwords and keys that it makes are
/// printed once, on stdout, and nowhere else.
///
/// Example: tahoe tenant add acme --user ann --api-key --kibana https://127.0.0.1:5601
#[derive(Args)]
struct AddArgs {
    /// The company: the namespace of its events
    #[arg(value_name = "NAME")]
    company: Company,
    /// User who gets the role, created if there is none; repeatable
    #[arg(long = "user", value_name = "NAME", value_delimiter = ',', value_parser = user)]
    users: Vec<String>,
    /// File with the password of users that are created [default: one is drawn, and printed]
    #[arg(long, env = "TAHOE_USER_PASSWORD_FILE", value_name = "PATH")]
    user_password_file: Option<PathBuf>,
    /// Logins from elsewhere (LDAP, SAML, OpenID) that get the role: field and value of one, such as
    /// groups=acme or username=*@acme.example; repeatable, any of them counts
    #[arg(long = "role-mapping", value_name = "FIELD=VALUE", value_parser = pair)]
    logins: Vec<(String, String)>,
    /// Make a key that writes the company's data streams and reads nothing, if there is none
    #[arg(long)]
    api_key: bool,
    /// Make a new key, and end those that there are
    #[arg(long)]
    new_api_key: bool,
    /// Namespace that several companies share: the role reads those of its documents that --shared-by
    /// names. Needs a licence with document-level security
    #[arg(long, value_name = "NAMESPACE", requires = "shared_by", value_parser = dataset::namespace)]
    shared: Option<String>,
    /// Field and value of the documents of a shared namespace that are this company's
    #[arg(long, value_name = "FIELD=VALUE", requires = "shared", value_parser = pair)]
    shared_by: Option<(String, String)>,
    /// Saved objects for the company's space (NDJSON, as Kibana exports them) [default: those of
    /// `tahoe kibana export`]
    #[arg(long, value_name = "PATH", requires = "kibana")]
    dashboards: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Companies that have a role or data, who reads them and what writes them.
///
/// Example: tahoe tenant list --json
#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Take a company's access away: keys, role, users that have no other, space. Its events stay.
///
/// Example: tahoe tenant remove acme --dry-run
#[derive(Args)]
struct RemoveArgs {
    /// The company
    #[arg(value_name = "NAME")]
    company: Company,
    /// Delete its events too, for good; asks first, or takes --yes for the answer
    #[arg(long)]
    delete_data: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Change nothing; print what would go
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The command with its subcommands.
pub fn command() -> Command {
    Action::augment_subcommands(Command::new("tenant"))
        .about("Keep client companies apart: who sees whose events")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Example: tahoe tenant add acme --user ann")
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match Action::from_arg_matches(matches)? {
        Action::Add(args) => add(&args, &args.server.begin(matches)?),
        Action::List(args) => list(&args, &args.server.begin(matches)?),
        Action::Remove(args) => remove(&args, &args.server.begin(matches)?),
    }
}

impl ServerArgs {
    fn begin(&self, matches: &ArgMatches) -> anyhow::Result<Process> {
        let (name, matches) = matches.subcommand().expect("clap requires one of the subcommands");
        let command = command();
        let command = command.find_subcommand(name).expect("clap took it from this one");
        self.process.begin(command, matches).map_err(|error| anyhow!(error))
    }

    fn tenants(&self) -> anyhow::Result<Tenants> {
        if !self.elasticsearch.is_set() {
            bail!("tahoe tenant needs Elasticsearch: set --elasticsearch (ELASTICSEARCH_URL)");
        }
        Ok(Tenants::new(&self.elasticsearch, self.kibana.as_ref())?)
    }

    fn print(&self, value: &Value, text: String) -> anyhow::Result<()> {
        output::print(if self.json { format!("{value}\n") } else { text })
    }
}

fn add(args: &AddArgs, process: &Process) -> anyhow::Result<ExitCode> {
    let file = args.user_password_file.as_deref().filter(|path| !path.as_os_str().is_empty());
    let given = secret::from_value_or_file("TAHOE_USER_PASSWORD", None, file);
    let given = given.map_err(|error| anyhow!(error))?;
    let is_drawn = given.is_none();
    let dashboards = match (&args.dashboards, &args.server.kibana) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path);
            Some(text.with_context(|| format!("--dashboards {}", path.display()))?)
        }
        (None, Some(_)) => Some(kibana::objects(&args.company.space())),
        (None, None) => None,
    };
    let shared = args.shared.clone().zip(args.shared_by.clone());
    let wanted = Wanted {
        users: args.users.clone(),
        password: Some(given.map_or_else(password, Ok)?),
        logins: args.logins.clone(),
        api_key: args.api_key || args.new_api_key,
        new_api_key: args.new_api_key,
        shared: shared.map(|(namespace, (field, value))| (namespace, field, value)),
        dashboards,
    };
    let tenants = args.server.tenants()?;
    let added = process.runtime.block_on(tenants.add(&args.company, &wanted));
    let shown = wanted.password.as_ref().filter(|_| is_drawn);
    let value = added_value(&args.company, &added, shown);
    args.server.print(&value, added_text(&added, shown))?;
    match added.error {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn list(args: &ListArgs, process: &Process) -> anyhow::Result<ExitCode> {
    let all = process.runtime.block_on(args.server.tenants()?.list())?;
    args.server.print(&json!({"companies": all}), all.iter().map(tenant_text).collect())?;
    Ok(ExitCode::SUCCESS)
}

fn remove(args: &RemoveArgs, process: &Process) -> anyhow::Result<ExitCode> {
    let tenants = args.server.tenants()?;
    let name = args.company.name();
    if args.delete_data && !args.yes && !args.dry_run {
        let plan = process.runtime.block_on(tenants.remove(&args.company, false, true))?;
        let documents: u64 = plan.data.iter().map(|gone| gone.documents).sum();
        let streams = plan.data.len();
        eprint!(
            "{documents} documents of {name} in {streams} data streams would be deleted for good. "
        );
        if !io::stdin().is_terminal() {
            eprintln!();
            bail!("nothing was done: --delete-data without a terminal needs --yes");
        }
        eprint!("Type the company's name to go on: ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if answer.trim() != name {
            bail!("nothing was done");
        }
    }
    let removing = tenants.remove(&args.company, args.delete_data, args.dry_run);
    let removed = process.runtime.block_on(removing)?;
    let mut value = serde_json::to_value(&removed)?;
    value["company"] = name.into();
    value["dry_run"] = args.dry_run.into();
    args.server.print(&value, removed_text(&removed, args))?;
    Ok(ExitCode::SUCCESS)
}

/// Of a login's name in a path of the API.
fn user(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-@+$".contains(c);
    match !text.is_empty() && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("a user is letters, digits and ._-@+$".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() && !value.is_empty() => {
            Ok((field.to_owned(), value.to_owned()))
        }
        _ => Err("give FIELD=VALUE".to_owned()),
    }
}

fn password() -> anyhow::Result<Secret> {
    let mut bytes = [0; PASSWORD_BYTES];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| anyhow!("the system gives no random bytes for a password"))?;
    Ok(Secret::from(URL_SAFE_NO_PAD.encode(bytes).as_str()))
}

/// The secrets are in here: stdout alone gets it.
fn added_value(company: &Company, added: &Added, password: Option<&Secret>) -> Value {
    let roles = added.roles.iter().map(|(name, is_new)| json!({"name": name, "created": is_new}));
    let users = added.users.iter().map(|(name, is_new)| {
        let password = password.filter(|_| *is_new).map(Secret::reveal);
        json!({"name": name, "created": is_new, "password": password})
    });
    let mapping = added.role_mapping.as_ref();
    let key = added.api_key.as_ref();
    let space = added.space.as_ref();
    json!({
        "company": company.name(),
        "roles": roles.collect::<Vec<_>>(),
        "users": users.collect::<Vec<_>>(),
        "role_mapping": mapping.map(|(name, is_new)| json!({"name": name, "created": is_new})),
        "api_key": key.map(|(id, key)| {
            let encoded = key.as_ref().map(Secret::reveal);
            json!({"id": id, "created": key.is_some(), "encoded": encoded})
        }),
        "space": space.map(|(id, is_new, objects)| {
            json!({"id": id, "created": is_new, "saved_objects": objects})
        }),
        "error": added.error.as_ref().map(ToString::to_string),
    })
}

fn added_text(added: &Added, password: Option<&Secret>) -> String {
    let mut lines = Vec::new();
    let made = |is_new: bool| if is_new { "made" } else { "there" };
    for (name, is_new) in &added.roles {
        lines.push(format!("role          {name}  {}", made(*is_new)));
    }
    if let Some((space, is_new, objects)) = &added.space {
        lines.push(format!("space         {space}  {}, {objects} objects", made(*is_new)));
    }
    if let Some((name, is_new)) = &added.role_mapping {
        lines.push(format!("role mapping  {name}  {}", made(*is_new)));
    }
    for (name, is_new) in &added.users {
        let secret = password.filter(|_| *is_new).map_or(String::new(), |password| {
            format!(", password (shown once): {}", password.reveal())
        });
        lines.push(format!("user          {name}  {}{secret}", made(*is_new)));
    }
    if let Some((id, key)) = &added.api_key {
        let secret = key.as_ref().map_or(String::new(), |key| {
            format!(", ELASTIC_API_KEY (shown once): {}", key.reveal())
        });
        lines.push(format!("API key       {id}  {}{secret}", made(key.is_some())));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn tenant_text(tenant: &Tenant) -> String {
    let Tenant { company, role, users, role_mapping, api_keys, data_streams, space } = tenant;
    let role = if role.is_some() { "role" } else { "no role (tahoe tenant add)" };
    let users = if users.is_empty() { "none".to_owned() } else { users.join(", ") };
    let mapping = if *role_mapping { ", and logins" } else { "" };
    let space = space.as_ref().map_or(String::new(), |space| format!("; space {space}"));
    let (keys, streams) = (api_keys.len(), data_streams.len());
    format!(
        "{company}  {role}; users: {users}{mapping}; {keys} keys; {streams} data streams{space}\n"
    )
}

fn removed_text(removed: &Removed, args: &RemoveArgs) -> String {
    let mut lines = Vec::new();
    let gone = if args.dry_run { "would go" } else { "gone" };
    let mut say = |what: &str, names: &[String], how: &str| {
        lines.extend(names.iter().map(|name| format!("{what:<13} {name}  {how}")));
    };
    say("API key", &removed.api_keys, gone);
    say("role", removed.role.as_slice(), gone);
    say("user", &removed.users_deleted, gone);
    say("user", &removed.users_changed, "keeps other roles");
    say("space", removed.space.as_slice(), gone);
    if removed.role_mapping {
        lines.push(format!("role mapping  {gone}"));
    }
    if args.server.kibana.is_none() {
        lines.push("space         not asked for: name Kibana by --kibana".to_owned());
    }
    for data in &removed.data {
        let how = match (data.deleted, data.is_empty) {
            (true, false) => "deleted",
            (true, true) => "emptied: this server cannot delete it",
            (false, _) if args.delete_data => "would go",
            (false, _) => "stays",
        };
        lines.push(format!("data          {}  {} documents, {how}", data.name, data.documents));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_no_character_that_means_something_in_a_path() {
        assert!(user("ann@acme.example").is_ok());
        for name in ["", "a/b", "../role", "a?b", "a b", "a,b", "*"] {
            assert!(user(name).is_err(), "{name}");
        }
    }

    #[test]
    fn two_passwords_that_are_drawn_differ() {
        let (one, other) = (password().expect("drawn"), password().expect("drawn"));
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 24);
    }
}
