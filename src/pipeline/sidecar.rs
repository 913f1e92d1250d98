//! The service's parts, as the path uses them: what serves, the limits, the locks, the way to CRM and ledger.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::age::DirectoryAge;
use super::canonical::HeadLimits;
use super::decide::gate::{RecordGate, VerdictCache};
use super::enforce::answer::AnswerLimits;
use super::forward::Upstream;
use super::keeping::Keeping;
use super::map::lexer::FilterLimits;
use super::map::{self, Mapped};
use super::observe::Observing;
use super::origins::Browsers;
use super::pool::{Pool, PoolLimits};
use super::record::Recorder;
use super::refill::RefillLimits;
use super::serving::{Current, Serving};
use super::standing::Standing;
use super::stream::StreamLimits;
use super::trail::Trail;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::route::Route;
use crate::json::parse::JsonLimits;
use crate::model::principal::Asker;
use crate::model::problem::Problem;
use crate::model::reason::{Fault, Reason};
use crate::net::coding::CodingLimits;
use crate::net::renewed::{Renew, Renewal};
use crate::telemetry::clock::Clock;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::readiness::Readiness;
use crate::telemetry::trace::Traces;

/// Everything that a request needs.
pub struct Sidecar {
    /// What serves, swapped as one.
    pub current: Current,
    /// How old the directory is.
    pub directory_age: Arc<DirectoryAge>,
    /// The CRM.
    pub upstream: Upstream,
    /// The ledger.
    pub recorder: Arc<Recorder>,
    /// Verdicts on records.
    pub cache: Arc<VerdictCache>,
    /// The time and the ids made of it.
    pub clock: Clock,
    /// Limits.
    pub limits: Limits,
    /// Where large bodies are worked on.
    pub pool: Pool,
    /// What is not enforced yet.
    pub observing: Observing,
    /// How requests of which routes are recorded.
    pub keeping: Keeping,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Traces, if they are on.
    pub traces: Option<Traces>,
    /// Whether callers may be sent here.
    pub readiness: Readiness,
    /// Whether the bundle may still decide.
    pub standing: Standing,
    /// What pages of other sites may do.
    pub browsers: Browsers,
    /// TLS files that are looked at again while the service runs.
    pub renewed: Vec<Arc<dyn Renew>>,
    slots: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    open: Arc<Semaphore>,
    locks: Vec<Arc<Mutex<()>>>,
}

/// Limits of the service.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of a request's head.
    pub head: HeadLimits,
    /// Bytes of a request body.
    pub body_bytes_max: usize,
    /// Milliseconds for a request body to arrive.
    pub body_timeout_ms: u64,
    /// Depth of JSON, in both directions.
    pub json_depth_max: usize,
    /// Values in one JSON document.
    pub json_values_max: usize,
    /// Bytes of an answer of the CRM.
    pub answer_bytes_max: usize,
    /// Of codings, in both directions.
    pub coding: CodingLimits,
    /// Of work on large bodies.
    pub pool: PoolLimits,
    /// Bytes of a list that are held back until it is whole; a longer one leaves while it comes in.
    pub hold_bytes: usize,
    /// Records in one answer, embedded ones included.
    pub records_max: usize,
    /// Records that one request may name.
    pub ids_max: usize,
    /// Of filters that hold other conditions.
    pub filter: FilterLimits,
    /// Records that are fetched on top of one answer.
    pub fetches_max: usize,
    /// Of lists whose pages are filled up.
    pub refill: RefillLimits,
    /// Requests under way.
    pub requests_max: usize,
    /// Of a body that passes piece by piece.
    pub stream: StreamLimits,
    /// Files of identified callers that pass at once.
    pub streams_max: usize,
    /// Requests under way for which nobody is identified.
    pub open_requests_max: usize,
    /// Milliseconds to wait for other changes of the same record.
    pub lock_timeout_ms: u64,
    /// The values of `Host` that are served, in lower case; all if empty.
    pub hosts: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            body_bytes_max: 1024 * 1024,
            body_timeout_ms: 10_000,
            json_depth_max: 64,
            json_values_max: 2_000_000,
            answer_bytes_max: 16 * 1024 * 1024,
            hold_bytes: 4 * 1024 * 1024,
            coding: CodingLimits::default(),
            pool: PoolLimits::default(),
            records_max: 20_000,
            ids_max: 100,
            filter: FilterLimits::default(),
            fetches_max: 50,
            refill: RefillLimits::default(),
            requests_max: 1_024,
            stream: StreamLimits::default(),
            streams_max: 256,
            open_requests_max: 128,
            lock_timeout_ms: 10_000,
            hosts: Vec::new(),
        }
    }
}

