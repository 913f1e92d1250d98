//! `[[observe]]`: groups of routes that are judged and recorded but not yet enforced, each until a date.
//!
//! Promises: no group without a date, none that ends later than 30 days after the start, none by default.

use std::path::Path;
use std::sync::Arc;

use super::route_pattern::{self, Covered, RoutePattern};
use crate::bundle::instant;
use crate::bundle::profile::Profile;
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::config::reader::{Table, Text};
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// A group of routes that observes until a date.
#[derive(Clone, Debug)]
pub struct ObserveGroup {
    /// Its name, for entries and metrics.
    pub name: String,
    /// What it covers.
    pub routes: Vec<RoutePattern>,
    /// Words of paths that may be recorded, beside the ones that are known anyway.
    pub words: Vec<String>,
    /// When enforcement begins, in milliseconds since 1970.
    pub until_ms: i64,
    /// The same as the file spells it.
    pub until: Text,
    source: Arc<SourceFile>,
}

/// Where a group stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// It observes.
    Open,
    /// Its routes are enforced.
    Over,
    /// Its date is too far away.
    TooFar,
}

/// Milliseconds that a group may observe at most, counted from the start.
pub const WINDOW_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;

impl ObserveGroup {
    /// Where the group stands.
    pub fn window(&self, now_ms: i64) -> Window {
        match self.until_ms.saturating_sub(now_ms) {
            remaining if remaining > WINDOW_MS_MAX => Window::TooFar,
            remaining if remaining > 0 => Window::Open,
            _ => Window::Over,
        }
    }

    /// Whether it covers a request.
    pub fn covers(&self, method: &str, covered: Covered<'_>) -> bool {
        self.routes.iter().any(|pattern| pattern.covers(method, covered))
    }

    fn problem(&self, problem: AuthorProblem, help: impl Into<String>) -> AuthorProblem {
        problem.at(&self.source, self.until.span.clone()).help(help)
    }
}

/// Says where each group stands: too far is an error, all else a warning, since nobody should forget either.
pub fn check_dates(groups: &[ObserveGroup], now_ms: i64, problems: &mut Problems) {
    for group in groups {
        let (name, until) = (&group.name, &group.until.value);
        problems.push(match group.window(now_ms) {
            Window::TooFar => group.problem(
                AuthorProblem::error(format!("`{name}` would observe until {until}, which is too far away")),
                "A group observes for at most 30 days. Choose an earlier date; a later start can name a later one.",
            ),
            Window::Open => group.problem(
                AuthorProblem::warning(format!("`{name}` observes until {until}: what it covers is not enforced")),
                "Nothing there is refused, stripped or hidden. `lockkeeper check --from-ledger` says what is missing.",
            ),
            Window::Over => group.problem(
                AuthorProblem::warning(format!("`{name}` observes no more since {until}: what it covers is enforced")),
                "Remove the group.",
            ),
        });
    }
}

/// Warns of patterns that name a route by its template where the profile has no such route.
pub fn check_routes(groups: &[ObserveGroup], profile: &Profile, problems: &mut Problems) {
    for group in groups {
        for pattern in &group.routes {
            if pattern.is_template() && !profile.routes.iter().any(|route| pattern.names(route)) {
                let message = format!("`{}`: the profile has no route with that path", pattern.text);
                let help =
                    "Write the path as the profile's `match` does; until then the pattern covers nothing.";
                problems.push(group.problem(AuthorProblem::warning(message), help));
            }
        }
    }
}

/// Reads every group.
pub fn read(root: &Table<'_>, folder: &Path) -> Vec<ObserveGroup> {
    let mut groups: Vec<ObserveGroup> = Vec::new();
    for settings in Settings::all(root, &SECTION, folder) {
        let Some(group) = read_group(&settings) else { continue };
        if groups.iter().any(|other| other.name == group.name) {
            settings.error(settings.span(), format!("two groups are called `{}`", group.name), "");
        }
        groups.push(group);
    }
    if groups.len() > GROUPS_MAX {
        let span = root.item("observe").map_or(0..0, |item| item.span());
        root.reading().error(span, format!("there are more than {GROUPS_MAX} groups"), "");
    }
    groups
}

