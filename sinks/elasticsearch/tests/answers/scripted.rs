//! A server that is a script: it reads whole requests and gives the answers it was told to, one per
//! request, or closes the connection instead.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its first line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

/// What the server does with a request.
pub enum Act {
    Answer(u16, String),
    Close,
    Silence,
}

pub type Script = dyn Fn(&Request) -> Act + Send + Sync;

/// Reads one request with a `content-length`, or `None` at the end of the connection.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head is ASCII");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { head, body })
}

pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen, script: &Script) {
    while let Some(request) = read_request(&mut stream).await {
        let act = script(&request);
        seen.lock().expect("no panic while held").push(request);
        match act {
            Act::Answer(status, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\n\r\n"
                );
                if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Close => return,
            Act::Silence => std::future::pending().await,
        }
    }
}

pub type Seen = Arc<Mutex<Vec<Request>>>;

pub async fn server(script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let seen = Seen::default();
    let (log, script) = (Arc::clone(&seen), Arc::new(script));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            tokio::spawn(async move { serve(stream, &log, &*script).await });
        }
    });
    (address, seen)
}
