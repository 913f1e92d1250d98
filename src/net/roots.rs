//! Whom we trust as a server: the system's certificate authorities, or those of one file [edge].
#![expect(clippy::disallowed_methods, reason = "edge: reads certificate files")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file could not be read.
    #[error("`{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no PEM.
    #[error("`{path}` is not valid PEM: {detail}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A certificate cannot be an authority.
    #[error("`{path}`: certificate {number} cannot be used: {detail}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// Why.
        detail: String,
    },
    /// The file holds none.
    #[error("`{0}` holds no certificate")]
    Empty(PathBuf),
    /// The system has none.
    #[error("the system has no certificate authorities: {0}")]
    System(String),
}

/// The authorities of a file in PEM form, or the system's.
pub fn load(ca_file: Option<&Path>) -> Result<RootCertStore, RootsError> {
    match ca_file {
        Some(path) => from_file(path),
        None => from_system(),
    }
}

/// What a client of ours starts from: verified TLS 1.2 or 1.3, without a certificate of its own.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, RootsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| RootsError::System(error.to_string()))?;
    Ok(builder.with_root_certificates(load(ca_file)?).with_no_client_auth())
}

/// The one provider of cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

fn from_file(path: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |source| RootsError::Unreadable { path: path.to_owned(), source };
    let text = std::fs::read(path).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&text).enumerate() {
        let broken = |error: rustls_pki_types::pem::Error| RootsError::Pem {
            path: path.to_owned(),
            detail: error.to_string(),
        };
        let unusable = |error: rustls::Error| RootsError::Certificate {
            path: path.to_owned(),
            number: index + 1,
            detail: error.to_string(),
        };
        roots.add(certificate.map_err(broken)?).map_err(unusable)?;
    }
    match roots.is_empty() {
        true => Err(RootsError::Empty(path.to_owned())),
        false => Ok(roots),
    }
}

/// Certificates that the system has but rustls cannot use are left out, as every client does.
fn from_system() -> Result<RootCertStore, RootsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => {
            let causes: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            Err(RootsError::System(causes.join("; ")))
        }
        false => Ok(roots),
    }
}
