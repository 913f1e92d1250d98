//! Documents that are fetched over HTTPS now and then, such as key sets and bundles [edge].
//!
//! Promises: TLS is verified; in the clear only to loopback; redirects are never followed; size and time are limited;
//! what has not changed is not sent again. Never sends a credential.
#![expect(clippy::disallowed_methods, reason = "edge: sockets; collects documents of bounded size")]

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use tokio::time::timeout;

use super::https::{self, HttpsClient};
use super::roots::{self, RootsError};

/// Where a document is and what it may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Where it is.
    pub url: DocumentUrl,
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds for the whole exchange.
    pub timeout_ms: u64,
    /// Bytes of the document.
    pub bytes_max: usize,
}

/// `https://…`, or `http://…` on loopback. Whoever looks at it sees it without its query: object stores put a signature
/// there that opens the document to everybody who knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentUrl {
    uri: Uri,
    shown: String,
}

/// A place that documents are fetched from.
pub struct Remote {
    client: HttpsClient<Empty<Bytes>>,
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
        let tls = roots::client_config_for(&options.url.uri, options.ca_file.as_deref())?;
        let client = https::client(tls, options.timeout_ms, 0);
        Ok(Self { client, options })
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
        *request.uri_mut() = self.options.url.uri.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(https::USER_AGENT));
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

    /// Its URL as anybody may see it.
    pub fn url(&self) -> String {
        self.options.url.to_string()
    }
}

impl DocumentUrl {
    /// Reads a URL that can be fetched: `https`, or `http` to this very machine; without credentials before the host.
    pub fn parse(url: &str) -> Result<Self, RemoteError> {
        let shown = shown(url);
        let refused = |why| RemoteError::Url { url: shown.clone(), why };
        let uri: Uri = url.parse().map_err(|_| refused("it is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("a URL here has no credentials"));
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback(authority.host()) => {}
            Some("http") => return Err(refused("only https is fetched from another machine")),
            _ => return Err(refused("its scheme is not https")),
        }
        Ok(Self { uri, shown })
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.shown)
    }
}

/// A URL without what may be secret in it: its query, and a password before the host.
fn shown(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    match path.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => path.to_owned(),
    }
}

/// Whether a host is this very machine, by address; names are not, since somebody answers for them.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
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
