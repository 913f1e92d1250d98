//! `[admin]`: the admin listener.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// The admin listener.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Its address.
    pub address: SocketAddr,
    /// The file that holds its token.
    pub token_file: PathBuf,
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<AdminConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let address = settings.address(&ADDRESS);
    let token_file = settings.path(&TOKEN_FILE);
    settings.finish();
    Some(AdminConfig { address: address?, token_file: token_file? })
}

/// The section.
pub const SECTION: Section = Section {
    name: "admin",
    meaning: "The admin listener. Without this section there is none. See [admin.md](admin.md).",
    presence: Presence::Optional,
    keys: &[&ADDRESS, &TOKEN_FILE],
    inner: &[],
};
const ADDRESS: Key =
    Key::required("address", Kind::Address, "Write `address = \"127.0.0.1:8081\"`.", "where it listens");
const TOKEN_FILE: Key = Key::required(
    "token_file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "file with the token: its first line, without white space around it",
);
