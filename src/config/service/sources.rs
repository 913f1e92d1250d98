//! `[directory]` and `[bundle]`: where people and policies come from.

use std::path::{Path, PathBuf};

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// The directory.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// Its file.
    pub file: PathBuf,
}

/// The bundle.
#[derive(Clone, Debug)]
pub struct BundleConfig {
    /// Its folder.
    pub path: PathBuf,
    /// Milliseconds between looks at bundle, directory and keys; 0 for never.
    pub reload_poll_ms: u64,
}

/// Reads `[directory]`.
pub fn read_directory(root: &Table<'_>, folder: &Path) -> Option<DirectoryConfig> {
    let settings = Settings::of(root, &DIRECTORY, folder)?;
    let file = settings.path(&FILE);
    settings.finish();
    Some(DirectoryConfig { file: file? })
}

/// Reads `[bundle]`.
pub fn read_bundle(root: &Table<'_>, folder: &Path) -> Option<BundleConfig> {
    let settings = Settings::of(root, &BUNDLE, folder)?;
    let path = settings.path(&PATH);
    let reload_poll_ms = settings.integer(&RELOAD_POLL_MS);
    settings.finish();
    Some(BundleConfig { path: path?, reload_poll_ms })
}

/// The section of the directory.
pub const DIRECTORY: Section = Section {
    name: "directory",
    meaning: "People, roles, teams, territories and positions.",
    presence: Presence::Required,
    keys: &[&FILE],
    inner: &[],
};

/// The section of the bundle.
pub const BUNDLE: Section = Section {
    name: "bundle",
    meaning: "Policies, schema and profile.\n\n\
              Bundle, directory and keys go live apart, each whole or not at all: what is broken stays as it was, says so in \
              the log and the ledger, and delays nothing else. A bundle and a directory that do not fit each other never serve \
              together: the directory goes first, because it is how people lose access. A file counts as changed when its size, \
              its times or its place on disk differ; then its bytes are compared. SIGHUP and `POST /reload` look at once.",
    presence: Presence::Required,
    keys: &[&PATH, &RELOAD_POLL_MS],
    inner: &[],
};
const FILE: Key = Key::required(
    "file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "Cedar's JSON form of entities, a `.cedarentities.json` file",
);
const PATH: Key = Key::required(
    "path",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "folder with `profile.toml`, one `.cedarschema` and `.cedar` files",
);
const RELOAD_POLL_MS: Key = Key::integer(
    "reload_poll_ms",
    1_000,
    0,
    3_600_000,
    "between looks at bundle, directory and keys; 0 for never",
);
