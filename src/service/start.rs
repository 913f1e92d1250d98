//! Starts the service [edge]: opens the ledger, records who serves what, listens, and ends in order.
#![expect(clippy::disallowed_methods, reason = "edge: binds the listeners")]

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::checkpoints::CheckpointsError;
use super::clock_steps;
use super::copies::{Copies, CopiesNow};
use super::entries::{PARTS, policy_changes, revision, revision_of, vouch};
use super::load::Loaded;
use super::reload::Reloader;
use super::state::State;
use super::supply::{AcceptError, Supply};
use super::telemetry::{require_conditions, start_traces};
use super::tokens::Tokens;
use super::transport;
use super::vigil::vigil;
use crate::admin;
use crate::admin::authzen::AuthzenOptions;
use crate::bundle::compile::Bundle;
use crate::bundle::directory::Directory;
use crate::config::author::Problems;
use crate::config::service::observe;
use crate::config::service::{AdminConfig, BrowsersConfig, LimitsConfig, ServiceConfig};
use crate::config::stated::Stated;
use crate::ledger::append::Ledger;
use crate::ledger::clock;
use crate::ledger::entry::revision::{RevisionOf, RevisionResult};
use crate::ledger::entry::{Configured, Entry, ObserveGroup, Start};
use crate::ledger::error::LedgerError;
use crate::ledger::open::RecoveryReport;
use crate::ledger::revisions::Revisions;
use crate::net::remote::RemoteError;
use crate::net::renewed::{Renew, TlsError};
use crate::net::socket::{ListenAddress, Listener};
use crate::pipeline::age::DirectoryAge;
use crate::pipeline::canonical::HeadLimits;
use crate::pipeline::decide::gate::VerdictCache;
use crate::pipeline::forward::Upstream;
use crate::pipeline::identify::Way;
use crate::pipeline::identify::jwt::refresh::Refresher;
use crate::pipeline::keeping::Keeping;
use crate::pipeline::listen::door;
use crate::pipeline::map::lexer::FilterLimits;
use crate::pipeline::observe::Observing;
use crate::pipeline::origins::{Browsers, Credentials};
use crate::pipeline::pool::PoolLimits;
use crate::pipeline::record::Recorder;
use crate::pipeline::refill::RefillLimits;
use crate::pipeline::serving::Current;
use crate::pipeline::sidecar::{Limits, Sidecar};
use crate::pipeline::stream::StreamLimits;
use crate::telemetry::clock::Clock;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::export::Exporting;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger could not be opened.
    #[error("the ledger in `{path}` could not be opened: {source}")]
    Ledger {
        /// The state folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: LedgerError,
    },
    /// A listener could not be bound.
    #[error("`{address}` cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificates, keys or authorities cannot be used.
    #[error("TLS cannot be set up: {0}")]
    Tls(TlsError),
    /// The first entry could not be recorded.
    #[error("the start could not be recorded: {0}")]
    Record(String),
    /// What is to serve could not be kept.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// A group of routes would observe for too long.
    #[error("{0}")]
    Observe(String),
    /// Traces cannot be sent as configured.
    #[error("traces cannot be sent: {0}")]
    Traces(String),
    /// An issuer's keys can never be fetched.
    #[error("the keys of an issuer cannot be fetched: {0}")]
    Keys(#[from] RemoteError),
    /// Checkpoints cannot be signed as configured.
    #[error("the ledger cannot be signed for: {0}")]
    Checkpoints(#[from] CheckpointsError),
    /// A file with a token of the admin listener cannot be used.
    #[error("the tokens of the admin listener cannot be used: {0}")]
    Token(String),
}

/// A service that runs.
pub struct Running {
    /// Its parts.
    pub sidecar: Arc<Sidecar>,
    /// Where callers connect.
    pub listens: ListenAddress,
    /// The same as an address; unspecified on a unix socket.
    pub address: SocketAddr,
    /// Where the admin listener is.
    pub admin_address: Option<SocketAddr>,
    /// Where health is asked.
    pub health_address: Option<SocketAddr>,
    /// What opening the ledger found.
    pub recovery: RecoveryReport,
    /// What reloads.
    pub reloader: Arc<Reloader>,
    drain_delay: Duration,
    shutdown: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    ledger: Ledger,
    /// What leaves the ledger.
    pub copies: Copies,
    health: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    exporting: Option<Exporting>,
}

/// Puts the parts together and listens.
pub async fn start(config: ServiceConfig, loaded: Loaded, clock: Clock) -> Result<Running, StartError> {
    let observing = Observing::new(config.observe.clone(), clock.now_ms()).map_err(StartError::Observe)?;
    // What cannot be used must not leave a start in the ledger.
    let tls = transport::listener_tls(&config, clock.now_ms()).map_err(StartError::Tls)?.map(Arc::new);
    let upstream = transport::upstream_options(&config);
    let upstream = Upstream::new(upstream, clock.now_ms()).map_err(StartError::Tls)?;
    let boot = clock.decision_id();
    let State { ledger, recovery, checkpoints, handles, revisions } = State::open(&config, &boot)?;
    let Bound { callers: listener, admin, health } = bind_all(&config).await?;
    let own_certificate = tls.clone().map(|tls| tls as Arc<dyn Renew>);
    let renewed = own_certificate.into_iter().chain([upstream.renewed()]).collect();
    let metrics = Arc::new(Metrics::default());
    let (traces, exporting) = start_traces(config.traces.as_ref(), &metrics)?.unzip();
    let sidecar = Sidecar::new(
        Current::new(loaded.bundle, loaded.directory, loaded.identity),
        DirectoryAge::new(config.directory.max_age_ms, loaded.directory_written_ms, clock.now_ms()),
        upstream,
        Recorder::new(ledger.clone(), handles, Arc::clone(&metrics)),
        Arc::new(VerdictCache::new(config.limits.cached_verdicts, config.limits.check_verdicts_every)),
        clock,
        Limits { hosts: config.listen.hosts.clone(), ..limits(&config.limits) },
        metrics,
        traces,
    );
    let sidecar = sidecar.observing(observing).keeping(Keeping::new(config.ledger.routes.clone()));
    let sidecar = Arc::new(sidecar.with_browsers(browsers(&config.browsers)).renewing(renewed));
    require_conditions(&sidecar);
    transport::require_certificates(&sidecar);
    sidecar.metrics.directory_loaded(sidecar.clock.now_ms() / 1000);
    let address = listener.local_address().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    let admin_address = admin.as_ref().map(|(listener, ..)| local(listener, address));
    let health_address = health.as_ref().map(|listener| local(listener, address));
    let snapshot = sidecar.current.snapshot();
    let supply = Arc::new(loaded.supply);
    keep(&supply, &revisions, &snapshot.bundle, &snapshot.directory)?;
    let listens = listener.local_address().map_or(config.listen.address.clone(), ListenAddress::Tcp);
    let keys = checkpoints.as_ref().map(|checkpoints| checkpoints.keys.clone()).unwrap_or_default();
    let Stated { hash, settings } = config.stated.clone();
    record_start(&sidecar, &boot, &listens.to_string(), keys, Configured { hash, settings }).await?;
    let copies = Copies::start(&config.ledger, checkpoints, (&ledger, &recovery), &sidecar)?;

    let (shutdown, is_over) = watch::channel(false);
    let door = transport::door_options(&config, tls);
    let drain_delay = Duration::from_millis(config.listen.times.drain_delay_ms);
    let renewals = transport::Renewals::of(&config);
    let tokens = admin.as_ref().map(|(_, tokens, _)| Arc::clone(tokens));
    let reloader =
        Reloader::new(config, Arc::clone(&sidecar), revisions, Arc::clone(&supply), loaded.contents, tokens);
    let reloader = Arc::new(reloader);
    let mut tasks = refresh_keys(&sidecar, &is_over)?;
    tasks.extend(keepers(&sidecar, &reloader, supply, &is_over));
    tasks.push(tokio::spawn(door::serve(listener, Arc::clone(&sidecar), door, over(is_over.clone()))));
    tasks.push(tokio::spawn(renewals.watch(Arc::clone(&sidecar), over(is_over.clone()))));
    tasks.extend(admin.map(|admin| serve_admin(admin, &sidecar, &reloader, copies.now(), is_over)));
    let health = health.map(|listener| serve_health(listener, &sidecar));
    Ok(Running {
        sidecar,
        listens,
        address,
        admin_address,
        health_address,
        recovery,
        reloader,
        drain_delay,
        shutdown,
        tasks,
        ledger,
        copies,
        health,
        exporting,
    })
}

fn serve_admin(
    (listener, tokens, authzen): AdminListener,
    sidecar: &Arc<Sidecar>,
    reloader: &Arc<Reloader>,
    copies: CopiesNow,
    is_over: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let (sidecar, reloader) = (Arc::clone(sidecar), Arc::clone(reloader));
    let admin = admin::Admin { sidecar, reloader, copies, tokens, authzen };
    tokio::spawn(admin::serve(listener, Arc::new(admin), over(is_over)))
}

/// What runs beside the listeners.
fn keepers(
    sidecar: &Arc<Sidecar>,
    reloader: &Arc<Reloader>,
    supply: Arc<Supply>,
    is_over: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let ledger = sidecar.recorder.ledger().clone();
    vec![
        tokio::spawn(clock_steps::watch(ledger, clock::system(), over(is_over.clone()))),
        tokio::spawn(Arc::clone(reloader).watch(over(is_over.clone()))),
        tokio::spawn(vigil(Arc::clone(reloader), over(is_over.clone()))),
        tokio::spawn(fetching(supply, Arc::clone(reloader), over(is_over.clone()))),
        tokio::spawn(flush_recorder(Arc::clone(sidecar), over(is_over.clone()))),
    ]
}

impl Running {
    /// Whether every part still works.
    pub fn is_whole(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_finished()) && self.copies.is_whole()
    }

    /// Turns readiness red, stops listening, lets open exchanges end and leave their record, and closes the ledger. Health is
    /// answered until the end: not ready.
    pub async fn stop(self) -> Result<u64, LedgerError> {
        self.sidecar.readiness.drain();
        tokio::time::sleep(self.drain_delay).await;
        let _ = self.shutdown.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        self.sidecar.recorder.flush(&self.sidecar.clock.second());
        let closed = self.ledger.close().await;
        // After the ledger: its end leaves too, and what hangs there must not cost it that.
        self.copies.end(closed.as_ref().ok().copied()).await;
        // After the ledger too: a collector that hangs must not cost it its end.
        if let Some(exporting) = self.exporting {
            exporting.stop().await;
        }
        if let Some((end, task)) = self.health {
            let _ = end.send(true);
            let _ = task.await;
        }
        closed
    }
}

