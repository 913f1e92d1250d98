//! Judges the other end of a link (PDP): a write that names another record needs that record to be one its caller may view, and
//! may relate where that is what they ask for.
//!
//! Promises: a hidden record and one that is not there are refused alike; what is not written anew is not looked at; a record
//! that cannot be asked for is linked to only by callers for whom it makes no difference which one it is.

use std::collections::{HashMap, HashSet};

use super::evaluate::{Circumstances, Resource, decide};
use super::gate::{RecordGate, Visibility};
use super::keys::{Claim, PlannedKey};
use super::write::{AccessDecision, Change, Judge};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::{FieldSpec, RecordType};
use crate::json::path::Segment;
use crate::json::value::{Kind, Value};
use crate::model::access::Action;
use crate::model::decision::Decision;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;
use crate::pipeline::hydrate::extract::{canonical_id, walk};
use crate::pipeline::map::Named;

/// A record that a write names beside its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The record's type.
    pub type_name: String,
    /// The record's id; `None` for a value that is no id.
    pub id: Option<String>,
    /// The key that names it, as callers know it; `None` if the request does by other means.
    pub key: Option<String>,
    /// What is asked on the record.
    pub action: LinkAction,
}

/// What is asked on the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkAction {
    /// `view`.
    View,
    /// `view` and `relate`.
    Relate,
}

/// Who links, by which policies.
#[derive(Clone, Copy)]
pub struct Linking<'a> {
    /// The gate of the principal.
    pub gate: &'a RecordGate,
}

impl Link {
    /// A link that is no field of the record.
    pub fn named(named: &Named, action: Option<Action>) -> Self {
        let relates = action == Some(Action::Relate);
        let action = if relates { LinkAction::Relate } else { LinkAction::View };
        Link { type_name: named.type_name.clone(), id: named.id.clone(), key: None, action }
    }

    /// How the other end is asked for: its type, the route of it, and its id. `None` if there is no way.
    pub fn way<'p>(&self, profile: &'p Profile) -> Option<(&'p RecordType, &'p Route, &str)> {
        let (_, record_type) = profile.type_named(&self.type_name)?;
        let (_, route) = profile.route_labelled(&record_type.fetch.as_ref()?.value)?;
        Some((record_type, route, self.id.as_deref()?))
    }

    /// The refusal, the same whatever is wrong with the other end.
    pub fn refused(&self) -> Problem {
        Problem::new(Reason::LinkRefused).fields(self.key.iter().cloned().collect())
    }
}

impl LinkAction {
    /// The actions' names.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            LinkAction::View => &["view"],
            LinkAction::Relate => &["view", "relate"],
        }
    }
}

impl Linking<'_> {
    /// The links that depend on the record, each once; `None` if there are more than `most`.
    pub fn open<'l>(&self, links: &'l [Link], most: usize) -> Option<Vec<&'l Link>> {
        let (mut open, mut seen, mut settled) = (Vec::new(), HashSet::new(), HashMap::new());
        for link in links {
            let kind = (link.type_name.as_str(), link.action);
            let may_be_any = *settled.entry(kind).or_insert_with(|| self.may_link_to_any(kind));
            let is_settled = may_be_any && link.id.is_some();
            if !is_settled && seen.insert((kind, link.id.as_deref())) {
                open.push(link);
            }
            if open.len() > most {
                return None;
            }
        }
        Some(open)
    }

    /// Decides on the other end of a link. A record that may not be viewed is judged no further.
    pub fn judge(&self, link: &Link, facts: &RecordFacts) -> Vec<AccessDecision> {
        let mut accesses = vec![access("view", facts, self.gate.judge(facts).view.clone())];
        let is_viewable = accesses.iter().all(|access| access.decision.is_allow());
        if link.action == LinkAction::Relate && is_viewable {
            let circumstances = Circumstances::of(self.gate.asker());
            let resource = Resource::Record(facts);
            let decision =
                decide(self.gate.snapshot(), &self.gate.asker().entity, "relate", resource, &circumstances);
            accesses.push(access("relate", facts, decision));
        }
        accesses
    }

    /// Whether the principal may link to every record of a type.
    fn may_link_to_any(&self, (type_name, action): (&str, LinkAction)) -> bool {
        let is_allowed = |action: &&'static str| self.gate.may_on_every_record(action, type_name, None);
        !self.gate.has_lost_trust() && action.names().iter().all(is_allowed)
    }
}

