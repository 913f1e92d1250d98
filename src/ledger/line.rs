//! One line of the ledger as bytes: how it is written, and how it is told from one that is not whole.
//!
//! Promises: `check` accepts exactly what `write` can produce in its fixed members, and no line in which a
//! byte changed. Never looks at what an entry means.

use std::io::Write as _;

use jiff::Timestamp;

/// The longest line, without its line feed, in bytes. A C2SP entry bundle gives an entry a 16-bit length.
pub const LINE_BYTES_MAX: usize = 60_000;

/// The longest JSON object of members that always fits a line, whatever its seq, batch and kind.
pub(super) const OBJECT_BYTES_MAX: usize = LINE_BYTES_MAX - 160;

/// How each line starts. Quotes inside of JSON text are escaped, so these bytes stand only at the start of
/// a line.
pub(super) const LINE_MARK: &[u8] = br#"{"v":1,"seq":"#;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The entry's number: from 1, without gaps over all segments.
    pub seq: u64,
    /// The seq of the first entry of the group commit that wrote the line.
    pub batch: u64,
}

/// The fixed members at the start of an intact line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Seq and batch.
    pub place: Place,
    /// The entry's kind.
    pub kind: &'a str,
    /// The time of writing, RFC 3339 in UTC with nine digits of a second.
    pub t: &'a str,
}

/// What is wrong with a line, or with the place where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The file ends within the line.
    #[error("the line has no line feed")]
    NoLineFeed,
    /// More than [`LINE_BYTES_MAX`] bytes.
    #[error("the line is longer than a line may be")]
    TooLong,
    /// The checksum is missing or belongs to other bytes.
    #[error("the checksum does not match")]
    Checksum,
    /// Whole, but of a version that this program does not know.
    #[error("the line's version is unknown")]
    Version,
    /// Whole, but without the fixed members in their order.
    #[error("the line does not start with v, seq, batch, kind and t")]
    Head,
    /// Whole, but not the JSON that its kind asks for.
    #[error("the line is not the JSON of its kind")]
    Json,
    /// Whole, but with another number than its place asks for.
    #[error("entry {expected} was expected, entry {found} was found")]
    Sequence {
        /// The number after the one before.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
    /// Whole, but its batch is neither the former line's nor a new one.
    #[error("the line's batch does not follow from the line before")]
    Batch,
    /// The segment does not start with its `segment` entry.
    #[error("the segment does not start with a `segment` entry")]
    NotSegment,
    /// The segment before has another size than its successor noted.
    #[error("the segment before has {found} bytes instead of {expected}")]
    Predecessor {
        /// The size that was noted.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// The segment before has the size that its successor noted, and other bytes.
    #[error("the segment before does not have the digest that is noted here")]
    PredecessorDigest,
    /// A segment between two others is not there.
    #[error("the segment before is missing")]
    Missing,
    /// A removal that is not one of the segment that it names.
    #[error("the removal is not that of a segment that was here")]
    Removal,
    /// The file became shorter than what was already durable or read.
    #[error("the file became shorter")]
    Cut,
}

impl Flaw {
    /// Whether a write that was interrupted can look like this. A line whose checksum holds was written
    /// whole.
    #[must_use]
    pub fn may_be_torn(self) -> bool {
        matches!(self, Self::NoLineFeed | Self::TooLong | Self::Checksum)
    }
}

/// Appends one line with its line feed to `out`. `object` is the JSON object of the entry's own members,
/// `unix_ns` the time.
pub(super) fn write(out: &mut Vec<u8>, place: Place, kind: &str, unix_ns: i128, object: &[u8]) {
    let start = out.len();
    let (Place { seq, batch }, t) = (place, timestamp(unix_ns));
    out.extend_from_slice(
        format!(r#"{{"v":1,"seq":{seq},"batch":{batch},"kind":"{kind}","t":"{t:.9}""#).as_bytes(),
    );
    let members = object.get(1..object.len().saturating_sub(1)).unwrap_or_default();
    if !members.is_empty() {
        out.push(b',');
        out.extend_from_slice(members);
    }
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(format!(",\"crc\":\"{crc:08x}\"}}\n").as_bytes());
}

/// The head of a line (without line feed), if its checksum holds. That the members are JSON is left to the
/// reader of its kind.
///
/// # Errors
/// The first [`Flaw`] of the line.
pub fn check(line: &[u8]) -> Result<Head<'_>, Flaw> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Flaw::TooLong);
    }
    let covered = line.len().checked_sub(TRAILER_BYTES).ok_or(Flaw::Checksum)?;
    let (covered, trailer) = line.split_at_checked(covered).ok_or(Flaw::Checksum)?;
    let mut expected = [0; TRAILER_BYTES];
    write!(&mut expected[..], ",\"crc\":\"{:08x}\"}}", crc32c::crc32c(covered))
        .map_err(|_| Flaw::Checksum)?;
    if trailer != expected {
        return Err(Flaw::Checksum);
    }
    if !covered.starts_with(br#"{"v":1,"#) {
        return Err(Flaw::Version);
    }
    head(covered).ok_or(Flaw::Head)
}

/// The fixed members, each exactly as [`write`] spells it.
fn head(covered: &[u8]) -> Option<Head<'_>> {
    let text = std::str::from_utf8(covered).ok()?;
    let (seq, text) = number(text.strip_prefix(r#"{"v":1,"seq":"#)?)?;
    let (batch, text) = number(text.strip_prefix(r#","batch":"#)?)?;
    let (kind, text) = text.strip_prefix(r#","kind":""#)?.split_once('"')?;
    let (t, text) = text.strip_prefix(r#","t":""#)?.split_once('"')?;
    let named = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let timed = t.len() == TIME_BYTES && t.ends_with('Z') && t.parse::<Timestamp>().is_ok();
    let follows = text.is_empty() || text.starts_with(',');
    (named && timed && follows).then_some(Head { place: Place { seq, batch }, kind, t })
}

/// A decimal number without leading zeros, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    let canonical = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| canonical).map(|number| (number, rest))
}

/// The time of a line whose head was checked, in nanoseconds since 1970.
pub(super) fn unix_ns(t: &str) -> i128 {
    t.parse::<Timestamp>().map(Timestamp::as_nanosecond).unwrap_or_default()
}

/// The instant, moved into the years that RFC 3339 can spell with four digits.
pub(super) fn timestamp(unix_ns: i128) -> Timestamp {
    let latest = Timestamp::MAX.as_nanosecond();
    Timestamp::from_nanosecond(unix_ns.clamp(0, latest)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The bytes of `,"crc":"0a1b2c3d"}`.
const TRAILER_BYTES: usize = 18;

/// The bytes of `2026-11-21T19:34:11.123456789Z`.
const TIME_BYTES: usize = 30;
