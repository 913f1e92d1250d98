//! Identification: the caller's one credential becomes one principal of the directory, or nothing goes on.
//!
//! Promises: unknown, deactivated or outside of the access window is refused before any contact with the CRM, but for the
//! question whose credential this is; two credentials in one request are refused, whatever they are; only the credential
//! that made the principal, or what the configuration says in its place, goes to the CRM.

pub mod carrier;
pub mod found;
pub mod upstream;
pub mod keys;
pub mod jwt;
pub mod certificate;
pub mod gateway;
pub mod introspection;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::forward::Asking;
use crate::bundle::directory::Directory;
use crate::model::peer::Peer;
use crate::model::principal::{Authn, EntityRef, Principal};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use carrier::{Carriers, Credential};
use certificate::CertificateSource;
use found::Found;
use gateway::GatewaySource;
use introspection::IntrospectionSource;
use jwt::JwtSource;
use keys::KeySource;
use upstream::UpstreamCredential;

/// Every way of identifying callers, and what each of them reads.
pub struct Sources {
    sources: Vec<Source>,
    carriers: Carriers,
}

/// One way of identifying callers.
pub struct Source {
    /// Which.
    pub way: Way,
    /// What the CRM is shown.
    pub upstream: UpstreamCredential,
}

/// How callers are identified.
pub enum Way {
    /// By hashes of keys.
    Keys(KeySource),
    /// By tokens that an issuer signed.
    Jwt(Box<JwtSource>),
    /// By verified client certificates.
    Certificate(CertificateSource),
    /// By the header of a trusted gateway.
    Gateway(GatewaySource),
    /// By asking the CRM.
    Introspection(Box<IntrospectionSource>),
}

/// What one request brings to its identification.
#[derive(Clone, Copy)]
pub struct Presented<'r> {
    /// The canonical headers.
    pub headers: &'r HeaderMap,
    /// The other end of the connection.
    pub peer: &'r Peer,
    /// The people of the serving snapshot.
    pub directory: &'r Directory,
    /// The way to ask the CRM.
    pub crm: Asking<'r>,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// Who asks, and what the CRM is shown.
#[derive(Debug)]
pub struct Identity {
    /// The principal.
    pub principal: Principal,
    /// The header for the CRM.
    pub credential: (HeaderName, HeaderValue),
    /// Whose credential that is.
    pub owner: Owner,
}

/// Whose credential the CRM is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The caller brought it.
    Caller,
    /// The operator configured it.
    Operator,
}

/// What carried a caller's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedBy {
    /// A header that the client sets.
    Header,
    /// A cookie, which browsers add by themselves.
    Cookie,
    /// The connection's certificate, which browsers add by themselves.
    Certificate,
    /// A login of the browser's own, which it adds by itself once somebody has entered it.
    Browser,
    /// The header of a trusted gateway, which may know the browser by a cookie of its own.
    Gateway,
}

impl Sources {
    /// Sources in the order in which they are asked.
    pub fn new(sources: Vec<Source>) -> Self {
        let carriers = Carriers::of(&sources);
        Self { sources, carriers }
    }

    /// Every source.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// What carries the one credential of a request, before it is looked into.
    pub fn carried_by(&self, headers: &HeaderMap, peer: &Peer) -> Option<CarriedBy> {
        self.carriers.the_one(headers, peer).ok().map(|credential| self.carriers.carried_by(&credential))
    }

    /// Headers that carry identities.
    pub fn header_names(&self) -> &[HeaderName] {
        self.carriers.headers()
    }

    /// The headers by which answers differ from caller to caller, as `Vary` names them.
    pub fn vary(&self) -> HeaderValue {
        let mut names: Vec<&str> = self.carriers.headers().iter().map(HeaderName::as_str).collect();
        names.extend(self.carriers.has_cookies().then_some("cookie"));
        names.sort_unstable();
        names.dedup();
        // Whom a connection's certificate names stands in no header.
        let text = if names.is_empty() { "*".to_owned() } else { names.join(", ") };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("*"))
    }

    /// Takes away what carries identities, so that no later stage can hand it on.
    pub fn forget(&self, headers: &mut HeaderMap) {
        for name in self.carriers.headers() {
            headers.remove(name);
        }
    }

    /// Goes on with the issuers' keys that others have fetched, so that a reload never waits for an issuer.
    pub fn inherit(&mut self, others: &Sources) {
        for source in &mut self.sources {
            if let Way::Jwt(issuer) = &mut source.way {
                let known = others.iter().filter_map(|other| match &other.way {
                    Way::Jwt(other) => Some(other),
                    Way::Keys(_) | Way::Certificate(_) | Way::Gateway(_) | Way::Introspection(_) => None,
                });
                known.for_each(|other| issuer.inherit(other));
            }
        }
    }
}

