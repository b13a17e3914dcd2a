//! The operator's command: run the pipeline, try a parser, search, check, set up.

mod acl;
mod backends;
mod check;
mod compression;
mod dataset;
mod decrypt;
mod dlq;
#[cfg(test)]
mod docs;
mod exported;
mod ingest;
mod kibana;
mod output;
mod parse;
mod registry;
mod replay;
mod report;
mod retention;
mod sample;
mod schema;
mod search;
#[cfg(test)]
mod settings;
mod setup;
mod tenant;
mod time;
mod topics;
mod transformations;
mod up;
mod view;

use std::process::ExitCode;

use clap::{Args as _, Command, FromArgMatches as _};
use tahoe_pipeline::service::matches_of;

fn command() -> Command {
    let parse = parse::ParseArgs::augment_args(Command::new("parse"));
    let search = search::SearchArgs::augment_args(Command::new("search"));
    let transformations =
        transformations::TransformationsArgs::augment_args(Command::new("transformations"));
    let decrypt = decrypt::DecryptArgs::augment_args(Command::new("decrypt"));
    let schema = schema::SchemaArgs::augment_args(Command::new("schema"));
    let report = report::ReportArgs::augment_args(Command::new("report"));
    Command::new("tahoe")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Carries logs into Kafka, normalises them into ECS, and loads Elasticsearch")
        .after_help("Example: tahoe up --sample")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([up::command(), check::command(), setup::command(), setup::teardown_command()])
        .subcommands([search, report, parse, transformations, schema, decrypt, dlq::command()])
        .subcommands([ingest::command(), replay::command(), kibana::command()])
        .subcommands([tenant::command(), retention::command()])
}

fn main() -> ExitCode {
    let matches = matches_of(command());
    let result = match matches.subcommand() {
        Some(("up", matches)) => up::run(matches),
        Some(("check", matches)) => check::run(matches),
        Some(("setup", matches)) => setup::run(matches),
        Some(("teardown", matches)) => setup::tear_down(matches),
        Some(("search", matches)) => search::SearchArgs::from_arg_matches(matches)
            .map_err(Into::into)
            .and_then(|args| search::run(&args)),
        Some(("parse", matches)) => parse::ParseArgs::from_arg_matches(matches)
            .map_err(Into::into)
            .and_then(|args| parse::run(&args)),
        Some(("transformations", matches)) => {
            transformations::TransformationsArgs::from_arg_matches(matches)
                .map_err(Into::into)
                .and_then(|args| transformations::run(&args))
        }
        Some(("schema", matches)) => schema::SchemaArgs::from_arg_matches(matches)
            .map_err(Into::into)
            .and_then(|args| schema::run(&args)),
        Some(("report", matches)) => report::ReportArgs::from_arg_matches(matches)
            .map_err(Into::into)
            .and_then(|args| report::run(&args)),
        Some(("dlq", matches)) => dlq::run(matches),
        Some(("ingest", matches)) => ingest::run(matches),
        Some(("replay", matches)) => replay::run(matches),
        Some(("kibana", matches)) => kibana::run(matches),
        Some(("tenant", matches)) => tenant::run(matches),
        Some(("retention", matches)) => retention::run(matches),
        Some(("decrypt", matches)) => decrypt::DecryptArgs::from_arg_matches(matches)
            .map_err(Into::into)
            .and_then(|args| decrypt::run(&args)),
        _ => unreachable!("clap requires one of the commands"),
    };
    result.unwrap_or_else(|error| {
        eprintln!("tahoe: {}", with_causes(&error));
        ExitCode::FAILURE
    })
}

/// The error and its causes, as far as it does not tell of them itself.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |said, cause| {
        let cause = cause.to_string();
        if said.contains(&cause) { said } else { format!("{said}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_commands_and_their_settings_are_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn every_cause_of_an_error_is_said_once() {
        let cause = anyhow::anyhow!("disk full");
        let error = cause.context("cannot write x: disk full").context("--out");
        assert_eq!(super::with_causes(&error), "--out: cannot write x: disk full");
    }
}
