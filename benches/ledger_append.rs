//! What recording costs one caller at a time: until a decision is acknowledged once it is synced, and once it is written.
//!
//! `cargo bench --features testkit --bench ledger_append`. Appends decisions, each with an outcome that nobody waits for, to a ledger on the disk of the
//! temporary folder, in rounds of both durabilities in turn. Another number of rounds as an argument. `docs/performance.md` has figures.
#![expect(clippy::disallowed_methods, reason = "edge: a benchmark reads the clock and its arguments")]
#![expect(clippy::print_stdout, reason = "the table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]

use std::time::{Duration, Instant};

use lockkeeper::ledger::append::{Ledger, LedgerOptions, Waiting};
use lockkeeper::ledger::clock;
use lockkeeper::ledger::durability::Durability;
use lockkeeper::ledger::made_up::{decided, outcome};

/// Decisions of one round.
const DECISIONS: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(6);
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(LedgerOptions::new(folder.path(), "bench"), clock::system()).unwrap();
    let (mut synced, mut written) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        measure(&ledger, Durability::Sync, round, &mut synced).await;
        measure(&ledger, Durability::Write, round, &mut written).await;
    }
    ledger.close().await.unwrap();
    println!("| acknowledged once it is | decisions | p50, ms | p99, ms | longest, ms |");
    println!("|---|---|---|---|---|");
    row("synced", synced);
    row("written", written);
}

/// One caller: the next decision comes when the one before is acknowledged.
async fn measure(ledger: &Ledger, durability: Durability, round: usize, times: &mut Vec<Duration>) {
    for at in 0..DECISIONS {
        let id = format!("{durability:?}-{round}-{at}");
        let began = Instant::now();
        ledger.append_as(decided(&id), durability).await.unwrap();
        times.push(began.elapsed());
        assert!(ledger.offer(Waiting::new(outcome(&id), durability).unwrap()).unwrap().is_none());
    }
    // What waits for a sync is not the next round's.
    ledger.append(decided(&format!("end-{durability:?}-{round}"))).await.unwrap();
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap();
    let ms = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1000.0);
    println!("| {what} | {} | {} | {} | {} |", times.len(), ms(at(50)), ms(at(99)), ms(at(100)));
}
