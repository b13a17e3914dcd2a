//! How far a long command is: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tahoe_pipeline::service::log_through;

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shown on stderr, so that stdout is the command's result alone.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    unit: &'static str,
    plain_at: Instant,
}

impl Progress {
    /// Of `total` units: `letters`, `bytes`.
    pub fn new(total: u64, unit: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = "{bar:30} {pos}/{len} {prefix} {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is a literal");
            let bar = ProgressBar::new(total).with_style(style).with_prefix(unit);
            let shown = bar.clone();
            log_through(move |line| {
                // A line of the log that cannot be written is no reason to stop.
                let _ = shown.suspend(|| std::io::stderr().write_all(line));
            });
            bar
        });
        Self { bar, total, unit, plain_at: Instant::now() }
    }

    /// So much of it is done, which came to what `text` says.
    pub fn set(&mut self, done: u64, text: impl FnOnce() -> String) {
        let done = done.min(self.total);
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(text());
            }
            None if self.plain_at.elapsed() >= PLAIN_EVERY => {
                self.plain_at = Instant::now();
                eprintln!("{done} of {} {}: {}", self.total, self.unit, text());
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
