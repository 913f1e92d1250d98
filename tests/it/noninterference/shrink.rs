//! Makes a case that fails as small as it gets: fewer requests, fewer differences, simpler requests.

use super::case::{Case, Difference, End, Lane, Tally};
use super::model::State;

/// The smallest case that was found, and how it fails.
pub async fn shrink(
    lane: &Lane<'_>,
    start: &State,
    mut case: Case,
    mut difference: Box<Difference>,
    mut tries: usize,
) -> (Case, Box<Difference>) {
    let mut tally = Tally::default();
    'again: loop {
        for smaller in smaller(&case) {
            if tries == 0 {
                break 'again;
            }
            tries -= 1;
            if let End::Told(found) = lane.run(&smaller, start, &mut tally).await {
                (case, difference) = (smaller, found);
                continue 'again;
            }
        }
        break;
    }
    (case, difference)
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for count in [case.asks.len() / 2, 1] {
        for index in 0..case.asks.len() {
            let mut less = case.clone();
            less.asks.drain(index..(index + count.max(1)).min(case.asks.len()));
            found.push(less);
        }
    }
    for count in [case.edits.len() / 2, 1] {
        for index in 0..case.edits.len() {
            let mut less = case.clone();
            less.edits.drain(index..(index + count.max(1)).min(case.edits.len()));
            found.push(less);
        }
    }
    for (index, ask) in case.asks.iter().enumerate() {
        for simpler in ask.simpler() {
            let mut less = case.clone();
            less.asks[index] = simpler;
            found.push(less);
        }
    }
    found
}
