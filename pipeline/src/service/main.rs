//! The `main` of every service binary.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::{Map, Value};

use super::verify::{Verdict, VerifyArgs};
use super::{
    Check, EmfArgs, Measure, MeasureArgs, Measured, Memory, Metered, Place, Planned, Process,
    ProcessArgs, Producer, Readiness, ScreenArgs, ServeArgs, SourceArgs, Speaker, log_notes,
    matches_of, probe, run_checks, start, topics_of,
};
use crate::log::kafka::{KafkaArgs, KafkaLog};
use crate::poll::Trigger;
use crate::produce::{self, ProduceSettings};
use crate::seams::Log;
use crate::stop::Patience;

/// A process of its own: what it is called, what it checks, what it does.
pub trait Service {
    /// Name of its binary.
    fn name(&self) -> &'static str;
    /// What it does, in a sentence for `--help`.
    fn about(&self) -> &'static str;
    /// A command line that works.
    fn example(&self) -> &'static str;
    /// Adds its own settings to those of every process.
    fn arguments(&self, command: Command) -> Command;
    /// What `--check` looks at.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn checks(&self, matches: &ArgMatches) -> Result<Vec<Check>, String>;
    /// What it is asked to do once, in place of running.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn errand(&self, _matches: &ArgMatches) -> Result<Option<Vec<Check>>, String> {
        Ok(None)
    }
    /// Compares what it has told with its sources, if it is asked to, and prints what differs.
    ///
    /// # Errors
    /// Why it could not be done, with the setting to change.
    fn verify(&self, _matches: &ArgMatches, _json: bool) -> Result<Option<Verdict>, String> {
        Ok(None)
    }
    /// Runs until it is asked to stop.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn run(&self, matches: &ArgMatches, process: &Process) -> Result<(), String>;
}

// No doc comment: clap would take it for the command's description.
#[derive(Args)]
#[command(next_help_heading = "Process")]
struct AskArgs {
    /// Connect to everything that is configured, change nothing, say what is wrong, and exit
    #[arg(long)]
    check: bool,
    /// With --check or --verify: print one JSON object
    #[arg(long)]
    json: bool,
    /// Ask a running service, http://127.0.0.1:9100/readyz, and exit 0 if it says 200
    #[arg(long, value_name = "URL")]
    probe: Option<String>,
}

/// The whole `main`: exit code 0 after a clean stop, 1 on an error, 2 for wrong usage.
pub fn run_service(service: &dyn Service) -> ExitCode {
    let command = service_command(service);
    let matches = matches_of(command.clone());
    let result = run_matches(service, &command, &matches);
    result.unwrap_or_else(|error| {
        eprintln!("{}: {error}", service.name());
        ExitCode::FAILURE
    })
}

/// The command line of a service, for its `main` and for the documentation.
pub fn service_command(service: &dyn Service) -> Command {
    let command = service.arguments(Command::new(service.name()));
    // The description comes last: flattened settings bring one of their own.
    let command = ServeArgs::augment_args(ProcessArgs::augment_args(command));
    AskArgs::augment_args(EmfArgs::augment_args(MeasureArgs::augment_args(command)))
        .version(env!("CARGO_PKG_VERSION"))
        .about(service.about())
        .after_help(format!("Example: {}", service.example()))
}

