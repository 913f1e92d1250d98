//! The clock [edge]: the time of decisions and the ids made of it. Tests hand in a fixed one.
#![expect(clippy::disallowed_methods, reason = "edge: the one place where decisions get their time and ids")]

use std::sync::Arc;

use uuid::Uuid;

/// A source of time and of decision ids.
#[derive(Clone)]
pub struct Clock {
    now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { now_ms: Arc::new(|| jiff::Timestamp::now().as_millisecond()) }
    }

    /// A clock that a test sets.
    pub fn from_fn(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { now_ms: Arc::new(now_ms) }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.now_ms)()
    }

    /// A new decision id: a UUID of version 7, so that ids sort by time.
    pub fn decision_id(&self) -> String {
        Uuid::now_v7().to_string()
    }

    /// The running second as RFC 3339 in UTC.
    pub fn second(&self) -> String {
        let seconds = self.now_ms().div_euclid(1000);
        jiff::Timestamp::from_second(seconds).map(|second| second.to_string()).unwrap_or_default()
    }
}
