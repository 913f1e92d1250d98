//! Back-off: how long to wait after failures in a row, with jitter so that many instances do not come back as one.

use std::time::Duration;

/// Waits that double from failure to failure up to a limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    first_ms: u64,
    most_ms: u64,
    failures: u32,
}

impl Backoff {
    /// Waits from `first_ms` up to `most_ms` milliseconds.
    pub fn new(first_ms: u64, most_ms: u64) -> Self {
        Self { first_ms, most_ms: most_ms.max(first_ms), failures: 0 }
    }

    /// The wait after one more failure: between half and all of the doubled one. `random` is any number.
    pub fn failed(&mut self, random: u64) -> Duration {
        let doubled = self.first_ms.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.most_ms);
        let half = whole / 2;
        Duration::from_millis(half + random % (whole - half + 1))
    }

    /// Starts anew after a success.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// A random number for [`Backoff::failed`]. Without any, all instances come at once, which is a nuisance and no danger.
pub fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}

const DOUBLINGS_MAX: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, random: u64, expected_ms: u64) {
        let mut backoff = Backoff::new(1_000, 60_000);
        for _ in 1..failures {
            backoff.failed(0);
        }
        assert_eq!(backoff.failed(random), Duration::from_millis(expected_ms), "failure {failures}");
    }

    #[test]
    fn waits_double_up_to_the_limit_and_jitter_takes_at_most_half() {
        check(1, 0, 500);
        check(1, 500, 1_000);
        check(1, 501, 500);
        check(2, 0, 1_000);
        check(6, 16_000, 32_000);
        check(7, 30_000, 60_000);
        check(200, 30_000, 60_000);
    }

    #[test]
    fn a_success_starts_anew() {
        let mut backoff = Backoff::new(1_000, 60_000);
        backoff.failed(0);
        backoff.failed(0);
        backoff.succeeded();
        assert_eq!(backoff.failures(), 0);
        assert_eq!(backoff.failed(0), Duration::from_millis(500));
    }
}
