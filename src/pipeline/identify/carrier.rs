//! Where credentials stand in a request, and that there is exactly one.
//!
//! Promises: `Authorization` is always a credential, whether or not a source reads it. A header that only the gateway may
//! send ends the request if anybody else sends it, whatever else is there.

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName};

use super::gateway::Trust;
use super::{CarriedBy, Source, Way};
use crate::config::service::Place;
use crate::model::peer::{CertificateName, Peer};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// The one credential of a request.
#[derive(Clone, Copy)]
pub enum Credential<'r> {
    /// A header's value, which is visible ASCII.
    Header {
        /// The header.
        name: &'r HeaderName,
        /// Its value.
        value: &'r str,
    },
    /// A cookie.
    Cookie {
        /// Its name.
        name: &'r str,
        /// Its value.
        value: &'r str,
    },
    /// The names in the client certificate.
    Certificate(&'r [CertificateName]),
}

impl<'r> Credential<'r> {
    /// What a header holds behind its scheme, if this is that header with that scheme.
    pub fn behind(&self, header: &HeaderName, scheme: Option<&str>) -> Option<&'r str> {
        match self {
            Credential::Header { name, value } if *name == header => strip_scheme(value, scheme),
            Credential::Header { .. } | Credential::Cookie { .. } | Credential::Certificate(_) => None,
        }
    }
}

/// Everything in a request that may be a credential.
pub struct Carriers {
    headers: Vec<HeaderName>,
    cookies: Vec<String>,
    gateways: Vec<(HeaderName, Trust)>,
    certificates: bool,
}

impl Carriers {
    /// What some sources read.
    pub fn of(sources: &[Source]) -> Self {
        let mut carriers = Self {
            headers: vec![AUTHORIZATION],
            cookies: Vec::new(),
            gateways: Vec::new(),
            certificates: false,
        };
        for source in sources {
            match &source.way {
                Way::Keys(keys) => carriers.headers.push(keys.header.clone()),
                Way::Jwt(issuer) => carriers.headers.push(issuer.header().clone()),
                Way::Certificate(_) => carriers.certificates = true,
                Way::Gateway(gateway) => {
                    carriers.headers.push(gateway.header.clone());
                    carriers.gateways.push((gateway.header.clone(), gateway.trust.clone()));
                }
                Way::Introspection(crm) => match crm.place() {
                    Place::Header(_) => carriers.headers.extend(crm.header().cloned()),
                    Place::Cookie(name) => carriers.cookies.push(name.clone()),
                },
            }
        }
        carriers
    }

    /// Headers that carry identities.
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// Whether a cookie may carry one.
    pub fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// What carried a credential.
    pub fn carried_by(&self, credential: &Credential<'_>) -> CarriedBy {
        match credential {
            Credential::Header { name, .. } if self.gateways.iter().any(|(known, _)| known == *name) => {
                CarriedBy::Gateway
            }
            Credential::Header { name, value } if **name == AUTHORIZATION && is_of_browsers(value) => {
                CarriedBy::Browser
            }
            Credential::Header { .. } => CarriedBy::Header,
            Credential::Cookie { .. } => CarriedBy::Cookie,
            Credential::Certificate(_) => CarriedBy::Certificate,
        }
    }

    /// The one credential of a request, or why there is none to go by.
    pub fn the_one<'r>(&self, headers: &'r HeaderMap, peer: &'r Peer) -> Result<Credential<'r>, Problem> {
        let intruder =
            self.gateways.iter().find(|(name, trust)| headers.contains_key(name) && !trust.covers(peer));
        if let Some((name, _)) = intruder {
            return Err(Problem::new(Reason::GatewayUntrusted).internal(format!("header `{name}`")));
        }
        let mut found = Vec::new();
        for (name, value) in headers.iter().filter(|(name, _)| self.headers.contains(name)) {
            let value = value.to_str().map_err(|_| Reason::CredentialUnknown)?;
            found.push(Credential::Header { name, value });
        }
        for line in headers.get_all(COOKIE) {
            let line = line.to_str().map_err(|_| Reason::CredentialUnknown)?;
            let named = cookies(line).filter(|(name, _)| self.cookies.iter().any(|known| known == name));
            found.extend(named.map(|(name, value)| Credential::Cookie { name, value }));
        }
        let is_gateways = self.gateways.iter().any(|(_, trust)| trust.has_certificate_of(peer));
        if self.certificates && !peer.certificate_names.is_empty() && !is_gateways {
            found.push(Credential::Certificate(&peer.certificate_names));
        }
        match found.as_slice() {
            [] => Err(Reason::CredentialMissing.into()),
            [one] => Ok(*one),
            [_, _, ..] => Err(Reason::CredentialsConflict.into()),
        }
    }
}

/// The pairs of a `Cookie` header (RFC 6265 §4.2.1).
fn cookies(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split(';').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.trim(), value.trim()))
}

/// Whether browsers add such a value by themselves, also to what a page of another site asks.
fn is_of_browsers(value: &str) -> bool {
    let scheme = value.trim().split(' ').next().unwrap_or_default();
    BROWSER_SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

fn strip_scheme<'t>(value: &'t str, scheme: Option<&str>) -> Option<&'t str> {
    let Some(scheme) = scheme else { return Some(value.trim()) };
    let (found, key) = value.trim().split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(key.trim())
}

/// Schemes by which browsers log in on their own.
const BROWSER_SCHEMES: &[&str] = &["basic", "digest", "negotiate", "ntlm"];
