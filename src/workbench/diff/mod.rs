//! What a change of a bundle, or of a directory, changes for whom: rights gained and lost, each with an example.
//!
//! Promises: where the condition of a right is the same, nothing changed; where it is not, an example is one that both bundles really
//! decide differently. What differs and no example was found for is told as such, never left out.

pub mod allowed;
mod candidates;
mod example;
mod questions;
pub mod truths;
mod uncompared;
pub mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::current::Snapshot;
use crate::model::principal::EntityRef;
use crate::pipeline::identify::admit;
use crate::workbench::formula::Formula;
use crate::workbench::formula::decided::Conditions;
use crate::workbench::formula::known::{Known, Who};
use crate::workbench::matrix::people::{self, Group, Progress};
use crate::workbench::matrix::told_stage;
pub use example::Example;
use example::Search;
use questions::{Question, questions};

/// A bundle and directory, with the conditions of its policies.
pub struct Side<'s> {
    snapshot: &'s Arc<Snapshot>,
    conditions: Conditions<'s>,
    now_ms: i64,
}

/// What differs.
pub struct Difference {
    /// Policies that only the new bundle has.
    pub added: Vec<String>,
    /// Policies that only the old one has.
    pub removed: Vec<String>,
    /// Policies that both have and that say something else.
    pub edited: Vec<String>,
    /// Rights whose condition is another.
    pub changes: Vec<Change>,
    /// What may change rights and was not compared, in words.
    pub uncompared: Vec<String>,
}

/// Rights of the same askers whose condition changed in the same way.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose.
    pub who: Vec<String>,
    /// On records of this type.
    pub type_name: String,
    /// The action; fields of new records as `writeField (new)`.
    pub action: &'static str,
    /// The fields that it is about, or the stages that it leads to.
    pub names: Vec<String>,
    /// The stages of records that it is about; empty where all are, or where records have none.
    pub stages: Vec<String>,
    /// When it was allowed.
    pub old: Formula,
    /// When it is allowed now.
    pub new: Formula,
    /// What was denied and is allowed now.
    pub gained: Found,
    /// What was allowed and is denied now.
    pub lost: Found,
}

/// Whether there is something that only one side allows.
#[derive(Clone, Debug)]
pub enum Found {
    /// There cannot be.
    Nothing,
    /// This.
    Example(Box<Example>),
    /// The conditions leave room for it, and none was found.
    Unknown,
}

impl Found {
    /// Whether there is, or may be, something.
    pub fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// Whose rights are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Users who have a role and nothing else that is known.
    Roles,
    /// Everybody in either directory.
    People,
}

/// Compares two bundles, each with its directory.
pub fn difference(
    old: &Arc<Snapshot>,
    new: &Arc<Snapshot>,
    by: By,
    now_ms: i64,
    progress: Progress<'_>,
) -> Difference {
    let side = |snapshot| Side { snapshot, conditions: Conditions::of(&snapshot.bundle), now_ms };
    let (old, new) = (side(old), side(new));
    let columns = match by {
        By::Roles => roles(&old, &new),
        By::People => pairs(&old, &new),
    };
    let mut changes: Vec<Change> = Vec::new();
    let asked = questions(&old, &new);
    let all = columns.len() as u64;
    for (done, group) in (1..).zip(&columns) {
        for change in of_group(&old, &new, group, &asked) {
            match changes.iter_mut().find(|known| known.is_alike(&change) && known.names == change.names) {
                Some(known) => known.who.extend(change.who),
                None => changes.push(change),
            }
        }
        progress(done, all);
    }
    let (was, is) = (&old.snapshot.bundle.policies.texts, &new.snapshot.bundle.policies.texts);
    Difference {
        added: is.keys().filter(|id| !was.contains_key(*id)).cloned().collect(),
        removed: was.keys().filter(|id| !is.contains_key(*id)).cloned().collect(),
        edited: is
            .iter()
            .filter(|(id, text)| was.get(*id).is_some_and(|old| old != *text))
            .map(|(id, _)| id.clone())
            .collect(),
        changes,
        uncompared: uncompared::reasons(&old, &new, columns.is_empty()),
    }
}

