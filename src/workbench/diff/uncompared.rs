//! What two sides differ in beside conditions: told, since nobody looked what it changes for whom.

use std::collections::BTreeMap;

use super::Side;
use crate::bundle::profile::types::RecordType;

/// Every reason for which rights may differ although their conditions are the same.
pub fn reasons(old: &Side<'_>, new: &Side<'_>, has_nobody: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    if has_nobody {
        reasons.push("there is nobody to compare: no role, or nobody in the directories".to_owned());
    }
    if old.snapshot.directory.revision != new.snapshot.directory.revision {
        let why = "the directories differ: conditions that look at other people, at groups of records or at ids of the CRM may hold for other records now";
        reasons.push(why.to_owned());
    }
    let profile = changed_by_type(old, new);
    if !profile.is_empty() {
        reasons.push(format!("the profile reads or shows these otherwise: {}", profile.join(", ")));
    }
    let by_time = by_time(old, new);
    if !by_time.is_empty() {
        reasons.push(format!(
            "these policies look at the time, and rights are told as of one: {}",
            by_time.join(", ")
        ));
    }
    reasons
}

/// Attributes and fields that both profiles have and that stand elsewhere, convert otherwise, or are hidden, masked or copied otherwise.
fn changed_by_type(old: &Side<'_>, new: &Side<'_>) -> Vec<String> {
    let parts = |record_type: &RecordType| {
        let attributes = record_type.attributes.iter().map(|spec| {
            (
                format!("{}.{} (attribute)", record_type.name, spec.name),
                format!("{:?} {:?}", spec.at, spec.conversion),
            )
        });
        let fields = record_type.fields.iter().map(|field| {
            let shown = format!(
                "{:?} {:?} {:?} {:?} {:?}",
                field.at, field.twins, field.hide, field.mask, field.embeds
            );
            (format!("{}.{}", record_type.name, field.name), shown)
        });
        attributes.chain(fields).collect::<BTreeMap<String, String>>()
    };
    let all = |side: &Side<'_>| {
        side.snapshot.bundle.profile.types.iter().flat_map(parts).collect::<BTreeMap<String, String>>()
    };
    let (was, is) = (all(old), all(new));
    is.into_iter()
        .filter(|(name, now)| was.get(name).is_some_and(|then| then != now))
        .map(|(name, _)| name)
        .collect()
}

/// Policies that are new or edited and compare the time.
fn by_time(old: &Side<'_>, new: &Side<'_>) -> Vec<String> {
    let (was, is) = (&old.snapshot.bundle.policies.texts, &new.snapshot.bundle.policies.texts);
    let edited = is.iter().filter(|(id, text)| was.get(*id) != Some(*text));
    let gone = was.iter().filter(|(id, _)| !is.contains_key(*id));
    let reads_time = |text: &str| text.contains("context.now") || text.contains("context[\"now\"]");
    edited.chain(gone).filter(|(_, text)| reads_time(text)).map(|(id, _)| id.clone()).collect()
}
