//! Lists of fields that a case names, and what a case found otherwise than it says.

use super::given::unknown;
use crate::bundle::profile::Profile;
use crate::bundle::profile::types::RecordType;
use crate::config::reader::{Table, Text};

/// What was found otherwise.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// What was asked, e.g. `view` or `margin`.
    pub what: String,
    /// What the case says.
    pub expected: String,
    /// What was decided.
    pub found: String,
    /// Why, as far as it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Mismatch {
    /// With nothing more to say.
    pub fn new(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), found: found.into(), why: None }
    }
}

/// Fields of one type that a case speaks of, by the word that it uses of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedField {
    /// The key of the case: `visible`, `hidden` and so on.
    pub word: &'static str,
    /// The type's name.
    pub type_name: String,
    /// The field's place in the type; the last one stands for all unclassified keys.
    pub index: usize,
    /// Its full name.
    pub name: String,
}

/// Reads lists of fields that share them out among each other, so that `others` in one is what no list names. Short names are of
/// `record_type`.
pub fn fields(
    profile: &Profile,
    record_type: Option<&RecordType>,
    table: &Table<'_>,
    words: &[&'static str],
) -> Vec<NamedField> {
    let mut named: Vec<NamedField> = Vec::new();
    let mut rest: Option<(&'static str, Text)> = None;
    for word in words {
        for text in table.texts(word).unwrap_or_default() {
            if text.value == OTHERS {
                if let Some((other, _)) = rest {
                    let message = format!("`{other}` has `{OTHERS}` too");
                    table.reading().error(text.span, message, "They can be in one list alone.");
                    continue;
                }
                rest = Some((word, text));
                continue;
            }
            let Some(field) = one(profile, record_type, table, word, &text) else { continue };
            let same =
                |known: &&NamedField| (known.index, &known.type_name) == (field.index, &field.type_name);
            if let Some(known) = named.iter().find(same) {
                let message = format!("`{}` is in `{}` too", text.value, known.word);
                table.reading().error(text.span, message, "");
                continue;
            }
            named.push(field);
        }
    }
    if let Some((word, text)) = rest {
        add_others(profile, record_type, table, (word, text), &mut named);
    }
    named
}

fn add_others(
    profile: &Profile,
    record_type: Option<&RecordType>,
    table: &Table<'_>,
    (word, text): (&'static str, Text),
    named: &mut Vec<NamedField>,
) {
    let mut types: Vec<String> = named.iter().map(|field| field.type_name.clone()).collect();
    types.extend(record_type.map(|record_type| record_type.name.clone()));
    types.sort();
    types.dedup();
    if types.is_empty() {
        let message = format!("nothing says of which type the `{OTHERS}` are");
        table.reading().error(text.span, message, "Name one field of the type in one of the lists.");
    }
    for name in types {
        let Some((_, record_type)) = profile.type_named(&name) else { continue };
        for index in 0..=record_type.fields.len() {
            if !named.iter().any(|known| (known.index, &known.type_name) == (index, &name)) {
                named.push(field_at(record_type, word, index));
            }
        }
    }
}

fn one(
    profile: &Profile,
    record_type: Option<&RecordType>,
    table: &Table<'_>,
    word: &'static str,
    text: &Text,
) -> Option<NamedField> {
    let index = |record_type: &RecordType, full: &str| {
        (0..=record_type.fields.len()).find(|index| record_type.field_name(*index) == full)
    };
    let short =
        record_type.and_then(|found| Some((found, index(found, &format!("{}.{}", found.name, text.value))?)));
    let full = || profile.types.iter().find_map(|found| Some((found, index(found, &text.value)?)));
    let Some((record_type, index)) = short.or_else(full) else {
        let all =
            profile.types.iter().filter(|found| record_type.is_none_or(|wanted| wanted.name == found.name));
        let names: Vec<String> = match record_type {
            Some(found) => found.fields.iter().map(|field| field.name.clone()).collect(),
            None => {
                all.flat_map(|found| (0..found.fields.len()).map(|index| found.field_name(index))).collect()
            }
        };
        unknown(table, text, "a field", names.iter().map(String::as_str));
        return None;
    };
    Some(field_at(record_type, word, index))
}

fn field_at(record_type: &RecordType, word: &'static str, index: usize) -> NamedField {
    NamedField { word, type_name: record_type.name.clone(), index, name: record_type.field_name(index) }
}

/// What stands for all fields of the type that no list names.
const OTHERS: &str = "others";
