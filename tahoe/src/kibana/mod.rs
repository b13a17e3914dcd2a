//! `tahoe kibana`: the dashboards that the datasets declare, as Kibana takes them.

mod columns;
mod grid;
mod lens;
mod rules;
mod saved;

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Command, FromArgMatches as _};
use serde_json::{Value, json};
use tahoe_sink_elasticsearch::{AccessArgs, Address, Kibana};

use crate::output;
use saved::DEFAULT_SPACE;

/// Print the data views and dashboards as saved objects, one JSON object a line.
///
/// Kibana takes the file under Stack Management, Saved Objects, Import; `tahoe kibana import` does
/// the same by its API.
///
/// Example: tahoe kibana export > tahoe.ndjson
#[derive(Args)]
struct ExportArgs {
    /// Space that they are for: ids are unique in all spaces, so those of another than the default
    /// one have its name in them
    #[arg(long, env = "KIBANA_SPACE", default_value = DEFAULT_SPACE, value_parser = space)]
    space: String,
    /// Print the rules instead, which tell of silence, errors, lag and so on: one JSON object a
    /// line, {"id", "body"} of a request to Kibana's alerting API
    #[arg(long)]
    rules: bool,
}

/// Bring the data views and dashboards into Kibana, as often as one likes.
///
/// What an earlier import made is overwritten, and nothing else: a duplicate that a user made is
/// another object, and stays as it is. The login is that of Elasticsearch.
///
/// Example: tahoe kibana import --kibana http://127.0.0.1:5601
#[derive(Args)]
struct ImportArgs {
    /// Address of Kibana, with its base path if it has one
    #[arg(long, env = "KIBANA_URL", value_name = "URL", hide_env_values = true)]
    kibana: Option<Address>,
    /// Space that they go to; it must be there
    #[arg(long, env = "KIBANA_SPACE", default_value = DEFAULT_SPACE, value_parser = space)]
    space: String,
    /// Bring the rules, too, which tell of silence, errors, lag and so on; what they do then
    /// (mail, a message) is set in Kibana, and stays with the next import
    #[arg(long, env = "KIBANA_RULES")]
    rules: bool,
    /// Print one JSON object: space, objects (their number), dashboards (ids) and rules (names)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// The command with its parts.
pub fn command() -> Command {
    let export = ExportArgs::augment_args(Command::new("export"));
    let import = ImportArgs::augment_args(Command::new("import"));
    Command::new("kibana")
        .about("Dashboards for Kibana, made from what the datasets declare")
        .after_help("Example: tahoe kibana import --kibana http://127.0.0.1:5601")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([export, import])
}

/// Runs the command.
pub fn run(matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    match matches.subcommand() {
        Some(("export", matches)) => export(&ExportArgs::from_arg_matches(matches)?),
        Some(("import", matches)) => import(&ImportArgs::from_arg_matches(matches)?),
        _ => unreachable!("clap requires one of the commands"),
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let objects = match args.rules {
        true => rules::rules(&args.space)
            .into_iter()
            .map(|rule| json!({"id": rule.id, "body": rule.body}))
            .collect(),
        false => saved::objects(&args.space),
    };
    output::print(lines(&objects))?;
    Ok(ExitCode::SUCCESS)
}

fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let Some(address) = &args.kibana else {
        bail!("no address: set --kibana or KIBANA_URL");
    };
    let kibana = Kibana::new(address, &args.access)?;
    let objects = saved::objects(&args.space);
    let space = Some(args.space.as_str()).filter(|space| *space != DEFAULT_SPACE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rules = if args.rules { rules::rules(&args.space) } else { Vec::new() };
    let count = runtime.block_on(async {
        let count = kibana.import(space, &lines(&objects)).await?;
        for rule in &rules {
            kibana.put_rule(space, &rule.id, &rule.body).await?;
        }
        anyhow::Ok(count)
    })?;
    let rules: Vec<_> = rules.iter().filter_map(|rule| rule.body["name"].as_str()).collect();
    let dashboards: Vec<_> = objects
        .iter()
        .filter(|object| object["type"] == "dashboard")
        .filter_map(|object| object["id"].as_str())
        .collect();
    let said = match args.json {
        true => json!({
            "space": args.space,
            "objects": count,
            "dashboards": dashboards,
            "rules": rules,
        })
        .to_string(),
        false => {
            let dashboards = dashboards.iter().map(|id| format!("dashboard    {id}\n"));
            let rules = rules.iter().map(|name| format!("rule         {name}\n"));
            let said: String = dashboards.chain(rules).collect();
            format!("{said}{count} objects are in the space {} of {address}", args.space)
        }
    };
    output::print(said + "\n")?;
    Ok(ExitCode::SUCCESS)
}

/// The data views and dashboards for a space, one JSON object a line.
pub fn objects(space: &str) -> String {
    lines(&saved::objects(space))
}

fn lines(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("{object}\n")).collect()
}

/// What Kibana takes as the identifier of a space.
fn space(text: &str) -> Result<String, String> {
    let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    match !text.is_empty() && text.chars().all(usual) {
        true => Ok(text.to_owned()),
        false => Err("a space's identifier has small letters, digits, _ and - only".to_owned()),
    }
}
