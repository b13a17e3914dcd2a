//! `tahoe schema`: what the documents of a dataset are, from the declarations that the parsers and
//! the templates come from.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tahoe_schemas::contract::{Declared, FieldRow, field_table, json_schema, template};

use crate::{dataset, output};

/// Print the JSON Schema, the Elasticsearch template or the fields of a dataset.
///
/// Example: tahoe schema nginx.access --format table
#[derive(Args)]
pub struct SchemaArgs {
    /// The dataset: a name from `tahoe parse --list`
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// What to print: a JSON Schema (draft 2020-12) of its documents, the index template that `tahoe
    /// setup` writes, or a table (Markdown) of the fields that it may write
    #[arg(long, value_enum, default_value = "json-schema")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    JsonSchema,
    Template,
    Table,
}

/// Runs the command.
pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let dataset = dataset::given("DATASET", &args.dataset)?;
    let text = match args.format {
        Format::JsonSchema => format!("{:#}\n", json_schema(dataset)),
        Format::Template => format!("{:#}\n", template(dataset)),
        Format::Table => table(&field_table(dataset)),
    };
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[FieldRow]) -> String {
    let mut out = String::from("| field | type | description |\n|---|---|---|\n");
    for FieldRow { path, kind, array, description, declared } in rows {
        let several = if *array { ", several" } else { "" };
        let description = match declared {
            Declared::Ecs => "ECS".to_owned(),
            _ => description.replace('|', "\\|"),
        };
        out.push_str(&format!("| `{path}` | {kind}{several} | {description} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use tahoe_schemas::datasets;

    use super::*;
    use crate::docs;

    fn page() -> String {
        let mut page = String::from(
            "# Fields of the datasets\n\n\
             The fields that documents have beside those of the [Elastic Common Schema]\
             (https://www.elastic.co/guide/en/ecs/current/index.html), as the parsers declare \
             them: no other is ever written. `tahoe schema DATASET --format table` prints those of \
             ECS too, `--format json-schema` a JSON Schema of the documents, `--format template` \
             the index template.\n\n\
             <!-- `UPDATE_DOCS=1 cargo test -p tahoe fields` writes this page. -->\n",
        );
        let of = |dataset, declared| {
            let rows = field_table(dataset).into_iter().filter(|row| row.declared == declared);
            rows.collect::<Vec<_>>()
        };
        page.push_str("\n## Every dataset\n\n");
        page.push_str(&table(&of(datasets::ALL[0], Declared::Shared)));
        for dataset in datasets::ALL {
            let declared = dataset.declared();
            let (name, title, topic) = (declared.name, declared.title, declared.topic);
            page.push_str(&format!("\n## {name}\n\n{title}; topic `{topic}`, "));
            page.push_str(&format!("kept for {} days.\n", declared.retention_days));
            if !declared.routes.is_empty() {
                let routes = declared.routes.join("`, `");
                page.push_str(&format!("Some of its records are events of `{routes}`.\n"));
            }
            let own = of(dataset, Declared::Own);
            if !own.is_empty() {
                page.push('\n');
                page.push_str(&table(&own));
            }
        }
        page
    }

    #[test]
    fn the_page_of_fields_is_that_of_the_declarations() {
        docs::assert_current("docs/fields.md", &page());
    }
}
