//! A way to a server that can be cut.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes every connection on, until it is cut.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Listens for as long as the test runs.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (server, open) = (server.to_owned(), Arc::clone(&connections));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                pass_on(&client, &server);
                pass_on(&server, &client);
                open.lock().expect("no panic").extend([client, server]);
            }
        });
        Self { address, connections }
    }

    /// Ends every connection in mid-stream.
    pub fn cut(&self) {
        for connection in self.connections.lock().expect("no panic").drain(..) {
            // It fails for one that has ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("open"), to.try_clone().expect("open"));
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
