//! Lists that are longer than what is held back: filtered and recorded while they come in, part by part.
//!
//! Promises: what is held back is judged before the answer begins, so that what is wrong with it is still said in a status; each
//! part is in the ledger before it leaves; whatever breaks later ends the connection, so that nobody takes a part for the
//! whole. Memory is bounded by what is held back, one record and two parts, not by the answer.

use std::sync::Arc;
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Stage;
use super::decide::gate::RecordGate;
use super::enforce::addresses::OtherPages;
use super::enforce::answer::{self, is_scannable, undecodable};
use super::enforce::request::Clearance;
use super::enforce::response::{Released, ReleasedStream};
use super::enforce::scan::envelope::Envelope;
use super::enforce::scan::judge::{GateJudge, Lack};
use super::enforce::scan::task::{ScanLimits, Scanning, Task};
use super::enforce::shown::ShownSets;
use super::forward::{Listing, Long};
use super::map::selection::Selection;
use super::onepass::unreleased;
use super::record::Recorder;
use super::respond::{self, Reply};
use super::serving::Serving;
use super::stream::{PumpEnd, Pumped, Sink, Source, StreamLimits, flow};
use super::trail::{self, Trail};
use crate::bundle::profile::route::Rows;
use crate::ledger::durability::Durability;
use crate::ledger::entry::Entry;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::net::coding::{Coding, CodingLimits, Decoder};

impl Stage<'_> {
    /// Whether the answer may leave part by part: a list that one pass can judge.
    pub(super) fn is_listing(&self, trail: &Trail) -> bool {
        let route = self.mapped.route;
        let is_many = route.shape.records.first().is_some_and(|location| location.is_many());
        // Whoever holds back as much as an answer may have wants no list to be longer.
        let may_be_long = self.sidecar.limits.hold_bytes < self.limits.answer.json.bytes_max;
        may_be_long
            && !trail.is_write
            && trail.observed.is_none()
            && route.pass.is_none()
            && is_many
            && is_scannable(route)
    }

    /// The reply to a request for a list.
    pub(super) async fn list(&self, clearance: Clearance, trail: &mut Trail) -> Result<Reply, Problem> {
        match self.forward_listing(clearance, trail).await? {
            Listing::Whole(response) => self.release_whole(&response, trail).await,
            Listing::Long(long) => {
                self.check_key(long.status)?;
                self.pour(long, trail).await
            }
        }
    }

    async fn forward_listing(&self, clearance: Clearance, trail: &mut Trail) -> Result<Listing, Problem> {
        trail.enter("forward");
        let limits = self.sidecar.limits.answer_stream(self.mapped.route);
        let held_max = self.sidecar.limits.hold_bytes;
        let listing = self.sidecar.upstream.forward_listing(clearance, self.passage, limits, held_max).await;
        let listing = listing.inspect_err(|problem| trail.upstream_status = problem.upstream_status)?;
        trail.upstream_status = Some(listing.status());
        trail.enter("enforce");
        Ok(listing)
    }

    /// The reply to a request for a list that is longer than what is held back.
    async fn pour(&self, long: Long, trail: &mut Trail) -> Result<Reply, Problem> {
        let place = self.sidecar.stream_place()?;
        let Long { status, headers, held, rest } = long;
        let pouring = self.pouring(held, rest, (status, &headers), trail)?;
        let (sink, flow) = flow(None);
        let (told, begun) = oneshot::channel();
        let (go, may_go) = oneshot::channel();
        let mut pumping = Box::pin(pouring.pump(sink, told, may_go));
        let early = tokio::select! {
            biased;
            begun = begun => begun.err().map(|_| None),
            pumped = &mut pumping => Some(Some(pumped)),
        };
        if let Some(ended) = early {
            let problem = ended.and_then(|pumped| pumped.problem);
            return Err(problem.unwrap_or_else(|| Reason::Internal.into()));
        }
        self.sidecar.recorder.decide(trail, None).await?;
        let _ = go.send(());
        let profile = &self.serving.snapshot.bundle.profile;
        let reply = respond::release(status, &headers, Released::poured(), &trail.id, profile);
        let mut reply = self.leading(reply, &headers, trail);
        reply.stream = Some(ReleasedStream::poured(flow, pumping, place));
        Ok(reply)
    }

    fn pouring(
        &self,
        held: Vec<Bytes>,
        rest: Source,
        (status, headers): (u16, &HeaderMap),
        trail: &Trail,
    ) -> Result<Pouring, Problem> {
        let rows = trail.verdict.rows();
        let routes = &self.serving.snapshot.bundle.profile.routes;
        let route = routes.iter().position(|route| std::ptr::eq(route, self.mapped.route));
        let layouts = self.serving.layouts.as_ref().ok_or(Reason::UpstreamTooLarge)?;
        let codings = answer::codings_of_json(headers, status)?;
        let task = self.task(layouts, rows);
        Ok(Pouring {
            serving: Arc::clone(self.serving),
            gate: self.gate.clone(),
            recorder: Arc::clone(&self.sidecar.recorder),
            id: trail.id.clone(),
            durability: trail.durability,
            rows,
            route: route.ok_or(Reason::Internal)?,
            route_type: task.route_type,
            asked_id: task.asked_id.map(str::to_owned),
            selection: self.mapped.query.projection.as_ref().map(|projection| projection.selection.clone()),
            other_pages: self.other_pages.clone(),
            limits: ScanLimits {
                depth: self.limits.answer.json.depth_max,
                // How many there may be is bounded by the bytes; of keyed ones the keys are kept.
                records: usize::MAX,
                keys: self.limits.records_max,
                step_bytes: self.sidecar.limits.hold_bytes,
            },
            stream: self.sidecar.limits.answer_stream(self.mapped.route),
            codings,
            coding: self.limits.answer.coding,
            status,
            held,
            rest,
        })
    }
}

