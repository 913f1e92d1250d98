//! The profile: one TOML file that describes one CRM's API. It is the only place where a CRM is known.
//!
//! Promises: a profile that loads is whole; every name in it resolves; every problem is reported with its place.

pub mod template;
pub mod stages;
pub mod convert;
pub mod types;
pub mod mask;
pub mod tree;
pub mod source;
pub mod shape;
pub mod places;
pub mod query;
pub mod push;
pub mod refill;
pub mod csv;
pub mod pages;
pub mod transit;
pub mod route;
mod actions;
mod link;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::config::author::{Problems, SourceFile};
use crate::config::reader::{Reading, Table, Text};

use mask::Mask;
use route::Route;
use route::condition::Condition;
use stages::StageCatalogue;
use template::{Parameters, PathCase};
use tree::FieldTree;
use types::RecordType;

/// A whole, linked profile.
#[derive(Debug, Default)]
pub struct Profile {
    /// The record types.
    pub types: Vec<RecordType>,
    /// One tree per type, in the same order.
    pub trees: Vec<FieldTree>,
    /// The stage catalogue.
    pub stages: StageCatalogue,
    /// Field sets and the sets that hold them.
    pub field_sets: BTreeMap<String, FieldSetSpec>,
    /// The masks of field sets, by the sets' names.
    pub masks: BTreeMap<String, (Text, Mask)>,
    /// The routes, in the order of the file.
    pub routes: Vec<Route>,
    /// Whether letter case matters in paths.
    pub path_case: PathCase,
    /// Request headers that go to the CRM.
    pub request_headers: Vec<String>,
    /// Request headers by which the CRM would take a caller for somebody: never forwarded.
    pub identity_headers: Vec<String>,
    /// The `Accept` that the CRM is sent, if not `application/json`.
    pub accept: Option<String>,
    /// Response headers that leave.
    pub response_headers: Vec<String>,
    /// What is answered for a record that does not exist or may not be seen.
    pub not_found: NotFound,
    type_names: HashMap<String, usize>,
    labels: HashMap<String, usize>,
    /// Labels of routes that have problems of their own: that they are missing is not one more.
    unread: BTreeSet<String>,
}

/// A field set.
#[derive(Clone, Debug)]
pub struct FieldSetSpec {
    /// Where it is declared.
    pub span: Range<usize>,
    /// The sets that hold it.
    pub parents: Vec<Text>,
}

/// The one answer for what does not exist and what may not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NotFound {
    /// A problem document.
    #[default]
    Problem,
    /// The CRM's own answer, as the profile states it.
    Stated {
        /// The status, 404 as a rule.
        status: u16,
        /// The content type.
        content_type: String,
        /// The exact body.
        body: String,
    },
}

impl Profile {
    /// Reads and links a profile; every problem is noted, and `None` comes with at least one error.
    pub fn load(source: &Arc<SourceFile>, problems: &mut Problems) -> Option<Profile> {
        let reading = Reading::new(Arc::clone(source));
        let profile = reading.parse(&source.text).map(|table| read(&reading.table(&table)));
        let profile = profile.map(|mut profile| {
            link::link(&mut profile, &reading);
            profile
        });
        let found = reading.into_problems();
        let failed = found.has_errors();
        problems.extend(found);
        profile.filter(|_| !failed)
    }

    /// The type of that Cedar name.
    pub fn type_named(&self, name: &str) -> Option<(usize, &RecordType)> {
        let index = self.types.iter().position(|record_type| record_type.name == name)?;
        self.types.get(index).map(|record_type| (index, record_type))
    }

    /// The type that the wire calls so, by name or alias.
    pub fn type_on_wire(&self, name: &str) -> Option<&RecordType> {
        self.type_names.get(name).and_then(|index| self.types.get(*index))
    }

    /// The type of the one record that a route yields.
    pub fn type_of_image(&self, route: &Route) -> Option<&RecordType> {
        let located = route.shape.records.first().map(|location| &location.type_source);
        match route.type_source.as_ref().or(located) {
            Some(source::TypeSource::Constant(name)) => self.type_named(&name.value).map(|(_, found)| found),
            _ => None,
        }
    }

    /// The tree of fields of a type.
    pub fn tree(&self, type_name: &str) -> Option<&FieldTree> {
        self.type_named(type_name).and_then(|(index, _)| self.trees.get(index))
    }

    /// The route of that label.
    pub fn route_labelled(&self, label: &str) -> Option<(usize, &Route)> {
        let index = *self.labels.get(label)?;
        self.routes.get(index).map(|route| (index, route))
    }

