//! What is counted per second, so that a flood of anybody's requests stays small in the ledger, and per minute, while the ledger cannot
//! be written.

use serde::Serialize;

/// Requests refused before anyone was identified, in one second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// The second, RFC 3339 in UTC.
    pub second: String,
    /// How many, by reason and source.
    pub counts: Vec<RefusalCount>,
}

/// How many requests of one source were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalCount {
    /// The reason code.
    pub reason: String,
    /// The source's handle, never its address.
    pub source: String,
    /// How many.
    pub count: u64,
}

/// Requests on routes for which nobody is identified, in one second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passes {
    /// The second, RFC 3339 in UTC.
    pub second: String,
    /// How many, by route, source and status.
    pub counts: Vec<PassCount>,
}

/// How many requests of one source ended alike on one such route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassCount {
    /// The route's template.
    pub route: String,
    /// Why nobody is identified there, in the profile's words.
    pub why: String,
    /// The source's handle, never its address.
    pub source: String,
    /// The status that the caller got.
    pub status: u16,
    /// How many.
    pub count: u64,
}

/// Requests that passed in one minute while the ledger could not be written, on routes that are marked so. It is a `gap` entry in
/// which no entry is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unrecorded {
    pub(super) reason: &'static str,
    refused: u64,
    pub(super) minute: String,
    pub(super) passed: Vec<RouteCount>,
}

/// How many requests passed on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteCount {
    /// The route's label.
    pub route: String,
    /// How many.
    pub count: u64,
}

impl Unrecorded {
    /// What passed in a minute (RFC 3339 in UTC), and why the ledger could not be written.
    #[must_use]
    pub fn new(reason: &'static str, minute: &str, passed: Vec<RouteCount>) -> Self {
        Self { reason, refused: 0, minute: minute.to_owned(), passed }
    }

    /// The same with other counts.
    pub(super) fn with(&self, passed: Vec<RouteCount>) -> Self {
        Self { passed, ..self.clone() }
    }
}
