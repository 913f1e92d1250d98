//! Masks: what is shown in the place of a value of which only the masked form may be seen.
//!
//! Promises: a mask tells of a value no more than it says: a text that is always the same, or the last characters of a string
//! that is at least twice as long. The length of what is left out never shows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{FieldSetSpec, Profile};
use crate::config::reader::{Item, Reading, Table, Text};
use crate::json::token::{self, quoted};

/// What is shown in the place of a value. Ordered from the most restrictive on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mask {
    /// `null`: there may as well be no value.
    Null,
    /// This JSON text, whatever the value is.
    Text(String),
    /// The last characters of a string, behind a text that stands for the others.
    KeepLast {
        /// How many characters.
        count: usize,
        /// What stands before them; for what is no string, or too short, all that is shown.
        with: String,
    },
}

impl Mask {
    /// The JSON text that is shown in the place of a value, by the value's own text.
    pub fn of<'m>(&'m self, raw: &str) -> Cow<'m, str> {
        match self {
            Mask::Null => Cow::Borrowed("null"),
            Mask::Text(text) => Cow::Borrowed(text),
            Mask::KeepLast { count, with } => Cow::Owned(quoted(&format!("{with}{}", last(raw, *count)))),
        }
    }

    /// Reads a mask: a text, number or truth value, `{ as = "null" }`, or `{ keep_last = 4, with = "…" }`.
    pub fn read(item: Item<'_>) -> Option<Self> {
        if !item.is_table() {
            return item.scalar_json().map(Mask::Text);
        }
        let table = item.table()?;
        let kind = table.text("as");
        let (count, with) = (table.integer("keep_last", 1..=KEPT_MAX), table.text("with"));
        let is_partial = table.item("keep_last").is_some();
        table.finish();
        let with = with.map_or_else(|| STANDS_FOR_OTHERS.to_owned(), |text| text.value);
        match (kind, is_partial) {
            (None, true) => Some(Mask::KeepLast { count: usize::try_from(count?).ok()?, with }),
            (Some(text), false) if text.value == "null" => Some(Mask::Null),
            _ => {
                let help = "There are a text, a whole number or a truth value, `{ as = \"null\" }` and `{ keep_last = 4 }`.";
                item.reading().error(item.span(), "not a mask", help);
                None
            }
        }
    }
}

/// The last characters of a JSON string that has at least twice as many; of anything else none.
fn last(raw: &str, count: usize) -> String {
    if !raw.starts_with('"') {
        return String::new();
    }
    let text = token::decode(raw);
    let length = text.chars().count();
    match length >= count.saturating_mul(2) {
        true => text.chars().skip(length - count).collect(),
        false => String::new(),
    }
}

/// Reads the masks of field sets.
pub fn read_sets(table: &Table<'_>) -> BTreeMap<String, (Text, Mask)> {
    let masks = table.entries().into_iter().filter_map(|(name, item)| {
        let mask = Mask::read(item)?;
        Some((name.value.clone(), (name, mask)))
    });
    masks.collect()
}

/// Gives each field without a mask of its own the most restrictive one of the sets that it is in, and checks what came of it.
pub fn link(profile: &mut Profile, reading: &Reading) {
    for (set, (name, _)) in &profile.masks {
        if !profile.field_sets.contains_key(set) {
            let help = "Declare it under `[field_sets]`, or give fields masks of their own.";
            reading.error(name.span.clone(), format!("no field set is called `{set}`"), help);
        }
    }
    let (sets, masks) = (&profile.field_sets, &profile.masks);
    for field in profile.types.iter_mut().flat_map(|record_type| &mut record_type.fields) {
        if field.mask.is_none() {
            let of_sets = with_parents(&field.sets, sets).into_iter().filter_map(|set| masks.get(set));
            field.mask = of_sets.map(|(_, mask)| mask).min().cloned();
        }
        if matches!(field.mask, Some(Mask::KeepLast { .. })) && !field.twins.is_empty() {
            let help = "Give the field a `mask` of its own that is one text.";
            let message = format!(
                "`{}` keeps the last characters, and its twins say the same in other forms, of which others would show",
                field.name
            );
            reading.error(field.span.clone(), message, help);
        }
    }
}

/// Field sets and all that hold them.
fn with_parents<'s>(own: &'s [String], sets: &'s BTreeMap<String, FieldSetSpec>) -> BTreeSet<&'s str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = own.iter().map(String::as_str).collect();
    while let Some(set) = open.pop() {
        if found.insert(set) {
            let parents = sets.get(set).into_iter().flat_map(|spec| &spec.parents);
            open.extend(parents.map(|parent| parent.value.as_str()));
        }
    }
    found
}

/// Characters that a mask can keep.
const KEPT_MAX: u64 = 16;
/// What stands before them if the profile does not say.
const STANDS_FOR_OTHERS: &str = "•••";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(count: usize, raw: &str, expected: &str) {
        let mask = Mask::KeepLast { count, with: "*".to_owned() };
        assert_eq!(mask.of(raw), expected, "{raw}");
    }

    #[test]
    fn the_last_characters_of_long_strings_are_kept() {
        check(4, r#""DE89 3704 0044 0532""#, r#""*0532""#);
        check(2, r#""abcd""#, r#""*cd""#);
        check(2, r#""abc""#, r#""*""#);
        check(2, r#""""#, r#""*""#);
        check(1, r#""\u00e9\"""#, r#""*\"""#);
        check(2, r#""ab\ud83d\ude00\n""#, r#""*😀\n""#);
        for other in ["123456", "true", "{\"a\":1}", "[\"abcdef\"]"] {
            check(2, other, r#""*""#);
        }
    }

    #[test]
    fn the_most_restrictive_is_the_least() {
        let keep = |count| Mask::KeepLast { count, with: "*".to_owned() };
        let text = || Mask::Text("\"*\"".to_owned());
        assert!(Mask::Null < text() && text() < keep(1) && keep(1) < keep(4));
    }

    proptest! {
        /// What is shown depends on nothing but the last characters, and on whether there are twice as many.
        #[test]
        fn what_is_left_out_does_not_show(tail in "[a-z\"\\\\é]{4}", one in ".{4,9}", other in ".{4,9}") {
            let mask = Mask::KeepLast { count: 4, with: "•".to_owned() };
            let raw = |head: &str| quoted(&format!("{head}{tail}"));
            prop_assert_eq!(mask.of(&raw(&one)), mask.of(&raw(&other)));
            prop_assert_eq!(mask.of(&raw(&one)), quoted(&format!("•{tail}")));
        }
    }
}
