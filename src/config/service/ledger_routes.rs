//! `[[ledger.routes]]`: routes whose entries are kept otherwise than the rest.
//!
//! Promises: what may change something waits for its sync, and what carries anything waits for the ledger; a class that asks for less is
//! an error.

use std::path::Path;
use std::sync::Arc;

use http::Method;

use super::route_pattern::{self, Covered, RoutePattern};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::transit::IdentityNeed;
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::ledger::durability::Durability;

/// Routes that are kept alike.
#[derive(Clone, Debug)]
pub struct LedgerRoutes {
    /// What it covers.
    pub routes: Vec<RoutePattern>,
    /// When their entries are acknowledged.
    pub durability: Durability,
    /// What becomes of requests while the ledger cannot be written.
    pub on_failure: OnFailure,
    source: Arc<SourceFile>,
}

/// What becomes of requests while the ledger cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused.
    Strict,
    /// They pass, and are counted.
    Open,
}

impl LedgerRoutes {
    /// Whether it covers a request on a route.
    pub fn covers(&self, method: &Method, route: &Route) -> bool {
        let covered = Covered::Template(route.template.path_text());
        self.routes.iter().any(|pattern| pattern.covers(method.as_str(), covered))
    }
}

/// Holds every class against a profile: what it may not cover is an error, what covers nothing a warning.
pub fn check(classes: &[LedgerRoutes], profile: &Profile, problems: &mut Problems) {
    for class in classes {
        for pattern in &class.routes {
            let problem = problem(class, pattern, profile);
            problem
                .into_iter()
                .for_each(|problem| problems.push(problem.at(&class.source, pattern.span.clone())));
        }
    }
}

/// What is wrong with a pattern of a class.
fn problem(class: &LedgerRoutes, pattern: &RoutePattern, profile: &Profile) -> Option<AuthorProblem> {
    let of_route = |route| pattern.methods_of(route).map(move |method| (method, route));
    let covered: Vec<(&Method, &Route)> = profile.routes.iter().flat_map(of_route).collect();
    let changing = covered.iter().find(|(method, route)| route.may_change_by(method));
    if let Some((_, route)) = changing.filter(|_| class.durability == Durability::Write) {
        let (text, label) = (&pattern.text, route.label());
        let message =
            format!("`{text}` covers `{label}`, which may change something and so waits for its sync");
        return Some(AuthorProblem::error(message).help("Name routes that only read, e.g. `GET /deals*`."));
    }
    let carrying = covered.iter().find(|(method, route)| !route.carries_nothing_by(method));
    if let Some((method, route)) = carrying.filter(|_| class.on_failure == OnFailure::Open) {
        let (text, label) = (&pattern.text, route.label());
        let message = format!(
            "`{text}` covers `{label}`, where {method} carries something and so waits for the ledger"
        );
        let help = "Name routes with `identity = \"none\"` and without cookies, by GET, HEAD or OPTIONS, e.g. `GET,HEAD /static*`.";
        return Some(AuthorProblem::error(message).help(help));
    }
    if covered.is_empty() {
        let message = format!("`{}` covers no route of the profile", pattern.text);
        return Some(AuthorProblem::warning(message).help("Write the path as the profile's `match` does."));
    }
    let are_counted = covered.iter().all(|(_, route)| route.identity == IdentityNeed::Nobody);
    if class.durability == Durability::Write && are_counted {
        let message = format!("`{}` covers no route whose requests are entries", pattern.text);
        let help = "Requests for which nobody is identified are only counted: leave `durability` out.";
        return Some(AuthorProblem::warning(message).help(help));
    }
    None
}

/// Reads every class of the ledger's section.
pub fn read(parent: &Table<'_>, folder: &Path) -> Vec<LedgerRoutes> {
    let all = Settings::all(parent, &SECTION, folder);
    if let Some(beyond) = all.get(CLASSES_MAX) {
        beyond.error(beyond.span(), format!("there are more than {CLASSES_MAX} classes of routes"), "");
    }
    all.iter().map(read_class).collect()
}

