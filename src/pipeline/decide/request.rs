//! All decisions that come before the CRM is asked (PDP): the collection, the references, each record's change.

use super::always::{About, stays_allowed};
use super::evaluate::{Circumstances, Resource, decide};
use super::file;
use super::gate::RecordGate;
use super::links::Link;
use super::push::{Pushed, push_down};
use super::references::{self, Referring};
use super::refill::{Filling, Refilled, Window, refill};
use super::residual::formula::Formula;
use super::residual::{Asked, residual};
use super::unbounded;
use super::write::{AccessDecision, WriteQuestion, WriteVerdict, judge_change, judge_creation};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::route::Rows;
use crate::model::access::{Action, Scope};
use crate::model::decision::Decision;
use crate::model::principal::Asker;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::pipeline::hydrate::image::Image;
use crate::pipeline::map::Mapped;

/// What was decided before the CRM is asked.
#[derive(Clone, Debug, Default)]
pub struct RequestVerdict {
    /// Every decision on collections.
    pub accesses: Vec<AccessDecision>,
    /// What was decided on the records that the change links to.
    pub linked: Vec<AccessDecision>,
    /// What was decided on each record's change.
    pub writes: Vec<WriteVerdict>,
    /// What the CRM is told to leave out.
    pub pushed: Option<Pushed>,
    /// What becomes of the pages, where they can be filled up.
    pub refilled: Option<Refilled>,
    /// The fields that a search is told to look at, by their names on the wire.
    pub search_over: Vec<String>,
    /// The records that are left out of the change.
    pub pruned: Vec<Pruned>,
    /// Why the request may not go on.
    pub problem: Option<Problem>,
}

/// A record that is left out of a change of many.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Its id.
    pub id: String,
    /// Why.
    pub problem: Problem,
    /// What was decided on its change.
    pub write: WriteVerdict,
}

impl RequestVerdict {
    /// Who leaves hidden rows out of the answer.
    pub fn rows(&self) -> Rows {
        let is_exact = self.pushed.as_ref().is_some_and(Pushed::is_exact) || is_seeded(Fault::PagesAreTold);
        match (is_exact, &self.refilled) {
            (true, _) | (false, Some(Refilled::Whole)) => Rows::Pushed,
            (false, Some(Refilled::Filled(_))) => Rows::Refilled,
            (false, None) => Rows::Checked,
        }
    }

    /// The rows that are wanted, where the proxy has to look for them.
    pub fn window(&self) -> Option<Window> {
        self.filling().and_then(|filling| filling.window.as_ref().ok().copied())
    }

    fn filling(&self) -> Option<&Filling> {
        self.refilled.as_ref().and_then(Refilled::filling)
    }

    fn check_window(&self) -> Result<(), Problem> {
        self.filling().map_or(Ok(()), |filling| filling.window.clone().map(|_| ()))
    }

    /// Every decision, in order.
    pub fn all_accesses(&self) -> impl Iterator<Item = &AccessDecision> {
        let writes = self.writes.iter().chain(self.pruned.iter().map(|pruned| &pruned.write));
        self.accesses.iter().chain(writes.flat_map(|write| &write.accesses)).chain(&self.linked)
    }

    /// The records that the request links to, by its fields or otherwise.
    pub fn links(&self, mapped: &Mapped<'_>) -> Vec<Link> {
        let named = mapped.links.iter().map(|named| Link::named(named, mapped.action));
        named.chain(self.writes.iter().flat_map(|write| write.links.iter().cloned())).collect()
    }
}

