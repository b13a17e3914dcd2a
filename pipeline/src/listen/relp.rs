//! RELP frames, as rsyslog's specification of the protocol writes them:
//! `TXNR SP COMMAND SP DATALEN [SP DATA] LF`, numbers in decimal, at most nine digits.

/// Longest header: two numbers of nine digits, a command of 32 letters, three blanks.
const HEADER_BYTES_MAX: usize = 9 + 1 + 32 + 1 + 9 + 1;

/// What the data of an `open` is answered with. Its only command is `syslog`.
const OFFERS: &str = "200 OK\nrelp_version=0\nrelp_software=tahoe\ncommands=syslog";

/// The beginning of a frame; its data and an LF follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) transaction: u32,
    pub(super) command: Command,
    pub(super) data: usize,
    /// Bytes of the header, with the blank before the data.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Open,
    Syslog,
    Close,
    Unknown,
}

impl Header {
    /// `None` if more bytes are needed.
    ///
    /// # Errors
    /// Bytes that no RELP client sends.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let window = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
        let malformed = || format!("not a RELP frame: {:?}", String::from_utf8_lossy(window));
        let mut words = window.splitn(3, |byte| *byte == b' ');
        let (transaction, command, rest) = (words.next(), words.next(), words.next());
        let (Some(transaction), Some(command), Some(rest)) = (transaction, command, rest) else {
            let short = window.len() < HEADER_BYTES_MAX && !window.contains(&b'\n');
            return if short { Ok(None) } else { Err(malformed()) };
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let Some(after) = rest.get(digits) else {
            return if digits <= 9 { Ok(None) } else { Err(malformed()) };
        };
        let transaction = number(transaction).ok_or_else(malformed)?;
        let data = number(&rest[..digits]).ok_or_else(malformed)? as usize;
        // Without data the blank is left out, and the LF follows at once.
        let blank = match (after, data) {
            (b' ', _) => 1,
            (b'\n', 0) => 0,
            _ => return Err(malformed()),
        };
        let command = match command {
            b"open" => Command::Open,
            b"syslog" => Command::Syslog,
            b"close" => Command::Close,
            _ => Command::Unknown,
        };
        let end = window.len() - rest.len() + digits + blank;
        Ok(Some(Self { transaction, command, data, end }))
    }
}

/// The answer to a frame that is durable, or to a `close`.
pub(super) fn accept(out: &mut Vec<u8>, transaction: u32) {
    respond(out, transaction, "200 OK");
}

/// The answer to an `open`.
pub(super) fn offer(out: &mut Vec<u8>, transaction: u32) {
    respond(out, transaction, OFFERS);
}

/// The answer to a command that was not offered.
pub(super) fn refuse(out: &mut Vec<u8>, transaction: u32) {
    respond(out, transaction, "500 command not offered");
}

/// Tells the client that no further frame will be taken.
pub(super) fn leave(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0 serverclose 0\n");
}

fn respond(out: &mut Vec<u8>, transaction: u32, data: &str) {
    out.extend_from_slice(format!("{transaction} rsp {} {data}\n", data.len()).as_bytes());
}

fn number(digits: &[u8]) -> Option<u32> {
    let fits = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_from_any_prefix_and_garbage_is_refused() {
        let frame = b"12 syslog 5 hello\n";
        for end in 0..11 {
            assert_eq!(Header::parse(&frame[..end]), Ok(None), "{end} bytes");
        }
        let header = Header { transaction: 12, command: Command::Syslog, data: 5, end: 12 };
        assert_eq!(Header::parse(frame), Ok(Some(header)));
        let close = Header { transaction: 3, command: Command::Close, data: 0, end: 9 };
        assert_eq!(Header::parse(b"3 close 0\n"), Ok(Some(close)));
        for garbage in ["<13>hello there\n", "1 syslog x\n", "1 syslog 5\n", "x syslog 5 a"] {
            assert!(Header::parse(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn an_answer_has_the_length_of_its_data() {
        let mut out = Vec::new();
        accept(&mut out, 7);
        assert_eq!(out, b"7 rsp 6 200 OK\n");
    }
}
