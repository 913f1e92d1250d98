//! Settings: every key of `lockkeeper.toml` as a value, so that reading it and documenting it cannot disagree.
//!
//! A section lists its keys once. The reader takes range and default from there, the reference and the JSON Schema are
//! written from there, and a key that no section lists is an error with the nearest one that it does.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::author::nearest;
use super::reader::{Item, Reading, Table, Text};

/// One section of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name in brackets, e.g. `identity.crm_keys`.
    pub name: &'static str,
    /// What it is for. What follows an empty line stands below the keys in the reference.
    pub meaning: &'static str,
    /// Whether the file may do without it.
    pub presence: Presence,
    /// Its keys, in the order of the reference.
    pub keys: &'static [&'static Key],
    /// Sections inside it, by their last name.
    pub inner: &'static [&'static str],
}

/// One key of a section.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it means; durations and sizes carry their unit in the name.
    pub meaning: &'static str,
    /// What to write where it is missing but required; `None` for keys that may be left out.
    pub example: Option<&'static str>,
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Without it the service does not start.
    Required,
    /// It may be left out.
    Optional,
    /// It may stand any number of times, as `[[name]]`.
    Repeated,
}

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number between two bounds; `None` as default means that nothing applies.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
        /// What holds if the key is left out.
        default: Option<u64>,
    },
    /// A truth value and what holds if the key is left out.
    Boolean(bool),
    /// Any text and, in words, what holds if the key is left out.
    Text(&'static str),
    /// One of these words, the first of which is the default.
    Choice(&'static [&'static str]),
    /// A string or a list of strings.
    Texts,
    /// A table whose keys the author chooses and, in words, what holds if the key is left out.
    Map(&'static str),
    /// A path, taken from the folder of the file.
    Path,
    /// `ADDRESS:PORT`.
    Address,
}

impl Key {
    /// A whole number with a default.
    pub const fn integer(
        name: &'static str,
        default: u64,
        min: u64,
        max: u64,
        meaning: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Integer { min, max, default: Some(default) }, meaning, example: None }
    }

    /// A key of any kind that may be left out.
    pub const fn optional(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self { name, kind, meaning, example: None }
    }

    /// A key that must be there; the example is what the error says to write.
    pub const fn required(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, kind, meaning, example: Some(example) }
    }
}

impl Key {
    /// What holds if the key is left out; 0 for kinds that are no number.
    pub const fn default_integer(&self) -> u64 {
        match self.kind {
            Kind::Integer { default: Some(default), .. } => default,
            _ => 0,
        }
    }

    /// The default as a size in memory.
    pub fn default_size(&self) -> usize {
        usize::try_from(self.default_integer()).unwrap_or(usize::MAX)
    }
}

/// A section as it is read.
pub struct Settings<'a> {
    table: Table<'a>,
    section: &'static Section,
    folder: &'a Path,
}

impl<'a> Settings<'a> {
    /// The section of the file, if it is there; relative paths are taken from `folder`. `parent` is the table that holds
    /// the section under its last name.
    pub fn of(parent: &Table<'a>, section: &'static Section, folder: &'a Path) -> Option<Self> {
        let name = section.name.rsplit('.').next().unwrap_or(section.name);
        if parent.item(name).is_none() && section.presence == Presence::Required {
            let help = "See docs/reference/config.md for every section.";
            parent.reading().error(0..0, format!("`[{}]` is missing", section.name), help);
        }
        Some(Self { table: parent.table(name)?, section, folder })
    }

    /// Every table of a section that may stand any number of times.
    pub fn all(parent: &Table<'a>, section: &'static Section, folder: &'a Path) -> Vec<Self> {
        let name = section.name.rsplit('.').next().unwrap_or(section.name);
        parent.tables(name).into_iter().map(|table| Self { table, section, folder }).collect()
    }

