//! The search for a request against a claim, by a solver that sees few policies at a time.
//!
//! Promises: a claim holds only where no request is left that all policies together would decide against it. The solver begins
//! with a part of the policies; what it finds is decided by all of them, and those that decide otherwise join the part. So a
//! proof on a part is one on the whole, and large sets cost what matters in them.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;
use cedar_policy_symcc::CompiledSchema;

use super::environment::{Ground, Grounds, Question};
use super::invariant::{ClaimKind, Invariant, permitting};
use super::scene::Scene;
use super::solver::{Ask, Asking, Solver};
use super::values::whole;
use super::{Finding, Findings};
use crate::pipeline::decide::always::can_fail;

/// Asks a solver of one claim, in every environment. Where an answer follows from the same as a former one, it is not asked again.
pub async fn prove<'a>(
    ground: &Ground<'_>,
    schema: &CompiledSchema,
    invariant: &'a Invariant,
    solver: &mut Solver,
) -> Findings<'a> {
    let mut environments = Vec::new();
    let mut is_about_something = false;
    let mut proved: BTreeSet<Grounds> = BTreeSet::new();
    for environment in &ground.environments {
        let Some(question) = Question::of(ground, environment, &invariant.probe) else { continue };
        let grounds = question.grounds(ground, &invariant.probe);
        if grounds.as_ref().is_some_and(|grounds| proved.contains(grounds)) {
            environments.push((environment.clone(), Finding::Proved));
            continue;
        }
        let asked = environment.to_cedar().ok_or_else(|| "Cedar does not take it".to_owned());
        let finding = match asked.and_then(|asked| solver.asking(schema, asked)) {
            Ok(asking) => {
                let mut search = Search { question: &question, invariant, asking };
                let finding = search.run().await;
                is_about_something = is_about_something
                    || finding != Finding::Proved
                    || search.is_about_something().await.unwrap_or(true);
                finding
            }
            Err(why) => Finding::Undetermined(why),
        };
        if finding == Finding::Proved {
            proved.extend(grounds);
        }
        environments.push((environment.clone(), finding));
    }
    if !is_about_something {
        environments.clear();
    }
    Findings { invariant, environments }
}

/// Searches in one environment.
struct Search<'a, 's> {
    question: &'a Question<'a>,
    invariant: &'a Invariant,
    asking: Asking<'s>,
}

/// A part of the policies, by id.
type Part<'a> = BTreeMap<String, &'a cedar::Policy>;

impl<'a> Search<'a, '_> {
    /// What the solver says of the claim.
    async fn run(&mut self) -> Finding {
        let found = match self.described() {
            Ok(probe) => match self.invariant.kind {
                ClaimKind::Never => self.never(&probe).await,
                ClaimKind::Always => self.always(&probe).await,
            },
            Err(why) => Err(why),
        };
        match found {
            Ok(None) => Finding::Proved,
            Ok(Some(scene)) => match scene.settled(self.question, self.invariant) {
                Ok((scene, replayed)) => Finding::Refuted(Box::new(scene), replayed.determining),
                Err(why) => Finding::Undetermined(why),
            },
            Err(why) => Finding::Undetermined(why),
        }
    }

    /// Whether there is a request that the invariant describes.
    async fn is_about_something(&mut self) -> Result<bool, String> {
        let probe = self.described()?;
        let nothing = cedar::PolicySet::new();
        Ok(self.asking.ask(Ask::FirstAlone(&probe, &nothing)).await?.is_some())
    }

    fn described(&self) -> Result<cedar::PolicySet, String> {
        let conditions = self.question.catalogued();
        let probe =
            self.invariant.probe.assuming(&conditions).ok_or("the catalogue cannot be written as Cedar")?;
        cedar::PolicySet::from_policies([probe]).map_err(|error| whole(&error))
    }

    /// A request that is allowed although none may be.
    async fn never(&mut self, probe: &cedar::PolicySet) -> Result<Option<Scene>, String> {
        let permits: Vec<&cedar::Policy> = self.question.of_effect(cedar::Effect::Permit).collect();
        let mut forbids = Part::new();
        for permits in permits.chunks(PART) {
            loop {
                let part = set(permits.iter().copied().chain(forbids.values().copied()))?;
                let Some(scene) = self.asking.ask(Ask::BothAllow(&part, probe)).await? else { break };
                if self.joined(&scene, &mut forbids)? {
                    continue;
                }
                return Ok(Some(scene));
            }
        }
        Ok(None)
    }

    /// A request that is denied although each must be allowed.
    async fn always(&mut self, probe: &cedar::PolicySet) -> Result<Option<Scene>, String> {
        let fallible = self.question.slice.policies.policies().filter(|policy| can_fail(policy));
        for policy in fallible {
            if self.asking.ask(Ask::Fails(policy)).await?.is_some() {
                return Err(format!("`{}` can fail, and then the request is denied", policy.id()));
            }
        }
        let forbids: Option<Vec<_>> =
            self.question.of_effect(cedar::Effect::Forbid).map(permitting).collect();
        let forbids = forbids.ok_or("a policy cannot be read back")?;
        for forbids in forbids.chunks(PART) {
            if let Some(scene) = self.asking.ask(Ask::BothAllow(&set(forbids)?, probe)).await? {
                return Ok(Some(scene));
            }
        }
        let mut permits = Part::new();
        loop {
            let part = set(permits.values().copied())?;
            let Some(scene) = self.asking.ask(Ask::FirstAlone(probe, &part)).await? else { return Ok(None) };
            if !self.joined(&scene, &mut permits)? {
                return Ok(Some(scene));
            }
        }
    }

    /// Decides what was found by all policies. Those that decide for the claim join the part; `false` if none does.
    fn joined(&self, scene: &Scene, part: &mut Part<'a>) -> Result<bool, String> {
        let mut scene = scene.clone();
        scene.complete();
        let replayed = scene.replay(self.question, self.invariant)?;
        if replayed.contradicts(self.invariant.kind) {
            return Ok(false);
        }
        let before = part.len();
        for policy in &self.question.policies {
            let id = policy.id().to_string();
            if replayed.determining.contains(&id) {
                part.insert(id, policy);
            }
        }
        match part.len() > before {
            true => Ok(true),
            false => Err("Cedar does not decide as the solver says".to_owned()),
        }
    }
}

fn set<'p>(policies: impl IntoIterator<Item = &'p cedar::Policy>) -> Result<cedar::PolicySet, String> {
    cedar::PolicySet::from_policies(policies.into_iter().cloned()).map_err(|error| whole(&error))
}

/// Policies that a solver sees first at a time: what it takes grows faster than their number.
const PART: usize = 16;
