//! The one integration binary: journeys over real sockets, real Cedar and real ledger files.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: how often faults are repeated stands in the environment"
)]
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that looks for what is not there has failed")]

mod equality;
mod filter;
mod proposed;
mod reads;
mod references;
mod push_down;
mod refill;
mod lists;
mod long_lists;
mod links;
mod hidden;
mod look_alikes;
mod writes;
mod own_actions;
mod versions;
mod merge_back;
mod bulk;
mod unbounded;
mod upsert;
mod forms;
mod formulas;
mod records;
mod bad_input;
mod bypasses;
mod addresses;
mod any_crm;
mod bad_json;
mod codings;
mod conditional;
mod pool;
mod framing;
mod canaries;
mod certificates;
mod checkpoints;
mod checkpoints_https;
mod tokens;
mod tls;
mod http2;
mod upstream_tls;
mod proxy_protocol;
mod slow_clients;
mod drain;
mod tenure;
mod faults;
mod hostile_lists;
mod hostile_origin;
mod hostile_calls;
mod reload_storm;
mod guesses;
mod ledger;
mod retention;
mod disk;
mod sinks;
mod directory;
mod observe;
mod reload;
mod authzen;
mod bundles;
mod bundle_fetch;
mod reload_parts;
mod kill;
mod crowd;
mod program;
mod matrix;
mod standing;
mod collector;
mod traces;
mod telemetry;
mod kept_verdicts;
mod stripping;
mod interference;
mod noninterference;
mod login;
mod cors;
mod files;
mod static_files;
mod identity;

mod ledger_kill;

/// How often something is repeated: `rounds` as a rule, more where `LOCKKEEPER_FAULT_SCALE` says so, as
/// `scripts/reliability` does.
fn scaled(rounds: usize) -> usize {
    let scale =
        std::env::var("LOCKKEEPER_FAULT_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1);
    rounds * std::cmp::max(scale, 1)
}
