//! Judges the fields of a change (PDP): each key of the body is written, sent back as it was shown, or refused.

use super::evaluate::Circumstances;
use super::held::Echo;
use super::keys::{Claim, PlannedKey};
use super::write::{Change, Judge};
use crate::bundle::profile::route::WriteSemantics;
use crate::json::path::Segment;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::pipeline::hydrate::extract::walk;

impl Judge<'_, '_> {
    /// Judges every key but those that move the stage, which are judged as a move.
    pub(super) fn fields(&mut self, change: &Change<'_>) -> Result<(), Problem> {
        let overwritten = change.merged.iter().flat_map(|merged| &merged.overwritten);
        let mut refused: Vec<String> = overwritten.map(|path| path.join(".")).collect();
        for key in &change.plan.keys {
            let name = key.field_name(self.question.record_type);
            if self.places().is_stage_key(key) {
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
        let compared = change.held.zip(change.written);
        let echo = compared.map_or(Echo::No, |(held, written)| held.echo(key, written));
        if matches!(key.claim, Claim::Field(_)) {
            self.verdict.asked.insert(name.to_owned());
            // A mask that comes back must not overwrite what it stands for, even by somebody who may write the field.
            if echo != Echo::Mask && self.may_write(name, change) {
                self.note_links(key, change);
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

    /// What a request erases by leaving it out, it writes: all of a full replacement, and what the CRM clears.
    fn erased(&mut self, change: &Change<'_>, is_erasable: &dyn Fn(&[String]) -> bool) -> Vec<String> {
        let mut refused = Vec::new();
        let record_type = self.question.record_type;
        let version = self.version_key();
        for (index, field) in record_type.fields.iter().enumerate() {
            let is_stated = change.plan.keys.iter().any(|key| key.claim == Claim::Field(index));
            let holds = change.held.and_then(|held| walk(held.record, &field.at));
            // Whether a field that is hidden holds anything, or one with records inside any of those, is not to be told.
            let is_told = field.embeds.is_none() && change.held.is_none_or(|held| held.tells_of(index));
            let holds_nothing = is_told && holds.is_none_or(|value| value.is_null());
            let is_version = version.as_ref() == Some(&field.at);
            let is_kept = self.is_ignored(&field.at) || self.keeps_hidden(change, index);
            if is_stated || is_version || is_kept || holds_nothing || !is_erasable(&field.at) {
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
            let Some(value) = held.record.member(key).filter(|_| !is_stated) else { continue };
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
        let inside = change.plan.inside_composites(self.unclaimed_left_out(change));
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
        let held = change.held.zip(tree);
        let mut paths = held.map(|(held, tree)| change.plan.left_out(held.record, tree)).unwrap_or_default();
        let version = self.version_key().map(|key| key.join("."));
        // They are hidden together, and merged back together.
        let are_kept = self.keeps_hidden(change, self.question.record_type.fields.len());
        let is_ignored =
            |path: &String| path.split('.').next().is_some_and(|key| self.is_ignored(&[key.to_owned()]));
        paths.retain(|path| version.as_ref() != Some(path) && !are_kept && !is_ignored(path));
        paths
    }

    fn may_write(&mut self, name: &str, change: &Change<'_>) -> bool {
        let circumstances = Circumstances { field: Some(name.to_owned()), ..change.circumstances.clone() };
        self.is_allowed("writeField", change, &circumstances) || is_seeded(Fault::HiddenIsWritten)
    }
}
