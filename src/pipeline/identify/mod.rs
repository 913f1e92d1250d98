//! Identification: the caller's one credential becomes one principal of the directory, or nothing goes on.
//!
//! Promises: unknown, deactivated or outside of the access window is refused before any contact with the CRM; two
//! credentials in one request are refused; only the credential that made the principal goes to the CRM.

pub mod keys;

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};

use crate::bundle::directory::Directory;
use crate::model::principal::{Attested, Authn, EntityRef, Principal};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use keys::KeyTable;

/// One way of identifying callers.
pub struct KeySource {
    /// What the ledger calls it.
    pub authn: Authn,
    /// The header that carries the key.
    pub header: HeaderName,
    /// The scheme before the key, e.g. `Bearer`; `None` if the header holds just the key.
    pub scheme: Option<String>,
    /// The hashes of the known keys.
    pub keys: KeyTable,
    /// What the CRM is shown.
    pub upstream: UpstreamCredential,
}

/// What the CRM is shown in place of the caller's credential.
#[derive(Clone)]
pub enum UpstreamCredential {
    /// The caller's own key, as it came.
    Caller,
    /// The service account's.
    Service {
        /// The header.
        name: HeaderName,
        /// Its value, marked sensitive.
        value: HeaderValue,
    },
}

/// Who asks, and what the CRM is shown.
pub struct Identity {
    /// The principal.
    pub principal: Principal,
    /// The header for the CRM.
    pub credential: (HeaderName, HeaderValue),
}

/// The headers in which callers may show who they are.
pub fn credential_headers(sources: &[KeySource]) -> Vec<HeaderName> {
    sources.iter().map(|source| source.header.clone()).collect()
}

/// Whether a cookie may vouch for a request: what a browser sends along by itself proves nothing about who wrote a page.
pub fn may_be_by_cookie(headers: &HeaderMap, sources: &[KeySource]) -> bool {
    headers.contains_key(COOKIE) && sources.iter().any(|source| source.header == COOKIE)
}

/// Finds the principal behind a request's headers.
pub fn identify(
    headers: &HeaderMap,
    sources: &[KeySource],
    directory: &Directory,
    now_ms: i64,
) -> Result<Identity, Problem> {
    let (header, value) = the_one_credential(headers, sources)?;
    let value_text = value.to_str().map_err(|_| Reason::CredentialUnknown)?;
    let candidates = sources.iter().filter(|source| source.header == *header);
    let found = candidates.filter_map(|source| {
        let key = strip_scheme(value_text, source.scheme.as_deref())?;
        source.keys.find(key).map(|entity| (source, entity))
    });
    let mut found = found;
    let Some((source, entity)) = found.next() else { return Err(Reason::CredentialUnknown.into()) };
    if found.any(|(_, other)| other != entity) {
        return Err(Reason::CredentialUnknown.into());
    }
    admit(entity, directory, now_ms)?;
    let credential = match &source.upstream {
        UpstreamCredential::Caller => {
            let mut value = value.clone();
            value.set_sensitive(true);
            (header.clone(), value)
        }
        UpstreamCredential::Service { name, value } => (name.clone(), value.clone()),
    };
    Ok(Identity {
        principal: Principal { entity: entity.clone(), authn: source.authn, attested: Attested::default() },
        credential,
    })
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

fn the_one_credential<'h>(
    headers: &'h HeaderMap,
    sources: &[KeySource],
) -> Result<(&'h HeaderName, &'h HeaderValue), Problem> {
    let is_credential =
        |name: &HeaderName| *name == AUTHORIZATION || sources.iter().any(|source| source.header == *name);
    let mut credentials = headers.iter().filter(|(name, _)| is_credential(name));
    let first = credentials.next().ok_or(Reason::CredentialMissing)?;
    match credentials.next() {
        Some(_) => Err(Reason::CredentialsConflict.into()),
        None => Ok(first),
    }
}

fn strip_scheme<'t>(value: &'t str, scheme: Option<&str>) -> Option<&'t str> {
    let Some(scheme) = scheme else { return Some(value.trim()) };
    let (found, key) = value.trim().split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(key.trim())
}

#[cfg(test)]
mod tests;
