//! What the sink makes of answers that no server here gives: those of one that is not healthy, of one
//! that has lifecycles, and of Kibana.

mod disks;
mod faults;
mod kibana;
mod lifecycle;
mod scripted;

use clap::Parser;
use tahoe_sink_elasticsearch::ElasticsearchArgs;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    elasticsearch: ElasticsearchArgs,
}

/// The settings of a command line.
fn settings(args: &[&str]) -> ElasticsearchArgs {
    let args = std::iter::once("tahoe").chain(args.iter().copied());
    Command::try_parse_from(args).expect("these are settings").elasticsearch
}
