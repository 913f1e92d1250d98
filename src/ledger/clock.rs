//! The clock that entries are stamped with. [edge]
//!
//! Promises: tests can fix it. Never used for order, which is seq's alone.
#![expect(clippy::disallowed_methods, reason = "edge: the clock")]

use std::sync::Arc;

use jiff::Timestamp;

/// Nanoseconds since 1970 in UTC.
pub type Clock = Arc<dyn Fn() -> i128 + Send + Sync>;

/// The system's clock.
#[must_use]
pub fn system() -> Clock {
    Arc::new(|| Timestamp::now().as_nanosecond())
}
