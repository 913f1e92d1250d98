//! Where tokens and whole values end, looked at 16 bytes at a time.
//!
//! The grammar of what is rare (escapes, exponents, long numbers) is [`token`]'s; here is what is common.

use wide::u8x16;

use super::Stop;
use crate::json::token::{self, Flaw};

/// The next bytes, if there are as many.
#[inline(always)]
pub(super) fn window<const N: usize>(source: &[u8], at: usize) -> Result<&[u8; N], Stop> {
    source.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Stop::NeedMore)
}

/// The byte at a place.
#[inline(always)]
pub fn byte(source: &[u8], at: usize) -> Result<u8, Stop> {
    source.get(at).copied().ok_or(Stop::NeedMore)
}

/// The place of the first byte that is no white space.
#[inline(always)]
pub fn skip_space(source: &[u8], at: usize) -> Result<usize, Stop> {
    let mut at = at;
    loop {
        match byte(source, at)? {
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            _ => return Ok(at),
        }
    }
}

/// The end of the value that starts at a place. `depth` is how many containers it may open.
#[inline(always)]
pub fn value_end(source: &[u8], at: usize, depth: usize) -> Result<usize, Stop> {
    match byte(source, at)? {
        b'"' => string_end(source, at + 1),
        _ => other_value_end(source, at, depth),
    }
}

/// The same of a value that is no string.
#[inline(never)]
fn other_value_end(source: &[u8], at: usize, depth: usize) -> Result<usize, Stop> {
    match byte(source, at)? {
        b'-' | b'0'..=b'9' => number_end(source, at),
        b'n' => literal_end(source, at, b"null"),
        b't' => literal_end(source, at, b"true"),
        b'f' => literal_end(source, at, b"false"),
        b'{' | b'[' => composite_end(source, at, depth),
        _ => Err(Stop::Flaw),
    }
}

/// The end of a string, by the place behind its opening quote.
#[inline(always)]
pub(super) fn string_end(source: &[u8], at: usize) -> Result<usize, Stop> {
    let window = window::<32>(source, at)?;
    let (low, high) = halves(window);
    let special = ends_plain(low) | (ends_plain(high) << 16);
    if special == 0 {
        return long_string_end(source, at + 32);
    }
    let end = at + special.trailing_zeros() as usize;
    if source.get(end) == Some(&b'"') { Ok(end + 1) } else { escaped_string_end(source, end) }
}

/// The same past a stretch without anything special.
#[inline(never)]
fn long_string_end(source: &[u8], at: usize) -> Result<usize, Stop> {
    let mut at = at;
    loop {
        let window = window::<64>(source, at)?;
        let mut special = 0_u64;
        for (index, part) in window.as_chunks::<16>().0.iter().enumerate() {
            special |= u64::from(ends_plain(*part)) << (16 * index);
        }
        if special == 0 {
            at += 64;
            continue;
        }
        let end = at + special.trailing_zeros() as usize;
        if source.get(end) == Some(&b'"') {
            return Ok(end + 1);
        }
        at = escape_end(source, end)?;
    }
}

/// The same from a byte that is no plain character of a string.
#[inline(never)]
fn escaped_string_end(source: &[u8], at: usize) -> Result<usize, Stop> {
    long_string_end(source, escape_end(source, at)?)
}

fn escape_end(source: &[u8], at: usize) -> Result<usize, Stop> {
    if source.get(at) != Some(&b'\\') {
        return Err(Stop::Flaw);
    }
    // A pair of surrogates that is cut in between looks like half of one.
    window::<ESCAPE_BYTES_MAX>(source, at)?;
    settle(token::escape_end(source, at), source)
}

/// The end of a number.
#[inline(always)]
pub(super) fn number_end(source: &[u8], at: usize) -> Result<usize, Stop> {
    let first = at + usize::from(source.get(at) == Some(&b'-'));
    let window = window::<17>(source, first)?;
    let (Some(digits), Some(after)) = (window.first_chunk::<16>(), window.get(1)) else {
        return Err(Stop::NeedMore);
    };
    let digits = is_digit(*digits);
    let whole = digits.trailing_ones() as usize;
    let starts_with_zero = window.first() == Some(&b'0') && after.is_ascii_digit();
    if whole == 0 || starts_with_zero {
        return Err(Stop::Flaw);
    }
    match window.get(whole) {
        Some(b'.') => {
            let part = (digits >> (whole + 1)).trailing_ones() as usize;
            let end = whole + 1 + part;
            match window.get(end) {
                Some(byte) if part > 0 && !matches!(byte, b'e' | b'E') && end < 16 => Ok(first + end),
                _ => long_number_end(source, at),
            }
        }
        Some(b'e' | b'E') | None => long_number_end(source, at),
        Some(_) if whole < 16 => Ok(first + whole),
        Some(_) => long_number_end(source, at),
    }
}

#[inline(never)]
fn long_number_end(source: &[u8], at: usize) -> Result<usize, Stop> {
    settle(token::number_end(source, at), source)
}

