//! A certificate with its key, from PEM files [edge].
//!
//! Promises: a pair that is handed out belongs together and is valid at the time given. Never says what a key file holds.
#![expect(clippy::disallowed_methods, reason = "edge: reads certificate and key files")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::roots::provider;
use crate::model::peer::CertificateName;

/// Where a pair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate, and the ones between it and the authority's, in PEM form.
    pub certificate: PathBuf,
    /// Its private key, in PEM form.
    pub key: PathBuf,
}

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub struct Pair {
    /// For rustls.
    pub certified: Arc<CertifiedKey>,
    /// The DNS names that it is for, in lower case; `*.` stands for one label.
    pub names: Vec<String>,
    /// Until when it is valid, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// Why a pair cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file could not be read.
    #[error("`{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is empty, as it is for a moment while it is replaced.
    #[error("`{0}` is empty")]
    Empty(PathBuf),
    /// A file holds no PEM section of the kind that belongs there.
    #[error("`{path}` holds no {what} in PEM form: {detail}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// The certificate cannot be understood.
    #[error("the certificate in `{path}` cannot be used: {detail}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The key cannot be used.
    #[error("the key in `{path}` cannot be used: {detail}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The key is another's.
    #[error("the key in `{key}` does not belong to the certificate in `{certificate}`")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate is over.
    #[error("the certificate in `{path}` expired at {at}")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        at: jiff::Timestamp,
    },
    /// The certificate is for later.
    #[error("the certificate in `{path}` is valid only from {from}")]
    NotYet {
        /// The file.
        path: PathBuf,
        /// From when.
        from: jiff::Timestamp,
    },
}

/// Loads a pair as it stands at a moment, in milliseconds since 1970.
pub fn load(files: &PairFiles, now_ms: i64) -> Result<Pair, PairError> {
    let chain = read_chain(&files.certificate)?;
    let key_pem = read(&files.key)?;
    let no_key = |error: rustls_pki_types::pem::Error| PairError::Pem {
        path: files.key.clone(),
        what: "private key",
        detail: error.to_string(),
    };
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(no_key)?;
    let unusable =
        |error: rustls::Error| PairError::Key { path: files.key.clone(), detail: error.to_string() };
    let signing = provider().key_provider.load_private_key(key).map_err(unusable)?;
    let leaf = chain.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new()));
    let (names, expires_ms) = read_leaf(&leaf, &files.certificate, now_ms)?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(Pair { certified: Arc::new(certified), names, expires_ms }),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(PairError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() })
        }
        Err(error) => Err(unusable(error)),
    }
}

/// The names in a client's certificate that was verified.
pub fn names_of(certificate: &CertificateDer<'_>) -> Vec<CertificateName> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(CertificateName::Dns((*name).to_owned())),
        GeneralName::URI(uri) => Some(CertificateName::Uri((*uri).to_owned())),
        GeneralName::RFC822Name(address) => Some(CertificateName::Email((*address).to_owned())),
        _ => None,
    };
    general_names(&parsed).iter().filter_map(name).collect()
}

fn general_names<'c>(certificate: &'c X509Certificate<'c>) -> &'c [GeneralName<'c>] {
    match certificate.subject_alternative_name() {
        Ok(Some(extension)) => &extension.value.general_names,
        _ => &[],
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let pem = read(path)?;
    let broken = |detail: String| PairError::Pem { path: path.to_owned(), what: "certificate", detail };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| broken(error.to_string()))?;
    match chain.is_empty() {
        true => Err(broken("no section is a certificate".to_owned())),
        false => Ok(chain),
    }
}

fn read_leaf(leaf: &CertificateDer<'_>, path: &Path, now_ms: i64) -> Result<(Vec<String>, i64), PairError> {
    let unusable = |detail: String| PairError::Certificate { path: path.to_owned(), detail };
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| unusable(error.to_string()))?;
    let moment = |seconds: i64| {
        jiff::Timestamp::from_second(seconds).map_err(|_| unusable("its dates are out of range".to_owned()))
    };
    let validity = parsed.validity();
    let (from, until) = (moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?);
    if now_ms < from.as_millisecond() {
        return Err(PairError::NotYet { path: path.to_owned(), from });
    }
    if now_ms > until.as_millisecond() {
        return Err(PairError::Expired { path: path.to_owned(), at: until });
    }
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    Ok((general_names(&parsed).iter().filter_map(dns).collect(), until.as_millisecond()))
}

fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    let bytes =
        std::fs::read(path).map_err(|source| PairError::Unreadable { path: path.to_owned(), source })?;
    match bytes.iter().all(u8::is_ascii_whitespace) {
        true => Err(PairError::Empty(path.to_owned())),
        false => Ok(bytes),
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
