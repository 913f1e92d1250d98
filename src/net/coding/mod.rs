//! Content codings (RFC 9110 §8.4.1): what came in gzip, deflate, br or zstd becomes what was coded, piece by piece.
//!
//! Promises: memory is constant, whatever is coded: a piece, a window for each coding, and what was fed and not yet read.
//! Limits hold for what is decoded, for how much longer it is than what was coded, for codings on top of each other and for
//! windows. Checksums are verified, a coding must come to its end, and nothing may follow it. Never encodes, and never takes
//! one coding for another.
//!
//! The decoders behind it are Rust without `unsafe`, but for the ring buffer of zstd's. There are faster ones; the CRM is
//! asked for `identity`, so that what they would save is rarely spent, while what they read is always somebody else's.

mod brotli;
mod gzip;
mod zstd;

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, HeaderMap};

/// A coding that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952, one member or several; also named `x-gzip`.
    Gzip,
    /// RFC 1951 inside of RFC 1950, which is what the name stands for (RFC 9110 §8.4.1.2). Without that wrapper there is
    /// neither head nor checksum to tell it from anything else, so it is refused.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, one frame or several, with windows as RFC 9659 limits them.
    Zstd,
}

/// Limits on codings, beside those on what was coded.
#[derive(Clone, Copy, Debug)]
pub struct CodingLimits {
    /// How many times as long the decoded may be as the coded, beyond the first [`FREE_BYTES`].
    pub ratio_max: u64,
    /// Codings on top of each other.
    pub codings_max: usize,
}

impl Default for CodingLimits {
    fn default() -> Self {
        Self { ratio_max: 200, codings_max: 2 }
    }
}

/// Why something cannot be decoded. Carries places in bytes from 0, never text of a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// The header names something else.
    #[error("`{0}` is none of the codings gzip, deflate, br and zstd")]
    Unknown(String),
    /// The header names too many.
    #[error("{found} codings on top of each other are more than `limits.codings`")]
    Stacked {
        /// How many.
        found: usize,
    },
    /// What was coded is too long.
    #[error("decoded it is longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// What was coded is too long for what came.
    #[error("decoded it is more than {ratio_max} times as long, which `limits.coding_ratio` forbids")]
    TooDense {
        /// The limit.
        ratio_max: u64,
    },
    /// It is not what its name says.
    #[error("not {coding}: {what}, after byte {at}")]
    Broken {
        /// The coding.
        coding: Coding,
        /// What is wrong.
        what: &'static str,
        /// What was good up to there, in what was coded last.
        at: u64,
    },
    /// It stops before its end.
    #[error("{coding} that stops at byte {at}, before its end")]
    Truncated {
        /// The coding.
        coding: Coding,
        /// Where, in what was coded last.
        at: u64,
    },
}

impl CodingError {
    /// Whether it is a limit of size that was met.
    pub fn is_size(&self) -> bool {
        match self {
            CodingError::TooLarge { .. } | CodingError::TooDense { .. } => true,
            CodingError::Unknown(_)
            | CodingError::Stacked { .. }
            | CodingError::Broken { .. }
            | CodingError::Truncated { .. } => false,
        }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        })
    }
}

/// The codings of a body in the order in which they were applied; empty where it is as it was written.
pub fn named_in(headers: &HeaderMap) -> Result<Vec<Coding>, CodingError> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        // A header that is no text is not the absence of one.
        let text = value.to_str().map_err(|_| CodingError::Unknown("?".to_owned()))?;
        for name in text.split(',').map(str::trim) {
            codings.extend(named(name)?);
        }
    }
    Ok(codings)
}

/// The coding of that name; `None` for `identity`, which is none.
fn named(name: &str) -> Result<Option<Coding>, CodingError> {
    match name.to_ascii_lowercase().as_str() {
        "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        "br" => Ok(Some(Coding::Brotli)),
        "zstd" => Ok(Some(Coding::Zstd)),
        other => Err(CodingError::Unknown(other.chars().take(NAME_CHARS_SHOWN).collect())),
    }
}

/// A whole body without the codings that its headers name; as it is where they name none.
pub fn undone(
    headers: &HeaderMap,
    body: &Bytes,
    bytes_max: usize,
    limits: CodingLimits,
) -> Result<Bytes, CodingError> {
    let codings = if body.is_empty() { Vec::new() } else { named_in(headers)? };
    if codings.is_empty() {
        return Ok(body.clone());
    }
    let mut decoder = Decoder::new(&codings, u64::try_from(bytes_max).unwrap_or(u64::MAX), limits)?;
    let mut decoded = Vec::new();
    for piece in body.chunks(PIECE_BYTES) {
        decoder.feed(piece);
        while decoder.read(&mut decoded)? > 0 {}
    }
    decoder.finish()?;
    Ok(Bytes::from(decoded))
}

/// Decodes a body while it comes: [`feed`](Self::feed) a piece, [`read`](Self::read) until there is nothing, and at the end of
/// the body [`finish`](Self::finish).
pub struct Decoder {
    /// The coding that was applied last, and is undone first, comes first.
    layers: Vec<Layer>,
    piece: Box<[u8]>,
    fed: u64,
    limits: CodingLimits,
    bytes_max: u64,
}

/// One coding that is being undone.
struct Layer {
    coding: Coding,
    engine: Box<dyn Engine>,
    waiting: BytesMut,
    taken: u64,
    made: u64,
}

/// Undoes one coding.
trait Engine: Send {
    /// Decodes from the front of `coded` into `room`. Takes and makes nothing only where more must come first.
    fn step(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, &'static str>;

    /// Whether what was taken so far is whole.
    fn is_whole(&self) -> bool;
}

/// What a step did, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    taken: usize,
    made: usize,
}

