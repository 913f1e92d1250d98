//! The request's path. The order of the stages lives here and nowhere else; each takes what the former returned.
//!
//! ```text
//! listen ─► identify ─► map ─► hydrate ─► decide ─► enforce(request) ─► forward ─► enforce(response) ─► respond
//! Exchange  Identity    Mapped  Image     Verdict   Clearance           Upstream   Released
//!                                                   (only way in)       Response   (only way out)
//!                any refusal, denial or failure ─────────────────────────────────────────► respond
//!                every outcome, whatever happened ───────────────────────────────────────► record
//! ```
//!
//! Promises: a request takes one snapshot and keeps it; its decision is durable before a write is forwarded or a body
//! released; it is carried to its end in a task of its own, so that a caller who leaves leaves a record.

pub mod canonical;
pub mod multipart;
pub mod stream;
pub mod listen;
pub mod outgoing;
pub mod cookies;
pub mod origins;
mod panics;
pub mod identify;
pub mod map;
pub mod hydrate;
pub mod decide;
pub mod enforce;
pub mod observe;
pub mod crm;
pub mod forward;
pub mod respond;
pub mod trail;
pub mod record;
pub mod keeping;
mod unrecorded;
pub mod serving;
pub mod standing;
pub mod age;
pub mod sidecar;
pub mod fetch;
mod onepass;
mod listing;
pub mod refill;
mod conditional;
pub mod files;
pub mod pool;
pub mod intake;
pub mod open;
mod passing;
mod pruning;
mod second_look;
mod exit;
mod leading;
mod upsert;
mod links;
mod tenure;
pub mod dry_run;

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::sync::oneshot;

use crate::json::value::Document;
use crate::model::peer::Peer;
use crate::model::principal::Asker;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::telemetry::watch::{Watch, method_name};
use canonical::CanonicalHead;
use conditional::Conditions;
use decide::gate::RecordGate;
use decide::request::{decide_records, decide_request};
use enforce::addresses::{Here, OtherPages};
use enforce::answer::{self, Described};
use enforce::request::{Clearance, Own, clear, clear_observed};
use enforce::response::{Filter, Filtered, Released};
use exit::{Asked, exit};
use forward::{Asking, Passage, UpstreamResponse};
use identify::{Identity, Owner, Presented, identify};
use keeping::Keeping;
use listen::Exchange;
use map::Mapped;
use origins::Voucher;
use pool::{Entry, Work};
use respond::Reply;
use serving::Serving;
use sidecar::Sidecar;
use trail::Trail;

/// Takes a request through all stages. What comes back through the sender is the answer; what the ledger must know is
/// recorded even if nobody waits for it.
pub async fn run(sidecar: Arc<Sidecar>, exchange: Exchange, reply_to: oneshot::Sender<outgoing::Outgoing>) {
    let serving = sidecar.serving();
    let asked = Asked {
        is_head: exchange.head.method == http::Method::HEAD,
        source: exchange.peer.address.to_string(),
        origin: exchange.head.headers.get(http::header::ORIGIN).cloned(),
    };
    let id = sidecar.clock.decision_id();
    let watch = Watch::begin(&sidecar.metrics, sidecar.traces.as_ref(), &exchange.head.headers, &id);
    let mut trail = Trail {
        id,
        method: method_name(&exchange.head.method).to_owned(),
        serving: Some(Arc::clone(&serving.snapshot)),
        watch: Some(watch),
        ..Trail::default()
    };
    trail.enter("identify");
    let result = panics::contained(path(&sidecar, &serving, exchange, &mut trail)).await;
    exit(&sidecar, &serving, trail, result, asked, reply_to).await;
}