/// Decides what needs no record: the collection, and what the query refers to. Comes before any record is fetched, so that
/// whether a record exists cannot show in who is denied.
pub fn decide_request(
    snapshot: &Snapshot,
    gate: &RecordGate,
    asker: &Asker,
    mapped: &Mapped<'_>,
) -> RequestVerdict {
    let viewed = viewed(gate, mapped);
    let pushed = viewed.as_ref().and_then(|viewed| push_down(gate, mapped, viewed));
    // What the CRM leaves out exactly needs no filling up.
    let is_exact = pushed.as_ref().is_some_and(Pushed::is_exact);
    let refilled = if is_exact { None } else { refill(gate, mapped, viewed) };
    let mut verdict = RequestVerdict { pushed, refilled, ..RequestVerdict::default() };
    let collection = decide_collection(snapshot, asker, mapped, &mut verdict);
    let referring = Referring::of(gate, mapped, &verdict);
    let result = collection
        .and_then(|()| references::check_required(snapshot, gate, mapped.route))
        .and_then(|()| referring.check())
        .and_then(|()| verdict.check_window())
        .and_then(|()| referring.search_scope());
    match result {
        Ok(search_over) => verdict.search_over = search_over,
        Err(problem) => verdict.problem = Some(problem),
    }
    if let Some(record_type) =
        mapped.record_type.filter(|_| verdict.problem.is_some() && mapped.is_unbounded())
    {
        let question = WriteQuestion { snapshot, gate, asker, mapped, record_type };
        verdict.writes.push(unbounded::unjudged(&question));
    }
    verdict
}

/// Which rows of the route's own type may be viewed, where that is asked and can be said without looking at them.
fn viewed(gate: &RecordGate, mapped: &Mapped<'_>) -> Option<Formula> {
    let route = mapped.route;
    let is_asked = route.push_down.is_some() || route.pushed_shape.is_some() || route.refill.is_some();
    // What programs say is no longer believed once they have lost the right to decide.
    let record_type = mapped.record_type.filter(|_| is_asked && !gate.has_lost_trust())?;
    residual(gate.snapshot(), record_type, gate.asker(), Asked::View)
}

/// Decides each record's change, if the request is one and nothing speaks against it yet. `images` holds the before image
/// of each named record in order, or the proposed new record.
pub fn decide_records(
    snapshot: &Snapshot,
    gate: &RecordGate,
    asker: &Asker,
    mapped: &Mapped<'_>,
    images: &[Image],
    verdict: &mut RequestVerdict,
) {
    let (Some(action), Some(record_type)) = (mapped.action, mapped.record_type) else { return };
    let question = WriteQuestion { snapshot, gate, asker, mapped, record_type };
    if verdict.problem.is_some() {
        return;
    }
    match action {
        Action::Download => match images {
            [owner] => file::judge_download(&question, &owner.facts, verdict),
            _ => verdict.problem = Some(Problem::new(Reason::Internal).internal("a file without a record")),
        },
        Action::BulkEdit | Action::BulkDelete if mapped.is_unbounded() => {
            let write = unbounded::judge(&question, action);
            verdict.problem.clone_from(&write.problem);
            verdict.writes.push(write);
        }
        Action::BulkEdit => decide_each(&question, Action::Edit, images, verdict),
        Action::BulkDelete => decide_each(&question, Action::Delete, images, verdict),
        action if action.scope() == Scope::RecordWrite => decide_each(&question, action, images, verdict),
        _ => {}
    }
}

