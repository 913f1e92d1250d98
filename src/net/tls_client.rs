//! TLS towards the CRM: whom we trust, whom we expect, and who we say that we are.
//!
//! Promises: the CRM's certificate and name are always verified; there is no switch to leave that out.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use super::pair::{self, PairFiles};
use super::renewed::{Made, TlsError};
use super::roots::{self, provider};

/// How the CRM is reached over TLS.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsOptions {
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, where the CRM asks for one.
    pub pair: Option<PairFiles>,
    /// The protocols that are offered, the preferred one first.
    pub protocols: Vec<Vec<u8>>,
}

impl ClientTlsOptions {
    /// The files that it is made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let pair = self.pair.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]);
        self.ca_file.iter().cloned().chain(pair).collect()
    }

    /// Reads the files.
    pub fn make(&self, now_ms: i64) -> Result<Made<ClientConfig>, TlsError> {
        let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(setup)?;
        let builder = builder.with_root_certificates(roots::load(self.ca_file.as_deref())?);
        let (mut config, expires_ms) = match &self.pair {
            Some(files) => {
                let pair = pair::load(files, now_ms)?;
                let shown = Arc::new(SingleCertAndKey::from(pair.certified));
                (builder.with_client_cert_resolver(shown), Some(pair.expires_ms))
            }
            None => (builder.with_no_client_auth(), None),
        };
        config.alpn_protocols = self.protocols.clone();
        Ok(Made { value: config, expires_ms })
    }
}
