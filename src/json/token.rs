//! The lexical layer: where a string, number or literal ends, and what a string says.
//!
//! Promises that an accepted token is exactly RFC 8259 §3, §6 or §7, and that an accepted string can be decoded: its
//! escapes are complete and its surrogates paired. Never allocates, but to decode a string that has escapes.

use std::borrow::Cow;

/// What was wrong inside a token: the place, and what RFC 8259 has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) offset: usize,
    pub(super) expected: &'static str,
}

/// The offset past the closing quote of the string whose opening quote is at `start`.
pub(super) fn string_end(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut at = start.saturating_add(1);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += rest.iter().take_while(|byte| is_plain(**byte)).count();
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape_end(bytes, at)?,
            Some(_) => return flaw(at, "an escape in place of a control character"),
            None => return flaw(at, "a closing quote"),
        }
    }
}

/// The offset past the number that starts at `start`.
pub(super) fn number_end(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    // A leading zero stands alone: whatever digit follows it is left over and refused by the caller.
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits_end(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Ok(at)
}

/// The offset past `word`, which must stand at `start`.
pub(super) fn literal_end(bytes: &[u8], start: usize, word: &'static str) -> Result<usize, Flaw> {
    let rest = bytes.get(start..).unwrap_or_default();
    if rest.starts_with(word.as_bytes()) { Ok(start + word.len()) } else { flaw(start, word) }
}

/// A text as a JSON string, which is a basic string of TOML too.
pub fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// What an accepted string says; `raw` still has its quotes. Borrowed unless there are escapes.
pub fn decode(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    if !inner.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut decoded = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        decoded.push_str(plain);
        rest = decode_escape(escape, &mut decoded);
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// The offset past the escape whose backslash is at `start`; a surrogate pair is one escape.
pub(super) fn escape_end(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let at = start + 2;
    match bytes.get(start + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return Ok(at),
        Some(b'u') => {}
        _ => return flaw(start + 1, "an escape character"),
    }
    match hex_unit(bytes, at)? {
        0xD800..=0xDBFF => {}
        0xDC00..=0xDFFF => return flaw(start, "a high surrogate before a low one"),
        _ => return Ok(at + 4),
    }
    if bytes.get(at + 4..at + 6) != Some(br"\u".as_slice()) {
        return flaw(at + 4, "the low half of a surrogate pair");
    }
    match hex_unit(bytes, at + 6)? {
        0xDC00..=0xDFFF => Ok(at + 10),
        _ => flaw(at + 4, "the low half of a surrogate pair"),
    }
}

fn hex_unit(bytes: &[u8], start: usize) -> Result<u16, Flaw> {
    let mut unit = 0_u16;
    for at in start..start + 4 {
        let digit = bytes.get(at).and_then(|byte| hex_digit(*byte));
        let Some(digit) = digit else { return flaw(at, "four hexadecimal digits") };
        unit = (unit << 4) | digit;
    }
    Ok(unit)
}

fn hex_digit(byte: u8) -> Option<u16> {
    char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok())
}

fn digits_end(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => flaw(start, "a digit"),
        count => Ok(start + count),
    }
}

/// Decodes one escape whose backslash was cut off, and hands back what follows it.
fn decode_escape<'t>(escape: &'t str, decoded: &mut String) -> &'t str {
    let mut characters = escape.chars();
    match characters.next() {
        Some('b') => decoded.push('\u{8}'),
        Some('f') => decoded.push('\u{c}'),
        Some('n') => decoded.push('\n'),
        Some('r') => decoded.push('\r'),
        Some('t') => decoded.push('\t'),
        Some('u') => return decode_units(escape, decoded),
        Some(itself) => decoded.push(itself),
        None => {}
    }
    characters.as_str()
}

/// `escape` starts with `uXXXX`, or with `uXXXX\uXXXX` where the first unit is a high surrogate.
fn decode_units<'t>(escape: &'t str, decoded: &mut String) -> &'t str {
    let first = hex_unit(escape.as_bytes(), 1).unwrap_or_default();
    let (units, length) = match first {
        0xD800..=0xDBFF => (vec![first, hex_unit(escape.as_bytes(), 7).unwrap_or_default()], 11),
        _ => (vec![first], 5),
    };
    decoded.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    escape.get(length..).unwrap_or_default()
}

fn flaw<T>(offset: usize, expected: &'static str) -> Result<T, Flaw> {
    Err(Flaw { offset, expected })
}
