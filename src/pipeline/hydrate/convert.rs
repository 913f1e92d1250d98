//! Turns one JSON value into an attribute (PIP): exact, from the source text, never through floats.
//!
//! What does not convert is Nonconforming with a reason; the reason never holds the value.

use crate::bundle::directory::{Directory, Lookup};
use crate::bundle::instant;
use crate::bundle::profile::Profile;
use crate::bundle::profile::convert::{Conversion, DateForm, DecimalForm, Kind};
use crate::json::value::{Kind as JsonKind, Value};
use crate::model::principal::EntityRef;
use crate::model::record::{Attribute, AttributeValue};
use crate::model::seeded::{Fault, is_seeded};

/// What conversions look things up in.
#[derive(Clone, Copy)]
pub struct Lookups<'a> {
    /// Stages and pipelines.
    pub profile: &'a Profile,
    /// People and teams.
    pub directory: &'a Directory,
}

/// Converts a value that is there.
pub fn convert(value: Value<'_>, conversion: &Conversion, lookups: Lookups<'_>) -> Attribute {
    if value.is_null() || conversion.empty.iter().any(|empty| value.is(empty)) {
        return Attribute::Absent;
    }
    if !conversion.is_set {
        return outcome(convert_one(value, conversion, lookups));
    }
    if value.kind() != JsonKind::Array {
        return Attribute::Nonconforming("expected a list".to_owned());
    }
    convert_items(&value.items().collect::<Vec<_>>(), conversion, lookups)
}

