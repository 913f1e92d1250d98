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
    let level = settings.text(&LEVEL).map_or(LEVEL_DEFAULT.to_owned(), |text| {
        if let Some(wrong) = text.value.split(',').map(str::trim).find(|part| !is_directive(part)) {
            settings.error(text.span.clone(), format!("`{wrong}` is not a level of the log"), LEVEL_HELP);
        }
        text.value
    });
    let format = match settings.choice(&FORMAT) {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    settings.finish();
    Some(LogConfig { level, format })
}

/// Whether a part of a filter is a level, or a target and its level.
fn is_directive(part: &str) -> bool {
    let is_target = |target: &str| {
        let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
        !target.is_empty() && target.bytes().all(is_letter)
    };
    match part.split_once('=') {
        Some((target, level)) => is_target(target) && LEVELS.contains(&level),
        None => LEVELS.contains(&part),
    }
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
    "`error`, `warn`, `info`, `debug`, `trace`, `off`, or a filter such as `info,hyper=warn`",
);
const FORMAT: Key = Key::optional("format", Kind::Choice(&["text", "json"]), "how it is written");
const LEVEL_DEFAULT: &str = "info";
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
const LEVEL_HELP: &str =
    "Write `error`, `warn`, `info`, `debug`, `trace` or `off`, or a filter such as `info,hyper=warn`.";