impl Judge<'_, '_> {
    /// Notes the records that a key names and that the record does not already name to its caller.
    pub(super) fn note_links(&mut self, key: &PlannedKey, change: &Change<'_>) {
        let Claim::Field(index) = key.claim else { return };
        let field = self.question.record_type.fields.get(index);
        let Some((field, type_name)) = field.and_then(|field| Some((field, field.names_records_of()?)))
        else {
            return;
        };
        let known = self.known_ids(field, index, change);
        let action = if self.relates(&key.path) { LinkAction::Relate } else { LinkAction::View };
        let mut noted = HashSet::new();
        for id in self.written_ids(key, change) {
            let is_new = id.as_ref().is_none_or(|id| !known.contains(id));
            // Of ids no more are noted than any limit lets through; what is no id always is.
            let has_room = id.is_none() || noted.len() < NOTED_MAX;
            if is_new && has_room && noted.insert(id.clone()) {
                let link = Link { type_name: type_name.to_owned(), id, key: Some(key.wire()), action };
                self.verdict.links.push(link);
            }
        }
    }

    /// What a change names at a key; `None` for what is no id.
    fn written_ids(&self, key: &PlannedKey, change: &Change<'_>) -> Vec<Option<String>> {
        match change.written.and_then(|written| walk(written, &key.path)) {
            Some(written) => {
                items(written).into_iter().filter(|value| !names_nothing(*value)).map(canonical_id).collect()
            }
            // A request that names the record that it makes by this key writes it.
            None => {
                let mapped = self.question.mapped;
                let is_asked = mapped.alternate_key.is_some_and(|asked| *asked == key.path);
                mapped.ids.first().filter(|_| is_asked).cloned().map(Some).into_iter().collect()
            }
        }
    }

    /// The ids that a field holds, as far as its caller sees them: for all others "you did not change that" would be an answer
    /// to a guess.
    fn known_ids(&self, field: &FieldSpec, index: usize, change: &Change<'_>) -> HashSet<String> {
        let Some(held) = change.held else { return HashSet::new() };
        match held.visibility(Meaning::Field(index), &field.at) {
            Visibility::Shown => walk(held.record, &field.at)
                .map(items)
                .unwrap_or_default()
                .into_iter()
                .filter_map(canonical_id)
                .collect(),
            Visibility::Masked | Visibility::Hidden => HashSet::new(),
        }
    }

    /// Whether a request asks for `relate` where it writes a key.
    fn relates(&self, key: &[String]) -> bool {
        let mapped = self.question.mapped;
        let is_covered = mapped.covers.iter().any(|covered| key.starts_with(covered));
        let prefix = mapped.route.writes.as_ref().map_or(0, |writes| writes.at.segments().len());
        let is_at_key = |segments: &[Segment]| {
            let inner = segments.get(prefix..).unwrap_or_default();
            let mut pairs = inner.iter().zip(key);
            pairs.all(|(segment, key)| matches!(segment, Segment::Key(name) if name == key))
        };
        let is_called_for =
            mapped.also.iter().any(|also| also.action == Action::Relate && is_at_key(also.at.segments()));
        (mapped.action == Some(Action::Relate) && is_covered) || is_called_for
    }
}

fn access(action: &'static str, facts: &RecordFacts, decision: Decision) -> AccessDecision {
    let (type_name, ids) = (facts.type_name.clone(), vec![facts.id.clone()]);
    AccessDecision { action, type_name, ids, field: None, decision }
}

/// The values of a list, or the one value.
fn items(value: Value<'_>) -> Vec<Value<'_>> {
    if value.kind() == Kind::Array { value.items().collect() } else { vec![value] }
}

/// Whether a value says that there is no other record.
fn names_nothing(value: Value<'_>) -> bool {
    value.is_null() || value.is("\"\"") || value.is("false")
}

/// One more than `limits.fetches` can be.
const NOTED_MAX: usize = 10_001;
