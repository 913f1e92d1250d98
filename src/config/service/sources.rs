//! `[directory]`: where people come from.

use std::path::{Path, PathBuf};

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// The directory.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// Its file.
    pub file: PathBuf,
    /// Milliseconds after which it is too old to decide by; `None` for never.
    pub max_age_ms: Option<u64>,
}

/// Reads `[directory]`.
pub fn read_directory(root: &Table<'_>, folder: &Path) -> Option<DirectoryConfig> {
    let settings = Settings::of(root, &DIRECTORY, folder)?;
    let file = settings.path(&FILE);
    let max_age_ms = settings.number(&MAX_AGE_MS);
    settings.finish();
    Some(DirectoryConfig { file: file?, max_age_ms })
}

/// The section of the directory.
pub const DIRECTORY: Section = Section {
    name: "directory",
    meaning: "People, roles, teams, territories and positions.",
    presence: Presence::Required,
    keys: &[&FILE, &MAX_AGE_MS],
    inner: &[],
};

const FILE: Key = Key::required(
    "file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "Cedar's JSON form of entities, a `.cedarentities.json` file",
);
const MAX_AGE_MS: Key = Key::optional(
    "max_age_ms",
    Kind::Integer { min: 1_000, max: 31_536_000_000, default: None },
    "since the file was last written; an older directory refuses all with `directory-stale`",
);