/// A list on its way, with all that judging it needs.
struct Pouring {
    serving: Arc<Serving>,
    gate: RecordGate,
    recorder: Arc<Recorder>,
    id: String,
    durability: Durability,
    rows: Rows,
    route: usize,
    route_type: Option<usize>,
    asked_id: Option<String>,
    selection: Option<Selection>,
    other_pages: Option<OtherPages>,
    limits: ScanLimits,
    stream: StreamLimits,
    codings: Vec<Coding>,
    coding: CodingLimits,
    status: u16,
    held: Vec<Bytes>,
    rest: Source,
}

/// What parts go to.
struct Exit<'p> {
    sink: &'p Sink,
    bytes: &'p mut u64,
    parts: u32,
    /// How long one piece may wait for whoever takes it.
    idle: Duration,
}

type Pass<'p> = Envelope<'p, GateJudge<'p>>;

impl Pouring {
    /// Judges what is held back and tells that it did; then waits until it may go, and hands on everything.
    async fn pump(self, sink: Sink, told: oneshot::Sender<()>, may_go: oneshot::Receiver<()>) -> Pumped {
        let mut bytes = 0;
        let time = Duration::from_millis(self.stream.time_ms);
        let idle = Duration::from_millis(self.stream.idle_ms);
        let exit = Exit { sink: &sink, bytes: &mut bytes, parts: 0, idle };
        let ended = timeout(time, self.hand_on(exit, told, may_go)).await;
        sink.ended(ended.unwrap_or_else(|_| Err(Reason::UpstreamTimeout.into())), bytes).await
    }

    async fn hand_on(
        self,
        mut exit: Exit<'_>,
        told: oneshot::Sender<()>,
        may_go: oneshot::Receiver<()>,
    ) -> Result<PumpEnd, Problem> {
        let Self { serving, gate, recorder, id, rows, asked_id, selection, other_pages, held, .. } = self;
        let (mut rest, status) = (self.rest, self.status);
        let mut feed = Feed::new(&self.codings, self.stream, self.coding, status)?;
        let record = Record { recorder: &recorder, id: &id, durability: self.durability, serving: &serving };
        let profile = &serving.snapshot.bundle.profile;
        let route = profile.routes.get(self.route).ok_or(Reason::Internal)?;
        let layouts = serving.layouts.as_ref().ok_or(Reason::Internal)?;
        let task = Task {
            profile,
            layouts,
            shape: route.shape_of(rows),
            route_type: self.route_type,
            asked_id: asked_id.as_deref(),
            expected: None,
            selection: selection.as_ref(),
            other_pages: other_pages.as_ref(),
            limits: self.limits,
        };
        let judge = GateJudge::new(&gate, Lack::Denies);
        let mut pass: Pass<'_> = Envelope::new(task, judge, layouts.scanners.take());
        let held_bytes: usize = held.iter().map(Bytes::len).sum();
        let (mut held, mut begin) = (held.into_iter(), Some(Begin { told, may_go }));
        let failed = |problem: Problem| problem.upstream(status);
        while let Some(piece) = next(&mut held, &mut rest).await.map_err(failed)? {
            feed.bring(piece);
            while feed.step(&mut pass)? {
                if feed.made >= held_bytes
                    && let Some(begin) = begin.take()
                {
                    pass.check_part(PART_BYTES).map_err(|halt| unreleased(halt, status))?;
                    if !begin.wait().await {
                        return Ok(PumpEnd::Left);
                    }
                }
                if begin.is_none() && !exit.relieve(&record, &mut pass, status).await? {
                    return Ok(PumpEnd::Left);
                }
                // What is coded, or hidden, may be long without anything to wait for.
                tokio::task::yield_now().await;
            }
        }
        feed.finish()?;
        let (scanning, scanner) = pass.finish().map_err(|halt| unreleased(halt, status))?;
        layouts.scanners.give(scanner);
        let Scanning { body, sets, is_refused, .. } = scanning;
        if is_refused {
            return Err(Reason::Forbidden.into());
        }
        if let Some(begin) = begin
            && !begin.wait().await
        {
            return Ok(PumpEnd::Left);
        }
        exit.record(&record, &sets).await?;
        let is_taken = exit.release(Bytes::from(body)).await;
        Ok(if is_taken { PumpEnd::Whole } else { PumpEnd::Left })
    }
}

