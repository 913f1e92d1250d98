//! Observing: what would end a request that is enforced is noted of one that is observed, and the request goes on.
//!
//! Promises: [`Observed`] is the proof that configuration and clock let one request go on undecided; nothing else makes
//! it, and no undecided request is forwarded and no unfiltered answer released without it. Framing, identity, sizes,
//! credentials and the ledger are not asked here: they hold for everybody.
//!
//! The proof cannot be forged:
//!
//! ```compile_fail,E0451
//! use lockkeeper::pipeline::observe::Observed;
//! fn forge(seen: lockkeeper::pipeline::observe::seen::Seen) -> Observed {
//!     Observed { group: String::new(), would: None, seen }
//! }
//! ```

pub mod names;
pub mod seen;
pub mod stage;

use std::sync::LazyLock;

use super::canonical::CanonicalHead;
use super::map::Mapped;
use super::map::query::MappedQuery;
use crate::bundle::profile::pages::Pages;
use crate::bundle::profile::route::body::BodySpec;
use crate::bundle::profile::route::version::Versioning;
use crate::bundle::profile::route::{HiddenRows, MissingRecord, Route, RouteLimits};
use crate::bundle::profile::shape::Shape;
use crate::bundle::profile::template::{Parameters, Template};
use crate::bundle::profile::transit::IdentityNeed;
use crate::config::service::observe::{ObserveGroup, Window};
use crate::config::service::route_pattern::Covered;
use crate::model::problem::Problem;
use crate::telemetry::clock::Clock;
use seen::Seen;

/// The groups of the configuration.
#[derive(Debug, Default)]
pub struct Observing {
    groups: Vec<ObserveGroup>,
}

/// Proof that one request is observed, and what is known of it. Only [`Observing::of`] makes it.
#[derive(Debug)]
pub struct Observed {
    group: String,
    would: Option<Problem>,
    /// Names that the profile does not have.
    pub seen: Seen,
}

impl Observing {
    /// The groups, unless one would observe for too long.
    pub fn new(groups: Vec<ObserveGroup>, now_ms: i64) -> Result<Self, String> {
        match groups.iter().find(|group| group.window(now_ms) == Window::TooFar) {
            Some(group) => Err(format!("`{}` would observe for more than 30 days", group.name)),
            None => Ok(Self { groups }),
        }
    }

    /// Whether a request is observed now. The first group that covers it decides, also one whose date has passed: so a
    /// part of the routes can be enforced earlier than the rest.
    pub fn of(&self, clock: &Clock, head: &CanonicalHead, route: Option<&Route>) -> Option<Observed> {
        if self.groups.is_empty() {
            return None;
        }
        let path = format!("/{}{}", head.segments.join("/"), if head.has_trailing_slash { "/" } else { "" });
        let covered = match route {
            Some(route) => Covered::Template(route.template.path_text()),
            None => Covered::Path(&path),
        };
        let group = self.groups.iter().find(|group| group.covers(head.method.as_str(), covered))?;
        let is_open = group.window(clock.now_ms()) == Window::Open;
        is_open.then(|| Observed { group: group.name.clone(), would: None, seen: Seen::new(&group.words) })
    }

    /// Each group with the seconds until it is enforced, 0 from then on.
    pub fn seconds_left(&self, now_ms: i64) -> Vec<(String, i64)> {
        let left = |group: &ObserveGroup| {
            // Rounded up: 0 means enforced.
            let left_ms = group.until_ms.saturating_sub(now_ms).max(0);
            (group.name.clone(), left_ms.saturating_add(999) / 1000)
        };
        self.groups.iter().map(left).collect()
    }

    /// The groups that observe at a moment.
    pub fn open(&self, now_ms: i64) -> impl Iterator<Item = &ObserveGroup> {
        self.groups.iter().filter(move |group| group.window(now_ms) == Window::Open)
    }
}

impl Observed {
    /// The group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Notes what would have ended the request; only the first would have come about.
    pub fn note(&mut self, problem: Option<Problem>) {
        self.would = self.would.take().or(problem);
    }

    /// What would have ended the request.
    pub fn would(&self) -> Option<&Problem> {
        self.would.as_ref()
    }
}