fn run_matches(
    service: &dyn Service,
    command: &Command,
    matches: &ArgMatches,
) -> Result<ExitCode, String> {
    let ask = AskArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
    if let Some(url) = &ask.probe {
        return probe(url).map(|()| ExitCode::SUCCESS);
    }
    if ask.check {
        return Ok(run_checks(service.checks(matches)?, ask.json));
    }
    match service.verify(matches, ask.json) {
        Ok(None) if ask.json => return Err("--json goes with --check or --verify".to_owned()),
        Ok(None) => {}
        Ok(Some(verdict)) => return Ok(verdict.exit_code()),
        Err(error) => {
            eprintln!("{}: {error}", service.name());
            return Ok(ExitCode::from(Verdict::CANNOT_SAY));
        }
    }
    if let Some(errand) = service.errand(matches)? {
        return Ok(run_checks(errand, false));
    }
    let args = ProcessArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
    let emf = EmfArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
    let emf_namespace = emf.namespace()?;
    let measured = MeasureArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
    let measured_every = measured.every();
    let served = ServeArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
    let begun = args.begin(command, matches)?;
    let process = Process { emf_namespace, measured_every, metrics: served.listen()?, ..begun };
    let result = service.run(matches, &process);
    // A probe that waits for an answer must not keep the process from ending.
    process.runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// A producer's own binary: from its sources into Kafka.
pub fn run_producer(producer: &'static dyn Producer) -> ExitCode {
    run_service(&ProducerService(producer))
}

/// The command line of a producer's own binary.
pub fn producer_command(producer: &'static dyn Producer) -> Command {
    service_command(&ProducerService(producer))
}

struct ProducerService(&'static dyn Producer);

/// What can be asked of a producer that reads a database.
#[derive(Args)]
struct DatabaseArgs {
    /// Make in the server that is read what reading needs, and exit
    #[arg(long, help_heading = "Process")]
    setup: bool,
    /// Take away again what --setup made, and exit
    #[arg(long, help_heading = "Process", conflicts_with = "setup")]
    teardown: bool,
    /// Read polled tables until all that they hold now is in Kafka, and exit
    #[arg(long, help_heading = "Process", conflicts_with_all = ["setup", "teardown"])]
    once: bool,
    #[command(flatten)]
    verify: VerifyArgs,
}

#[derive(Args)]
struct ProducerArgs {
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
}

impl Service for ProducerService {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn about(&self) -> &'static str {
        self.0.about()
    }

    fn example(&self) -> &'static str {
        self.0.example()
    }

    fn arguments(&self, command: Command) -> Command {
        let command = ProducerArgs::augment_args(self.0.arguments(command));
        if self.0.is_database() { DatabaseArgs::augment_args(command) } else { command }
    }

    fn checks(&self, matches: &ArgMatches) -> Result<Vec<Check>, String> {
        let args = ProducerArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let planned = self.plan(&self.place(&args, matches)?, matches)?;
        let topics = topics_of(&planned);
        let log = connect_kafka(&args.kafka, self.0.name(), Patience::default())?;
        let kafka = move || log.check(&topics).map_err(|error| error.to_string());
        let sources = planned.into_iter().map(Planned::check);
        Ok(std::iter::once(Check::new("kafka", kafka)).chain(sources).collect())
    }

    fn errand(&self, matches: &ArgMatches) -> Result<Option<Vec<Check>>, String> {
        match self.asked(matches)? {
            Some(asked) if asked.setup => self.0.prepare(matches).map(Some),
            Some(asked) if asked.teardown => self.0.dismantle(matches).map(Some),
            _ => Ok(None),
        }
    }

    fn verify(&self, matches: &ArgMatches, json: bool) -> Result<Option<Verdict>, String> {
        let Some(asked) = self.asked(matches)?.filter(|asked| asked.verify.is_asked()) else {
            return Ok(None);
        };
        let args = ProducerArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let place = self.place(&args, matches)?;
        if place.screen.as_ref().is_some_and(|screens| screens.now().hides()) {
            return Err(
                "--verify compares values, and --privacy hides some of those in Kafka: what \
                 is hidden cannot be compared"
                    .to_owned(),
            );
        }
        let verifications = self.0.verifications(matches, &place)?;
        let log = connect_kafka(&args.kafka, self.0.name(), Patience::default())?;
        asked.verify.run(log.as_ref(), verifications, json).map(Some)
    }

    fn run(&self, matches: &ArgMatches, process: &Process) -> Result<(), String> {
        let args = ProducerArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
        let place = self.place(&args, matches)?;
        let planned = self.plan(&place, matches)?;
        log_notes(&planned);
        Memory::of([
            ("batches", planned.len() * produce::MEMORY_BYTES_MAX),
            ("kafka", args.kafka.memory_bytes_max(0)),
        ])
        .log();
        let topics = topics_of(&planned);
        let log = connect_kafka(&args.kafka, self.0.name(), process.patience())?;
        let settings = ProduceSettings {
            owner: String::new(),
            grace: process.grace,
            pack_bytes: args.sources.records.pack_bytes,
            screen: place.screen.clone(),
        };
        let running = start(planned, &log, &place.host, &settings, &process.stop);
        let check = Arc::clone(&log);
        let ready = Readiness::new(move || {
            check.check(&topics).map(drop).map_err(|error| error.to_string())
        });
        let trigger = self.0.reads_once().then(|| place.trigger.clone());
        let health = ProducerHealth { sources: running.metered.clone(), ready, trigger };
        let health = Arc::new(health);
        let speaker = Speaker { service: self.0.name(), node: place.host };
        process.show(speaker.service, Arc::clone(&health) as _)?;
        let (every, patience) = (process.measured_every, process.patience());
        let _until_it_ends = Measured::begin(every, speaker, &log, health, patience);
        running.join()
    }
}