    /// The table below, for sections inside this one.
    pub fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// The folder that relative paths are taken from.
    pub fn folder(&self) -> &'a Path {
        self.folder
    }

    /// Where the section stands.
    pub fn span(&self) -> Range<usize> {
        self.table.span()
    }

    /// Notes an error at a place of the file.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.table.reading().error(span, message, help);
    }

    /// The file's reading, to note further errors.
    pub fn reading(&self) -> &'a Reading {
        self.table.reading()
    }

    /// Whether the file has the key.
    pub fn has(&self, key: &Key) -> bool {
        self.table.item(key.name).is_some()
    }

    /// A whole number, or its default, or 0 for a key without one.
    pub fn integer(&self, key: &Key) -> u64 {
        self.number(key).unwrap_or(key.default_integer())
    }

    /// A whole number for sizes in memory.
    pub fn size(&self, key: &Key) -> usize {
        usize::try_from(self.integer(key)).unwrap_or(usize::MAX)
    }

    /// A whole number, if the file states it.
    pub fn number(&self, key: &Key) -> Option<u64> {
        let Kind::Integer { min, max, .. } = key.kind else { return None };
        self.item(key)?.integer(min..=max)
    }

    /// A truth value, or its default.
    pub fn boolean(&self, key: &Key) -> bool {
        let default = matches!(key.kind, Kind::Boolean(true));
        self.item(key).and_then(Item::boolean).unwrap_or(default)
    }

    /// A text with its place.
    pub fn text(&self, key: &Key) -> Option<Text> {
        self.item(key)?.text()
    }

    /// A list of texts with their places; empty if absent.
    pub fn texts(&self, key: &Key) -> Vec<Text> {
        self.item(key).and_then(Item::texts).unwrap_or_default()
    }

    /// The entries of a table whose keys the author chose, with their places; empty if absent.
    pub fn map(&self, key: &Key) -> Vec<(Text, Item<'a>)> {
        self.item(key).and_then(Item::table).map(|table| table.entries()).unwrap_or_default()
    }

    /// One of the key's words; the first where the file has none.
    pub fn choice(&self, key: &Key) -> &'static str {
        let Kind::Choice(words) = key.kind else { return "" };
        let default = words.first().copied().unwrap_or("");
        let Some(text) = self.text(key) else { return default };
        let found = words.iter().copied().find(|word| *word == text.value);
        found.unwrap_or_else(|| {
            let message = format!("`{}` is not a value of `{}`", text.value, key.name);
            self.error(text.span, message, format!("There are {}.", words.join(", ")));
            default
        })
    }

    /// A path, made absolute by the file's folder.
    pub fn path(&self, key: &Key) -> Option<PathBuf> {
        let text = self.text(key)?;
        if text.value.is_empty() {
            self.error(text.span, format!("`{}` is empty", key.name), "Write a path, or leave the key out.");
            return None;
        }
        Some(self.folder.join(text.value))
    }

    /// An address and a port.
    pub fn address(&self, key: &Key) -> Option<SocketAddr> {
        let text = self.text(key)?;
        let parsed = text.value.parse().ok();
        if parsed.is_none() {
            let help = "Write an address and a port, e.g. `127.0.0.1:8080`.";
            self.error(text.span, format!("`{}` is not an address", text.value), help);
        }
        parsed
    }

    /// Ends the reading: keys that the section does not list are errors.
    pub fn finish(&self) {
        for (key, _) in self.table.entries() {
            let known =
                || self.section.keys.iter().map(|key| key.name).chain(self.section.inner.iter().copied());
            if known().any(|name| name == key.value) {
                continue;
            }
            let help = match nearest(&key.value, known()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Known here: {}.", known().collect::<Vec<_>>().join(", ")),
            };
            self.error(key.span, format!("`{}` is not a known key", key.value), help);
        }
    }

    fn item(&self, key: &Key) -> Option<Item<'a>> {
        let item = self.table.item(key.name);
        if let (None, Some(example)) = (&item, key.example) {
            self.error(self.span(), format!("`{}` is missing", key.name), example);
        }
        item
    }
}
