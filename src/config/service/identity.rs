//! `[identity]`: how callers are identified, at least one way.

use std::path::{Path, PathBuf};

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// One way of identifying callers.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Whether the CRM is shown the caller's own key.
    pub kind: KeyKind,
    /// The file of hashes.
    pub file: PathBuf,
    /// The header that carries the key, lower-case.
    pub header: String,
    /// The scheme before the key.
    pub scheme: Option<String>,
}

/// What the CRM is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The caller's own key.
    Crm,
    /// A service account's.
    Api {
        /// The header for the CRM, lower-case.
        header: String,
        /// The scheme before the key.
        scheme: Option<String>,
        /// The file that holds the key.
        key_file: PathBuf,
    },
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<Vec<KeyConfig>> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let table = settings.table();
    let mut sources = Vec::new();
    if let Some(keys) = Settings::of(table, &CRM_KEYS, folder) {
        sources.extend(read_keys(&keys, |_| Some(KeyKind::Crm)));
    }
    if let Some(keys) = Settings::of(table, &API_KEYS, folder) {
        let api = |keys: &Settings<'_>| {
            let header = header(keys, &UPSTREAM_HEADER);
            let scheme = scheme(keys, &UPSTREAM_SCHEME, &header);
            let key_file = keys.path(&UPSTREAM_KEY_FILE)?;
            Some(KeyKind::Api { header, scheme, key_file })
        };
        sources.extend(read_keys(&keys, api));
    }
    settings.finish();
    if sources.is_empty() {
        let help = "Add `[identity.api_keys]` (keys of Lockkeeper's own) or `[identity.crm_keys]` (the callers' CRM keys).";
        settings.error(settings.span(), "nobody can be identified", help);
    }
    Some(sources)
}

fn read_keys(keys: &Settings<'_>, kind: impl Fn(&Settings<'_>) -> Option<KeyKind>) -> Option<KeyConfig> {
    let file = keys.path(&FILE);
    let header = header(keys, &HEADER);
    let scheme = scheme(keys, &SCHEME, &header);
    let kind = kind(keys);
    keys.finish();
    Some(KeyConfig { kind: kind?, file: file?, header, scheme })
}

fn header(settings: &Settings<'_>, key: &Key) -> String {
    settings.text(key).map_or("authorization".to_owned(), |text| text.value.to_ascii_lowercase())
}

/// The scheme before a key: `Bearer` in `Authorization` unless the file says otherwise, none in other headers.
fn scheme(settings: &Settings<'_>, key: &Key, header: &str) -> Option<String> {
    match settings.text(key) {
        Some(text) if text.value.is_empty() => None,
        Some(text) => Some(text.value),
        None => (header == "authorization").then(|| "Bearer".to_owned()),
    }
}

/// The section.
pub const SECTION: Section = Section {
    name: "identity",
    meaning: "How callers are identified, in at least one way. A request carries exactly one credential.",
    presence: Presence::Required,
    keys: &[],
    inner: &["crm_keys", "api_keys"],
};

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
    meaning: "Keys that `lockkeeper key new` made, known by their hashes. The CRM is shown a service account's key: its \
              own history names that account, the ledger says who it was.",
    presence: Presence::Optional,
    keys: &[&FILE, &HEADER, &SCHEME, &UPSTREAM_KEY_FILE, &UPSTREAM_HEADER, &UPSTREAM_SCHEME],
    inner: &[],
};
const FILE: Key = Key::required(
    "file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "the key file: one `[[key]]` for each key, as `lockkeeper key` prints them (`sha256`, `principal`, and `note` if you like)",
);
const HEADER: Key = Key::optional("header", Kind::Text("`authorization`"), "the header that carries the key");
const SCHEME: Key = Key::optional(
    "scheme",
    Kind::Text("`Bearer` in `authorization`, else none"),
    "the word before the key; empty for none",
);
const UPSTREAM_KEY_FILE: Key = Key::required(
    "upstream_key_file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "file with the service account's key",
);
const UPSTREAM_HEADER: Key =
    Key::optional("upstream_header", Kind::Text("`authorization`"), "the header for the CRM");
const UPSTREAM_SCHEME: Key = Key::optional(
    "upstream_scheme",
    Kind::Text("`Bearer` in `authorization`, else none"),
    "the word before the key",
);
