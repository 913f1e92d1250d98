//! Which words of a request or answer may be recorded: names of the API, never what stands in their place.
//!
//! Promises: a segment of a path is recorded only if every word of it is in a closed list: usual words of such APIs, the
//! profile's own paths, what the operator added. Everything else becomes a placeholder, so no id, token or person's name
//! in a path is ever written. Parameter and key names have no list; they must look like identifiers that people chose.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that are recorded in paths.
const PATH_WORDS: &str = include_str!("path_words.txt");

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| PATH_WORDS.split_whitespace().collect());

/// A path with everything that is not known as a word of the API replaced: `/api/deals/{int}`.
///
/// `own` says whether a whole segment is known from elsewhere.
pub fn path(segments: &[String], has_trailing_slash: bool, own: impl Fn(&str) -> bool) -> String {
    let mut path = String::new();
    for segment in segments.iter().take(SEGMENTS_MAX) {
        path.push('/');
        path.push_str(match segment {
            segment if is_word(segment) || (segment.len() <= NAME_BYTES_MAX && own(segment)) => segment,
            segment if is_int(segment) => "{int}",
            segment if is_uuid(segment) => "{uuid}",
            _ => "{}",
        });
    }
    if segments.len() > SEGMENTS_MAX {
        path.push_str("/{}");
    }
    if has_trailing_slash || segments.is_empty() {
        path.push('/');
    }
    path
}

/// Whether every word of a segment is a usual one: `line-items`, `sale.opportunity`, `ContactRoles`, `v2`.
fn is_word(segment: &str) -> bool {
    if segment.len() > NAME_BYTES_MAX {
        return false;
    }
    let words: Vec<&str> = split(segment).collect();
    words.len() <= WORDS_MAX && words.iter().all(|word| is_version(word) || is_known(word))
}

fn is_known(word: &str) -> bool {
    let mut letters = word.chars();
    let is_cased =
        letters.next().is_some_and(|c| c.is_ascii_alphabetic()) && letters.all(|c| c.is_ascii_lowercase());
    is_cased && KNOWN.contains(word.to_ascii_lowercase().as_str())
}

/// `v1` to `v99`; with a point between them also `v59.0`, whose `0` is a word of its own.
fn is_version(word: &str) -> bool {
    match word.strip_prefix(['v', 'V']) {
        Some(digits) => (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()),
        None => word == "0",
    }
}

/// The words of a name: cut at separators, and before a capital that follows a small letter.
fn split(name: &str) -> impl Iterator<Item = &str> {
    name.split(['-', '_', '.']).flat_map(|part| {
        let mut rest = part;
        let mut words = Vec::new();
        while let Some(at) = hump(rest) {
            let (word, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
            words.push(word);
            rest = behind;
        }
        words.push(rest);
        words
    })
}

fn hump(part: &str) -> Option<usize> {
    let bytes = part.as_bytes();
    let is_hump = |pair: &[u8]| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase());
    bytes.windows(2).position(is_hump).map(|at| at + 1)
}

fn is_int(segment: &str) -> bool {
    (1..=19).contains(&segment.len())
        && segment.bytes().all(|b| b.is_ascii_digit())
        && (segment == "0" || !segment.starts_with('0'))
}

fn is_uuid(segment: &str) -> bool {
    segment.len() == 36
        && segment.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// Whether a parameter or key is a name that somebody gave it: short words of letters that can be spoken, each with at
/// most three digits at its end. Random tokens, addresses, ids, dates and sentences are not.
pub fn is_name(name: &str) -> bool {
    let is_separator = |c: char| matches!(c, '_' | '-' | '.' | '[' | ']' | '$' | ':' | '@');
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let humps = name.as_bytes().windows(2);
    let humps =
        humps.filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '@'));
    let has_letter = name.bytes().any(|b| b.is_ascii_alphabetic());
    // An address has its `@` inside.
    let is_address = name.get(1..).is_some_and(|rest| rest.contains('@'));
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && starts_well
        && has_letter
        && !is_address
        && digits <= NAME_DIGITS_MAX
        && humps.count() <= NAME_HUMPS_MAX
        && name.split(is_separator).all(is_part)
}

fn is_part(part: &str) -> bool {
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_plain = letters.bytes().all(|b| b.is_ascii_alphabetic()) && part.len() - letters.len() <= 3;
    is_plain && split(letters).all(|word| word.len() <= PART_BYTES_MAX) && is_spoken(letters)
}

/// Words that people form have no long runs without a vowel.
fn is_spoken(letters: &str) -> bool {
    let is_vowel = |b: u8| matches!(b.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let longest = letters.as_bytes().split(|b| is_vowel(*b)).map(<[u8]>::len).max();
    longest.unwrap_or(0) <= CONSONANTS_MAX
}

/// A content type by a closed list; a caller may write anything there.
pub fn content_type(text: &str) -> &'static str {
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = CONTENT_TYPES.iter().find(|known| **known == essence);
    match (known, essence.split_once('/')) {
        (Some(known), _) => known,
        (None, Some(("application", subtype))) if subtype.ends_with("+json") => "application/*+json",
        (None, Some(("application", subtype))) if subtype.ends_with("+xml") => "application/*+xml",
        (None, Some(("image", _))) => "image/*",
        (None, Some(("audio", _))) => "audio/*",
        (None, Some(("video", _))) => "video/*",
        (None, Some(("font", _))) => "font/*",
        (None, Some(("text", _))) => "text/*",
        _ => "other",
    }
}

