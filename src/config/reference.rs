//! The reference of the configuration as a document in Markdown, written from the sections that the reader reads.
//!
//! Promises: it names every section and key that the reader knows, with the range and default that the reader applies.

use std::fmt::Write;

use super::settings::{Key, Kind, Presence, Section};

/// The whole document, as it stands in `docs/reference/config.md`.
pub fn markdown(sections: &[&Section]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in sections {
        // Writing into a string cannot fail.
        let _ = write_section(&mut text, section);
    }
    text
}

/// The default of a key in words; `None` where there is none to state.
pub fn default_of(key: &Key) -> Option<String> {
    match key.kind {
        _ if key.example.is_some() => None,
        Kind::Integer { default, .. } => default.map(|default| default.to_string()),
        Kind::Boolean(default) => Some(format!("`{default}`")),
        Kind::Text(words) | Kind::Map(words) => Some(words.to_owned()).filter(|words| !words.is_empty()),
        Kind::Choice(words) => words.first().map(|word| format!("`{word}`")),
        Kind::Texts | Kind::Path | Kind::Address => None,
    }
}

/// What a section is for, without the notes on its keys: those follow its first empty line.
pub fn meaning_of(section: &Section) -> &'static str {
    section.meaning.split_once("\n\n").map_or(section.meaning, |(meaning, _)| meaning)
}

fn write_section(text: &mut String, section: &Section) -> std::fmt::Result {
    let name = section.name;
    let heading = match section.presence {
        Presence::Repeated => format!("[[{name}]]"),
        Presence::Required | Presence::Optional => format!("[{name}]"),
    };
    let presence = match section.presence {
        Presence::Required => "Required.",
        Presence::Optional => "May be left out.",
        Presence::Repeated => "May stand any number of times.",
    };
    writeln!(text, "\n## `{heading}`\n\n{} {presence}", meaning_of(section))?;
    if !section.inner.is_empty() {
        let inner: Vec<String> = section.inner.iter().map(|inner| format!("`[{name}.{inner}]`")).collect();
        writeln!(text, "\nSections inside: {}.", inner.join(", "))?;
    }
    if !section.keys.is_empty() {
        writeln!(text, "\n| Key | Meaning | Default | Values |\n|---|---|---|---|")?;
    }
    for key in section.keys {
        let default = match key.example {
            Some(_) => "required".to_owned(),
            None => default_of(key).unwrap_or_else(|| "none".to_owned()),
        };
        writeln!(text, "| `{}` | {} | {default} | {} |", key.name, key.meaning, values(key.kind))?;
    }
    match section.meaning.split_once("\n\n") {
        Some((_, notes)) => writeln!(text, "\n{notes}"),
        None => Ok(()),
    }
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Integer { min, max, .. } => format!("{min} to {}", short(max)),
        Kind::Boolean(_) => "`true`, `false`".to_owned(),
        Kind::Text(_) => "text".to_owned(),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Kind::Texts => "text or a list of texts".to_owned(),
        Kind::Map(_) => "table".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Address => "`ADDRESS:PORT`".to_owned(),
    }
}

/// Large powers of two are easier to read as such.
fn short(number: u64) -> String {
    match number.is_power_of_two() && number >= 1 << 20 {
        true => format!("2^{}", number.trailing_zeros()),
        false => number.to_string(),
    }
}

const INTRODUCTION: &str = r#"# The configuration

<!-- Written by `lockkeeper config reference`; a change belongs to the sections in src/config/service. -->

`lockkeeper serve` runs from `lockkeeper.toml`. Unknown keys are errors, and every problem is reported in one run.
Paths are taken from the folder of the file. Secrets stand in files of their own, never here. Changes need a new start; bundle,
directory and keys are looked at again while the service runs.

```toml
[listen]
address = "127.0.0.1:8080"
[upstream]
url = "http://127.0.0.1:8000"
[identity.crm_keys]
file = "crm-keys.toml"
[directory]
file = "directory.cedarentities.json"
[bundle]
path = "bundle"
[ledger]
path = "state"
```

Durations end in `_ms` (milliseconds), sizes in `_bytes` or are named so. Editors that know JSON Schema can check the file as it is
written: `schemas/lockkeeper.schema.json`, or `lockkeeper config schema`. A file can name it in its first line:
`#:schema ./lockkeeper.schema.json`.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: Section = Section {
        name: "a.b",
        meaning: "What it is.\n\nA note.",
        presence: Presence::Repeated,
        keys: &[&NUMBER, &WORD, &PLACE],
        inner: &["c"],
    };
    const NUMBER: Key = Key::integer("n", 7, 1, 1 << 30, "a number");
    const WORD: Key = Key::optional("w", Kind::Choice(&["x", "y"]), "a word");
    const PLACE: Key = Key::required("p", Kind::Path, "Write one.", "a place");

    #[test]
    fn a_section_is_its_meaning_its_keys_and_its_notes() {
        let text = markdown(&[&SECTION]);
        let (_, section) = text.split_once("\n## ").unwrap();
        let expected = "`[[a.b]]`\n\nWhat it is. May stand any number of times.\n\nSections inside: `[a.b.c]`.\n\n\
            | Key | Meaning | Default | Values |\n|---|---|---|---|\n| `n` | a number | 7 | 1 to 2^30 |\n\
            | `w` | a word | `x` | `x`, `y` |\n| `p` | a place | required | path |\n\nA note.\n";
        assert_eq!(section, expected);
    }
}
