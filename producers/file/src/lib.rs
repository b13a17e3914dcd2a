//! Any file, any dataset: the producer for formats that need no transport of their own.

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use tahoe_pipeline::service::{Place, Planned, Producer, path_set, plan_files};

/// The general producer of files.
pub struct File;

/// Its settings.
#[derive(Args)]
#[command(next_help_heading = "Files")]
struct FileArgs {
    /// Files of one dataset: nginx.access=/var/log/nginx/access.log; may be repeated
    #[arg(long, env = "TAHOE_FILES", value_name = "DATASET=PATH", value_delimiter = ',')]
    file: Vec<String>,
}

impl Producer for File {
    fn name(&self) -> &'static str {
        "tahoe-file"
    }

    fn about(&self) -> &'static str {
        "Tails files of any dataset into Kafka"
    }

    fn example(&self) -> &'static str {
        "tahoe-file --kafka 127.0.0.1:9092 --file nginx.access=/var/log/nginx/access.log"
    }

    fn arguments(&self, command: Command) -> Command {
        FileArgs::augment_args(command)
    }

    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String> {
        let args = FileArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let given = args.file.iter().filter(|file| !file.is_empty());
        let sets = given.map(|file| match file.split_once('=') {
            Some((dataset, path)) if !path.is_empty() => {
                path_set(&format!("--file {file}"), dataset, vec![path.to_owned()], place)
            }
            _ => Err(format!("--file {file}: give DATASET=PATH")),
        });
        let sets = sets.collect::<Result<Vec<_>, _>>()?;
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![plan_files("file", sets, place)?])
    }
}
