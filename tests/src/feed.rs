//! Input that goes on being written while programs die and servers restart: numbered lines.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines a second that an unoptimised build on a busy machine keeps up with, and so many that
/// whatever dies has something in flight.
pub const BRISK: u32 = 250;

/// Between two writes.
const STEP: Duration = Duration::from_millis(20);

/// Something that writes lines in the background, in order.
pub struct Feed {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// Calls `write` with one range of numbers after the other until [`Feed::finish`].
    pub fn start(
        lines_per_second: u32,
        mut write: impl FnMut(Range<u64>) + Send + 'static,
    ) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = std::thread::spawn(move || {
            let step_lines = u64::from(lines_per_second / 50).max(1);
            let mut next = 0;
            while !stopped.load(Ordering::Relaxed) {
                write(next..next + step_lines);
                next += step_lines;
                count.store(next, Ordering::Relaxed);
                std::thread::sleep(STEP);
            }
        });
        Self { stop, written, thread }
    }

    /// Appends to a file.
    pub fn into_file(path: &Path, lines_per_second: u32, line: fn(u64) -> String) -> Self {
        let mut file = append_to(path);
        Self::start(lines_per_second, move |numbers| write_lines(&mut file, numbers, line))
    }

    /// Lines written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Stops it and says how many lines there are.
    ///
    /// # Panics
    /// If the writer did.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the lines could be written");
        self.written.load(Ordering::Relaxed)
    }
}

/// A file to append to, created if it is not there.
pub fn append_to(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a file")
}

/// Writes lines in one go.
pub fn write_lines(file: &mut File, numbers: Range<u64>, line: fn(u64) -> String) {
    let text: String = numbers.map(line).collect();
    file.write_all(text.as_bytes()).expect("written");
}

/// A record in Monolog's line format; every seventh has a stack trace.
pub fn laravel(n: u64) -> String {
    let time = format!("2026-03-04T09:{:02}:{:02}+00:00", n / 60 % 60, n % 60);
    if n.is_multiple_of(7) {
        return format!(
            "[{time}] production.ERROR: n={n} failed {{\"exception\":\"[object] \
             (RuntimeException(code: 0): n={n} failed at /srv/app/Shop.php:{n})\n[stacktrace]\n\
             #0 /srv/app/Shop.php(12): App\\\\Shop->pay()\n#1 {{main}}\n\"}} \n"
        );
    }
    format!("[{time}] production.INFO: n={n} went well {{\"user_id\":{n}}} \n")
}

/// A line as rsyslog writes it into a file.
pub fn syslog(n: u64) -> String {
    let time = format!("2026-03-04T09:{:02}:{:02}.000000+00:00", n / 60 % 60, n % 60);
    format!("{time} web-1 app[77]: n={n} of the feed\n")
}

/// A message as it travels by UDP or TCP.
pub fn rfc5424(n: u64) -> String {
    format!("<14>1 2026-03-04T09:26:53.000000+00:00 web-1 app 77 - - n={n} sent\n")
}
