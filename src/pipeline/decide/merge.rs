//! Merges back what a caller cannot see into a full replacement (PDP), so that it erases nothing that it does not name.
//!
//! Promises: what is merged back is the exact text of the before image; what stands in the body in the place of a hidden
//! value, as the caller was shown it, is taken for that value; whether anything was merged, and what, shows in no answer. A
//! body is never merged without a version of the record, else others' changes would be undone.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::gate::{RecordVerdict, Visibility};
use super::held::Held;
use super::keys::PlannedKey;
use super::write::{Change, Judge};
use crate::bundle::profile::route::{HiddenValues, Writes};
use crate::bundle::profile::tree::{FieldTree, Meaning};
use crate::bundle::profile::types::{FieldSpec, Hide, KeyPath, RecordType};
use crate::json::parse::JsonLimits;
use crate::json::same::same_value;
use crate::json::value::{Document, Kind, Value};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::hydrate::extract::walk;

/// A body with what its caller cannot see.
#[derive(Debug)]
pub struct Merged {
    /// The object of fields that is written; `None` where it is the body's own.
    pub document: Option<Document>,
    /// Keys of the body that say what the caller was shown in the place of a hidden value.
    pub stand_ins: BTreeSet<KeyPath>,
    /// Composites that the body would overwrite as a whole, with parts that the caller cannot see.
    pub overwritten: Vec<KeyPath>,
}

/// What is known when a body is merged.
#[derive(Clone, Copy)]
pub struct Merging<'m> {
    /// The type of the record.
    pub record_type: &'m RecordType,
    /// Its fields.
    pub tree: &'m FieldTree,
    /// What the caller sees of it.
    pub seen: &'m RecordVerdict,
    /// Keys that the CRM takes no notice of.
    pub ignored: &'m [String],
}

