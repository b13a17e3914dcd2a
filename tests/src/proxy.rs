//! A way to a server that can be cut, and lead to another one afterwards.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes every connection on, until it is cut.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    server: Arc<Mutex<String>>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Listens for as long as the test runs.
    ///
    /// # Panics
    /// When no port is free.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let server = Arc::new(Mutex::new(server.to_owned()));
        let (to, open) = (Arc::clone(&server), Arc::clone(&connections));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let to = to.lock().expect("no panic").clone();
                let Ok(server) = TcpStream::connect(to) else { continue };
                pass_on(&client, &server);
                pass_on(&server, &client);
                open.lock().expect("no panic").extend([client, server]);
            }
        });
        Self { address, server, connections }
    }

    /// New connections go to that server.
    ///
    /// # Panics
    /// Never: nobody panics while it is changed.
    pub fn lead_to(&self, server: &str) {
        *self.server.lock().expect("no panic") = server.to_owned();
        self.cut();
    }

    /// Ends every connection in mid-stream.
    ///
    /// # Panics
    /// Never: nobody panics while they are listed.
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
