//! Who asked, as entries tell it: by random handles, never by names.

use serde::Serialize;

/// A principal, by its random handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    /// What the table of handles knows the principal under.
    pub handle: String,
    /// The principal's entity type.
    #[serde(rename = "type")]
    pub principal_type: String,
    /// How it was authenticated.
    pub authn: String,
    /// How strongly, where a verified credential said so.
    #[serde(rename = "authLevel", skip_serializing_if = "Option::is_none")]
    pub auth_level: Option<i64>,
    /// The handle of the person for whom it acted.
    #[serde(rename = "onBehalfOf", skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}
