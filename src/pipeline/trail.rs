//! What a request leaves behind on its way, so that the one exit can record it whatever happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::current::Snapshot;
use crate::ledger::durability::Durability;
use crate::ledger::entry::{
    self, Access, Change, Delivered, Entry, Mode, Outcome, Release, RowsHidden, SeenFields, Sets, Write,
};
use crate::ledger::field_set::FieldSet;
use crate::ledger::who::Who;
use crate::model::decision::Effect;
use crate::model::principal::Principal;
use crate::model::problem::Problem;
use crate::model::reason::{Class, Reason};
use crate::pipeline::decide::request::RequestVerdict;
use crate::pipeline::decide::write::{AccessDecision, WriteVerdict};
use crate::pipeline::enforce::response::ReleaseKind;
use crate::pipeline::enforce::shown::{HiddenRow, ShownSets};
use crate::pipeline::observe::Observed;
use crate::telemetry::metrics::Finished;
use crate::telemetry::watch::Watch;

/// Everything that the ledger may need to know of one request.
#[derive(Default)]
pub struct Trail {
    /// The decision id.
    pub id: String,
    /// The method.
    pub method: String,
    /// The route's label.
    pub route: Option<String>,
    /// The names of the query's parameters.
    pub query: Vec<String>,
    /// Who asks.
    pub principal: Option<Principal>,
    /// Why nobody is identified, on routes where that is so.
    pub pass: Option<String>,
    /// What decides.
    pub serving: Option<Arc<Snapshot>>,
    /// What was decided before the CRM was asked.
    pub verdict: RequestVerdict,
    /// What the answer showed.
    pub sets: ShownSets,
    /// The status with which the CRM answered.
    pub upstream_status: Option<u16>,
    /// Whether the decision is in the ledger.
    pub is_decided: bool,
    /// Whether the request changes anything.
    pub is_write: bool,
    /// Whether a change was handed to the CRM, whatever came of it.
    pub is_forwarded: bool,
    /// Proof that nothing is enforced, and what would have been.
    pub observed: Option<Observed>,
    /// Whether the decision says what would have ended the request; else the outcome does.
    pub is_would_told: bool,
    /// When its entries are acknowledged, unless it changes something.
    pub durability: Durability,
    /// What watches the request.
    pub watch: Option<Arc<Watch>>,
}

impl Trail {
    /// The decision entry. `problem` is why the request ends, if it does; of an observed request that goes on, what would
    /// have ended it stands there.
    pub fn decision(&self, who: Option<Who>, problem: Option<&Problem>) -> Entry {
        let would = self.observed.as_ref().and_then(Observed::would);
        // What ends an observed request all the same is enforced.
        let is_enforced = self.observed.is_none() || (would.is_none() && problem.is_some());
        let problem = would.or(problem);
        // What a write showed is known only after it: that stands in the outcome.
        let sets = if self.is_write { ShownSets::default() } else { self.sets.clone() };
        let mut access = group(self.verdict.all_accesses());
        access.extend(view_access(&sets));
        Entry::Decision(Box::new(entry::Decision {
            id: self.id.clone(),
            who,
            method: self.method.clone(),
            route: self.route.clone(),
            query: self.query.clone(),
            effect: effect(problem),
            reason: problem.map(|problem| problem.reason.code().to_owned()),
            access,
            sets: to_sets(&sets),
            rows_hidden: to_rows_hidden(&sets),
            reasons: self.reasons_of(&sets),
            write: to_write(&self.verdict.writes),
            bundle: self.revision(|serving| &serving.bundle.revision),
            directory: self.revision(|serving| &serving.directory.revision),
            mode: if is_enforced { Mode::Enforce } else { Mode::Observe },
            part: None,
        }))
    }

    /// Notes that a file was shown as a field of the record that owns it.
    pub fn show_field(&mut self, field: Option<&str>) {
        let accesses = || self.verdict.accesses.iter();
        let (Some(field), Some(owner)) = (field, accesses().next()) else { return };
        let mut policies: Vec<String> =
            accesses().flat_map(|access| access.decision.determining.clone()).collect();
        policies.sort();
        policies.dedup();
        let outcome = super::enforce::shown::Outcome {
            type_name: owner.type_name.clone(),
            shown: vec![field.to_owned()],
            hidden: Vec::new(),
            masked: Vec::new(),
            policies,
        };
        let ids = owner.ids.clone();
        self.sets.sets.insert(outcome, ids);
    }

    fn revision(&self, of: fn(&Snapshot) -> &String) -> String {
        self.serving.as_deref().map(of).cloned().unwrap_or_default()
    }

    /// What the policies that denied something say for themselves.
    fn reasons_of(&self, sets: &ShownSets) -> BTreeMap<String, String> {
        let Some(serving) = &self.serving else { return BTreeMap::new() };
        let denied = self.verdict.all_accesses().filter(|access| !access.decision.is_allow());
        let denied = denied.flat_map(|access| &access.decision.determining);
        reasons(serving, denied.chain(hiding(sets)))
    }

