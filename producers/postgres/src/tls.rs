//! How far a server's certificate is trusted: the five answers of libpq's `sslmode`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore};
use rustls::{SignatureScheme, version};

/// What `PGSSLMODE` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// Never
    Disable,
    /// If the server speaks it, whoever it is
    Prefer,
    /// Always, whoever the server is; with PGSSLROOTCERT, as verify-ca
    Require,
    /// The authority of PGSSLROOTCERT must have signed the certificate
    VerifyCa,
    /// And it must be the host's
    VerifyFull,
}

/// Where Debian and Red Hat keep the authorities that the system trusts.
const SYSTEM_AUTHORITIES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The client's side of a handshake.
///
/// # Errors
/// Names the setting if the authorities cannot be read.
pub fn client_config(mode: TlsMode, root: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let trust = match (mode, root) {
        (TlsMode::VerifyFull, root) => Trust::Host(verifier(root, &provider)?),
        (TlsMode::VerifyCa, root) | (TlsMode::Require, root @ Some(_)) => {
            Trust::Authority(verifier(root, &provider)?)
        }
        _ => Trust::Anyone,
    };
    let versions = [&version::TLS13, &version::TLS12];
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| format!("--pg-sslmode: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { trust, provider }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn verifier(
    root: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let path = match root {
        Some(path) if path != Path::new("system") => path.to_owned(),
        _ => system_authorities()?,
    };
    let fail = |error: &dyn std::fmt::Display| {
        format!("--pg-sslrootcert (PGSSLROOTCERT) {}: {error}", path.display())
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| fail(&error))? {
        let certificate = certificate.map_err(|error| fail(&error))?;
        roots.add(certificate).map_err(|error| fail(&error))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| fail(&error))
}

fn system_authorities() -> Result<PathBuf, String> {
    let there = SYSTEM_AUTHORITIES.into_iter().map(PathBuf::from).find(|path| path.is_file());
    there.ok_or_else(|| {
        "the system has no list of authorities: name one by --pg-sslrootcert (PGSSLROOTCERT)"
            .to_owned()
    })
}

#[derive(Debug)]
enum Trust {
    Anyone,
    Authority(Arc<WebPkiServerVerifier>),
    Host(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (inner, any_name) = match &self.trust {
            Trust::Anyone => return Ok(ServerCertVerified::assertion()),
            Trust::Authority(inner) => (inner, true),
            Trust::Host(inner) => (inner, false),
        };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if any_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
