//! Laravel's log files: `laravel.log`, and the daily `laravel-*.log`.

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use tahoe_pipeline::service::{Place, Planned, Producer, path_set, plan_files};

/// The producer of `laravel.log`.
pub struct Laravel;

/// Its settings.
#[derive(Args)]
#[command(next_help_heading = "Laravel")]
struct LaravelArgs {
    /// Log file or pattern (storage/logs/laravel-*.log); may be repeated
    #[arg(long, env = "LARAVEL_LOG_FILE", value_name = "PATH", value_delimiter = ',')]
    laravel: Vec<String>,
}

impl Producer for Laravel {
    fn name(&self) -> &'static str {
        "tahoe-laravel"
    }

    fn about(&self) -> &'static str {
        "Tails Laravel log files into Kafka"
    }

    fn example(&self) -> &'static str {
        "tahoe-laravel --kafka 127.0.0.1:9092 --laravel storage/logs/laravel.log"
    }

    fn arguments(&self, command: Command) -> Command {
        LaravelArgs::augment_args(command)
    }

    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String> {
        let args = LaravelArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let paths: Vec<_> = args.laravel.into_iter().filter(|path| !path.is_empty()).collect();
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let set = path_set("--laravel", "laravel.log", paths, place)?;
        Ok(vec![plan_files("laravel", vec![set], place)?])
    }
}