/// Finds the principal behind a request.
pub async fn identify(sources: &Sources, presented: Presented<'_>) -> Result<Identity, Problem> {
    let credential = sources.carriers.the_one(presented.headers, presented.peer)?;
    let (source, found, authn) = resolve(sources, &credential, &presented).await?;
    admit(&found.entity, presented.directory, presented.now_ms)?;
    if let Some(person) = &found.attested.on_behalf_of {
        admit(person, presented.directory, presented.now_ms)?;
    }
    let (shown, owner) = source.upstream.of(&found.entity, &credential)?;
    Ok(Identity {
        principal: Principal { entity: found.entity, authn, attested: found.attested },
        credential: shown,
        owner,
    })
}

/// Asks the sources that read such a credential. A source that knows it has the last word, except that two tables of keys
/// must agree.
async fn resolve<'s>(
    sources: &'s Sources,
    credential: &Credential<'_>,
    presented: &Presented<'_>,
) -> Result<(&'s Source, Found, Authn), Problem> {
    if let Some(found) = by_keys(sources, credential)? {
        return Ok(found);
    }
    let mut otherwise = Reason::CredentialUnknown.into();
    for source in &sources.sources {
        let (found, authn) = match &source.way {
            Way::Keys(_) => continue,
            Way::Jwt(issuer) => match issuer.identify(credential, presented).await {
                jwt::Answer::Found(found) => (Ok(found), Authn::Jwt),
                jwt::Answer::Refused(problem) => (Err(problem), Authn::Jwt),
                jwt::Answer::NotOurs(why) => {
                    otherwise = why.unwrap_or(otherwise);
                    continue;
                }
            },
            Way::Certificate(table) => match credential {
                Credential::Certificate(names) => {
                    (table.identify(names, presented.directory), Authn::Certificate)
                }
                Credential::Header { .. } | Credential::Cookie { .. } => continue,
            },
            Way::Gateway(gateway) => match gateway.identify(credential, presented.directory) {
                Some(found) => (found, Authn::Gateway),
                None => continue,
            },
            Way::Introspection(crm) => match crm.identify(credential, presented).await {
                Some(found) => (found, Authn::Introspection),
                None => continue,
            },
        };
        return Ok((source, found?, authn));
    }
    Err(otherwise)
}

fn by_keys<'s>(
    sources: &'s Sources,
    credential: &Credential<'_>,
) -> Result<Option<(&'s Source, Found, Authn)>, Problem> {
    let known = sources.sources.iter().filter_map(|source| match &source.way {
        Way::Keys(keys) => keys.find(credential).map(|entity| (source, entity, keys.authn)),
        Way::Jwt(_) | Way::Certificate(_) | Way::Gateway(_) | Way::Introspection(_) => None,
    });
    let mut known = known;
    let Some((source, entity, authn)) = known.next() else { return Ok(None) };
    if known.any(|(_, other, _)| other != entity) {
        return Err(Reason::CredentialUnknown.into());
    }
    Ok(Some((source, Found::plain(entity.clone()), authn)))
}

/// Whether a principal may act at all: in the directory, active, inside the access window.
pub fn admit(principal: &EntityRef, directory: &Directory, now_ms: i64) -> Result<(), Problem> {
    let person = directory.person(principal).ok_or(Reason::PrincipalUnknown)?;
    if !person.is_active {
        return Err(Reason::PrincipalInactive.into());
    }
    let has_started = person.access_from.is_none_or(|from| from <= now_ms);
    let has_ended = person.access_until.is_some_and(|until| until <= now_ms);
    match has_started && !has_ended {
        true => Ok(()),
        false => Err(Reason::AccessWindow.into()),
    }
}

#[cfg(test)]
mod tests;