    /// What the counters need to know.
    pub fn finished(&self, status: u16, problem: Option<&Problem>) -> Finished<'_> {
        let cut = self
            .sets
            .sets
            .iter()
            .filter(|(outcome, _)| !outcome.hidden.is_empty() || !outcome.masked.is_empty());
        let (hidden, is_enforced) = (self.sets.rows_hidden.values(), self.observed.is_none());
        Finished {
            route: self.route.as_deref(),
            status,
            reason: problem.map(|problem| problem.reason),
            records_cut: cut.filter(|_| is_enforced).map(|(_, ids)| ids.len()).sum(),
            records_hidden: hidden.filter(|_| is_enforced).map(Vec::len).sum(),
            duration: self.watch.as_ref().map(|watch| watch.elapsed()).unwrap_or_default(),
        }
    }

    /// A stage begins.
    pub fn enter(&self, stage: &'static str) {
        if let Some(watch) = &self.watch {
            watch.enter(stage);
        }
    }

    /// The request ends, as far as its trace goes.
    pub fn end_trace(&self, status: u16, problem: Option<&Problem>) {
        if let Some(watch) = &self.watch {
            watch.end(&self.id, &self.method, &self.finished(status, problem));
        }
    }

    /// The id of the trace, for lines of the log.
    pub fn trace_id(&self) -> Option<&str> {
        self.watch.as_ref().and_then(|watch| watch.trace_id())
    }

    /// The outcome entry.
    pub fn outcome(&self, end: &End<'_>) -> Entry {
        let sets = if self.is_write { to_sets(&self.sets) } else { Vec::new() };
        let stage = self
            .verdict
            .writes
            .first()
            .and_then(|write| write.stage.clone())
            .filter(|_| end.problem.is_none() && (self.observed.is_none() || end.status < 300));
        let would = self.observed.as_ref().and_then(Observed::would).filter(|_| !self.is_would_told);
        let problem = end.problem.or(would);
        Entry::Outcome(Outcome {
            of: self.id.clone(),
            status: Some(end.status),
            upstream: self.upstream_status,
            released: release(end.kind),
            bytes: Some(end.bytes),
            delivered: end.delivered,
            reason: problem.map(|problem| problem.reason.code().to_owned()),
            mode: self.observed.as_ref().map(|_| Mode::Observe),
            sets,
            stage: stage.map(|(from, to)| Change { from: Some(from), to: Some(to) }),
            part: None,
        })
    }
}

impl Trail {
    /// The names that the profile does not have, if the request was observed and there are any.
    pub fn seen(&self) -> Option<Entry> {
        let observed = self.observed.as_ref().filter(|observed| !observed.seen.is_empty())?;
        let seen = &observed.seen;
        let list = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect();
        let fields = seen
            .fields
            .iter()
            .map(|(record_type, names)| SeenFields { record_type: record_type.clone(), names: list(names) });
        Some(Entry::Observed(entry::Observed {
            of: self.id.clone(),
            group: observed.group().to_owned(),
            method: self.method.clone(),
            route: self.route.clone(),
            path: seen.path.clone(),
            query: list(&seen.query),
            request_type: seen.request_type.map(str::to_owned),
            request_keys: list(&seen.request_keys),
            status: self.upstream_status,
            answer_type: seen.answer_type.map(str::to_owned),
            answer_keys: list(&seen.answer_keys),
            fields: fields.collect(),
            unnamed: seen.unnamed,
            reason: observed.would().map(|problem| problem.reason.code().to_owned()),
        }))
    }
}

/// How a request ended.
pub struct End<'p> {
    /// The status that the caller gets.
    pub status: u16,
    /// How the body came to be released.
    pub kind: ReleaseKind,
    /// The body's bytes.
    pub bytes: u64,
    /// Whether it reached the caller.
    pub delivered: Delivered,
    /// Why the answer is not what was asked for.
    pub problem: Option<&'p Problem>,
}

impl<'p> End<'p> {
    /// The end of a request whose decision could not be recorded in time: nothing was forwarded or released.
    pub fn of_unrecorded(problem: &'p Problem) -> Self {
        let status = problem.reason.status();
        Self {
            status,
            kind: ReleaseKind::Problem,
            bytes: 0,
            delivered: Delivered::Unknown,
            problem: Some(problem),
        }
    }
}

fn effect(problem: Option<&Problem>) -> entry::Effect {
    match problem.map(|problem| problem.reason.class()) {
        None => entry::Effect::Allow,
        Some(Class::Deny) => entry::Effect::Deny,
        Some(Class::Refuse) => entry::Effect::Refuse,
        Some(Class::Fail) => entry::Effect::Fail,
    }
}

fn release(kind: ReleaseKind) -> Release {
    match kind {
        ReleaseKind::All | ReleaseKind::Passed => Release::All,
        ReleaseKind::Filtered => Release::Filtered,
        ReleaseKind::None => Release::None,
        ReleaseKind::Problem => Release::Problem,
    }
}

