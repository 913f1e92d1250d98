//! Judges the fields of a change (PDP): each key of the body is written, sent back as it was shown, or refused.

use super::evaluate::Circumstances;
use super::gate::Visibility;
use super::held::Held;
use super::keys::{Claim, PlannedKey, unclaimed};
use super::write::{Change, Judge};
use crate::bundle::profile::route::WriteSemantics;
use crate::bundle::profile::tree::Meaning;
use crate::json::path::Segment;
use crate::json::same::same_value;
use crate::json::value::Value;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::hydrate::extract::walk;

impl Judge<'_, '_> {
    /// Judges every key but those that move the stage, which are judged as a move.
    pub(super) fn fields(&mut self, change: &Change<'_>) -> Result<(), Problem> {
        let mut refused = Vec::new();
        for key in &change.plan.keys {
            let name = self.name_of(key);
            if self.is_stage_key(key) {
                self.verdict.asked.insert(name.clone());
                // Of several records some may move, and one body is forwarded for all of them.
                let is_alone = self.question.mapped.ids.len() <= 1;
                // No move: sent on, it would move back what somebody else moves in the meantime.
                if change.held.is_some()
                    && is_alone
                    && self.verdict.stage.is_none()
                    && change.semantics == WriteSemantics::Merge
                {
                    self.verdict.unchanged.insert(name);
                    self.verdict.leave_out.extend(key.node);
                }
            } else if !self.is_settled(key, &name, change) {
                self.verdict.refused.insert(name);
                refused.push(key.wire());
            }
        }
        match change.semantics {
            WriteSemantics::Replace => {
                refused.extend(self.erased(change, &|_| true));
                let unclaimed = self.unclaimed_left_out(change);
                refused.extend(self.refuse_unclaimed(unclaimed, change));
            }
            WriteSemantics::Merge => {
                let cleared = if change.held.is_some() { self.erased_if_left_out() } else { Vec::new() };
                refused.extend(self.erased(change, &|at| cleared.iter().any(|key| at.starts_with(key))));
                refused.extend(self.erased_in_composites(change));
            }
        }
        refused.sort();
        refused.dedup();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(Problem::new(Reason::FieldsDenied).fields(refused)),
        }
    }

    /// Whether a key may be written, or says nothing new and can be left out.
    fn is_settled(&mut self, key: &PlannedKey, name: &str, change: &Change<'_>) -> bool {
        let echo = change.held.map_or(Echo::No, |held| self.echo(key, held));
        if matches!(key.claim, Claim::Field(_)) {
            self.verdict.asked.insert(name.to_owned());
            // A mask that comes back must not overwrite what it stands for, even by somebody who may write the field.
            if echo != Echo::Mask && self.may_write(name, change) {
                return true;
            }
        }
        let is_erased_without = self.is_cleared(key);
        // A mask can neither be sent on nor, where leaving out erases, be left out.
        if echo == Echo::No || (echo == Echo::Mask && is_erased_without) {
            return false;
        }
        self.verdict.unchanged.insert(name.to_owned());
        // What a full replacement leaves out it erases, so there it stays as it was sent.
        let may_be_left_out = change.semantics == WriteSemantics::Merge && !is_erased_without;
        self.verdict.leave_out.extend(key.node.filter(|_| may_be_left_out));
        true
    }

    /// Whether leaving a key out of a merge erases it.
    fn is_cleared(&self, key: &PlannedKey) -> bool {
        let writes = self.question.mapped.route.writes.as_ref();
        writes.is_some_and(|writes| writes.clears.iter().any(|cleared| key.path.starts_with(cleared)))
    }

    fn name_of(&self, key: &PlannedKey) -> String {
        match key.claim {
            Claim::Field(index) | Claim::Twin(index) | Claim::Nested(index) => {
                self.question.record_type.field_name(index)
            }
            Claim::Meta | Claim::Unknown => self.question.record_type.unclassified_name(),
        }
    }

    /// Whether a key sends back just what the caller was shown. A value that the caller cannot see is never compared, and
    /// neither are records inside a field, which may hold such values.
    fn echo(&self, key: &PlannedKey, held: Held<'_>) -> Echo {
        let meaning = match key.claim {
            Claim::Field(index) | Claim::Twin(index) => Meaning::Field(index),
            Claim::Meta => Meaning::Meta,
            Claim::Unknown => Meaning::Unknown,
            Claim::Nested(_) => return Echo::No,
        };
        let visibility = held.visibility(meaning, &key.path);
        let proposed = || self.written().and_then(|body| walk(body, &key.path));
        let is_echo = match visibility {
            // First what is held: of the keys that a body has, only those are looked for in it that the record has too.
            Visibility::Shown => walk(held.image.record(), &key.path)
                .is_some_and(|now| proposed().is_some_and(|proposed| same_value(now, proposed))),
            Visibility::Masked => proposed().is_some_and(|proposed| self.is_mask(key, proposed)),
            Visibility::Hidden => false,
        };
        match (is_echo, visibility) {
            (false, _) => Echo::No,
            (true, Visibility::Masked) => Echo::Mask,
            (true, Visibility::Shown | Visibility::Hidden) => Echo::Value,
        }
    }

    fn is_mask(&self, key: &PlannedKey, proposed: Value<'_>) -> bool {
        let (Claim::Field(index) | Claim::Twin(index)) = key.claim else { return false };
        let mask = self.question.record_type.fields.get(index).and_then(|field| field.mask.as_ref());
        let mask = mask.and_then(|mask| serde_json::from_str::<String>(mask).ok());
        mask.is_some() && mask.as_deref() == proposed.text().as_deref()
    }

    /// What a request erases by leaving it out, it writes: all of a full replacement, and what the CRM clears.
    fn erased(&mut self, change: &Change<'_>, is_erasable: &dyn Fn(&[String]) -> bool) -> Vec<String> {
        let mut refused = Vec::new();
        let record_type = self.question.record_type;
        for (index, field) in record_type.fields.iter().enumerate() {
            let is_stated = change.plan.keys.iter().any(|key| key.claim == Claim::Field(index));
            let holds = change.held.and_then(|held| walk(held.image.record(), &field.at));
            // Whether a field with records inside holds any may itself be hidden.
            let holds_nothing = holds.is_none_or(|value| value.is_null()) && field.embeds.is_none();
            if is_stated || holds_nothing || !is_erasable(&field.at) {
                continue;
            }
            let name = record_type.field_name(index);
            self.verdict.asked.insert(name.clone());
            if !self.may_write(&name, change) {
                self.verdict.refused.insert(name);
                refused.push(field.at.join("."));
            }
        }
        refused
    }

    /// Adds to a merge what the CRM would erase, as it stands.
    pub(super) fn send_along(&mut self, change: &Change<'_>) {
        let writes = self.question.mapped.route.writes.as_ref();
        let (Some(writes), Some(held)) = (writes, change.held) else { return };
        for (key, place) in &writes.resend {
            let is_stated = change.plan.keys.iter().any(|planned| planned.path.first() == Some(key));
            let Some(value) = held.image.record().member(key).filter(|_| !is_stated) else { continue };
            let values: Vec<&str> = place.find(value).iter().map(|value| value.raw()).collect();
            let text = match (place.segments().contains(&Segment::EachItem), values.as_slice()) {
                // An empty list is not erased by leaving it out.
                (_, []) => continue,
                (true, values) => format!("[{}]", values.join(",")),
                (false, values) => values.concat(),
            };
            self.verdict.send_along.push((key.clone(), text));
        }
    }

    /// A composite value may replace the whole composite, and with it keys inside that no field claims.
    fn erased_in_composites(&mut self, change: &Change<'_>) -> Vec<String> {
        let is_sent = |composite: &str| {
            change
                .plan
                .keys
                .iter()
                .any(|key| matches!(key.path.as_slice(), [first, _, ..] if first == composite))
        };
        let unclaimed = self.unclaimed_left_out(change);
        let inside = unclaimed
            .into_iter()
            .filter(|path| path.split_once('.').is_some_and(|(first, _)| is_sent(first)));
        let inside = inside.collect();
        self.refuse_unclaimed(inside, change)
    }

    fn refuse_unclaimed(&mut self, unclaimed: Vec<String>, change: &Change<'_>) -> Vec<String> {
        let name = self.question.record_type.unclassified_name();
        if unclaimed.is_empty() || self.may_write(&name, change) {
            return Vec::new();
        }
        self.verdict.refused.insert(name);
        // Their names may not be known to the caller; the composite's is.
        unclaimed.iter().map(|path| path.split('.').next().unwrap_or_default().to_owned()).collect()
    }

    /// Keys that the record has, that no field claims, and that the body leaves out.
    fn unclaimed_left_out(&self, change: &Change<'_>) -> Vec<String> {
        let tree = self.question.snapshot.bundle.profile.tree(&self.question.record_type.name);
        let held = change.held.zip(tree).map(|(held, tree)| unclaimed(held.image.record(), tree));
        let is_stated = |path: &Vec<String>| change.plan.keys.iter().any(|key| key.path == *path);
        held.into_iter().flatten().filter(|path| !is_stated(path)).map(|path| path.join(".")).collect()
    }

    fn may_write(&mut self, name: &str, change: &Change<'_>) -> bool {
        let circumstances = Circumstances { field: Some(name.to_owned()), ..change.circumstances.clone() };
        self.is_allowed("writeField", change, &circumstances)
    }
}

/// What a key sends back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echo {
    /// Something new.
    No,
    /// The value as it stands.
    Value,
    /// The mask in place of the value.
    Mask,
}
