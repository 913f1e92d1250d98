//! Slices: per action and resource type, the policies whose scope can apply, what they read, and which fields they
//! cannot tell apart.
//!
//! A slice leaves out only policies whose action or resource type in the scope rules them out, so deciding on a slice
//! and on the whole set give the same decision and the same determining policies.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;

use super::catalogue::Catalogue;
use super::dependencies::Dependencies;
use super::forms::Forms;
use super::profile::Profile;
use super::profile::types::{KeyPath, RecordType};
use crate::model::access::Action;
use crate::model::principal::EntityRef;
use crate::model::seeded::{Fault, is_seeded};

/// The policies for one action on one resource type.
#[derive(Debug, Default)]
pub struct Slice {
    /// The policies.
    pub policies: cedar::PolicySet,
    /// What they read.
    pub dependencies: Dependencies,
    /// For field actions: groups of fields that the slice cannot tell apart, by field index; the last index stands for
    /// the unclassified field. Each group's first member speaks for it.
    pub field_classes: Vec<Vec<usize>>,
}

/// All slices of a bundle.
#[derive(Debug, Default)]
pub struct Slices {
    slices: BTreeMap<(String, String), Slice>,
    needs: BTreeMap<String, Needs>,
    none: Needs,
}

/// What a gate must know of the records of one type.
#[derive(Debug, Default)]
pub struct Needs {
    /// The names of the attributes that policies look at.
    pub names: BTreeSet<String>,
    /// Those that the profile describes, by place and in its order.
    pub attributes: Vec<usize>,
    /// Where they can be in a record: for each of them, all of its places.
    pub places: Vec<KeyPath>,
}

impl Slices {
    /// The slice for an action on a type; a missing one holds no policy and denies.
    pub fn of(&self, action: &str, resource_type: &str) -> Option<&Slice> {
        self.slices.get(&(action.to_owned(), resource_type.to_owned()))
    }

    /// What a gate must know of the records of a type.
    pub fn needs(&self, resource_type: &str) -> &Needs {
        self.needs.get(resource_type).unwrap_or(&self.none)
    }

    /// Attributes of a type that any of these actions needs.
    pub fn attributes_needed(&self, actions: &[&str], resource_type: &str) -> BTreeSet<String> {
        let slices = actions.iter().filter_map(|action| self.of(action, resource_type));
        slices.flat_map(|slice| slice.dependencies.resource_attributes.iter().cloned()).collect()
    }
}

/// The actions that a gate asks about, in the order in which what is masked is overridden by what is shown.
pub const GATE_ACTIONS: &[&str] = &["view", "readFieldMasked", "readField"];

/// Actions that are asked per field.
pub const FIELD_ACTIONS: &[&str] = &["readField", "readFieldMasked", "writeField"];

/// Cuts the policies into slices.
pub fn cut(
    policies: &cedar::PolicySet,
    schema: &cedar::Schema,
    profile: &Profile,
    catalogue: &Catalogue,
    forms: &Forms,
) -> Slices {
    let mut slices = Slices::default();
    let all: Vec<&cedar::Policy> = policies.policies().collect();
    for action in Action::ALL.iter().map(|action| action.name()).chain(FIELD_ACTIONS.iter().copied()) {
        let groups = action_groups(action, schema);
        let applicable: Vec<&cedar::Policy> = all
            .iter()
            .copied()
            .filter(|policy| action_applies(policy, &groups) && !is_lost(policy))
            .collect();
        let types = profile.types.iter().map(|record_type| (record_type.name.as_str(), Some(record_type)));
        for (name, record_type) in types.chain([("Collection", None)]) {
            let mut slice = Slice::default();
            for policy in applicable.iter().filter(|policy| type_applies(policy, name)) {
                slice.dependencies.add(policy, forms.form(policy));
                // Ids are unique in the whole set, so adding to a part of it cannot fail.
                let _ = slice.policies.add((*policy).clone());
            }
            if let Some(record_type) = record_type.filter(|_| FIELD_ACTIONS.contains(&action)) {
                slice.field_classes = classes(record_type, &slice.dependencies, catalogue);
            }
            slices.slices.insert((action.to_owned(), name.to_owned()), slice);
        }
    }
    for record_type in &profile.types {
        let names = slices.attributes_needed(GATE_ACTIONS, &record_type.name);
        slices.needs.insert(record_type.name.clone(), Needs::of(record_type, names));
    }
    slices
}

impl Needs {
    fn of(record_type: &RecordType, names: BTreeSet<String>) -> Self {
        let specs = record_type.attributes.iter().enumerate();
        let needed: Vec<_> = specs.filter(|(_, spec)| names.contains(&spec.name)).collect();
        Self {
            attributes: needed.iter().map(|(place, _)| *place).collect(),
            places: needed.iter().flat_map(|(_, spec)| spec.at.iter().cloned()).collect(),
            names,
        }
    }
}

/// An action with everything above it.
pub fn action_groups(action: &str, schema: &cedar::Schema) -> BTreeSet<cedar::EntityUid> {
    let mut groups = BTreeSet::new();
    if let (Some(uid), Ok(actions)) =
        (super::catalogue::to_uid(&EntityRef::new("Action", action)), schema.action_entities())
    {
        groups.extend(actions.ancestors(&uid).into_iter().flatten().cloned());
        groups.insert(uid);
    }
    groups
}

/// Whether the scope of a policy lets an action through, which is given with all that is above it.
pub fn action_applies(policy: &cedar::Policy, groups: &BTreeSet<cedar::EntityUid>) -> bool {
    match policy.action_constraint() {
        cedar::ActionConstraint::Any => true,
        cedar::ActionConstraint::Eq(uid) => groups.contains(&uid),
        cedar::ActionConstraint::In(uids) => uids.iter().any(|uid| groups.contains(uid)),
    }
}

fn is_lost(policy: &cedar::Policy) -> bool {
    policy.effect() == cedar::Effect::Forbid && is_seeded(Fault::GuardsAreLost)
}

fn type_applies(policy: &cedar::Policy, type_name: &str) -> bool {
    match policy.resource_constraint() {
        cedar::ResourceConstraint::Any | cedar::ResourceConstraint::In(_) => true,
        cedar::ResourceConstraint::Eq(uid) => uid.type_name().to_string() == type_name,
        cedar::ResourceConstraint::Is(name) | cedar::ResourceConstraint::IsIn(name, _) => {
            name.to_string() == type_name
        }
    }
}

fn classes(record_type: &RecordType, dependencies: &Dependencies, catalogue: &Catalogue) -> Vec<Vec<usize>> {
    let count = record_type.fields.len() + 1;
    if dependencies.reads_field_opaquely {
        return (0..count).map(|index| vec![index]).collect();
    }
    let mut groups: BTreeMap<Vec<bool>, Vec<usize>> = BTreeMap::new();
    for index in 0..count {
        let field = EntityRef::new("Field", record_type.field_name(index));
        let observed = dependencies.field_literals.iter().map(|literal| catalogue.is_in(&field, literal));
        groups.entry(observed.collect()).or_default().push(index);
    }
    groups.into_values().collect()
}
