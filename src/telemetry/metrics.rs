//! Counters for Prometheus. Labels come from closed lists: routes of the profile, reasons, classes; never from callers.
//!
//! Promises: what a caller sends cannot make a series; the number of series is bounded by profile and code.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::readings::{Gauges, Readings};
use super::sinks::SinkMetrics;
use crate::model::reason::Reason;

/// The labels of a finished request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
    reason: &'static str,
}

/// The label of a group that observes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    group: String,
}

/// The label of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// The labels of a duration of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    route: String,
    status: &'static str,
}

/// One label from a closed list.
macro_rules! labels {
    ($($name:ident $label:ident)*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $label: &'static str,
        }
    )*};
}
labels! { StatusLabel status  CauseLabel cause  ReasonLabel reason  ResultLabel result  UseLabel used_for  VersionLabel version }

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All counters.
pub struct Metrics {
    registry: Registry,
    traffic: Traffic,
    ledger_seconds: Histogram,
    connections_refused: Family<ReasonLabel, Counter>,
    connections_closed: Family<CauseLabel, Counter>,
    reloads: Family<ResultLabel, Counter>,
    tls_refused: Counter,
    certificates: Family<UseLabel, Gauge>,
    fields_hidden: Counter,
    rows_hidden: Counter,
    spans_exported: Counter,
    spans_dropped: Counter,
    connections: Gauge,
    directory_loaded: Gauge,
    sinks: SinkMetrics,
    read: Gauges,
}

/// Requests and their way to the CRM.
struct Traffic {
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histograms<DurationLabels>,
    upstream_seconds: Histograms<StatusLabel>,
    observed: Family<ReasonLabel, Counter>,
    unconfirmed: Family<ReasonLabel, Counter>,
    observe_until: Family<GroupLabels, Gauge>,
    unrecorded: Family<RouteLabels, Counter>,
}

/// A request that ended.
#[derive(Default)]
pub struct Finished<'a> {
    /// The route's label; `None` where no route matched.
    pub route: Option<&'a str>,
    /// The status that the caller got.
    pub status: u16,
    /// Why it is not the answer that was asked for.
    pub reason: Option<Reason>,
    /// Records from which at least one field was held back.
    pub records_cut: usize,
    /// Records that were held back whole.
    pub records_hidden: usize,
    /// From the head until the answer was ready to leave.
    pub duration: Duration,
}

/// What a reload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The new revision serves.
    Active,
    /// The old one stays.
    Refused,
}

/// What a certificate of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUse {
    /// It is shown to callers.
    Listen,
    /// It is shown to the CRM.
    Upstream,
}

/// Why we closed a connection before its caller did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// Nothing was asked for too long.
    Idle,
    /// An answer was not read.
    Unread,
    /// It outstayed the service's end.
    Drained,
}

/// A caller's connection, counted until it is dropped.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lockkeeper");
        let r = &mut registry;
        let version = VersionLabel { version: env!("CARGO_PKG_VERSION") };
        r.register("build", "What runs", Info::new(version));
        Self {
            traffic: Traffic::add_to(r),
            ledger_seconds: add(
                r,
                "ledger_append_duration_seconds",
                "Until an entry was durable",
                Histogram::new(LEDGER_BUCKETS),
            ),
            connections_refused: add(
                r,
                "connections_refused",
                "Connections refused before there was a request",
                Family::default(),
            ),
            connections_closed: add(
                r,
                "connections_closed",
                "Connections that we closed before their caller did",
                Family::default(),
            ),
            tls_refused: add(
                r,
                "tls_files_refused",
                "Looks at TLS files that cannot be used, while the old ones serve on",
                Counter::default(),
            ),
            reloads: add(r, "reloads", "Reloads by result", Family::default()),
            certificates: add(
                r,
                "certificate_expiry_timestamp_seconds",
                "When a certificate of ours expires",
                Family::default(),
            ),
            fields_hidden: add(
                r,
                "records_with_hidden_fields",
                "Records from which at least one field was held back",
                Counter::default(),
            ),
            rows_hidden: add(r, "records_hidden", "Records held back whole", Counter::default()),
            spans_exported: add(
                r,
                "trace_spans_exported",
                "Spans that the collector took",
                Counter::default(),
            ),
            spans_dropped: add(
                r,
                "trace_spans_dropped",
                "Spans that were lost: queue full, collector down",
                Counter::default(),
            ),
            connections: add(r, "connections", "Open connections of callers", Gauge::default()),
            directory_loaded: add(
                r,
                "directory_loaded_timestamp_seconds",
                "When the directory that serves was loaded",
                Gauge::default(),
            ),
            sinks: SinkMetrics::add_to(r),
            read: Gauges::add_to(r),
            registry,
        }
    }
}

