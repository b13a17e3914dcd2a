//! journalctl as a child: its output through a bounded channel, so that it waits in its own write
//! while the log is slow, and its complaints in the reason of its end.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of one hand-over; with [`CHUNKS`] of them, half a MiB waits at most.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS: usize = 8;
/// Complaints beyond this are cut.
const REASON_BYTES_MAX: u64 = 4 << 10;

pub(super) struct Child {
    process: std::process::Child,
    output: Option<Receiver<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    complaints: Option<JoinHandle<String>>,
}

pub(super) enum Output {
    Bytes(Vec<u8>),
    Nothing,
    Ended,
}

impl Child {
    pub(super) fn start(command: &Path, arguments: &[String]) -> io::Result<Self> {
        let mut process = Command::new(command)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().expect("stdout is piped");
        let stderr = process.stderr.take().expect("stderr is piped");
        let (sender, output) = sync_channel(CHUNKS);
        Ok(Self {
            process,
            output: Some(output),
            reader: Some(std::thread::spawn(move || forward(stdout, &sender))),
            complaints: Some(std::thread::spawn(move || complaints(stderr))),
        })
    }

    pub(super) fn output(&self, wait: Duration) -> Output {
        let Some(output) = &self.output else { return Output::Ended };
        match output.recv_timeout(wait) {
            Ok(bytes) => Output::Bytes(bytes),
            Err(RecvTimeoutError::Timeout) => Output::Nothing,
            Err(RecvTimeoutError::Disconnected) => Output::Ended,
        }
    }

    /// Ends it, and gives its exit status and what it complained about.
    pub(super) fn end(mut self) -> String {
        let status = self.stop().map_or_else(|error| error.to_string(), |s| s.to_string());
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok());
        format!("{status}: {}", complaints.unwrap_or_default().trim())
    }

    fn stop(&mut self) -> io::Result<std::process::ExitStatus> {
        // Without a receiver, a reader that waits for room gives up.
        self.output = None;
        // It fails if it has ended, which `wait` tells as well.
        let _ = self.process.kill();
        let status = self.process.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn forward(mut stdout: impl Read, sender: &SyncSender<Vec<u8>>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match stdout.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn complaints(stderr: impl Read) -> String {
    let mut kept = String::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if (kept.len() + line.len()) as u64 <= REASON_BYTES_MAX {
            kept.push_str(&line);
            kept.push(' ');
        }
    }
    kept
}
