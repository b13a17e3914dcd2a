//! Binaries of this workspace, each run as a process of its own with the settings that a test gives
//! it and no others. What a test has started ends with it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait::{PATIENCE, until};

/// `--check` promises an answer within ten seconds; the process itself needs a little to start.
pub const CHECKED_WITHIN: Duration = Duration::from_secs(12);

/// Lines of a program's own log that a failed test shows.
const TAIL_LINES: usize = 40;

/// A program that runs.
pub struct Program {
    name: String,
    child: Child,
    /// Holds what it prints.
    folder: TempDir,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

/// Path of the workspace's binary `name`, built before the first use, so that no test runs against
/// an old one.
///
/// # Panics
/// When it cannot be built.
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let test = std::env::current_exe().expect("a test has a path");
        let deps = test.parent().expect("in target/PROFILE/deps");
        let folder = deps.parent().expect("in target/PROFILE").to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // All of them, as tests/all builds them: the same features, so nothing is built twice.
        command.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(repository());
        if folder.ends_with("release") {
            command.arg("--release");
        }
        // What cargo tells a test about its package would make a build script of ring run again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|about| text.starts_with(about)) {
                command.env_remove(&name);
            }
        }
        let built = command.output().expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        folder
    };
    FOLDER.get_or_init(build).join(name)
}

/// The root of this repository.
pub fn repository() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the repository").to_owned()
}

/// A command for the binary `name`, which inherits no settings from the environment of the tests.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// Runs a program to its end.
///
/// # Panics
/// When it has not ended within [`PATIENCE`].
pub fn run(name: &str, arguments: &[&str]) -> Ended {
    Program::start(name, arguments).wait()
}

impl Program {
    /// Starts the binary `name`.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_with(name, arguments, &[])
    }

    /// The same with settings, of which the last of a name counts.
    pub fn start_with(name: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = command(name);
        command.args(arguments).envs(settings.iter().copied());
        Self::spawn(name, command)
    }

    /// Starts a command that was prepared with [`command`], or any other.
    ///
    /// # Panics
    /// When there is no such program.
    pub fn spawn(name: &str, mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name| File::create(folder.path().join(name)).expect("a file");
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), child, folder }
    }

    /// What it printed so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it logged so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until its log holds `text`.
    pub fn says(&mut self, text: &str) {
        until(&format!("{} says {text:?}", self.name), || {
            let log = self.stderr();
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none() || log.contains(text), "it ended instead: {ended:?}");
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    }

    /// True while it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// kill -9.
    pub fn kill(mut self) {
        assert!(self.is_running(), "it ended by itself");
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Sends SIGTERM or SIGINT.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are positive");
        let id = Pid::from_raw(id).expect("process ids are positive");
        kill_process(id, signal).expect("it is our child and not waited for");
    }

    /// SIGTERM, after which it must end by itself with exit code 0.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let name = self.name.clone();
        let ended = self.wait();
        assert!(ended.status.success(), "{name} ended with {}: {}", ended.status, ended.stderr);
        ended
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`].
    pub fn wait(self) -> Ended {
        self.wait_at_most(PATIENCE)
    }

    /// Waits until it ends by itself within a time.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_at_most(mut self, time: Duration) -> Ended {
        let deadline = Instant::now() + time;
        let status = until(&format!("{} ends", self.name), || {
            let status = self.child.try_wait().expect("it is our child");
            assert!(status.is_some() || Instant::now() < deadline, "{} goes on", self.name);
            status.ok_or_else(|| "it goes on".to_owned())
        });
        Ended { status, stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.stderr();
            let lines: Vec<_> = log.lines().collect();
            let from = lines.len().saturating_sub(TAIL_LINES);
            eprintln!("---- {}\n{}", self.name, lines[from..].join("\n"));
        }
    }
}
