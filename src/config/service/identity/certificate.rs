//! `[identity.certificate]`: client certificates that the listener verified.

use std::path::{Path, PathBuf};

use super::directory::{self, AS, BY, NamedBy};
use super::shown::{
    self, OwnCredential, Shown, UPSTREAM_HEADER, UPSTREAM_KEY_FILE, UPSTREAM_PER_PERSON_FILE, UPSTREAM_SCHEME,
};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::model::certificate::NamePattern;

/// How names of certificates become principals.
#[derive(Clone, Debug)]
pub struct CertificateConfig {
    /// A file that says which name is whose.
    pub file: Option<PathBuf>,
    /// A name with one `*`, which stands for the principal.
    pub pattern: Option<NamePattern>,
    /// How what stands in place of the `*` becomes a principal.
    pub named_by: NamedBy,
    /// What the CRM is shown.
    pub shown: Shown,
}

/// Reads the section.
pub fn read(identity: &Table<'_>, folder: &Path) -> Option<CertificateConfig> {
    let settings = Settings::of(identity, &SECTION, folder)?;
    let file = settings.path(&FILE);
    let pattern = settings.text(&PATTERN).and_then(|text| {
        let pattern = NamePattern::parse(&text.value).filter(NamePattern::has_star);
        if pattern.is_none() {
            let help = "Write e.g. `email:*@example.com`, `DNS:*.people.example.com` or `URI:spiffe://example.com/user/*`.";
            settings.error(text.span, format!("`{}` is not a name with one `*`", text.value), help);
        }
        pattern
    });
    if file.is_none() && pattern.is_none() && !settings.has(&PATTERN) {
        let help = "Add `file` (a table of names) or `pattern` (a name with one `*`).";
        settings.error(settings.span(), "no certificate would lead to anybody", help);
    }
    let named_by = directory::read(&settings, &AS);
    let shown = shown::read(&settings, OwnCredential::Never);
    settings.finish();
    Some(CertificateConfig { file, pattern, named_by, shown: shown? })
}

/// The section.
pub const SECTION: Section = Section {
    name: "identity.certificate",
    meaning: "Client certificates that the listener verified. The names in one must lead to exactly one principal.",
    presence: Presence::Optional,
    keys: &[
        &FILE,
        &PATTERN,
        &AS,
        &BY,
        &UPSTREAM_KEY_FILE,
        &UPSTREAM_PER_PERSON_FILE,
        &UPSTREAM_HEADER,
        &UPSTREAM_SCHEME,
    ],
    inner: &[],
};
const FILE: Key = Key::optional(
    "file",
    Kind::Path,
    "which name is whose: one `[[certificate]]` with `name` and `principal` for each",
);
const PATTERN: Key = Key::optional(
    "pattern",
    Kind::Text("none"),
    "a name with one `*`, which stands for the principal: `email:*@example.com`, `DNS:*.people.example.com`, `URI:spiffe://example.com/user/*`",
);
