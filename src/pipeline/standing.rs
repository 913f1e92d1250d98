//! Whether the bundle that serves may still decide: not expired, not called back.
//!
//! Promises: a bundle that may not serve decides nothing: every request is refused with its own reason until another one
//! is loaded. Where signatures are not required a bundle has no such end.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::bundle::archive::trust::TrustError;
use crate::bundle::compile::Bundle;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// What was said of the bundle that serves after it was loaded.
#[derive(Default)]
pub struct Standing {
    recalled: ArcSwapOption<Recalled>,
}

struct Recalled {
    revision: String,
    why: TrustError,
}

impl Standing {
    /// Whether a bundle may decide at a time.
    pub fn check(&self, bundle: &Bundle, now_ms: i64) -> Result<(), Problem> {
        let recalled = self.recalled.load();
        if let Some(recalled) = recalled.as_ref().filter(|recalled| recalled.revision == bundle.revision) {
            return Err(Problem::new(Reason::BundleRevoked).internal(recalled.why.to_string()));
        }
        match bundle.provenance.serves_until_ms {
            Some(until_ms) if until_ms <= now_ms => {
                Err(Problem::new(Reason::BundleExpired).internal("the bundle that serves has expired"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Notes why a bundle may not serve any more, or that nothing speaks against it.
    pub fn note(&self, revision: &str, why: Option<TrustError>) {
        let is_it = |recalled: &Arc<Recalled>| recalled.revision == revision;
        match why {
            Some(why) => {
                self.recalled.store(Some(Arc::new(Recalled { revision: revision.to_owned(), why })));
            }
            None if self.recalled.load().as_ref().is_some_and(is_it) => self.recalled.store(None),
            // What was said of another bundle still holds for requests that began with it.
            None => {}
        }
    }
}
