//! How a command says what it found.

use std::borrow::Cow;
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

/// Somebody else's text for a terminal, which would obey what is in it: control characters, and those
/// that turn the direction of writing, are shown by their number. Lines and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || c.is_control() && !matches!(c, '\n' | '\t')
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Prints the result of work that is done, whether or not somebody still reads.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_a_text() {
        assert_eq!(printable("a\x1b]0;b\x07\r\u{9b}"), r"a\u{1b}]0;b\u{7}\u{d}\u{9b}");
        assert_eq!(printable("\u{202e}txt.exe"), r"\u{202e}txt.exe");
        assert!(matches!(printable("à la\n\tcarte ✓"), Cow::Borrowed(_)));
    }
}
