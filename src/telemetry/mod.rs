//! What operators see: the clock, the counters, the operational log. The ledger is another thing.

pub mod clock;
pub mod metrics;
pub mod log;
