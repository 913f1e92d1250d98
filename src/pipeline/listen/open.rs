//! What comes before HTTP on a connection: the PROXY header and the TLS handshake.
//!
//! Promises: both together have one time limit, and so many connections at once may be in it; who is not believed, or says
//! something else, is refused with a reason.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::door::{Door, NOBODYS_ADDRESS};
use super::sources::SourcePlace;
use crate::model::peer::{Peer, Scheme};
use crate::model::reason::Reason;
use crate::net::connector::rustls_error;
use crate::net::pair;
use crate::net::proxy_header::{self, ProxyProtocol, Told};
use crate::net::socket::Stream;

/// A connection on which HTTP begins.
pub struct Opened {
    /// Its bytes, decrypted.
    pub stream: Stream,
    /// Its other end.
    pub peer: Arc<Peer>,
    /// What was agreed on in the handshake.
    pub agreed: Agreed,
    /// The place of the caller that the PROXY header named.
    pub place: Option<SourcePlace>,
}

/// The protocol that was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// None: the connection is in the clear.
    Nothing,
    /// HTTP/1.1, or nothing else was asked.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Why HTTP does not begin.
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// For operators.
    pub detail: String,
}

/// Reads what comes before HTTP.
pub async fn open(stream: Stream, direct: Option<IpAddr>, door: &Door) -> Result<Opened, Refusal> {
    let options = &door.options;
    let plain = options.proxy_protocol == ProxyProtocol::Off && options.tls.is_none();
    let peer = Peer {
        address: direct.unwrap_or(NOBODYS_ADDRESS),
        direct,
        scheme: if options.tls.is_some() { Scheme::Https } else { Scheme::Http },
        certificate_names: Vec::new(),
    };
    if plain {
        return Ok(Opened { stream, peer: Arc::new(peer), agreed: Agreed::Nothing, place: None });
    }
    let Ok(_turn) = door.handshakes.try_acquire() else {
        return refuse(Reason::ConnectionsExhausted, "too many connections are being opened");
    };
    let late = match options.proxy_protocol {
        ProxyProtocol::Off => Reason::TlsHandshake,
        _ => Reason::ProxyHeader,
    };
    match timeout(options.handshake, begin(stream, peer, door)).await {
        Ok(opened) => opened,
        Err(_) => refuse(late, "it took longer than `handshake_timeout_ms`"),
    }
}

async fn begin(mut stream: Stream, mut peer: Peer, door: &Door) -> Result<Opened, Refusal> {
    let options = &door.options;
    let mut place = None;
    if options.proxy_protocol != ProxyProtocol::Off {
        if !options.trusted.trusts(peer.direct) {
            return refuse(Reason::ProxyHeader, "the peer is not in `trusted_proxies`");
        }
        match proxy_header::read(&mut stream, options.proxy_protocol).await {
            Ok(Told::Itself) => {}
            Ok(Told::Caller(address)) => {
                peer.address = address;
                place = match options.trusted.networks.contain(address) {
                    true => None,
                    false => match door.sources.enter(address) {
                        Some(place) => Some(place),
                        None => return refuse(Reason::ConnectionsExhausted, "too many of one source"),
                    },
                };
            }
            Err(error) => return refuse(Reason::ProxyHeader, &error.to_string()),
        }
    }
    match &options.tls {
        Some(tls) => shake_hands(stream, peer, place, tls.current()).await,
        None => Ok(Opened { stream, peer: Arc::new(peer), agreed: Agreed::Nothing, place }),
    }
}

async fn shake_hands(
    stream: Stream,
    mut peer: Peer,
    place: Option<SourcePlace>,
    config: Arc<ServerConfig>,
) -> Result<Opened, Refusal> {
    let stream = match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            let is_no_tls = matches!(rustls_error(&error), Some(rustls::Error::InvalidMessage(_)));
            if is_no_tls {
                tracing::info!(peer = %peer.address, "something else than TLS came to the TLS listener; is it plain HTTP?");
            }
            let reason = if is_no_tls { Reason::HttpUnreadable } else { Reason::TlsHandshake };
            return refuse(reason, &error.to_string());
        }
    };
    let (_, session) = stream.get_ref();
    // rustls hands certificates out only once they were verified.
    if let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) {
        peer.certificate_names = pair::names_of(certificate);
    }
    let agreed = match session.alpn_protocol() {
        Some(b"h2") => Agreed::Http2,
        _ => Agreed::Http1,
    };
    Ok(Opened { stream: Box::new(stream), peer: Arc::new(peer), agreed, place })
}

fn refuse<T>(reason: Reason, detail: &str) -> Result<T, Refusal> {
    Err(Refusal { reason, detail: detail.to_owned() })
}
