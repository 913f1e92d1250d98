//! What the policies come to for one asker, at one place: permits and forbids together, as requests put them together.
//!
//! A record that may not be viewed can be neither read nor changed, and a field is written by whoever may change the record.

use std::collections::{BTreeMap, HashMap};

use cedar_policy as cedar;
use serde_json::{Value as Json, json};

use super::Formula;
use super::known::{Known, Place};
use crate::bundle::compile::Bundle;
use crate::bundle::forms::Forms;
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::Slice;
use crate::model::access::{Action, Scope};
use crate::workbench::condition::Condition;

/// The conditions of a bundle's policies, taken apart once.
pub struct Conditions<'b> {
    bundle: &'b Bundle,
    parts: HashMap<String, Part>,
}

struct Part {
    is_permit: bool,
    condition: Condition,
}

impl<'b> Conditions<'b> {
    /// Those of a bundle.
    pub fn of(bundle: &'b Bundle) -> Self {
        let forms = Forms::of(&bundle.policies.set);
        let part = |policy: &cedar::Policy| {
            let form = forms.form(policy)?;
            let mut condition = Condition::of(form);
            let scope = scope_atoms(form);
            condition.require(scope);
            let is_permit = policy.effect() == cedar::Effect::Permit;
            Some((policy.id().to_string(), Part { is_permit, condition }))
        };
        Self { bundle, parts: bundle.policies.set.policies().filter_map(part).collect() }
    }

    /// The bundle.
    pub fn bundle(&self) -> &'b Bundle {
        self.bundle
    }

    /// Whether a policy permits, and its condition with what its scope asks for.
    pub fn condition(&self, id: &str) -> Option<(bool, &Condition)> {
        self.parts.get(id).map(|part| (part.is_permit, &part.condition))
    }

    /// Every part of a condition, scopes included, once.
    pub fn atoms(&self) -> Vec<&Json> {
        let all = self.parts.values().flat_map(|part| &part.condition.atoms);
        let once: BTreeMap<String, &Json> = all.map(|atom| (atom.to_string(), atom)).collect();
        once.into_values().collect()
    }

    /// What decides an action at a place, whatever else a request needs.
    pub fn alone(&self, known: &Known<'_>, record_type: &RecordType, place: Place<'_>) -> Formula {
        let slice_type = if place.is_on_collection() { "Collection" } else { &record_type.name };
        let Some(slice) = self.bundle.slices.of(place.action, slice_type) else { return Formula::False };
        let (mut permits, mut forbids) = (Vec::new(), Vec::new());
        for (part, _) in self.in_order(slice) {
            let formula =
                Formula::of_condition(&part.condition, &mut |atom| known.settle(record_type, place, atom));
            if part.is_permit { permits.push(formula) } else { forbids.push(formula) }
        }
        let forbidden = forbids.into_iter().map(Formula::negated);
        Formula::all(std::iter::once(Formula::any(permits)).chain(forbidden))
    }

    /// What has to hold for a request: with what it needs beside its own action.
    pub fn in_full(&self, known: &Known<'_>, record_type: &RecordType, place: Place<'_>) -> Formula {
        let own = self.alone(known, record_type, place);
        if own == Formula::False {
            return own;
        }
        let at = |action: &'static str| Place { action, field: None, moved: None, ..place };
        let view = || self.alone(known, record_type, at("view"));
        match (Action::parse(place.action).map(Action::scope), place.action) {
            (Some(Scope::Collection), _) | (_, "view" | "create") => own,
            (_, "writeField") if place.is_new => {
                Formula::all([self.alone(known, record_type, at("create")), own])
            }
            (_, "writeField") => Formula::all([view(), self.alone(known, record_type, at("edit")), own]),
            _ => Formula::all([view(), own]),
        }
    }

    /// The policies that can apply, in the order of their ids.
    fn in_order<'c>(&'c self, slice: &Slice) -> Vec<(&'c Part, String)> {
        let named = slice.policies.policies().map(|policy| policy.id().to_string());
        let mut parts: Vec<(&Part, String)> =
            named.filter_map(|id| Some((self.parts.get(&id)?, id))).collect();
        parts.sort_by(|(_, a), (_, b)| a.cmp(b));
        parts
    }
}

/// What the scope of a policy asks for, as parts of a condition. Its action, and a type of the resource, are what slices are cut by.
fn scope_atoms(form: &Json) -> Vec<Json> {
    let part = |name: &str| form.get(name).cloned().unwrap_or(Json::Null);
    let mut atoms = atoms_of("principal", &part("principal"));
    atoms.extend(atoms_of("resource", &part("resource")).into_iter().filter(|atom| !is_type_test(atom)));
    atoms
}

fn is_type_test(atom: &Json) -> bool {
    atom.get("is").is_some_and(|body| body.get("in").is_none())
}

fn atoms_of(name: &str, scope: &Json) -> Vec<Json> {
    let variable = json!({"Var": name});
    let literal = |entity: &Json| json!({"Value": {"__entity": entity}});
    let is_in = |scope: &Json| {
        let entity =
            scope.get("entity").map(|entity| json!({"in": {"left": variable, "right": literal(entity)}}));
        entity.into_iter().collect::<Vec<_>>()
    };
    match scope.get("op").and_then(Json::as_str) {
        Some("All") => Vec::new(),
        Some("==") => {
            let entity = scope.get("entity").cloned().unwrap_or(Json::Null);
            vec![json!({"==": {"left": variable, "right": literal(&entity)}})]
        }
        Some("in") => is_in(scope),
        Some("is") => {
            let mut atoms = vec![json!({"is": {"left": variable, "entity_type": scope.get("entity_type")}})];
            atoms.extend(scope.get("in").map(is_in).unwrap_or_default());
            atoms
        }
        // What is not understood holds for nobody, and is said so where it is asked about.
        _ => vec![json!({"unknown": scope})],
    }
}
