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
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.type_name, self.id)
    }
}

/// How the principal proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authn {
    /// A key that Lockkeeper issued; the CRM sees the service account.
    ApiKey,
    /// The caller's own CRM key; the CRM sees the caller.
    CrmKey,
}

impl Authn {
    /// The code used in the ledger and in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Authn::ApiKey => "api-key",
            Authn::CrmKey => "crm-key",
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
