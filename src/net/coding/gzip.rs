//! gzip (RFC 1952) and zlib (RFC 1950), both around deflate (RFC 1951).
//!
//! Promises: members of gzip may follow each other and nothing else may; flags that RFC 1952 reserves, checksums that do not
//! fit and dictionaries refuse.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Engine, Parts, Step, TRAILING, first};

/// One or more members.
pub(super) struct Gzip {
    place: Place,
    parts: Parts,
    inflate: Decompress,
    sum: Crc,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the head of the first member.
    Start,
    /// In the body of a member.
    Body,
    /// Before the checksum of a member.
    Sum,
    /// Behind a member.
    Between,
}

impl Default for Gzip {
    fn default() -> Self {
        let inflate = Decompress::new(false);
        Self { place: Place::Start, parts: Parts::default(), inflate, sum: Crc::new() }
    }
}

impl Engine for Gzip {
    fn step(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, &'static str> {
        match self.place {
            Place::Start | Place::Between => self.begin(coded),
            Place::Body => {
                let (step, is_over) = inflate(&mut self.inflate, coded, room)?;
                self.sum.update(room.get(..step.made).unwrap_or_default());
                self.parts.make(step.made);
                if is_over {
                    self.place = Place::Sum;
                }
                Ok(step)
            }
            Place::Sum => self.check(coded),
        }
    }

    fn is_whole(&self) -> bool {
        self.place == Place::Between
    }
}

impl Gzip {
    fn begin(&mut self, coded: &[u8]) -> Result<Step, &'static str> {
        let is_member = MAGIC.iter().zip(coded).all(|(expected, found)| expected == found);
        if !is_member {
            return Err(if self.place == Place::Start { "another beginning" } else { TRAILING });
        }
        let Some(taken) = head_length(coded)? else { return Ok(Step::default()) };
        self.parts.begin()?;
        self.inflate.reset(false);
        self.sum.reset();
        self.place = Place::Body;
        Ok(Step { taken, made: 0 })
    }

    /// The checksum and the length of what a member holds (RFC 1952 §2.3.1).
    fn check(&mut self, coded: &[u8]) -> Result<Step, &'static str> {
        let Some([a, b, c, d, e, f, g, h]) = first::<8>(coded) else { return Ok(Step::default()) };
        if u32::from_le_bytes([a, b, c, d]) != self.sum.sum() {
            return Err("a wrong checksum");
        }
        if u32::from_le_bytes([e, f, g, h]) != self.sum.amount() {
            return Err("a wrong length");
        }
        self.place = Place::Between;
        Ok(Step { taken: 8, made: 0 })
    }
}

/// The length of a member's head (RFC 1952 §2.3); `None` if it is not whole yet.
fn head_length(coded: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(length) = head_end(coded)? else {
        return if coded.len() > HEAD_BYTES_MAX { Err("a head that is too long") } else { Ok(None) };
    };
    if length > HEAD_BYTES_MAX { Err("a head that is too long") } else { Ok(Some(length)) }
}

fn head_end(coded: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some([_, _, method, flags, ..]) = first::<10>(coded) else { return Ok(None) };
    if method != DEFLATE {
        return Err("an unknown method of compression");
    }
    if flags & RESERVED != 0 {
        return Err("a reserved flag");
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        let Some([low, high]) = coded.get(at..).and_then(first::<2>) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let Some(text) = coded.get(at..) else { return Ok(None) };
            let Some(end) = text.iter().position(|byte| *byte == 0) else { return Ok(None) };
            at += end + 1;
        }
    }
    if flags & HEAD_SUM != 0 {
        let (Some(head), Some(sum)) = (coded.get(..at), coded.get(at..).and_then(first::<2>)) else {
            return Ok(None);
        };
        let mut crc = Crc::new();
        crc.update(head);
        let [a, b, ..] = crc.sum().to_le_bytes();
        if sum != [a, b] {
            return Err("a wrong checksum of its head");
        }
        at += 2;
    }
    Ok((at <= coded.len()).then_some(at))
}

/// One zlib stream.
pub(super) struct Zlib {
    inflate: Decompress,
    place: Place,
}

impl Default for Zlib {
    fn default() -> Self {
        Self { inflate: Decompress::new(true), place: Place::Start }
    }
}

impl Engine for Zlib {
    fn step(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, &'static str> {
        match self.place {
            Place::Start => {
                let Some([method, flags]) = first::<2>(coded) else { return Ok(Step::default()) };
                check_zlib_head(method, flags)?;
                self.place = Place::Body;
                self.step(coded, room)
            }
            Place::Body | Place::Sum => {
                let (step, is_over) = inflate(&mut self.inflate, coded, room)?;
                if is_over {
                    self.place = Place::Between;
                }
                Ok(step)
            }
            Place::Between if coded.is_empty() => Ok(Step::default()),
            Place::Between => Err(TRAILING),
        }
    }

    fn is_whole(&self) -> bool {
        self.place == Place::Between
    }
}

/// RFC 1950 §2.2.
fn check_zlib_head(method: u8, flags: u8) -> Result<(), &'static str> {
    let is_checked = u16::from_be_bytes([method, flags]).is_multiple_of(31);
    if method & 0x0f != DEFLATE || method >> 4 > WINDOW_MAX || !is_checked {
        return Err("no head of zlib");
    }
    if flags & DICTIONARY != 0 { Err("a dictionary that is not there") } else { Ok(()) }
}

/// Goes on inflating, and tells whether the stream came to its end.
fn inflate(inflate: &mut Decompress, coded: &[u8], room: &mut [u8]) -> Result<(Step, bool), &'static str> {
    let (taken, made) = (inflate.total_in(), inflate.total_out());
    let status =
        inflate.decompress(coded, room, FlushDecompress::None).map_err(|_| "something else than deflate")?;
    let since = |total: u64, before| usize::try_from(total - before).unwrap_or(usize::MAX);
    let step = Step { taken: since(inflate.total_in(), taken), made: since(inflate.total_out(), made) };
    Ok((step, status == Status::StreamEnd))
}

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const HEAD_SUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;
/// The window, as zlib's head has it: 32 KiB.
const WINDOW_MAX: u8 = 7;
/// In the second byte of zlib's head.
const DICTIONARY: u8 = 1 << 5;
/// Of a member's head: names and comments are short, and it must be held until it is whole.
const HEAD_BYTES_MAX: usize = 4 * 1024;