/// The path itself, on one screen.
async fn path(
    sidecar: &Sidecar,
    serving: &Arc<Serving>,
    exchange: Exchange,
    trail: &mut Trail,
) -> Result<Reply, Problem> {
    let (snapshot, profile) = (&serving.snapshot, &serving.snapshot.bundle.profile);
    let now_ms = sidecar.clock.now_ms();
    let _slot = sidecar.slot()?;
    sidecar.standing.check(&snapshot.bundle, now_ms)?;

    let mut head = canonical::read(
        exchange.head.method,
        &exchange.head.uri,
        exchange.head.version,
        exchange.head.headers,
        sidecar.limits.head,
    )?;
    sidecar.check_host(head.host.as_deref())?;
    if let Some(reply) = open::preflight(sidecar, serving, &head, trail)? {
        return Ok(reply);
    }
    // Found before anyone is identified, told only after: a route that is not there is as secret as one that is.
    if let Some(request) = open::request(profile, &head, exchange.peer.scheme, &exchange.passage) {
        return request.answer(sidecar, serving, head, exchange.body, trail).await;
    }
    sidecar.directory_age.require_fresh(now_ms)?;
    let identity = identified(sidecar, serving, &mut head, &exchange.peer, &exchange.passage, now_ms).await?;
    trail.principal = Some(identity.principal.clone());
    sidecar.recorder.require_writable()?;
    trail.enter("map");
    let (route, parameters) = observe::stage::route(sidecar, profile, &head, trail)?;
    let limits = sidecar.limits.for_route(route);
    let (body, upload) = intake::take(exchange.body, route, &head, &sidecar.limits).await?;
    let passage = Passage { watch: trail.watch.clone(), ..exchange.passage.with(route) };
    let work = Work::on(&head.headers, &body, Entry::Refusable);
    let read = || {
        let body = intake::undone(&mut head, &body, &limits)?;
        Ok::<_, Problem>((map::read(profile, route, parameters, &head, body.clone(), &limits.map), body))
    };
    let (mapped, body) = sidecar.pool.run(work, read).await??;
    let mut mapped = observe::stage::mapped(mapped, route, trail)?;
    note_mapped(&mapped, &head, &sidecar.keeping, trail);
    let conditions = Conditions::of(&head, trail)?;

    trail.enter("decide");
    let asker = identity.principal.asking(now_ms);
    let gate = sidecar.gate(snapshot, &asker);
    let (_, base_path) = sidecar.upstream.place();
    let here = Here { scheme: exchange.peer.scheme, host: head.host.as_deref(), base_path };
    let (credential, gate, passage, limits) = (&identity.credential, &gate, &passage, &limits);
    let fetcher = fetch::Fetcher { sidecar, serving, credential, gate, passage, limits };
    fetcher.find_owner(&mut mapped, profile).await?;
    // An attachment changes no field, and may take long: it holds a place of its own, and no record.
    let _place = upload.as_ref().map(|_| sidecar.stream_place()).transpose()?;
    let _locks = sidecar.lock_records(&mapped, trail.is_write && upload.is_none()).await?;
    let other_pages = OtherPages::of(&mapped, &head, here);
    let stage = Stage {
        sidecar,
        serving,
        identity: &identity,
        mapped: &mapped,
        gate,
        passage,
        limits,
        here,
        other_pages,
    };
    stage.carry(Taken { head: &head, body, upload, conditions: &conditions }, &asker, trail).await
}

fn note_mapped(mapped: &Mapped<'_>, head: &CanonicalHead, keeping: &Keeping, trail: &mut Trail) {
    // Routes of one path may be told apart by their bodies.
    trail.route = trail.route.take().map(|_| mapped.route.label());
    trail.query = mapped.query.names.clone();
    trail.is_write = mapped.is_write() || observe::may_write(trail.observed.as_ref(), head);
    if !trail.is_write {
        trail.durability = keeping.durability(&head.method, mapped.route);
    }
}

/// Who asks. From here on nothing in the request carries an identity.
async fn identified(
    sidecar: &Sidecar,
    serving: &Serving,
    head: &mut CanonicalHead,
    peer: &Peer,
    passage: &Passage,
    now_ms: i64,
) -> Result<Identity, Problem> {
    let (snapshot, sources, headers) = (&serving.snapshot, &serving.identity.sources, &mut head.headers);
    // Before identification, which may ask the CRM.
    if let Some(voucher) = sources.carried_by(headers, peer).and_then(Voucher::of) {
        sidecar.browsers.check_write(&head.method, headers, voucher)?;
    }
    let crm = Asking { upstream: &sidecar.upstream, profile: &snapshot.bundle.profile, passage };
    let presented = Presented { headers, peer, directory: &snapshot.directory, crm, now_ms };
    let identity = identify(sources, presented).await?;
    sources.forget(headers);
    Ok(identity)
}

/// What was taken of a request.
struct Taken<'r> {
    head: &'r CanonicalHead,
    body: Bytes,
    upload: Option<stream::Source>,
    conditions: &'r Conditions,
}

