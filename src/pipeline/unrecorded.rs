//! What passed while nothing could be recorded, on routes that carry nothing and that the operator marked so.
//!
//! Promises: counted by minute and route before it passes; while the process lives, a count is forgotten only when its entry is durable; there
//! is a limit, beyond which nothing passes. Counts are in memory: a process that ends before the ledger is back takes them with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::append::{Ledger, Pending};
use crate::ledger::counts::{RouteCount, Unrecorded as Counted};
use crate::ledger::entry::Entry;

/// Counts that wait for the ledger.
#[derive(Default)]
pub struct Unrecorded(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: BTreeMap<String, Minute>,
    /// Handed over, and not known to be durable.
    handed: Vec<(String, Minute, Pending)>,
}

/// What passed in one minute.
#[derive(Clone, Debug)]
struct Minute {
    reason: &'static str,
    routes: BTreeMap<String, u64>,
}

impl Unrecorded {
    /// Counts a request that is about to pass; `false` where it may not, since there is no room to count it.
    #[must_use]
    pub fn count(&self, second: &str, route: &str, reason: &'static str) -> bool {
        let mut state = self.state();
        let minute = format!("{}:00Z", second.get(..MINUTE_BYTES).unwrap_or(second));
        let is_known = state.waiting.get(&minute).is_some_and(|minute| minute.routes.contains_key(route));
        if !is_known && state.len() >= COUNTS_MAX {
            return false;
        }
        if !state.waiting.contains_key(&minute) {
            tracing::warn!(reason, "requests pass unrecorded on routes that are marked so");
        }
        let fresh = || Minute { reason, routes: BTreeMap::new() };
        *state.waiting.entry(minute).or_insert_with(fresh).routes.entry(route.to_owned()).or_default() += 1;
        true
    }

    /// Looks what became of the counts that were handed over, and hands over the rest once the ledger can be written. Until then, the
    /// ledger is asked to try: nobody else may do so. Returns whether it took any. To be called once a second.
    pub fn settle(&self, ledger: &Ledger) -> bool {
        let mut state = self.state();
        for (minute, counts, mut pending) in std::mem::take(&mut state.handed) {
            match pending.outcome() {
                None => state.handed.push((minute, counts, pending)),
                Some(Ok(_)) => {}
                Some(Err(_)) => state.put_back(minute, counts),
            }
        }
        if !state.handed.is_empty() || state.waiting.is_empty() {
            return false;
        }
        if !ledger.health().writable {
            ledger.retry();
            return false;
        }
        for (minute, counts) in std::mem::take(&mut state.waiting) {
            match ledger.submit(counts.entry(&minute)) {
                Ok(pending) => state.handed.push((minute, counts, pending)),
                Err(_) => state.put_back(minute, counts),
            }
        }
        !state.handed.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        let handed = self.handed.iter().map(|(_, minute, _)| minute);
        self.waiting.values().chain(handed).map(|minute| minute.routes.len()).sum()
    }

    /// Counts may have been added for the same minute since.
    fn put_back(&mut self, minute: String, counts: Minute) {
        let fresh = || Minute { reason: counts.reason, routes: BTreeMap::new() };
        let known = self.waiting.entry(minute).or_insert_with(fresh);
        for (route, count) in counts.routes {
            *known.routes.entry(route).or_default() += count;
        }
    }
}

impl Minute {
    fn entry(&self, minute: &str) -> Entry {
        let passed =
            self.routes.iter().map(|(route, count)| RouteCount { route: route.clone(), count: *count });
        Entry::Unrecorded(Counted::new(self.reason, minute, passed.collect()))
    }
}

/// `2026-11-23T04:05`
const MINUTE_BYTES: usize = 16;

/// Minutes and routes that are told apart while the ledger cannot be written: one route for a week, or seven for a day.
const COUNTS_MAX: usize = 10_080;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::append::LedgerOptions;
    use crate::ledger::clock;
    use crate::ledger::verify::verify;

    #[test]
    fn minutes_and_routes_are_told_apart_and_have_a_limit() {
        let counts = Unrecorded::default();
        for second in ["2026-11-23T04:05:00Z", "2026-11-23T04:05:59Z", "2026-11-23T04:06:00Z"] {
            assert!(counts.count(second, "GET /a", "write-failed"));
        }
        assert!(counts.count("2026-11-23T04:05:01Z", "GET /b", "write-failed"));
        let minutes = counts.state().waiting.clone();
        assert_eq!(minutes.keys().collect::<Vec<_>>(), ["2026-11-23T04:05:00Z", "2026-11-23T04:06:00Z"]);
        assert_eq!(
            minutes["2026-11-23T04:05:00Z"].routes,
            [("GET /a".into(), 2), ("GET /b".into(), 1)].into()
        );
        for number in 3..COUNTS_MAX {
            assert!(counts.count("2026-11-23T04:07:00Z", &format!("GET /{number}"), "write-failed"));
        }
        assert!(!counts.count("2026-11-23T04:07:00Z", "GET /one-more", "write-failed"));
        assert!(
            counts.count("2026-11-23T04:07:59Z", "GET /3", "write-failed"),
            "that one is counted already"
        );
    }

    #[tokio::test]
    async fn a_count_is_forgotten_when_it_is_durable_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Ledger::open(LedgerOptions::new(dir.path(), "boot"), clock::system()).unwrap().0;
        let (counts, second) = (Unrecorded::default(), "2026-11-23T04:05:06Z");
        let ledger = open();
        ledger.clone().close().await.unwrap();
        assert!(counts.count(second, "GET /a", "write-failed"));
        assert!(!counts.settle(&ledger));
        assert!(counts.count(second, "GET /a", "write-stalled"));
        assert_eq!(counts.state().waiting["2026-11-23T04:05:00Z"].routes, [("GET /a".into(), 2)].into());
        let ledger = open();
        assert!(counts.settle(&ledger));
        assert_eq!(counts.state().handed.len(), 1, "not known to be durable yet");
        ledger.close().await.unwrap();
        counts.settle(&open());
        assert_eq!(counts.state().len(), 0);
        let passed = verify(dir.path(), &[], &mut |_, _| {}).unwrap().life.passed;
        assert_eq!(passed, 2);
    }
}
