//! `[directory]`: where people come from.

use std::path::{Path, PathBuf};

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// The directory.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// Its file.
    pub file: PathBuf,
}

/// Reads `[directory]`.
pub fn read_directory(root: &Table<'_>, folder: &Path) -> Option<DirectoryConfig> {
    let settings = Settings::of(root, &DIRECTORY, folder)?;
    let file = settings.path(&FILE);
    settings.finish();
    Some(DirectoryConfig { file: file? })
}

/// The section of the directory.
pub const DIRECTORY: Section = Section {
    name: "directory",
    meaning: "People, roles, teams, territories and positions.",
    presence: Presence::Required,
    keys: &[&FILE],
    inner: &[],
};

const FILE: Key = Key::required(
    "file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "Cedar's JSON form of entities, a `.cedarentities.json` file",
);