impl Merging<'_> {
    /// Whether something that the caller cannot see cannot be merged back: records inside of a field, or a field whose hiding
    /// takes more along than itself. Found from the verdict alone, never from the values.
    pub fn is_impossible(&self) -> bool {
        let mut fields = self.record_type.fields.iter().enumerate();
        fields.any(|(index, field)| {
            let is_ignored = field.at.first().is_some_and(|key| self.ignored.contains(key));
            let is_unfit = field.embeds.is_some() || matches!(field.hide, Hide::Refuse | Hide::Branch);
            self.is_hidden(index) && is_unfit && !is_ignored
        })
    }

    /// The body over what the record holds and its caller cannot see.
    pub fn merge(&self, before: Value<'_>, body: Value<'_>) -> Result<Merged, Reason> {
        let mut merger = Merger {
            merging: *self,
            path: Vec::new(),
            is_changed: false,
            stand_ins: BTreeSet::new(),
            overwritten: Vec::new(),
        };
        let text = merger.object(Some(before), Some(body), self.tree)?.unwrap_or_else(|| "{}".to_owned());
        let document = if merger.is_changed { Some(parse(text)?) } else { None };
        Ok(Merged { document, stand_ins: merger.stand_ins, overwritten: merger.overwritten })
    }

    fn is_hidden(&self, index: usize) -> bool {
        self.seen.field(index) != Visibility::Shown
    }

    /// The place of the field that a twin follows; of anything else its own.
    fn followed<'p>(&'p self, path: &'p [String]) -> &'p [String] {
        let field = match self.tree.meaning_of(path) {
            Meaning::Field(index) => self.record_type.fields.get(index),
            Meaning::Container(_) | Meaning::Meta | Meaning::LookAlike | Meaning::Unknown => None,
        };
        field.map_or(path, |field| if path.starts_with(&field.at) { path } else { &field.at })
    }

    /// The part of a path that leads through composites to a field, or to what no field claims.
    fn claimed<'p>(&self, path: &'p [String]) -> &'p [String] {
        let prefixes = (1..=path.len()).filter_map(|length| path.get(..length));
        let mut ends = prefixes.filter(|part| !matches!(self.tree.meaning_of(part), Meaning::Container(_)));
        ends.next().unwrap_or(path)
    }

    fn is_unseen(&self, claimed: &[String]) -> bool {
        match self.tree.meaning_of(claimed) {
            Meaning::Field(index) => self.is_hidden(index),
            Meaning::Unknown => self.seen.unclassified() != Visibility::Shown,
            Meaning::LookAlike => true,
            Meaning::Container(_) | Meaning::Meta => false,
        }
    }

    /// Whether two composites differ in more than what the CRM derives. One that is not there has no members: whether one is left
    /// of hidden members alone is nobody's business.
    fn differ_inside(&self, tree: &FieldTree, now: Option<Value<'_>>, then: Option<Value<'_>>) -> bool {
        let is_composite = |value: Option<Value<'_>>| {
            value.is_none_or(|value| matches!(value.kind(), Kind::Object | Kind::Null))
        };
        if !is_composite(now) || !is_composite(then) {
            return differ(now, then);
        }
        let keys = [now, then].into_iter().flatten().flat_map(|value| value.members());
        let keys: BTreeSet<String> = keys.map(|member| member.key().into_owned()).collect();
        keys.iter().any(|key| {
            let (now, then) = (member(now, key), member(then, key));
            match tree.meaning(key) {
                Meaning::Container(inner) => self.differ_inside(inner, now, then),
                Meaning::Field(index) if self.is_twin(index, key) => false,
                Meaning::Field(_) | Meaning::Meta | Meaning::LookAlike | Meaning::Unknown => {
                    differ(now, then)
                }
            }
        })
    }

    /// Whether a key of a field's level is a twin of it.
    fn is_twin(&self, index: usize, key: &String) -> bool {
        self.record_type.fields.get(index).is_some_and(|field| field.at.last() != Some(key))
    }

    fn hides_inside(&self, tree: &FieldTree) -> bool {
        self.seen.unclassified() != Visibility::Shown
            || tree.fields().into_iter().any(|index| self.is_hidden(index))
    }

    /// Whether a value is what the caller was shown in the place of a hidden one.
    fn is_stand_in(&self, index: usize, field: &FieldSpec, value: Value<'_>, now: Option<Value<'_>>) -> bool {
        let held = now.map_or("null", |now| now.raw());
        let is_mask = || field.mask.as_ref().is_some_and(|mask| value.is(&mask.of(held)));
        let is_blank = || match &field.hide {
            Hide::Null => value.is_null(),
            Hide::Value(text) => value.is(text),
            Hide::Remove | Hide::Branch | Hide::Refuse => false,
        };
        match self.seen.field(index) {
            Visibility::Shown => false,
            Visibility::Masked => is_mask() || is_blank(),
            Visibility::Hidden => is_blank(),
        }
    }
}

struct Merger<'m> {
    merging: Merging<'m>,
    path: KeyPath,
    is_changed: bool,
    stand_ins: BTreeSet<KeyPath>,
    overwritten: Vec<KeyPath>,
}

