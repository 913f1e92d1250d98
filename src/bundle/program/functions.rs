//! Functions of Cedar's extensions `decimal` and `datetime`, as Cedar computes them.

use super::evaluate::Stop;
use super::value::Value;
use crate::bundle::instant::parse_cedar_datetime;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `decimal("…")`
    Decimal,
    /// `datetime("…")`
    Datetime,
    /// `duration("…")`
    Duration,
    /// `lessThan`, of decimals.
    LessThan,
    /// `lessThanOrEqual`
    LessThanOrEqual,
    /// `greaterThan`
    GreaterThan,
    /// `greaterThanOrEqual`
    GreaterThanOrEqual,
    /// `offset`
    Offset,
    /// `durationSince`
    DurationSince,
    /// `toDate`
    ToDate,
    /// `toTime`
    ToTime,
    /// `toMilliseconds`
    ToMilliseconds,
    /// `toSeconds`
    ToSeconds,
    /// `toMinutes`
    ToMinutes,
    /// `toHours`
    ToHours,
    /// `toDays`
    ToDays,
}

impl Function {
    /// By its name in a policy.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "decimal" => Self::Decimal,
            "datetime" => Self::Datetime,
            "duration" => Self::Duration,
            "lessThan" => Self::LessThan,
            "lessThanOrEqual" => Self::LessThanOrEqual,
            "greaterThan" => Self::GreaterThan,
            "greaterThanOrEqual" => Self::GreaterThanOrEqual,
            "offset" => Self::Offset,
            "durationSince" => Self::DurationSince,
            "toDate" => Self::ToDate,
            "toTime" => Self::ToTime,
            "toMilliseconds" => Self::ToMilliseconds,
            "toSeconds" => Self::ToSeconds,
            "toMinutes" => Self::ToMinutes,
            "toHours" => Self::ToHours,
            "toDays" => Self::ToDays,
            _ => return None,
        })
    }

    /// Its value.
    pub fn call(self, arguments: &[Value]) -> Result<Value, Stop> {
        match arguments {
            [one] => self.of_one(one),
            [first, second] => self.of_two(first, second),
            _ => Err(Stop::Unsupported),
        }
    }

    fn of_one(self, value: &Value) -> Result<Value, Stop> {
        Ok(match (self, value) {
            (Self::Decimal, Value::Text(text)) => {
                Value::Decimal(parse_decimal(text).ok_or(Stop::Unsupported)?)
            }
            (Self::Datetime, Value::Text(text)) => {
                Value::Datetime(parse_cedar_datetime(text).ok_or(Stop::Unsupported)?)
            }
            (Self::Duration, Value::Text(text)) => {
                Value::Duration(parse_duration(text).ok_or(Stop::Unsupported)?)
            }
            (Self::ToDate, Value::Datetime(millis)) => {
                Value::Datetime(millis.div_euclid(DAY_MS).checked_mul(DAY_MS).ok_or(Stop::Fails)?)
            }
            (Self::ToTime, Value::Datetime(millis)) => Value::Duration(millis.rem_euclid(DAY_MS)),
            (Self::ToMilliseconds, Value::Duration(millis)) => Value::Long(*millis),
            (Self::ToSeconds, Value::Duration(millis)) => Value::Long(millis / SECOND_MS),
            (Self::ToMinutes, Value::Duration(millis)) => Value::Long(millis / MINUTE_MS),
            (Self::ToHours, Value::Duration(millis)) => Value::Long(millis / HOUR_MS),
            (Self::ToDays, Value::Duration(millis)) => Value::Long(millis / DAY_MS),
            _ => return Err(Stop::Fails),
        })
    }

    fn of_two(self, first: &Value, second: &Value) -> Result<Value, Stop> {
        Ok(match (self, first, second) {
            (Self::LessThan, Value::Decimal(left), Value::Decimal(right)) => Value::Bool(left < right),
            (Self::LessThanOrEqual, Value::Decimal(left), Value::Decimal(right)) => {
                Value::Bool(left <= right)
            }
            (Self::GreaterThan, Value::Decimal(left), Value::Decimal(right)) => Value::Bool(left > right),
            (Self::GreaterThanOrEqual, Value::Decimal(left), Value::Decimal(right)) => {
                Value::Bool(left >= right)
            }
            (Self::Offset, Value::Datetime(point), Value::Duration(by)) => {
                Value::Datetime(point.checked_add(*by).ok_or(Stop::Fails)?)
            }
            (Self::DurationSince, Value::Datetime(point), Value::Datetime(since)) => {
                Value::Duration(point.checked_sub(*since).ok_or(Stop::Fails)?)
            }
            _ => return Err(Stop::Fails),
        })
    }
}

/// A decimal as policies write it, in ten-thousandths.
pub fn parse_decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(digits) || !is_number(fraction) || fraction.len() > 4 {
        return None;
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    format!("{sign}{digits}{fraction:0<4}").parse().ok()
}

/// A duration as policies write it: `1d2h3m4s5ms`, largest unit first, each at most once.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    let units = [("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS), ("ms", 1)];
    for (unit, millis) in units {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, after) = after.split_at_checked(letters)?;
        if number.is_empty() || name != unit {
            continue;
        }
        let number: i64 = format!("{}{number}", if negative { "-" } else { "" }).parse().ok()?;
        total = total.checked_add(number.checked_mul(millis)?)?;
        rest = after;
    }
    rest.is_empty().then_some(total)
}

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