/// Converts the values of a list.
pub fn convert_items(values: &[Value<'_>], conversion: &Conversion, lookups: Lookups<'_>) -> Attribute {
    let values: Result<Vec<_>, _> =
        values.iter().map(|value| convert_one(*value, conversion, lookups)).collect();
    outcome(values.map(AttributeValue::Set))
}

/// Whether a kind takes objects or arrays, so that a path that leads to one has found its value.
pub fn takes_composite(conversion: &Conversion) -> bool {
    conversion.is_set || conversion.kind == Kind::Datetime(DateForm::Parts)
}

/// Whether a plain number on the wire is the value of such an attribute, whatever else the profile says of it.
pub fn takes_plain_numbers(conversion: &Conversion) -> bool {
    let is_number = match &conversion.kind {
        Kind::Long => true,
        Kind::Decimal(form) => *form == DecimalForm::default(),
        _ => false,
    };
    is_number && !conversion.is_set && conversion.map.is_none() && conversion.empty.is_empty()
}

/// A plain number as it is spelled, in quotes or not: what [`convert`] makes of it, without reading it as JSON. `None`
/// says nothing: other spellings convert too. For conversions with [`takes_plain_numbers`] only.
pub fn plain_number(raw: &[u8], conversion: &Conversion) -> Option<AttributeValue> {
    let text = raw.strip_prefix(b"\"").map_or(Some(raw), |rest| rest.strip_suffix(b"\""))?;
    let (is_negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.len() > PLAIN_BYTES_MAX {
        return None;
    }
    let (mut units, mut point) = (0_i64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => units = units * 10 + i64::from(digit),
            _ if *byte == b'.' && point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let units = if is_negative { -units } else { units };
    let places = match point {
        None if digits.is_empty() => return None,
        None => 0,
        Some(0) => return None,
        Some(at) => digits.len() - at - 1,
    };
    match &conversion.kind {
        Kind::Long if point.is_none() => Some(AttributeValue::Long(units)),
        Kind::Decimal(_) if point.is_none() || places > 0 => {
            DECIMAL_SCALES.get(places).map(|scale| AttributeValue::Decimal(units * scale))
        }
        _ => None,
    }
}

fn outcome(converted: Result<AttributeValue, String>) -> Attribute {
    match converted {
        Ok(value) => Attribute::Present(value),
        Err(_) if is_seeded(Fault::NonconformingIsAbsent) => Attribute::Absent,
        Err(why) => Attribute::Nonconforming(why),
    }
}

fn convert_one(
    value: Value<'_>,
    conversion: &Conversion,
    lookups: Lookups<'_>,
) -> Result<AttributeValue, String> {
    if let Kind::Bool { yes, no } = &conversion.kind {
        return convert_bool(value, yes, no);
    }
    if conversion.kind == Kind::Datetime(DateForm::Parts) {
        return convert_parts(value).map(AttributeValue::Datetime);
    }
    let (text, is_number) = match value.kind() {
        JsonKind::String => (value.text().unwrap_or_default().into_owned(), false),
        JsonKind::Number => (value.raw().to_owned(), true),
        JsonKind::Null => return Err("null inside a list".to_owned()),
        JsonKind::Bool | JsonKind::Array | JsonKind::Object => {
            return Err("expected text or a number".to_owned());
        }
    };
    let text = match &conversion.map {
        None => text,
        Some(map) => map.get(&text).cloned().ok_or("not one of the profile's values")?,
    };
    match &conversion.kind {
        Kind::Bool { .. } | Kind::Datetime(DateForm::Parts) => Err("not a scalar".to_owned()),
        Kind::Long => text.parse().map(AttributeValue::Long).map_err(|_| "not a whole number".to_owned()),
        Kind::Text if is_number && conversion.map.is_none() => {
            Err("expected text, found a number".to_owned())
        }
        Kind::Text => Ok(AttributeValue::Text(text)),
        Kind::Decimal(form) => parse_decimal(&text, form).map(AttributeValue::Decimal).map_err(str::to_owned),
        Kind::Datetime(form) => parse_date(&text, form).map(AttributeValue::Datetime).map_err(str::to_owned),
        Kind::Entity { type_name, by } => find_entity(&text, type_name, by, lookups.directory),
        Kind::Stage => match lookups.profile.stages.by_wire_name(&text) {
            Some(stage) => Ok(AttributeValue::Entity(EntityRef::new("Stage", &stage.id))),
            None => Err("not a stage of the catalogue".to_owned()),
        },
        Kind::Pipeline => match lookups.profile.stages.pipeline_by_wire_name(&text) {
            Some(id) => Ok(AttributeValue::Entity(EntityRef::new("Pipeline", id))),
            None => Err("not a pipeline of the catalogue".to_owned()),
        },
    }
}

fn convert_bool(value: Value<'_>, yes: &[String], no: &[String]) -> Result<AttributeValue, String> {
    if let Some(truth) = value.boolean() {
        return Ok(AttributeValue::Bool(truth));
    }
    if yes.iter().any(|text| value.is(text)) {
        return Ok(AttributeValue::Bool(true));
    }
    if no.iter().any(|text| value.is(text)) {
        return Ok(AttributeValue::Bool(false));
    }
    Err("not a truth value".to_owned())
}

fn convert_parts(value: Value<'_>) -> Result<i64, String> {
    if value.kind() != JsonKind::Object {
        return Err("expected an object of date parts".to_owned());
    }
    let part = |key: &str, default: Option<i64>| -> Result<i64, String> {
        match value.member(key).and_then(|member| member.number()) {
            Some(number) => number.parse().map_err(|_| "a date part is not a whole number".to_owned()),
            None => default.ok_or_else(|| "a date part is missing".to_owned()),
        }
    };
    let parts = [
        part("year", None)?,
        part("month", None)?,
        part("day", None)?,
        part("hour", Some(0))?,
        part("minute", Some(0))?,
        part("second", Some(0))?,
        part("microsecond", Some(0))?,
    ];
    instant::from_parts(parts, 0).map_err(str::to_owned)
}

fn parse_date(text: &str, form: &DateForm) -> Result<i64, &'static str> {
    match form {
        DateForm::Text { offset_seconds } => instant::parse_wire(text, *offset_seconds),
        DateForm::EpochMillis => text.parse().map_err(|_| "not a whole number of milliseconds"),
        DateForm::EpochSeconds => {
            let seconds: i64 = text.parse().map_err(|_| "not a whole number of seconds")?;
            seconds.checked_mul(1000).ok_or("out of range")
        }
        DateForm::Parts => Err("expected an object of date parts"),
    }
}

fn find_entity(
    text: &str,
    type_name: &str,
    by: &[String],
    directory: &Directory,
) -> Result<AttributeValue, String> {
    let entity = |id: &str| Ok(AttributeValue::Entity(EntityRef::new(type_name, id)));
    if by.is_empty() {
        return entity(text);
    }
    for attribute in by {
        match directory.find(type_name, attribute, text) {
            Some(Lookup::One(id)) => return entity(&id),
            Some(Lookup::Ambiguous) => {
                return Err(format!("several of type {type_name} have this {attribute}"));
            }
            None => {}
        }
    }
    Err(format!("no {type_name} of the directory has this {}", by.join(" or ")))
}

/// Reads money as ten-thousandths. Accepts what JSON numbers and decimal strings look like, exponents included.
pub fn parse_decimal(text: &str, form: &DecimalForm) -> Result<i64, &'static str> {
    let mut plain = text.to_owned();
    for strip in form.strip.iter().chain(&form.thousands) {
        plain = plain.replace(strip.as_str(), "");
    }
    if let Some(point) = &form.point {
        if plain.contains('.') {
            return Err("not a decimal number");
        }
        plain = plain.replace(point.as_str(), ".");
    }
    let (mantissa, exponent) = match plain.find(['e', 'E']) {
        Some(at) => (plain.get(..at).unwrap_or_default(), plain.get(at + 1..).unwrap_or_default()),
        None => (plain.as_str(), "0"),
    };
    let exponent: i64 = exponent.parse().map_err(|_| "not a decimal number")?;
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits || (digits.contains('.') && fraction.is_empty()) {
        return Err("not a decimal number");
    }
    let places = i64::try_from(fraction.len()).map_err(|_| "too many digits")?;
    // The value is the digits times ten to the power of `shift`, counted in ten-thousandths.
    let shift = exponent - places - i64::from(form.scale) + DECIMAL_PLACES;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let magnitude = match shift {
        0.. => scale_up(digits, shift)?,
        _ => scale_down(digits, shift.unsigned_abs())?,
    };
    let signed = if negative { -magnitude } else { magnitude };
    i64::try_from(signed).map_err(|_| "out of range")
}

fn scale_up(digits: &str, shift: i64) -> Result<i128, &'static str> {
    let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros <= DIGITS_MAX).ok_or("out of range")?;
    if digits.len() + zeros > DIGITS_MAX {
        return Err("out of range");
    }
    let text = format!("{digits}{}", "0".repeat(zeros));
    text.parse().map_err(|_| "out of range")
}

