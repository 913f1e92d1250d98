//! Readiness: named conditions that must hold before a balancer may send callers here. Each part brings its own.
//!
//! Promises: not ready while the service drains, nor while any condition fails. Why is told to administrators only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether a condition holds now, and if not, why; asked whenever somebody asks for readiness.
pub type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// All conditions.
#[derive(Default)]
pub struct Readiness {
    checks: Mutex<BTreeMap<&'static str, Check>>,
    is_draining: AtomicBool,
}

impl Readiness {
    /// Adds a condition under a name of its own; a later one of the same name takes its place.
    pub fn require(&self, name: &'static str, check: Check) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, check);
    }

    /// The service ends: not ready from now on.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
    }

    /// Whether every condition holds.
    pub fn is_ready(&self) -> bool {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_draining.load(Ordering::SeqCst) && checks.values().all(|check| check().is_ok())
    }

    /// Every condition with why it does not hold, if so.
    pub fn conditions(&self) -> BTreeMap<&'static str, Result<(), String>> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut conditions: BTreeMap<_, _> = checks.iter().map(|(name, check)| (*name, check())).collect();
        let is_draining = self.is_draining.load(Ordering::SeqCst);
        let serving = if is_draining { Err("the service is ending".to_owned()) } else { Ok(()) };
        conditions.insert("serving", serving);
        conditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn every_condition_must_hold_and_is_asked_each_time() {
        let readiness = Readiness::default();
        let is_old = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_old);
        readiness.require("ledger", Box::new(|| Ok(())));
        readiness.require(
            "directory",
            Box::new(move || match asked.load(Ordering::SeqCst) {
                true => Err("too old".to_owned()),
                false => Ok(()),
            }),
        );
        assert!(readiness.is_ready());
        is_old.store(true, Ordering::SeqCst);
        assert!(!readiness.is_ready());
        assert_eq!(readiness.conditions()["directory"], Err("too old".to_owned()));
        is_old.store(false, Ordering::SeqCst);
        assert!(readiness.is_ready());
        readiness.drain();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.conditions()["serving"], Err("the service is ending".to_owned()));
        assert_eq!(readiness.conditions()["ledger"], Ok(()));
    }
}
