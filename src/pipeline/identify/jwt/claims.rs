//! What verified claims say (RFC 7519 §4): for whom the token is, when it holds, and whom it is about.
//!
//! Promises: a claim that is there and cannot be read refuses the token; nothing is guessed from another claim. A token
//! that must be proved by more than its possession (`cnf`), or that somebody else acts with (`act`), is not taken for a
//! plain one.

use std::collections::BTreeMap;

use super::token::refused;
use crate::bundle::directory::Directory;
use crate::config::service::{ClaimConfig, JwtConfig, LevelConfig, TypeConfig};
use crate::json::path::{JsonPath, Segment};
use crate::json::value::{Document, Kind, Value};
use crate::model::principal::{Attested, EntityRef};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::identify::found::{Found, name_of, named};

/// What is kept of a verified token. Whom the names lead to is looked up at every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    expires_ms: i64,
    starts_ms: Option<i64>,
    subject: Named,
    actor: Option<Named>,
    on_behalf_of: Option<Named>,
    auth_level: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    type_name: &'static str,
}

impl Claims {
    /// Reads the claims of a token whose signature is verified.
    pub fn read(claims: &Document, config: &JwtConfig) -> Result<Self, Problem> {
        let root = claims.root();
        check_audience(root, &config.audiences)?;
        if root.member("cnf").is_some() {
            return Err(refused("the token is bound to a key (`cnf`), of which no proof is read"));
        }
        let is_acted_with = root.member("act").is_some();
        if is_acted_with && config.actor.is_none() && config.on_behalf_of.is_none() {
            return Err(refused("the token has `act`, and neither `actor` nor `on_behalf_of` is configured"));
        }
        let mut subject = required(root, &config.principal)?;
        if let Some(types) = &config.types
            && let Some(type_name) = type_of(root, types)?
        {
            subject.type_name = type_name;
        }
        let actor = optional(root, config.actor.as_ref())?;
        if is_acted_with && config.actor.is_some() && actor.is_none() {
            return Err(refused("the token has `act`, but not the claim that names the actor"));
        }
        Ok(Self {
            expires_ms: instant(root, "exp")?.ok_or_else(|| refused("the token has no `exp`"))?,
            starts_ms: instant(root, "nbf")?,
            subject,
            actor,
            on_behalf_of: optional(root, config.on_behalf_of.as_ref())?,
            auth_level: config.level.as_ref().map(|level| level_of(root, level)).transpose()?.flatten(),
        })
    }

    /// Whether the token holds at a time, with some leeway on both sides.
    pub fn check_time(&self, now_ms: i64, leeway_ms: i64) -> Result<(), Problem> {
        let has_ended = now_ms >= self.expires_ms.saturating_add(leeway_ms);
        let has_started = self.starts_ms.is_none_or(|start| start <= now_ms.saturating_add(leeway_ms));
        match (has_ended, has_started) {
            (true, _) => Err(Problem::new(Reason::TokenExpired).internal("after `exp`")),
            (false, false) => Err(Problem::new(Reason::TokenExpired).internal("before `nbf`")),
            (false, true) => Ok(()),
        }
    }

    /// Whom the claims lead to. With an actor, it is they who ask, for the one whom the token is about.
    pub fn find(&self, config: &JwtConfig, directory: &Directory) -> Result<Found, Problem> {
        let find = |named_one: &Named, claim: &ClaimConfig| -> Result<EntityRef, Problem> {
            let by = crate::config::service::NamedBy {
                type_name: named_one.type_name,
                attribute: claim.named_by.attribute.clone(),
            };
            named(&named_one.name, &by, directory)
        };
        let subject = find(&self.subject, &config.principal)?;
        let auth_level = self.auth_level;
        if let (Some(actor), Some(claim)) = (&self.actor, &config.actor) {
            let entity = find(actor, claim)?;
            if subject.type_name != "User" {
                return Err(refused("an actor acts for somebody who is no `User`"));
            }
            return Ok(Found { entity, attested: Attested { auth_level, on_behalf_of: Some(subject) } });
        }
        let person = self.on_behalf_of.as_ref().zip(config.on_behalf_of.as_ref());
        let on_behalf_of = person.map(|(person, claim)| find(person, claim)).transpose()?;
        Ok(Found { entity: subject, attested: Attested { auth_level, on_behalf_of } })
    }
}

