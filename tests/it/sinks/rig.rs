//! A ledger that is written while its sinks run, as the service runs them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockkeeper::audit::sinks::running::{Sinks, Watched};
use lockkeeper::audit::sinks::watch::SinkStatus;
use lockkeeper::config::service::LedgerConfig;
use lockkeeper::config::service::sinks::{SinkConfig, SinkPlace};
use lockkeeper::ledger::append::{Ledger, LedgerOptions};
use lockkeeper::ledger::clock::Clock as LedgerClock;
use lockkeeper::ledger::entry::{Access, Change, Decision, Effect, Entry, Sets, Write};
use lockkeeper::ledger::error::LedgerError;
use lockkeeper::ledger::field_set::FieldSet;
use lockkeeper::ledger::made_up::{decision, outcome};
use lockkeeper::ledger::{clock, read};
use lockkeeper::service::sinks;
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::telemetry::metrics::Metrics;
use lockkeeper::telemetry::readings::Readings;
use lockkeeper::testkit::client::PATIENCE;
use tokio::time::timeout;

/// A ledger with sinks.
pub struct Feed {
    pub dir: tempfile::TempDir,
    pub ledger: Ledger,
    pub watched: Arc<Watched>,
    pub metrics: Arc<Metrics>,
    sinks: Sinks,
}

/// A sink with limits that suit a test.
pub fn sink(name: &str, place: SinkPlace) -> SinkConfig {
    SinkConfig {
        name: name.to_owned(),
        place,
        is_required: true,
        ca_file: None,
        pair: None,
        timeout_ms: 20_000,
        batch_entries_max: 50,
        batch_bytes_max: 1 << 20,
        retry_max_ms: 50,
    }
}

impl Feed {
    pub fn start(sinks: Vec<SinkConfig>) -> Self {
        Self::on(tempfile::tempdir().unwrap(), sinks, clock::system())
    }

    pub fn on(dir: tempfile::TempDir, sinks: Vec<SinkConfig>, clock: LedgerClock) -> Self {
        let config = LedgerConfig {
            checkpoints: None,
            retention: None,
            free_bytes_min: 0,
            path: dir.path().to_owned(),
            segment_bytes_max: 60_000,
            segment_ms_max: 86_400_000,
            queue_entries_max: 4096,
            write_timeout_ms: 10_000,
            sync_interval_ms: 1_000,
            routes: Vec::new(),
            log_label: Some("a test".to_owned()),
            sinks,
        };
        let options = LedgerOptions {
            segment_bytes_max: config.segment_bytes_max,
            soon_wait_ms: 0,
            ..LedgerOptions::new(dir.path(), "boot")
        };
        // The writer of a ledger that was dropped ends by itself.
        let (ledger, _) = loop {
            match Ledger::open(options.clone(), Arc::clone(&clock)) {
                Err(LedgerError::Locked { .. }) => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        let metrics = Arc::new(Metrics::default());
        let sinks = sinks::start(&config, &ledger, &metrics, &Clock::system()).unwrap();
        Self { dir, ledger, watched: Arc::clone(sinks.watched()), metrics, sinks }
    }

    pub fn log_id(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("ledger/log-id")).unwrap().trim().to_owned()
    }

    /// Decisions with their outcomes: reads of deals, each `id` shown with its amount.
    pub async fn decide(&self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            let decision = shown(id);
            let of = decision.id.clone();
            self.ledger.append(Entry::Decision(Box::new(decision))).await.unwrap();
            self.ledger.append(outcome(&of)).await.unwrap();
        }
    }

    pub fn status(&self, name: &str) -> SinkStatus {
        self.watched.statuses().into_iter().find(|status| status.name == name).unwrap()
    }

    /// Waits for what must come about by itself.
    pub async fn until(&self, name: &str, what: &str, holds: impl Fn(&SinkStatus) -> bool) {
        let found = timeout(PATIENCE, async {
            while !holds(&self.status(name)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(found.await.is_ok(), "`{name}` never was {what}: {:?}", self.status(name));
    }

    pub async fn caught_up(&self, name: &str) {
        self.until(name, "caught up", |status| {
            status.lag_entries == 0 && status.acknowledged.is_some() && status.failures == 0
        })
        .await;
    }

    /// Everything that operators can see of sinks, as text.
    pub fn seen(&self) -> String {
        let readings = Readings { sinks: self.watched.readings(), ..Readings::default() };
        format!("{:?}\n{}", self.watched.statuses(), self.metrics.encode(&readings))
    }

    /// Ends it as the service does.
    pub async fn end(self) -> tempfile::TempDir {
        self.ledger.close().await.unwrap();
        self.sinks.finish().await;
        self.dir
    }

    /// Ends it at once, as a kill does.
    pub async fn kill(self) -> tempfile::TempDir {
        self.sinks.abort().await;
        drop(self.ledger);
        self.dir
    }
}

/// The lines of a ledger by their numbers.
pub fn lines(state: &Path) -> BTreeMap<u64, String> {
    let line = |line: Result<read::Line, _>| {
        let line = line.unwrap();
        (line.place.seq, String::from_utf8(line.bytes).unwrap())
    };
    read::entries(state, 0).map(line).collect()
}

/// Whether a copy is the same, printing only what differs.
#[track_caller]
pub fn same(held: &BTreeMap<u64, String>, expected: &BTreeMap<u64, String>) {
    let missing: Vec<_> = expected.iter().filter(|(seq, _)| !held.contains_key(*seq)).collect();
    let excess: Vec<_> = held.iter().filter(|(seq, _)| !expected.contains_key(*seq)).collect();
    assert!(missing.is_empty() && excess.is_empty(), "missing: {missing:?}, too many: {excess:?}");
    let differs = held.iter().find(|(seq, line)| expected.get(seq) != Some(line));
    assert_eq!(differs, None);
}

/// A deal was shown with its amount, without its margin.
pub fn shown(id: u32) -> Decision {
    let sets = Sets {
        record_type: "Deal".into(),
        shown: FieldSet::of(["Deal.amount", "Deal.title"]),
        hidden: FieldSet::of(["Deal.margin"]),
        masked: FieldSet::default(),
        ids: vec![id.to_string()],
        policies: vec!["own-deals".into()],
    };
    Decision { sets: vec![sets], ..decision(&format!("read-{id}")) }
}

/// A deal's stage was to change.
pub fn moved(id: u32, effect: Effect) -> Decision {
    let access = Access {
        action: "moveStage".into(),
        record_type: "Deal".into(),
        ids: vec![id.to_string()],
        effect,
        policies: vec![],
        errors: vec![],
        reason: None,
        attribute: None,
    };
    let stage = Change { from: Some("sales.new".into()), to: Some("sales.won".into()) };
    Decision {
        method: "PATCH".into(),
        effect,
        reason: (effect == Effect::Deny).then(|| "stage-move-denied".to_owned()),
        access: vec![access],
        write: Some(Write { asked: vec!["Deal.stage".into()], stage: Some(stage), ..Write::default() }),
        ..decision(&format!("move-{id}"))
    }
}