/// Limits as they apply on one route.
pub struct RouteLimits {
    /// Bytes of the request body.
    pub body_bytes_max: usize,
    /// Of codings in either direction.
    pub coding: CodingLimits,
    /// Of what an answer says.
    pub answer: AnswerLimits,
    /// Records in the answer.
    pub records_max: usize,
    /// Of what the request names.
    pub map: map::Limits,
}

impl Limits {
    /// The service's limits, narrowed by the route's.
    pub fn for_route(&self, route: &Route) -> RouteLimits {
        let narrower = |own: Option<usize>, service: usize| own.map_or(service, |own| own.min(service));
        let depth_max = narrower(route.limits.depth, self.json_depth_max);
        let body_bytes_max = narrower(route.limits.body_bytes, self.body_bytes_max);
        let json =
            |bytes_max, depth_max| JsonLimits { bytes_max, depth_max, nodes_max: self.json_values_max };
        // What a caller may write deep must be readable wherever the CRM then puts it.
        let answer_depth_max = depth_max + ANSWER_DEPTH_EXTRA;
        let answer = json(narrower(route.limits.answer_bytes, self.answer_bytes_max), answer_depth_max);
        RouteLimits {
            body_bytes_max,
            coding: self.coding,
            answer: AnswerLimits { json: answer, coding: self.coding },
            records_max: narrower(route.limits.records, self.records_max),
            map: map::Limits {
                json: json(body_bytes_max, depth_max),
                ids_max: self.ids_max,
                filter: self.filter,
            },
        }
    }
}

impl Limits {
    /// Limits on an answer that passes piece by piece.
    pub fn answer_stream(&self, route: &Route) -> StreamLimits {
        self.stream_of(route.limits.answer_bytes)
    }

    /// Limits on a body that is attached.
    pub fn upload_stream(&self, route: &Route) -> StreamLimits {
        self.stream_of(route.limits.body_bytes)
    }

    fn stream_of(&self, own: Option<usize>) -> StreamLimits {
        let own = own.and_then(|own| u64::try_from(own).ok());
        let bytes_max = own.map_or(self.stream.bytes_max, |own| own.min(self.stream.bytes_max));
        StreamLimits { bytes_max, ..self.stream }
    }
}

