//! What the ledger is told of bundle, directory and keys: which serves now, whose it is, and what changed.

use std::sync::Arc;

use super::settle::Settled;
use crate::bundle::archive::manifest::UNSIGNED;
use crate::bundle::archive::provenance::{Pin, Provenance};
use crate::bundle::compile::Bundle;
use crate::ledger::entry::revision::{PolicyChanges, Revision, RevisionOf, RevisionResult};
use crate::pipeline::serving::Serving;

/// An entry on a revision that nobody vouches for.
pub fn revision(what: RevisionOf, hash: String, result: RevisionResult) -> Revision {
    Revision {
        what,
        hash,
        previous: None,
        result,
        problems: 0,
        author: UNSIGNED.to_owned(),
        approver: None,
        ticket: None,
        version: None,
        signers: Vec::new(),
        pinned: None,
        policies: None,
        part: None,
    }
}

/// Adds what a manifest says, if trusted keys vouch for it.
pub fn vouch(entry: &mut Revision, provenance: &Provenance) {
    if provenance.pin == Pin::Pinned {
        entry.pinned = Some(true);
    }
    let Some(manifest) = provenance.vouched() else { return };
    entry.author.clone_from(&manifest.author);
    entry.approver.clone_from(&manifest.approver);
    entry.ticket.clone_from(&manifest.ticket);
    entry.version = Some(manifest.version);
    entry.signers = provenance.signers.iter().map(ToString::to_string).collect();
}

/// The hash by which the ledger names a part of what serves.
pub fn revision_of(serving: &Serving, part: RevisionOf) -> &str {
    match part {
        RevisionOf::Bundle => &serving.snapshot.bundle.revision,
        RevisionOf::Directory => &serving.snapshot.directory.revision,
        RevisionOf::Keys => &serving.identity.revision,
    }
}

/// The entry on a part that is to serve, if it is another than the one that serves.
pub fn change(part: RevisionOf, before: &Serving, settled: &Settled) -> Option<Revision> {
    let (old, new) = (revision_of(before, part), settled.revision(part));
    let (old_bundle, new_bundle) = (&before.snapshot.bundle, &settled.bundle);
    // A bundle may be signed anew without changing.
    let has_new_papers = part == RevisionOf::Bundle
        && !Arc::ptr_eq(old_bundle, new_bundle)
        && old_bundle.provenance != new_bundle.provenance;
    if old == new && !has_new_papers {
        return None;
    }
    let mut entry = revision(part, new.to_owned(), RevisionResult::Active);
    entry.previous = Some(old.to_owned());
    if part == RevisionOf::Bundle {
        entry.policies = policy_changes(Some(old_bundle), new_bundle);
        vouch(&mut entry, &new_bundle.provenance);
    }
    Some(entry)
}

/// The ids of policies that differ between two bundles.
pub fn policy_changes(before: Option<&Bundle>, after: &Bundle) -> Option<PolicyChanges> {
    let none = std::collections::BTreeMap::new();
    let old = before.map_or(&none, |bundle| &bundle.policies.texts);
    let new = &after.policies.texts;
    let changes = PolicyChanges {
        added: new.keys().filter(|id| !old.contains_key(*id)).cloned().collect(),
        removed: old.keys().filter(|id| !new.contains_key(*id)).cloned().collect(),
        changed: new
            .iter()
            .filter(|(id, text)| old.get(*id).is_some_and(|o| o != *text))
            .map(|(id, _)| id.clone())
            .collect(),
    };
    Some(changes).filter(|changes| *changes != PolicyChanges::default())
}

/// The parts, in the order in which they are recorded.
pub const PARTS: [RevisionOf; 3] = [RevisionOf::Bundle, RevisionOf::Directory, RevisionOf::Keys];
