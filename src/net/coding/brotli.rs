//! Brotli (RFC 7932).
//!
//! Promises: windows of at most 16 MiB, as RFC 7932 has them; the extension by larger ones refuses.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Engine, Step, TRAILING};

/// One stream.
pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    made: usize,
    is_over: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), made: 0, is_over: false }
    }
}

impl Engine for Brotli {
    fn step(&mut self, coded: &[u8], room: &mut [u8]) -> Result<Step, &'static str> {
        if self.is_over {
            return if coded.is_empty() { Ok(Step::default()) } else { Err(TRAILING) };
        }
        let (mut coded_left, mut taken) = (coded.len(), 0);
        let (mut room_left, mut made) = (room.len(), 0);
        let result = BrotliDecompressStream(
            &mut coded_left,
            &mut taken,
            coded,
            &mut room_left,
            &mut made,
            room,
            &mut self.made,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultSuccess => self.is_over = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err("something else than brotli"),
        }
        Ok(Step { taken, made })
    }

    fn is_whole(&self) -> bool {
        self.is_over
    }
}
