//! What `lockkeeper audit verify` tells people: what is there and as it was, apart from what is not there.

use super::render;
use super::verify::Found;
use crate::audit::signed::{Broken, Judged};
use crate::ledger::removal::{Removal, Removed};
use crate::ledger::tree::TreeHead;
use crate::ledger::verify::{Noted, Verified};

/// Prints what was found, but for what is broken.
pub(super) fn print(found: &Found) {
    let Found { verified, heads, judged, missing } = found;
    let Verified { head, segments, bytes, open, life, removed, remaining, unfinished_bytes, noted, .. } =
        verified;
    let segments = render::count(*segments, "segment");
    render::line("integrity: is what is there what was written?");
    let gone = removed.as_ref().map_or(0, |removed| removed.removal.last);
    let entries = head.size - gone;
    render::line(format!("  every checksum holds: {entries} entries, {segments}, {bytes} bytes"));
    for (head, _) in heads.iter().zip(noted).filter(|(_, noted)| **noted == Noted::Kept) {
        render::line(format!("  still begins with the {} entries of the noted head", head.size));
    }
    match judged {
        Some(judged) => signed(judged),
        None => render::line("  no key was given: nothing that is signed was looked at"),
    }
    render::line("completeness: is something not there?");
    if let Some(Removed { seq, t, removal, .. }) = removed {
        let Removal { last, until, keep_days, .. } = removal;
        render::line(format!(
            "  removed after {keep_days} days, as entry {seq} of {t} says: the entries 1 to {last}, until {until}; their hashes are kept"
        ));
        let signed = judged.as_ref().and_then(|judged| judged.newest).map_or(0, |head| head.size);
        if signed < *seq {
            render::line("  no checkpoint that was given stands for that entry");
        }
    }
    if *remaining > 0 {
        let segments = render::count(*remaining, "segment");
        render::line(format!("  still there although an entry says that it was removed: {segments}"));
    }
    render::line(format!("  decisions without outcome: {open}"));
    render::line(format!("  gaps: {}, in which {} entries were not recorded", life.gaps, life.refused));
    if life.passed > 0 {
        render::line(format!(
            "  passed unrecorded in them, on routes that are marked so: {} requests",
            life.passed
        ));
    }
    if life.lost > 0 {
        render::line(format!(
            "  acknowledged once they were written, and lost before their sync: {}",
            life.lost
        ));
    }
    if *unfinished_bytes > 0 {
        render::line(format!(
            "  unfinished: {unfinished_bytes} bytes at the end are no whole line: a commit that is under way or was interrupted, or damage"
        ));
    }
    match missing.as_slice() {
        [] => render::line("  every bundle and directory that decided is kept"),
        missing => render::line(format!(
            "  {} decided and are not kept: {}",
            render::count_of(missing.len(), "revision", "revisions"),
            missing.join(", ")
        )),
    }
    if let Some(judged) = judged {
        render::line(format!(
            "  entries after the newest checkpoint, which nobody signed for: {}",
            unsigned(verified, judged)
        ));
    }
    render::line(format!("head {head}"));
}

fn signed(judged: &Judged) {
    match judged.newest {
        Some(newest) => {
            let hold = render::count_of(judged.hold, "checkpoint stands for", "checkpoints stand for");
            render::line(format!("  begins with what {hold}, the newest for {} entries", newest.size));
        }
        None => render::line("  no checkpoint vouches for it"),
    }
    for key in &judged.keys {
        render::line(format!("  key {key}"));
    }
}

/// How many entries are younger than the newest checkpoint.
pub(super) fn unsigned(verified: &Verified, judged: &Judged) -> u64 {
    verified.head.size - judged.newest.map_or(0, |head| head.size)
}

/// What is wrong with what was noted and signed.
pub(super) fn broken(found: &Found) -> Vec<String> {
    let (verified, size) = (&found.verified, found.verified.head.size);
    let noted = found.heads.iter().zip(&verified.noted);
    let mut texts: Vec<String> = noted.filter_map(|(head, noted)| broken_head(head, *noted, size)).collect();
    if let Some(first) = &verified.tiles.first {
        let tiles = render::count_of(verified.tiles.count, "tile is", "tiles are");
        texts.push(format!(
            "{tiles} not what the entries make, the first is `{}`: remove them, and a service that signs makes them anew",
            first.display()
        ));
    }
    let Some(judged) = &found.judged else { return texts };
    let shown = judged.broken.iter().take(BROKEN_SHOWN);
    texts.extend(shown.map(|(entries, broken)| {
        format!("the checkpoint for {entries} entries: {}", why(broken, *entries, size))
    }));
    if judged.broken.len() > BROKEN_SHOWN {
        texts.push(format!("{} checkpoints in all do not hold", judged.broken.len()));
    }
    if judged.newest.is_none() && judged.broken.is_empty() {
        texts.push(
            "a key was given, and there is no checkpoint: name those that were exported with --checkpoint"
                .to_owned(),
        );
    }
    texts
}

fn broken_head(head: &TreeHead, noted: Noted, found: u64) -> Option<String> {
    let size = head.size;
    match noted {
        Noted::Kept => None,
        Noted::Changed => Some(format!(
            "the first {size} entries are not those of the noted head: some were changed, added or removed"
        )),
        Noted::Cut => {
            Some(format!("the ledger has {found} entries and had {size}: those at its end are gone"))
        }
        Noted::Unknown => Some(format!("the noted head of {size} entries: {UNKNOWN}")),
    }
}

/// Why a checkpoint does not hold.
pub(super) fn why(broken: &Broken, size: u64, found: u64) -> String {
    match broken {
        Broken::Changed => {
            format!(
                "the first {size} entries are not those that were signed for: some were changed, added or removed"
            )
        }
        Broken::Cut => format!("the ledger has {found} entries and had {size}: those at its end are gone"),
        Broken::Unknown => UNKNOWN.to_owned(),
        Broken::Untrusted(error) => error.to_string(),
    }
}

/// What became of what a head stands for, in a word.
pub(super) fn word(noted: Noted) -> &'static str {
    match noted {
        Noted::Kept => "kept",
        Noted::Changed => "changed",
        Noted::Cut => "cut",
        Noted::Unknown => "unknown",
    }
}

/// What is said of entries that were removed, with their hashes.
const UNKNOWN: &str =
    "these entries were removed, and the tiles with their hashes are missing or not what they were";

/// How many checkpoints that do not hold are told one by one.
const BROKEN_SHOWN: usize = 10;
