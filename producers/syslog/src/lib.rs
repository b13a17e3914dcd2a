//! Syslog: the machine's own log files or journal, and what other machines send.

use std::fs::File;
use std::path::Path;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use tahoe_pipeline::journal::{Journal, JournalArgs};
use tahoe_pipeline::listen::{Listen, ListenArgs};
use tahoe_pipeline::seams::{Origin, Stream};
use tahoe_pipeline::service::{Place, Planned, Producer, path_set, plan_files};

/// The producer of syslog.
pub struct Syslog;

/// Where it listens unless told otherwise: only this machine, and no port that needs root.
const ADDRESS: &str = "127.0.0.1:5514";

/// Where Debian's and Red Hat's rsyslog write, by dataset.
const SYSTEM_FILES: [(&str, [&str; 2]); 3] = [
    ("system.syslog", ["/var/log/syslog", "/var/log/messages"]),
    ("system.auth", ["/var/log/auth.log", "/var/log/secure"]),
    ("system.kern", ["/var/log/kern.log", ""]),
];

/// Where journald keeps it: on disk, or in memory until the next start of the machine.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// The dataset of what other machines send.
const SYSLOG: &str = "system.syslog";

/// Its settings.
#[derive(Args)]
#[command(next_help_heading = "Syslog")]
struct SyslogArgs {
    /// What the journal's entries are: system.syslog, which sends each to system.syslog, system.auth
    /// or system.kern, or journald.log, which keeps all together
    #[arg(
        long,
        env = "TAHOE_JOURNAL_DATASET",
        value_name = "NAME",
        default_value = "system.syslog",
        value_parser = ["system.syslog", "journald.log"]
    )]
    journal_dataset: String,
    /// File of syslog lines, or a pattern (/var/log/remote/*.log); may be repeated
    #[arg(long, env = "TAHOE_SYSLOG_FILES", value_name = "PATH", value_delimiter = ',')]
    syslog_file: Vec<String>,
    /// Leave this machine's own logs alone and open no socket unless asked
    #[arg(long, env = "TAHOE_NO_SYSTEM")]
    no_system: bool,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    journal: JournalArgs,
}

impl Producer for Syslog {
    fn name(&self) -> &'static str {
        "tahoe-syslog"
    }

    fn about(&self) -> &'static str {
        "Takes syslog from sockets, from files and from the journal into Kafka"
    }

    fn example(&self) -> &'static str {
        "tahoe-syslog --kafka 127.0.0.1:9092 --syslog 127.0.0.1:5514"
    }

    fn arguments(&self, command: Command) -> Command {
        SyslogArgs::augment_args(command)
    }

    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String> {
        let mut args = SyslogArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        args.listen.syslog.retain(|address| !address.is_empty());
        let mut planned = Vec::new();
        // What rsyslog writes to the machine's files is in its journal already.
        let own_journal = args.journal.is_asked_for() && args.journal.is_own();
        if !args.no_system {
            if !own_journal {
                planned.extend(system_files(place)?);
            }
            // A system without rsyslog has its journal alone.
            if planned.is_empty() && has_journal() {
                args.journal.journal = true;
            }
            if !args.listen.is_asked_for() {
                args.listen.syslog.push(ADDRESS.to_owned());
            }
        }
        args.syslog_file.retain(|path| !path.is_empty());
        if !args.syslog_file.is_empty() {
            let set = path_set("--syslog-file", "system.syslog", args.syslog_file, place)?;
            planned.push(plan_files("syslog-file", vec![set], place)?);
        }
        if args.journal.is_asked_for() {
            planned.push(journal(args.journal, args.journal_dataset, place));
        }
        if args.listen.is_asked_for() {
            let bytes_max = args.listen.syslog_message_bytes_max as usize;
            place.fitting("--syslog-message-bytes-max", Some(bytes_max))?;
            planned.push(listener(args.listen, place));
        }
        Ok(planned)
    }
}

/// The system's own logs, as far as they are there; each that cannot be read is noted.
fn system_files(place: &Place) -> Result<Option<Planned>, String> {
    let mut sets = Vec::new();
    let mut notes = Vec::new();
    for (dataset, paths) in SYSTEM_FILES {
        let there = paths.into_iter().filter(|path| match File::open(path) {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                notes.push(format!("{path}: {error}: add this user to the group that may read it"));
                false
            }
        });
        let there: Vec<String> = there.map(str::to_owned).collect();
        if !there.is_empty() {
            sets.push(path_set("--no-system", dataset, there, place)?);
        }
    }
    if sets.is_empty() {
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        return Ok(None);
    }
    let mut planned = plan_files("system", sets, place)?;
    planned.notes.extend(notes);
    Ok(Some(planned))
}

/// This machine keeps a journal, and has the program that reads it.
fn has_journal() -> bool {
    let kept = JOURNALS.iter().any(|folder| Path::new(folder).is_dir());
    let paths = std::env::var_os("PATH").unwrap_or_default();
    kept && std::env::split_paths(&paths).any(|folder| folder.join("journalctl").is_file())
}

/// What every stream that is not a file has in common.
fn template(dataset: &str, place: &Place) -> Stream {
    let origin = Origin {
        dataset: dataset.to_owned(),
        namespace: place.namespace.clone(),
        host: place.host.clone(),
        time_zone: place.time_zone.clone(),
        labels: place.labels.clone(),
        tags: place.tags.clone(),
        ..Origin::default()
    };
    let topic = place.topic.clone().unwrap_or_else(|| "syslog_logs".to_owned());
    Stream { origin, topic, key: Vec::new(), lane: None, resumable: false }
}

fn journal(args: JournalArgs, dataset: String, place: &Place) -> Planned {
    let place = place.clone();
    let instead = if args.is_own() { ", in place of the files that repeat it" } else { "" };
    Planned {
        name: "journal".to_owned(),
        notes: vec![format!("reading {}{instead}", args.path())],
        waits_for_others: false,
        topics: vec![template(&dataset, &place).topic],
        open: Box::new(move || Ok(Box::new(Journal::new(&args, template(&dataset, &place))))),
        inspect: None,
    }
}

fn listener(args: ListenArgs, place: &Place) -> Planned {
    let place = place.clone();
    let all = [&args.syslog, &args.syslog_tls, &args.syslog_relp, &args.syslog_relp_tls];
    let addresses: Vec<_> = all.into_iter().flatten().map(String::as_str).collect();
    Planned {
        name: "syslog".to_owned(),
        notes: vec![format!("listening for syslog on {}", addresses.join(", "))],
        waits_for_others: true,
        topics: vec![template(SYSLOG, &place).topic],
        open: Box::new(move || Ok(Box::new(Listen::bind(&args, template(SYSLOG, &place))?))),
        inspect: None,
    }
}