/// The next piece: of what was held back, then of what still comes.
async fn next(held: &mut vec::IntoIter<Bytes>, rest: &mut Source) -> Result<Option<Bytes>, Problem> {
    match held.next() {
        Some(piece) => Ok(Some(piece)),
        None => rest.next().await,
    }
}

/// What stands between an answer that is judged and one that leaves.
struct Begin {
    told: oneshot::Sender<()>,
    may_go: oneshot::Receiver<()>,
}

impl Begin {
    /// Tells that what is held back was judged; `false` if the answer must not begin.
    async fn wait(self) -> bool {
        self.told.send(()).is_ok() && self.may_go.await.is_ok()
    }
}

/// Hands pieces to the pass, without codings and little by little.
struct Feed {
    decoder: Option<Decoder>,
    /// What is not coded and was not handed on.
    waiting: Bytes,
    decoded: Vec<u8>,
    /// Bytes that were handed on.
    made: usize,
    status: u16,
}

impl Feed {
    fn new(
        codings: &[Coding],
        stream: StreamLimits,
        limits: CodingLimits,
        status: u16,
    ) -> Result<Self, Problem> {
        let decoder =
            Decoder::new(codings, stream.bytes_max, limits).map_err(|error| undecodable(&error, status))?;
        let decoder = (!codings.is_empty()).then_some(decoder);
        let (waiting, decoded) = (Bytes::new(), Vec::new());
        Ok(Self { decoder, waiting, decoded, made: 0, status })
    }

    /// Takes what came.
    fn bring(&mut self, piece: Bytes) {
        match &mut self.decoder {
            Some(decoder) => decoder.feed(&piece),
            None => self.waiting = piece,
        }
    }

    /// Hands some of it on; `false` if there is none.
    fn step(&mut self, pass: &mut Pass<'_>) -> Result<bool, Problem> {
        let status = self.status;
        self.decoded.clear();
        let slice = match &mut self.decoder {
            Some(decoder) => {
                decoder.read(&mut self.decoded).map_err(|error| undecodable(&error, status))?;
                self.decoded.as_slice()
            }
            None => &self.waiting.split_to(self.waiting.len().min(SLICE_BYTES)),
        };
        self.made = self.made.saturating_add(slice.len());
        pass.feed(slice).map_err(|halt| unreleased(halt, status))?;
        Ok(!slice.is_empty())
    }

    fn finish(&self) -> Result<(), Problem> {
        let ended = self.decoder.as_ref().map_or(Ok(()), Decoder::finish);
        ended.map_err(|error| undecodable(&error, self.status))
    }
}

/// Where parts are recorded.
struct Record<'p> {
    recorder: &'p Recorder,
    id: &'p str,
    durability: Durability,
    serving: &'p Serving,
}

impl Exit<'_> {
    /// Records and hands on what has become enough; `false` if nobody takes it any more.
    async fn relieve(
        &mut self,
        record: &Record<'_>,
        pass: &mut Pass<'_>,
        status: u16,
    ) -> Result<bool, Problem> {
        let whole_bytes = pass.written() - pass.written() % PART_BYTES;
        if whole_bytes == 0 {
            // Records that are hidden leave entries and nothing else.
            if pass.is_due(NOTED_BYTES) {
                self.record(record, &pass.take_sets()).await?;
            }
            return Ok(true);
        }
        let (body, sets) = pass.take_part(whole_bytes).map_err(|halt| unreleased(halt, status))?;
        self.record(record, &sets).await?;
        Ok(self.release(Bytes::from(body)).await)
    }

    /// Records what a part shows.
    async fn record(&mut self, record: &Record<'_>, sets: &ShownSets) -> Result<(), Problem> {
        self.parts += 1;
        let shown = trail::shown(record.id, self.parts, sets, &record.serving.snapshot);
        record.recorder.append_as(Entry::Shown(Box::new(shown)), record.durability).await
    }

    /// Hands on what was recorded; `false` if nobody takes it any more. Each piece but the last is of one size, so that sizes
    /// tell nothing of what was held back between.
    async fn release(&mut self, mut body: Bytes) -> bool {
        while !body.is_empty() {
            let piece = body.split_to(body.len().min(PART_BYTES));
            if !self.sink.take(piece, self.bytes, self.idle).await {
                return false;
            }
        }
        true
    }
}

/// Bytes of a part that leaves at once.
const PART_BYTES: usize = 1 << 20;
/// About how long an entry on a part may become.
const NOTED_BYTES: usize = 1 << 20;
/// Bytes that are judged before anything else is looked at.
const SLICE_BYTES: usize = 1 << 15;
