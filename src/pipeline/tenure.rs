//! Whether an answer that is under way may go on: what let it begin must still hold.
//!
//! Promises: looked at once a second, however slowly the answer leaves, and compared only with what was loaded anew; for whoever
//! may not ask any more, or of whom something else is known by now, nothing more is taken from the CRM or handed on. What was
//! handed to the connection before is on its way. Never decides on a record again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::identify::admit;
use super::serving::Serving;
use super::sidecar::Sidecar;
use super::trail::Trail;
use crate::bundle::directory::Directory;
use crate::model::principal::{EntityRef, Principal};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Waits until an answer may not go on, and says why. Comes to no end where nobody is identified.
pub async fn ended(sidecar: &Sidecar, began: &Serving, trail: &Trail) -> Problem {
    let Some(principal) = &trail.principal else { return std::future::pending().await };
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What is loaded is compared once.
    let mut known = began.snapshot.generation;
    loop {
        looks.tick().await;
        let now = sidecar.serving();
        let may_compare = known != now.snapshot.generation && trail.observed.is_none();
        known = now.snapshot.generation;
        let checked = sidecar
            .standing
            .check(&began.snapshot.bundle, sidecar.clock.now_ms())
            .and_then(|()| check_people(principal, &now.snapshot.directory, sidecar.clock.now_ms()))
            .and_then(|()| if may_compare { check_same(principal, began, &now) } else { Ok(()) });
        if let Err(problem) = checked {
            return problem;
        }
    }
}

/// Whether those who ask may still act at all.
fn check_people(principal: &Principal, directory: &Directory, now_ms: i64) -> Result<(), Problem> {
    people(principal).try_for_each(|person| admit(person, directory, now_ms))
}

/// Whether what serves now knows the same of those who ask, by the same policies and the same keys. What it knows of others is
/// not compared: directories are loaded often.
fn check_same(principal: &Principal, began: &Serving, now: &Serving) -> Result<(), Problem> {
    let (before, after) = (&began.snapshot.directory, &now.snapshot.directory);
    let is_known_alike = |person| Arc::ptr_eq(before, after) || known(before, person) == known(after, person);
    let is_same = began.snapshot.bundle.revision == now.snapshot.bundle.revision
        && began.identity.revision == now.identity.revision
        && people(principal).all(is_known_alike);
    if is_same { Ok(()) } else { Err(Reason::AccessChanged.into()) }
}

/// Who asks, and for whom.
fn people(principal: &Principal) -> impl Iterator<Item = &EntityRef> {
    std::iter::once(&principal.entity).chain(principal.attested.on_behalf_of.as_ref())
}

/// What a directory says of somebody: attributes, tags, and everything that they are in.
fn known<'d>(directory: &'d Directory, person: &EntityRef) -> (Option<(&'d str, &'d str)>, Vec<EntityRef>) {
    let mut ancestors = directory.ancestors(person);
    ancestors.sort();
    (directory.stated(person), ancestors)
}

/// How often an answer that is under way is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
