//! Entries and lines for tests: a read of one deal, what came of it, and lines that somebody wrote anew.
//!
//! Promises: what [`sealed`] and [`rewritten`] make has a checksum that fits, as a forger's would. Never part of the program.

use std::collections::BTreeMap;

use super::entry::{Decision, Delivered, Effect, Entry, Mode, Outcome, Release};
use super::who::Who;

/// The principal of all decisions here.
pub const HANDLE: &str = "p_0f1e2d3c4b5a69788796a5b4";

/// A person, by handle.
#[must_use]
pub fn who(handle: &str) -> Who {
    Who {
        handle: handle.to_owned(),
        principal_type: "User".to_owned(),
        authn: "jwt".to_owned(),
        auth_level: None,
        on_behalf_of: None,
    }
}

/// A read that was allowed and names no record.
#[must_use]
pub fn decision(id: &str) -> Decision {
    Decision {
        id: id.to_owned(),
        who: Some(who(HANDLE)),
        method: "GET".to_owned(),
        route: Some("GET /deals/{id}".to_owned()),
        query: Vec::new(),
        effect: Effect::Allow,
        reason: None,
        access: Vec::new(),
        sets: Vec::new(),
        rows_hidden: Vec::new(),
        reasons: BTreeMap::new(),
        write: None,
        bundle: "b1".to_owned(),
        directory: "d1".to_owned(),
        mode: Mode::Enforce,
        part: None,
    }
}

/// The same as an entry.
#[must_use]
pub fn decided(id: &str) -> Entry {
    Entry::Decision(Box::new(decision(id)))
}

/// What came of a read that went well.
#[must_use]
pub fn outcome(of: &str) -> Entry {
    Entry::Outcome(Outcome {
        of: of.to_owned(),
        status: Some(200),
        upstream: Some(200),
        released: Release::Filtered,
        bytes: Some(42),
        delivered: Delivered::Yes,
        reason: None,
        mode: None,
        sets: Vec::new(),
        stage: None,
        part: None,
    })
}

/// A line, without line feed, of what stands before its checksum.
#[must_use]
pub fn sealed(covered: &str) -> String {
    format!("{covered},\"crc\":\"{:08x}\"}}", crc32c::crc32c(covered.as_bytes()))
}

/// A line with something else before its checksum.
#[must_use]
pub fn rewritten(line: &str, change: impl FnOnce(&str) -> String) -> String {
    let covered = line.rsplit_once(",\"crc\"").map_or(line, |(covered, _)| covered);
    sealed(&change(covered))
}

/// A whole segment, each line of it rewritten.
#[must_use]
pub fn rewritten_all(segment: &str, change: impl Fn(&str) -> String) -> String {
    segment.lines().map(|line| rewritten(line, &change) + "\n").collect()
}
