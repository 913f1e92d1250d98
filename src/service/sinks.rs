//! The ledger's sinks, made from their configuration and started with the service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::audit::sinks::https::HttpsSink;
use crate::audit::sinks::post::{Post, PostOptions};
use crate::audit::sinks::postgres::PostgresSink;
use crate::audit::sinks::postgres::connect::{PostgresOptions, Security};
use crate::audit::sinks::running::{Sinks, Watched};
use crate::audit::sinks::tailer::{Phase, Tailer, TailerOptions};
use crate::audit::sinks::target::{Log, Target};
use crate::audit::sinks::watch::SinkWatch;
use crate::config::author::Problems;
use crate::config::load::secret;
use crate::config::service::LedgerConfig;
use crate::config::service::sinks::{SinkConfig, SinkPlace};
use crate::ledger::append::Ledger;
use crate::ledger::batches::BatchLimits;
use crate::ledger::error::LedgerError;
use crate::ledger::log_id::LogId;
use crate::net::tls_client::ClientTlsOptions;
use crate::telemetry::clock::Clock;
use crate::telemetry::metrics::Metrics;

/// What sinks share.
struct Shared {
    log: Log,
    ledger: Ledger,
    metrics: Arc<Metrics>,
    clock: Clock,
    phase: watch::Receiver<Phase>,
}

/// Starts every sink. A sink that is down does not keep a service from starting.
pub fn start(
    config: &LedgerConfig,
    ledger: &Ledger,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> Result<Sinks, LedgerError> {
    let (tell, phase) = watch::channel(Phase::Running);
    let watch = |sink: &SinkConfig| {
        let watch = SinkWatch::new(sink.name.clone(), sink.place.kind());
        Arc::new(if sink.is_required { watch } else { watch.not_required() })
    };
    let watches: Vec<Arc<SinkWatch>> = config.sinks.iter().map(watch).collect();
    let mut tasks = Vec::new();
    if !config.sinks.is_empty() {
        let log = Log { id: LogId::open(&config.path)?, label: config.log_label.clone() };
        let (ledger, metrics, clock) = (ledger.clone(), Arc::clone(metrics), clock.clone());
        let shared = Shared { log, ledger, metrics, clock, phase };
        for (sink, watch) in config.sinks.iter().zip(&watches) {
            let watch = Arc::clone(watch);
            let clock = shared.clock.clone();
            tasks.push(match &sink.place {
                SinkPlace::Postgres { .. } => {
                    let Some(options) = postgres_options(sink) else { continue };
                    spawn(PostgresSink::new(options, clock), sink, &config.path, watch, &shared)
                }
                SinkPlace::Https { url, token_file } => {
                    let options = PostOptions {
                        url: url.clone(),
                        token_file: token_file.clone(),
                        tls: tls_options(sink),
                        timeout_ms: sink.timeout_ms,
                    };
                    spawn(HttpsSink::new(Post::new(options, clock)), sink, &config.path, watch, &shared)
                }
            });
        }
    }
    let watched = Watched::new(watches, ledger.clone(), clock.clone());
    Ok(Sinks::new(watched, tell, tasks, finish_limit(config)))
}

fn spawn<T: Target>(
    target: T,
    sink: &SinkConfig,
    state: &Path,
    watch: Arc<SinkWatch>,
    shared: &Shared,
) -> tokio::task::JoinHandle<()> {
    let options = TailerOptions {
        state: state.to_owned(),
        timeout_ms: sink.timeout_ms,
        batch: BatchLimits { lines_max: sink.batch_entries_max, bytes_max: sink.batch_bytes_max },
        retry_first_ms: RETRY_FIRST_MS.min(sink.retry_max_ms),
        retry_max_ms: sink.retry_max_ms,
        poll_ms: POLL_MS,
    };
    let (log, ledger) = (shared.log.clone(), shared.ledger.clone());
    let (metrics, clock) = (Arc::clone(&shared.metrics), shared.clock.clone());
    let tailer = Tailer::new(target, log, ledger, options, watch, metrics, clock);
    tokio::spawn(tailer.run(shared.phase.clone()))
}

/// How the database of a sink is reached; `None` where the sink is no database.
pub fn postgres_options(sink: &SinkConfig) -> Option<PostgresOptions> {
    let SinkPlace::Postgres { config, password_file, is_protected } = &sink.place else { return None };
    let security = if *is_protected { Security::Tls(tls_options(sink)) } else { Security::Plain };
    Some(PostgresOptions {
        config: config.as_ref().clone(),
        password_file: password_file.clone(),
        security,
        timeout_ms: sink.timeout_ms,
    })
}

fn tls_options(sink: &SinkConfig) -> ClientTlsOptions {
    ClientTlsOptions { ca_file: sink.ca_file.clone(), pair: sink.pair.clone(), protocols: Vec::new() }
}

/// Reads the secrets of every sink, to say in time what is wrong with them.
pub fn check_secrets(config: &LedgerConfig, problems: &mut Problems) {
    for sink in &config.sinks {
        let file = match &sink.place {
            SinkPlace::Postgres { password_file, .. } => password_file,
            SinkPlace::Https { token_file, .. } => token_file,
        };
        file.iter().for_each(|file| drop(secret(file, problems)));
    }
}

/// How long the end of the service waits for its sinks.
fn finish_limit(config: &LedgerConfig) -> Duration {
    let longest = config.sinks.iter().map(|sink| sink.timeout_ms).max().unwrap_or(0);
    Duration::from_millis(longest.min(FINISH_MAX_MS))
}

/// The first wait after a failure.
const RETRY_FIRST_MS: u64 = 250;

/// How often new entries are looked for.
const POLL_MS: u64 = 100;

/// The end of a service is not delayed longer than this by sinks that are slow.
const FINISH_MAX_MS: u64 = 5_000;
