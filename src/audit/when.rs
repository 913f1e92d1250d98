//! Times of entries as text, in UTC.

use jiff::Timestamp;

/// A time as the ledger spells it (RFC 3339), from nanoseconds since 1970.
pub fn exact(t: i64) -> String {
    let at = Timestamp::from_nanosecond(i128::from(t)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.9}")
}

/// A time as people read it.
pub fn plain(t: i64) -> String {
    let exact = exact(t);
    format!("{}Z", exact.get(..23).unwrap_or(&exact).replace('T', " "))
}

/// The time of an entry in nanoseconds since 1970; 0 where it has none.
pub fn nanoseconds(t: &str) -> i64 {
    let parsed = t.parse::<Timestamp>().map(Timestamp::as_nanosecond).unwrap_or_default();
    i64::try_from(parsed).unwrap_or(i64::MAX)
}
