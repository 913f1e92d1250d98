//! The demo CRM: an embedded "legacy CRM with coarse permissions" that the proxy is put in front of.
//!
//! One integration key opens everything, deals, contacts and companies are kept in memory, and the JSON it writes has
//! the habits that make such CRMs hard to filter: twins, embeds, exact number text, totals over all rows, lenient paths.
//! Promises the same data in every run and carries requests out one after another. Never knows of the proxy, never
//! touches a file, never asks a clock.

mod body;
mod catalogue;
mod csv;
mod data;
mod deals;
mod decimal;
mod directory;
mod error;
mod files;
pub mod faults;
mod params;
mod query;
mod record;
mod reply;
mod report;
mod routes;
pub mod seen;
pub mod server;
mod store;
mod web;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, Method};
use tokio::sync::watch;

use self::error::ApiError;
use self::faults::{ActiveFault, Delivery, Fault, FaultScope};
use self::reply::Reply;
use self::routes::Call;
use self::seen::{Seen, SeenRequest};
use self::store::Store;

/// A handle on one demo CRM; clones share its state.
#[derive(Clone)]
pub struct DemoCrm {
    shared: Arc<Shared>,
}

struct Shared {
    api_key: String,
    store: Mutex<Store>,
    seen: Mutex<Seen>,
    fault: watch::Sender<Option<ActiveFault>>,
}

impl DemoCrm {
    /// A CRM with the first data that opens to `api_key` in the `X-Api-Key` header.
    pub fn seeded(api_key: &str) -> Self {
        let shared = Shared {
            api_key: api_key.to_owned(),
            store: Mutex::new(data::seeded()),
            seen: Mutex::default(),
            fault: watch::Sender::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Restores the first data, forgets all requests and switches any fault off.
    pub fn reset(&self) {
        *locked(&self.shared.store) = data::seeded();
        *locked(&self.shared.seen) = Seen::default();
        self.set_fault(None);
    }

    /// The latest requests (at most [`seen::SEEN_MAX`]), oldest first, also those that were refused or hang.
    pub fn requests(&self) -> Vec<SeenRequest> {
        locked(&self.shared.seen).all()
    }

    /// Switches a fault on for all requests that carry the key, or off.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.fault.send_replace(fault.map(|fault| ActiveFault { fault, scope: FaultScope::All }));
    }

    /// Switches a fault on for requests of one method alone, so that a write fails while its before image is read well.
    pub fn set_fault_for(&self, method: Method, fault: Fault) {
        self.shared.fault.send_replace(Some(ActiveFault { fault, scope: FaultScope::Method(method) }));
    }

    /// Switches a fault on for targets that end so, so that a file fails while its record is read well.
    pub fn set_fault_on(&self, target_end: &str, fault: Fault) {
        let scope = FaultScope::TargetEnd(target_end.to_owned());
        self.shared.fault.send_replace(Some(ActiveFault { fault, scope }));
    }

    /// Waits while [`Fault::Hang`] is on for a request, then returns the fault that is on.
    async fn fault_for(&self, request: &SeenRequest) -> Option<Fault> {
        let mut faults = self.shared.fault.subscribe();
        let applying = |active: &Option<ActiveFault>| {
            let covers = |active: &&ActiveFault| active.scope.covers(&request.method, &request.target);
            active.as_ref().filter(covers).map(|active| active.fault)
        };
        let settled = faults.wait_for(|active| applying(active) != Some(Fault::Hang)).await;
        settled.ok().and_then(|active| applying(&active))
    }

    fn note(&self, request: SeenRequest) {
        locked(&self.shared.seen).push(request);
    }

    async fn answer(&self, request: &SeenRequest) -> Delivery {
        let call = Call::new(&request.method, &request.target, &request.headers, &request.body);
        let key = request.headers.get("x-api-key").map(HeaderValue::as_bytes);
        let has_key = key == Some(self.shared.api_key.as_bytes());
        let user = locked(&self.shared.store).sessions.user(&request.headers);
        if !has_key && user.is_none() && !web::is_open(&call) {
            return Reply::from(ApiError::Unauthorized).into();
        }
        let fault = self.fault_for(request).await;
        let mut store = locked(&self.shared.store);
        match fault {
            Some(fault) => faults::deliver(fault, &mut store, &call),
            None => routes::answer(&mut store, &call).into(),
        }
    }
}

/// A panic elsewhere leaves the data usable: each write replaces a row as a whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