fn read_group(settings: &Settings<'_>) -> Option<ObserveGroup> {
    let name = settings.text(&NAME);
    let routes = settings.texts(&ROUTES);
    let words = settings.texts(&WORDS);
    let until = settings.text(&UNTIL);
    settings.finish();
    let is_name = |text: &str| {
        (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if let Some(name) = name.as_ref().filter(|name| !is_name(&name.value)) {
        let help = format!("Use at most {NAME_BYTES_MAX} of a to z, 0 to 9 and `-`.");
        settings.error(name.span.clone(), format!("`{}` cannot name a group", name.value), help);
    }
    if routes.len() > LIST_MAX || words.len() > LIST_MAX {
        settings.error(settings.span(), format!("a list has more than {LIST_MAX} members"), "");
    }
    let routes = route_pattern::read(settings, &routes, "`PATCH /deals/{id:int}` or `*` for every request");
    let until = until?;
    let Ok(until_ms) = instant::parse_wire(&until.value, None) else {
        let help = "Write date, time and offset, e.g. `until = \"2026-12-01T00:00:00Z\"`.";
        settings.error(until.span.clone(), format!("`{}` is not a point in time", until.value), help);
        return None;
    };
    let source = Arc::clone(&settings.reading().source);
    let words = words.into_iter().map(|word| word.value).collect();
    Some(ObserveGroup { name: name?.value, routes, words, until_ms, until, source })
}

/// The section.
pub const SECTION: Section = Section {
    name: "observe",
    meaning: "Routes that are judged and recorded but not enforced until a date; the first group that covers a request decides. See [observe.md](../guide/observe.md).",
    presence: Presence::Repeated,
    keys: &[&NAME, &ROUTES, &UNTIL, &WORDS],
    inner: &[],
};
const NAME: Key = Key::required(
    "name",
    Kind::Text("required"),
    "Name the group, e.g. `name = \"deals\"`.",
    "what entries and metrics call the group",
);
const ROUTES: Key = Key::required(
    "routes",
    Kind::Texts,
    "Say what it covers, e.g. `routes = [\"GET /deals*\"]` or `routes = \"*\"`.",
    "methods and paths, e.g. `GET /deals*`; `*` for every request, described or not",
);
const UNTIL: Key = Key::required(
    "until",
    Kind::Text("required"),
    "State when enforcement begins, at most 30 days ahead: `until = \"2026-12-01T00:00:00Z\"`.",
    "when enforcement begins by itself: at most 30 days after the start",
);
const WORDS: Key = Key::optional(
    "words",
    Kind::Texts,
    "words of paths that may be recorded beside the usual ones; never put one that could be a secret or a name here",
);

const NAME_BYTES_MAX: usize = 40;
const GROUPS_MAX: usize = 32;
const LIST_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::Reading;

    #[track_caller]
    fn check(text: &str, now_ms: i64, expected: &[&str]) {
        let reading = Reading::new(SourceFile::new("t.toml", text));
        let parsed = reading.parse(text).unwrap();
        let groups = read(&reading.table(&parsed), Path::new("."));
        let mut problems = reading.into_problems();
        check_dates(&groups, now_ms, &mut problems);
        let told = problems.iter().map(|p| format!("{} {p}", p.place().unwrap_or_default()));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    fn group(routes: &str, until: &str) -> String {
        format!("[[observe]]\nname = \"a\"\nroutes = {routes}\nuntil = \"{until}\"\n")
    }

    #[test]
    fn a_window_is_thirty_days_and_not_a_millisecond_more() {
        let text = group("\"*\"", "1970-01-31T00:00:00Z");
        check(
            &text,
            0,
            &["t.toml:4 `a` observes until 1970-01-31T00:00:00Z: what it covers is not enforced"],
        );
        check(&text, -1, &["t.toml:4 `a` would observe until 1970-01-31T00:00:00Z, which is too far away"]);
        let over = "t.toml:4 `a` observes no more since 1970-01-31T00:00:00Z: what it covers is enforced";
        check(
            &text,
            WINDOW_MS_MAX - 1,
            &["t.toml:4 `a` observes until 1970-01-31T00:00:00Z: what it covers is not enforced"],
        );
        check(&text, WINDOW_MS_MAX, &[over]);
    }

    #[test]
    fn groups_and_lists_are_limited() {
        let errors = |text: &str| {
            let reading = Reading::new(SourceFile::new("t.toml", text));
            let parsed = reading.parse(text).unwrap();
            read(&reading.table(&parsed), Path::new("."));
            reading.into_problems().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let groups = |count: usize| {
            let one =
                |at: usize| group("\"*\"", "1970-01-01T00:00:00Z").replace("\"a\"", &format!("\"a{at}\""));
            (0..count).map(one).collect::<String>()
        };
        assert_eq!(errors(&groups(GROUPS_MAX)), Vec::<String>::new());
        assert_eq!(errors(&groups(GROUPS_MAX + 1)), ["there are more than 32 groups"]);
        let routes = |count: usize| group(&format!("[{}]", "\"*\",".repeat(count)), "1970-01-01T00:00:00Z");
        assert_eq!(errors(&routes(LIST_MAX)), Vec::<String>::new());
        assert_eq!(errors(&routes(LIST_MAX + 1)), ["a list has more than 500 members"]);
        let named = |length: usize| {
            group("\"*\"", "1970-01-01T00:00:00Z").replace("\"a\"", &format!("{:?}", "a".repeat(length)))
        };
        assert_eq!(errors(&named(NAME_BYTES_MAX)).len(), 0);
        assert_eq!(errors(&named(NAME_BYTES_MAX + 1)).len(), 1);
    }

    #[test]
    fn every_mistake_has_its_message() {
        let bad = |routes: &str| format!("t.toml:3 {routes}");
        check(
            &group("\"FETCH /x\"", "1970-01-01T00:00:01Z"),
            2000,
            &[
                &bad(
                    "`FETCH /x` covers no routes: `FETCH` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or `*`",
                ),
                "t.toml:4 `a` observes no more since 1970-01-01T00:00:01Z: what it covers is enforced",
            ],
        );
        check(
            &group("[\"/x\", \"GET x\", \"GET /*/y\"]", "soon"),
            0,
            &[
                &bad("`/x` covers no routes: it needs a method, a space and a path, or only `*`"),
                &bad("`GET x` covers no routes: the path must start with `/`"),
                &bad("`GET /*/y` covers no routes: `*` can stand at the end of the path only"),
                "t.toml:4 `soon` is not a point in time",
            ],
        );
        check(&group("\"*\"", "2026-12-01"), 0, &["t.toml:4 `2026-12-01` is not a point in time"]);
        check(
            "[[observe]]\nname = \"A b\"\n",
            0,
            &[
                "t.toml:1 `routes` is missing",
                "t.toml:1 `until` is missing",
                "t.toml:2 `A b` cannot name a group",
            ],
        );
        let twice = group("\"*\"", "1970-01-01T00:00:00Z").repeat(2);
        check(
            &twice,
            0,
            &[
                "t.toml:5 two groups are called `a`",
                "t.toml:4 `a` observes no more since 1970-01-01T00:00:00Z: what it covers is enforced",
                "t.toml:8 `a` observes no more since 1970-01-01T00:00:00Z: what it covers is enforced",
            ],
        );
    }
}
