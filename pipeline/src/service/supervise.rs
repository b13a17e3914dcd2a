//! Threads of sources, started again after a pause when that may help.

use std::sync::Arc;
use std::thread::JoinHandle;

use tahoe_seams::Log;

use super::{Metered, Planned};
use crate::lock::lock;
use crate::produce::{ProduceSettings, produce};
use crate::retry::{EndedEarly, keep_running};
use crate::stop::Stop;
use crate::telemetry::ProducerCounts;

/// Sources that are being read.
pub struct Running {
    threads: Vec<(String, JoinHandle<Result<(), String>>)>,
    /// Their counters.
    pub metered: Vec<Metered>,
}

impl Running {
    /// Waits until every source has stopped; the first error that needs a person.
    ///
    /// # Errors
    /// A sentence that names the source and the setting.
    pub fn join(self) -> Result<(), String> {
        let mut first = Ok(());
        for (name, thread) in self.threads {
            let result = thread.join().unwrap_or_else(|_| Err("stopped by a defect".to_owned()));
            if first.is_ok() {
                first = result.map_err(|error| format!("{name}: {error}"));
            }
        }
        first
    }

    /// True once a source has ended, which it does only when stopping or on an error.
    pub fn any_ended(&self) -> bool {
        self.threads.iter().any(|(_, thread)| thread.is_finished())
    }
}

/// Starts a thread for each planned source.
pub fn start(
    planned: Vec<Planned>,
    log: &Arc<dyn Log>,
    host: &str,
    settings: &ProduceSettings,
    stop: &Stop,
) -> Running {
    let mut running = Running { threads: Vec::new(), metered: Vec::new() };
    for plan in planned {
        let counts = Arc::new(ProducerCounts::default());
        let name = plan.name.clone();
        let metered = Metered { name: name.clone(), counts, failure: Arc::default() };
        running.metered.push(metered.clone());
        let settings = ProduceSettings { owner: format!("{host}/{name}"), ..settings.clone() };
        let (log, stop) = (Arc::clone(log), stop.clone());
        let body = move || keep_producing(plan, log.as_ref(), &settings, &stop, &metered);
        let thread = std::thread::Builder::new().name(name.clone()).spawn(body);
        running.threads.push((name, thread.expect("the system gives a thread")));
    }
    running
}

fn keep_producing(
    mut plan: Planned,
    log: &dyn Log,
    settings: &ProduceSettings,
    stop: &Stop,
    metered: &Metered,
) -> Result<(), String> {
    let run = || {
        // A source that cannot be opened should hold up no stop.
        if stop.is_asked() {
            return Ok(());
        }
        let mut source = (plan.open)()?;
        produce(log, source.as_mut(), settings, stop, &metered.counts)
    };
    let ended = keep_running(stop, run, |text| {
        tracing::warn!(source = plan.name, text, "source starts again");
        *lock(&metered.failure) = Some(text.to_owned());
    });
    match ended {
        Ok(()) => Ok(()),
        // Kafka is away, or was asked too late: an unclean stop, as after a kill -9.
        Err(EndedEarly::Again(text)) => {
            let found_by = "the next start asks the log what it has";
            tracing::warn!(source = plan.name, text, found_by, "stopped uncleanly");
            Ok(())
        }
        Err(EndedEarly::Stop(text)) => {
            stop.ask_to_finish();
            Err(text)
        }
    }
}

/// Asks for a stop on SIGINT and SIGTERM, and again on the second. Must be called on a runtime.
///
/// # Errors
/// When the system refuses a signal handler.
pub fn stop_on_signals(stop: &Stop) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping: finishing what is in flight, a second signal stops at once");
            stop.ask();
        }
    });
    Ok(())
}
