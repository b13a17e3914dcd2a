//! How a command says what it found.

use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::process::ExitCode;

/// Of a process that did what it was asked, and rejected some records.
const REJECTED: u8 = 3;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 18;

/// Standard output, for a result of any length.
pub struct Output {
    out: BufWriter<Stdout>,
    /// Its reader has seen enough (head).
    is_closed: bool,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}

impl Output {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.is_closed |= result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        result
    }
}

/// The exit code of a command that puts records through a parser.
pub fn exit_code(some_were_rejected: bool) -> ExitCode {
    if some_were_rejected { ExitCode::from(REJECTED) } else { ExitCode::SUCCESS }
}

/// Lets `tell` print its result. A reader that has seen enough ends it, and that is no failure.
pub fn telling(
    tell: impl FnOnce(&mut Output) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
    let mut output = Output { out, is_closed: false };
    let told = tell(&mut output).and_then(|code| {
        output.flush()?;
        Ok(code)
    });
    if output.is_closed { Ok(ExitCode::SUCCESS) } else { told }
}

/// Prints the result of work that is done, whether or not somebody still reads.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