/// Decides the change of each record that the request names, or makes.
fn decide_each(
    question: &WriteQuestion<'_>,
    per_record: Action,
    images: &[Image],
    verdict: &mut RequestVerdict,
) {
    let mapped = question.mapped;
    for image in images {
        let write = match per_record {
            // What is there is changed, and only what is not is made.
            _ if image.is_proposed() && images.iter().any(|image| !image.is_proposed()) => continue,
            action if image.is_proposed() || action == Action::Create => judge_creation(question, image),
            action => judge_change(question, action, image),
        };
        let write = as_if_missing(question, write, images);
        match write.problem.clone().filter(|_| mapped.route.prune.is_some()) {
            Some(problem) => verdict.pruned.push(Pruned { id: image.facts.id.clone(), problem, write }),
            None => verdict.writes.push(write),
        }
    }
    prune_missing(mapped, images, verdict);
    let of_pruned = verdict.pruned.iter().map(|pruned| &pruned.problem).filter(|_| verdict.writes.is_empty());
    let mut problems = verdict.writes.iter().filter_map(|write| write.problem.as_ref()).chain(of_pruned);
    // A missing record ends a request before anything is judged, so a hidden one must outweigh what is wrong with others.
    let hidden = problems
        .clone()
        .find(|problem| problem.reason == Reason::NotFound && !is_seeded(Fault::FirstProblemIsTold));
    verdict.problem = hidden.or_else(|| problems.next()).cloned();
    if let (None, [owner]) = (&verdict.problem, images) {
        file::judge_attachment(question, &owner.facts, verdict);
    }
    if images.is_empty() && verdict.problem.is_none() {
        verdict.problem = Some(Problem::new(Reason::Internal).internal("a change without an image"));
    }
    // What is left out of the body must be the same for all records of a request: one body is forwarded.
    let forwarded =
        |write: &WriteVerdict| (write.leave_out.clone(), write.send_along.clone(), write.merged.clone());
    let first = verdict.writes.first().map(forwarded);
    if verdict.problem.is_none() && verdict.writes.iter().any(|write| Some(forwarded(write)) != first) {
        verdict.problem = Some(Reason::FieldsDenied.into());
    }
}

/// Where what is missing is created, a hidden record must be told from a missing one by as little as can be: who may not create
/// it learns nothing. Who may learns that the CRM has one, as with every unique key.
fn as_if_missing(question: &WriteQuestion<'_>, write: WriteVerdict, images: &[Image]) -> WriteVerdict {
    let is_hidden = write.problem.as_ref().is_some_and(|problem| problem.reason == Reason::NotFound);
    let proposed = images.iter().find(|image| image.is_proposed()).filter(|_| is_hidden && !write.is_new);
    let Some(creation) = proposed.map(|proposed| judge_creation(question, proposed)) else { return write };
    match creation.problem {
        Some(problem) => WriteVerdict { problem: Some(problem), ..write },
        None => write,
    }
}

/// Leaves out what the CRM does not have, told like what may not be seen.
fn prune_missing(mapped: &Mapped<'_>, images: &[Image], verdict: &mut RequestVerdict) {
    if mapped.route.prune.is_none() {
        return;
    }
    let is_there = |id: &&String| images.iter().any(|image| image.facts.id == **id);
    let missing = mapped.ids.iter().filter(|id| !is_there(id)).map(|id| Pruned {
        id: id.clone(),
        problem: Reason::NotFound.into(),
        write: WriteVerdict::default(),
    });
    verdict.pruned.extend(missing);
    let place = |pruned: &Pruned| mapped.ids.iter().position(|id| *id == pruned.id);
    verdict.pruned.sort_by_key(place);
}

fn decide_collection(
    snapshot: &Snapshot,
    asker: &Asker,
    mapped: &Mapped<'_>,
    verdict: &mut RequestVerdict,
) -> Result<(), Problem> {
    let (Some(action), Some(record_type)) = (mapped.action, mapped.record_type) else { return Ok(()) };
    if action.scope() != Scope::Collection {
        return Ok(());
    }
    let count = i64::try_from(mapped.ids.len()).ok().filter(|count| *count > 0);
    let circumstances = Circumstances { count, ..Circumstances::of(asker) };
    let resource = Resource::Collection(&record_type.name);
    let mut decision = decide(snapshot, &asker.entity, action.name(), resource, &circumstances);
    let mut refusal = Reason::Denied;
    // Policies may bound how many records are changed at once, and nobody knows how many these are.
    let about = About::Collection(&record_type.name);
    if decision.is_allow()
        && mapped.is_unbounded()
        && !stays_allowed(snapshot, asker, action.name(), about, "count", &decision.determining)
    {
        refusal = Reason::UnboundedRefused;
        decision = Decision::deny(refusal);
    }
    let is_allow = decision.is_allow();
    verdict.accesses.push(AccessDecision {
        action: action.name(),
        type_name: record_type.name.clone(),
        ids: mapped.ids.clone(),
        field: None,
        decision,
    });
    if is_allow { Ok(()) } else { Err(refusal.into()) }
}
