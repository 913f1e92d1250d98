//! The one client of HTTPS for all that is fetched and sent beside the CRM.
//!
//! Promises: what `tls` says is verified for each `https` URL; a connection that is not there in time is an error; redirects are not
//! followed. In the clear only where the URL says so: whoever reads URLs allows that to loopback alone.

use std::time::Duration;

use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

/// A client, which connects when it is asked something.
pub type HttpsClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// A client that connects within so many milliseconds and keeps so many idle connections.
pub fn client<B>(tls: ClientConfig, connect_timeout_ms: u64, idle_max: usize) -> HttpsClient<B>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(Duration::from_millis(connect_timeout_ms)));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(idle_max)
        .build(connector)
}

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("lockkeeper/", env!("CARGO_PKG_VERSION"));
