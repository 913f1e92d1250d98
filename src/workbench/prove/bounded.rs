//! The check that needs no solver: for the people of a directory, whatever the record and the request.
//!
//! Promises: "holds" is said only where no answers to the conditions of policies and invariant, were they independent of each
//! other, would decide against the claim. Conditions depend on each other, so what is not said to hold may hold all the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use serde_json::Value;

use super::environment::{Ground, Question};
use super::invariant::{ClaimKind, Invariant};
use super::people::{Group, People, is_about_principal};
use super::witness::Witnesses;
use super::world::World;
use super::{Finding, Findings};
use crate::bundle::current::Snapshot;
use crate::pipeline::decide::always::can_fail;

/// Checks one claim in every environment.
pub fn check<'a>(
    ground: &Ground<'_>,
    invariant: &'a Invariant,
    snapshot: &Snapshot,
    people: &People,
) -> Findings<'a> {
    let mut environments = Vec::new();
    for environment in &ground.environments {
        let Some(question) = Question::of(ground, environment, &invariant.probe) else { continue };
        let finding = Check::of(ground, &question, invariant).run(snapshot, people);
        environments.push((environment.clone(), finding));
    }
    Findings { invariant, environments }
}

struct Check<'a> {
    question: &'a Question<'a>,
    invariant: &'a Invariant,
    permits: Vec<Value>,
    forbids: Vec<Value>,
}

/// What is known while answers are tried out.
struct Trial<'t> {
    truths: &'t BTreeMap<String, bool>,
    tried: BTreeMap<String, bool>,
    steps: usize,
}

impl<'a> Check<'a> {
    fn of(ground: &Ground<'_>, question: &'a Question<'a>, invariant: &'a Invariant) -> Self {
        let forms = |effect: cedar::Effect| {
            let policies = question.of_effect(effect);
            // Of a policy without a form nothing is known.
            policies.map(|policy| ground.forms.form(policy).cloned().unwrap_or_default()).collect()
        };
        let (permits, forbids) = (forms(cedar::Effect::Permit), forms(cedar::Effect::Forbid));
        Self { question, invariant, permits, forbids }
    }

    fn run(&self, snapshot: &Snapshot, people: &People) -> Finding {
        if let (ClaimKind::Always, Some(policy)) =
            (self.invariant.kind, self.question.slice.policies.policies().find(|policy| can_fail(policy)))
        {
            return Finding::Undetermined(format!(
                "`{}` may fail, and then the request is denied",
                policy.id()
            ));
        }
        let witnesses = Witnesses::of(self.question, self.invariant, snapshot);
        let (mut doubts, mut described, mut looked) = (Vec::new(), 0, 0);
        for group in people.told_apart_by(&self.question.environment.principal, &self.conditions()) {
            let known = |condition: &Value| group.truths.get(&condition.to_string()).copied();
            let form = &self.invariant.probe.form;
            let worlds = self.question.worlds.iter();
            let worlds = worlds.filter(|world| world.applies_where(form, &known) != Some(false));
            let worlds: Vec<&World<'_>> = worlds.collect();
            described += if worlds.is_empty() { 0 } else { group.count };
            let mut is_doubtful = false;
            for world in worlds {
                let mut trial = Trial { truths: &group.truths, tried: BTreeMap::new(), steps: 0 };
                let against = self.can_be_against(world, &mut trial);
                is_doubtful |= against != Some(false);
                if against == Some(true) && looked < WITNESSES_MAX {
                    looked += 1;
                    if let Some((scene, replayed)) = witnesses.find(&group, world) {
                        return Finding::Refuted(Box::new(scene), replayed.determining);
                    }
                }
                if is_doubtful && looked == WITNESSES_MAX {
                    break;
                }
            }
            doubts.extend(is_doubtful.then_some(group));
        }
        match doubts.first() {
            None => Finding::Holds(described),
            Some(group) => Finding::Undetermined(self.doubt(group, &doubts)),
        }
    }

    fn doubt(&self, group: &Group, doubts: &[Group]) -> String {
        let count: usize = doubts.iter().map(|group| group.count).sum();
        let may = match self.invariant.kind {
            ClaimKind::Never => "allowed",
            ClaimKind::Always => "denied",
        };
        format!(
            "it may be {may} to {count} of the directory's people, `{}` among them, as records and requests have it",
            group.person
        )
    }

    /// The conditions on the principal alone, by their texts.
    fn conditions(&self) -> BTreeSet<String> {
        let found = RefCell::new(BTreeSet::new());
        let note = |condition: &Value| {
            if is_about_principal(condition) {
                found.borrow_mut().insert(condition.to_string());
            }
            None
        };
        let world = World::open(self.question.environment, &self.question.bundle.catalogue);
        let forms = self.permits.iter().chain(&self.forbids).chain([&self.invariant.probe.form]);
        forms.for_each(|form| {
            world.applies_where(form, &note);
        });
        found.into_inner()
    }

    /// Whether there are answers to what is open that decide against the claim; `None` if there are too many to try.
    fn can_be_against(&self, world: &World<'_>, trial: &mut Trial<'_>) -> Option<bool> {
        trial.steps += 1;
        if trial.steps > STEPS_MAX {
            return None;
        }
        let open = RefCell::new(None);
        let truth = self.is_against(world, &|condition| {
            let text = condition.to_string();
            let known = trial.truths.get(&text).or_else(|| trial.tried.get(&text)).copied();
            if known.is_none() {
                open.borrow_mut().get_or_insert(text);
            }
            known
        });
        let open = match (truth, open.into_inner()) {
            (Some(truth), _) => return Some(truth),
            // Something is not understood: nothing is known of it.
            (None, None) => return Some(true),
            (None, Some(open)) => open,
        };
        for answer in [true, false] {
            trial.tried.insert(open.clone(), answer);
            if self.can_be_against(world, trial)? {
                return Some(true);
            }
        }
        trial.tried.remove(&open);
        Some(false)
    }

    /// Whether the decision on a described request is against the claim, as far as that is known.
    fn is_against(&self, world: &World<'_>, leaf: &super::world::Leaf<'_>) -> Option<bool> {
        use super::world::{all, any};
        let applies = |form: &Value| world.applies_where(form, leaf);
        let is_described = applies(&self.invariant.probe.form);
        if is_described == Some(false) {
            return Some(false);
        }
        let is_forbidden = any(self.forbids.iter().map(applies));
        let is_permitted = match is_forbidden {
            Some(true) => Some(false),
            _ => any(self.permits.iter().map(applies)),
        };
        let is_allowed = all([is_forbidden.map(|truth| !truth), is_permitted]);
        let is_wrong = match self.invariant.kind {
            ClaimKind::Never => is_allowed,
            ClaimKind::Always => is_allowed.map(|truth| !truth),
        };
        all([is_described, is_wrong])
    }
}

/// Answers that are tried out for one group of people in one world.
const STEPS_MAX: usize = 20_000;
/// Groups of people and worlds of one environment for which a request is looked for.
const WITNESSES_MAX: usize = 8;