/// What the stages after mapping work with.
struct Stage<'a> {
    sidecar: &'a Sidecar,
    serving: &'a Arc<Serving>,
    identity: &'a Identity,
    mapped: &'a Mapped<'a>,
    gate: &'a RecordGate,
    passage: &'a Passage,
    limits: &'a sidecar::RouteLimits,
    here: Here<'a>,
    other_pages: Option<OtherPages>,
}

impl Stage<'_> {
    fn fetcher(&self) -> fetch::Fetcher<'_> {
        fetch::Fetcher {
            sidecar: self.sidecar,
            serving: self.serving,
            credential: &self.identity.credential,
            gate: self.gate,
            passage: self.passage,
            limits: self.limits,
        }
    }

    /// Decides on the request, hands it on, and judges what comes back.
    async fn carry(&self, taken: Taken<'_>, asker: &Asker, trail: &mut Trail) -> Result<Reply, Problem> {
        let Taken { head, body, upload, conditions } = taken;
        self.decide(asker, trail).await?;
        self.check_conditions(conditions, head, trail).await?;
        // Lists have no tag, so what follows them is no condition.
        if let Some(window) = self.window(trail) {
            return self.refill(window, head, trail).await;
        }
        let clearance = self.clear(head, body, trail)?;
        if trail.is_write {
            self.sidecar.recorder.decide(trail, None).await?;
            trail.is_forwarded = true;
        } else if let Some(transit) = &self.mapped.route.transit {
            return self.stream(clearance, transit, trail).await;
        } else if self.is_listing(trail) {
            return self
                .list(clearance, trail)
                .await
                .and_then(|reply| self.conditionally(reply, conditions, trail));
        }
        let response = self.forward(clearance, upload, trail).await?;
        let reply = self.release_whole(&response, trail).await?;
        self.conditionally(reply, conditions, trail)
    }

    /// All that is decided before the CRM is asked.
    async fn decide(&self, asker: &Asker, trail: &mut Trail) -> Result<(), Problem> {
        let snapshot = &self.serving.snapshot;
        trail.verdict = decide_request(snapshot, self.gate, asker, self.mapped);
        if trail.verdict.problem.is_none() {
            let images = self.images(trail).await.map(Some);
            trail.enter("decide");
            if let Some(images) = observe::instead(&mut trail.observed, images, |_| None)? {
                decide_records(snapshot, self.gate, asker, self.mapped, &images, &mut trail.verdict);
                self.judge_links(trail).await;
            }
        }
        Ok(())
    }

    /// What may be forwarded: as it was decided, or as it came where that is observed.
    fn clear(&self, head: &CanonicalHead, body: Bytes, trail: &mut Trail) -> Result<Clearance, Problem> {
        let profile = &self.serving.snapshot.bundle.profile;
        let credential = &self.identity.credential;
        let missing = fetch::missing_names(self.mapped, profile, self.gate);
        match &mut trail.observed {
            None => {
                let own = Own { missing: &missing, page: None };
                clear(&trail.verdict, self.mapped, head, profile, credential, own)
            }
            Some(observed) => {
                observed.note(trail.verdict.problem.clone());
                observe::stage::see_request(observed, head, self.mapped, &body, profile, &self.limits.map);
                clear_observed(observed, self.mapped, head, body, profile, credential, &missing)
            }
        }
    }

    /// Hands on what was cleared. From here on, what a write did is known to the CRM alone.
    async fn forward(
        &self,
        clearance: Clearance,
        upload: Option<stream::Source>,
        trail: &mut Trail,
    ) -> Result<UpstreamResponse, Problem> {
        trail.enter("forward");
        let upstream = &self.sidecar.upstream;
        let forwarded = match upload {
            Some(upload) => upstream.forward_upload(clearance, upload, self.passage).await,
            None => upstream.forward(clearance, self.passage).await,
        };
        let response = forwarded.map_err(|problem| {
            trail.upstream_status = problem.upstream_status;
            answer::withheld_unread(problem, trail.is_write)
        })?;
        trail.upstream_status = Some(response.status);
        trail.enter("enforce");
        Ok(response)
    }

    /// The reply to an answer that is there as a whole. A read is on the record before it.
    async fn release_whole(&self, response: &UpstreamResponse, trail: &mut Trail) -> Result<Reply, Problem> {
        self.look_again(response, trail).await;
        self.check_key(response.status)?;
        let reply = match trail.observed.is_some() {
            false => self.reply(response, trail).await,
            true => self.observe(response, trail).await,
        };
        let reply = reply.map_err(|problem| answer::withheld(problem, trail.is_write, response.status))?;
        if !trail.is_write {
            self.sidecar.recorder.decide(trail, None).await?;
        }
        Ok(reply)
    }

    /// The caller's own credential is known: a CRM that says otherwise does not take the one that is kept for them.
    fn check_key(&self, status: u16) -> Result<(), Problem> {
        match status == 401 && self.identity.owner == Owner::Operator {
            true => {
                let why = "the CRM does not accept the credential that is configured for this principal";
                Err(Problem::new(Reason::UpstreamError).upstream(401).internal(why))
            }
            false => Ok(()),
        }
    }

    async fn reply(&self, response: &UpstreamResponse, trail: &mut Trail) -> Result<Reply, Problem> {
        let is_let_out = trail.is_write && is_seeded(Fault::WriteAnswersPass);
        match self.mapped.route.pass.is_some() || is_let_out {
            true => self.pass(response, trail).await,
            false => self.answer(response, trail).await,
        }
    }

    async fn answer(&self, response: &UpstreamResponse, trail: &mut Trail) -> Result<Reply, Problem> {
        let (work, rows) = (work_on(response, trail), trail.verdict.rows());
        let pool = &self.sidecar.pool;
        if let Some(filtered) = pool.run(work, || self.in_one_pass(response, rows)).await?? {
            return self.release(response, filtered, trail);
        }
        let (work, limits) = (work.begun(), &self.limits.answer);
        let describe = || answer::describe(response, self.mapped.route, rows, limits);
        let described = pool.run(work, describe).await?;
        match described? {
            Described::Empty => {
                pruning::require_all(trail)?;
                let profile = &self.serving.snapshot.bundle.profile;
                let empty = HeaderMap::new();
                let reply = respond::release(response.status, &empty, Released::empty(), &trail.id, profile);
                Ok(self.leading(reply, &response.headers, trail))
            }
            Described::Body(document, shape) => {
                let filtered = self.filtered(response, &document, shape, None, work, trail).await;
                filtered.map_err(|problem| answer::unreleased(problem, response.status))
            }
            Described::Table(document, shape, layout) => {
                let filtered = self.filtered(response, &document, shape, Some(&layout), work, trail).await;
                filtered.map_err(|problem| answer::unreleased(problem, response.status))
            }
        }
    }

    async fn filtered(
        &self,
        response: &UpstreamResponse,
        document: &Document,
        shape: &crate::bundle::profile::shape::Shape,
        layout: Option<&enforce::csv::Layout>,
        work: Work,
        trail: &mut Trail,
    ) -> Result<Reply, Problem> {
        let profile = &self.serving.snapshot.bundle.profile;
        let judged = self.fetcher().judge_all(document, shape, self.mapped, work).await?;
        let filter = || {
            let other_pages = self.other_pages.as_ref();
            let filter = Filter { layout, other_pages, ..judged.filter(profile, shape, self.mapped) };
            enforce::response::filter(document, &filter)
        };
        let filtered = self.sidecar.pool.run(work, filter).await?;
        self.release(response, filtered, trail)
    }

    /// What may leave of an answer, as a reply.
    fn release(
        &self,
        response: &UpstreamResponse,
        filtered: Result<Filtered, Reason>,
        trail: &mut Trail,
    ) -> Result<Reply, Problem> {
        let profile = &self.serving.snapshot.bundle.profile;
        match filtered.map_err(Problem::new)? {
            Filtered::Released(released, sets) => {
                trail.sets = sets;
                let released = self.name_pruned(response.status, released, trail)?;
                let reply =
                    respond::release(response.status, &response.headers, released, &trail.id, profile);
                Ok(self.leading(reply, &response.headers, trail))
            }
            Filtered::Hidden(sets) => {
                trail.sets = sets;
                Err(if is_seeded(Fault::HiddenIsDenied) { Reason::Denied } else { Reason::NotFound }.into())
            }
        }
    }
}

/// Work on an answer. What the CRM has taken, or what is only observed, must not be refused for lack of a thread.
fn work_on(response: &UpstreamResponse, trail: &Trail) -> Work {
    let may_wait = trail.is_write || trail.observed.is_some();
    let entry = if may_wait { Entry::Begun } else { Entry::Refusable };
    Work::on(&response.headers, &response.body, entry)
}