const CONTENT_TYPES: &[&str] = &[
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/mixed",
    "text/plain",
    "text/html",
    "text/csv",
    "text/xml",
    "text/calendar",
    "text/vcard",
    "text/event-stream",
    "text/javascript",
    "text/css",
    "application/xml",
    "application/pdf",
    "application/zip",
    "application/octet-stream",
    "application/javascript",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
];

/// Segments of a path that are looked at.
const SEGMENTS_MAX: usize = 16;
/// Words of one segment: more of them could be a pass phrase.
const WORDS_MAX: usize = 4;
/// Bytes of one name.
const NAME_BYTES_MAX: usize = 48;
/// Bytes of one word in a name.
const PART_BYTES_MAX: usize = 24;
/// Digits of one name.
const NAME_DIGITS_MAX: usize = 4;
/// Capitals after small letters in one name.
const NAME_HUMPS_MAX: usize = 5;
/// Letters in a row without a vowel.
const CONSONANTS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_path(raw: &str, expected: &str) {
        let has_trailing_slash = raw.len() > 1 && raw.ends_with('/');
        let segments: Vec<String> =
            raw.trim_matches('/').split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        assert_eq!(path(&segments, has_trailing_slash, |word| word == "zebra-x1"), expected, "{raw}");
    }

    #[test]
    fn paths_keep_known_words_only() {
        check_path("/", "/");
        check_path("/api/deals", "/api/deals");
        check_path("/api/deals/42/", "/api/deals/{int}/");
        check_path(
            "/api/opportunities/ff965a99-feec-4be7-9b39-5baebe4d4f9d/move/",
            "/api/opportunities/{uuid}/move/",
        );
        check_path("/api/opportunities/not-a-uuid/", "/api/opportunities/{}/");
        check_path(
            "/crm/rest/model/sale.opportunity/7/convert",
            "/crm/rest/model/sale.opportunity/{int}/convert",
        );
        check_path("/services/data/v59.0/sobjects/Account/001A", "/services/data/v59.0/sobjects/Account/{}");
        check_path("/crm/v3/objects/line_items/007", "/crm/v3/objects/line_items/{}");
        check_path("/zebra-x1/zebra-x2", "/zebra-x1/{}");
    }

    /// Nothing in a path that is not a word of the list is ever kept, however harmless it looks.
    #[test]
    fn secrets_in_paths_are_not_kept() {
        for secret in [
            "hunterpassword",
            "correct-horse-battery-staple",
            "anna",
            "anna.schmidt",
            "schmidt@example.test",
            "deadbeef",
            "sk_live_abcdefghijkl",
            "eyJhbGciOiJIUzI1NiJ9.e30.abc",
            "2026-06-15",
            "+491701234567",
            "dEaLs",
            "DEALS",
            "deals%2Fx",
            "0042",
            "99999999999999999999",
            "v123",
            "Ünïcode",
            " ",
            "deals ",
            "deal-task-note-team-user",
            "deals-",
            "a",
            "FF965A99-FEEC-4BE7-9B39-5BAEBE4D4F9D",
            "project-phoenix",
            "acme",
            "deals\u{202e}",
        ] {
            let found = path(&["api".to_owned(), secret.to_owned()], false, |_| false);
            assert_eq!(found, "/api/{}", "{secret}");
        }
        let deep = vec!["deals".to_owned(); SEGMENTS_MAX + 1];
        assert_eq!(path(&deep, false, |_| false), format!("{}/{{}}", "/deals".repeat(SEGMENTS_MAX)));
    }

    #[track_caller]
    fn check_name(name: &str, expected: bool) {
        assert_eq!(is_name(name), expected, "{name}");
    }

    #[test]
    fn names_look_like_identifiers() {
        for name in [
            "page",
            "per_page",
            "amount__gte",
            "filter[stage]",
            "$filter",
            "@odata.count",
            "firstName",
            "address1",
            "custom_field_12",
            "x",
            "_links",
            "createdAt",
            "UTMSource",
            "line-items",
            "opportunityLineItemSubtotals",
            "strengths",
            "customer.billingAddress.postalCode",
            "q_1",
        ] {
            check_name(name, true);
        }
    }

    #[test]
    fn what_could_be_a_value_is_no_name() {
        for name in [
            "",
            "42",
            "2026-06-15",
            "jane.doe@example.test",
            "Jane Doe",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "eyJhbGciOiJIUzI1NiJ9",
            "ff965a99-feec-4be7-9b39-5baebe4d4f9d",
            "deadbeef0123",
            "+491701234567",
            "a/b",
            "a b",
            "naïve",
            "xkcdqwrtzpsdfg",
            "QkZhTmVWaGtLbXdSeFp3",
            "p4ssw0rd",
            "a1b2",
            "_1",
            "[]",
            &"a".repeat(49),
            "abcdefghijklmnopqrstuvwxyz",
            "\u{0}",
            "key\nline",
        ] {
            check_name(name, false);
        }
        check_name(&"abe_".repeat(12), true);
        check_name(&"a".repeat(24), true);
        check_name(&"a".repeat(25), false);
    }

    #[test]
    fn content_types_come_from_a_list() {
        for (text, expected) in [
            ("application/json; charset=utf-8", "application/json"),
            ("TEXT/HTML", "text/html"),
            ("application/vnd.secret+json", "application/*+json"),
            ("text/secret", "text/*"),
            ("image/secret", "image/*"),
            ("secret/secret", "other"),
            ("secret", "other"),
        ] {
            assert_eq!(content_type(text), expected, "{text}");
        }
    }

    #[test]
    fn the_list_is_words() {
        for word in PATH_WORDS.split_whitespace() {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase()) && word.len() <= 20, "{word}");
        }
    }
}
