//! Documents that are fetched over HTTPS now and then, such as key sets and bundles [edge].
//!
//! Promises: TLS is verified; in the clear only to loopback; redirects are never followed; size and time are limited;
//! what has not changed is not sent again. Never sends a credential.
#![expect(clippy::disallowed_methods, reason = "edge: sockets; collects documents of bounded size")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::roots::{self, RootsError};

/// Where a document is and what it may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// `https://…`, or `http://…` on loopback.
    pub url: String,
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds for the whole exchange.
    pub timeout_ms: u64,
    /// Bytes of the document.
    pub bytes_max: usize,
}

/// A place that documents are fetched from.
pub struct Remote {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
    options: RemoteOptions,
}

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is as it was.
    Unchanged,
    /// A document, and the tag to ask with the next time.
    Document {
        /// Its bytes.
        bytes: Bytes,
        /// Its ETag, if it has one.
        etag: Option<String>,
    },
}

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The URL cannot be used.
    #[error("`{url}` cannot be fetched: {why}")]
    Url {
        /// As configured.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody can be trusted.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// No connection, or it broke.
    #[error("`{url}` cannot be reached: {detail}")]
    Unreachable {
        /// As configured.
        url: String,
        /// Why, with all causes.
        detail: String,
    },
    /// It took too long.
    #[error("`{url}` did not answer within {limit_ms} ms")]
    Timeout {
        /// As configured.
        url: String,
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// It is too large.
    #[error("the document at `{url}` is larger than {limit} bytes")]
    TooLarge {
        /// As configured.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The server did not hand it out.
    #[error("`{url}` answered {status}")]
    Status {
        /// As configured.
        url: String,
        /// The status.
        status: u16,
    },
}

impl Remote {
    /// Prepares fetching; nothing is connected yet. The certificate authorities are read now.
    pub fn new(options: RemoteOptions) -> Result<Self, RemoteError> {
        let uri = check_url(&options.url)?;
        // In the clear only loopback is reached, so nobody's authorities need to be known.
        let tls = match uri.scheme_str() {
            Some("https") => roots::client_config(options.ca_file.as_deref())?,
            _ => without_authorities()?,
        };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(Duration::from_millis(options.timeout_ms)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, uri, options })
    }

    /// Fetches the document, unless the server says that it still has the tag.
    pub async fn fetch(&self, etag: Option<&str>) -> Result<Fetched, RemoteError> {
        let limit_ms = self.options.timeout_ms;
        match timeout(Duration::from_millis(limit_ms), self.exchange(etag)).await {
            Ok(result) => result,
            Err(_) => Err(RemoteError::Timeout { url: self.url(), limit_ms }),
        }
    }

    async fn exchange(&self, etag: Option<&str>) -> Result<Fetched, RemoteError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("lockkeeper/", env!("CARGO_PKG_VERSION"))));
        if let Some(tag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(IF_NONE_MATCH, tag);
        }
        let unreachable = |error: &(dyn std::error::Error + 'static)| RemoteError::Unreachable {
            url: self.url(),
            detail: causes(error),
        };
        let response = self.client.request(request).await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Fetched::Unchanged),
            StatusCode::OK => {}
            status => return Err(RemoteError::Status { url: self.url(), status: status.as_u16() }),
        }
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let limit = self.options.bytes_max;
        match Limited::new(response.into_body(), limit).collect().await {
            Ok(collected) => Ok(Fetched::Document { bytes: collected.to_bytes(), etag }),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                Err(RemoteError::TooLarge { url: self.url(), limit })
            }
            Err(error) => Err(unreachable(error.as_ref())),
        }
    }

    fn url(&self) -> String {
        self.options.url.clone()
    }
}

/// Whether a URL can be fetched: `https`, or `http` to this very machine; without credentials.
pub fn check_url(url: &str) -> Result<Uri, RemoteError> {
    let refused = |why| RemoteError::Url { url: url.to_owned(), why };
    let uri: Uri = url.parse().map_err(|_| refused("it is not a URL"))?;
    let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("a URL here has no credentials"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_loopback(authority.host()) => Ok(uri),
        Some("http") => Err(refused("only https is fetched from another machine")),
        _ => Err(refused("its scheme is not https")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
}

fn without_authorities() -> Result<rustls::ClientConfig, RootsError> {
    let builder = rustls::ClientConfig::builder_with_provider(roots::provider());
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| RootsError::System(error.to_string()))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// An error with all of its causes in one line.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
