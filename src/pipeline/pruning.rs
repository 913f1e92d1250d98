//! Names in an answer the records that were left out of a change of many.
//!
//! Promises: a record that may not be seen and one that is not there are named alike; if the answer cannot name them, it is
//! withheld. Never tells more than an id that the caller sent and a reason.

use super::Stage;
use super::enforce::response::Released;
use super::forward::is_success;
use super::trail::Trail;
use crate::json::path::Segment;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

impl Stage<'_> {
    /// The answer with what was left out; of an error nothing is named, since nothing was changed.
    pub(super) fn name_pruned(
        &self,
        status: u16,
        released: Released,
        trail: &Trail,
    ) -> Result<Released, Problem> {
        let at = self.mapped.route.prune.as_ref().map(|at| at.segments());
        let (Some([Segment::Key(key)]), true) = (at, is_success(status)) else { return Ok(released) };
        let named = self.mapped.ids.iter().zip(self.mapped.id_values());
        let pruned = named.filter_map(|(id, value)| {
            let pruned = trail.verdict.pruned.iter().find(|pruned| pruned.id == *id)?;
            Some(format!("{{\"id\":{},\"reason\":\"{}\"}}", value.raw(), pruned.problem.reason))
        });
        let list = format!("[{}]", pruned.collect::<Vec<_>>().join(","));
        released.with_member(key, &list).ok_or_else(unnamed)
    }
}

/// An answer without a body names nothing.
pub(super) fn require_all(trail: &Trail) -> Result<(), Problem> {
    if trail.verdict.pruned.is_empty() { Ok(()) } else { Err(unnamed()) }
}

fn unnamed() -> Problem {
    let why = "the answer is no object in which the records that were left out can be named";
    Problem::new(Reason::UpstreamShape).internal(why)
}
