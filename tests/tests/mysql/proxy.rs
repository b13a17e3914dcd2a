//! A way to a server on which the binlog can fall silent, or break at an event.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a client asks for a binlog with.
const COM_BINLOG_DUMP: u8 = 0x12;
const COM_BINLOG_DUMP_GTID: u8 = 0x1e;

/// `ER_MASTER_FATAL_ERROR_READING_BINLOG`, as the server has it for a place that it cannot read.
const BROKEN: &[u8] = b"\xff\xd4\x04#HY000events are missing";

/// Passes every connection on, packet by packet.
pub struct Proxy {
    /// Where it listens.
    pub port: String,
    opened: Arc<AtomicUsize>,
    /// Connections up to this number pass nothing on.
    frozen: Arc<AtomicUsize>,
}

impl Proxy {
    /// Listens for as long as the test runs. In place of an event with `marker` a reader of the
    /// binlog is told that it cannot be read.
    pub fn to(server: String, marker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port().to_string();
        let (opened, frozen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let marker: Arc<str> = marker.into();
        let (count, still) = (Arc::clone(&opened), Arc::clone(&frozen));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (dumps, still) = (Arc::new(AtomicBool::new(false)), Arc::clone(&still));
                let asks = Ends::of(&client, &server, number, &still);
                let answers = Ends::of(&server, &client, number, &still);
                let seen = Arc::clone(&dumps);
                std::thread::spawn(move || asks.pass_commands(&seen));
                let marker = Arc::clone(&marker);
                std::thread::spawn(move || answers.pass_events(&dumps, marker.as_bytes()));
            }
        });
        Self { port, opened, frozen }
    }

    /// Lets all connections that there are fall silent; they stay open.
    pub fn freeze(&self) {
        self.frozen.store(self.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// One direction of a connection.
struct Ends {
    from: TcpStream,
    to: TcpStream,
    number: usize,
    frozen: Arc<AtomicUsize>,
}

impl Ends {
    fn of(from: &TcpStream, to: &TcpStream, number: usize, frozen: &Arc<AtomicUsize>) -> Self {
        let (from, to) = (from.try_clone().expect("open"), to.try_clone().expect("open"));
        Self { from, to, number, frozen: Arc::clone(frozen) }
    }

    fn pass_commands(mut self, dumps: &AtomicBool) {
        self.pass(|packet| {
            if packet.get(3) == Some(&0)
                && matches!(packet.get(4), Some(&(COM_BINLOG_DUMP | COM_BINLOG_DUMP_GTID)))
            {
                dumps.store(true, Ordering::SeqCst);
            }
            true
        });
    }

    fn pass_events(mut self, dumps: &AtomicBool, marker: &[u8]) {
        let mut to = self.to.try_clone().expect("open");
        self.pass(|packet| {
            let breaks = dumps.load(Ordering::SeqCst)
                && packet.windows(marker.len()).any(|window| window == marker);
            if breaks {
                let length = u8::try_from(BROKEN.len()).expect("it is short");
                let error = [&[length, 0, 0, packet[3]], BROKEN].concat();
                // Whoever has gone needs no error.
                let _ = to.write_all(&error);
            }
            !breaks
        });
    }

    /// Passes packets on until one end closes, or `take` wants no more.
    fn pass(&mut self, mut take: impl FnMut(&[u8]) -> bool) {
        while let Ok(packet) = packet(&mut self.from) {
            while self.number <= self.frozen.load(Ordering::SeqCst) {
                std::thread::park();
            }
            if !take(&packet) || self.to.write_all(&packet).is_err() {
                break;
            }
        }
        let _ = self.to.shutdown(Shutdown::Both);
        let _ = self.from.shutdown(Shutdown::Both);
    }
}

/// Three bytes of length, a number, and so many bytes.
fn packet(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet)?;
    let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]) as usize;
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..])?;
    Ok(packet)
}