/// The one switch: the problem ends a request that is enforced; of an observed one it is noted, and something else
/// stands in for what could not be made.
pub fn instead<T>(
    observed: &mut Option<Observed>,
    result: Result<T, Problem>,
    otherwise: impl FnOnce(&Observed) -> T,
) -> Result<T, Problem> {
    match (result, observed) {
        (Err(problem), Some(observed)) => {
            observed.note(Some(problem));
            Ok(otherwise(observed))
        }
        (result, _) => result,
    }
}

/// Stands in for the route where none matches.
pub fn no_route<'p>(_: &Observed) -> (&'p Route, Parameters) {
    (&NO_ROUTE, Parameters::new())
}

/// Stands in for a request that cannot be mapped: it asks for nothing that is decided.
pub fn unmapped<'p>(route: &'p Route, _: &Observed) -> Mapped<'p> {
    Mapped {
        route,
        parameters: Parameters::new(),
        action: None,
        covers: &[],
        links: Vec::new(),
        also: Vec::new(),
        record_type: None,
        ids: Vec::new(),
        alternate_key: None,
        target_stage: None,
        query: MappedQuery::default(),
        headers: Vec::new(),
        body: None,
    }
}

/// Whether an observed request must be treated as a write: what is not decided may change anything.
pub fn may_write(observed: Option<&Observed>, head: &CanonicalHead) -> bool {
    observed.is_some() && !head.method.is_safe()
}

/// A route that describes nothing; it refuses wherever it is asked.
static NO_ROUTE: LazyLock<Route> = LazyLock::new(|| Route {
    identity: IdentityNeed::Required,
    transit: None,
    template: Template::none(),
    span: 0..0,
    over: Vec::new(),
    pass: None,
    refuse: Some("no route of the profile matches".to_owned()),
    action: None,
    type_source: None,
    id: None,
    covers: None,
    links: Vec::new(),
    also: Vec::new(),
    shape: Shape::default(),
    errors: Vec::new(),
    query: Vec::new(),
    reads: Vec::new(),
    push_down: None,
    pushed_shape: None,
    pages: Pages::NONE,
    refill: None,
    refilled_shape: None,
    headers: Vec::new(),
    before: None,
    version: Versioning::Unpinned,
    prune: None,
    unbounded: None,
    missing: MissingRecord::NotFound,
    writes: None,
    to: None,
    body: BodySpec::default(),
    name: None,
    when: Vec::new(),
    csv: None,
    success: None,
    requires: Vec::new(),
    hidden_rows: HiddenRows::Unstated,
    limits: RouteLimits::default(),
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::trail::Trail;

    /// However much a request shows, what is recorded of it fits one line of the ledger.
    #[test]
    fn the_largest_entry_fits_a_line() {
        let name = |at: usize| {
            let letter = |at: usize| char::from(b'a' + u8::try_from(at % 26).unwrap_or(0));
            format!("{}{}{}", "abe_".repeat(11), letter(at), letter(at / 26))
        };
        let members: Vec<String> =
            (0..150).map(|at| format!("\"{}\":{{\"{}\":1}}", name(at), name(at))).collect();
        let body = bytes::Bytes::from(format!("{{{}}}", members.join(",")));
        let limits = crate::json::parse::JsonLimits { bytes_max: 1 << 20, depth_max: 9, nodes_max: 1 << 20 };
        let document = crate::json::value::Document::parse(body, &limits).unwrap();
        let mut seen = Seen::default();
        seen.note_request_keys(&document);
        seen.note_answer_keys(&document);
        let pairs: Vec<(String, String)> = (0..500).map(|at| (name(at), "x".to_owned())).collect();
        seen.note_query(pairs.iter());
        seen.fields.insert("Deal".to_owned(), (0..seen::NAMES_MAX).map(name).collect());
        seen.note_path(&vec![name(0); 100], true, &crate::bundle::profile::Profile::default());
        assert_eq!(seen.query.len(), seen::NAMES_MAX);
        let observed = Observed { group: "g".repeat(40), would: None, seen };
        let trail = Trail { observed: Some(observed), ..Trail::default() };
        let crate::ledger::entry::Entry::Observed(entry) = trail.seen().unwrap() else { return };
        let bytes = serde_json::to_vec(&entry).unwrap().len();
        assert!((40_000..59_000).contains(&bytes), "{bytes}");
    }
}
