//! What an import sends. A stand-in takes the request in place of Kibana, which cannot be had here: it
//! shows what is sent and what is made of the answers, and not that Kibana takes it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use tahoe_tests::program::{Ended, command, run};

/// One request.
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Answers one request; its address.
fn answering(status: &'static str, body: &'static str) -> (String, JoinHandle<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let answer = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client comes");
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let headers: Vec<_> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut request = Request { line: lines[0].clone(), headers, body: String::new() };
        let length = request.header("content-length").parse().expect("a length");
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).expect("the body");
        request.body = String::from_utf8(bytes).expect("UTF-8");
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n");
        let text =
            format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        reader.get_mut().write_all(text.as_bytes()).expect("answered");
        request
    });
    (url, answer)
}

fn import(url: &str, arguments: &[&str]) -> Ended {
    run("tahoe", &[&["kibana", "import", "--kibana", url], arguments].concat())
}

#[test]
fn an_import_uploads_what_export_prints_with_the_login_and_overwrites_by_id() {
    let (url, answer) = answering("200 OK", r#"{"success":true,"successCount":18}"#);
    let login = ["--elastic-username", "ops", "--elastic-password", "s3cret", "--json"];
    let ended = import(&url, &login);
    let request = answer.join().expect("asked once");
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(request.line, "POST /api/saved_objects/_import?overwrite=true HTTP/1.1");
    assert_eq!(request.header("kbn-xsrf"), "true");
    // ops:s3cret
    assert_eq!(request.header("authorization"), "Basic b3BzOnMzY3JldA==");
    let kind = request.header("content-type");
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a form");
    let parts: Vec<_> = request.body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[2]), (3, "", "--\r\n"));
    let (head, file) = parts[1].split_once("\r\n\r\n").expect("head and file");
    assert!(head.contains("name=\"file\"; filename=\"tahoe.ndjson\""), "{head}");
    assert_eq!(file.trim_end(), run("tahoe", &["kibana", "export"]).stdout.trim_end());
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&said["objects"], &said["space"]), (&18.into(), &"default".into()));
    assert_eq!(said["dashboards"].as_array().map(Vec::len), Some(9));
}

#[test]
fn a_space_is_part_of_the_path_and_one_that_is_missing_is_named() {
    let (url, answer) = answering("404 Not Found", r#"{"statusCode":404,"error":"Not Found"}"#);
    let ended = import(&url, &["--space", "acme"]);
    let request = answer.join().expect("asked once");
    assert_eq!(request.line, "POST /s/acme/api/saved_objects/_import?overwrite=true HTTP/1.1");
    assert!(!ended.status.success() && ended.stderr.contains("no space acme"), "{}", ended.stderr);
}

#[test]
fn what_kibana_refuses_is_said_with_the_setting_that_mends_it() {
    let errors = r#"{"success":false,"successCount":17,"errors":[{"type":"dashboard","id":"tahoe-mysql",
        "error":{"type":"missing_references","references":[]}}]}"#;
    let cases = [
        ("200 OK", errors, "dashboard tahoe-mysql for missing_references"),
        ("401 Unauthorized", r#"{"error":"Unauthorized"}"#, "ELASTIC_PASSWORD"),
        ("503 Service Unavailable", "Kibana server is not ready yet", "not ready yet"),
        ("200 OK", "<html>", "is --kibana right?"),
    ];
    for (status, body, says) in cases {
        let (url, answer) = answering(status, body);
        let ended = import(&url, &[]);
        answer.join().expect("asked once");
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", nobody.local_addr().expect("bound"));
    drop(nobody);
    let ended = import(&url, &[]);
    assert!(ended.stderr.contains("(--kibana)"), "{}", ended.stderr);
    let unset = command("tahoe").args(["kibana", "import"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&unset.stderr).into_owned();
    assert!(said.contains("--kibana or KIBANA_URL"), "{said}");
}
