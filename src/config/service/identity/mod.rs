//! `[identity]`: how callers are identified, at least one way. One file per way.

mod shown;
pub(super) mod keys;
mod directory;
pub(super) mod jwt;
pub(super) mod certificate;
pub(super) mod gateway;
pub(super) mod introspection;

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Presence, Section, Settings};
use crate::json::path::{JsonPath, Segment};

pub use certificate::CertificateConfig;
pub use directory::NamedBy;
pub use gateway::GatewayConfig;
pub use introspection::{IntrospectionConfig, Place};
pub use jwt::{ClaimConfig, JwtConfig, KeySetPlace, LevelConfig, TypeConfig};
pub use keys::KeyConfig;
pub use shown::{Carrier, Shown};

/// Every way in which callers are identified.
#[derive(Clone, Debug, Default)]
pub struct IdentityConfig {
    /// By hashes of keys.
    pub keys: Vec<KeyConfig>,
    /// By signed tokens, one for each issuer.
    pub jwt: Vec<JwtConfig>,
    /// By client certificates.
    pub certificate: Option<CertificateConfig>,
    /// By the header of a gateway.
    pub gateway: Option<GatewayConfig>,
    /// By asking the CRM.
    pub introspection: Option<IntrospectionConfig>,
}

impl IdentityConfig {
    fn is_empty(&self) -> bool {
        let is_alone = self.certificate.is_none() && self.gateway.is_none() && self.introspection.is_none();
        is_alone && self.keys.is_empty() && self.jwt.is_empty()
    }
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<IdentityConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let table = settings.table();
    let config = IdentityConfig {
        keys: keys::read(table, folder),
        jwt: jwt::read(table, folder),
        certificate: certificate::read(table, folder),
        gateway: gateway::read(table, folder),
        introspection: introspection::read(table, folder),
    };
    settings.finish();
    if config.is_empty() && table.entries().is_empty() {
        let help = "Add `[identity.api_keys]` (keys of Lockkeeper's own), `[identity.crm_keys]` (the callers' CRM keys), \
                    or another way of docs/reference/identity.md.";
        settings.error(settings.span(), "nobody can be identified", help);
    }
    Some(config)
}

/// A path of keys alone: it cannot lead to several values, nor to the first of a list.
fn key_path(settings: &Settings<'_>, key: &crate::config::settings::Key) -> Option<JsonPath> {
    let text = settings.text(key)?;
    let path = match JsonPath::parse(&text.value) {
        Ok(path) => path,
        Err(error) => {
            settings.error(text.span, error.to_string(), "Write a name, or a path such as `$.act.sub`.");
            return None;
        }
    };
    let is_plain = path.segments().iter().all(|segment| matches!(segment, Segment::Key(_)));
    if !is_plain || path.segments().is_empty() {
        let help = "Exactly one person must come out: name members only, e.g. `$.user.id`.";
        settings.error(text.span, format!("`{}` may lead to any of several values", text.value), help);
        return None;
    }
    Some(path)
}

/// The section.
pub const SECTION: Section = Section {
    name: "identity",
    meaning: "How callers are identified, in at least one way. A request carries exactly one credential.",
    presence: Presence::Required,
    keys: &[],
    inner: &["crm_keys", "api_keys", "jwt", "certificate", "gateway", "introspection"],
};

#[cfg(test)]
mod tests;