/// `aud` is a string or a list of strings (RFC 7519 §4.1.3); one of them must be ours.
fn check_audience(root: Value<'_>, ours: &[String]) -> Result<(), Problem> {
    let audience = root.member("aud").ok_or_else(|| refused("the token has no `aud`"))?;
    let is_ours = |value: Value<'_>| value.text().is_some_and(|text| ours.iter().any(|our| *our == text));
    match audience.kind() {
        Kind::String if is_ours(audience) => Ok(()),
        Kind::Array
            if audience.items().all(|item| item.kind() == Kind::String) && audience.items().any(is_ours) =>
        {
            Ok(())
        }
        _ => Err(refused("the token is for another audience")),
    }
}

/// Seconds since 1970, whole or not (RFC 7519 §2), as milliseconds.
fn instant(root: Value<'_>, name: &str) -> Result<Option<i64>, Problem> {
    let Some(value) = root.member(name) else { return Ok(None) };
    // With an exponent the digits before the point are not the whole seconds.
    let seconds = value.number().filter(|text| !text.contains(['e', 'E']));
    let seconds = seconds.map(|text| text.split('.').next().unwrap_or(text));
    let seconds = seconds.and_then(|text| text.parse::<i64>().ok());
    let seconds = seconds.ok_or_else(|| refused(&format!("`{name}` is not a number of seconds")))?;
    Ok(Some(seconds.saturating_mul(1_000)))
}

fn required(root: Value<'_>, claim: &ClaimConfig) -> Result<Named, Problem> {
    optional(root, Some(claim))?.ok_or_else(|| refused("the claim that names the principal is missing"))
}

fn optional(root: Value<'_>, claim: Option<&ClaimConfig>) -> Result<Option<Named>, Problem> {
    let Some(claim) = claim else { return Ok(None) };
    let Some(value) = claim.claim.first(root) else { return Ok(None) };
    if is_email(&claim.claim) && root.member("email_verified").and_then(|flag| flag.boolean()) != Some(true) {
        return Err(refused("`email` names the principal, and `email_verified` is not true"));
    }
    let name = name_of(value).ok_or_else(|| refused("a claim that names somebody is not a usable name"))?;
    Ok(Some(Named { name, type_name: claim.named_by.type_name }))
}

/// At many issuers anybody can enter any address for themselves.
fn is_email(claim: &JsonPath) -> bool {
    matches!(claim.segments(), [Segment::Key(key)] if key == "email")
}

fn type_of(root: Value<'_>, types: &TypeConfig) -> Result<Option<&'static str>, Problem> {
    let Some(value) = types.claim.first(root) else { return Ok(None) };
    let found = value.text().and_then(|text| types.types.get(text.as_ref()));
    found
        .map(|found| Some(*found))
        .ok_or_else(|| refused("the claim that says the type has a value that is not listed"))
}

/// The highest level that any of the values means.
fn level_of(root: Value<'_>, level: &LevelConfig) -> Result<Option<i64>, Problem> {
    let Some(value) = level.claim.first(root) else { return Ok(None) };
    let levels: &BTreeMap<String, i64> = &level.levels;
    let of = |value: Value<'_>| value.text().and_then(|text| levels.get(text.as_ref()).copied());
    match value.kind() {
        Kind::String => Ok(of(value)),
        Kind::Array => Ok(value.items().filter_map(of).max()),
        Kind::Null | Kind::Bool | Kind::Number | Kind::Object => {
            Err(refused("the claim that says the level is neither a string nor a list"))
        }
    }
}
