//! What operators see: the clock, the counters, the operational log. The ledger is another thing.

pub mod clock;
pub mod stopwatch;
pub mod readiness;
pub mod metrics;
pub mod readings;
pub mod sinks;
pub mod trace;
pub mod watch;
pub mod log;
