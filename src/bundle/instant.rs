//! Points in time as milliseconds since 1970-01-01 UTC: read from Cedar's and from wire forms, written for Cedar.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// Reads Cedar's own forms: `2026-01-02`, `…T03:04:05Z`, `…T03:04:05.678Z`, `…+0100`.
pub fn parse_cedar_datetime(text: &str) -> Option<i64> {
    parse_wire(text, Some(0)).ok()
}

/// Reads RFC 3339 (any offset, any fraction) or a plain date. A text without an offset needs `default_offset_seconds`.
/// Fractions finer than a millisecond are cut towards the past. The error says what is wrong, never the text itself.
pub fn parse_wire(text: &str, default_offset_seconds: Option<i32>) -> Result<i64, &'static str> {
    let (date_text, rest) = match text.split_at_checked(10) {
        Some(parts) => parts,
        None => return Err("a date has ten characters"),
    };
    let date: Date = date_text.parse().map_err(|_| "not a calendar date")?;
    let no_offset = default_offset_seconds.ok_or("no offset and the profile states none");
    if rest.is_empty() {
        return to_millis(date.at(0, 0, 0, 0), no_offset?);
    }
    let time_text = rest.strip_prefix(['T', 't', ' ']).ok_or("a time must follow the date")?;
    let offset_at = time_text.find(['Z', 'z', '+', '-']).unwrap_or(time_text.len());
    let (clock, offset_text) = time_text.split_at_checked(offset_at).ok_or("not a time of day")?;
    let offset = match offset_text {
        "" => no_offset?,
        text => super::profile::convert::parse_offset(text).ok_or("not an offset")?,
    };
    if clock.len() < 5 {
        return Err("not a time of day");
    }
    let time: jiff::civil::Time = clock.parse().map_err(|_| "not a time of day")?;
    to_millis(date.to_datetime(time), offset)
}

/// Reads the members of a date given in parts; missing clock parts are zero.
pub fn from_parts(parts: [i64; 7], offset_seconds: i32) -> Result<i64, &'static str> {
    let [year, month, day, hour, minute, second, microsecond] = parts;
    let small = |value: i64| i8::try_from(value).map_err(|_| "a part is out of range");
    let nanos =
        microsecond.checked_mul(1000).and_then(|n| i32::try_from(n).ok()).ok_or("a part is out of range")?;
    let year = i16::try_from(year).map_err(|_| "a part is out of range")?;
    let date = Date::new(year, small(month)?, small(day)?).map_err(|_| "not a calendar date")?;
    let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, nanos);
    to_millis(date.to_datetime(time.map_err(|_| "not a time of day")?), offset_seconds)
}

/// Writes Cedar's form with milliseconds, or `None` outside of the years that Cedar can read.
pub fn to_cedar_datetime(millis: i64) -> Option<String> {
    let timestamp = Timestamp::from_millisecond(millis).ok().filter(|_| is_in_range(millis))?;
    Some(timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// Whether a point lies in the years that Cedar can read.
pub fn is_in_range(millis: i64) -> bool {
    (EARLIEST_MS..=LATEST_MS).contains(&millis)
}

/// The start of the year 0.
const EARLIEST_MS: i64 = -62_167_219_200_000;
/// Shortly before the end of the year 9999, where the calendar of the library ends.
const LATEST_MS: i64 = 253_402_207_200_000;

fn to_millis(at: DateTime, offset_seconds: i32) -> Result<i64, &'static str> {
    let offset = Offset::from_seconds(offset_seconds).map_err(|_| "not an offset")?;
    let timestamp = offset.to_timestamp(at).map_err(|_| "out of range")?;
    // Division that rounds to the past keeps `<` and `>=` against whole milliseconds exact.
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000_000)).map_err(|_| "out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: Option<i32>, expected: Result<i64, &str>) {
        assert_eq!(parse_wire(text, offset), expected, "{text}");
    }

    #[test]
    fn wire_forms_are_read_exactly() {
        check("1970-01-01T00:00:01Z", None, Ok(1000));
        check("1970-01-01T01:00:01+01:00", None, Ok(1000));
        check("1970-01-01T01:00:01+0100", None, Ok(1000));
        check("1970-01-01 00:00:01.123456Z", None, Ok(1123));
        check("1969-12-31T23:59:59.9999Z", None, Ok(-1));
        check("1970-01-02", Some(0), Ok(86_400_000));
        check("1970-01-02", None, Err("no offset and the profile states none"));
        check("1970-01-01T00:00:01", Some(3600), Ok(-3_599_000));
        check("1970-13-01", Some(0), Err("not a calendar date"));
        check("1970-01-01T25:00:00Z", None, Err("not a time of day"));
        check("1970-01-01T00:00:01+9", None, Err("not an offset"));
        check("yesterday", None, Err("a date has ten characters"));
        check("1970-01-01X", None, Err("a time must follow the date"));
    }

    #[test]
    fn cedar_reads_what_we_write() {
        for millis in [0, 1, -1, 1_795_000_000_123, -62_135_596_800_000, EARLIEST_MS, LATEST_MS] {
            let text = to_cedar_datetime(millis).unwrap();
            assert_eq!(parse_cedar_datetime(&text), Some(millis), "{text}");
            let at = cedar_policy::RestrictedExpression::new_datetime(&text);
            let uid = "User::\"a\"".parse().unwrap();
            let entity = cedar_policy::Entity::new(uid, [("at".to_owned(), at)].into(), Default::default());
            assert!(entity.is_ok(), "{text}: Cedar reads it");
        }
        for millis in [EARLIEST_MS - 1, LATEST_MS + 1, i64::MIN, i64::MAX] {
            assert_eq!(to_cedar_datetime(millis), None, "{millis}");
        }
    }

    #[test]
    fn parts_are_read() {
        assert_eq!(from_parts([1970, 1, 2, 0, 0, 0, 5000], 0), Ok(86_400_005));
        assert_eq!(from_parts([1970, 2, 30, 0, 0, 0, 0], 0), Err("not a calendar date"));
        assert_eq!(from_parts([1970, 300, 1, 0, 0, 0, 0], 0), Err("a part is out of range"));
    }
}