impl ProducerService {
    fn asked(&self, matches: &ArgMatches) -> Result<Option<DatabaseArgs>, String> {
        let asked = self.0.is_database().then(|| DatabaseArgs::from_arg_matches(matches));
        asked.transpose().map_err(|error| error.to_string())
    }

    fn place(&self, args: &ProducerArgs, matches: &ArgMatches) -> Result<Place, String> {
        let once = self.asked(matches)?.is_some_and(|asked| asked.once);
        if once && !self.0.reads_once() {
            return Err("--once: this producer polls no tables, and has no end".to_owned());
        }
        let screen = args.screen.screens()?;
        let log_record_bytes_max = args.kafka.record_bytes_max;
        let place = Place { once, screen, log_record_bytes_max, ..args.sources.place()? };
        place.fitting("--pack", Some(args.sources.records.pack_bytes))?;
        Ok(place)
    }

    fn plan(&self, place: &Place, matches: &ArgMatches) -> Result<Vec<Planned>, String> {
        let planned = self.0.plan(matches, place)?;
        match planned.is_empty() {
            true => Err(format!("nothing to read; for example: {}", self.0.example())),
            false => Ok(planned),
        }
    }
}

/// Kafka as a service must have it, which waits no longer than there is `patience`.
///
/// # Errors
/// Names the setting that is missing or cannot be.
pub fn connect_kafka(
    kafka: &KafkaArgs,
    client_id: &str,
    patience: Patience,
) -> Result<Arc<dyn Log>, String> {
    if !kafka.is_set() {
        return Err("--kafka (KAFKA_BOOTSTRAP_SERVERS) is not set".to_owned());
    }
    let log = KafkaLog::connect(kafka, client_id).map_err(|error| error.to_string())?;
    Ok(Arc::new(log.until(patience)))
}

struct ProducerHealth {
    sources: Vec<Metered>,
    ready: Readiness,
    trigger: Option<Trigger>,
}

impl super::Health for ProducerHealth {
    fn metrics(&self, out: &mut String) {
        super::source_metrics(&self.sources, out);
    }

    fn not_ready(&self) -> Option<String> {
        super::not_running(&self.sources).or_else(|| self.ready.failure())
    }

    fn measures(&self) -> Vec<(&'static str, Measure)> {
        let (mut lag_seconds, mut appended) = (0f64, 0);
        for source in &self.sources {
            appended += source.counts.appended.get();
            let lags = source.counts.lag();
            lag_seconds = lags.iter().map(|lag| lag.seconds).fold(lag_seconds, f64::max);
        }
        vec![
            ("SourceLagSeconds", Measure::Seconds(lag_seconds)),
            ("RecordsAppended", Measure::Total(appended)),
        ]
    }

    fn measured(&self) -> Vec<Map<String, Value>> {
        super::source_records(&self.sources)
    }

    fn poll(&self) -> bool {
        self.trigger.as_ref().map(Trigger::pull).is_some()
    }
}