/// The end of `null`, `true` or `false`.
#[inline(always)]
pub(super) fn literal_end(source: &[u8], at: usize, word: &[u8]) -> Result<usize, Stop> {
    let end = at + word.len();
    match source.get(at..end) {
        Some(found) if found == word => Ok(end),
        Some(_) => Err(Stop::Flaw),
        None => Err(Stop::NeedMore),
    }
}

/// The end of an object or array that nobody looks into. Never recurses.
pub(super) fn composite_end(source: &[u8], at: usize, depth: usize) -> Result<usize, Stop> {
    let mut open = Open::default();
    let mut at = at;
    loop {
        at = match byte(source, at)? {
            bracket @ (b'{' | b'[') => {
                open.push(bracket == b'{', depth)?;
                let next = skip_space(source, at + 1)?;
                match (byte(source, next)?, bracket) {
                    (b'}', b'{') | (b']', b'[') => match open.pop() {
                        0 => return Ok(next + 1),
                        _ => next + 1,
                    },
                    (_, b'{') => {
                        at = value_place(source, next)?;
                        continue;
                    }
                    _ => {
                        at = next;
                        continue;
                    }
                }
            }
            _ => value_end(source, at, 0)?,
        };
        loop {
            at = skip_space(source, at)?;
            match (byte(source, at)?, open.is_object()) {
                (b',', true) => {
                    at = value_place(source, skip_space(source, at + 1)?)?;
                    break;
                }
                (b',', false) => {
                    at = skip_space(source, at + 1)?;
                    break;
                }
                (b'}', true) | (b']', false) => {
                    at += 1;
                    if open.pop() == 0 {
                        return Ok(at);
                    }
                }
                _ => return Err(Stop::Flaw),
            }
        }
    }
}

/// The place of a member's value, by that of its key.
#[inline(always)]
fn value_place(source: &[u8], at: usize) -> Result<usize, Stop> {
    let (_, value) = key_and_value(source, at)?;
    Ok(value)
}

/// The end of a member's key and the place of its value, by the place of the key.
#[inline(always)]
pub fn key_and_value(source: &[u8], at: usize) -> Result<(usize, usize), Stop> {
    if byte(source, at)? != b'"' {
        return Err(Stop::Flaw);
    }
    let end = string_end(source, at + 1)?;
    let colon = skip_space(source, end)?;
    if byte(source, colon)? != b':' {
        return Err(Stop::Flaw);
    }
    Ok((end, skip_space(source, colon + 1)?))
}

/// Which containers are open: one bit each, set for an object.
#[derive(Default)]
struct Open {
    bits: [u64; DEPTH_WORDS],
    depth: usize,
}

impl Open {
    fn push(&mut self, is_object: bool, depth_max: usize) -> Result<(), Stop> {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if self.depth >= depth_max {
            return Err(Stop::TooDeep);
        }
        let word = self.bits.get_mut(word).ok_or(Stop::TooDeep)?;
        *word = (*word & !(1 << bit)) | (u64::from(is_object) << bit);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) -> usize {
        self.depth = self.depth.saturating_sub(1);
        self.depth
    }

    fn is_object(&self) -> bool {
        let last = self.depth.saturating_sub(1);
        self.bits.get(last / 64).is_some_and(|word| word >> (last % 64) & 1 == 1)
    }
}

#[inline(always)]
fn halves(window: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    match window.as_chunks::<16>().0 {
        [low, high] => (*low, *high),
        _ => ([0; 16], [0; 16]),
    }
}

/// One bit for each byte that ends a stretch of plain characters: quote, backslash and control characters.
#[inline(always)]
fn ends_plain(bytes: [u8; 16]) -> u32 {
    let bytes = u8x16::new(bytes);
    // Two exclusive or the quote is 0x20, and nothing but that and control characters comes to 0x20 or less.
    let shifted = bytes ^ u8x16::splat(2);
    let low = shifted.min(u8x16::splat(0x20)).simd_eq(shifted);
    (low | bytes.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
}

/// One bit for each digit.
#[inline(always)]
fn is_digit(bytes: [u8; 16]) -> u32 {
    let value = u8x16::new(bytes) - u8x16::splat(b'0');
    value.min(u8x16::splat(9)).simd_eq(value).to_bitmask()
}

/// A token that ends where the input does may go on.
fn settle(result: Result<usize, Flaw>, source: &[u8]) -> Result<usize, Stop> {
    match result {
        Ok(end) if end < source.len() => Ok(end),
        Ok(_) => Err(Stop::NeedMore),
        Err(flaw) if flaw.offset >= source.len() => Err(Stop::NeedMore),
        Err(_) => Err(Stop::Flaw),
    }
}

/// The longest escape: a pair of surrogates.
const ESCAPE_BYTES_MAX: usize = 12;

/// Words of the depth's bits: [`crate::json::parse::DEPTH_CEILING`] levels.
const DEPTH_WORDS: usize = crate::json::parse::DEPTH_CEILING / 64;
