//! What a configuration file states, for the ledger: the file by its hash, and which settings are not the defaults.
//!
//! Promises: names of known settings and nothing else: no value, no name that the author chose.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::settings::{Key, Kind, Section};
use crate::bundle::revision::hash;

/// What a file states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The SHA-256 of the file, in hex.
    pub hash: String,
    /// `section.key`, ascending; one of several equal sections counts like all of them.
    pub settings: Vec<String>,
}

impl Stated {
    /// What the text of a file states of these sections.
    pub fn of(text: &str, sections: &[&Section]) -> Self {
        // Whoever reads the settings says what is wrong with a text that is none.
        let root: Table = text.parse().unwrap_or_default();
        let mut settings = BTreeSet::new();
        for section in sections {
            for table in tables(&root, section.name) {
                let is_stated =
                    |key: &&&Key| table.get(key.name).is_some_and(|value| !is_default(key, value));
                let keys = section.keys.iter().filter(is_stated);
                settings.extend(keys.map(|key| format!("{}.{}", section.name, key.name)));
            }
        }
        Self { hash: hash(text.as_bytes()), settings: settings.into_iter().collect() }
    }
}

/// The tables of a section; several where it may be repeated, or stands inside of one that may.
fn tables<'a>(root: &'a Table, name: &str) -> Vec<&'a Table> {
    name.split('.').fold(vec![root], |outer, name| {
        let inner = outer.into_iter().filter_map(|table| table.get(name));
        inner
            .flat_map(|value| match value {
                Value::Table(table) => vec![table],
                Value::Array(items) => items.iter().filter_map(Value::as_table).collect(),
                _ => Vec::new(),
            })
            .collect()
    })
}

fn is_default(key: &Key, value: &Value) -> bool {
    match (key.kind, value) {
        (Kind::Integer { default, .. }, Value::Integer(number)) => u64::try_from(*number).ok() == default,
        (Kind::Boolean(default), Value::Boolean(value)) => *value == default,
        (Kind::Choice(words), Value::String(word)) => {
            key.example.is_none() && words.first() == Some(&word.as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::service::SECTIONS;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(Stated::of(text, SECTIONS).settings, expected, "{text}");
    }

    #[test]
    fn names_of_what_is_no_default_are_told_and_no_value() {
        check("", &[]);
        check("no toml", &[]);
        check(
            "[ledger]\npath = \"canary\"\nsegment_bytes = 268435456\nqueue_entries = 1\n",
            &["ledger.path", "ledger.queue_entries"],
        );
        check(
            "[listen]\nh2c = false\n[listen.tls]\nhttp2 = false\nminimum_version = \"1.2\"\n",
            &["listen.tls.http2"],
        );
        check("[canary]\ncanary = 1\n[ledger]\ncanary = 2\n", &[]);
        let sinks =
            "[[ledger.sinks]]\nname = \"canary\"\nkind = \"postgres\"\n[[ledger.sinks]]\nurl = \"canary\"\n";
        check(sinks, &["ledger.sinks.kind", "ledger.sinks.name", "ledger.sinks.url"]);
    }

    #[test]
    fn another_file_has_another_hash() {
        let hash = |text: &str| Stated::of(text, SECTIONS).hash;
        assert_eq!(hash("a = 1"), hash("a = 1"));
        assert_ne!(hash("a = 1"), hash("a = 2"));
        assert_eq!(hash("").len(), 64);
    }
}
