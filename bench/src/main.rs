//! What Tahoe costs: CPU-seconds per million events, events per second and peak memory, measured on
//! the real loops against a real Kafka, with bare librdkafka loops beside them as the floor.
//!
//! A measurement is a process of its own, so that what the system counts for it is its alone.

mod all;
mod endpoint;
mod floor;
mod generate;
mod measure;
mod parse;
mod produce;
mod source;
mod topics;
mod transform;

use std::io::{self, BufWriter};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use generate::Kind;

/// Measures what Tahoe costs
#[derive(Parser)]
#[command(name = "tahoe-bench", version)]
struct Bench {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print realistic lines, the same for the same seed
    #[command(after_help = "Example: tahoe-bench generate laravel --events 1000000 > laravel.log")]
    Generate(GenerateArgs),
    /// Measure parsing alone, of every dataset, from bytes to finished documents; needs no server
    #[command(after_help = "Example: tahoe-bench parse laravel.log nginx.access --rounds 9")]
    Parse(parse::ParseArgs),
    /// Measure the producer: a file through the tail and the producer loop into Kafka
    #[command(after_help = "Example: tahoe-bench produce laravel laravel.log --topic bench \
                            --kafka 127.0.0.1:9092")]
    Produce(produce::ProduceArgs),
    /// Measure the transformer: a topic through its loop into an endpoint that only counts, or
    /// with --elasticsearch into a real one
    #[command(after_help = "Example: tahoe-bench transform laravel --topic bench \
                            --events 1000000 --kafka 127.0.0.1:9092")]
    Transform(transform::TransformArgs),
    /// Measure any producer's source, by its own settings
    #[command(after_help = "Example: tahoe-bench source tahoe-postgres --records 1000000 \
                            --kind rows --kafka 127.0.0.1:9092 -- --pg-host 127.0.0.1\n\n\
                            bench/databases fills databases and runs this.")]
    Source(source::SourceArgs),
    /// Measure bare librdkafka, which no producer or transformer can be cheaper than
    Floor(floor::FloorArgs),
    /// Serve a bulk endpoint that only counts, until stdin ends
    #[command(after_help = "Example: tahoe-bench endpoint --listen 127.0.0.1:9201")]
    Endpoint(endpoint::EndpointArgs),
    /// Run all measurements, each in its own process; one JSON object a line on stdout
    #[command(after_help = "Example: tahoe-bench all --kafka 127.0.0.1:9092 --runs 3\n\n\
                            bench/run starts a Kafka and runs this.")]
    All(all::AllArgs),
}

#[derive(clap::Args)]
struct GenerateArgs {
    /// What kind of lines
    kind: Kind,
    /// How many records
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    events: u64,
    /// Another seed gives other lines
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
}

fn main() -> ExitCode {
    let result = match Bench::parse().command {
        Command::Generate(args) => {
            let out = &mut BufWriter::with_capacity(1 << 20, io::stdout().lock());
            generate::write(args.kind, args.events, args.seed, out).map_err(Into::into)
        }
        Command::Parse(args) => parse::run(args),
        Command::Produce(args) => produce::run(args),
        Command::Transform(args) => transform::run(args),
        Command::Source(args) => source::run(args),
        Command::Floor(args) => floor::run(args),
        Command::Endpoint(args) => endpoint::run(args),
        Command::All(args) => all::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the lines has enough of them.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tahoe-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Bench::command().debug_assert();
    }
}