fn read_class(settings: &Settings<'_>) -> LedgerRoutes {
    let routes = settings.texts(&ROUTES);
    if routes.len() > LIST_MAX {
        settings.error(settings.span(), format!("a list has more than {LIST_MAX} members"), "");
    }
    let durability = match settings.choice(&DURABILITY) {
        "write" => Durability::Write,
        _ => Durability::Sync,
    };
    let on_failure = match settings.choice(&ON_FAILURE) {
        "open" => OnFailure::Open,
        _ => OnFailure::Strict,
    };
    settings.finish();
    let routes = route_pattern::read(settings, &routes, "`GET,HEAD /deals/{id:int}`");
    LedgerRoutes { routes, durability, on_failure, source: Arc::clone(&settings.reading().source) }
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger.routes",
    meaning: "Routes whose entries are kept otherwise than the rest; the first that covers a request decides. See \
              [ledger.md](ledger.md#written).",
    presence: Presence::Repeated,
    keys: &[&ROUTES, &DURABILITY, &ON_FAILURE],
    inner: &[],
};
const ROUTES: Key = Key::required(
    "routes",
    Kind::Texts,
    "Say what it covers, e.g. `routes = [\"GET /deals*\"]`.",
    "methods and paths, e.g. `GET /deals*`; `*` at the end of a path stands for all that begins so",
);
const DURABILITY: Key = Key::optional(
    "durability",
    Kind::Choice(&["sync", "write"]),
    "when an entry counts as recorded: once it is synced, or once it is written; `write` for routes alone that only read",
);
const ON_FAILURE: Key = Key::optional(
    "on_failure",
    Kind::Choice(&["strict", "open"]),
    "what becomes of requests while the ledger cannot be written: 503, or [they pass and are counted](ledger.md#open); `open` for routes alone \
     that carry nothing",
);

const CLASSES_MAX: usize = 32;
const LIST_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::Reading;

    /// What is said of a class in front of the demo's profile.
    #[track_caller]
    fn check_class(text: &str, expected: &[&str]) {
        let text = format!("[[routes]]\n{text}\n");
        let source = SourceFile::new("t.toml", text.as_str());
        let reading = Reading::new(Arc::clone(&source));
        let parsed = reading.parse(&text).unwrap();
        let classes = read(&reading.table(&parsed), Path::new("."));
        let mut problems = reading.into_problems();
        let profile =
            SourceFile::new("profile.toml", include_str!("../../../policies/demo-crm/profile.toml"));
        let profile = Profile::load(&profile, &mut problems).unwrap();
        check(&classes, &profile, &mut problems);
        let told =
            problems.iter().map(|problem| format!("{} {problem}", problem.place().unwrap_or_default()));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_may_change_something_waits_for_its_sync() {
        check_class("routes = [\"GET,HEAD /api/deals*\", \"* /api/pipelines\"]\ndurability = \"write\"", &[]);
        check_class("routes = \"*\"\ndurability = \"sync\"", &[]);
        let covers = |pattern: &str, route: &str| {
            format!(
                "t.toml:2 `{pattern}` covers `{route}`, which may change something and so waits for its sync"
            )
        };
        let all = covers("*", "POST /api/deals");
        check_class("routes = \"*\"\ndurability = \"write\"", &[&all]);
        let one = covers("* /api/contacts/{id:int}", "PATCH /api/contacts/{id:int}");
        check_class("routes = [\"* /api/contacts/{id:int}\"]\ndurability = \"write\"", &[&one]);
    }

    #[test]
    fn what_carries_something_waits_for_the_ledger() {
        check_class("routes = \"GET,HEAD /static*\"\non_failure = \"open\"", &[]);
        let covers = |pattern: &str, route: &str, method: &str| {
            let carries = format!("where {method} carries something and so waits for the ledger");
            format!("t.toml:2 `{pattern}` covers `{route}`, {carries}")
        };
        for (pattern, route, method) in [
            ("GET /api/pipelines", "GET /api/pipelines", "GET"),
            ("POST /login", "POST /login", "POST"),
            ("*", "GET,HEAD /api/deals", "GET"),
        ] {
            let class = format!("routes = {pattern:?}\non_failure = \"open\"");
            check_class(&class, &[&covers(pattern, route, method)]);
        }
    }

    #[test]
    fn what_is_no_entry_or_no_route_is_told() {
        let counted = "t.toml:2 `GET /static*` covers no route whose requests are entries";
        check_class("routes = \"GET /static*\"\ndurability = \"write\"", &[counted]);
        let none = "t.toml:2 `GET /api/deal` covers no route of the profile";
        check_class("routes = \"GET /api/deal\"\ndurability = \"write\"", &[none]);
        check_class(
            "routes = \"FETCH /\"\ndurability = \"never\"",
            &[
                "t.toml:3 `never` is not a value of `durability`",
                "t.toml:2 `FETCH /` covers no routes: `FETCH` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or `*`",
            ],
        );
    }
}
