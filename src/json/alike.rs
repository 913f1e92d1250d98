//! Keys that some reader takes for each other: they differ in letter case alone, in white space around them, or in what is
//! not seen. .NET, Java, Go and what stands on MySQL read so; RFC 8259 §4 leaves it open.
//!
//! Never changes a key: what is folded is only compared.

use std::borrow::Cow;

/// The one spelling of all keys that are alike. Folded by Unicode in both directions, so that what only one of them joins (the
/// long s, the Kelvin sign) counts too; the dot that lower case leaves of a dotted capital I goes, as Java takes that for an i.
pub fn folded(key: &str) -> Cow<'_, str> {
    let inner = key.trim_matches(is_around);
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !byte.is_ascii_uppercase();
    match inner.bytes().all(is_plain) {
        true => Cow::Borrowed(inner),
        false => {
            let seen = inner.chars().filter(|letter| !is_unseen(*letter));
            let lower = seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
            Cow::Owned(lower.filter(|letter| *letter != '\u{307}').collect())
        }
    }
}

/// What readers cut off a key.
fn is_around(letter: char) -> bool {
    letter.is_whitespace() || is_unseen(letter)
}

/// What readers do not see, wherever it stands.
fn is_unseen(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_reader_confuses_have_one_spelling() {
        let others = ["STAGE", "Stage", "\u{17f}tage", " stage", "stage\t", "stage\0", "\u{feff}stage\u{a0}"];
        for key in others.into_iter().chain(["st\u{200d}age", "st\u{ad}age\u{2060}", "sta\0ge"]) {
            assert_eq!(folded(key), "stage", "{key:?}");
        }
        for key in ["T\u{130}TLE", "t\u{131}tle", "ti\u{307}tle"] {
            assert_eq!(folded(key), "title", "{key:?}");
        }
        assert_eq!(folded("\u{212a}ey"), "key");
        assert_eq!(folded("STRASSE"), folded("straße"));
        assert_eq!(folded("ÄRGER"), "ärger");
        for (one, other) in [("stage", "stages"), ("sta ge", "stage"), ("owner_id", "ownerid"), ("e", "é")] {
            assert_ne!(folded(one), folded(other));
        }
    }
}
