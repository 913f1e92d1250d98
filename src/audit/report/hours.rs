//! Working hours: what is outside of them is told as unusual.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::Offset;

/// From when to when people work, Monday to Friday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: Time,
    to: Time,
}

/// How far local time is from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset(Offset);

impl Hours {
    /// Whether a time, in nanoseconds since 1970, is outside of them.
    pub fn are_over(&self, t: i64, offset: UtcOffset) -> bool {
        let at = Timestamp::from_nanosecond(i128::from(t)).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = offset.0.to_datetime(at);
        let is_weekend = matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
        is_weekend || local.time() < self.from || local.time() >= self.to
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = |text: &str| Time::strptime("%H:%M", text).ok();
        let (from, to) = text.split_once('-').ok_or(HOURS_FORM)?;
        let hours = time(from).zip(time(to)).filter(|(from, to)| from < to);
        hours.map(|(from, to)| Self { from, to }).ok_or_else(|| HOURS_FORM.to_owned())
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}–{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

impl FromStr for UtcOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sign = match text.get(..1) {
            Some("+") => 1,
            Some("-") => -1,
            _ => return Err(OFFSET_FORM.to_owned()),
        };
        let time = text.get(1..).and_then(|text| Time::strptime("%H:%M", text).ok()).ok_or(OFFSET_FORM)?;
        let seconds = sign * (i32::from(time.hour()) * 3600 + i32::from(time.minute()) * 60);
        Offset::from_seconds(seconds).map(Self).map_err(|_| OFFSET_FORM.to_owned())
    }
}

impl std::fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.seconds();
        let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
        write!(f, "UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

const HOURS_FORM: &str = "write e.g. 07:00-19:00; hours over midnight are not possible";
const OFFSET_FORM: &str = "write e.g. +02:00 or -05:00";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_end_before_their_end_and_weekends_have_none() {
        #[track_caller]
        fn check(t: &str, offset: &str, expected: bool) {
            let hours: Hours = "07:00-19:00".parse().unwrap();
            let t = crate::audit::when::nanoseconds(t);
            assert_eq!(hours.are_over(t, offset.parse().unwrap()), expected, "{t} {offset}");
        }
        check("2026-07-03T06:59:59.999999999Z", "+00:00", true);
        check("2026-07-03T07:00:00Z", "+00:00", false);
        check("2026-07-03T18:59:59.999999999Z", "+00:00", false);
        check("2026-07-03T19:00:00Z", "+00:00", true);
        check("2026-07-03T05:00:00Z", "+02:00", false);
        check("2026-07-03T23:30:00Z", "-05:00", false);
        check("2026-07-04T12:00:00Z", "+00:00", true);
        check("2026-07-05T12:00:00Z", "+00:00", true);
        // Sunday in UTC is Monday there.
        check("2026-07-05T22:30:00Z", "+10:00", false);
    }

    #[test]
    fn what_is_typed_is_read_or_refused() {
        for wrong in ["7-19", "19:00-07:00", "07:00-07:00", "07:00", ""] {
            assert_eq!(wrong.parse::<Hours>(), Err(HOURS_FORM.to_owned()), "{wrong}");
        }
        for wrong in ["02:00", "+2", "+24:00", "", "UTC"] {
            assert_eq!(wrong.parse::<UtcOffset>(), Err(OFFSET_FORM.to_owned()), "{wrong}");
        }
        let told = ["+00:00", "-05:30", "+12:45"].map(|text| text.parse::<UtcOffset>().unwrap().to_string());
        assert_eq!(told, ["UTC+00:00", "UTC-05:30", "UTC+12:45"]);
        assert_eq!("09:00-17:30".parse::<Hours>().unwrap().to_string(), "09:00–17:30");
    }
}
