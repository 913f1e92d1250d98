//! Replies on their way out, and whether they got there.
//!
//! Promises: a reply counts as delivered once all of its bytes were handed to the operating system, and as abandoned if
//! the connection or its stream ended before. Never says delivered of bytes that still wait in our own buffers.
//!
//! The rule is one for HTTP/1.1 and HTTP/2. The body is handed over as one buffer that knows when its last byte was taken
//! out of it: hyper and h2 take bytes only to write them, and h2 takes the last one with the frame that ends the stream.
//! The next flush of the connection that succeeds after that had nothing of this reply left to write. A reply without a
//! body has no such byte. Over HTTP/1.1 its head is written before the next flush; over HTTP/2 the head may wait in
//! a queue of its stream while others are flushed, so whether it got there is `unknown`. The same holds over HTTP/2 for a
//! body that still comes in and whose length nobody announced: its last byte is not known for the last one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::HeaderMap;
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::stream::{Broken, FlowBody};
use crate::ledger::entry::Delivered;
use crate::net::vitals::{Opened, Protocol, Ticket};

/// A reply on its way out; tells whether it got there.
pub struct Outgoing {
    status: u16,
    headers: HeaderMap,
    body: OutgoingBody,
}

/// A body that tells, once it was flushed or dropped, whether it got there.
pub struct OutgoingBody {
    bytes: Bytes,
    flow: Option<FlowBody>,
    ticket: Option<Ticket>,
}

/// Bytes of a body that notice when they are taken.
pub struct Sent {
    bytes: Bytes,
    ticket: Option<Ticket>,
}

impl Outgoing {
    /// A reply, and what will tell whether it got there.
    pub fn new(status: u16, headers: HeaderMap, body: Bytes) -> (Self, oneshot::Receiver<Delivered>) {
        let (ticket, telling) = Ticket::new();
        let body = OutgoingBody { bytes: body, flow: None, ticket: Some(ticket) };
        (Self { status, headers, body }, telling)
    }

    /// A reply whose body still comes in, and what will tell whether all of it got there.
    pub fn flowing(status: u16, headers: HeaderMap, flow: FlowBody) -> (Self, oneshot::Receiver<Delivered>) {
        let (ticket, telling) = Ticket::new();
        let body = OutgoingBody { bytes: Bytes::new(), flow: Some(flow), ticket: Some(ticket) };
        (Self { status, headers, body }, telling)
    }

    /// The reply for a connection; it ends the exchange.
    pub fn into_response(self, opened: Opened) -> Response<OutgoingBody> {
        let mut body = self.body;
        if let Some(mut ticket) = body.ticket.take() {
            let protocol = opened.protocol();
            ticket.bind(opened);
            match (body.is_end_stream(), protocol) {
                (false, _) => body.ticket = Some(ticket),
                (true, Protocol::Http1) => ticket.await_flush(),
                (true, Protocol::Http2) => ticket.tell(Delivered::Unknown),
            }
        }
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}

impl OutgoingBody {
    /// The next piece of a body that still comes in; the last one carries the ticket, if it is known to be the last.
    fn poll_flow(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Sent>, Broken>>> {
        let Some(flow) = &mut self.flow else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *flow).poll_frame(context));
        let is_last = flow.is_taken();
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let bytes = frame.into_data().unwrap_or_default();
                let ticket = if is_last { self.ticket.take() } else { None };
                Some(Ok(Frame::data(Sent { bytes, ticket })))
            }
            Some(Err(broken)) => Some(Err(broken)),
            None => {
                self.end_unannounced();
                None
            }
        })
    }

    /// The end of a body whose length nobody announced.
    fn end_unannounced(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        match ticket.opened().map(Opened::protocol) {
            Some(Protocol::Http1) => ticket.await_flush(),
            Some(Protocol::Http2) | None => ticket.tell(Delivered::Unknown),
        }
    }
}

impl Body for OutgoingBody {
    type Data = Sent;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Sent>, Broken>>> {
        if self.flow.is_some() {
            return self.poll_flow(context);
        }
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let sent = Sent { bytes: std::mem::take(&mut self.bytes), ticket: self.ticket.take() };
        Poll::Ready(Some(Ok(Frame::data(sent))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.flow {
            Some(flow) => flow.is_end_stream(),
            None => self.bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.flow {
            Some(flow) => flow.size_hint(),
            None => SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)),
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
        if let Some(opened) = self.ticket.as_ref().and_then(Ticket::opened) {
            opened.note_written(count);
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