/// Health ends last, on its own word.
fn serve_health(listener: TcpListener, sidecar: &Arc<Sidecar>) -> (watch::Sender<bool>, JoinHandle<()>) {
    let (end, has_ended) = watch::channel(false);
    (end, tokio::spawn(admin::health::serve(listener, Arc::clone(sidecar), over(has_ended))))
}

async fn over(mut is_over: watch::Receiver<bool>) {
    let _ = is_over.wait_for(|is_over| *is_over).await;
}

/// The listeners of callers, of administrators and of health, bound and not yet served.
struct Bound {
    callers: Listener,
    admin: Option<AdminListener>,
    health: Option<TcpListener>,
}

async fn bind_all(config: &ServiceConfig) -> Result<Bound, StartError> {
    let failed = |source| StartError::Listen { address: config.listen.address.clone(), source };
    let callers = Listener::bind(&config.listen.address).await.map_err(failed)?;
    let admin = match &config.admin {
        Some(admin) => Some(bind_admin(admin).await?),
        None => None,
    };
    let health = match config.listen.health_address {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    Ok(Bound { callers, admin, health })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { address: ListenAddress::Tcp(address), source };
    TcpListener::bind(address).await.map_err(failed)
}

/// The admin listener, with its tokens and what AuthZEN needs to know of it.
type AdminListener = (TcpListener, Arc<Tokens>, AuthzenOptions);

/// Binds it.
async fn bind_admin(admin: &AdminConfig) -> Result<AdminListener, StartError> {
    let (listener, tokens) = (bind(admin.address).await?, read_tokens(admin)?);
    let own = format!("http://{}", local(&listener, admin.address));
    let options = AuthzenOptions {
        url: admin.url.clone().unwrap_or(own),
        body_bytes_max: admin.question_bytes_max,
        evaluations_max: admin.questions_max,
    };
    Ok((listener, tokens, options))
}

fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn read_tokens(admin: &AdminConfig) -> Result<Arc<Tokens>, StartError> {
    let mut problems = Problems::default();
    Tokens::read(admin, &mut problems).map(Arc::new).ok_or_else(|| StartError::Token(problems.to_string()))
}

/// Keeps the bytes of what serves, so that a hash in the ledger always has its text.
pub fn keep(
    supply: &Supply,
    revisions: &Revisions,
    bundle: &Bundle,
    directory: &Directory,
) -> Result<(), AcceptError> {
    if !revisions.has(&directory.revision)? {
        let snapshot = Bytes::from(directory.snapshot());
        revisions.keep(&directory.revision, &[("directory.json".to_owned(), snapshot)])?;
    }
    supply.accept(revisions, bundle)
}

async fn record_start(
    sidecar: &Sidecar,
    boot: &str,
    listens: &str,
    keys: Vec<String>,
    configured: Configured,
) -> Result<(), StartError> {
    let serving = sidecar.current.serving();
    let snapshot = &serving.snapshot;
    let record = |entry| async { sidecar.recorder.append(entry).await };
    let failed =
        |problem: crate::model::problem::Problem| StartError::Record(problem.internal.unwrap_or_default());
    let start = Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: boot.to_owned(),
        bundle: snapshot.bundle.revision.clone(),
        directory: snapshot.directory.revision.clone(),
        listen: listens.to_owned(),
        observe: sidecar.observing.open(sidecar.clock.now_ms()).map(to_entry).collect(),
        keys,
    };
    record(Entry::Start(start)).await.map_err(failed)?;
    record(Entry::Config(configured)).await.map_err(failed)?;
    for what in PARTS {
        let mut revision = revision(what, revision_of(&serving, what).to_owned(), RevisionResult::Active);
        if what == RevisionOf::Bundle {
            revision.policies = policy_changes(None, &snapshot.bundle);
            vouch(&mut revision, &snapshot.bundle.provenance);
        }
        record(Entry::Revision(revision)).await.map_err(failed)?;
    }
    Ok(())
}

