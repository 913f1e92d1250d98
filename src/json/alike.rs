//! Keys that some reader takes for each other: they differ in letter case alone, or in white space around them. .NET, Go and
//! what stands on MySQL read so; RFC 8259 §4 leaves it open.
//!
//! Never changes a key: what is folded is only compared.

use std::borrow::Cow;

/// The one spelling of all keys that are alike. Folded by Unicode in both directions, so that what only one of them joins (the
/// long s, the Kelvin sign) counts too.
pub fn folded(key: &str) -> Cow<'_, str> {
    let inner = key.trim_matches(is_around);
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    match inner.bytes().all(is_plain) {
        true => Cow::Borrowed(inner),
        false => {
            Cow::Owned(inner.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect())
        }
    }
}

/// What readers cut off a key, or do not see.
fn is_around(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '\u{200b}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_reader_confuses_have_one_spelling() {
        let others = ["STAGE", "Stage", "\u{17f}tage", " stage", "stage\t", "stage\0", "\u{feff}stage\u{a0}"];
        for key in others {
            assert_eq!(folded(key), "stage", "{key:?}");
        }
        assert_eq!(folded("\u{212a}ey"), "key");
        assert_eq!(folded("STRASSE"), folded("straße"));
        assert_eq!(folded("ÄRGER"), "ärger");
        for (one, other) in [("stage", "stages"), ("sta ge", "stage"), ("owner_id", "ownerid"), ("e", "é")] {
            assert_ne!(folded(one), folded(other));
        }
    }
}
