//! Whether two values mean the same, however they are written.
//!
//! Promises exactness: numbers are compared as decimals of any length, exponents of any length included, without a float
//! and without writing any of them out. Members are compared irrespective of order, items in order, strings decoded.
//! Never treats values of different kinds as the same (`1` is not `"1"`, `null` is not an absent member).

use super::value::{Kind, Member, Value};

/// Whether `a` and `b` mean the same. Takes time `n log n` in an object's members; recurses once for each level, which
/// parsing has bounded.
#[must_use]
pub fn same_value(a: Value<'_>, b: Value<'_>) -> bool {
    if a.kind() != b.kind() || a.len() != b.len() {
        return false;
    }
    match a.kind() {
        Kind::Null => true,
        Kind::Bool => a.boolean() == b.boolean(),
        Kind::Number => same_number(a.raw(), b.raw()),
        Kind::String => a.text() == b.text(),
        Kind::Array => a.items().zip(b.items()).all(|(a, b)| same_value(a, b)),
        Kind::Object => same_members(a, b),
    }
}

fn same_members(a: Value<'_>, b: Value<'_>) -> bool {
    // Keys are unique in an accepted document, so sorted members match one by one or not at all.
    let mut a: Vec<Member<'_>> = a.members().collect();
    let mut b: Vec<Member<'_>> = b.members().collect();
    a.sort_by_cached_key(Member::key);
    b.sort_by_cached_key(Member::key);
    a.iter().zip(&b).all(|(a, b)| a.key() == b.key() && same_value(a.value(), b.value()))
}

fn same_number(a: &str, b: &str) -> bool {
    let (a, b) = (Decimal::read(a), Decimal::read(b));
    if a.is_zero() || b.is_zero() {
        return a.is_zero() && b.is_zero();
    }
    a.is_negative == b.is_negative
        && a.whole.bytes().chain(a.fraction.bytes()).eq(b.whole.bytes().chain(b.fraction.bytes()))
        && same_exponent(&a, &b)
}

/// A number as `0.d₁d₂…dₙ × 10^(exponent + point)`, where neither `d₁` nor `dₙ` is 0. Zero has no digits.
struct Decimal<'t> {
    is_negative: bool,
    /// The digits are `whole` followed by `fraction`.
    whole: &'t str,
    fraction: &'t str,
    point: i64,
    /// The exponent as written: its sign, 1 or -1, and its digits, of which there may be any number.
    exponent_sign: i64,
    exponent: &'t str,
}

impl<'t> Decimal<'t> {
    /// Takes an accepted number apart.
    fn read(number: &'t str) -> Self {
        let (is_negative, magnitude) = match number.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, number),
        };
        let (digits, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, ""));
        let (exponent_sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => (-1, exponent),
            None => (1, exponent.strip_prefix('+').unwrap_or(exponent)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (mut whole, mut fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let mut point = length(whole);
        if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            point = length(significant) - length(fraction);
            fraction = significant;
        }
        if fraction.is_empty() {
            whole = whole.trim_end_matches('0');
        }
        Self { is_negative, whole, fraction, point, exponent_sign, exponent }
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }
}

/// Whether `exponent + point` is the same in both.
///
/// Their difference is summed digit by digit from the lowest: it is zero only if each place leaves nothing but a carry for
/// the next and the last carry is zero. So exponents need not fit any integer type.
fn same_exponent(a: &Decimal<'_>, b: &Decimal<'_>) -> bool {
    let places = a.exponent.len().max(b.exponent.len());
    let mut a_digits = lowest_first(a.exponent);
    let mut b_digits = lowest_first(b.exponent);
    let mut carry = a.point - b.point;
    for _ in 0..places {
        carry += a.exponent_sign * a_digits.next().unwrap_or(0);
        carry -= b.exponent_sign * b_digits.next().unwrap_or(0);
        if carry % 10 != 0 {
            return false;
        }
        carry /= 10;
    }
    carry == 0
}

fn lowest_first(digits: &str) -> impl Iterator<Item = i64> {
    digits.bytes().rev().map(|digit| i64::from(digit.saturating_sub(b'0')))
}

/// Numbers are parts of a document, whose length is far below the limit of `i64`.
fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}
