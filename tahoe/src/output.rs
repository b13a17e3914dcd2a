//! How a command says what it found.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// Of a process that did what it was asked, and rejected some records.
const REJECTED: u8 = 3;

/// The exit code of a command that puts records through a parser.
pub fn exit_code(some_were_rejected: bool) -> ExitCode {
    if some_were_rejected { ExitCode::from(REJECTED) } else { ExitCode::SUCCESS }
}

/// Prints the result.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_ref()) {
        // A reader that has seen enough (head) is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
