//! Who asks: the principal that a credential was resolved to.

use std::fmt;

/// A reference to a Cedar entity by type and id, e.g. `User::"rep-east"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityRef {
    /// The entity type's name, e.g. `User`.
    pub type_name: String,
    /// The entity's id, unescaped.
    pub id: String,
}

impl EntityRef {
    /// Makes a reference from its two parts.
    pub fn new(type_name: impl Into<String>, id: impl Into<String>) -> Self {
        Self { type_name: type_name.into(), id: id.into() }
    }

    /// Reads the Cedar form `Type::"id"`; ids with escapes are not accepted.
    pub fn parse(text: &str) -> Option<Self> {
        let (type_name, rest) = text.split_once("::\"")?;
        let id = rest.strip_suffix('"')?;
        let plain = !id.contains(['"', '\\']) && !id.is_empty();
        let named =
            !type_name.is_empty() && type_name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (plain && named).then(|| Self::new(type_name, id))
    }

    /// Whether the reference is to somebody who can ask.
    pub fn is_person(&self) -> bool {
        PRINCIPAL_TYPES.contains(&self.type_name.as_str())
    }
}

/// The types of those who can ask.
pub const PRINCIPAL_TYPES: &[&str] = &["User", "Service", "Agent"];

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.type_name, self.id)
    }
}

/// How the principal proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authn {
    /// A key that Lockkeeper issued.
    ApiKey,
    /// The caller's own CRM key, known by its hash.
    CrmKey,
    /// A signed token of an issuer.
    Jwt,
    /// A client certificate.
    Certificate,
    /// The header of a trusted gateway.
    Gateway,
    /// The caller's own CRM credential, which the CRM was asked about.
    Introspection,
}

impl Authn {
    /// The code used in the ledger and in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Authn::ApiKey => "api-key",
            Authn::CrmKey => "crm-key",
            Authn::Jwt => "jwt",
            Authn::Certificate => "certificate",
            Authn::Gateway => "gateway",
            Authn::Introspection => "introspection",
        }
    }
}

/// An identified principal: in the directory, active, inside the access window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The directory entity.
    pub entity: EntityRef,
    /// How they were identified.
    pub authn: Authn,
    /// What their credential says beside who they are.
    pub attested: Attested,
}

/// What a verified credential says beside who its holder is. Never anything that the caller merely claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attested {
    /// How strongly they were authenticated, on the operator's own scale.
    pub auth_level: Option<i64>,
    /// The person for whom they act.
    pub on_behalf_of: Option<EntityRef>,
}

/// Who asks, what was verified about them, and when: what all decisions of one request share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The principal.
    pub entity: EntityRef,
    /// What their credential says beside that.
    pub attested: Attested,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

impl Asker {
    /// Someone of whom nothing more is verified.
    pub fn plain(entity: EntityRef, now_ms: i64) -> Self {
        Self { entity, attested: Attested::default(), now_ms }
    }
}

impl Principal {
    /// The principal at a moment.
    pub fn asking(&self, now_ms: i64) -> Asker {
        Asker { entity: self.entity.clone(), attested: self.attested.clone(), now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let parsed = EntityRef::parse(text);
        assert_eq!(parsed, expected.map(|(t, i)| EntityRef::new(t, i)), "{text}");
    }

    #[test]
    fn cedar_references_are_read() {
        check(r#"User::"rep-east""#, Some(("User", "rep-east")));
        check(r#"Stage::"sales.won""#, Some(("Stage", "sales.won")));
        check(r#"User::"""#, None);
        check(r#"User::"a\"b""#, None);
        check(r#"User::rep"#, None);
        check(r#"::"x""#, None);
        check(r#"U ser::"x""#, None);
    }
}
