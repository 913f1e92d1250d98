//! Zstandard (RFC 8878), with windows as RFC 9659 limits them.
//!
//! Promises: frames may follow each other, skippable ones too, and nothing else may; a frame's checksum and its length are
//! verified where it states them; dictionaries refuse. A block is decoded once it is whole, and at most one at a time.

use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, FrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Engine, Parts, Step, TRAILING, first};

/// One or more frames.
pub(super) struct Zstd {
    place: Place,
    parts: Parts,
    decoder: FrameDecoder,
    /// Of the frame that is being decoded.
    made: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the head of the first frame.
    Start,
    /// In a frame.
    Frame(Head),
    /// In a skippable frame, with so many bytes to come.
    Skipping(usize),
    /// Behind a frame.
    Between,
}

/// What a frame's head says (RFC 8878 §3.1.1.1).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Head {
    bytes: usize,
    has_sum: bool,
    has_length: bool,
}

impl Default for Zstd {
    fn default() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Self { place: Place::Start, parts: Parts::default(), decoder, made: 0 }
    }
}

impl Engine for Zstd {
    fn step(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, &'static str> {
        match self.place {
            Place::Start | Place::Between => self.begin(coded),
            Place::Skipping(left) => {
                let taken = left.min(coded.len());
                let rest = left - taken;
                self.place = if rest == 0 { Place::Between } else { Place::Skipping(rest) };
                Ok(Step { taken, made: 0 })
            }
            Place::Frame(head) => self.go_on(head, coded, room),
        }
    }

    fn is_whole(&self) -> bool {
        self.place == Place::Between
    }
}

impl Zstd {
    fn begin(&mut self, coded: &[u8]) -> Result<Step, &'static str> {
        let Some(magic) = first::<4>(coded) else { return Ok(Step::default()) };
        let magic = u32::from_le_bytes(magic);
        if magic & SKIPPABLE_MASK == SKIPPABLE {
            let Some(length) = coded.get(4..).and_then(first::<4>) else { return Ok(Step::default()) };
            self.parts.begin()?;
            let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            self.place = if length == 0 { Place::Between } else { Place::Skipping(length) };
            return Ok(Step { taken: 8, made: 0 });
        }
        if magic != MAGIC {
            return Err(if self.place == Place::Start { "another beginning" } else { TRAILING });
        }
        let Some(head) = coded.get(4).map(|descriptor| Head::of(*descriptor)) else {
            return Ok(Step::default());
        };
        let Some(mut bytes) = coded.get(..head.bytes) else { return Ok(Step::default()) };
        self.parts.begin()?;
        self.decoder.reset(&mut bytes).map_err(|error| reason(&error))?;
        self.place = Place::Frame(head);
        self.made = 0;
        Ok(Step { taken: head.bytes, made: 0 })
    }

    /// Hands out what was decoded, and only then decodes the next block.
    fn go_on(&mut self, head: Head, coded: &[u8], room: &mut [u8]) -> Result<Step, &'static str> {
        let made = self.decoder.read(room).map_err(|_| BROKEN)?;
        if made > 0 {
            self.made = self.made.saturating_add(u64::try_from(made).unwrap_or(u64::MAX));
            self.parts.make(made);
            return Ok(Step { taken: 0, made });
        }
        if self.decoder.is_finished() {
            self.check(head)?;
            self.place = Place::Between;
            return self.begin(coded);
        }
        let Some(mut block) = block_length(coded, head)?.and_then(|length| coded.get(..length)) else {
            return Ok(Step::default());
        };
        let taken = block.len();
        self.decoder
            .decode_blocks(&mut block, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| reason(&error))?;
        Ok(Step { taken, made: 0 })
    }

    fn check(&self, head: Head) -> Result<(), &'static str> {
        let (stated, found) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if head.has_sum && stated != found {
            return Err("a wrong checksum");
        }
        if head.has_length && self.decoder.content_size() != self.made {
            return Err("a wrong length");
        }
        Ok(())
    }
}

impl Head {
    /// What the descriptor says of a frame's head (RFC 8878 §3.1.1.1.1).
    fn of(descriptor: u8) -> Self {
        let is_single = descriptor & 0b10_0000 != 0;
        let window = if is_single { 0 } else { 1 };
        let dictionary = match descriptor & 0b11 {
            0 => 0,
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let length = match (descriptor >> 6, is_single) {
            (0, false) => 0,
            (0, true) => 1,
            (1, _) => 2,
            (2, _) => 4,
            _ => 8,
        };
        let bytes = 5 + window + dictionary + length;
        Self { bytes, has_sum: descriptor & 0b100 != 0, has_length: length > 0 }
    }
}

/// The length of a block with its head, and with the checksum behind the last one (RFC 8878 §3.1.1.2).
fn block_length(coded: &[u8], head: Head) -> Result<Option<usize>, &'static str> {
    let Some([a, b, c]) = first::<3>(coded) else { return Ok(None) };
    let bits = u32::from_le_bytes([a, b, c, 0]);
    let size = usize::try_from(bits >> 3).unwrap_or(usize::MAX);
    if size > BLOCK_BYTES_MAX {
        return Err("a block that is too long");
    }
    let held = match (bits >> 1) & 0b11 {
        RUN => 1,
        RESERVED => return Err("a block of a reserved type"),
        _ => size,
    };
    let sum = if bits & 1 == 1 && head.has_sum { 4 } else { 0 };
    Ok(Some(3 + held + sum))
}

fn reason(error: &FrameDecoderError) -> &'static str {
    match error {
        FrameDecoderError::WindowSizeTooBig { .. }
        | FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { .. }) => {
            "a window of more than 8 MiB"
        }
        FrameDecoderError::DictNotProvided { .. } => "a dictionary that is not there",
        _ => BROKEN,
    }
}

const MAGIC: u32 = 0xfd2f_b528;
/// The last four bits are free (RFC 8878 §3.1.2).
const SKIPPABLE: u32 = 0x184d_2a50;
const SKIPPABLE_MASK: u32 = 0xffff_fff0;
/// RFC 9659 §3.
const WINDOW_BYTES_MAX: u64 = 8 << 20;
/// RFC 8878 §3.1.1.2.4.
const BLOCK_BYTES_MAX: usize = 128 * 1024;
/// Types of blocks.
const RUN: u32 = 1;
const RESERVED: u32 = 3;
const BROKEN: &str = "something else than zstd";
