//! `[ledger.checkpoints]`: who signs for the ledger, and where the signatures go.

use std::path::{Path, PathBuf};

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::ledger::note::KeyName;

/// Who signs for the ledger, and where the signatures go.
#[derive(Clone, Debug)]
pub struct CheckpointsConfig {
    /// The log's name, under which it signs.
    pub origin: KeyName,
    /// The key that signs.
    pub key_file: PathBuf,
    /// The key before, which signs as well while people still trust only that one.
    pub previous_key_file: Option<PathBuf>,
    /// The folder that checkpoints are put into.
    pub folder: Option<PathBuf>,
    /// Whether they are printed.
    pub stdout: bool,
    /// Milliseconds between two checkpoints of a ledger that grows.
    pub interval_ms: u64,
    /// Milliseconds between two of one that does not.
    pub idle_interval_ms: u64,
}

/// Reads the section; `Some(None)` if it is there but wrong.
pub fn read(parent: &Table<'_>, folder: &Path) -> Option<Option<CheckpointsConfig>> {
    let settings = Settings::of(parent, &SECTION, folder)?;
    let origin = settings.text(&ORIGIN).and_then(|text| match KeyName::parse(&text.value) {
        Ok(origin) => Some(origin),
        Err(error) => {
            let help = "Write a name that no other ledger has, such as `crm.example.com/lockkeeper`.";
            settings.error(text.span.clone(), error.to_string(), help);
            None
        }
    });
    let key_file = settings.path(&KEY_FILE);
    let previous_key_file = settings.path(&PREVIOUS_KEY_FILE);
    let exported = settings.path(&FOLDER);
    let stdout = settings.boolean(&STDOUT);
    let interval_ms = settings.integer(&INTERVAL_MS);
    let idle_interval_ms = settings.integer(&IDLE_INTERVAL_MS);
    if idle_interval_ms < interval_ms {
        let help = "A ledger that does not grow needs no more checkpoints than one that does.";
        settings.error(settings.span(), "`idle_interval_ms` is shorter than `interval_ms`", help);
    }
    settings.finish();
    Some(origin.zip(key_file).map(|(origin, key_file)| CheckpointsConfig {
        origin,
        key_file,
        previous_key_file,
        folder: exported,
        stdout,
        interval_ms,
        idle_interval_ms,
    }))
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger.checkpoints",
    meaning: "Signed checkpoints: with them a ledger that somebody rewrote is told from one that nobody did. See \
              [ledger.md](ledger.md#checkpoints).\n\nA checkpoint proves something only where this host cannot change it: let `folder` be \
              a mount that the service may write to but not rewrite, or collect what it prints.",
    presence: Presence::Optional,
    keys: &[&ORIGIN, &KEY_FILE, &PREVIOUS_KEY_FILE, &FOLDER, &STDOUT, &INTERVAL_MS, &IDLE_INTERVAL_MS],
    inner: &[],
};
const ORIGIN: Key = Key::required(
    "origin",
    Kind::Text("required"),
    "Write a name that no other ledger has, such as `crm.example.com/lockkeeper`.",
    "the name of this ledger, under which it signs; it stays for good. No two instances may share one",
);
const KEY_FILE: Key = Key::required(
    "key_file",
    Kind::Path,
    "`lockkeeper audit keygen` makes one.",
    "the private Ed25519 key (PKCS#8 PEM) that signs, readable by its owner only",
);
const PREVIOUS_KEY_FILE: Key = Key::optional(
    "previous_key_file",
    Kind::Path,
    "the key before, which signs as well, so that whoever trusts only that one can follow to the new one",
);
const FOLDER: Key = Key::optional(
    "folder",
    Kind::Path,
    "an existing folder that checkpoints are put into: `checkpoint`, and a file of all for each day",
);
const STDOUT: Key = Key::optional(
    "stdout",
    Kind::Boolean(false),
    "whether each checkpoint is printed on standard output, as a line of JSON",
);
const INTERVAL_MS: Key =
    Key::integer("interval_ms", 1_000, 100, 3_600_000, "between two checkpoints of a ledger that grows");
const IDLE_INTERVAL_MS: Key = Key::integer(
    "idle_interval_ms",
    60_000,
    1_000,
    86_400_000,
    "after which the last checkpoint is exported again where the ledger does not grow: silence is told from an end",
);
