//! Shows that the test on non-interference can fail: each fault that can be seeded into our own code, it catches.
//!
//! A binary of its own, because a fault is switched on for the whole process. `LOCKKEEPER_NONINTERFERENCE_SEED` and
//! `LOCKKEEPER_NONINTERFERENCE_SEQUENCES` (how many sequences a fault may take to be found) change what is tried;
//! `LOCKKEEPER_SEEDED` is a part of the names of those that are.
#![expect(clippy::disallowed_methods, reason = "edge: what is tried stands in the environment")]
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that looks for what is not there has failed")]

#[path = "../it/noninterference/mod.rs"]
mod noninterference;

use lockkeeper::model::seeded::{Fault, seed};
use noninterference::{Plan, runtime};

#[test]
fn each_fault_is_caught() {
    let plan = Plan { shrinks_max: 0, per_bundle: PER_BUNDLE, ..Plan::of_environment(SEQUENCES) };
    let runtime = runtime();
    let mut missed = Vec::new();
    let sound = runtime.block_on(Plan { sequences: plan.sequences.min(SEQUENCES_SOUND), ..plan }.run());
    assert!(sound.is_ok(), "without any fault something is told: {}", sound.unwrap_err());
    let only = std::env::var("LOCKKEEPER_SEEDED").unwrap_or_default();
    for fault in Fault::ALL.iter().filter(|fault| format!("{fault:?}").contains(&only)) {
        seed(Some(*fault));
        match runtime.block_on(plan.run()) {
            Err(finding) => println!("| {fault:?} | {} | {} |", finding.number + 1, finding.difference.ask),
            Ok(tally) => missed.push(format!("{fault:?} in {tally}")),
        }
        seed(None);
    }
    assert!(missed.is_empty(), "not caught:\n  {}", missed.join("\n  "));
    assert!(Fault::ALL.len() >= FAULTS_MIN);
}

/// After so many sequences a fault counts as not caught. Each took less than half of them when it was set.
const SEQUENCES: usize = 6_000;
/// So many of them pass where no fault is switched on.
const SEQUENCES_SOUND: usize = 120;
/// The more bundles, the sooner one has what a fault needs.
const PER_BUNDLE: usize = 12;
const FAULTS_MIN: usize = 20;
