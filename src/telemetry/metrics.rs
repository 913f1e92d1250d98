//! Counters for Prometheus. Labels come from closed lists: routes of the profile, reasons, classes; never from callers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::reason::Reason;

/// The labels of a finished request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
    reason: &'static str,
}

/// The label of a connection that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    cause: &'static str,
}

/// All counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    connections_ended: Family<ConnectionLabels, Counter>,
    tls_refused: Counter,
    tls_expires: Gauge,
    fields_hidden: Counter,
    rows_hidden: Counter,
    cache_hits: Gauge,
    cache_misses: Gauge,
    cache_bypasses: Gauge,
    ledger_writable: Gauge,
    generation: Gauge,
}

/// A request that ended.
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
}

/// What is read at the moment of a scrape.
pub struct Readings {
    /// Verdicts found in the cache.
    pub cache_hits: u64,
    /// Verdicts made and kept.
    pub cache_misses: u64,
    /// Verdicts made and not kept.
    pub cache_bypasses: u64,
    /// Whether the ledger takes entries.
    pub ledger_is_writable: bool,
    /// The generation that serves.
    pub generation: u64,
    /// When the first certificate that we show expires, in seconds since 1970; 0 without one.
    pub tls_expires_seconds: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("lockkeeper"),
            requests: Family::default(),
            connections_ended: Family::default(),
            tls_refused: Counter::default(),
            tls_expires: Gauge::default(),
            fields_hidden: Counter::default(),
            rows_hidden: Counter::default(),
            cache_hits: Gauge::default(),
            cache_misses: Gauge::default(),
            cache_bypasses: Gauge::default(),
            ledger_writable: Gauge::default(),
            generation: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests by route, status and reason", metrics.requests.clone());
        let help = "Connections that were refused or closed before their time, by cause";
        registry.register("connections_ended", help, metrics.connections_ended.clone());
        let help = "Looks at TLS files that cannot be used, while the old ones serve on";
        registry.register("tls_refused", help, metrics.tls_refused.clone());
        let help = "When the first certificate that we show expires, in seconds since 1970; 0 without one";
        registry.register("tls_expires_seconds", help, metrics.tls_expires.clone());
        let help = "Records from which at least one field was held back";
        registry.register("records_with_hidden_fields", help, metrics.fields_hidden.clone());
        registry.register("records_hidden", "Records held back whole", metrics.rows_hidden.clone());
        registry.register("verdict_cache_hits", "Verdicts found in the cache", metrics.cache_hits.clone());
        registry.register("verdict_cache_misses", "Verdicts made and kept", metrics.cache_misses.clone());
        let help = "Verdicts made and not kept, since a policy uses the time in a way that cannot be kept";
        registry.register("verdict_cache_bypasses", help, metrics.cache_bypasses.clone());
        registry.register(
            "ledger_writable",
            "1 if the ledger takes entries",
            metrics.ledger_writable.clone(),
        );
        registry.register("generation", "Counts up with every reload", metrics.generation.clone());
        metrics
    }
}

impl Metrics {
    /// Counts a finished request.
    pub fn count(&self, finished: &Finished<'_>) {
        let route = finished.route.unwrap_or("none").to_owned();
        let reason = finished.reason.map_or("none", Reason::code);
        self.requests.get_or_create(&RequestLabels { route, status: finished.status, reason }).inc();
        self.fields_hidden.inc_by(u64::try_from(finished.records_cut).unwrap_or(u64::MAX));
        self.rows_hidden.inc_by(u64::try_from(finished.records_hidden).unwrap_or(u64::MAX));
    }

    /// Counts a connection that was refused or closed before its time. The cause comes from a closed list.
    pub fn count_connection(&self, cause: &'static str) {
        self.connections_ended.get_or_create(&ConnectionLabels { cause }).inc();
    }

    /// Counts TLS files that cannot be used.
    pub fn count_tls_refused(&self) {
        self.tls_refused.inc();
    }

    /// All counters in the text form of OpenMetrics.
    pub fn encode(&self, readings: &Readings) -> String {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.cache_hits, readings.cache_hits);
        set(&self.cache_misses, readings.cache_misses);
        set(&self.cache_bypasses, readings.cache_bypasses);
        set(&self.generation, readings.generation);
        set(&self.tls_expires, readings.tls_expires_seconds);
        self.ledger_writable.set(i64::from(readings.ledger_is_writable));
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
