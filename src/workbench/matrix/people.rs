//! The columns of a matrix: roles, or people of whom policies can tell no two apart.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy as cedar;

use crate::audit::report::table::visible;
use crate::bundle::catalogue::from_uid;
use crate::bundle::current::Snapshot;
use crate::model::principal::EntityRef;
use crate::pipeline::identify::admit;
use crate::workbench::condition::probe;
use crate::workbench::formula::decided::Conditions;
use crate::workbench::formula::known::{Known, Reach, Who};

/// Askers with the same rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// One that speaks for all.
    pub who: Who,
    /// Everybody, by name and in order.
    pub members: Vec<String>,
    /// The same as references; none for a role.
    pub people: Vec<EntityRef>,
}

/// Told how much is done, of how much.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Every role that policies name or the directory has.
pub fn roles(snapshot: &Snapshot) -> Vec<Group> {
    let literals = snapshot.bundle.policies.set.policies().flat_map(cedar::Policy::entity_literals);
    let named = literals.map(|uid| from_uid(&uid)).filter(|entity| entity.type_name == ROLE);
    let known = snapshot.directory.ids_of(ROLE, ROLES_MAX).unwrap_or_default();
    let all: BTreeSet<String> = named.map(|entity| entity.id).chain(known).collect();
    let group =
        |role: String| Group { members: vec![visible(&role)], who: Who::Role(role), people: Vec::new() };
    all.into_iter().map(group).collect()
}

/// Everybody of the directory who may act, those together of whom policies can tell no two apart.
pub fn people(
    snapshot: &Snapshot,
    conditions: &Conditions<'_>,
    now_ms: i64,
    progress: Progress<'_>,
) -> Vec<Group> {
    let mut probes: Option<(cedar::PolicySet, bool)> = None;
    let mut groups: BTreeMap<(String, BTreeSet<String>), Vec<EntityRef>> = BTreeMap::new();
    let all = snapshot.directory.people_count() as u64;
    for (done, person) in (1..).zip(snapshot.directory.people()) {
        progress(done, all);
        if admit(&person, &snapshot.directory, now_ms).is_err() {
            continue;
        }
        let Some(known) = Known::new(snapshot, Who::Person(person.clone()), now_ms) else { continue };
        let (set, can_group) = probes.get_or_insert_with(|| probes_of(conditions, &known));
        let applying = known.applying(set).filter(|_| *can_group);
        // Of whom it cannot be said which conditions they meet, nobody else is like them.
        let key = applying.unwrap_or_else(|| BTreeSet::from([person.to_string()]));
        groups.entry((person.type_name.clone(), key)).or_default().push(person);
    }
    let mut groups: Vec<Group> = groups.into_values().filter_map(group).collect();
    groups.sort_by(|a, b| a.members.cmp(&b.members));
    groups
}

/// A group of some people, of whom there is at least one.
pub fn group(mut people: Vec<EntityRef>) -> Option<Group> {
    people.sort();
    let who = Who::Person(people.first()?.clone());
    Some(Group { who, members: people.iter().map(ToString::to_string).collect(), people })
}

/// Parts of conditions that look at nothing but the asker, and whether they tell people apart: not if a part looks at the asker and at
/// the field or the stage together.
fn probes_of(conditions: &Conditions<'_>, known: &Known<'_>) -> (cedar::PolicySet, bool) {
    let mut set = cedar::PolicySet::new();
    let mut can_group = true;
    for (number, atom) in conditions.atoms().into_iter().enumerate() {
        match known.reach(atom) {
            Reach::Asker => {
                if let Some(policy) = probe(&number.to_string(), atom) {
                    // Their names are unique, so adding cannot fail.
                    let _ = set.add(policy);
                }
            }
            Reach::Place => can_group &= !atom.to_string().contains("\"principal\""),
            Reach::Record => {}
        }
    }
    (set, can_group)
}

const ROLE: &str = "Role";
/// Roles of a directory that are columns. A matrix with more cannot be read.
const ROLES_MAX: usize = 1_000;
