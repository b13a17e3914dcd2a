//! How far a long command is: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::log_through;

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shown on stderr, so that stdout is the command's result alone; one in a process.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    unit: &'static str,
    plain_at: Option<Instant>,
}

impl Progress {
    /// Of `total` units: `letters`, `bytes`.
    pub fn of(total: u64, unit: &'static str) -> Self {
        let bar = || ProgressBar::new(total).with_prefix(unit);
        let bar = shown(bar, "{bar:30} {pos}/{len} {prefix} {msg}");
        // A command that is over soon says nothing of how far it was.
        Self { bar, total, unit, plain_at: Some(Instant::now()) }
    }

    /// Of what nobody knows how long it will be.
    pub fn unbounded() -> Self {
        let bar = shown(ProgressBar::new_spinner, "{spinner} {msg}");
        Self { bar, total: 0, unit: "", plain_at: None }
    }

    /// So much of it is done, which came to what `text` says.
    pub fn set(&mut self, done: u64, text: impl FnOnce() -> String) {
        let (done, total, unit) = (done.min(self.total), self.total, self.unit);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(text());
        } else {
            self.say(|| format!("{done} of {total} {unit}: {}", text()));
        }
    }

    /// What is being done.
    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        } else if self.plain_at.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            self.plain_at = Some(Instant::now());
            eprintln!("{}", text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn shown(bar: impl FnOnce() -> ProgressBar, template: &str) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template(template).expect("the template is a literal");
        let bar = bar().with_style(style);
        let shown = bar.clone();
        log_through(move |line| {
            // A line of the log that cannot be written is no reason to stop.
            let _ = shown.suspend(|| std::io::stderr().write_all(line));
        });
        bar
    })
}
