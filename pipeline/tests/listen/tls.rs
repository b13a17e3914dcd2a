//! TLS: who is let in, with which certificate, and what is said at the start.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tahoe_pipeline::listen::Listen;
use tahoe_pipeline::seams::{Batch, Source};

use crate::certificates::Certificates;
use crate::listen_support::{address, args, started, template};
use crate::{relp, texts_until};

type Socket = StreamOwned<ClientConnection, TcpStream>;

/// Connects, trusting `server`'s authority, with `own`'s client certificate if one is given.
fn connect(listen: &Listen, server: &Certificates, own: Option<&Certificates>) -> Socket {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let pem = |path: String| CertificateDer::from_pem_file(path).expect("a certificate");
    roots.add(pem(server.path("ca"))).expect("an authority");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (_, cert, key) = own.client();
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(vec![pem(cert)], key).expect("they fit")
        }
    };
    let name = "localhost".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(address(listen, 0)).expect("connect");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    StreamOwned::new(connection, socket)
}

/// Why the listener turned the client away. In TLS 1.3 a client learns that when it reads.
fn refusal(mut socket: Socket) -> String {
    let _ = socket.write_all(b"<13>let me in\n");
    match socket.read(&mut [0]) {
        Ok(read) => panic!("it was let in ({read})"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_client_certificate_is_required_once_an_authority_is_named() {
    let (ours, foreign) = (Certificates::new(), Certificates::new());
    let mut listen = started(&ours.listen("--syslog-tls", &["--syslog-tls-ca-file"]));
    let text = refusal(connect(&listen, &ours, None));
    assert!(text.contains("CertificateRequired"), "{text}");
    let text = refusal(connect(&listen, &ours, Some(&foreign)));
    assert!(text.contains("UnknownCA") || text.contains("DecryptError"), "{text}");
    let mut socket = connect(&listen, &ours, Some(&ours));
    socket.write_all(b"<13>mine\n").expect("write");
    let mut batch = Batch::new(1 << 20);
    assert_eq!(texts_until(&mut listen, &mut batch, 1), ["<13>mine"]);
}

#[test]
fn an_optional_client_certificate_may_be_missing_but_not_wrong() {
    let (ours, foreign) = (Certificates::new(), Certificates::new());
    let more = ["--syslog-tls-client-cert", "optional", "--syslog-tls-ca-file"];
    let mut listen = started(&ours.listen("--syslog-tls", &more));
    let text = refusal(connect(&listen, &ours, Some(&foreign)));
    assert!(text.contains("UnknownCA") || text.contains("DecryptError"), "{text}");
    let mut batch = Batch::new(1 << 20);
    for (own, expected) in [(None, 1), (Some(&ours), 2)] {
        let mut socket = connect(&listen, &ours, own);
        socket.write_all(b"<13>hello\n").expect("write");
        socket.conn.send_close_notify();
        socket.flush().expect("write");
        assert_eq!(texts_until(&mut listen, &mut batch, expected).len(), expected);
    }
}

#[test]
fn relp_over_tls_answers_what_is_durable() {
    let ours = Certificates::new();
    let mut listen = started(&ours.listen("--syslog-relp-tls", &[]));
    let mut client = relp::client(connect(&listen, &ours, None));
    client.write_all(&relp::frame(2, "<13>one")).expect("write");
    let mut batch = Batch::new(1 << 20);
    assert_eq!(texts_until(&mut listen, &mut batch, 1), ["<13>one"]);
    assert!(batch.streams()[0].origin.path.starts_with("relp+tls://"));
    listen.release(batch.end()).expect("release");
    relp::answered(&mut client, 2);
}

#[test]
fn a_client_without_tls_is_turned_away_and_the_next_one_is_served() {
    let ours = Certificates::new();
    let mut listen = started(&ours.listen("--syslog-tls", &[]));
    let mut plain = TcpStream::connect(address(&listen, 0)).expect("connect");
    plain.write_all(b"<13>in the clear, and long enough to be no handshake\n").expect("write");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    let mut socket = connect(&listen, &ours, None);
    socket.write_all(b"<13>secret\n").expect("write");
    let mut batch = Batch::new(1 << 20);
    assert_eq!(texts_until(&mut listen, &mut batch, 1), ["<13>secret"]);
}

#[test]
fn an_expired_certificate_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let cert = params.self_signed(&key).expect("signed");
    let (cert_path, key_path) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert_path, cert.pem()).expect("write");
    std::fs::write(&key_path, key.serialize_pem()).expect("write");
    let (cert, key) = (cert_path.display().to_string(), key_path.display().to_string());
    let flags =
        ["--syslog-tls", "127.0.0.1:0", "--syslog-tls-cert", &cert, "--syslog-tls-key", &key];
    let error = Listen::bind(&args(&flags), template()).err().expect("it is expired");
    let text = error.to_string();
    assert!(text.contains("--syslog-tls-cert") && text.contains("expired at 2021-01-01"), "{text}");
}