async fn fetching(supply: Arc<Supply>, reloader: Arc<Reloader>, shutdown: impl Future<Output = ()>) {
    let clock = reloader.clock();
    supply.watch(reloader, clock, shutdown).await;
}

fn to_entry(group: &observe::ObserveGroup) -> ObserveGroup {
    ObserveGroup {
        name: group.name.clone(),
        routes: group.routes.iter().map(|pattern| pattern.text.clone()).collect(),
        until: group.until.value.clone(),
    }
}

/// Keeps the keys of every issuer fresh whose keys are at a URL.
fn refresh_keys(
    sidecar: &Sidecar,
    is_over: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let serving = sidecar.current.serving();
    let issuers = serving.identity.sources.iter().filter_map(|source| match &source.way {
        Way::Jwt(issuer) => Refresher::of(issuer),
        Way::Keys(_) | Way::Certificate(_) | Way::Gateway(_) | Way::Introspection(_) => None,
    });
    let spawn = |refresher: Result<Refresher, RemoteError>| {
        Ok(tokio::spawn(refresher?.run(sidecar.clock.clone(), over(is_over.clone()))))
    };
    issuers.map(spawn).collect()
}

async fn flush_recorder(sidecar: Arc<Sidecar>, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = ticks.tick() => sidecar.recorder.flush(&sidecar.clock.second()),
            () = &mut shutdown => return,
        }
    }
}

