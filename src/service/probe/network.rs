//! The CRM as the network shows it: address, certificate, statuses of answers [edge].
//!
//! Promises: every step has a time limit; TLS is verified; of an answer only the status is looked at.
#![expect(clippy::disallowed_methods, reason = "edge: sockets")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Finding, Level, good, unreachable};
use crate::net::connector::{Connector, Target, TargetTls, explain, rustls_error};
use crate::net::remote::causes;
use crate::net::renewed::TlsError;
use crate::net::tls_client::ClientTlsOptions;
use crate::pipeline::crm::UpstreamOptions;
use crate::telemetry::stopwatch::unix_ns;

/// The way to the CRM.
pub struct Network {
    origin: Uri,
    host: String,
    port: u16,
    tls: Option<TargetTls>,
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
    /// The way to the CRM with the trust and the certificate that requests have; `None` where it is no address of the network.
    pub fn to(options: &UpstreamOptions, now_ms: i64, limit: Duration) -> Result<Option<Self>, TlsError> {
        let Target::Address(origin) = &options.target else { return Ok(None) };
        let made = |(files, server_name): &(ClientTlsOptions, ServerName<'static>)| {
            let config = Arc::new(files.make(now_ms)?.value);
            Ok::<_, TlsError>(TargetTls { config, server_name: server_name.clone() })
        };
        let tls = options.tls.as_ref().map(made).transpose()?;
        let host = origin.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = origin.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Ok(Some(Self { origin: origin.clone(), host, port, tls, limit }))
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
        let Some(tls) = &self.tls else {
            let what = format!("{address} is spoken to in the clear");
            let fix = "Speak TLS to a CRM on another host, or put both on one.";
            let level = if address.ip().is_loopback() { Level::Good } else { Level::Warning };
            let fix = (level != Level::Good).then_some(fix);
            return Some(Finding { check: "certificate", level, what, fix });
        };
        Some(match self.shake_hands(address, tls).await {
            Ok(certificate) => describe(&certificate, unix_ns() / 1_000_000_000),
            Err(detail) => unreachable(&ProbeError::Tls { host: self.host.clone(), detail }),
        })
    }

    async fn shake_hands(
        &self,
        address: SocketAddr,
        tls: &TargetTls,
    ) -> Result<CertificateDer<'static>, String> {
        let stream = connect(address, self.limit).await?;
        let connecting = TlsConnector::from(Arc::clone(&tls.config)).connect(tls.server_name.clone(), stream);
        let connected = timeout(self.limit, connecting).await.map_err(|_| "no answer in time".to_owned())?;
        let stream =
            connected.map_err(|error| rustls_error(&error).map_or_else(|| causes(&error), explain))?;
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
        let connector = Connector {
            target: Target::Address(self.origin.clone()),
            tls: self.tls.clone(),
            slots: Arc::new(Semaphore::new(1)),
            wait: self.limit,
            connect: self.limit,
        };
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
