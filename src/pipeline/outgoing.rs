//! Replies on their way out, and whether they got there.
//!
//! Promises: a reply counts as delivered once all of its bytes were handed to the operating system, and as abandoned if
//! the connection ended before. Never says delivered of bytes that still wait in our own buffers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::oneshot;

use super::stream::{Broken, FlowBody};

/// A reply on its way out; tells whether it got there.
pub struct Outgoing {
    status: u16,
    headers: HeaderMap,
    body: OutgoingBody,
}

/// A body that tells, once it was flushed or dropped, whether it got there.
pub struct OutgoingBody {
    bytes: Option<Bytes>,
    flow: Option<FlowBody>,
    told: Option<oneshot::Sender<bool>>,
    deliveries: Option<Arc<Deliveries>>,
}

/// The replies of one connection that wait in its buffers.
#[derive(Default)]
pub struct Deliveries {
    waiting: Mutex<Vec<oneshot::Sender<bool>>>,
}

/// A connection that tells its deliveries when it was flushed and when it ends.
pub struct Watched<I> {
    inner: I,
    deliveries: Arc<Deliveries>,
}

impl Outgoing {
    /// A reply, and what will tell whether it got there.
    pub fn new(status: u16, headers: HeaderMap, body: Bytes) -> (Self, oneshot::Receiver<bool>) {
        let (told, telling) = oneshot::channel();
        let body = OutgoingBody { bytes: Some(body), flow: None, told: Some(told), deliveries: None };
        (Self { status, headers, body }, telling)
    }

    /// A reply whose body still comes in, and what will tell whether all of it got there.
    pub fn flowing(status: u16, headers: HeaderMap, flow: FlowBody) -> (Self, oneshot::Receiver<bool>) {
        let (told, telling) = oneshot::channel();
        let body = OutgoingBody { bytes: None, flow: Some(flow), told: Some(told), deliveries: None };
        (Self { status, headers, body }, telling)
    }

    /// The reply for a connection.
    pub fn into_response(self, deliveries: &Arc<Deliveries>) -> Response<OutgoingBody> {
        let mut body = self.body;
        body.deliveries = Some(Arc::clone(deliveries));
        // hyper never polls an empty body, so from here on it waits for the flush of its head.
        if body.is_end_stream() {
            body.wait();
        }
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}

impl OutgoingBody {
    fn wait(&mut self) {
        if let Some((deliveries, told)) = self.deliveries.as_ref().zip(self.told.take()) {
            deliveries.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(flow) = &mut self.flow {
            let frame = ready!(Pin::new(&mut *flow).poll_frame(context));
            // Where the length was announced, nobody asks for more than that.
            if flow.is_taken() {
                self.wait();
            }
            return Poll::Ready(frame);
        }
        let bytes = self.bytes.take().filter(|bytes| !bytes.is_empty());
        self.wait();
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        if let Some(flow) = &self.flow {
            return flow.is_end_stream();
        }
        self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(flow) = &self.flow {
            return flow.size_hint();
        }
        SizeHint::with_exact(
            self.bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        )
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            let _ = told.send(false);
        }
    }
}

impl Deliveries {
    fn tell(&self, is_delivered: bool) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for told in waiting {
            let _ = told.send(is_delivered);
        }
    }
}

impl<I> Watched<I> {
    /// Watches a connection.
    pub fn new(inner: I) -> (Self, Arc<Deliveries>) {
        let deliveries = Arc::new(Deliveries::default());
        (Self { inner, deliveries: Arc::clone(&deliveries) }, deliveries)
    }
}

impl<I> Drop for Watched<I> {
    fn drop(&mut self) {
        self.deliveries.tell(false);
    }
}

impl<I: Read + Unpin> Read for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<I: Write + Unpin> Write for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    /// hyper flushes the connection only after it wrote all that waits in its own buffer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(context));
        self.deliveries.tell(flushed.is_ok());
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
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }
}