impl Decoder {
    /// Undoes codings that were applied in this order.
    pub fn new(codings: &[Coding], bytes_max: u64, limits: CodingLimits) -> Result<Self, CodingError> {
        if codings.len() > limits.codings_max {
            return Err(CodingError::Stacked { found: codings.len() });
        }
        let layers = codings.iter().rev().map(|coding| Layer::new(*coding)).collect();
        let piece = vec![0; PIECE_BYTES].into_boxed_slice();
        Ok(Self { layers, piece, fed: 0, limits, bytes_max })
    }

    /// Hands in the next piece of what was coded.
    pub fn feed(&mut self, coded: &[u8]) {
        self.fed = self.fed.saturating_add(length(coded));
        if let Some(first) = self.layers.first_mut() {
            first.waiting.extend_from_slice(coded);
        }
    }

    /// Appends what can be decoded of it, [`PIECE_BYTES`] at most; 0 means that more must be fed.
    pub fn read(&mut self, into: &mut Vec<u8>) -> Result<usize, CodingError> {
        let made_max = self.made_max();
        let made = pull(&mut self.layers, &mut self.piece, &made_max)?;
        into.extend_from_slice(self.piece.get(..made).unwrap_or_default());
        Ok(made)
    }

    /// Whether what was fed is whole. To be asked once nothing can be read any more.
    pub fn finish(&self) -> Result<(), CodingError> {
        let cut = self.layers.iter().find(|layer| !(layer.engine.is_whole() && layer.waiting.is_empty()));
        match cut {
            Some(layer) => Err(CodingError::Truncated { coding: layer.coding, at: layer.taken }),
            None => Ok(()),
        }
    }

    /// What may have been made by now, and what it means if more was.
    fn made_max(&self) -> (u64, CodingError) {
        let dense_max = std::cmp::max(self.fed.saturating_mul(self.limits.ratio_max), FREE_BYTES);
        match dense_max < self.bytes_max {
            true => (dense_max, CodingError::TooDense { ratio_max: self.limits.ratio_max }),
            false => (self.bytes_max, CodingError::TooLarge { bytes_max: self.bytes_max }),
        }
    }
}

/// Fills room from the last of some layers, which takes what it needs from those before it.
fn pull(layers: &mut [Layer], room: &mut [u8], made_max: &(u64, CodingError)) -> Result<usize, CodingError> {
    let Some((last, before)) = layers.split_last_mut() else { return Ok(0) };
    loop {
        let step = last.step(room)?;
        if last.made > made_max.0 {
            return Err(made_max.1.clone());
        }
        if step.made > 0 {
            return Ok(step.made);
        }
        if step.taken > 0 {
            continue;
        }
        let mut piece = [0; INNER_PIECE_BYTES];
        let made = pull(before, &mut piece, made_max)?;
        if made == 0 {
            return Ok(0);
        }
        last.waiting.extend_from_slice(piece.get(..made).unwrap_or_default());
    }
}

impl Layer {
    fn new(coding: Coding) -> Self {
        let engine: Box<dyn Engine> = match coding {
            Coding::Gzip => Box::new(gzip::Gzip::default()),
            Coding::Deflate => Box::new(gzip::Zlib::default()),
            Coding::Brotli => Box::new(brotli::Brotli::default()),
            Coding::Zstd => Box::new(zstd::Zstd::default()),
        };
        Self { coding, engine, waiting: BytesMut::new(), taken: 0, made: 0 }
    }

    fn step(&mut self, room: &mut [u8]) -> Result<Step, CodingError> {
        let broken = |what| CodingError::Broken { coding: self.coding, what, at: self.taken };
        let step = self.engine.step(&self.waiting, room).map_err(broken)?;
        self.waiting.advance(step.taken.min(self.waiting.len()));
        self.taken = self.taken.saturating_add(u64::try_from(step.taken).unwrap_or(u64::MAX));
        self.made = self.made.saturating_add(u64::try_from(step.made).unwrap_or(u64::MAX));
        Ok(step)
    }
}

/// Members of gzip or frames of zstd, one after the other: each costs time, however short it is.
#[derive(Default)]
struct Parts {
    begun: u64,
    made: u64,
}

impl Parts {
    fn begin(&mut self) -> Result<(), &'static str> {
        self.begun += 1;
        match self.begun <= PARTS_FREE + self.made / PART_BYTES_MEAN {
            true => Ok(()),
            false => Err("too many parts that hold next to nothing"),
        }
    }

    fn make(&mut self, bytes: usize) {
        self.made = self.made.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The first `COUNT` bytes, if they are there.
fn first<const COUNT: usize>(bytes: &[u8]) -> Option<[u8; COUNT]> {
    bytes.first_chunk().copied()
}

/// What a read appends at most.
pub const PIECE_BYTES: usize = 64 * 1024;
/// What may be decoded however little was coded: short answers are often all alike.
pub const FREE_BYTES: u64 = 1 << 20;
/// What goes from one coding to the next at once.
const INNER_PIECE_BYTES: usize = 4 * 1024;
/// Parts that may be as short as they like.
const PARTS_FREE: u64 = 1_000;
/// What further ones must hold on the average.
const PART_BYTES_MEAN: u64 = 1024;
/// Of an unknown name.
const NAME_CHARS_SHOWN: usize = 40;
/// What follows the end of a coding.
const TRAILING: &str = "bytes after its end";

#[cfg(test)]
mod tests;