impl Merger<'_> {
    /// One object of the body with what is hidden of the record's own; `None` if there is neither.
    fn object(
        &mut self,
        before: Option<Value<'_>>,
        body: Option<Value<'_>>,
        tree: &FieldTree,
    ) -> Result<Option<String>, Reason> {
        let mut members = Vec::new();
        for member in body.into_iter().flat_map(|body| body.members()) {
            let key = member.key().into_owned();
            let now = before.and_then(|before| before.member(&key));
            let text = self.at(key, |merger, key| merger.stated(key, member.value(), now, tree))?;
            members.extend(text.map(|text| format!("{}:{text}", member.raw_key())));
        }
        for member in before.into_iter().flat_map(|before| before.members()) {
            let key = member.key().into_owned();
            if body.is_some_and(|body| body.member(&key).is_some()) {
                continue;
            }
            let text = self.at(key, |merger, key| merger.left_out(key, member.value(), tree))?;
            self.is_changed |= text.is_some();
            members.extend(text.map(|text| format!("{}:{text}", member.raw_key())));
        }
        let is_there = body.is_some() || !members.is_empty();
        Ok(is_there.then(|| format!("{{{}}}", members.join(","))))
    }

    fn at<T>(&mut self, key: String, inside: impl FnOnce(&mut Self, &str) -> T) -> T {
        self.path.push(key.clone());
        let result = inside(self, &key);
        self.path.pop();
        result
    }

    fn is_ignored(&self) -> bool {
        matches!(self.path.as_slice(), [key] if self.merging.ignored.contains(key))
    }

    /// What is written of a key that the body states; `None` if it is cut away.
    fn stated(
        &mut self,
        key: &str,
        value: Value<'_>,
        now: Option<Value<'_>>,
        tree: &FieldTree,
    ) -> Result<Option<String>, Reason> {
        if self.is_ignored() {
            self.is_changed = true;
            return Ok(None);
        }
        match tree.meaning(key) {
            Meaning::Field(index) => {
                let field = self.merging.record_type.fields.get(index).ok_or(Reason::Internal)?;
                if !self.merging.is_stand_in(index, field, value, now) {
                    return Ok(Some(value.raw().to_owned()));
                }
                self.is_changed = true;
                self.stand_ins.insert(self.path.clone());
                // A twin follows its field, and is never written.
                Ok(now.filter(|_| field.at == self.path).map(|now| now.raw().to_owned()))
            }
            Meaning::Container(inner) => {
                let now = now.filter(|now| !now.is_null());
                if now.is_some_and(|now| now.kind() != Kind::Object) {
                    return Err(Reason::UpstreamShape);
                }
                if value.kind() == Kind::Object {
                    return self.object(now, Some(value), inner);
                }
                if self.merging.hides_inside(inner) {
                    self.overwritten.push(self.path.clone());
                }
                Ok(Some(value.raw().to_owned()))
            }
            Meaning::Meta | Meaning::LookAlike | Meaning::Unknown => Ok(Some(value.raw().to_owned())),
        }
    }

    /// What is written of a key that the record has and the body leaves out: what the caller cannot see.
    fn left_out(&mut self, key: &str, now: Value<'_>, tree: &FieldTree) -> Result<Option<String>, Reason> {
        if self.is_ignored() {
            return Ok(None);
        }
        let merging = self.merging;
        let is_kept = match tree.meaning(key) {
            Meaning::Field(index) => {
                let field = merging.record_type.fields.get(index).ok_or(Reason::Internal)?;
                merging.is_hidden(index) && field.at == self.path
            }
            Meaning::Container(inner) if now.kind() == Kind::Object => {
                return self.object(Some(now), None, inner);
            }
            // Nobody sees what stands in a composite's place.
            Meaning::Container(_) => !now.is_null(),
            // Nobody sees it.
            Meaning::LookAlike => true,
            Meaning::Unknown => merging.seen.unclassified() != Visibility::Shown,
            Meaning::Meta => false,
        };
        Ok(is_kept.then(|| now.raw().to_owned()))
    }
}

impl Merged {
    /// Whether a key of the body is the record's own, as far as its caller is concerned: they were shown it so, or it is part
    /// of a composite and hidden.
    fn keeps(&self, key: &PlannedKey, merging: Merging<'_>) -> bool {
        let is_implied = key.node.is_none()
            && matches!(merging.tree.meaning_of(&key.path), Meaning::Field(index) if merging.is_hidden(index));
        is_implied || self.stand_ins.contains(&key.path)
    }