/// Decisions with one action, type and outcome stand together; per-field decisions are told by `write`.
fn group<'a>(accesses: impl Iterator<Item = &'a AccessDecision>) -> Vec<Access> {
    let mut grouped: Vec<Access> = Vec::new();
    for access in accesses {
        let effect =
            if access.decision.effect == Effect::Allow { entry::Effect::Allow } else { entry::Effect::Deny };
        // What policies decided stands in `policies` and `errors`; that none did, or why none was asked, stands here.
        let reason = access.decision.reason.filter(|_| access.decision.determining.is_empty());
        let reason = reason.map(|reason| reason.code().to_owned());
        let same = grouped.iter_mut().find(|other| {
            other.action == access.action
                && other.record_type == access.type_name
                && other.effect == effect
                && other.policies == access.decision.determining
                && other.errors == access.decision.errors
                && other.reason == reason
                && other.attribute == access.decision.attribute
        });
        match same {
            Some(other) => {
                let new = access.ids.iter().filter(|id| !other.ids.contains(id)).cloned().collect::<Vec<_>>();
                other.ids.extend(new);
            }
            None => grouped.push(Access {
                action: access.action.to_owned(),
                record_type: access.type_name.clone(),
                ids: access.ids.clone(),
                effect,
                policies: access.decision.determining.clone(),
                errors: access.decision.errors.clone(),
                reason,
                attribute: access.decision.attribute.clone(),
            }),
        }
    }
    grouped
}

fn view_access(sets: &ShownSets) -> Vec<Access> {
    // Shown records stand in `sets`, hidden ones in `rows_hidden`; only policy errors would be lost.
    match sets.errors.is_empty() {
        true => Vec::new(),
        false => vec![Access {
            action: "readField".to_owned(),
            record_type: "*".to_owned(),
            ids: Vec::new(),
            effect: entry::Effect::Deny,
            policies: Vec::new(),
            errors: sets.errors.clone(),
            reason: Some(Reason::PolicyError.code().to_owned()),
            attribute: None,
        }],
    }
}

/// What a part of a long answer showed.
pub fn shown(of: &str, n: u32, sets: &ShownSets, serving: &Snapshot) -> entry::Shown {
    entry::Shown {
        of: of.to_owned(),
        n,
        sets: to_sets(sets),
        rows_hidden: to_rows_hidden(sets),
        reasons: reasons(serving, hiding(sets)),
        errors: sets.errors.clone(),
        part: None,
    }
}

/// The policies that left records out.
fn hiding(sets: &ShownSets) -> impl Iterator<Item = &String> {
    sets.rows_hidden.keys().flat_map(|why| &why.policies)
}

/// What policies say of themselves.
fn reasons<'i>(serving: &Snapshot, ids: impl Iterator<Item = &'i String>) -> BTreeMap<String, String> {
    let reasons = &serving.bundle.policies.reasons;
    ids.filter_map(|id| Some((id.clone(), reasons.get(id)?.clone()))).collect()
}

fn to_sets(sets: &ShownSets) -> Vec<Sets> {
    let one = |(outcome, ids): (&super::enforce::shown::Outcome, &Vec<String>)| Sets {
        record_type: outcome.type_name.clone(),
        shown: FieldSet::of(outcome.shown.clone()),
        hidden: FieldSet::of(outcome.hidden.clone()),
        masked: FieldSet::of(outcome.masked.clone()),
        ids: distinct(ids),
        policies: outcome.policies.clone(),
    };
    sets.sets.iter().map(one).collect()
}

fn to_rows_hidden(sets: &ShownSets) -> Vec<RowsHidden> {
    let one = |(why, ids): (&HiddenRow, &Vec<String>)| RowsHidden {
        record_type: why.type_name.clone(),
        ids: distinct(ids),
        policies: why.policies.clone(),
        reason: Some(why.reason.to_owned()),
        attribute: why.attribute.clone(),
    };
    sets.rows_hidden.iter().map(one).collect()
}

/// An embedded record may stand in many rows of one answer.
fn distinct(ids: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    ids.iter().filter(|id| seen.insert(id.as_str())).cloned().collect()
}

fn to_write(writes: &[WriteVerdict]) -> Option<Write> {
    let first = writes.first()?;
    let all = |field: fn(&WriteVerdict) -> &std::collections::BTreeSet<String>| -> Vec<String> {
        let names: std::collections::BTreeSet<String> =
            writes.iter().flat_map(|write| field(write).clone()).collect();
        names.into_iter().collect()
    };
    let change = |pair: &Option<(String, String)>| {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        pair.as_ref().map(|(from, to)| Change { from: some(from), to: some(to) })
    };
    Some(Write {
        unbounded: first.is_unbounded,
        asked: all(|write| &write.asked),
        refused: all(|write| &write.refused),
        unchanged: all(|write| &write.unchanged),
        stage: change(&first.stage),
        owner: change(&first.owner),
        team: change(&first.team),
    })
}