    /// Every route that has a method and a canonical path, whatever else it asks of a request.
    pub fn routes_at<'s>(
        &'s self,
        method: &'s http::Method,
        segments: &'s [String],
        has_trailing_slash: bool,
    ) -> impl Iterator<Item = &'s Route> {
        let fits = move |route: &&Route| {
            let template = &route.template;
            template.methods.contains(method)
                && template.match_path(segments, has_trailing_slash, self.path_case).is_some()
        };
        self.routes.iter().filter(fits)
    }

    /// Every route that some CRM could take a path for, though it does not match: in another letter case, with or without a
    /// slash at its end, with other values in the places of parameters.
    pub fn routes_like<'s>(
        &'s self,
        method: &'s http::Method,
        segments: &'s [String],
    ) -> impl Iterator<Item = &'s Route> {
        let method = if *method == http::Method::HEAD { &http::Method::GET } else { method };
        self.routes.iter().filter(move |route| {
            route.template.methods.contains(method) && route.template.resembles(segments)
        })
    }

    /// The one route that matches a method and a canonical path.
    pub fn match_route(
        &self,
        method: &http::Method,
        segments: &[String],
        has_trailing_slash: bool,
        fulfils: &dyn Fn(&Condition) -> bool,
    ) -> Option<(usize, &Route, Parameters)> {
        let found =
            self.routes.iter().enumerate().filter(|(_, route)| {
                route.template.methods.contains(method) && route.when.iter().all(fulfils)
            });
        let mut found = found.filter_map(|(index, route)| {
            let parameters = route.template.match_path(segments, has_trailing_slash, self.path_case)?;
            Some((index, route, parameters))
        });
        let mut best = found.next()?;
        for other in found {
            // The load guarantees that of two overlapping routes one names the other.
            if other.1.over.iter().any(|label| label.value == best.1.label()) {
                best = other;
            }
        }
        Some(best)
    }
}

fn read(table: &Table<'_>) -> Profile {
    let language = table.integer("profile", 1..=LANGUAGE_VERSION);
    if language.is_none() && table.item("profile").is_none() {
        let help = format!("Start the file with `profile = {LANGUAGE_VERSION}`, the language's version.");
        table.reading().error(table.span().start..table.span().start, "`profile` is missing", help);
    }
    let mut profile = Profile::default();
    if let Some(pipelines) = table.table("pipelines") {
        profile.stages = stages::read(&pipelines);
    }
    if let Some(sets) = table.table("field_sets") {
        for (name, item) in sets.entries() {
            let parents = item.texts().unwrap_or_default();
            profile.field_sets.insert(name.value, FieldSetSpec { span: name.span, parents });
        }
    }
    profile.types = table.table("types").map(|types| types::read(&types)).unwrap_or_default();
    profile.masks = table.table("masks").map(|masks| mask::read_sets(&masks)).unwrap_or_default();
    (profile.routes, profile.unread) = route::read::read(table.tables("routes"));
    if let Some(paths) = table.table("paths") {
        profile.path_case = match paths.boolean("case_sensitive") {
            Some(false) => PathCase::Insensitive,
            Some(true) | None => PathCase::Sensitive,
        };
        paths.finish();
    }
    if let Some(headers) = table.table("headers") {
        let names = |key| -> Vec<String> {
            let names = headers.texts(key).unwrap_or_default();
            names.into_iter().map(|name| name.value.to_ascii_lowercase()).collect()
        };
        profile.accept = headers.text("accept").map(|text| text.value);
        profile.identity_headers = names("identity");
        (profile.request_headers, profile.response_headers) = (names("request"), names("response"));
        headers.finish();
    }
    if let Some(answer) = table.table("not_found") {
        profile.not_found = read_not_found(&answer);
    }
    table.finish();
    profile
}

fn read_not_found(table: &Table<'_>) -> NotFound {
    let status =
        table.integer("status", 400..=499).and_then(|status| u16::try_from(status).ok()).unwrap_or(404);
    let content_type = table.text("content_type").map_or("application/json".to_owned(), |text| text.value);
    let body = table.required("body", "State the exact body of the CRM's own 404.").map(|text| text.value);
    table.finish();
    NotFound::Stated { status, content_type, body: body.unwrap_or_default() }
}

/// The newest version of the profile language that this build reads.
pub const LANGUAGE_VERSION: u64 = 1;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transit_tests;
#[cfg(test)]
mod version_tests;
#[cfg(test)]
mod writes_tests;
#[cfg(test)]
mod effects_tests;
#[cfg(test)]
mod refill_tests;
#[cfg(test)]
mod unbounded_tests;
