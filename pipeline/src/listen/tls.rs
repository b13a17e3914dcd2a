//! TLS for senders. What is wrong with a certificate is said at the start, with the setting,
//! rather than to every client that is turned away.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tahoe_seams::SourceError;

use super::settings::{ClientCertificate, ListenArgs};

/// Makes the server's side of TLS from the settings. `now_s` is seconds since the epoch.
pub(super) fn acceptor(
    args: &ListenArgs,
    now_s: i64,
) -> Result<tokio_rustls::TlsAcceptor, SourceError> {
    let cert = required("--syslog-tls-cert", args.syslog_tls_cert.as_deref())?;
    let key = required("--syslog-tls-key", args.syslog_tls_key.as_deref())?;
    let chain = certificates("--syslog-tls-cert", cert)?;
    check_validity("--syslog-tls-cert", cert, &chain, now_s)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unusable("--syslog-tls-key", key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    let builder = match args.syslog_tls_ca_file.as_deref() {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let setting = "--syslog-tls-ca-file";
            let mut roots = RootCertStore::empty();
            for root in certificates(setting, path)? {
                roots.add(root).map_err(|error| unusable(setting, path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match args.syslog_tls_client_cert {
                ClientCertificate::Required => verifier,
                ClientCertificate::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| unusable(setting, path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain, secret).map_err(|error| {
        let text = format!("--syslog-tls-key: {} does not fit --syslog-tls-cert", key.display());
        SourceError::Stop(format!("{text}: {error}"), Some(error.into()))
    })?;
    Ok(Arc::new(config).into())
}

fn required<'a>(setting: &str, path: Option<&'a Path>) -> Result<&'a Path, SourceError> {
    path.ok_or_else(|| {
        let text = format!("{setting} is not set: TLS addresses need a certificate and its key");
        SourceError::Stop(text, None)
    })
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unusable(setting, path, &error))?;
    if read.is_empty() {
        return Err(unusable(setting, path, &"it holds no certificate"));
    }
    Ok(read)
}

fn unusable(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> SourceError {
    SourceError::Stop(format!("{setting}: cannot use {}: {error}", path.display()), None)
}

fn check_validity(
    setting: &str,
    path: &Path,
    chain: &[CertificateDer<'_>],
    now_s: i64,
) -> Result<(), SourceError> {
    // A certificate that this does not understand is left to rustls.
    let Some((from, until)) = chain.first().and_then(|leaf| validity(leaf)) else { return Ok(()) };
    let stamp = |s| jiff::Timestamp::from_second(s).map(|t| t.to_string()).unwrap_or_default();
    if now_s > until {
        let text = format!("the certificate expired at {}: renew it", stamp(until));
        return Err(unusable(setting, path, &text));
    }
    if now_s < from {
        let text = format!("the certificate is not valid before {}", stamp(from));
        return Err(unusable(setting, path, &text));
    }
    Ok(())
}

/// Seconds since the epoch from and until which an X.509 certificate (RFC 5280, 4.1) is valid.
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // [0] version, which may be missing; serial number, signature algorithm, issuer.
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((time(from_tag, from)?, time(until_tag, until)?))
}

/// Tag, content and what follows of a DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let bytes = rest.get(..usize::from(first & 0x7f)).filter(|bytes| bytes.len() <= 4)?;
        let len = bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        (len, &rest[bytes.len()..])
    };
    Some((tag, rest.get(..len)?, &rest[len..]))
}

/// UTCTime (`YYMMDDhhmmssZ`, 1950 to 2049) or GeneralizedTime (`YYYYMMDDhhmmssZ`).
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        0x17 if text.get(..2)? < "50" => format!("20{text}"),
        0x17 => format!("19{text}"),
        _ => text.to_owned(),
    };
    let parsed = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    Some(parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}
