//! `tahoe transformations`: what the values of `tahoe.transformations` mean, from the one table that
//! the parsers write them by.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use tahoe_schemas::{Explained, Transformation};

use crate::output;

/// Explain the values of tahoe.transformations, in which an event says what was done to it.
///
/// Example: tahoe transformations timezone_assumed:Europe/Madrid
#[derive(Args)]
pub struct TransformationsArgs {
    /// Explain only these; a value of a document will do as well [default: all]
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Print one JSON object a line: {"word": …, "argument": …, "meaning": …, "example": …}
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &TransformationsArgs) -> anyhow::Result<ExitCode> {
    let mut out = String::new();
    for one in chosen(&args.words)? {
        out.push_str(&if args.json { line(one) } else { paragraph(one) });
    }
    output::print(out)?;
    Ok(ExitCode::SUCCESS)
}

fn chosen(words: &[String]) -> anyhow::Result<Vec<Explained>> {
    if words.is_empty() {
        return Ok(Transformation::ALL.iter().map(|one| one.explained()).collect());
    }
    let mut chosen = Vec::new();
    for word in words {
        let Some(one) = Transformation::of(word) else {
            let all: Vec<_> = Transformation::ALL.iter().map(|one| one.word()).collect();
            bail!("{word}: no such word; there are {}", all.join(", "));
        };
        chosen.push(one.explained());
    }
    Ok(chosen)
}

/// `word:<argument>`
fn form(one: Explained) -> String {
    match one.argument {
        "" => one.word.to_owned(),
        argument => format!("{}:<{argument}>", one.word),
    }
}

fn paragraph(one: Explained) -> String {
    format!("{}\n    {}\n    Example: {}\n", form(one), one.meaning, one.example)
}

fn line(one: Explained) -> String {
    let Explained { word, argument, meaning, example } = one;
    let mut object = json!({"word": word, "meaning": meaning, "example": example});
    if !argument.is_empty() {
        object["argument"] = argument.into();
    }
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::docs;

    fn page() -> String {
        let mut page = String::from(
            "# What was done to an event\n\n\
             Every event lists in `tahoe.transformations` what was done to its record on the way \
             into the document, in these words; no other is ever written. `tahoe transformations` \
             prints the same. The record itself is in its topic as it was read, unless its \
             producer had a privacy policy.\n\n\
             <!-- `UPDATE_DOCS=1 cargo test -p tahoe transformations` writes this page. -->\n\n\
             | value | meaning | example |\n|---|---|---|\n",
        );
        for one in Transformation::ALL.iter().map(|one| one.explained()) {
            let _ = writeln!(page, "| `{}` | {} | `{}` |", form(one), one.meaning, one.example);
        }
        page
    }

    #[test]
    fn the_page_of_transformations_is_that_of_the_code() {
        docs::assert_current("docs/transformations.md", &page());
    }

    #[test]
    fn a_value_of_a_document_is_explained_by_its_word() {
        let found = chosen(&["timezone_assumed:Europe/Madrid".to_owned()]).expect("it is a word");
        assert_eq!(form(found[0]), "timezone_assumed:<the zone>");
        let error = chosen(&["invented".to_owned()]).expect_err("it is none").to_string();
        assert!(
            error.starts_with("invented: no such word; there are address_truncated"),
            "{error}"
        );
    }
}
