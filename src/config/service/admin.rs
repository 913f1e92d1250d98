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
    /// The file that holds the token for AuthZEN, if that is another.
    pub authzen_token_file: Option<PathBuf>,
    /// How other services reach it, if that is not by its address.
    pub url: Option<String>,
    /// Bytes of an AuthZEN question.
    pub question_bytes_max: usize,
    /// AuthZEN questions in one request.
    pub questions_max: usize,
}

impl AdminConfig {
    /// The files that hold tokens.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.token_file).chain(&self.authzen_token_file)
    }
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<AdminConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let address = settings.address(&ADDRESS);
    let token_file = settings.path(&TOKEN_FILE);
    let authzen_token_file = settings.path(&AUTHZEN_TOKEN_FILE);
    let url = settings.text(&URL).map(|text| text.value);
    let (question_bytes_max, questions_max) = (settings.size(&QUESTION_BYTES), settings.size(&QUESTIONS));
    settings.finish();
    Some(AdminConfig {
        address: address?,
        token_file: token_file?,
        authzen_token_file,
        url,
        question_bytes_max,
        questions_max,
    })
}

/// The section.
pub const SECTION: Section = Section {
    name: "admin",
    meaning: "The admin listener. Without this section there is none. See [admin.md](admin.md).",
    presence: Presence::Optional,
    keys: &[&ADDRESS, &TOKEN_FILE, &AUTHZEN_TOKEN_FILE, &URL, &QUESTION_BYTES, &QUESTIONS],
    inner: &[],
};
const ADDRESS: Key =
    Key::required("address", Kind::Address, "Write `address = \"127.0.0.1:8081\"`.", "where it listens");
const TOKEN_FILE: Key = Key::required(
    "token_file",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "file with the token: its first line, without white space around it, at least 16 bytes",
);
const AUTHZEN_TOKEN_FILE: Key = Key::optional(
    "authzen_token_file",
    Kind::Path,
    "file with another token, which alone opens AuthZEN and nothing else; without it, `token_file` opens both",
);
const URL: Key = Key::optional(
    "url",
    Kind::Text("`http://` and the address"),
    "how other services reach it, e.g. `https://pdp.example`: stands in the AuthZEN metadata",
);
const QUESTION_BYTES: Key =
    Key::integer("question_bytes", 1 << 20, 1 << 10, 1 << 26, "of the body of an AuthZEN request");
const QUESTIONS: Key = Key::integer("questions", 100, 1, 10_000, "evaluations in one AuthZEN request");
