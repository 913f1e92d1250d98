//! Bodies that pass piece by piece: a source that is read under limits, and a body that ends only if the source did.
//!
//! Promises: at most so many pieces wait; a source that breaks, stalls or grows too long breaks the body that it feeds, so
//! that nobody takes a part for the whole. Never opens a socket, and never looks into a piece.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::multipart::Scanner;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Limits on one body that passes.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Bytes.
    pub bytes_max: u64,
    /// Milliseconds between two pieces.
    pub idle_ms: u64,
    /// Milliseconds for the whole.
    pub time_ms: u64,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { bytes_max: 1 << 30, idle_ms: 30_000, time_ms: 3_600_000 }
    }
}

/// Who sends a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The caller.
    Caller,
    /// The CRM.
    Crm,
}

/// A body that comes in, not yet read.
pub struct Source {
    body: Incoming,
    sender: Sender,
    limits: StreamLimits,
    /// Bytes that came.
    received: u64,
    scanner: Option<Scanner>,
}

/// What became of a body that passes.
#[derive(Debug)]
pub struct Pumped {
    /// Bytes that were handed on.
    pub bytes: u64,
    /// How it ended.
    pub end: PumpEnd,
    /// Why it broke, if it did.
    pub problem: Option<Problem>,
}

/// How a body that passes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PumpEnd {
    /// All of it was handed on.
    Whole,
    /// Nobody took it any more.
    Left,
    /// It broke.
    Broken,
}

/// Feeds a [`FlowBody`].
pub struct Sink {
    pieces: mpsc::Sender<Piece>,
    gauge: Gauge,
}

/// A body that is fed while it is sent.
pub struct FlowBody {
    pieces: mpsc::Receiver<Piece>,
    left: Option<u64>,
    is_over: bool,
    gauge: Gauge,
}

/// How far a body came, and the way to break it off from outside.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Flowing>);

#[derive(Debug, Default)]
struct Flowing {
    bytes: AtomicU64,
    is_cut: AtomicBool,
}

impl Gauge {
    /// Breaks the body off: nothing of it leaves any more, what waits included. Whoever feeds it is to be dropped after that.
    pub fn cut(&self, problem: Problem) -> Pumped {
        self.0.is_cut.store(true, Ordering::Release);
        Pumped { bytes: self.0.bytes.load(Ordering::Acquire), end: PumpEnd::Broken, problem: Some(problem) }
    }
}

/// A body that broke off. It reaches no caller as text: the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
pub struct Broken;

enum Piece {
    Data(Bytes),
    End,
}

impl Source {
    /// A body to be read; one that announces more than the limit is refused at once.
    pub fn new(body: Incoming, sender: Sender, limits: StreamLimits) -> Result<Self, Problem> {
        match body.size_hint().lower() > limits.bytes_max {
            true => Err(sender.too_large().into()),
            false => Ok(Self { body, sender, limits, received: 0, scanner: None }),
        }
    }

    /// The same, handed on only as far as a scanner has read it.
    #[must_use]
    pub fn scanned_by(mut self, scanner: Scanner) -> Self {
        self.scanner = Some(scanner);
        self
    }

    /// The length, if it was announced.
    pub fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Hands everything on, piece by piece, and drops what nobody takes.
    pub async fn pump(mut self, sink: Sink) -> Pumped {
        let mut bytes = 0;
        let time = Duration::from_millis(self.limits.time_ms);
        let ended = timeout(time, self.hand_on(&sink, &mut bytes)).await;
        sink.ended(ended.unwrap_or_else(|_| Err(self.sender.too_slow().into())), bytes).await
    }

    async fn hand_on(&mut self, sink: &Sink, bytes: &mut u64) -> Result<PumpEnd, Problem> {
        let idle = Duration::from_millis(self.limits.idle_ms);
        // What was scanned waits for what comes next: a form must not be whole for the CRM before it is for the scanner.
        let mut waiting = Bytes::new();
        while let Some(piece) = self.next().await? {
            let piece = match &mut self.scanner {
                Some(scanner) => match scanner.feed(&piece)? {
                    ready if ready.is_empty() => continue,
                    ready => std::mem::replace(&mut waiting, ready),
                },
                None => piece,
            };
            if !sink.take(piece, bytes, idle).await {
                return Ok(PumpEnd::Left);
            }
        }
        self.scanner.as_ref().map_or(Ok(()), Scanner::finish)?;
        Ok(if sink.take(waiting, bytes, idle).await { PumpEnd::Whole } else { PumpEnd::Left })
    }

