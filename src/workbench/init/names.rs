//! Names of what is drafted: types as Cedar takes them, fields as places can say them, nouns as paths have them.
//!
//! Promises: the same names in give the same names out; no two names of one kind are the same.

use std::collections::HashSet;

use crate::bundle::profile::types::RESERVED_TYPES;
use crate::json::path::{JsonPath, PATH_BYTES_MAX, Segment};
use crate::json::token::quoted;

/// Names that are taken once.
#[derive(Debug, Default)]
pub struct Taken(HashSet<String>);

impl Taken {
    /// Takes a name, with a number behind it if it is gone.
    pub fn take(&mut self, name: &str) -> String {
        if self.0.insert(name.to_owned()) {
            return name.to_owned();
        }
        let mut number = 2_usize;
        loop {
            let other = format!("{name}_{number}");
            if self.0.insert(other.clone()) {
                return other;
            }
            number += 1;
        }
    }
}

/// A record type's name after a schema's or a path's: `Deal` of `deal-response`, `CrmUser` of `user`.
pub fn type_name(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let (head, tail) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{tail}", head.to_ascii_uppercase())
    };
    let mut name: String = words.map(capital).collect();
    while let Some(bare) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
        if bare.len() < 2 {
            break;
        }
        name = bare.to_owned();
    }
    name.truncate(NAME_BYTES_MAX);
    let is_taken = |name: &str| RESERVED_TYPES.contains(&name) || CEDAR_TYPES.contains(&name);
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("T{name}"),
        Some(_) if is_taken(&name) => format!("Crm{name}"),
        Some(_) => name,
        None => "Thing".to_owned(),
    }
}

/// One of what a path calls many: `company` of `companies`.
pub fn singular(noun: &str) -> String {
    let lower = noun.to_ascii_lowercase();
    let cut = |bytes: usize| noun.get(..noun.len().saturating_sub(bytes)).unwrap_or(noun).to_owned();
    if lower == "people" {
        return "person".to_owned();
    }
    if lower.ends_with("ies") && lower.len() > 4 {
        return cut(3) + "y";
    }
    if ["sses", "shes", "ches", "xes", "zes"].iter().any(|end| lower.ends_with(end)) {
        return cut(2);
    }
    let is_plural = lower.ends_with('s') && !["ss", "us", "is"].iter().any(|end| lower.ends_with(end));
    if is_plural && lower.len() > 2 { cut(1) } else { noun.to_owned() }
}

/// What names are compared by: letters and digits alone, in lower case.
pub fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether both name one thing, one of it or many.
pub fn is_same_noun(one: &str, other: &str) -> bool {
    let (one, other) = (plain(&singular(one)), plain(&singular(other)));
    !one.is_empty() && one == other
}

/// A name of plain letters: `odd_name` of `odd name`.
pub fn word(text: &str, otherwise: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = text.chars().map(letter).take(NAME_BYTES_MAX).collect();
    let name = name.trim_matches('_');
    if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
}

/// The place of a key, as a profile writes it; `None` if no place can say it.
pub fn place(key: &str) -> Option<String> {
    let is_bare = |path: &JsonPath| matches!(path.segments(), [Segment::Key(own)] if own == key);
    let place = match JsonPath::parse(key).is_ok_and(|path| is_bare(&path)) {
        true => key.to_owned(),
        false => format!("['{}']", key.replace('\\', r"\\").replace('\'', r"\'")),
    };
    (place.len() < PLACE_BYTES_MAX && JsonPath::parse(&place).is_ok()).then_some(place)
}

/// A place one key deeper.
pub fn step(above: &str, key: &str) -> Option<String> {
    let key = place(key)?;
    Some(if key.starts_with('[') { format!("{above}{key}") } else { format!("{above}.{key}") })
}

/// A text as TOML writes it.
pub fn toml_text(text: &str) -> String {
    // JSON leaves the delete character as it is, TOML does not.
    quoted(text).replace('\u{7f}', "\\u007f")
}

/// A key as TOML writes it.
pub fn toml_key(name: &str) -> String {
    let is_bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare && !name.is_empty() { name.to_owned() } else { toml_text(name) }
}

/// A text as a comment can hold it: one line of bounded length.
pub fn comment(text: &str) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = one_line.clone().take(COMMENT_CHARS_MAX).collect();
    if one_line.count() > COMMENT_CHARS_MAX {
        short.push('…');
    }
    short
}

/// Ends of schemas' names that say how a record is carried, not what it is.
const SUFFIXES: &[&str] = &[
    "Response",
    "Dto",
    "DTO",
    "Model",
    "Schema",
    "Entity",
    "Output",
    "Read",
    "Detail",
    "Details",
    "Serializer",
];
/// Words of Cedar that name no record type, and types of bundles' schemas.
const CEDAR_TYPES: &[&str] = &[
    "Bool",
    "Boolean",
    "Entity",
    "Extension",
    "Long",
    "Record",
    "Set",
    "String",
    "UserAttributes",
    "Proposed",
];
/// Bytes of a drafted name.
const NAME_BYTES_MAX: usize = 60;
/// Bytes of a place in a record: what stands before it in a body takes some too.
const PLACE_BYTES_MAX: usize = PATH_BYTES_MAX / 2;
/// Characters of a comment.
const COMMENT_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_as_cedar_takes_them() {
        let cases = [
            ("deal", "Deal"),
            ("DealResponseDto", "Deal"),
            ("crm.api.v1.line-item", "CrmApiV1LineItem"),
            ("Response", "Response"),
            ("user", "CrmUser"),
            ("Record", "CrmRecord"),
            ("3d-model", "T3d"),
            ("größe", "GrE"),
            ("договор", "Thing"),
            ("", "Thing"),
        ];
        for (text, expected) in cases {
            assert_eq!(type_name(text), expected, "{text}");
        }
        assert!(type_name(&"a".repeat(1_000)).len() <= NAME_BYTES_MAX + 3);
    }

    #[test]
    fn nouns_are_one_of_many() {
        let cases = [("deals", "deal"), ("companies", "company"), ("addresses", "address"), ("boxes", "box")];
        let same =
            [("status", "status"), ("bus", "bus"), ("access", "access"), ("news", "new"), ("as", "as")];
        for (text, expected) in cases.into_iter().chain(same) {
            assert_eq!(singular(text), expected, "{text}");
        }
        assert!(is_same_noun("line-items", "LineItem") && !is_same_noun("", "-"));
    }

    #[test]
    fn places_lead_to_their_keys() {
        for key in ["a", "odd name", "a.b", "*", "$ref", "it's", r"back\slash", "[0]", "é"] {
            let below = step(&place(key).unwrap(), key).unwrap();
            let found = JsonPath::parse(&below).unwrap();
            assert_eq!(found.segments(), [key, key].map(|key| Segment::Key(key.to_owned())), "{key}");
        }
        for key in ["a\nb", &"a".repeat(300)] {
            assert_eq!(place(key), None, "{key:?}");
        }
    }

    #[test]
    fn texts_are_toml() {
        for text in ["plain", "with \"quotes\"", "\u{7f}\u{0}\n\u{85}", "ü"] {
            let whole = format!("{} = {} # {}\n", toml_key(text), toml_text(text), comment(text));
            let read: toml::Table = toml::from_str(&whole).unwrap();
            assert_eq!(read[text].as_str(), Some(text));
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut taken = Taken::default();
        let names: Vec<String> = ["a", "a", "a_2", "a"].iter().map(|name| taken.take(name)).collect();
        assert_eq!(names, ["a", "a_2", "a_2_2", "a_3"]);
    }
}
