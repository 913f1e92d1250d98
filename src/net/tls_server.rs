//! TLS towards callers: which certificate is shown to whom, and whose client certificates count.
//!
//! Promises: TLS 1.2 at least; no early data, which could be replayed; a client certificate that is shown is verified, also
//! where it is optional.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;

use super::pair::{self, Pair, PairFiles};
use super::renewed::{Made, Renewed, TlsError};
use super::roots::{self, provider};

/// How callers connect over TLS.
#[derive(Clone, Debug)]
pub struct ServerTlsOptions {
    /// Certificates with their keys; the first is shown to callers who ask for no name that another has.
    pub pairs: Vec<PairFiles>,
    /// Whether callers show a certificate.
    pub client_certificate: ClientCertificate,
    /// The lowest version that is spoken.
    pub minimum_version: TlsVersion,
    /// The protocols that are offered, the preferred one first.
    pub protocols: Vec<Vec<u8>>,
}

/// Whether callers show a certificate of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// They are not asked.
    Off,
    /// They may; one that they show is verified by these authorities.
    Optional(PathBuf),
    /// They must.
    Required(PathBuf),
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// Reads all files, now and whenever they change.
pub fn open(options: ServerTlsOptions, now_ms: i64) -> Result<Renewed<ServerConfig>, TlsError> {
    let mut files: Vec<PathBuf> =
        options.pairs.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]).collect();
    files.extend(options.client_certificate.ca_file().cloned());
    Renewed::make("listener", files, now_ms, move |now_ms| make(&options, now_ms))
}

impl ClientCertificate {
    fn ca_file(&self) -> Option<&PathBuf> {
        match self {
            Self::Off => None,
            Self::Optional(file) | Self::Required(file) => Some(file),
        }
    }
}

fn make(options: &ServerTlsOptions, now_ms: i64) -> Result<Made<ServerConfig>, TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let pairs: Result<Vec<Pair>, _> = options.pairs.iter().map(|files| pair::load(files, now_ms)).collect();
    let pairs = pairs?;
    let expires_ms = pairs.iter().map(|pair| pair.expires_ms).min();
    let versions: &[&rustls::SupportedProtocolVersion] = match options.minimum_version {
        TlsVersion::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(versions).map_err(setup)?;
    let builder = match verifier(&options.client_certificate)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByName(pairs)));
    config.alpn_protocols = options.protocols.clone();
    Ok(Made { value: config, expires_ms })
}

fn verifier(client: &ClientCertificate) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(file) = client.ca_file() else { return Ok(None) };
    let authorities: Arc<RootCertStore> = Arc::new(roots::load(Some(file))?);
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider());
    let builder = match client {
        ClientCertificate::Optional(_) => builder.allow_unauthenticated(),
        _ => builder,
    };
    builder.build().map(Some).map_err(|error| TlsError::Setup(error.to_string()))
}

/// Shows the certificate that has the asked name, else the first.
#[derive(Debug)]
struct ByName(Vec<Pair>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        let named = asked.and_then(|asked| self.0.iter().find(|pair| is_for(&pair.names, &asked)));
        named.or(self.0.first()).map(|pair| Arc::clone(&pair.certified))
    }
}

fn is_for(names: &[String], asked: &str) -> bool {
    let matches = |name: &String| match name.strip_prefix("*.") {
        Some(rest) => asked.split_once('.').is_some_and(|(label, tail)| !label.is_empty() && tail == rest),
        None => name == asked,
    };
    names.iter().any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        let names = ["crm.example".to_owned(), "*.crm.example".to_owned()];
        for (asked, expected) in [
            ("crm.example", true),
            ("api.crm.example", true),
            ("a.api.crm.example", false),
            (".crm.example", false),
            ("xcrm.example", false),
            ("example", false),
        ] {
            assert_eq!(is_for(&names, asked), expected, "{asked}");
        }
    }
}
