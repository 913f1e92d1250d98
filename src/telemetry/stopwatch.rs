//! A stopwatch [edge]: how long something took, for metrics and spans. Decisions never depend on it.
#![expect(clippy::disallowed_methods, reason = "edge: reads the clocks of the system")]

use std::time::{Duration, Instant, SystemTime};

/// A moment from which time is measured; a clock that is set does not move it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time since then.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Nanoseconds since 1970, as the system's clock stands.
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
