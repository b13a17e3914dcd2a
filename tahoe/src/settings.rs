//! The table of settings in README.md and docs/settings.md, made from the commands themselves: a setting is declared once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Command;
use tahoe_pipeline::service::{producer_command, service_command};

use crate::docs;
use crate::registry::PRODUCERS;

const BEGIN: &str = "<!-- settings: `UPDATE_DOCS=1 cargo test -p tahoe settings` writes this -->\n";
const END: &str = "<!-- end of settings -->\n";

/// A setting as one of the commands declares it, and which of them do.
struct Setting {
    variable: String,
    default: String,
    help: String,
    commands: Vec<String>,
}

/// Every command with what it is called.
fn commands() -> Vec<(String, Command)> {
    let producers = PRODUCERS.iter().map(|producer| producer_command(*producer));
    let services = producers.chain([service_command(&tahoe_transformer::Transformer)]);
    let mut all: Vec<_> =
        services.map(|command| (command.get_name().to_owned(), command)).collect();
    for part in crate::command().get_subcommands() {
        let name = format!("tahoe {}", part.get_name());
        if part.has_subcommands() {
            let below = part.get_subcommands();
            all.extend(below.map(|one| (format!("{name} {}", one.get_name()), one.clone())));
        } else {
            all.push((name, part.clone()));
        }
    }
    all
}

/// Settings by heading, in the order of their names.
fn settings() -> BTreeMap<String, BTreeMap<String, Setting>> {
    let mut by_heading: BTreeMap<String, BTreeMap<String, Setting>> = BTreeMap::new();
    for (name, command) in commands() {
        for argument in command.get_arguments() {
            let Some(long) =
                argument.get_long().filter(|long| !matches!(*long, "help" | "version"))
            else {
                continue;
            };
            let values =
                argument.get_value_names().filter(|_| argument.get_action().takes_values());
            let value = values.map_or(String::new(), |names| format!(" {}", names.join(" ")));
            let heading = argument.get_help_heading().unwrap_or("The command's own");
            let setting = by_heading
                .entry(heading.to_owned())
                .or_default()
                .entry(format!("--{long}{value}"))
                .or_insert_with(|| Setting {
                    variable: argument
                        .get_env()
                        .map_or(String::new(), |name| format!("`{}`", name.to_string_lossy())),
                    default: defaults(argument),
                    help: argument.get_help().map_or(String::new(), ToString::to_string),
                    commands: Vec::new(),
                });
            setting.commands.push(name.clone());
        }
    }
    by_heading
}

fn defaults(argument: &clap::Arg) -> String {
    let shown = argument.get_action().takes_values();
    let values = argument.get_default_values().iter().filter(|_| shown);
    values.map(|value| format!("`{}`", value.to_string_lossy())).collect::<Vec<_>>().join(", ")
}

fn table() -> String {
    let mut out = String::new();
    let every = commands().len();
    for (heading, settings) in settings() {
        let _ = write!(out, "\n**{heading}**\n\n");
        out.push_str("| flag | variable | default | what | of |\n|---|---|---|---|---|\n");
        for (flag, setting) in settings {
            let of = match setting.commands.len() {
                many if many > every / 2 => "most".to_owned(),
                _ => setting.commands.join(", "),
            };
            let Setting { variable, default, help, .. } = setting;
            let help = help.replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(out, "| `{flag}` | {variable} | {default} | {help} | {of} |");
        }
    }
    out.push('\n');
    out
}

/// The page of the book, whose table is the README's.
fn page() -> String {
    format!(
        "# Settings\n\nEvery setting is a flag and, where named, a variable; the flag wins. An empty \
         variable counts as unset. Secrets are better given as variables or files than as flags, and \
         are never logged. The last column says which commands take the setting.\n\n\
         <!-- `UPDATE_DOCS=1 cargo test -p tahoe settings` writes this page. -->\n{}",
        table().trim_end_matches('\n').to_owned() + "\n"
    )
}

#[test]
fn the_page_of_settings_is_that_of_the_code() {
    docs::assert_current("docs/settings.md", &page());
}

#[test]
fn the_settings_in_the_readme_are_those_of_the_code() {
    let readme = docs::read("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("README.md marks where settings begin");
    let (_, after) = rest.split_once(END).expect("README.md marks where settings end");
    docs::assert_current("README.md", &format!("{before}{BEGIN}{}{END}{after}", table()));
}
