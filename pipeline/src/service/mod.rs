//! The one shape in which every producer starts, runs and stops.

mod args;
mod checks;
mod emf;
mod files;
mod health;
mod http;
mod lists;
mod main;
mod measured;
mod memory;
mod privacy;
mod process;
mod progress;
mod supervise;
mod usage;
mod verify;

use std::sync::{Arc, Mutex};

use clap::{ArgMatches, Command};
use tahoe_schemas::table::Table;
use tahoe_seams::{Source, SourceError};

pub use args::{Place, RecordArgs, SourceArgs, host_name};
pub use checks::{Check, run_checks};
pub use emf::{EmfArgs, Measure};
pub use files::{path_set, plan_files};
pub use health::{Readiness, not_running, object, source_metrics, source_records};
pub use http::{Health, ServeArgs, metric, probe, serve};
pub use lists::{CheckValue, List, add_lists};
pub use main::{
    Service, connect_kafka, producer_command, run_producer, run_service, service_command,
};
pub use measured::{MeasureArgs, Measured, Speaker};
pub use memory::Memory;
pub use privacy::{PrivacyKeyArgs, ScreenArgs, of_setting, read_privacy, read_table};
pub use process::{Logging, Process, ProcessArgs, log_through, matches_of};
pub use progress::Progress;
pub use supervise::{Running, start, stop_on_signals};

use crate::telemetry::ProducerCounts;
use crate::verify::Verification;

/// A data source, as its crate declares it: settings, and what to read with them.
pub trait Producer: Sync {
    /// Name of its binary: `tahoe-laravel`.
    fn name(&self) -> &'static str;
    /// What it does, in a sentence for `--help`.
    fn about(&self) -> &'static str;
    /// A command line that works.
    fn example(&self) -> &'static str;
    /// Adds its settings to a command: its own binary's, or `tahoe up`.
    fn arguments(&self, command: Command) -> Command;
    /// It reads a database, whose server it prepares, and whose tables it compares with Kafka.
    fn is_database(&self) -> bool {
        false
    }
    /// It polls tables, and so knows [`Place::once`].
    fn reads_once(&self) -> bool {
        false
    }
    /// What the settings ask for; nothing, if they ask for nothing.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn plan(&self, matches: &ArgMatches, place: &Place) -> Result<Vec<Planned>, String>;
    /// Makes in the server that is read what reading needs, as `--setup`, `tahoe setup` and
    /// `tahoe up` ask for it; what is there already stays. Each check does one thing and says what.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn prepare(&self, _matches: &ArgMatches) -> Result<Vec<Check>, String> {
        Ok(Vec::new())
    }
    /// The tables whose rows and changes it would read, as they are now; `tahoe setup` makes a
    /// template of each.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn tables(&self, _matches: &ArgMatches, _place: &Place) -> Result<Vec<Table>, String> {
        Ok(Vec::new())
    }
    /// What `--verify` compares with Kafka.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn verifications(
        &self,
        _matches: &ArgMatches,
        _place: &Place,
    ) -> Result<Vec<Verification>, String> {
        Ok(Vec::new())
    }
    /// Takes away again what [`Producer::prepare`] made, as `--teardown` and `tahoe teardown` ask.
    ///
    /// # Errors
    /// A sentence that names the setting to change.
    fn dismantle(&self, _matches: &ArgMatches) -> Result<Vec<Check>, String> {
        Ok(Vec::new())
    }
}

/// Opens a source; called again after a failure.
pub type Open = Box<dyn FnMut() -> Result<Box<dyn Source>, SourceError> + Send>;

/// One source that will be read.
pub struct Planned {
    /// Its name among the host's sources: `laravel`, `syslog`. Owns the positions.
    pub name: String,
    /// Lines for the start-up log: what is read, what cannot be and why.
    pub notes: Vec<String>,
    /// It takes what others send, which may be nothing for ever.
    pub waits_for_others: bool,
    /// Topics that it writes to.
    pub topics: Vec<String>,
    /// Opens it.
    pub open: Open,
    /// Looks at what it reads from and says what it found, within 10 s; without it, `--check` opens
    /// the source and gives its notes.
    pub inspect: Option<Inspect>,
}

/// Connects, changes nothing, and says what it found.
pub type Inspect = Box<dyn FnOnce() -> Result<String, String> + Send>;

impl Planned {
    /// What `--check` does with it.
    pub fn check(mut self) -> Check {
        Check::new(self.name.clone(), move || {
            if let Some(inspect) = self.inspect {
                return inspect();
            }
            (self.open)().map_err(|error| error.to_string())?;
            Ok(self.notes.join("\n"))
        })
    }
}

/// The topics that sources write to, each once.
pub fn topics_of(planned: &[Planned]) -> Vec<String> {
    let mut topics: Vec<_> = planned.iter().flat_map(|plan| plan.topics.clone()).collect();
    topics.sort();
    topics.dedup();
    topics
}

/// Logs what is read, and what cannot be and why.
pub fn log_notes(planned: &[Planned]) {
    for plan in planned {
        plan.notes.iter().for_each(|note| tracing::info!(source = plan.name, "{note}"));
    }
}

/// A source and its counters, for metrics and the live view.
#[derive(Clone)]
pub struct Metered {
    /// As in [`Planned::name`].
    pub name: String,
    /// Its half of the law.
    pub counts: Arc<ProducerCounts>,
    /// Why it was started again last.
    pub failure: Arc<Mutex<Option<String>>>,
}
