//! Panics of background tasks, kept until the test that they belong to ends.
//!
//! Promises: a panic anywhere in the runtime of a test makes that test fail, also where nobody waits for the task.
#![expect(clippy::panic, reason = "this is how a test fails")]

use std::panic;
use std::sync::{Mutex, Once, PoisonError};

use tokio::runtime::{Handle, Id};

/// Watches the runtime that it was started in; fails the test when it is dropped.
pub struct Watch {
    runtime: Id,
}

static FOUND: Mutex<Vec<(Id, String)>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

impl Watch {
    /// Starts to watch.
    pub fn start() -> Self {
        HOOK.call_once(|| {
            let former = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if let Ok(handle) = Handle::try_current() {
                    FOUND
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((handle.id(), info.to_string()));
                }
                former(info);
            }));
        });
        Self { runtime: Handle::current().id() }
    }

    fn found(&self) -> Vec<String> {
        let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().filter(|(runtime, _)| *runtime == self.runtime).map(|(_, what)| what.clone()).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let found = self.found();
        if !found.is_empty() && !std::thread::panicking() {
            panic!("a background task panicked: {}", found.join("; "));
        }
    }
}
