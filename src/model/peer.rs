//! Who is at the other end of a connection: what is known before a single byte of a request is believed.

use std::net::IpAddr;

/// The other end of a caller's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The caller's address: the connection's own, or the one that a trusted peer's PROXY header names.
    pub address: IpAddr,
    /// The address that the connection came from, for deciding whose headers are believed. `None` on a unix socket.
    pub direct: Option<IpAddr>,
    /// Whether the caller's connection is encrypted.
    pub scheme: Scheme,
    /// The names in the client certificate that was verified on this connection; empty without one.
    pub certificate_names: Vec<CertificateName>,
}

/// How the caller reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in URLs and in `X-Forwarded-Proto`.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A subject alternative name of a verified client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// A DNS name.
    Dns(String),
    /// A URI, e.g. a SPIFFE id.
    Uri(String),
    /// An e-mail address.
    Email(String),
}

impl Peer {
    /// A peer in the clear, as seen on the connection.
    pub fn plain(address: IpAddr) -> Self {
        Self { address, direct: Some(address), scheme: Scheme::Http, certificate_names: Vec::new() }
    }
}