    /// Whether the merged fields hold something else than the record does at a path that the body leaves out or states as it was
    /// shown. `null`, nothing and a composite of nothing are the same; what the CRM derives follows its field; what it takes no
    /// notice of never changes. What is hidden and stated anew always does, and what goes with a composite that has hidden parts.
    pub fn changes(
        &self,
        path: &[String],
        merging: Merging<'_>,
        record: Value<'_>,
        body: Option<Value<'_>>,
    ) -> bool {
        if path.first().is_some_and(|key| merging.ignored.contains(key)) {
            return false;
        }
        if self.overwritten.iter().any(|composite| path.starts_with(composite)) {
            return true;
        }
        let path = merging.followed(path);
        let claimed = merging.claimed(path);
        let is_stated = body.is_some_and(|body| walk(body, claimed).is_some());
        if is_stated && merging.is_unseen(claimed) && !self.stand_ins.contains(claimed) {
            return true;
        }
        let proposed = self.document.as_ref().map(Document::root).or(body);
        let (now, then) = (walk(record, path), proposed.and_then(|proposed| walk(proposed, path)));
        match merging.tree.meaning_of(path) {
            Meaning::Container(inner) => merging.differ_inside(inner, now, then),
            Meaning::Field(_) | Meaning::Meta | Meaning::LookAlike | Meaning::Unknown => differ(now, then),
        }
    }

    /// Takes what says nothing new out of the keys of a body, and hands it back.
    pub fn take_kept(&self, keys: &mut Vec<PlannedKey>, merging: Merging<'_>) -> Vec<PlannedKey> {
        let (kept, new) = std::mem::take(keys).into_iter().partition(|key| self.keeps(key, merging));
        *keys = new;
        kept
    }
}

impl<'a> Judge<'_, 'a> {
    /// What is known when a body is merged, on routes that keep hidden values.
    pub(super) fn merging<'c>(&self, held: Held<'c>) -> Option<Merging<'c>>
    where
        'a: 'c,
    {
        let question = self.question;
        let writes = question.mapped.route.writes.as_ref()?;
        let tree = question.snapshot.bundle.profile.tree(&question.record_type.name)?;
        let merging =
            Merging { record_type: question.record_type, tree, seen: held.seen, ignored: &writes.ignored };
        (writes.hidden == HiddenValues::Keep).then_some(merging)
    }

    /// The fields of a change, with what its caller cannot see.
    pub(super) fn merged(
        &self,
        held: Option<Held<'_>>,
        written: Option<Value<'_>>,
    ) -> Result<Option<Merged>, Problem> {
        let (Some(held), Some(written)) = (held, written) else { return Ok(None) };
        let Some(merging) = self.merging(held) else { return Ok(None) };
        if merging.is_impossible() {
            return Err(Reason::PutPartialView.into());
        }
        let merged = merging.merge(held.record, written);
        merged.map(Some).map_err(|reason| {
            Problem::new(reason)
                .internal("a composite of the before image is none, so nothing can be merged into it")
        })
    }

    /// Whether a change leaves a hidden field as it stands.
    pub(super) fn keeps_hidden(&self, change: &Change<'_>, index: usize) -> bool {
        let merging = change.held.filter(|_| change.merged.is_some()).and_then(|held| self.merging(held));
        merging.is_some_and(|merging| merging.is_hidden(index))
    }

    /// Whether the CRM takes no notice of a path.
    pub(super) fn is_ignored(&self, path: &[String]) -> bool {
        let writes: Option<&Writes> = self.question.mapped.route.writes.as_ref();
        writes.zip(path.first()).is_some_and(|(writes, key)| writes.ignored.contains(key))
    }
}

/// Whether two values differ, `null` and nothing being the same.
fn differ(now: Option<Value<'_>>, then: Option<Value<'_>>) -> bool {
    let is_there = |value: &Value<'_>| !value.is_null();
    match (now.filter(is_there), then.filter(is_there)) {
        (Some(now), Some(then)) => !same_value(now, then),
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    }
}

fn member<'v>(composite: Option<Value<'v>>, key: &str) -> Option<Value<'v>> {
    composite.and_then(|composite| composite.member(key))
}

fn parse(text: String) -> Result<Document, Reason> {
    let limits = JsonLimits { bytes_max: text.len(), depth_max: MERGED_DEPTH_MAX, nodes_max: text.len() };
    Document::parse(Bytes::from(text), &limits).map_err(|_| Reason::Internal)
}

/// Deeper than any body or image that was read.
const MERGED_DEPTH_MAX: usize = 1024;

#[cfg(test)]
mod tests;
