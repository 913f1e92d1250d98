//! What JSON in a parameter is wrapped in: nothing, or base64. Read strictly, written anew.

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Refusal;
use super::term::Term;
use crate::bundle::profile::query::Encoding;
use crate::json::parse::{JsonError, JsonLimits};

/// A value that was unwrapped, and how to wrap one in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// The value.
    pub term: Term,
    /// Whether the caller left out the padding of base64, so that what is written has none either.
    pub padding: Padding,
}

/// The `=` at the end of base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// It is there.
    #[default]
    Present,
    /// It is left out.
    Absent,
}

/// Reads all of a parameter's value.
pub fn read(encoding: Encoding, text: &str, limits: &JsonLimits) -> Result<Unwrapped, Refusal> {
    let json = match engine(encoding, Padding::Present) {
        None => text.to_owned(),
        Some(engine) => {
            let bytes = engine.decode(text).map_err(|_| Refusal::Unread)?;
            String::from_utf8(bytes).map_err(|_| Refusal::Unread)?
        }
    };
    let padding = if text.len().is_multiple_of(4) { Padding::Present } else { Padding::Absent };
    let term = Term::parse(&json, limits).map_err(|error| match error {
        JsonError::TooDeep { .. } | JsonError::TooMany { .. } | JsonError::TooLarge { .. } => {
            Refusal::TooMuch
        }
        JsonError::NotUtf8 { .. } | JsonError::Syntax { .. } | JsonError::DuplicateKey { .. } => {
            Refusal::Unread
        }
    })?;
    Ok(Unwrapped { term, padding })
}

/// Writes a value as a parameter's.
pub fn write(encoding: Encoding, term: &Term, padding: Padding) -> String {
    let json = term.to_json();
    match engine(encoding, padding) {
        None => json,
        Some(engine) => engine.encode(json),
    }
}

/// Takes padding or none; bits that no byte holds must be zero, so that one text has one spelling.
fn engine(encoding: Encoding, padding: Padding) -> Option<GeneralPurpose> {
    let alphabet: &Alphabet = match encoding {
        Encoding::Base64Url => &URL_SAFE,
        Encoding::Base64 => &STANDARD,
        Encoding::Json | Encoding::Brackets => return None,
    };
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padding == Padding::Present)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    Some(GeneralPurpose::new(alphabet, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(encoding: Encoding, text: &str, expected: Result<&str, Refusal>) {
        let found = read(encoding, text, &JsonLimits { depth_max: 3, ..JsonLimits::default() });
        let written = found.map(|found| write(encoding, &found.term, found.padding));
        assert_eq!(written.as_deref().map_err(|refusal| *refusal), expected, "{text}");
    }

    #[test]
    fn texts_are_read_strictly_and_written_anew() {
        check(Encoding::Json, " [1, \"\\u0061\"] ", Ok("[1,\"a\"]"));
        // [["a","=",1]], with a space on the way in.
        check(Encoding::Base64Url, "W1siYSIsICI9IiwxXV0", Ok("W1siYSIsIj0iLDFdXQ"));
        check(Encoding::Base64Url, "W1siYSIsICI9IiwxXV0=", Ok("W1siYSIsIj0iLDFdXQ=="));
        check(Encoding::Base64Url, "WyI_Pz8iXQ==", Ok("WyI_Pz8iXQ=="));
        check(Encoding::Base64, "WyI/Pz8iXQ==", Ok("WyI/Pz8iXQ=="));
    }

    #[test]
    fn what_is_spelled_in_another_way_is_refused() {
        for (encoding, text) in [
            (Encoding::Base64Url, ""),
            (Encoding::Base64Url, "WyI/Pz8iXQ=="),
            (Encoding::Base64, "WyI_Pz8iXQ=="),
            (Encoding::Base64Url, "W1siYSJd XQ"),
            (Encoding::Base64Url, "W1siYSJdXQ\n"),
            // Bits beyond the last byte.
            (Encoding::Base64Url, "WyI_Pz8iXR"),
            (Encoding::Base64Url, "WyI_Pz8iXQ=x"),
            (Encoding::Base64Url, "WyI_Pz8iXQ==WyI_Pz8iXQ=="),
            // Not UTF-8, then not JSON.
            (Encoding::Base64Url, "_w"),
            (Encoding::Base64Url, "W10g8"),
            (Encoding::Base64Url, "W10vLw=="),
            (Encoding::Json, "[1]//"),
        ] {
            check(encoding, text, Err(Refusal::Unread));
        }
        check(Encoding::Json, "[[[[1]]]]", Err(Refusal::TooMuch));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(term in super::super::term::tests::any_term()) {
            for encoding in [Encoding::Json, Encoding::Base64Url, Encoding::Base64] {
                for padding in [Padding::Present, Padding::Absent] {
                    let text = write(encoding, &term, padding);
                    let found = read(encoding, &text, &JsonLimits::default()).map(|found| found.term);
                    prop_assert_eq!(found, Ok(term.clone()));
                }
            }
        }

        #[test]
        fn whatever_comes_does_not_panic(text in "[A-Za-z0-9_=+/-]{0,12}|\\PC{0,8}") {
            for encoding in [Encoding::Json, Encoding::Base64Url, Encoding::Base64] {
                let _ = read(encoding, &text, &JsonLimits::default());
            }
        }
    }
}