impl Change {
    /// Whether it is the same but for fields and people.
    fn is_alike(&self, other: &Self) -> bool {
        let same_right = (&self.type_name, self.action) == (&other.type_name, other.action);
        same_right && (&self.old, &self.new, &self.stages) == (&other.old, &other.new, &other.stages)
    }
}

fn of_group(old: &Side<'_>, new: &Side<'_>, group: &Group, asked: &[Question<'_>]) -> Vec<Change> {
    let (was, is) = (known(old, &group.who), known(new, &group.who));
    let mut found: Vec<Change> = Vec::new();
    for question in asked {
        let mut by_stage: Vec<(Vec<String>, Formula, Formula)> = Vec::new();
        let stages = question.stages();
        for stage in &stages {
            let of = |side: &Side<'_>, known: &Option<Known<'_>>| {
                let place = question.place(*stage);
                let known = known.as_ref().zip(question.type_of(side));
                known.map_or(Formula::False, |(known, record_type)| {
                    side.conditions.in_full(known, record_type, place)
                })
            };
            let (before, after) = (of(old, &was), of(new, &is));
            let stage = stage.map(str::to_owned);
            match by_stage.iter_mut().find(|(_, known, now)| (known, now) == (&before, &after)) {
                Some((stages, ..)) => stages.extend(stage),
                None => by_stage.push((stage.into_iter().collect(), before, after)),
            }
        }
        for (in_stages, before, after) in by_stage.into_iter().filter(|(_, before, after)| before != after) {
            let stage = in_stages.first().cloned();
            let search = Search { old, new, who: &group.who, question, stage: stage.as_deref() };
            let (gained, lost) = search.examples(&before, &after);
            if !gained.is_there() && !lost.is_there() {
                continue;
            }
            let is_everywhere = in_stages.len() == stages.len();
            let in_stages: Vec<String> = in_stages.iter().map(|stage| told_stage(stage)).collect();
            let change = Change {
                who: group.members.clone(),
                type_name: question.type_name.clone(),
                action: question.told_action(),
                names: question.names(),
                stages: if is_everywhere { Vec::new() } else { in_stages },
                old: before,
                new: after,
                gained,
                lost,
            };
            match found.iter_mut().find(|known| known.is_alike(&change)) {
                Some(known) => known.names.extend(change.names),
                None => found.push(change),
            }
        }
    }
    found
}

/// Somebody whom a side does not know, or does not let in, has no rights there.
fn known<'s>(side: &Side<'s>, who: &Who) -> Option<Known<'s>> {
    if let Who::Person(person) = who {
        admit(person, &side.snapshot.directory, side.now_ms).ok()?;
    }
    Known::new(side.snapshot, who.clone(), side.now_ms)
}

/// The roles of both sides.
fn roles(old: &Side<'_>, new: &Side<'_>) -> Vec<Group> {
    let mut all = people::roles(old.snapshot);
    let more = people::roles(new.snapshot);
    all.extend(
        more.into_iter().filter(|group| !all.iter().any(|known| known.who == group.who)).collect::<Vec<_>>(),
    );
    all
}

/// People whom neither side tells apart.
fn pairs(old: &Side<'_>, new: &Side<'_>) -> Vec<Group> {
    let groups =
        |side: &Side<'_>| people::people(side.snapshot, &side.conditions, side.now_ms, &mut |_, _| {});
    let mut places: BTreeMap<EntityRef, (Option<usize>, Option<usize>)> = BTreeMap::new();
    for (number, group) in groups(old).into_iter().enumerate() {
        group.people.into_iter().for_each(|person| places.entry(person).or_default().0 = Some(number));
    }
    for (number, group) in groups(new).into_iter().enumerate() {
        group.people.into_iter().for_each(|person| places.entry(person).or_default().1 = Some(number));
    }
    let mut together: BTreeMap<(Option<usize>, Option<usize>), Vec<EntityRef>> = BTreeMap::new();
    for (person, place) in places {
        together.entry(place).or_default().push(person);
    }
    together.into_values().filter_map(people::group).collect()
}
