//! `[ledger]`: where every decision is recorded.

use std::path::{Path, PathBuf};

use super::checkpoints::{self, CheckpointsConfig};
use super::ledger_routes::{self, LedgerRoutes};
use super::retention::{self, RetentionConfig, Signed};
use super::sinks::{self, SinkConfig};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// The ledger.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// The state folder.
    pub path: PathBuf,
    /// Bytes of a segment.
    pub segment_bytes_max: u64,
    /// Milliseconds of a segment.
    pub segment_ms_max: u64,
    /// Entries that wait to be written.
    pub queue_entries_max: usize,
    /// Milliseconds for an entry to become durable.
    pub write_timeout_ms: u64,
    /// Milliseconds that an entry which is only written waits for its sync.
    pub sync_interval_ms: u64,
    /// Routes whose entries are kept otherwise.
    pub routes: Vec<LedgerRoutes>,
    /// Less room than this on the file system of the state folder, in bytes, is told.
    pub free_bytes_min: u64,
    /// Who signs for it, if somebody does.
    pub checkpoints: Option<CheckpointsConfig>,
    /// For how long entries are kept; `None` for good.
    pub retention: Option<RetentionConfig>,
    /// What sinks call the log, beside its id.
    pub log_label: Option<String>,
    /// Copies elsewhere.
    pub sinks: Vec<SinkConfig>,
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<LedgerConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let path = settings.path(&PATH);
    let checkpoints = checkpoints::read(settings.table(), folder);
    // One that is there but wrong has its own errors.
    let leaves =
        checkpoints.as_ref().is_some_and(|read| read.as_ref().is_none_or(|config| config.has_exports()));
    let signed = if leaves { Signed::Yes } else { Signed::No };
    let config = LedgerConfig {
        path: path.clone().unwrap_or_default(),
        segment_bytes_max: settings.integer(&SEGMENT_BYTES),
        segment_ms_max: settings.integer(&SEGMENT_MS),
        queue_entries_max: settings.size(&QUEUE_ENTRIES),
        write_timeout_ms: settings.integer(&WRITE_TIMEOUT_MS),
        sync_interval_ms: settings.integer(&SYNC_INTERVAL_MS),
        routes: ledger_routes::read(settings.table(), folder),
        free_bytes_min: settings.integer(&FREE_BYTES),
        checkpoints: checkpoints.flatten(),
        retention: retention::read(settings.table(), folder, signed),
        log_label: read_label(&settings),
        sinks: sinks::read(&settings),
    };
    settings.finish();
    path.map(|_| config)
}

/// A label goes into a header and into tables.
fn read_label(settings: &Settings<'_>) -> Option<String> {
    let label = settings.text(&LOG_LABEL)?;
    let is_printable = label.value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if label.value.trim().is_empty() || label.value.len() > LABEL_BYTES_MAX || !is_printable {
        let help = "Write at most 100 characters of ASCII, e.g. `log_label = \"crm-east-1\"`.";
        settings.error(label.span, format!("`{}` cannot be a label", label.value.escape_debug()), help);
        return None;
    }
    Some(label.value)
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger",
    meaning: "Where every decision is recorded. See [ledger.md](ledger.md).",
    presence: Presence::Required,
    keys: &[
        &PATH,
        &SEGMENT_BYTES,
        &SEGMENT_MS,
        &QUEUE_ENTRIES,
        &WRITE_TIMEOUT_MS,
        &SYNC_INTERVAL_MS,
        &FREE_BYTES,
        &LOG_LABEL,
    ],
    inner: &["routes", "checkpoints", "retention", "sinks"],
};
const PATH: Key = Key::required(
    "path",
    Kind::Path,
    "Paths are taken from the folder of the configuration file.",
    "the state folder, the only one that Lockkeeper writes to",
);
const SEGMENT_BYTES: Key =
    Key::integer("segment_bytes", 256 << 20, 1 << 16, 1 << 40, "of a segment, after which a new one starts");
const SEGMENT_MS: Key = Key::integer(
    "segment_ms",
    86_400_000,
    1_000,
    366 * 86_400_000,
    "of a segment, after which the next entry starts a new one; whole segments are what [`[ledger.retention]`](#ledgerretention) removes",
);
const QUEUE_ENTRIES: Key = Key::integer(
    "queue_entries",
    8_192,
    1,
    1 << 20,
    "entries that wait to be written; beyond that requests get 503",
);
const WRITE_TIMEOUT_MS: Key =
    Key::integer("write_timeout_ms", 5_000, 10, 600_000, "for an entry to become durable");
const SYNC_INTERVAL_MS: Key = Key::integer(
    "sync_interval_ms",
    1_000,
    1,
    60_000,
    "for which an entry waits for its sync at most where a route's [`durability`](#ledgerroutes) is `write`",
);
const FREE_BYTES: Key = Key::integer(
    "free_bytes",
    1 << 30,
    0,
    1 << 50,
    "of room on the state folder's file system, below which log, metric and status say so",
);
const LOG_LABEL: Key = Key::optional(
    "log_label",
    Kind::Text("none"),
    "what sinks call this log beside its random id, e.g. the instance's name",
);

/// Bytes of a label.
const LABEL_BYTES_MAX: usize = 100;
