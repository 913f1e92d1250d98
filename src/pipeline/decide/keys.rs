//! The keys of a write body, each with the field that it writes; what no field claims is unknown.
//!
//! Promises: every key of the body is accounted for, also outside of the part that holds the fields.

use std::collections::BTreeSet;

use crate::bundle::profile::Profile;
use crate::bundle::profile::route::{When, Writes};
use crate::bundle::profile::source::{StageSource, ValueSource};
use crate::bundle::profile::tree::{FieldTree, Meaning};
use crate::bundle::profile::types::RecordType;
use crate::json::path::{JsonPath, Segment};
use crate::json::value::{Kind, Member, NodeId, Value};
use crate::model::access::Action;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::hydrate::extract::canonical_id;
use crate::pipeline::map::Mapped;

/// One key of a write body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedKey {
    /// The path of keys from the object that holds the fields.
    pub path: Vec<String>,
    /// What the key means.
    pub claim: Claim,
    /// The value's place in the body; `None` for fields that a composite value implies.
    pub node: Option<NodeId>,
}

/// What a key of a write body means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It writes this field.
    Field(usize),
    /// It is a form of this field that the CRM derives.
    Twin(usize),
    /// It would write other records through this field.
    Nested(usize),
    /// It says what the record is.
    Meta,
    /// No field claims it, and the CRM may take it for a key that has a meaning.
    LookAlike,
    /// No field claims it.
    Unknown,
}

/// What a body writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPlan {
    /// Every key of the part that holds the fields.
    pub keys: Vec<PlannedKey>,
    /// The record's id, if the body states it.
    pub stated_id: Option<String>,
    /// Values of which the CRM takes no notice.
    pub ignored: Vec<NodeId>,
    /// Keys that stand for hidden values as they are.
    pub kept: Vec<PlannedKey>,
}

impl PlannedKey {
    /// The full name of the field that it writes, as policies and the ledger know it.
    pub fn field_name(&self, record_type: &RecordType) -> String {
        match self.claim {
            Claim::Field(index) | Claim::Twin(index) | Claim::Nested(index) => record_type.field_name(index),
            Claim::Meta | Claim::LookAlike | Claim::Unknown => record_type.unclassified_name(),
        }
    }

    /// The path as callers know it.
    pub fn wire(&self) -> String {
        self.path.join(".")
    }
}

impl KeyPlan {
    /// Reads the body of a request.
    pub fn read(
        mapped: &Mapped<'_>,
        writes: Option<&Writes>,
        record_type: &RecordType,
        profile: &Profile,
    ) -> Result<Self, Problem> {
        let mut plan = KeyPlan::default();
        let Some(body) = mapped.document() else { return Ok(plan) };
        let declared = declared_paths(mapped, writes);
        check_outside(body.root(), &declared.iter().map(|path| path.segments()).collect::<Vec<_>>())?;
        let Some(writes) = writes else { return Ok(plan) };
        let Some(object) = writes.at.first(body.root()) else { return Err(Reason::BodyShape.into()) };
        if object.kind() != Kind::Object {
            return Err(Reason::BodyShape.into());
        }
        let is_ignored = |member: &Member<'_>| writes.ignored.iter().any(|key| *key == member.key());
        plan.ignored = object.members().filter(is_ignored).map(|member| member.value().node()).collect();
        let consumed: Vec<NodeId> = mapped
            .also
            .iter()
            .filter(|also| matches!(also.when, When::Is(_)))
            .map(|also| &also.at)
            // What carries the version is written by the proxy alone.
            .chain(mapped.route.version.in_body())
            .filter_map(|at| at.first(body.root()).map(|value| value.node()))
            .chain(plan.ignored.iter().copied())
            .collect();
        plan.add_all(object, record_type, profile, &consumed);
        Ok(plan)
    }

    /// Reads an object that holds fields and nothing else.
    pub fn of_object(object: Value<'_>, record_type: &RecordType, profile: &Profile) -> Self {
        let mut plan = KeyPlan::default();
        plan.add_all(object, record_type, profile, &[]);
        plan
    }

    /// Keys that a record has, that no field claims, and that the body leaves out.
    pub fn left_out(&self, record: Value<'_>, tree: &FieldTree) -> Vec<String> {
        let stated: BTreeSet<&[String]> = self.keys.iter().map(|key| key.path.as_slice()).collect();
        let left_out = unclaimed(record, tree).into_iter().filter(|path| !stated.contains(path.as_slice()));
        left_out.map(|path| path.join(".")).collect()
    }

    /// Of paths, those inside a composite of which the body states another part.
    pub fn inside_composites(&self, paths: Vec<String>) -> Vec<String> {
        let is_sent = |composite: &str| {
            self.keys.iter().any(|key| matches!(key.path.as_slice(), [first, _, ..] if first == composite))
        };
        let is_inside = |path: &String| path.split_once('.').is_some_and(|(first, _)| is_sent(first));
        paths.into_iter().filter(is_inside).collect()
    }

    fn add_all(
        &mut self,
        object: Value<'_>,
        record_type: &RecordType,
        profile: &Profile,
        consumed: &[NodeId],
    ) {
        if let Some(tree) = profile.tree(&record_type.name) {
            self.level(object, &mut Vec::new(), tree, record_type, consumed);
        }
    }

