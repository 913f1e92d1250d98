//! Response bodies in chunks, which may be large or shorter than announced.
//!
//! Promises that a body of gigabytes costs one chunk of memory. Never fails: what is left out is simply missing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The chunks still to be sent.
#[derive(Debug)]
pub struct WireBody {
    chunks: VecDeque<Bytes>,
    length: Length,
}

/// Whether hyper is told how long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// hyper writes a true `Content-Length`.
    Announced,
    /// The headers say something else, or nothing.
    Unannounced,
}

impl WireBody {
    /// A body of these chunks; empty ones are dropped.
    pub fn new(chunks: impl IntoIterator<Item = Bytes>, length: Length) -> Self {
        Self { chunks: chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect(), length }
    }

    /// `head`, `padding_bytes` times the letter x, `tail`.
    pub fn padded(head: &'static str, padding_bytes: u64, tail: &'static str) -> Self {
        let block = Bytes::from(vec![b'x'; BLOCK_BYTES]);
        let block_bytes = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        let rest = usize::try_from(padding_bytes % block_bytes).unwrap_or_default();
        let blocks = (0..padding_bytes / block_bytes).map(|_| block.clone());
        let head = std::iter::once(Bytes::from_static(head.as_bytes()));
        Self::new(
            head.chain(blocks).chain([block.slice(..rest), Bytes::from_static(tail.as_bytes())]),
            Length::Announced,
        )
    }

    fn bytes_left(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX)).sum()
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.chunks.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Length::Announced => SizeHint::with_exact(self.bytes_left()),
            Length::Unannounced => SizeHint::default(),
        }
    }
}

const BLOCK_BYTES: usize = 64 * 1024;
