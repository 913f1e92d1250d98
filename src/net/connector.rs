//! Connections to the CRM: over TCP or a unix socket, in the clear or over verified TLS [edge].
//!
//! Promises: never more of them than configured; waiting for a place, connecting and the handshake each have a limit; why
//! there is no connection is told apart for operators. Goes to the configured place whatever a request's URI says.
#![expect(clippy::disallowed_methods, reason = "edge: connects to the CRM")]

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::socket::Stream;

/// Where connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `http://host:port` or `https://host:port`.
    Address(Uri),
    /// A unix socket.
    Unix(PathBuf),
}

/// TLS on the way to the target.
#[derive(Clone)]
pub struct TargetTls {
    /// Whom to trust, who we are.
    pub config: Arc<ClientConfig>,
    /// Who is expected there.
    pub server_name: ServerName<'static>,
}

/// Makes connections.
#[derive(Clone)]
pub struct Connector {
    /// Where they go.
    pub target: Target,
    /// TLS, or in the clear.
    pub tls: Option<TargetTls>,
    /// Places for connections.
    pub slots: Arc<Semaphore>,
    /// To wait for a place.
    pub wait: Duration,
    /// To connect, and for the handshake, together.
    pub connect: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Every place is taken.
    #[error("no connection became free within {0:?}")]
    Saturated(Duration),
    /// It took too long.
    #[error("no connection within {limit:?}, {during}")]
    Timeout {
        /// The limit.
        limit: Duration,
        /// What took so long.
        during: &'static str,
    },
    /// The operating system said no.
    #[error("{what}: {detail}")]
    Socket {
        /// In a word: refused, reset.
        what: &'static str,
        /// What it said.
        detail: String,
    },
    /// No trust.
    #[error("TLS failed: {0}")]
    Tls(String),
}

impl Connector {
    async fn open(self) -> Result<UpstreamStream, ConnectError> {
        let waited = timeout(self.wait, self.slots.acquire_owned()).await;
        let slot = waited.ok().and_then(Result::ok).ok_or(ConnectError::Saturated(self.wait))?;
        let late = |during| move |_| ConnectError::Timeout { limit: self.connect, during };
        let connecting = async {
            let stream = connect(&self.target).await?;
            Ok::<_, ConnectError>(stream)
        };
        let Some(tls) = self.tls else {
            let stream = timeout(self.connect, connecting).await.map_err(late("connecting"))??;
            return Ok(UpstreamStream::new(stream, slot, Alpn::None));
        };
        let handshake = async {
            let stream = connecting.await?;
            let connector = TlsConnector::from(tls.config);
            connector.connect(tls.server_name, stream).await.map_err(|error| tls_error(&error))
        };
        let stream =
            timeout(self.connect, handshake).await.map_err(late("connecting and TLS handshake"))??;
        let alpn = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Alpn::Http2,
            _ => Alpn::None,
        };
        Ok(UpstreamStream::new(Box::new(stream), slot, alpn))
    }
}

impl Service<Uri> for Connector {
    type Response = UpstreamStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<UpstreamStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().open())
    }
}

async fn connect(target: &Target) -> Result<Stream, ConnectError> {
    match target {
        Target::Address(uri) => {
            let mut connector = HttpConnector::new();
            connector.enforce_http(false);
            connector.set_nodelay(true);
            let stream = connector.call(uri.clone()).await.map_err(|error| socket_error(&error))?;
            Ok(Box::new(stream.into_inner()))
        }
        Target::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(socket_error(&error)),
        },
    }
}

fn socket_error(error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let mut cause = Some(error);
    let mut kind = None;
    while let Some(inner) = cause {
        kind = inner.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        cause = inner.source();
    }
    let what = match kind {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused",
        Some(io::ErrorKind::ConnectionReset) => "connection reset",
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => "no way there",
        Some(io::ErrorKind::PermissionDenied) => "not permitted",
        Some(io::ErrorKind::NotFound) => "no such socket",
        _ => "no connection",
    };
    ConnectError::Socket { what, detail: super::remote::causes(error) }
}