impl Sidecar {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "each part is made apart and none has a default")]
    pub fn new(
        current: Current,
        directory_age: DirectoryAge,
        upstream: Upstream,
        recorder: Recorder,
        cache: Arc<VerdictCache>,
        clock: Clock,
        limits: Limits,
        metrics: Arc<Metrics>,
        traces: Option<Traces>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(limits.requests_max));
        let streams = Arc::new(Semaphore::new(limits.streams_max));
        let open = Arc::new(Semaphore::new(limits.open_requests_max));
        let locks = (0..RECORD_LOCKS).map(|_| Arc::default()).collect();
        let (observing, keeping, browsers) = (Observing::default(), Keeping::default(), Browsers::default());
        let readiness = Readiness::default();
        let pool = Pool::new(limits.pool);
        Self {
            current,
            directory_age: Arc::new(directory_age),
            upstream,
            recorder: Arc::new(recorder),
            cache,
            clock,
            limits,
            pool,
            observing,
            keeping,
            metrics,
            traces,
            readiness,
            standing: Standing::default(),
            browsers,
            renewed: Vec::new(),
            slots,
            streams,
            open,
            locks,
        }
    }

    /// The same with what is believed of browsers.
    #[must_use]
    pub fn with_browsers(self, browsers: Browsers) -> Self {
        Self { browsers, ..self }
    }

    /// The same with classes of routes that are recorded otherwise than by default.
    #[must_use]
    pub fn keeping(self, keeping: Keeping) -> Self {
        Self { keeping, ..self }
    }

    /// The same with groups of routes that are not enforced yet; without this there are none.
    #[must_use]
    pub fn observing(self, observing: Observing) -> Self {
        Self { observing, ..self }
    }

    /// The same with TLS files that are looked at again; without this there are none.
    #[must_use]
    pub fn renewing(self, renewed: Vec<Arc<dyn Renew>>) -> Self {
        Self { renewed, ..self }
    }

    /// Looks at the TLS files again. Blocks on the file system.
    pub fn renew_tls(&self) {
        let now_ms = self.clock.now_ms();
        for renewed in &self.renewed {
            if let Renewal::Refused(_) = renewed.renew(now_ms) {
                self.metrics.tls_files_refused();
            }
        }
    }

    /// Refuses a host that is not on the list.
    pub fn check_host(&self, host: Option<&str>) -> Result<(), Problem> {
        let hosts = &self.limits.hosts;
        let is_served = |host: &str| {
            let without_port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
            let name = without_port.map_or(host, |(name, _)| name);
            hosts.iter().any(|listed| listed == host || listed == name)
        };
        match hosts.is_empty() || host.is_some_and(is_served) {
            true => Ok(()),
            false => Err(Reason::HostUnlisted.into()),
        }
    }

    /// What serves now.
    pub fn serving(&self) -> Arc<Serving> {
        self.current.serving()
    }

    /// A place among the requests under way, or a refusal.
    pub fn slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Reason::Overloaded.into())
    }

    /// A place among the files that pass, or a refusal. Slow readers hold these, and not those of other requests.
    pub fn stream_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Reason::Overloaded.into())
    }

    /// A place among the requests for which nobody is identified, or a refusal.
    pub fn open_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.open).try_acquire_owned().map_err(|_| Reason::Overloaded.into())
    }

    /// How many requests are under way.
    pub fn requests_open(&self) -> usize {
        self.limits.requests_max.saturating_sub(self.slots.available_permits())
    }

    /// Counts a connection that was refused before there was a request.
    pub fn refuse_connection(&self, reason: Reason, source: &str) {
        self.metrics.connection_refused(reason);
        self.recorder.count_refusal(reason, source);
    }

    /// The gate for whoever asks.
    pub fn gate(&self, snapshot: &Arc<Snapshot>, asker: &Asker) -> RecordGate {
        RecordGate::new(Arc::clone(snapshot), asker.clone(), Arc::clone(&self.cache))
    }

    /// Keeps other changes of the same records waiting, so that what was judged is what is changed as far as this proxy
    /// can tell. Locks are shared by hash, taken in order, and there is a fixed number of them.
    pub async fn lock_records(
        &self,
        mapped: &Mapped<'_>,
        is_write: bool,
    ) -> Result<Vec<tokio::sync::OwnedMutexGuard<()>>, Problem> {
        let mut places: Vec<usize> = match (is_write, mapped.record_type) {
            (true, Some(record_type)) => mapped.ids.iter().map(|id| place(&record_type.name, id)).collect(),
            _ => Vec::new(),
        };
        places.sort_unstable();
        places.dedup();
        let locking = async {
            let mut guards = Vec::new();
            for lock in places.into_iter().filter_map(|place| self.locks.get(place)) {
                guards.push(Arc::clone(lock).lock_owned().await);
            }
            guards
        };
        let limit = Duration::from_millis(self.limits.lock_timeout_ms);
        timeout(limit, locking).await.map_err(|_| Reason::RecordBusy.into())
    }

    /// Tells operators what ended a request.
    pub fn log(&self, trail: &Trail, problem: &Problem) {
        let (id, reason, route) =
            (&trail.id, problem.reason.code(), trail.route.as_deref().unwrap_or("none"));
        let (detail, trace_id) = (problem.internal.as_deref().unwrap_or(""), trail.trace_id());
        match problem.reason.fault() {
            Fault::Client => {
                tracing::debug!(decision.id = %id, trace_id, reason, route, detail, "request ended")
            }
            Fault::Upstream => {
                tracing::warn!(decision.id = %id, trace_id, reason, route, detail, "upstream fault")
            }
            Fault::Ours => {
                tracing::error!(decision.id = %id, trace_id, reason, route, detail, "request failed")
            }
        }
    }
}

fn place(type_name: &str, id: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (type_name, id).hash(&mut hasher);
    usize::try_from(hasher.finish() % RECORD_LOCKS_U64).unwrap_or(0)
}

/// Levels that an answer may have beyond those of a body: envelope, rows, embedded records.
const ANSWER_DEPTH_EXTRA: usize = 32;
const RECORD_LOCKS: usize = 1024;
const RECORD_LOCKS_U64: u64 = 1024;
