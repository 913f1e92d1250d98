//! The header in which a trusted gateway says whom it identified.
//!
//! Promises: believed only from the peer at the other end of the connection itself, by its address or by its verified
//! certificate; what other headers say about addresses does not count.

use http::header::HeaderName;

use super::carrier::Credential;
use super::found::{Found, named};
use crate::bundle::directory::Directory;
use crate::config::service::NamedBy;
use crate::model::certificate::NamePattern;
use crate::model::network::Network;
use crate::model::peer::Peer;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A trusted gateway.
pub struct GatewaySource {
    /// The header.
    pub header: HeaderName,
    /// Who the gateway is.
    pub trust: Trust,
    /// How the header's value becomes a principal.
    pub named_by: NamedBy,
}

/// Whose headers are believed.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Where the gateway connects from.
    pub networks: Vec<Network>,
    /// Whether a unix socket is the gateway's.
    pub unix: bool,
    /// Names in the gateway's certificate.
    pub certificates: Vec<NamePattern>,
}

impl Trust {
    /// Whether a peer is the gateway.
    pub fn covers(&self, peer: &Peer) -> bool {
        let is_near = match peer.direct {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.unix,
        };
        is_near || self.has_certificate_of(peer)
    }

    /// Whether a peer's certificate is the gateway's.
    pub fn has_certificate_of(&self, peer: &Peer) -> bool {
        peer.certificate_names.iter().any(|name| self.certificates.iter().any(|known| known.fits(name)))
    }
}

impl GatewaySource {
    /// The principal that the header names; `None` if the credential is another one. The peer was looked at before.
    pub fn identify(
        &self,
        credential: &Credential<'_>,
        directory: &Directory,
    ) -> Option<Result<Found, Problem>> {
        let name = credential.behind(&self.header, None)?;
        // Proxies join repeated headers by commas: that would be two names.
        if name.is_empty() || name.contains(',') || name.len() > NAME_BYTES_MAX {
            return Some(Err(Reason::CredentialUnknown.into()));
        }
        Some(named(name, &self.named_by, directory).map(Found::plain))
    }
}

const NAME_BYTES_MAX: usize = 256;
