//! How requests of a route are recorded, where the configuration says otherwise than by default.
//!
//! Promises: what may change something waits for its sync, and what carries anything waits for the ledger, whatever the configuration
//! says of a bundle that came later.

use http::Method;

use crate::bundle::profile::route::Route;
use crate::config::service::ledger_routes::{LedgerRoutes, OnFailure};
use crate::ledger::durability::Durability;

/// The classes of routes; the first that covers a request decides.
#[derive(Debug, Default)]
pub struct Keeping(Vec<LedgerRoutes>);

impl Keeping {
    /// These classes.
    pub fn new(classes: Vec<LedgerRoutes>) -> Self {
        Self(classes)
    }

    /// When the entries of a request are acknowledged.
    pub fn durability(&self, method: &Method, route: &Route) -> Durability {
        match self.class(method, route) {
            Some(class) if !route.may_change_by(method) => class.durability,
            Some(_) | None => Durability::Sync,
        }
    }

    /// Whether a request may pass while the ledger cannot be written.
    pub fn is_open(&self, method: &Method, route: &Route) -> bool {
        let class = self.class(method, route);
        class.is_some_and(|class| class.on_failure == OnFailure::Open) && route.carries_nothing_by(method)
    }

    fn class(&self, method: &Method, route: &Route) -> Option<&LedgerRoutes> {
        self.0.iter().find(|class| class.covers(method, route))
    }
}