    /// The next piece; `None` at the end. One that is over the limit is an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = timeout(Duration::from_millis(self.limits.idle_ms), self.body.frame()).await;
            match frame {
                Err(_) => return Err(self.sender.too_slow().into()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Problem::new(self.sender.broken()).internal(error.to_string()));
                }
                // Trailers are dropped.
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.received = self.received.saturating_add(length(&data));
                        return match self.received > self.limits.bytes_max {
                            true => Err(self.sender.too_large().into()),
                            false => Ok(Some(data)),
                        };
                    }
                }
            }
        }
    }
}

impl Sink {
    /// Says that this was all, if it was, and what became of it.
    pub(super) async fn ended(&self, ended: Result<PumpEnd, Problem>, bytes: u64) -> Pumped {
        if let Ok(PumpEnd::Whole) = ended {
            // Where the length was announced, nobody may wait for the end any more.
            let _ = self.pieces.send(Piece::End).await;
        }
        match ended {
            Ok(end) => Pumped { bytes, end, problem: None },
            Err(problem) => Pumped { bytes, end: PumpEnd::Broken, problem: Some(problem) },
        }
    }

    /// Hands on a piece; `false` if nobody takes it any more, or takes nothing for too long.
    pub(super) async fn take(&self, piece: Bytes, bytes: &mut u64, idle: Duration) -> bool {
        let length = length(&piece);
        if length == 0 {
            return true;
        }
        let taken = timeout(idle, self.pieces.send(Piece::Data(piece))).await;
        let is_taken = matches!(taken, Ok(Ok(())));
        if is_taken {
            self.gauge.0.bytes.fetch_add(length, Ordering::AcqRel);
        }
        *bytes += if is_taken { length } else { 0 };
        is_taken
    }
}

impl Sender {
    fn too_large(self) -> Reason {
        match self {
            Sender::Caller => Reason::BodyTooLarge,
            Sender::Crm => Reason::UpstreamTooLarge,
        }
    }

    fn too_slow(self) -> Reason {
        match self {
            Sender::Caller => Reason::BodyTimeout,
            Sender::Crm => Reason::UpstreamTimeout,
        }
    }

    fn broken(self) -> Reason {
        match self {
            Sender::Caller => Reason::BodyUnreadable,
            Sender::Crm => Reason::UpstreamBroken,
        }
    }
}

/// A body of that length, and what feeds it.
pub fn flow(length: Option<u64>) -> (Sink, FlowBody) {
    let (sink, pieces) = mpsc::channel(PIECES_MAX);
    let gauge = Gauge::default();
    let flow = FlowBody { pieces, left: length, is_over: false, gauge: gauge.clone() };
    (Sink { pieces: sink, gauge }, flow)
}

impl FlowBody {
    /// How far it came.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// Whether all that there is was taken.
    pub fn is_taken(&self) -> bool {
        self.is_over || self.left == Some(0)
    }
}

impl Body for FlowBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(match piece.filter(|_| !self.gauge.0.is_cut.load(Ordering::Acquire)) {
            Some(Piece::Data(data)) => {
                self.left = self.left.map(|left| left.saturating_sub(length(&data)));
                Some(Ok(Frame::data(data)))
            }
            Some(Piece::End) => {
                self.is_over = true;
                None
            }
            None => Some(Err(Broken)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_taken()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A request body for the CRM: at hand, or still coming in.
pub enum Sending {
    /// All of it is there.
    Whole(Full<Bytes>),
    /// It comes in while it is sent.
    Flow(FlowBody),
}

impl From<Bytes> for Sending {
    fn from(body: Bytes) -> Self {
        Sending::Whole(Full::new(body))
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Sending::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Sending::Flow(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Sending::Whole(body) => body.is_end_stream(),
            Sending::Flow(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Sending::Whole(body) => body.size_hint(),
            Sending::Flow(body) => body.size_hint(),
        }
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Pieces that wait between the two sides of a body.
const PIECES_MAX: usize = 2;
