//! The file that says which key of the CRM is whose: `[[person]]` with `principal`, and `key_file` or `key` [edge].
#![expect(clippy::disallowed_methods, reason = "edge: reads which files a file names")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::intake::Intake;
use crate::config::author::{Problems, SourceFile};
use crate::config::load::check_private;
use crate::config::reader::{Reading, Table, Text};
use crate::model::principal::EntityRef;

/// The key of each principal. `None` comes with at least one error.
pub fn load(
    path: &Path,
    intake: &mut Intake,
    problems: &mut Problems,
) -> Option<BTreeMap<EntityRef, String>> {
    let source = intake.confidential(path, problems)?;
    let before = problems.error_count();
    let (entries, found) = read(&source);
    problems.extend(found);
    if entries.iter().any(|entry| matches!(entry.key, Key::Here(_))) {
        check_private(path, problems);
    }
    let mut keys = BTreeMap::new();
    for entry in entries {
        let key = match entry.key {
            Key::Here(key) => Some(key),
            Key::File(name) => intake.secret(&beside(path, &name), problems),
        };
        if let Some(key) = key {
            keys.insert(entry.principal, key);
        }
    }
    (problems.error_count() == before).then_some(keys)
}

/// The file and every file that it names, for seeing whether one has changed.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let content = std::fs::read_to_string(path).unwrap_or_default();
    let (entries, _) = read(&SourceFile::new(path.display().to_string(), content));
    let named = entries.into_iter().filter_map(|entry| match entry.key {
        Key::File(name) => Some(beside(path, &name)),
        Key::Here(_) => None,
    });
    std::iter::once(path.to_owned()).chain(named).collect()
}

struct Entry {
    principal: EntityRef,
    key: Key,
}

enum Key {
    Here(String),
    File(String),
}

fn read(source: &Arc<SourceFile>) -> (Vec<Entry>, Problems) {
    let reading = Reading::new(Arc::clone(source));
    let mut entries: Vec<Entry> = Vec::new();
    if let Some(parsed) = reading.parse(&source.text) {
        let root = reading.table(&parsed);
        for person in root.tables("person") {
            if let Some((entry, at)) = read_person(&person) {
                if entries.iter().any(|other| other.principal == entry.principal) {
                    let message = format!("`{}` stands twice", entry.principal);
                    reading.error(at.span, message, "Write one `[[person]]` for each principal.");
                }
                entries.push(entry);
            }
        }
        root.finish();
    }
    (entries, reading.into_problems())
}

fn read_person(person: &Table<'_>) -> Option<(Entry, Text)> {
    let help = "Write a reference such as `User::\"anna\"`; there are User, Service and Agent.";
    let principal = person.required("principal", help);
    let (key, key_file) = (person.text("key"), person.text("key_file"));
    person.text("note");
    person.finish();
    let at = principal?;
    let Some(principal) = EntityRef::parse(&at.value).filter(EntityRef::is_person) else {
        person.reading().error(at.span, format!("`{}` is not a principal", at.value), help);
        return None;
    };
    let key = match (key, key_file) {
        (Some(key), None) if !key.value.is_empty() => Key::Here(key.value),
        (None, Some(file)) if !file.value.is_empty() => Key::File(file.value),
        _ => {
            let help = "Write `key_file` (its first line is the key), or `key`.";
            person.reading().error(at.span, format!("no key, or two, for `{principal}`"), help);
            return None;
        }
    };
    Some((Entry { principal, key }, at))
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).join(name)
}
