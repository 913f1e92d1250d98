//! Counters of the ledger's sinks, by their names in the configuration.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::add;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    sink: String,
    reason: &'static str,
}

/// What is counted.
pub struct SinkMetrics {
    entries: Family<SinkLabel, Counter>,
    failures: Family<FailureLabels, Counter>,
    lag_entries: Family<SinkLabel, Gauge>,
    lag_seconds: Family<SinkLabel, Gauge<f64, AtomicU64>>,
    lost: Family<SinkLabel, Gauge>,
    up: Family<SinkLabel, Gauge>,
}

/// What is read at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub struct SinkReading {
    /// The sink's name.
    pub name: String,
    /// Whether it takes entries.
    pub is_up: bool,
    /// Durable entries that it has not acknowledged.
    pub lag_entries: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub lag_ms: u64,
    /// Entries that it had acknowledged and lost.
    pub lost: u64,
}

impl SinkMetrics {
    /// Registers all of them.
    pub(super) fn add_to(r: &mut Registry) -> Self {
        Self {
            entries: add(r, "sink_entries", "Entries that a sink acknowledged", Family::default()),
            failures: add(
                r,
                "sink_failures",
                "Exchanges with a sink that failed, by reason",
                Family::default(),
            ),
            lag_entries: add(
                r,
                "sink_lag_entries",
                "Durable entries that a sink has not acknowledged",
                Family::default(),
            ),
            lag_seconds: add(
                r,
                "sink_lag_seconds",
                "How long the oldest of them has waited",
                Family::default(),
            ),
            lost: add(
                r,
                "sink_lost_entries",
                "Entries that a sink had acknowledged and did not have any more; they were sent again",
                Family::default(),
            ),
            up: add(r, "sink_up", "1 if a sink takes entries", Family::default()),
        }
    }

    /// Counts entries that a sink acknowledged.
    pub fn took(&self, sink: &str, entries: usize) {
        let label = SinkLabel { sink: sink.to_owned() };
        self.entries.get_or_create(&label).inc_by(u64::try_from(entries).unwrap_or(u64::MAX));
    }

    /// Counts a failure.
    pub fn failed(&self, sink: &str, reason: &'static str) {
        self.failures.get_or_create(&FailureLabels { sink: sink.to_owned(), reason }).inc();
    }

    /// Sets what is read at a scrape.
    pub(super) fn read(&self, readings: &[SinkReading]) {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for reading in readings {
            let label = SinkLabel { sink: reading.name.clone() };
            self.lag_entries.get_or_create(&label).set(signed(reading.lag_entries));
            let lag = Duration::from_millis(reading.lag_ms);
            self.lag_seconds.get_or_create(&label).set(lag.as_secs_f64());
            self.lost.get_or_create(&label).set(signed(reading.lost));
            self.up.get_or_create(&label).set(i64::from(reading.is_up));
        }
    }
}
