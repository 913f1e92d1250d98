//! Looks up the records that a write links to (PIP), so that both ends of a link are judged.
//!
//! Promises: asks only after the write itself was allowed, at most as often as `limits.fetches` says, and for nothing that the
//! caller may link to whatever it is; what is fetched serves for deciding and never leaves.

use super::Stage;
use super::decide::links::{Link, Linking};
use super::fetch::select_names;
use super::trail::Trail;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;

impl Stage<'_> {
    /// Judges the other ends of a write's links, where nothing speaks against the write itself.
    pub(super) async fn judge_links(&self, trail: &mut Trail) {
        if trail.verdict.problem.is_none() {
            let links = trail.verdict.links(self.mapped);
            trail.verdict.problem = self.refused_link(&links, trail).await.err();
        }
    }

    async fn refused_link(&self, links: &[Link], trail: &mut Trail) -> Result<(), Problem> {
        let linking = Linking { gate: self.gate };
        let open = linking.open(links, self.sidecar.limits.fetches_max).ok_or(Reason::IdTooMany)?;
        for link in open {
            let facts = self.linked(link).await?.ok_or_else(|| link.refused())?;
            let accesses = linking.judge(link, &facts);
            let is_allowed = accesses.iter().all(|access| access.decision.is_allow());
            trail.verdict.linked.extend(accesses);
            if !is_allowed {
                return Err(link.refused());
            }
        }
        Ok(())
    }

    /// What the route of its type answers about a record; `None` if there is no such record, or no way to ask for it.
    async fn linked(&self, link: &Link) -> Result<Option<RecordFacts>, Problem> {
        let snapshot = &self.serving.snapshot;
        let profile = &snapshot.bundle.profile;
        let Some((record_type, route, id)) = link.way(profile) else { return Ok(None) };
        let mut needed = self.gate.needed(&link.type_name).clone();
        needed.extend(snapshot.bundle.slices.attributes_needed(link.action.names(), &link.type_name));
        let names = select_names(profile, &link.type_name, &needed);
        match self.fetcher().image(route, record_type, id, &[], None, &names).await {
            Ok(image) => Ok(Some(image.facts)),
            // Of a record that the CRM refuses, no more is told than of one that it does not have.
            Err(problem) => match problem.reason {
                Reason::NotFound | Reason::IdMalformed | Reason::CrmRejected => Ok(None),
                _ => Err(problem),
            },
        }
    }
}
