//! A bulk endpoint that only counts: it answers as Elasticsearch does when every document was
//! created, and a second process asks it how many there were.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;

#[derive(clap::Args)]
pub struct EndpointArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
}

/// Path that tells the number of documents so far.
const COUNTED: &str = "/counted";

/// Largest body that is taken: the sink sends 5 MiB unless a single event is larger.
const BODY_BYTES_MAX: usize = 100 << 20;

pub fn run(args: EndpointArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)?;
    println!("{}", listener.local_addr()?);
    let documents = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let documents = Arc::clone(&documents);
            // A connection that breaks is its client's to notice.
            std::thread::spawn(move || serve(stream, &documents));
        }
    });
    // It ends with whoever started it.
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn serve(mut stream: TcpStream, documents: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 << 10, stream.try_clone()?);
    let mut body = Vec::new();
    while let Some((path, length)) = request(&mut reader)? {
        if length > BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let answer = match path.as_str() {
            COUNTED => documents.load(Ordering::SeqCst).to_string().into_bytes(),
            path if path.split('?').next() == Some("/_bulk") => {
                // An action and a document are a line each.
                let created = memchr::memchr_iter(b'\n', &body).count() / 2;
                documents.fetch_add(created as u64, Ordering::SeqCst);
                all_created(created)
            }
            _ => b"{}".to_vec(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(&[head.as_bytes(), &answer].concat())?;
    }
    Ok(())
}

/// Path and length of the body of the next request; `None` at the end of the connection.
fn request(reader: &mut impl io::BufRead) -> io::Result<Option<(String, usize)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some((path, length)));
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
}

/// What the server answers to the filter that the sink sends.
fn all_created(documents: usize) -> Vec<u8> {
    let items = vec![r#"{"create":{"status":201}}"#; documents];
    format!(r#"{{"items":[{}]}}"#, items.join(",")).into_bytes()
}

/// An endpoint in a process of its own, which ends with this value.
pub struct Endpoint {
    process: Child,
    address: String,
}

impl Endpoint {
    /// Starts one.
    pub fn start() -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("endpoint")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("it was asked for a pipe")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Documents that it has taken.
    pub fn counted(&self) -> anyhow::Result<u64> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET {COUNTED} HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let count = answer.rsplit("\r\n").next().unwrap_or_default();
        count.parse().with_context(|| format!("the endpoint counts {count:?}"))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_path_and_the_length_of_its_body() {
        let text = "POST /_bulk?x=1 HTTP/1.1\r\nHost: a:1\r\ncontent-LENGTH: 12\r\n\r\nrest";
        let read = request(&mut text.as_bytes()).expect("whole");
        assert_eq!(read, Some(("/_bulk?x=1".to_owned(), 12)));
        assert_eq!(request(&mut &b""[..]).expect("the end"), None);
    }

    #[test]
    fn the_answer_has_one_created_item_per_document() {
        let answer: serde_json::Value = serde_json::from_slice(&all_created(2)).expect("JSON");
        assert_eq!(answer["items"].as_array().map(Vec::len), Some(2));
        assert_eq!(answer["items"][1]["create"]["status"], 201);
    }
}
