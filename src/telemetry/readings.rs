//! What a scrape reads at its moment, as gauges.
//!
//! Promises: a gauge that nobody reads anew does not exist. Never counts: `metrics` does.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::add;
use super::sinks::SinkReading;

/// What is read at the moment of a scrape.
#[derive(Default)]
pub struct Readings {
    /// Verdicts found in the cache.
    pub cache_hits: u64,
    /// Verdicts made and kept.
    pub cache_misses: u64,
    /// Verdicts made and not kept.
    pub cache_bypasses: u64,
    /// Verdicts of programs.
    pub verdicts_compiled: u64,
    /// Verdicts of plain Cedar.
    pub verdicts_plain: u64,
    /// Verdicts of programs that plain Cedar did not confirm.
    pub verdict_mismatches: u64,
    /// Whether the ledger takes entries.
    pub ledger_is_writable: bool,
    /// Entries that wait to be written.
    pub ledger_queue: u64,
    /// Entries that are durable.
    pub ledger_entries: u64,
    /// Requests under way.
    pub requests_open: u64,
    /// Large bodies that are worked on.
    pub pool_busy: u64,
    /// Large bodies that wait for that.
    pub pool_waiting: u64,
    /// The generation that serves.
    pub generation: u64,
    /// Seconds until each group of `[[observe]]` is enforced; 0 from then on.
    pub observe_until: Vec<(String, i64)>,
    /// The ledger's sinks.
    pub sinks: Vec<SinkReading>,
    /// Entries that the last checkpoint stands for.
    pub checkpoint_entries: u64,
    /// Entries that the last checkpoint stands for that every export has.
    pub checkpoint_exported: u64,
    /// What fails of signing and exporting checkpoints.
    pub checkpoint_failing: u64,
    /// The room that is left for the ledger, in bytes, where the file system says so.
    pub free_bytes: Option<u64>,
    /// Whether that is little.
    pub is_space_low: bool,
    /// Whether a segment that is old enough cannot be removed.
    pub is_removal_overdue: bool,
    /// Whether every condition of readiness holds.
    pub is_ready: bool,
}

/// What is set anew for each scrape.
pub(super) struct Gauges {
    cache_hits: Gauge,
    verdicts_compiled: Gauge,
    verdicts_plain: Gauge,
    verdict_mismatches: Gauge,
    cache_misses: Gauge,
    cache_bypasses: Gauge,
    ledger_writable: Gauge,
    ledger_queue: Gauge,
    ledger_entries: Gauge,
    requests_open: Gauge,
    pool_busy: Gauge,
    pool_waiting: Gauge,
    generation: Gauge,
    checkpoint_entries: Gauge,
    checkpoint_exported: Gauge,
    checkpoint_failing: Gauge,
    removal_overdue: Gauge,
    free_bytes: Gauge,
    space_low: Gauge,
    ready: Gauge,
}

impl Gauges {
    pub(super) fn add_to(r: &mut Registry) -> Self {
        Self {
            cache_hits: add(r, "verdict_cache_hits", "Verdicts found in the cache", Gauge::default()),
            cache_misses: add(r, "verdict_cache_misses", "Verdicts made and kept", Gauge::default()),
            cache_bypasses: add(
                r,
                "verdict_cache_bypasses",
                "Verdicts made and not kept, since a policy reads what cannot be kept",
                Gauge::default(),
            ),
            verdicts_compiled: add(r, "verdicts_compiled", "Verdicts that programs gave", Gauge::default()),
            verdicts_plain: add(
                r,
                "verdicts_plain",
                "Verdicts that plain Cedar gave because there is no program for them",
                Gauge::default(),
            ),
            verdict_mismatches: add(
                r,
                "verdict_mismatches",
                "Verdicts of programs that plain Cedar did not confirm",
                Gauge::default(),
            ),
            ledger_writable: add(r, "ledger_writable", "1 if the ledger takes entries", Gauge::default()),
            ledger_queue: add(r, "ledger_queue_entries", "Entries that wait to be written", Gauge::default()),
            ledger_entries: add(r, "ledger_entries", "Entries that are durable", Gauge::default()),
            requests_open: add(r, "requests_open", "Requests under way", Gauge::default()),
            pool_busy: add(r, "pool_busy", "Large bodies that are worked on", Gauge::default()),
            pool_waiting: add(r, "pool_waiting", "Large bodies that wait for that", Gauge::default()),
            generation: add(r, "generation", "Counts up with every reload", Gauge::default()),
            checkpoint_entries: add(
                r,
                "checkpoint_entries",
                "Entries that the last checkpoint stands for",
                Gauge::default(),
            ),
            checkpoint_exported: add(
                r,
                "checkpoint_exported_entries",
                "Entries that the last checkpoint stands for that every export has",
                Gauge::default(),
            ),
            checkpoint_failing: add(
                r,
                "checkpoint_failing",
                "Exports that failed at the last time, and 1 more where no checkpoint can be signed",
                Gauge::default(),
            ),
            removal_overdue: add(
                r,
                "ledger_removal_overdue",
                "1 while a segment that was kept for long enough cannot be removed",
                Gauge::default(),
            ),
            free_bytes: add(r, "ledger_free_bytes", "Room that is left for the ledger", Gauge::default()),
            space_low: add(r, "ledger_space_low", "1 if that is little", Gauge::default()),
            ready: add(r, "ready", "1 if every condition of readiness holds", Gauge::default()),
        }
    }

    /// Sets what was read.
    pub(super) fn set(&self, readings: &Readings) {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.cache_hits, readings.cache_hits);
        set(&self.cache_misses, readings.cache_misses);
        set(&self.cache_bypasses, readings.cache_bypasses);
        set(&self.verdicts_compiled, readings.verdicts_compiled);
        set(&self.verdicts_plain, readings.verdicts_plain);
        set(&self.verdict_mismatches, readings.verdict_mismatches);
        set(&self.generation, readings.generation);
        set(&self.ledger_queue, readings.ledger_queue);
        set(&self.ledger_entries, readings.ledger_entries);
        set(&self.requests_open, readings.requests_open);
        set(&self.pool_busy, readings.pool_busy);
        set(&self.pool_waiting, readings.pool_waiting);
        self.ledger_writable.set(i64::from(readings.ledger_is_writable));
        self.removal_overdue.set(i64::from(readings.is_removal_overdue));
        set(&self.free_bytes, readings.free_bytes.unwrap_or(0));
        self.space_low.set(i64::from(readings.is_space_low));
        self.ready.set(i64::from(readings.is_ready));
        set(&self.checkpoint_entries, readings.checkpoint_entries);
        set(&self.checkpoint_exported, readings.checkpoint_exported);
        set(&self.checkpoint_failing, readings.checkpoint_failing);
    }
}