    fn level(
        &mut self,
        object: Value<'_>,
        prefix: &mut Vec<String>,
        tree: &FieldTree,
        record_type: &RecordType,
        consumed: &[NodeId],
    ) {
        for member in object.members() {
            let (key, value) = (member.key(), member.value());
            if consumed.contains(&value.node()) {
                continue;
            }
            prefix.push(key.clone().into_owned());
            match tree.meaning(&key) {
                Meaning::Container(inner) if value.kind() == Kind::Object => {
                    self.imply(inner, value, prefix, record_type);
                    self.level(value, prefix, inner, record_type, consumed);
                }
                Meaning::Container(_) | Meaning::Unknown => self.add(prefix, Claim::Unknown, value),
                Meaning::LookAlike => self.add(prefix, Claim::LookAlike, value),
                Meaning::Field(index) => self.add(prefix, claim(index, prefix, value, record_type), value),
                Meaning::Meta if *prefix == record_type.id => match canonical_id(value) {
                    Some(id) => self.stated_id = Some(id),
                    None => self.add(prefix, Claim::Unknown, value),
                },
                Meaning::Meta => self.add(prefix, Claim::Meta, value),
            }
            prefix.pop();
        }
    }

    fn add(&mut self, path: &[String], claim: Claim, value: Value<'_>) {
        self.keys.push(PlannedKey { path: path.to_vec(), claim, node: Some(value.node()) });
    }

    /// A composite value may replace the whole composite, so its other parts count as written too.
    fn imply(&mut self, tree: &FieldTree, value: Value<'_>, path: &[String], record_type: &RecordType) {
        for (index, field) in record_type.fields.iter().enumerate() {
            let Some(inner) = field.at.strip_prefix(path) else { continue };
            let is_claimed = matches!(tree.meaning_of(inner), Meaning::Field(found) if found == index);
            let is_stated = inner.first().is_some_and(|key| value.member(key).is_some());
            if is_claimed && !is_stated {
                self.keys.push(PlannedKey { path: field.at.clone(), claim: Claim::Field(index), node: None });
            }
        }
    }
}

fn claim(index: usize, path: &[String], value: Value<'_>, record_type: &RecordType) -> Claim {
    let Some(field) = record_type.fields.get(index) else { return Claim::Unknown };
    if field.at != path {
        return Claim::Twin(index);
    }
    let nests_records = field.embeds.is_some() && !is_reference(value);
    if nests_records { Claim::Nested(index) } else { Claim::Field(index) }
}

/// Whether a value only names other records: by a bare id, or by a list of them.
fn is_reference(value: Value<'_>) -> bool {
    let is_bare = |value: Value<'_>| !matches!(value.kind(), Kind::Object | Kind::Array);
    is_bare(value) || (value.kind() == Kind::Array && value.items().all(is_bare))
}

/// The paths of a record's keys that no field claims and that hold something.
fn unclaimed(record: Value<'_>, tree: &FieldTree) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for member in record.members().filter(|member| !member.value().is_null()) {
        let key = member.key().into_owned();
        match tree.meaning(&key) {
            Meaning::LookAlike | Meaning::Unknown => found.push(vec![key]),
            Meaning::Container(inner) => {
                let below = unclaimed(member.value(), inner).into_iter();
                found.extend(below.map(|path| std::iter::once(key.clone()).chain(path).collect()));
            }
            Meaning::Meta | Meaning::Field(_) => {}
        }
    }
    found
}

fn declared_paths<'m>(mapped: &'m Mapped<'_>, writes: Option<&'m Writes>) -> Vec<&'m JsonPath> {
    let mut paths: Vec<&JsonPath> = writes.iter().map(|writes| &writes.at).collect();
    if let (Some(StageSource::Body(path)), Some(Action::MoveStage)) = (&mapped.route.to, mapped.action) {
        paths.push(path);
    }
    let named = mapped.route.id.iter().map(|id| &id.source);
    for source in named.chain(mapped.route.links.iter().map(|link| &link.id)) {
        if let ValueSource::Body(path) = source {
            paths.push(path);
        }
    }
    paths.extend(mapped.also.iter().map(|also| &also.at));
    paths.extend(mapped.route.version.in_body());
    paths
}

/// Every member of the body must lie on a declared path: what nobody judges must not be forwarded.
fn check_outside(value: Value<'_>, paths: &[&[Segment]]) -> Result<(), Problem> {
    if paths.iter().any(|path| path.is_empty()) {
        return Ok(());
    }
    // An empty object or list on nobody's path says something too.
    let check_inside = |value: Value<'_>, inner: &[&[Segment]]| match inner.is_empty() {
        true => Err(Reason::BodyShape.into()),
        false => check_outside(value, inner),
    };
    let step = |matches: &dyn Fn(&Segment) -> bool| -> Vec<&[Segment]> {
        let heads = paths.iter().filter_map(|path| path.split_first());
        heads.filter(|(head, _)| matches(head)).map(|(_, rest)| rest).collect()
    };
    match value.kind() {
        Kind::Object => value.members().try_for_each(|member| {
            let key = member.key();
            let inner = step(&|segment| match segment {
                Segment::Key(name) => *name == key,
                Segment::EachMember => true,
                Segment::Index(_) | Segment::EachItem => false,
            });
            check_inside(member.value(), &inner)
        }),
        Kind::Array => value.items().enumerate().try_for_each(|(position, item)| {
            let inner = step(&|segment| match segment {
                Segment::EachItem => true,
                Segment::Index(index) => *index == position,
                Segment::Key(_) | Segment::EachMember => false,
            });
            check_inside(item, &inner)
        }),
        Kind::Null | Kind::Bool | Kind::Number | Kind::String => Err(Reason::BodyShape.into()),
    }
}
