//! Lists that are longer than what is held back: filtered and recorded while they come in, part by part.
//!
//! Promises: what is held back is judged before the answer begins, so that what is wrong with it is still said in a status; each
//! part is in the ledger before it leaves; whatever breaks later ends the connection, so that nobody takes a part for the
//! whole. Memory is bounded by what is held back, one record and two parts, not by the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Stage;
use super::decide::gate::RecordGate;
use super::enforce::answer::{is_scannable, undecodable};
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
use crate::ledger::entry::Entry;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::net::coding::{self, Coding, CodingLimits, Decoder};

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
        let pouring = self.pouring(held, rest, status, &headers, &trail.id)?;
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
        let mut reply = respond::release(status, &headers, Released::poured(), &trail.id, profile);
        reply.stream = Some(ReleasedStream::poured(flow, pumping, place));
        Ok(reply)
    }

    fn pouring(
        &self,
        held: Vec<Bytes>,
        rest: Source,
        status: u16,
        headers: &HeaderMap,
        id: &str,
    ) -> Result<Pouring, Problem> {
        let routes = &self.serving.snapshot.bundle.profile.routes;
        let route = routes.iter().position(|route| std::ptr::eq(route, self.mapped.route));
        let layouts = self.serving.layouts.as_ref().ok_or(Reason::UpstreamTooLarge)?;
        let codings = coding::named_in(headers).map_err(|error| undecodable(&error, status))?;
        Ok(Pouring {
            serving: Arc::clone(self.serving),
            gate: self.gate.clone(),
            recorder: Arc::clone(&self.sidecar.recorder),
            id: id.to_owned(),
            route: route.ok_or(Reason::Internal)?,
            route_type: self.task(layouts).route_type,
            selection: self.mapped.query.projection.as_ref().map(|projection| projection.selection.clone()),
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
    route: usize,
    route_type: Option<usize>,
    selection: Option<Selection>,
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
}

type Pass<'p> = Envelope<'p, GateJudge<'p>>;

impl Pouring {
    /// Judges what is held back and tells that it did; then waits until it may go, and hands on everything.
    async fn pump(self, sink: Sink, told: oneshot::Sender<()>, may_go: oneshot::Receiver<()>) -> Pumped {
        let mut bytes = 0;
        let time = Duration::from_millis(self.stream.time_ms);
        let exit = Exit { sink: &sink, bytes: &mut bytes, parts: 0 };
        let ended = timeout(time, self.hand_on(exit, told, may_go)).await;
        let (end, problem) = match ended.unwrap_or_else(|_| Err(Reason::UpstreamTimeout.into())) {
            Ok(end) => (end, None),
            Err(problem) => (PumpEnd::Broken, Some(problem)),
        };
        if end == PumpEnd::Whole {
            sink.end().await;
        }
        Pumped { bytes, end, problem }
    }

    async fn hand_on(
        self,
        mut exit: Exit<'_>,
        told: oneshot::Sender<()>,
        may_go: oneshot::Receiver<()>,
    ) -> Result<PumpEnd, Problem> {
        let Self { serving, gate, recorder, id, selection, held, mut rest, status, .. } = self;
        let record = Record { recorder: &recorder, id: &id, serving: &serving };
        let profile = &serving.snapshot.bundle.profile;
        let route = profile.routes.get(self.route).ok_or(Reason::Internal)?;
        let layouts = serving.layouts.as_ref().ok_or(Reason::Internal)?;
        let task = Task {
            profile,
            layouts,
            shape: &route.shape,
            route_type: self.route_type,
            asked_id: None,
            expected: None,
            selection: selection.as_ref(),
            limits: self.limits,
        };
        let judge = GateJudge::new(&gate, Lack::Denies);
        let mut pass: Pass<'_> = Envelope::new(task, judge, serving.scanners.take());
        let decoder = Decoder::new(&self.codings, self.stream.bytes_max, self.coding);
        let decoder = decoder.map_err(|error| undecodable(&error, status))?;
        let mut feed = Feed { decoder: (!self.codings.is_empty()).then_some(decoder), status };
        for piece in held {
            feed.take(&mut pass, &piece)?;
        }
        if told.send(()).is_err() || may_go.await.is_err() {
            return Ok(PumpEnd::Left);
        }
        let idle = Duration::from_millis(self.stream.idle_ms);
        loop {
            if pass.written() >= PART_BYTES {
                let (body, sets) = pass.take_part().map_err(|halt| unreleased(halt, status))?;
                if !exit.release(&record, body, sets, idle).await? {
                    return Ok(PumpEnd::Left);
                }
            }
            match rest.next().await? {
                Some(piece) => feed.take(&mut pass, &piece)?,
                None => break,
            }
        }
        feed.finish()?;
        let (scanning, scanner) = pass.finish().map_err(|halt| unreleased(halt, status))?;
        serving.scanners.give(scanner);
        let Scanning { body, sets, is_refused, .. } = scanning;
        if is_refused {
            return Err(Reason::Forbidden.into());
        }
        let is_taken = exit.release(&record, body, sets, idle).await?;
        Ok(if is_taken { PumpEnd::Whole } else { PumpEnd::Left })
    }
}

/// Hands pieces to the pass, without codings.
struct Feed {
    decoder: Option<Decoder>,
    status: u16,
}

impl Feed {
    fn take(&mut self, pass: &mut Pass<'_>, piece: &[u8]) -> Result<(), Problem> {
        let status = self.status;
        let Some(decoder) = &mut self.decoder else {
            return pass.feed(piece).map_err(|halt| unreleased(halt, status));
        };
        decoder.feed(piece);
        let mut decoded = Vec::new();
        while decoder.read(&mut decoded).map_err(|error| undecodable(&error, status))? > 0 {
            pass.feed(&decoded).map_err(|halt| unreleased(halt, status))?;
            decoded.clear();
        }
        Ok(())
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
    serving: &'p Serving,
}

impl Exit<'_> {
    /// Records a part and hands it on; `false` if nobody takes it any more.
    async fn release(
        &mut self,
        record: &Record<'_>,
        body: Vec<u8>,
        sets: ShownSets,
        idle: Duration,
    ) -> Result<bool, Problem> {
        self.parts += 1;
        let shown = trail::shown(record.id, self.parts, &sets, &record.serving.snapshot);
        record.recorder.append(Entry::Shown(Box::new(shown))).await?;
        Ok(self.sink.take(Bytes::from(body), self.bytes, idle).await)
    }
}

/// Bytes of a part that leaves at once.
const PART_BYTES: usize = 1 << 20;