impl Traffic {
    fn add_to(r: &mut Registry) -> Self {
        Self {
            requests: add(r, "requests", "Requests by route, status and reason", Family::default()),
            request_seconds: add(
                r,
                "request_duration_seconds",
                "From a request's head until its answer",
                by_time(),
            ),
            upstream_seconds: add(
                r,
                "upstream_duration_seconds",
                "From a request to the CRM until the end of its answer",
                by_time(),
            ),
            observed: add(
                r,
                "observed",
                "Requests that were judged and not enforced, by the reason that would have ended them",
                Family::default(),
            ),
            unconfirmed: add(
                r,
                "writes_unconfirmed",
                "Writes after which the record was not as it was judged, or could not be read again",
                Family::default(),
            ),
            unrecorded: add(
                r,
                "passed_unrecorded",
                "Requests that passed while the ledger could not be written, by route",
                Family::default(),
            ),
            observe_until: add(
                r,
                "observe_until_seconds",
                "Seconds until a group of routes is enforced; 0 if it is",
                Family::default(),
            ),
        }
    }
}

pub(super) fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn by_time<L: Clone + std::hash::Hash + Eq>() -> Histograms<L> {
    Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS))
}

impl Metrics {
    /// Counts a finished request.
    pub fn count(&self, finished: &Finished<'_>) {
        let route = finished.route.unwrap_or("none").to_owned();
        let reason = finished.reason.map_or("none", Reason::code);
        let durations = DurationLabels { route: route.clone(), status: class(Some(finished.status)) };
        self.traffic.request_seconds.get_or_create(&durations).observe(finished.duration.as_secs_f64());
        self.traffic.requests.get_or_create(&RequestLabels { route, status: finished.status, reason }).inc();
        self.fields_hidden.inc_by(to_u64(finished.records_cut));
        self.rows_hidden.inc_by(to_u64(finished.records_hidden));
    }

    /// Counts an exchange with the CRM; `None` where it did not answer.
    pub fn upstream(&self, status: Option<u16>, duration: Duration) {
        self.traffic
            .upstream_seconds
            .get_or_create(&StatusLabel { status: class(status) })
            .observe(duration.as_secs_f64());
    }

    /// Counts an entry that became durable.
    pub fn ledger_append(&self, duration: Duration) {
        self.ledger_seconds.observe(duration.as_secs_f64());
    }

    /// Counts a connection that ended before there was a request, or that was not taken.
    pub fn connection_refused(&self, reason: Reason) {
        self.connections_refused.get_or_create(&ReasonLabel { reason: reason.code() }).inc();
    }

    /// Counts a connection that we closed.
    pub fn connection_closed(&self, cause: CloseCause) {
        let cause = match cause {
            CloseCause::Idle => "idle",
            CloseCause::Unread => "unread",
            CloseCause::Drained => "drained",
        };
        self.connections_closed.get_or_create(&CauseLabel { cause }).inc();
    }

    /// Counts a look at TLS files that cannot be used.
    pub fn tls_files_refused(&self) {
        self.tls_refused.inc();
    }

    /// Counts a caller's connection for as long as it is held.
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Counts a reload.
    pub fn reload(&self, result: ReloadResult) {
        let result = match result {
            ReloadResult::Active => "active",
            ReloadResult::Refused => "refused",
        };
        self.reloads.get_or_create(&ResultLabel { result }).inc();
    }

    /// Notes when a certificate of ours expires, in seconds since 1970.
    pub fn certificate_expires(&self, used_for: CertificateUse, at_s: i64) {
        let used_for = match used_for {
            CertificateUse::Listen => "listen",
            CertificateUse::Upstream => "upstream",
        };
        self.certificates.get_or_create(&UseLabel { used_for }).set(at_s);
    }

    /// Notes when the directory that serves was loaded, in seconds since 1970.
    pub fn directory_loaded(&self, at_s: i64) {
        self.directory_loaded.set(at_s);
    }

    /// Counts spans that the collector took.
    pub fn spans_exported(&self, count: usize) {
        self.spans_exported.inc_by(to_u64(count));
    }

    /// Counts spans that were lost.
    pub fn spans_dropped(&self, count: usize) {
        self.spans_dropped.inc_by(to_u64(count));
    }

    /// Counts a request that was observed.
    pub fn count_observed(&self, would: Option<Reason>) {
        let reason = would.map_or("none", Reason::code);
        self.traffic.observed.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a request that passed while the ledger could not be written.
    pub fn passed_unrecorded(&self, route: &str) {
        self.traffic.unrecorded.get_or_create(&RouteLabels { route: route.to_owned() }).inc();
    }

    /// Counts a write after which the record was not as it was judged, by the alarm.
    pub fn write_unconfirmed(&self, alarm: &'static str) {
        self.traffic.unconfirmed.get_or_create(&ReasonLabel { reason: alarm }).inc();
    }

    /// The counters of the ledger's sinks.
    pub fn sinks(&self) -> &SinkMetrics {
        &self.sinks
    }

    /// All counters in the text form of OpenMetrics.
    pub fn encode(&self, readings: &Readings) -> String {
        self.read.set(readings);
        self.sinks.read(&readings.sinks);
        for (group, seconds) in &readings.observe_until {
            self.traffic.observe_until.get_or_create(&GroupLabels { group: group.clone() }).set(*seconds);
        }
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// The class of a status, so that histograms stay few.
fn class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) => "other",
        None => "none",
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Upper bounds in seconds.
const REQUEST_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const LEDGER_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
