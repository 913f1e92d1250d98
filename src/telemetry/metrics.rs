//! Counters for Prometheus. Labels come from closed lists: routes of the profile, reasons, classes; never from callers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::reason::Reason;
use crate::pipeline::decide::gate::CacheCounts;
use crate::pipeline::trail::Trail;

/// The labels of a finished request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
    reason: &'static str,
}

/// All counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    fields_hidden: Counter,
    rows_hidden: Counter,
    cache_hits: Gauge,
    cache_misses: Gauge,
    cache_bypasses: Gauge,
    ledger_writable: Gauge,
    generation: Gauge,
}

/// What is read at the moment of a scrape.
pub struct Readings {
    /// The verdict cache.
    pub cache: CacheCounts,
    /// Whether the ledger takes entries.
    pub ledger_is_writable: bool,
    /// The generation that serves.
    pub generation: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("lockkeeper"),
            requests: Family::default(),
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
        let help = "Records from which at least one field was held back";
        registry.register("records_with_hidden_fields", help, metrics.fields_hidden.clone());
        registry.register("records_hidden", "Records held back whole", metrics.rows_hidden.clone());
        registry.register("verdict_cache_hits", "Verdicts found in the cache", metrics.cache_hits.clone());
        registry.register("verdict_cache_misses", "Verdicts made and kept", metrics.cache_misses.clone());
        let help = "Verdicts made and not kept, since a policy uses the time in a way that cannot be kept";
        registry.register("verdict_cache_bypasses", help, metrics.cache_bypasses.clone());
        registry.register("ledger_writable", "1 if the ledger takes entries", metrics.ledger_writable.clone());
        registry.register("generation", "Counts up with every reload", metrics.generation.clone());
        metrics
    }
}

impl Metrics {
    /// Counts a finished request.
    pub fn count(&self, trail: &Trail, status: u16, reason: Option<Reason>) {
        let route = trail.route.clone().unwrap_or_else(|| "none".to_owned());
        let reason = reason.map_or("none", Reason::code);
        self.requests.get_or_create(&RequestLabels { route, status, reason }).inc();
        let cut = trail.sets.sets.iter().filter(|(outcome, _)| !outcome.hidden.is_empty() || !outcome.masked.is_empty());
        self.fields_hidden.inc_by(total(cut.map(|(_, ids)| ids.len())));
        self.rows_hidden.inc_by(total(trail.sets.rows_hidden.values().map(Vec::len)));
    }

    /// All counters in the text form of OpenMetrics.
    pub fn encode(&self, readings: &Readings) -> String {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.cache_hits, readings.cache.hits);
        set(&self.cache_misses, readings.cache.misses);
        set(&self.cache_bypasses, readings.cache.bypasses);
        set(&self.generation, readings.generation);
        self.ledger_writable.set(i64::from(readings.ledger_is_writable));
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

fn total(counts: impl Iterator<Item = usize>) -> u64 {
    counts.filter_map(|count| u64::try_from(count).ok()).sum()
}
