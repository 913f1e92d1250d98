//! `[identity.gateway]`: the header in which a trusted gateway says who it identified.

use std::path::Path;

use super::directory::{self, AS, BY, NamedBy};
use super::shown::{
    self, OwnCredential, Shown, UPSTREAM_HEADER, UPSTREAM_KEY_FILE, UPSTREAM_PER_PERSON_FILE, UPSTREAM_SCHEME,
};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::model::certificate::NamePattern;
use crate::model::network::Network;

/// A trusted gateway.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The header, lower-case.
    pub header: String,
    /// Where the gateway connects from.
    pub trusted_peers: Vec<Network>,
    /// Whether connections on a unix socket are the gateway's.
    pub trusts_unix: bool,
    /// Names in the gateway's client certificate.
    pub trusted_certificates: Vec<NamePattern>,
    /// How the header's value becomes a principal.
    pub named_by: NamedBy,
    /// What the CRM is shown.
    pub shown: Shown,
}

/// Reads the section.
pub fn read(identity: &Table<'_>, folder: &Path) -> Option<GatewayConfig> {
    let settings = Settings::of(identity, &SECTION, folder)?;
    let header = settings.text(&HEADER).map(|text| text.value.to_ascii_lowercase());
    if header.as_deref() == Some("authorization") {
        let help = "Let the gateway use a header of its own, e.g. `x-authenticated-user`.";
        settings.error(settings.span(), "the gateway's header cannot be `authorization`", help);
    }
    let (mut trusted_peers, mut trusts_unix) = (Vec::new(), false);
    for text in settings.texts(&TRUSTED_PEERS) {
        match Network::parse(&text.value) {
            Ok(network) => trusted_peers.push(network),
            Err(_) if text.value == "unix" => trusts_unix = true,
            Err(error) => {
                let help = "Write where the gateway connects from, e.g. `10.0.0.7` or `10.0.0.0/28`.";
                settings.error(text.span, format!("`{}` cannot be trusted: {error}", text.value), help);
            }
        }
    }
    let mut trusted_certificates = Vec::new();
    for text in settings.texts(&TRUSTED_CERTIFICATES) {
        match NamePattern::parse(&text.value).filter(|pattern| !pattern.has_star()) {
            Some(pattern) => trusted_certificates.push(pattern),
            None => {
                let help = "Write a whole name, e.g. `DNS:gateway.example.com`.";
                settings.error(text.span, format!("`{}` is not a certificate's name", text.value), help);
            }
        }
    }
    if !settings.has(&TRUSTED_PEERS) && !settings.has(&TRUSTED_CERTIFICATES) {
        let help = "Add `trusted_peers` or `trusted_certificates`: anybody else's header is refused.";
        settings.error(settings.span(), "no gateway is trusted", help);
    }
    let named_by = directory::read(&settings, &AS);
    let shown = shown::read(&settings, OwnCredential::Never);
    settings.finish();
    let (header, shown) = (header?, shown?);
    Some(GatewayConfig { header, trusted_peers, trusts_unix, trusted_certificates, named_by, shown })
}

/// The section.
pub const SECTION: Section = Section {
    name: "identity.gateway",
    meaning: "The header in which a gateway in front says whom it identified. Believed only from the peers named here; \
              from anybody else a request with the header is refused.",
    presence: Presence::Optional,
    keys: &[
        &HEADER,
        &TRUSTED_PEERS,
        &TRUSTED_CERTIFICATES,
        &AS,
        &BY,
        &UPSTREAM_KEY_FILE,
        &UPSTREAM_PER_PERSON_FILE,
        &UPSTREAM_HEADER,
        &UPSTREAM_SCHEME,
    ],
    inner: &[],
};
const HEADER: Key = Key::required(
    "header",
    Kind::Text("required"),
    "Write e.g. `header = \"x-authenticated-user\"`.",
    "the header that names the principal",
);
const TRUSTED_PEERS: Key = Key::optional(
    "trusted_peers",
    Kind::Texts,
    "addresses and networks that the gateway connects from; `unix` for a unix socket",
);
const TRUSTED_CERTIFICATES: Key = Key::optional(
    "trusted_certificates",
    Kind::Texts,
    "names in the gateway's client certificate, e.g. `DNS:gateway.example.com`; such a certificate is never a caller's own",
);
