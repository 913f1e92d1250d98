//! Replies on their way out, and whether they got there.
//!
//! Promises: a reply counts as delivered once all of its bytes were handed to the operating system, and as abandoned if
//! the connection or its stream ended before. Never says delivered of bytes that still wait in our own buffers.
//!
//! The rule is one for HTTP/1.1 and HTTP/2. Bodies are handed over in pieces that know when their last byte was taken:
//! hyper and h2 take bytes only to write them, and h2 takes the last one with the frame that ends the stream. The next
//! flush of the connection that succeeds after that had nothing of this reply left to write. Where nothing but the end is
//! left to send (a reply without a body, or one whose length was not announced), there is no such byte. Over HTTP/1.1 the end
//! is written before the next flush; over HTTP/2 it may wait in a queue of its stream while others are flushed, so
//! whether it got there is `unknown`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::HeaderMap;
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::stream::{Broken, FlowBody};
use crate::ledger::entry::Delivered;
use crate::net::vitals::{Opened, Progress, Protocol, Ticket};

/// A reply on its way out; tells whether it got there.
pub struct Outgoing {
    status: u16,
    headers: HeaderMap,
    body: OutgoingBody,
}

/// A body that tells, once it was flushed or dropped, whether it got there.
pub struct OutgoingBody {
    content: Content,
    ticket: Option<Ticket>,
}

enum Content {
    Whole(Bytes),
    Flow(FlowBody),
}

/// Bytes of a body that notice when they are taken.
pub struct Sent {
    bytes: Bytes,
    progress: Option<Progress>,
    /// With the last piece.
    ticket: Option<Ticket>,
}

impl Outgoing {
    /// A reply, and what will tell whether it got there.
    pub fn new(status: u16, headers: HeaderMap, body: Bytes) -> (Self, oneshot::Receiver<Delivered>) {
        Self::with(status, headers, Content::Whole(body))
    }

    /// A reply whose body still comes in, and what will tell whether all of it got there.
    pub fn flowing(status: u16, headers: HeaderMap, flow: FlowBody) -> (Self, oneshot::Receiver<Delivered>) {
        Self::with(status, headers, Content::Flow(flow))
    }

    fn with(status: u16, headers: HeaderMap, content: Content) -> (Self, oneshot::Receiver<Delivered>) {
        let (ticket, telling) = Ticket::new();
        (Self { status, headers, body: OutgoingBody { content, ticket: Some(ticket) } }, telling)
    }

    /// The reply for a connection; it ends the exchange.
    pub fn into_response(self, opened: Opened) -> Response<OutgoingBody> {
        let mut body = self.body;
        if let Some(ticket) = &mut body.ticket {
            ticket.bind(opened);
        }
        // hyper never polls an empty body.
        if body.is_end_stream() {
            body.end();
        }
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}

impl OutgoingBody {
    /// Nothing but the end is left to send.
    fn end(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        match ticket.opened().map(Opened::protocol) {
            Some(Protocol::Http2) => ticket.tell(Delivered::Unknown),
            _ => ticket.await_flush(),
        }
    }

    fn piece(&mut self, bytes: Bytes) -> Sent {
        let progress = self.ticket.as_ref().and_then(Ticket::opened).map(Opened::progress);
        if let Some(progress) = &progress {
            progress.hand_over(bytes.len());
        }
        let is_last = self.is_end_stream() && !bytes.is_empty();
        Sent { bytes, progress, ticket: if is_last { self.ticket.take() } else { None } }
    }
}

impl Body for OutgoingBody {
    type Data = Sent;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Sent>, Broken>>> {
        let bytes = match &mut self.content {
            Content::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Content::Flow(flow) => {
                let frame = ready!(Pin::new(flow).poll_frame(context)).transpose()?;
                frame.map(|frame| frame.into_data().unwrap_or_default())
            }
        };
        match bytes {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(self.piece(bytes))))),
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Flow(flow) => flow.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Content::Flow(flow) => flow.size_hint(),
        }
    }
}

impl Buf for Sent {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(progress) = &self.progress {
            progress.take(count);
        }
        if self.bytes.is_empty()
            && let Some(ticket) = self.ticket.take()
        {
            ticket.await_flush();
        }
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
