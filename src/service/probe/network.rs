//! The CRM as the network shows it: address, certificate, statuses of answers [edge].
//!
//! Promises: every step has a time limit; TLS is verified; of an answer only the status is looked at.
#![expect(clippy::disallowed_methods, reason = "edge: sockets")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Finding, Level, good, unreachable};
use crate::net::remote::causes;
use crate::net::roots;
use crate::telemetry::stopwatch::unix_ns;

/// The way to the CRM.
pub struct Network {
    origin: Uri,
    host: String,
    port: u16,
    ca_file: Option<PathBuf>,
    limit: Duration,
}

/// Why something could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The name leads nowhere.
    #[error("`{host}` could not be resolved: {detail}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        detail: String,
    },
    /// Nobody listens, or nobody answers.
    #[error("{address} could not be connected to: {detail}")]
    Connect {
        /// The address.
        address: String,
        /// Why.
        detail: String,
    },
    /// The certificate does not hold.
    #[error("TLS with `{host}` failed: {detail}")]
    Tls {
        /// The name that was expected.
        host: String,
        /// Why.
        detail: String,
    },
    /// It does not speak HTTP.
    #[error("`{origin}` gave no answer over HTTP: {detail}")]
    Http {
        /// As configured.
        origin: String,
        /// Why.
        detail: String,
    },
}

impl ProbeError {
    /// What was being looked at.
    pub fn check(&self) -> &'static str {
        match self {
            ProbeError::Resolve { .. } => "resolve",
            ProbeError::Connect { .. } => "connect",
            ProbeError::Tls { .. } => "certificate",
            ProbeError::Http { .. } => "answer",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            ProbeError::Resolve { .. } => {
                "Look at the host in `upstream.url`, and at the name servers of this host."
            }
            ProbeError::Connect { .. } => {
                "Start the CRM, or correct host and port in `upstream.url`; a firewall may be in between."
            }
            ProbeError::Tls { .. } => {
                "Give the CRM a certificate for that name that is in date, and name its authority in the configuration."
            }
            ProbeError::Http { .. } => {
                "Look whether port and scheme in `upstream.url` are those of the CRM's API."
            }
        }
    }
}

impl Network {
    /// The way to `http://host:port` or `https://host:port`; `None` for anything else.
    pub fn to(origin: &str, ca_file: Option<&Path>, limit: Duration) -> Option<Self> {
        let origin: Uri = origin.parse().ok()?;
        let default = match origin.scheme_str()? {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = origin.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = origin.port_u16().unwrap_or(default);
        Some(Self { origin, host, port, ca_file: ca_file.map(Path::to_owned), limit })
    }

    /// The CRM's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The CRM's addresses, and that the first of them takes connections.
    pub async fn connect(&self) -> Result<(Vec<SocketAddr>, Finding), ProbeError> {
        let failed = |detail: String| ProbeError::Resolve { host: self.host.clone(), detail };
        let found = timeout(self.limit, lookup_host((self.host.as_str(), self.port))).await;
        let found = found.map_err(|_| failed("no answer in time".to_owned()))?;
        let addresses: Vec<SocketAddr> = found.map_err(|error| failed(error.to_string()))?.collect();
        let mut last = failed("it has no address".to_owned());
        for address in &addresses {
            match connect(*address, self.limit).await {
                Ok(_) => {
                    return Ok((addresses.clone(), good("connect", format!("{address} takes connections"))));
                }
                Err(detail) => last = ProbeError::Connect { address: address.to_string(), detail },
            }
        }
        Err(last)
    }

    /// The certificate of the CRM, if it speaks TLS; that it does not, if that matters.
    pub async fn certificate(&self, address: Option<SocketAddr>) -> Option<Finding> {
        let address = address?;
        if self.origin.scheme_str() == Some("http") {
            let what = format!("{address} is spoken to in the clear");
            let fix = "Speak TLS to a CRM on another host, or put both on one.";
            let level = if address.ip().is_loopback() { Level::Good } else { Level::Warning };
            let fix = (level != Level::Good).then_some(fix);
            return Some(Finding { check: "certificate", level, what, fix });
        }
        Some(match self.shake_hands(address).await {
            Ok(certificate) => describe(&certificate, unix_ns() / 1_000_000_000),
            Err(detail) => unreachable(&ProbeError::Tls { host: self.host.clone(), detail }),
        })
    }

    async fn shake_hands(&self, address: SocketAddr) -> Result<CertificateDer<'static>, String> {
        let config = roots::client_config(self.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let stream = connect(address, self.limit).await?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let connected = timeout(self.limit, connecting).await.map_err(|_| "no answer in time".to_owned())?;
        let stream = connected.map_err(|error| causes(&error))?;
        let (_, connection) = stream.get_ref();
        let first = connection.peer_certificates().and_then(|certificates| certificates.first());
        first.map(|certificate| certificate.clone().into_owned()).ok_or_else(|| "it showed none".to_owned())
    }

    /// The status of a `GET`.
    pub async fn ask(
        &self,
        target: &str,
        host: Option<&str>,
        credential: Option<(&HeaderName, &HeaderValue)>,
    ) -> Result<u16, ProbeError> {
        let failed = |detail: String| ProbeError::Http { origin: self.origin.to_string(), detail };
        let mut request = Request::new(Empty::<Bytes>::new());
        let base = self.origin.to_string();
        let uri = format!("{}{target}", base.trim_end_matches('/'));
        *request.uri_mut() = uri.parse().map_err(|error: http::uri::InvalidUri| failed(error.to_string()))?;
        let headers = request.headers_mut();
        if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
            headers.insert(HOST, host);
        }
        headers.extend(credential.map(|(name, value)| (name.clone(), value.clone())));
        let config =
            roots::client_config(self.ca_file.as_deref()).map_err(|error| failed(error.to_string()))?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let connector = connector.enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let answer = timeout(self.limit, client.request(request)).await;
        let answer = answer.map_err(|_| failed("no answer in time".to_owned()))?;
        answer.map(|response| response.status().as_u16()).map_err(|error| failed(causes(&error)))
    }
}

/// Whether an address takes connections.
pub async fn connects(address: SocketAddr, limit: Duration) -> bool {
    connect(address, limit).await.is_ok()
}

async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, String> {
    let connected = timeout(limit, TcpStream::connect(address)).await;
    connected.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())
}

/// Whose certificate it is and how long it is good.
pub fn describe(certificate: &CertificateDer<'_>, now_s: u64) -> Finding {
    let check = "certificate";
    let parsed = x509_parser::parse_x509_certificate(certificate);
    let Ok((_, parsed)) = parsed else {
        return good(check, "verified, but its text could not be read".to_owned());
    };
    let until = parsed.validity().not_after;
    let seconds = until.timestamp().saturating_sub(i64::try_from(now_s).unwrap_or(i64::MAX));
    let days = seconds / 86_400;
    let what = format!("{} by {}, good until {until} ({days} days)", parsed.subject(), parsed.issuer());
    match days < DAYS_WARNED {
        true => Finding {
            check,
            level: Level::Warning,
            what,
            fix: Some("Renew the CRM's certificate before it ends."),
        },
        false => good(check, what),
    }
}

const DAYS_WARNED: i64 = 14;
