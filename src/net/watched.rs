//! A connection whose reads and flushes are noted.
//!
//! Promises: it changes no byte. A flush counts only once the layers below (TLS, then the socket) have said that it is done.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::vitals::Vitals;
use crate::ledger::entry::Delivered;

/// A connection that tells its vitals when it was read and flushed, and when it ends.
pub struct Watched<I> {
    inner: I,
    vitals: Arc<Vitals>,
    first: Arc<FirstByte>,
}

/// The first byte that was read; 0 before that.
#[derive(Debug, Default)]
pub struct FirstByte(AtomicU8);

impl FirstByte {
    /// Whether the connection opened like a TLS handshake (RFC 8446 §5.1).
    pub fn is_tls(&self) -> bool {
        self.0.load(Ordering::Relaxed) == TLS_HANDSHAKE
    }
}

impl<I> Watched<I> {
    /// Watches a connection.
    pub fn new(inner: I, vitals: Arc<Vitals>) -> (Self, Arc<FirstByte>) {
        let first = Arc::new(FirstByte::default());
        (Self { inner, vitals, first: Arc::clone(&first) }, first)
    }
}

impl<I> Watched<I> {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.vitals.note_socket(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.vitals.note_blocked(),
        }
        written
    }
}

impl<I> Drop for Watched<I> {
    fn drop(&mut self) {
        self.vitals.tell_waiting(Delivered::Abandoned);
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if let Some(first) = buffer.filled().get(before) {
            let _ = self.first.0.compare_exchange(0, *first, Ordering::Relaxed, Ordering::Relaxed);
            self.vitals.note_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.note(written)
    }

    /// hyper and h2 flush a connection only after they wrote all that waits in their own buffers.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Poll::Ready(flushed) = Pin::new(&mut self.inner).poll_flush(context) else {
            self.vitals.note_blocked();
            return Poll::Pending;
        };
        let delivered = if flushed.is_ok() { Delivered::Yes } else { Delivered::Abandoned };
        self.vitals.tell_waiting(delivered);
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.note(written)
    }
}

const TLS_HANDSHAKE: u8 = 0x16;
