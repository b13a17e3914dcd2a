//! An authority, the listener's certificate, and one for a client, in files.

use std::path::Path;

pub struct Certificates {
    folder: tempfile::TempDir,
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("write");
}

impl Certificates {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path();
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        write(at, "ca", &ca.self_signed(&ca_key).expect("signed").pem());
        let issuer = rcgen::Issuer::new(ca, ca_key);
        for name in ["server", "client"] {
            let key = rcgen::KeyPair::generate().expect("a key");
            let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
            let cert = params.signed_by(&key, &issuer).expect("signed");
            write(at, &format!("{name}.cert"), &cert.pem());
            write(at, &format!("{name}.key"), &key.serialize_pem());
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Flags of a listener on `address_flag`; the last of `more` gets the authority as its value.
    pub fn listen(&self, address_flag: &str, more: &[&str]) -> Vec<String> {
        let (cert, key) = (self.path("server.cert"), self.path("server.key"));
        let flags =
            [address_flag, "127.0.0.1:0", "--syslog-tls-cert", &cert, "--syslog-tls-key", &key];
        let mut flags: Vec<String> =
            flags.into_iter().chain(more.iter().copied()).map(str::to_owned).collect();
        if !more.is_empty() {
            flags.push(self.path("ca"));
        }
        flags
    }

    /// Paths of the authority, the client's certificate and its key.
    pub fn client(&self) -> (String, String, String) {
        (self.path("ca"), self.path("client.cert"), self.path("client.key"))
    }
}
