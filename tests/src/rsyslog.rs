//! Real rsyslog as a sender: it follows a file and forwards each line of it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::program::Program;

/// One way to forward, and the file whose lines take it.
pub struct Forward<'a> {
    /// Name of the file in the folder; also the tag of its messages.
    pub file: &'a str,
    /// An action without its brackets: `type="omfwd" target="127.0.0.1" …`.
    pub action: &'a str,
}

/// Starts rsyslogd with its files and state in `folder`; `None` where it is not installed.
///
/// # Panics
/// When it is not installed and `TAHOE_TEST_REQUIRED` asks for it.
pub fn start(folder: &Path, globals: &str, forwards: &[Forward<'_>]) -> Option<Program> {
    if Command::new("rsyslogd").arg("-v").output().is_err() {
        let required = std::env::var("TAHOE_TEST_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!required, "rsyslogd is missing");
        eprintln!("skipped: needs rsyslogd (tests/services install rsyslog)");
        return None;
    }
    let at = folder.display();
    let mut config = format!(
        "global(workDirectory=\"{at}\" {globals})\nmodule(load=\"imfile\" mode=\"inotify\")\n\
         module(load=\"omrelp\")\n"
    );
    for (n, Forward { file, action }) in forwards.iter().enumerate() {
        // A queue of its own: one way that is down must not hold up the others.
        let _ = writeln!(
            config,
            "input(type=\"imfile\" file=\"{at}/{file}\" tag=\"{file}:\" ruleset=\"out{n}\")\n\
             ruleset(name=\"out{n}\" queue.type=\"LinkedList\") {{ action({action}) }}"
        );
        crate::feed::append_to(&folder.join(file));
    }
    let path = folder.join("rsyslog.conf");
    std::fs::write(&path, config).expect("written");
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(path).arg("-i").arg(folder.join("rsyslogd.pid"));
    Some(Program::spawn("rsyslogd", command))
}