fn scale_down(digits: &str, places: u64) -> Result<i128, &'static str> {
    let places = usize::try_from(places).unwrap_or(usize::MAX);
    let cut = digits.len().checked_sub(places);
    let (kept, dropped) = digits.split_at_checked(cut.unwrap_or(0)).ok_or("not a decimal number")?;
    if dropped.bytes().any(|byte| byte != b'0') || cut.is_none() {
        return Err("more than four decimal places");
    }
    if kept.len() > DIGITS_MAX {
        return Err("out of range");
    }
    if kept.is_empty() { Ok(0) } else { kept.parse().map_err(|_| "out of range") }
}

/// Decimal places of Cedar's `decimal`.
const DECIMAL_PLACES: i64 = 4;
/// What a number with so many places is multiplied with to count ten-thousandths.
const DECIMAL_SCALES: &[i64] = &[10_000, 1_000, 100, 10, 1];
/// Bytes of a plain number: with four more places it is still far from the end of 64 bits.
const PLAIN_BYTES_MAX: usize = 14;
/// More digits than any value in range has.
const DIGITS_MAX: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, &str>) {
        assert_eq!(parse_decimal(text, &DecimalForm::default()), expected, "{text}");
    }

    #[test]
    fn money_is_exact() {
        check("12.5", Ok(125_000));
        check("12", Ok(120_000));
        check("-0.0001", Ok(-1));
        check("0.10000", Ok(1000));
        check("1E+3", Ok(10_000_000));
        check("125e-2", Ok(12_500));
        check("0", Ok(0));
        check("-0.0", Ok(0));
        check("0e999999999", Ok(0));
        check("922337203685477.5807", Ok(i64::MAX));
        check("-922337203685477.5808", Ok(i64::MIN));
        check("922337203685477.5808", Err("out of range"));
        check("12.12345", Err("more than four decimal places"));
        check("1e999999999999", Err("out of range"));
        check("1e-999999999999", Err("more than four decimal places"));
        check("1e99999999999999999999", Err("not a decimal number"));
        for text in ["", ".", "1.", ".5", "abc", "1,000", "--1", "1e", "0x10", "NaN", "1 000", "١"] {
            check(text, Err("not a decimal number"));
        }
    }

    #[test]
    fn money_in_local_forms() {
        let form = DecimalForm {
            thousands: Some(".".to_owned()),
            point: Some(",".to_owned()),
            strip: vec!["€".to_owned(), " ".to_owned()],
            scale: 0,
        };
        assert_eq!(parse_decimal("€ 125.000,50", &form), Ok(1_250_005_000));
        let micros = DecimalForm { scale: 6, ..DecimalForm::default() };
        assert_eq!(parse_decimal("125000500000", &micros), Ok(1_250_005_000));
        assert_eq!(parse_decimal("1", &micros), Err("more than four decimal places"));
    }

    /// Whatever is taken for a plain number converts to just that. Says how often it was taken.
    fn check_plain(text: &str) -> usize {
        let kinds = [Kind::Long, Kind::Decimal(DecimalForm::default())];
        let taken = kinds.into_iter().filter_map(|kind| {
            let conversion = Conversion { kind, is_set: false, map: None, empty: Vec::new() };
            assert!(takes_plain_numbers(&conversion));
            let found = plain_number(text.as_bytes(), &conversion)?;
            let quoted = plain_number(format!("\"{text}\"").as_bytes(), &conversion);
            let expected = match &conversion.kind {
                Kind::Decimal(form) => AttributeValue::Decimal(parse_decimal(text, form).unwrap()),
                _ => AttributeValue::Long(text.parse().unwrap()),
            };
            assert_eq!((&found, quoted.as_ref()), (&expected, Some(&expected)), "{text}");
            Some(found)
        });
        taken.count()
    }

    #[test]
    fn plain_numbers_are_what_they_convert_to() {
        for (text, times) in [
            ("0", 2),
            ("-0", 2),
            ("-12", 2),
            ("007", 2),
            ("12.5", 1),
            ("-0.0001", 1),
            ("99999999999999", 2),
            ("999999999.9999", 1),
            ("-9999999999999", 2),
            ("999999999999999", 0),
            ("1.00000", 0),
            ("1.", 0),
            (".5", 0),
            ("-", 0),
            ("", 0),
            ("1e3", 0),
            ("+1", 0),
            (" 1", 0),
            ("1.2.3", 0),
            ("\"", 0),
        ] {
            assert_eq!(check_plain(text), times, "{text}");
        }
        for raw in ["\"1", "1\"", "\"", "\"\"", "true", "[1]"] {
            let conversion = Conversion { kind: Kind::Long, is_set: false, map: None, empty: Vec::new() };
            assert_eq!(plain_number(raw.as_bytes(), &conversion), None, "{raw}");
        }
    }

    #[test]
    fn what_else_the_profile_says_of_a_number_is_not_plain() {
        let plain = Conversion { kind: Kind::Long, is_set: false, map: None, empty: Vec::new() };
        let scaled = Kind::Decimal(DecimalForm { scale: 2, ..DecimalForm::default() });
        for conversion in [
            Conversion { is_set: true, ..plain.clone() },
            Conversion { map: Some(Default::default()), ..plain.clone() },
            Conversion { empty: vec!["0".to_owned()], ..plain.clone() },
            Conversion { kind: scaled, ..plain.clone() },
            Conversion { kind: Kind::Text, ..plain.clone() },
            Conversion { kind: Kind::Datetime(DateForm::EpochSeconds), ..plain },
        ] {
            assert!(!takes_plain_numbers(&conversion), "{conversion:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_for_a_plain_number_is_one(text in "-?[0-9]{0,15}[.]?[0-9e+-]{0,5}") {
            check_plain(&text);
        }

        #[test]
        fn every_value_in_range_survives(value in any::<i64>()) {
            let text = format!("{}{}.{:04}", if value < 0 { "-" } else { "" }, value.unsigned_abs() / 10_000, value.unsigned_abs() % 10_000);
            prop_assert_eq!(parse_decimal(&text, &DecimalForm::default()), Ok(value));
        }
    }
}
