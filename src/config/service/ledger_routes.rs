//! `[[ledger.routes]]`: routes whose entries are kept otherwise than the rest.
//!
//! Promises: what may change something is never in such a class; a class that asks for it is an error, and a bundle that comes later
//! changes nothing about it.

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
    source: Arc<SourceFile>,
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
    if covered.iter().all(|(_, route)| route.identity == IdentityNeed::Nobody) {
        let message = format!("`{}` covers no route whose requests are entries", pattern.text);
        let help = "Write the path as the profile's `match` does. Requests for which nobody is identified are only counted.";
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
    settings.finish();
    let routes = route_pattern::read(settings, &routes, "`GET,HEAD /deals/{id:int}`");
    LedgerRoutes { routes, durability, source: Arc::clone(&settings.reading().source) }
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger.routes",
    meaning: "Routes whose entries are kept otherwise than the rest; the first that covers a request decides. See \
              [ledger.md](ledger.md#written).",
    presence: Presence::Repeated,
    keys: &[&ROUTES, &DURABILITY],
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
    fn what_is_no_entry_or_no_route_is_told() {
        let none = |pattern: &str| format!("t.toml:2 `{pattern}` covers no route whose requests are entries");
        for pattern in ["GET /api/deal", "GET /static*"] {
            check_class(&format!("routes = {pattern:?}\ndurability = \"write\""), &[&none(pattern)]);
        }
        check_class(
            "routes = \"FETCH /\"\ndurability = \"never\"",
            &[
                "t.toml:3 `never` is not a value of `durability`",
                "t.toml:2 `FETCH /` covers no routes: `FETCH` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or `*`",
            ],
        );
    }
}
