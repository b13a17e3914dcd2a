//! The listener against real rsyslog, which sends the lines of a file by every way it knows.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tahoe_pipeline::listen::Listen;
use tahoe_pipeline::seams::{Batch, Known, Record, Source, SourceId};

use crate::certificates::Certificates;
use crate::listen_support::{address, args, started, template};

struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts rsyslogd that follows `lines` in the folder and forwards by `action`.
fn rsyslog(folder: &Path, globals: &str, action: &str) -> Option<Rsyslog> {
    if Command::new("rsyslogd").arg("-v").output().is_err() {
        assert!(std::env::var_os("TAHOE_TEST_REQUIRED").is_none(), "rsyslogd is missing");
        println!("skipped: needs rsyslogd (rsyslog, rsyslog-relp, rsyslog-openssl)");
        return None;
    }
    let at = folder.display();
    let config = format!(
        "global(workDirectory=\"{at}\" {globals})\nmodule(load=\"imfile\" mode=\"inotify\")\n\
         module(load=\"omrelp\")\n\
         input(type=\"imfile\" file=\"{at}/lines\" tag=\"test:\" ruleset=\"out\")\n\
         ruleset(name=\"out\") {{ {action} }}\n"
    );
    let path = folder.join("rsyslog.conf");
    std::fs::write(&path, config).expect("write");
    std::fs::write(folder.join("lines"), "").expect("write");
    let child = Command::new("rsyslogd")
        .args(["-n", "-f", &path.display().to_string()])
        .args(["-i", &folder.join("pid").display().to_string()])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("stderr")).expect("a file"))
        .spawn();
    Some(Rsyslog(child.expect("it starts")))
}

fn append(folder: &Path, lines: std::ops::Range<u64>) {
    let mut file =
        std::fs::OpenOptions::new().append(true).open(folder.join("lines")).expect("the file");
    let text: String = lines.map(|n| format!("line {n:06} end\n")).collect();
    file.write_all(text.as_bytes()).expect("write");
}

fn number(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("line ").expect("our line");
    rest[..6].parse().expect("our number")
}

/// Everything arrives, each line once, by this way.
fn all_arrive(mut listen: Listen, globals: &str, action: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = address(&listen, 0);
    let action =
        action.replace("TARGET", &format!("target=\"127.0.0.1\" port=\"{}\"", target.port()));
    let Some(_rsyslog) = rsyslog(folder.path(), globals, &action) else { return };
    append(folder.path(), 0..500);
    let mut batch = Batch::new(1 << 20);
    let mut seen = HashSet::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.len() < 500 {
        assert!(Instant::now() < deadline, "{} of 500 lines", seen.len());
        listen.read(&mut batch, Duration::from_millis(100)).expect("read");
        for raw in batch.records() {
            assert!(batch.bytes(raw).starts_with(b"<"), "framing is left in the record");
            assert!(seen.insert(number(batch.bytes(raw))), "a line came twice");
        }
        listen.release(batch.end()).expect("release");
        batch.next();
    }
}

#[test]
fn rsyslog_forwards_by_udp() {
    let listen = started(&["--syslog", "udp://127.0.0.1:0"]);
    all_arrive(listen, "", "action(type=\"omfwd\" TARGET protocol=\"udp\")");
}

#[test]
fn rsyslog_forwards_by_tcp_in_lines_and_by_count() {
    for framing in ["traditional", "octet-counted"] {
        let listen = started(&["--syslog", "tcp://127.0.0.1:0"]);
        let action =
            format!("action(type=\"omfwd\" TARGET protocol=\"tcp\" tcp_framing=\"{framing}\")");
        all_arrive(listen, "", &action);
    }
}

#[test]
fn rsyslog_forwards_by_tls_with_a_certificate_of_its_own() {
    let certificates = Certificates::new();
    let listen = started(&certificates.listen("--syslog-tls", &["--syslog-tls-ca-file"]));
    let (ca, cert, key) = certificates.client();
    let globals = format!(
        "defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{ca}\" \
         defaultNetstreamDriverCertFile=\"{cert}\" defaultNetstreamDriverKeyFile=\"{key}\""
    );
    all_arrive(
        listen,
        &globals,
        "action(type=\"omfwd\" TARGET protocol=\"tcp\" StreamDriver=\"ossl\" \
         StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/certvalid\")",
    );
}