fn tls_error(error: &io::Error) -> ConnectError {
    match rustls_error(error) {
        Some(inner) => ConnectError::Tls(explain_upstream(inner)),
        None => ConnectError::Socket {
            what: "the connection ended within the TLS handshake",
            detail: error.to_string(),
        },
    }
}

/// The TLS error inside of another error, if there is one.
pub fn rustls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error that wraps another error leaves that out when it is asked for its cause.
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    None
}

/// A TLS error in words for operators, with what to look at.
pub fn explain(error: &rustls::Error) -> String {
    explain_with(error, "compare the host in `url`")
}

/// As [`explain`], where the name that is expected has a setting of its own.
pub fn explain_upstream(error: &rustls::Error) -> String {
    explain_with(error, "see `server_name`")
}

fn explain_with(error: &rustls::Error, of_name: &str) -> String {
    let what = match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "the certificate is from an authority that is not trusted; see `ca_file`"
            }
            // An authority that was made anew under its old name.
            CertificateError::BadSignature => {
                "the certificate is not signed by the authority of that name that is trusted; see `ca_file`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                return format!("the certificate is for another name; {of_name} ({error})");
            }
            // The verifier keeps its own error for this one to itself.
            CertificateError::Other(inner) if format!("{inner:?}").contains("CaUsedAsEndEntity") => {
                "the certificate that was shown is an authority's and not a server's: have the authority sign one for the server"
            }
            CertificateError::Revoked => "the certificate was revoked",
            _ => "the certificate cannot be trusted",
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the other side wants a client certificate; see `client_certificate_file`"
        }
        rustls::Error::AlertReceived(_) => "the other side ended the handshake",
        rustls::Error::InvalidMessage(_) => "the other side does not speak TLS on this port",
        rustls::Error::PeerIncompatible(_) => "there is no version or cipher that both sides speak",
        rustls::Error::NoApplicationProtocol => "there is no version of HTTP that both sides speak",
        _ => "the handshake failed",
    };
    format!("{what} ({error})")
}

/// A connection to the CRM, which gives its place back when it ends.
pub struct UpstreamStream {
    io: TokioIo<Stream>,
    alpn: Alpn,
    _slot: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpn {
    None,
    Http2,
}

impl UpstreamStream {
    fn new(stream: Stream, slot: OwnedSemaphorePermit, alpn: Alpn) -> Self {
        Self { io: TokioIo::new(stream), alpn, _slot: slot }
    }
}

impl Connection for UpstreamStream {
    fn connected(&self) -> Connected {
        match self.alpn {
            Alpn::None => Connected::new(),
            Alpn::Http2 => Connected::new().negotiated_h2(),
        }
    }
}

impl Read for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for UpstreamStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls_pki_types::UnixTime;

    use super::*;

    #[test]
    fn a_tls_error_is_found_however_it_is_wrapped() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let once = io::Error::other(inner.clone());
        assert_eq!(rustls_error(&once), Some(&inner));
        let twice = io::Error::other(once);
        assert_eq!(rustls_error(&twice), Some(&inner));
        assert_eq!(rustls_error(&io::Error::other("something else")), None);
    }

    #[test]
    fn an_authority_that_is_shown_as_a_server_is_said_in_words() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["log.test".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let shown = params.self_signed(&key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(shown.der().clone()).unwrap();
        let provider = crate::net::roots::provider();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let (name, now) = (ServerName::try_from("log.test").unwrap(), UnixTime::now());
        let error = verifier.verify_server_cert(shown.der(), &[], &name, &[], now).unwrap_err();
        assert!(explain(&error).contains("an authority's and not a server's"), "{}", explain(&error));
    }

    #[test]
    fn another_name_leads_to_the_setting_that_there_is() {
        let other = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        assert!(explain_upstream(&other).contains("see `server_name`"), "{}", explain_upstream(&other));
        assert!(explain(&other).contains("compare the host in `url`"), "{}", explain(&other));
    }
}
