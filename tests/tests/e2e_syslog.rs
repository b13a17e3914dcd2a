//! Real rsyslog forwards the lines of files by every way that it knows, through Kafka into
//! Elasticsearch.

use std::path::Path;

use tahoe_tests::documents::Documents as _;
use tahoe_tests::feed::{append_to, write_lines};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::rsyslog::{self, Forward};
use tahoe_tests::servers::free_port;

const LINES: u64 = 200;

/// A way, and the number that its lines begin with.
const WAYS: [(&str, u64); 5] =
    [("udp", 0), ("lines", 1_000), ("counted", 2_000), ("tls", 3_000), ("relp", 4_000)];

/// An authority and a certificate that it signed, as PEM files.
struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

fn draw_certificates(folder: &Path) -> Certificates {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let ca_cert = ca.self_signed(&ca_key).expect("signed");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    Certificates {
        authority: write("ca.pem", ca_cert.pem()),
        certificate: write("cert.pem", certificate.pem()),
        key: write("key.pem", key.serialize_pem()),
    }
}

#[test]
fn rsyslog_forwards_by_udp_tcp_tls_and_relp_and_every_line_is_there_once() {
    let Some(pipeline) = Pipeline::set_up("syslog") else { return };
    let folder = pipeline.path("rsyslog");
    std::fs::create_dir(&folder).expect("a folder");
    let drawn = draw_certificates(&folder);
    let [plain, tls, relp] = [free_port(), free_port(), free_port()];
    let address = |port| format!("127.0.0.1:{port}");
    let transformer = pipeline.transformer();
    let arguments = [
        ["--syslog", &address(plain)],
        ["--syslog-tls", &address(tls)],
        ["--syslog-relp", &address(relp)],
        ["--syslog-tls-cert", &drawn.certificate],
        ["--syslog-tls-key", &drawn.key],
        ["--syslog-tls-ca-file", &drawn.authority],
        ["--grace-seconds", "20"],
    ];
    let arguments = [&["--no-system"], arguments.concat().as_slice()].concat();
    let mut listener = pipeline.start("tahoe-syslog", &arguments);
    listener.says("listening for syslog");

    let to = |port| format!("target=\"127.0.0.1\" port=\"{port}\"");
    let actions = [
        format!("type=\"omfwd\" protocol=\"udp\" {}", to(plain)),
        format!("type=\"omfwd\" protocol=\"tcp\" {}", to(plain)),
        format!("type=\"omfwd\" protocol=\"tcp\" tcp_framing=\"octet-counted\" {}", to(plain)),
        format!(
            "type=\"omfwd\" protocol=\"tcp\" StreamDriver=\"ossl\" StreamDriverMode=\"1\" \
             StreamDriverAuthMode=\"x509/certvalid\" {}",
            to(tls)
        ),
        format!("type=\"omrelp\" {}", to(relp)),
    ];
    let globals = format!(
        "defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{}\" \
         defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
        drawn.authority, drawn.certificate, drawn.key
    );
    let ways = WAYS.iter().zip(&actions);
    let forwards: Vec<_> = ways.map(|((file, _), action)| Forward { file, action }).collect();
    let Some(_rsyslog) = rsyslog::start(&folder, &globals, &forwards) else { return };
    for (file, first) in WAYS {
        let numbers = first..first + LINES;
        write_lines(&mut append_to(&folder.join(file)), numbers, |n| format!("n={n} sent\n"));
    }
    pipeline.documents.wait_for("*", WAYS.len() * usize::try_from(LINES).expect("few"));
    listener.stop();
    pipeline.assert_each_once(WAYS.iter().flat_map(|(_, first)| *first..first + LINES));
    for document in pipeline.documents.find("*") {
        let source = &document.source;
        assert_eq!(document.text("/event/dataset"), "system.syslog", "{source}");
        let n = document.number();
        let (file, _) = WAYS.iter().rfind(|(_, first)| *first <= n).expect("one of them");
        assert_eq!(document.text("/process/name"), *file, "{source}");
    }
    transformer.stop();
}
