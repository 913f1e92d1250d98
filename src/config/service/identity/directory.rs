//! How what a credential says becomes a principal of the directory.

use crate::config::settings::{Key, Kind, Settings};

/// The type of a principal, and the attribute by which the directory knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBy {
    /// `User`, `Service` or `Agent`.
    pub type_name: &'static str,
    /// The attribute of the directory; `None` if the credential holds the id itself.
    pub attribute: Option<String>,
}

/// Reads both keys.
pub fn read(settings: &Settings<'_>, kind: &Key) -> NamedBy {
    NamedBy { type_name: settings.choice(kind), attribute: settings.text(&BY).map(|text| text.value) }
}

pub const AS: Key =
    Key::optional("as", Kind::Choice(&["User", "Service", "Agent"]), "the principal's type in the directory");
pub const AS_AGENT: Key =
    Key::optional("as", Kind::Choice(&["Agent", "Service", "User"]), "the actor's type in the directory");
pub const AS_USER: Key = Key::optional(
    "as",
    Kind::Choice(&["User"]),
    "the person's type in the directory: Cedar's context knows users",
);
pub const BY: Key = Key::optional(
    "by",
    Kind::Text("the id itself"),
    "the attribute of the directory that holds the value, e.g. `crmId`; exactly one principal must have it",
);
