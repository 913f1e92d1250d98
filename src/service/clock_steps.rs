//! Watches the clock that entries are stamped with for steps: order is `seq`'s, but people ask for times. [edge]
//!
//! Promises: a step of more than a second is an entry, with its size; a clock that is slewed is none. Never sets a clock.
#![expect(clippy::disallowed_methods, reason = "edge: the machine's own count of time, beside its clock")]

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::append::Ledger;
use crate::ledger::clock::Clock;
use crate::ledger::entry::{ClockStep, Entry};

/// What the clock said at the last look, beside what the machine counted.
struct Looked {
    clock_ns: i128,
    at: Instant,
}

impl Looked {
    /// How far the clock went beside the time that passed since, in milliseconds, if that is a step.
    fn again(&mut self, clock_ns: i128, at: Instant) -> Option<i64> {
        let passed_ns = i128::try_from(at.saturating_duration_since(self.at).as_nanos()).unwrap_or(i128::MAX);
        let step_ms = (clock_ns - self.clock_ns - passed_ns) / NS_PER_MS;
        *self = Self { clock_ns, at };
        i64::try_from(step_ms).ok().filter(|step_ms| step_ms.unsigned_abs() > STEP_MS)
    }
}

/// Looks once a second until `shutdown` is ready.
pub async fn watch(ledger: Ledger, clock: Clock, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    let mut looked = Looked { clock_ns: clock(), at: Instant::now() };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut shutdown => return,
        }
        if let Some(step_ms) = looked.again(clock(), Instant::now()) {
            tracing::warn!(step_ms, "the clock stepped");
            // A ledger that cannot be written says so itself, and counts what it did not take.
            let _ = ledger.append(Entry::Clock(ClockStep { step_ms })).await;
        }
    }
}

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Less is what time services do all the time.
const STEP_MS: u64 = 1_000;
const NS_PER_MS: i128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(passed_ms: u64, clock_went_ms: i128, expected: Option<i64>) {
        let at = Instant::now();
        let mut looked = Looked { clock_ns: 1_795_000_000_000 * NS_PER_MS, at };
        let clock_ns = looked.clock_ns + clock_went_ms * NS_PER_MS;
        let later = at + Duration::from_millis(passed_ms);
        assert_eq!(
            looked.again(clock_ns, later),
            expected,
            "{passed_ms} ms passed, the clock went {clock_went_ms} ms"
        );
        assert_eq!(looked.again(clock_ns, later), None, "a step is told once");
    }

    #[tokio::test]
    async fn a_step_is_more_than_a_second_beside_the_time_that_passed() {
        check(1_000, 1_000, None);
        check(1_000, 2_000, None);
        check(1_000, 2_001, Some(1_001));
        check(1_000, 0, None);
        check(1_000, -1, Some(-1_001));
        // A machine that was busy for a minute: the clock went on as it should.
        check(60_000, 60_000, None);
        check(60_000, 0, Some(-60_000));
        check(1_000, 3_600_000_000, Some(3_599_999_000));
    }
}
