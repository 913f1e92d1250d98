//! `[ledger.retention]`: for how long entries are kept.

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Presence, Section, Settings};

/// For how long entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// In days.
    pub keep_days: u64,
    /// Milliseconds between two looks.
    pub interval_ms: u64,
}

/// Whether checkpoints are configured, rightly or wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// They are.
    Yes,
    /// They are not.
    No,
}

/// Reads the section.
pub fn read(parent: &Table<'_>, folder: &Path, signed: Signed) -> Option<RetentionConfig> {
    let settings = Settings::of(parent, &SECTION, folder)?;
    let keep_days = settings.number(&KEEP_DAYS);
    let interval_ms = settings.integer(&INTERVAL_MS);
    if signed == Signed::No {
        let help = "Add [ledger.checkpoints] with `folder`, `stdout` or an endpoint: only what was signed for, out of this host's reach, can be removed and still be proved.";
        settings.error(
            settings.span(),
            "`[ledger.retention]` needs `[ledger.checkpoints]` that are exported",
            help,
        );
    }
    settings.finish();
    keep_days.map(|keep_days| RetentionConfig { keep_days, interval_ms })
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger.retention",
    meaning: "For how long entries are kept; without it, for good. Whole segments are removed, the oldest first, and an entry says so. See \
              [ledger.md](ledger.md#retention).",
    presence: Presence::Optional,
    keys: &[&KEEP_DAYS, &INTERVAL_MS],
    inner: &[],
};
const KEEP_DAYS: Key = Key {
    name: "keep_days",
    kind: crate::config::settings::Kind::Integer { min: 1, max: 36_500, default: None },
    meaning: "for which entries are kept at least. A segment goes when the youngest of its entries is older",
    example: Some("Write e.g. `keep_days = 2557` for seven years."),
};
const INTERVAL_MS: Key = Key::integer(
    "interval_ms",
    60_000,
    100,
    86_400_000,
    "between two looks whether a segment is to be removed; one is, at most",
);
