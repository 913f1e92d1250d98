//! Exact decimal arithmetic on the text of JSON numbers, for money and percentages.
//!
//! Promises that no value passes through a binary float: what cannot be held exactly is `None`.
//! Never keeps the text it was read from; records do that themselves.

/// A decimal number in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Decimal {
    millionths: i128,
}

impl Decimal {
    /// Reads `-12.50`; `None` for an exponent, for more than [`WHOLE_DIGITS_MAX`] digits before the point or more
    /// than [`FRACTION_DIGITS`] after it.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let well_formed =
            !whole.is_empty() && !fraction.is_empty() && all_digits(whole) && all_digits(fraction);
        if !well_formed || whole.len() > WHOLE_DIGITS_MAX || fraction.len() > FRACTION_DIGITS {
            return None;
        }
        let magnitude = format!("{whole}{fraction:0<FRACTION_DIGITS$}").parse::<i128>().ok()?;
        Some(Self { millionths: if negative { -magnitude } else { magnitude } })
    }

    /// The sum, held at the largest value that fits.
    pub fn plus(self, other: Self) -> Self {
        Self { millionths: self.millionths.saturating_add(other.millionths) }
    }

    /// The product, rounded half away from zero to a millionth; `None` if it does not fit.
    pub fn times(self, other: Self) -> Option<Self> {
        let product = self.millionths.checked_mul(other.millionths)?;
        Some(Self { millionths: rounded_quotient(product, ONE) })
    }

    /// `self` as a percentage of `whole`; `None` if `whole` is zero or the result does not fit.
    pub fn percent_of(self, whole: Self) -> Option<Self> {
        let scaled = self.millionths.checked_mul(100 * ONE)?;
        (whole.millionths != 0).then(|| Self { millionths: rounded_quotient(scaled, whole.millionths) })
    }

    /// `-125000.50` with `places` digits (1 to [`FRACTION_DIGITS`]) after the point, rounded half away from zero.
    pub fn to_text(self, places: usize) -> String {
        let (sign, whole, fraction) = self.parts(places);
        format!("{sign}{whole}.{fraction}")
    }

    /// `-€125,000.50`: the sign, the currency's symbol, digits in groups of three, two places.
    pub fn to_money(self, symbol: &str) -> String {
        let (sign, whole, fraction) = self.parts(2);
        let mut grouped = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        format!("{sign}{symbol}{grouped}.{fraction}")
    }

    fn parts(self, places: usize) -> (&'static str, String, String) {
        let places = places.clamp(1, FRACTION_DIGITS);
        let dropped = FRACTION_DIGITS - places;
        let kept = rounded_quotient(self.millionths, power_of_ten(dropped));
        let unit = power_of_ten(places);
        let sign = if kept < 0 { "-" } else { "" };
        let (whole, fraction) = (kept.abs() / unit, kept.abs() % unit);
        (sign, whole.to_string(), format!("{fraction:0places$}"))
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Division rounded half away from zero; the callers never pass a zero divisor.
fn rounded_quotient(dividend: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    if remainder.unsigned_abs() * 2 < divisor.unsigned_abs() {
        return quotient;
    }
    if (dividend < 0) == (divisor < 0) { quotient + 1 } else { quotient - 1 }
}

fn power_of_ten(digits: usize) -> i128 {
    (0..digits).fold(1, |product, _| product * 10)
}

/// Digits kept after the point.
pub const FRACTION_DIGITS: usize = 6;
/// Digits accepted before the point; with the fraction this leaves room to add a great many values in an `i128`.
pub const WHOLE_DIGITS_MAX: usize = 18;
const ONE: i128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::Decimal;
    use proptest::prelude::{prop_assert_eq, proptest};

    #[track_caller]
    fn check(text: &str, places: usize, expected: Option<&str>) {
        let shown = Decimal::parse(text).map(|value| value.to_text(places));
        assert_eq!(shown.as_deref(), expected, "`{text}` with {places} places");
    }

    #[test]
    fn reads_and_writes() {
        check("125000.50", 2, Some("125000.50"));
        check("-0.005", 2, Some("-0.01"));
        check("0.004", 2, Some("0.00"));
        check("-0.004", 2, Some("0.00"));
        check("7", 0, Some("7.0"));
        check("999999999999999999.999999", 6, Some("999999999999999999.999999"));
        check("1000000000000000000", 2, None);
        check("0.0000001", 2, None);
        for malformed in ["", "-", ".", "1.", ".5", "1e3", "+1", "1 ", "null", "\"1\"", "--1"] {
            check(malformed, 2, None);
        }
    }

    #[test]
    fn derives_the_twins_of_the_show_case_deal() {
        let decimal = |text| Decimal::parse(text).unwrap();
        let amount = decimal("125000.50");
        assert_eq!(amount.times(decimal("0.50")).unwrap().to_text(2), "62500.25");
        assert_eq!(decimal("31250.25").percent_of(amount).unwrap().to_text(1), "25.0");
        assert_eq!(amount.to_money("€"), "€125,000.50");
        assert_eq!(decimal("-1234567").to_money("$"), "-$1,234,567.00");
        assert_eq!(decimal("999").to_money("€"), "€999.00");
        assert_eq!(amount.percent_of(Decimal::default()), None);
    }

    proptest! {
        #[test]
        fn two_place_text_survives(cents in -99_999_999_999_999_i64..99_999_999_999_999) {
            let sign = if cents < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
            prop_assert_eq!(Decimal::parse(&text).unwrap().to_text(2), text);
        }
    }
}