fn browsers(browsers: &BrowsersConfig) -> Browsers {
    let credentials = if browsers.cors_credentials { Credentials::Included } else { Credentials::Omitted };
    Browsers {
        origins: browsers.origins.clone(),
        cors_origins: browsers.cors_origins.clone(),
        cors_credentials: credentials,
        cors_max_age_s: browsers.cors_max_age_ms / 1_000,
    }
}

/// The limits of the configuration, as the path uses them.
pub fn limits(limits: &LimitsConfig) -> Limits {
    Limits {
        head: HeadLimits {
            target_bytes_max: limits.target_bytes,
            query_parameters_max: limits.query_parameters,
            headers_max: limits.headers,
        },
        body_bytes_max: limits.body_bytes,
        body_timeout_ms: limits.body_timeout_ms,
        json_depth_max: limits.json_depth,
        answer_bytes_max: limits.answer_bytes,
        coding: transport::coding_limits(limits),
        hold_bytes: limits.hold_bytes,
        pool: PoolLimits {
            threads: match limits.pool_threads {
                0 => std::thread::available_parallelism().map_or(1, NonZero::get),
                threads => threads,
            },
            queue_max: limits.pool_queue,
            bytes_min: limits.pool_bytes,
        },
        records_max: limits.records,
        ids_max: limits.ids,
        filter: FilterLimits { clauses_max: limits.filter_clauses, depth_max: limits.filter_depth },
        fetches_max: limits.fetches,
        refill: RefillLimits { rows_max: limits.refill_rows, pages_max: limits.refill_pages },
        requests_max: limits.requests,
        stream: StreamLimits {
            bytes_max: limits.stream_bytes,
            idle_ms: limits.stream_idle_ms,
            time_ms: limits.stream_time_ms,
        },
        streams_max: limits.streams,
        open_requests_max: limits.open_requests,
        lock_timeout_ms: limits.lock_timeout_ms,
        ..Limits::default()
    }
}