#[test]
fn rsyslog_forwards_by_relp_over_tls_with_a_certificate_of_its_own() {
    let certificates = Certificates::new();
    let listen = started(&certificates.listen("--syslog-relp-tls", &["--syslog-tls-ca-file"]));
    let (ca, cert, key) = certificates.client();
    let action = format!(
        "action(type=\"omrelp\" TARGET tls=\"on\" tls.caCert=\"{ca}\" tls.myCert=\"{cert}\" \
         tls.myPrivKey=\"{key}\" tls.authMode=\"certvalid\")"
    );
    all_arrive(listen, "", &action);
}

/// What the producer loop keeps: the log, and positions that may be older than it.
#[derive(Default)]
struct Kept {
    log: Vec<(SourceId, (u64, u64), Vec<u8>)>,
    known: HashMap<SourceId, Known>,
}

impl Kept {
    fn append(&mut self, batch: &Batch, store: bool) {
        for raw in batch.records() {
            let source = batch.streams()[raw.stream as usize].origin.source;
            self.log.push((source, (raw.start, raw.end), batch.bytes(raw).to_vec()));
        }
        for (source, identity) in batch.identities() {
            let known = self.known.entry(*source).or_insert_with(|| Known {
                source: *source,
                generation: 0,
                next: 0,
                context: Vec::new(),
                identity: identity.clone(),
            });
            known.identity = identity.clone();
        }
        for raw in batch.records().iter().filter(|_| store) {
            let source = batch.streams()[raw.stream as usize].origin.source;
            let known = self.known.get_mut(&source).expect("identified with its first record");
            known.next = raw.end;
            known.context = batch.carried(raw).to_vec();
        }
    }

    /// As `produce` does it after a crash.
    fn resume(&mut self, listen: &mut Listen, path: &str) {
        for (source, span, bytes) in &self.log {
            let known = self.known.get_mut(source).expect("identified with its first record");
            if span.0 < known.next {
                continue;
            }
            let mut origin = template().origin;
            (origin.source, origin.path) = (*source, path.to_owned());
            let record = Record { start: span.0, ..Record::new(bytes, &origin) };
            listen.recover(&record, &mut known.context);
            known.next = span.1;
        }
        listen.resume(self.known.values().cloned().collect()).expect("it resumes");
    }
}

/// A port that nobody is given while the listener is away: below those that the kernel gives.
fn lasting_port() -> u16 {
    let first = u16::try_from(std::process::id() % 1000).expect("below 1000");
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (26_000 + first..32_000).find(free).expect("a free port")
}

#[test]
fn relp_lines_are_there_once_after_the_listener_died_twenty_times() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = lasting_port();
    let at = format!("127.0.0.1:{port}");
    let flags = ["--syslog-relp", at.as_str()];
    let path = format!("relp://{at}");
    let action = format!(
        "action(type=\"omrelp\" target=\"127.0.0.1\" port=\"{port}\" \
         action.resumeInterval=\"1\" action.resumeRetryCount=\"-1\")"
    );
    let mut kept = Kept::default();
    let mut written = 0;
    let mut daemon = None;
    for round in 0..=20u64 {
        let mut listen = Listen::bind(&args(&flags), template()).expect("it can listen");
        kept.resume(&mut listen, &path);
        if daemon.is_none() {
            daemon = rsyslog(folder.path(), "", &action);
            if daemon.is_none() {
                return;
            }
        }
        append(folder.path(), written..written + 300);
        written += 300;
        // It dies when so many records more are in the log: some acknowledged, some not, some
        // of them in no position, and others only in its queue.
        let last_round = round == 20;
        let goal =
            if last_round { written as usize } else { kept.log.len() + 100 + 7 * round as usize };
        let mut batch = Batch::new(2000);
        let deadline = Instant::now() + Duration::from_secs(30);
        while kept.log.len() < goal {
            assert!(Instant::now() < deadline, "round {round}: {} of {goal}", kept.log.len());
            listen.read(&mut batch, Duration::from_millis(100)).expect("read");
            let n = kept.log.len() as u64;
            kept.append(&batch, !n.is_multiple_of(3));
            if last_round || !n.is_multiple_of(5) {
                listen.release(batch.end()).expect("release");
            }
            batch.next();
        }
        drop(listen);
    }
    let numbers: Vec<u64> = kept.log.iter().map(|(_, _, bytes)| number(bytes)).collect();
    let mut distinct = HashSet::new();
    let twice: Vec<_> = numbers.iter().filter(|number| !distinct.insert(**number)).collect();
    assert!(twice.is_empty(), "lines came twice: {twice:?}");
    assert_eq!(distinct.len() as u64, written, "lines are missing");
}
