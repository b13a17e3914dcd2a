//! What to read, and how: the settings that all producers of files share.

use std::time::Duration;

use tahoe_seams::Framer;

/// Where a file is begun that no position is known for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum StartAt {
    /// With what is there already.
    Beginning,
    /// With what is written from now on.
    #[default]
    End,
}

/// Settings of the tail, to be flattened into a producer's own.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Records")]
pub struct TailArgs {
    /// Where the first start begins in files that are there already; files that appear later are
    /// read from their beginning
    #[arg(long, env = "TAHOE_START_AT", value_enum, default_value = "end")]
    pub start_at: StartAt,
    /// Seconds between scans for new, renamed and truncated files, which also find what inotify
    /// does not tell (NFS, EFS)
    #[arg(long, env = "TAHOE_SCAN_INTERVAL", value_parser = seconds, default_value = "1")]
    pub scan_interval: Duration,
    /// Seconds without a new byte after which a record that may have further lines is complete, for
    /// ever: raise it for a program that pauses between the lines of one record, or a network file
    /// system that shows them late
    #[arg(long, env = "TAHOE_QUIET_TIME", value_parser = seconds, default_value = "0.25")]
    pub quiet_time: Duration,
    /// Largest record in bytes; longer ones are split into parts
    #[arg(long, env = "TAHOE_RECORD_BYTES_MAX", default_value_t = 1 << 20)]
    pub record_bytes_max: usize,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// How the tail reads.
#[derive(Clone, Debug)]
pub struct TailSettings {
    /// Where the first start begins.
    pub start_at: StartAt,
    /// Between scans.
    pub scan_interval: Duration,
    /// After which an open record is complete. It is the latency of the last record that was
    /// written, and too short a time would split a record for ever.
    pub quiet_time: Duration,
    /// How long a renamed or deleted file is kept open at its end for late lines.
    pub rotated_wait: Duration,
    /// Largest record in bytes.
    pub record_bytes_max: usize,
    /// Files open at a time.
    pub handles_max: usize,
    /// After which the position of a file that is gone is removed.
    pub forget_after: Duration,
    /// Use inotify; without it, scans alone find what is new.
    pub inotify: bool,
    /// Read what is there, and end.
    pub once: bool,
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            start_at: StartAt::End,
            scan_interval: Duration::from_secs(1),
            // Loggers write a record with one call, or with several that follow each other within
            // microseconds (PHP before 7.4: one per 8 KiB). A quarter of a second is a hundred
            // times a scheduler's delay and less than a reader notices.
            quiet_time: Duration::from_millis(250),
            // logrotate signals the writer within a second or two of the rename.
            rotated_wait: Duration::from_secs(10),
            record_bytes_max: 1 << 20,
            // A quarter of the usual soft limit of 1024.
            handles_max: 256,
            forget_after: Duration::from_secs(30 * 24 * 3600),
            inotify: true,
            once: false,
        }
    }
}

impl From<&TailArgs> for TailSettings {
    fn from(args: &TailArgs) -> Self {
        Self {
            start_at: args.start_at,
            scan_interval: args.scan_interval,
            quiet_time: args.quiet_time,
            record_bytes_max: args.record_bytes_max,
            ..Self::default()
        }
    }
}

/// Files that are read alike.
#[derive(Clone)]
pub struct PathSet {
    /// Paths and patterns (`*`, `?`, `[…]`, `{…}`, `**`).
    pub patterns: Vec<String>,
    /// What the bytes mean: `laravel.log`.
    pub dataset: String,
    /// Where records begin and end.
    pub framer: &'static dyn Framer,
    /// What the framer carries into each file.
    pub context: Vec<u8>,
    /// Topic that the records go to.
    pub topic: String,
    /// The client company.
    pub namespace: String,
    /// Zone of stamps that name none; empty is UTC.
    pub time_zone: String,
    /// Free labels.
    pub labels: Vec<(String, String)>,
    /// Free tags.
    pub tags: Vec<String>,
}

impl PathSet {
    /// The context of a file that begins, or whose set was given another beginning since.
    pub(super) fn begin(&self, context: &mut Vec<u8>) {
        if !context.starts_with(&self.context) {
            context.clone_from(&self.context);
        }
    }
}
