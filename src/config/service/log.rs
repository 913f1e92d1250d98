//! `[log]`: the operational log.

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// The operational log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Its level or filter.
    pub level: String,
    /// How it is written.
    pub format: LogFormat,
}

/// How the operational log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LEVEL_DEFAULT.to_owned(), format: LogFormat::default() }
    }
}

/// Reads the section; without it every default holds.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<LogConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let level = settings.text(&LEVEL).map_or(LEVEL_DEFAULT.to_owned(), |text| text.value);
    let format = match settings.choice(&FORMAT) {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    settings.finish();
    Some(LogConfig { level, format })
}

/// The section.
pub const SECTION: Section = Section {
    name: "log",
    meaning: "The operational log goes to standard error and is not the ledger.",
    presence: Presence::Optional,
    keys: &[&LEVEL, &FORMAT],
    inner: &[],
};
const LEVEL: Key = Key::optional(
    "level",
    Kind::Text("`info`"),
    "`error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,hyper=warn`",
);
const FORMAT: Key = Key::optional("format", Kind::Choice(&["text", "json"]), "how it is written");
const LEVEL_DEFAULT: &str = "info";
