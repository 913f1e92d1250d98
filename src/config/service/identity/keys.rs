//! `[identity.crm_keys]` and `[identity.api_keys]`: keys that are known by their hashes.

use std::path::{Path, PathBuf};

use super::shown::{
    self, Carrier, OwnCredential, Shown, UPSTREAM_HEADER, UPSTREAM_KEY_FILE, UPSTREAM_PER_PERSON_FILE,
    UPSTREAM_SCHEME,
};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::model::principal::Authn;

/// One way of identifying callers.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Whose keys they are: what the ledger calls it.
    pub authn: Authn,
    /// The file of hashes.
    pub file: PathBuf,
    /// What carries the key.
    pub carrier: Carrier,
    /// What the CRM is shown.
    pub shown: Shown,
}

/// Reads both sections.
pub fn read(identity: &Table<'_>, folder: &Path) -> Vec<KeyConfig> {
    let crm_keys = Settings::of(identity, &CRM_KEYS, folder);
    let crm_keys = crm_keys.and_then(|keys| read_keys(&keys, Authn::CrmKey, |_| Some(Shown::Caller)));
    let api_keys = Settings::of(identity, &API_KEYS, folder);
    let shown = |keys: &Settings<'_>| shown::read(keys, OwnCredential::Never);
    let api_keys = api_keys.and_then(|keys| read_keys(&keys, Authn::ApiKey, shown));
    crm_keys.into_iter().chain(api_keys).collect()
}

fn read_keys(
    keys: &Settings<'_>,
    authn: Authn,
    shown: impl Fn(&Settings<'_>) -> Option<Shown>,
) -> Option<KeyConfig> {
    let file = keys.path(&FILE);
    let carrier = shown::carrier(keys, &HEADER, &SCHEME);
    let shown = shown(keys);
    keys.finish();
    Some(KeyConfig { authn, file: file?, carrier, shown: shown? })
}

/// The callers' own CRM keys.
pub const CRM_KEYS: Section = Section {
    name: "identity.crm_keys",
    meaning: "The callers' own keys for the CRM, known by their hashes. The CRM is shown the caller's key, as it came.",
    presence: Presence::Optional,
    keys: &[&FILE, &HEADER, &SCHEME],
    inner: &[],
};

/// Keys of Lockkeeper's own.
pub const API_KEYS: Section = Section {
    name: "identity.api_keys",
    meaning: "Keys that `lockkeeper key new` made, known by their hashes. The CRM is shown a service account's key, or \
              the person's own from a file.",
    presence: Presence::Optional,
    keys: &[
        &FILE,
        &HEADER,
        &SCHEME,
        &UPSTREAM_KEY_FILE,
        &UPSTREAM_PER_PERSON_FILE,
        &UPSTREAM_HEADER,
        &UPSTREAM_SCHEME,
    ],
    inner: &[],
};
const FILE: Key = Key::required(
    "file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "the key file: one `[[key]]` for each key, as `lockkeeper key` prints them (`sha256`, `principal`, and `note` if you like)",
);
pub const HEADER: Key =
    Key::optional("header", Kind::Text("`authorization`"), "the header that carries the key");
pub const SCHEME: Key = Key::optional(
    "scheme",
    Kind::Text("`Bearer` in `authorization`, else none"),
    "the word before the key; empty for none",
);
