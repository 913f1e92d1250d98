//! What the cases of a bundle reach: policies that applied, conditions seen both ways, and cells of the matrix of roles, actions,
//! stages and fields.
//!
//! Promises: rests on what plain Cedar was asked while the cases ran, and Cedar itself says of each part of a condition whether it
//! held. What a condition did not look at, because what stands before it settled it, does not count as seen.

pub mod cells;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy as cedar;
use serde::Serialize;

use crate::bundle::compile::Bundle;
use crate::bundle::forms::Forms;
use crate::pipeline::decide::witness::Asked;
use crate::workbench::condition::{self, Condition, Truth};
use cells::{Cells, Matrix};

/// What was reached.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// Every policy, by its id.
    pub policies: Vec<PolicySeen>,
    /// The cells of the matrix.
    pub matrix: Matrix,
}

/// What was seen of a policy.
#[derive(Debug, Serialize)]
pub struct PolicySeen {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Option<String>,
    /// Whether it applied: its scope was met and its condition held.
    pub applied: bool,
    /// The parts of its condition.
    pub conditions: Vec<ConditionSeen>,
}

/// What was seen of a part of a condition.
#[derive(Debug, Serialize)]
pub struct ConditionSeen {
    /// As it is written.
    pub text: String,
    /// Whether it was seen to hold.
    pub seen_true: bool,
    /// Whether it was seen not to hold.
    pub seen_false: bool,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// What was reached.
    pub reached: usize,
    /// What there is.
    pub all: usize,
}

impl Share {
    /// In per cent, rounded down: 100 only where nothing is left. Of nothing, all was reached.
    pub fn percent(self) -> usize {
        (self.reached * 100).checked_div(self.all).unwrap_or(100)
    }
}

impl Coverage {
    /// Policies that applied.
    pub fn of_policies(&self) -> Share {
        let reached = self.policies.iter().filter(|policy| policy.applied).count();
        Share { reached, all: self.policies.len() }
    }

    /// Parts of conditions, each of which can be seen both ways.
    pub fn of_conditions(&self) -> Share {
        let all = self.policies.iter().flat_map(|policy| &policy.conditions);
        let reached =
            all.clone().map(|seen| usize::from(seen.seen_true) + usize::from(seen.seen_false)).sum();
        Share { reached, all: all.count() * 2 }
    }
}

/// Counts while cases run.
pub struct Counting<'b> {
    bundle: &'b Bundle,
    policies: Vec<Counted>,
    probes: HashMap<(String, String), Probes>,
    cells: Cells<'b>,
}

struct Counted {
    id: String,
    condition: Condition,
    applied: bool,
    seen: Vec<(bool, bool)>,
    form: serde_json::Value,
}

/// The policies that can apply to one kind of question, and the probes that tell of their parts.
struct Probes {
    policies: Vec<usize>,
    set: cedar::PolicySet,
}

impl<'b> Counting<'b> {
    /// Nothing is reached yet.
    pub fn new(bundle: &'b Bundle) -> Self {
        let forms = Forms::of(&bundle.policies.set);
        let counted = |id: &str| {
            let policy = bundle.policies.set.policy(&cedar::PolicyId::new(id))?;
            let form = forms.form(policy)?.clone();
            let condition = Condition::of(&form);
            let seen = vec![(false, false); condition.atoms.len()];
            Some(Counted { id: id.to_owned(), condition, applied: false, seen, form })
        };
        let policies = bundle.policies.ids().filter_map(counted).collect();
        Self { bundle, policies, probes: HashMap::new(), cells: Cells::new(bundle) }
    }

    /// Counts what one question reaches.
    pub fn add(&mut self, asked: &Asked) {
        let (Some(action), Some(resource)) = (asked.request.action(), asked.request.resource()) else {
            return;
        };
        self.cells.add(asked);
        let key = (action.id().unescaped().to_owned(), resource.type_name().to_string());
        if !self.probes.contains_key(&key) {
            let probes = self.probes_of(&key);
            self.probes.insert(key.clone(), probes);
        }
        let Some(probes) = self.probes.get(&key) else { return };
        let response = cedar::Authorizer::new().is_authorized(&asked.request, &probes.set, &asked.entities);
        let holds: BTreeSet<&str> = response.diagnostics().reason().map(|id| id.as_ref()).collect();
        let failed: BTreeSet<String> = response
            .diagnostics()
            .errors()
            .map(|cedar::AuthorizationError::PolicyEvaluationError(error)| error.policy_id().to_string())
            .collect();
        for number in &probes.policies {
            let Some(policy) = self.policies.get_mut(*number) else { continue };
            if !holds.contains(scope_name(*number).as_str()) {
                continue;
            }
            let truth = |atom: usize| {
                let name = atom_name(*number, atom);
                match (holds.contains(name.as_str()), failed.contains(&name)) {
                    (true, _) => Truth::True,
                    (false, true) => Truth::Failed,
                    (false, false) => Truth::False,
                }
            };
            let seen = &mut policy.seen;
            let whole = policy.condition.evaluate(&truth, &mut |atom, truth| {
                if let Some(seen) = seen.get_mut(atom) {
                    seen.0 |= truth == Truth::True;
                    seen.1 |= truth == Truth::False;
                }
            });
            policy.applied |= whole == Truth::True;
        }
    }

    /// What was reached in all.
    pub fn end(self) -> Coverage {
        let bundle = self.bundle;
        let told = |policy: Counted| {
            let seen = policy.condition.atoms.iter().zip(policy.seen);
            let conditions = seen.map(|(atom, (seen_true, seen_false))| ConditionSeen {
                text: condition::text(atom),
                seen_true,
                seen_false,
            });
            PolicySeen {
                place: bundle.policies.place(&policy.id),
                applied: policy.applied,
                conditions: conditions.collect(),
                id: policy.id,
            }
        };
        Coverage { policies: self.policies.into_iter().map(told).collect(), matrix: self.cells.end() }
    }

    fn probes_of(&self, (action, type_name): &(String, String)) -> Probes {
        let mut probes = Probes { policies: Vec::new(), set: cedar::PolicySet::new() };
        let Some(slice) = self.bundle.slices.of(action, type_name) else { return probes };
        let numbers: BTreeMap<&str, usize> =
            self.policies.iter().enumerate().map(|(number, policy)| (policy.id.as_str(), number)).collect();
        for policy in slice.policies.policies() {
            let id: &str = policy.id().as_ref();
            let Some(number) = numbers.get(id).copied() else { continue };
            let Some(counted) = self.policies.get(number) else { continue };
            let atoms = counted.condition.atoms.iter().enumerate();
            let parts = atoms.map(|(atom, body)| condition::probe(&atom_name(number, atom), body));
            for probe in parts.chain([condition::scope_probe(&scope_name(number), &counted.form)]).flatten() {
                // Their names are unique, so adding cannot fail.
                let _ = probes.set.add(probe);
            }
            probes.policies.push(number);
        }
        probes
    }
}

fn scope_name(policy: usize) -> String {
    format!("{policy}")
}

fn atom_name(policy: usize, atom: usize) -> String {
    format!("{policy}.{atom}")
}
