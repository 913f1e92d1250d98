//! What observed traffic showed and a profile does not describe: routes, parameters and fields, with how often and when.
//!
//! Promises: made of `observed` entries alone, so of names alone; what the profile describes by now is not missing. Never
//! says what a name means: that is for a person to state.

pub mod route;
pub mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::item::{list, text, texts};
use crate::bundle::profile::Profile;
use crate::bundle::profile::tree::Meaning;
use crate::model::reason::Reason;
use crate::pipeline::map::query::is_declared;
use route::{DraftRoute, SeenPath};

/// How often something was seen, and when last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// When the last entry was written.
    pub last: String,
}

impl Tally {
    /// Adds one more.
    pub fn add(&mut self, entry: &Value) {
        self.count += 1;
        self.last = text(entry, "t").to_owned();
    }
}

/// Everything that is missing.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Observed entries that were read.
    pub entries: u64,
    /// Routes that no template matches.
    pub routes: Vec<DraftRoute>,
    /// Routes that the profile refuses as not described yet, by label.
    pub undescribed: BTreeMap<String, Tally>,
    /// Undeclared parameters of the profile's routes, by label.
    pub parameters: BTreeMap<String, BTreeMap<String, Tally>>,
    /// Keys that no field claims, by type.
    pub fields: BTreeMap<String, BTreeMap<String, Tally>>,
    /// Bodies and answers of the profile's routes that could not be read: label, reason and content type.
    pub unread: BTreeMap<(String, String, String), Tally>,
    /// Names that were left out since they may be values, or were too many to list.
    pub unnamed: u64,
}

impl Draft {
    /// Adds an `observed` entry.
    pub fn add(&mut self, entry: &Value, profile: Option<&Profile>) {
        self.entries += 1;
        let stated = ["t", "route", "reason"].map(|member| text(entry, member));
        if stated.into_iter().any(|text| !text.is_empty() && !is_clean(text)) {
            self.unnamed += 1;
            return;
        }
        self.unnamed += entry.get("unnamed").and_then(Value::as_u64).unwrap_or(0);
        match text(entry, "path") {
            "" => self.add_described(text(entry, "route").to_owned(), entry, profile),
            path => self.add_path(path, entry, profile),
        }
        for fields in list(entry, "fields") {
            self.add_fields(text(fields, "type"), &texts(fields, "names"), entry, profile);
        }
    }

    /// Things that are missing.
    pub fn missing(&self) -> usize {
        let inner = |lists: &BTreeMap<String, BTreeMap<String, Tally>>| {
            lists.values().map(BTreeMap::len).sum::<usize>()
        };
        let lists = inner(&self.parameters) + inner(&self.fields);
        self.routes.len() + self.undescribed.len() + lists + self.unread.len()
    }

    fn add_path(&mut self, path: &str, entry: &Value, profile: Option<&Profile>) {
        let seen = SeenPath::parse(text(entry, "method"), path).filter(|_| is_clean(path));
        let Some(seen) = seen else {
            self.unnamed += 1;
            return;
        };
        // The profile may have grown since.
        if let Some(route) = profile.and_then(|profile| seen.route_of(profile)) {
            return self.add_described(route.label(), entry, profile);
        }
        let is_full = self.routes.len() >= ROUTES_MAX;
        match self.routes.iter_mut().find(|route| route.path.merges_with(&seen)) {
            Some(route) => route.add(&seen, entry),
            None if !is_full => {
                let mut route = DraftRoute::new(seen.clone());
                route.add(&seen, entry);
                self.routes.push(route);
            }
            None => self.unnamed += 1,
        }
    }

    fn add_described(&mut self, label: String, entry: &Value, profile: Option<&Profile>) {
        let route = profile.map(|profile| profile.route_labelled(&label).map(|(_, route)| route));
        let route = match route {
            // The route is gone from the profile: what was seen of it says nothing about the ones that are there.
            Some(None) => return,
            Some(Some(route)) => Some(route),
            None => None,
        };
        if route.is_some_and(|route| route.refuse.is_some()) {
            return self.undescribed.entry(label).or_default().add(entry);
        }
        for name in texts(entry, "query").into_iter().filter(|name| is_clean(name)) {
            if route.is_none_or(|route| !is_declared(route, name)) {
                let names = self.parameters.entry(label.clone()).or_default();
                tally(names, name, entry, &mut self.unnamed);
            }
        }
        // Nothing was read by a description where there was none: the next such request is.
        let was_described = !UNDESCRIBED.iter().any(|reason| reason.code() == text(entry, "reason"));
        for member in ["request_type", "answer_type"].into_iter().filter(|_| was_described) {
            let content_type = text(entry, member);
            if !content_type.is_empty() && is_clean(content_type) && self.unread.len() < ROUTES_MAX {
                let key = (label.clone(), text(entry, "reason").to_owned(), content_type.to_owned());
                self.unread.entry(key).or_default().add(entry);
            }
        }
    }

    fn add_fields(&mut self, type_name: &str, names: &[&str], entry: &Value, profile: Option<&Profile>) {
        let tree = profile.map(|profile| profile.tree(type_name));
        if tree == Some(None) || !is_clean(type_name) {
            return;
        }
        for name in names.iter().filter(|name| is_clean(name)) {
            let keys: Vec<String> = name.split('.').map(str::to_owned).collect();
            let is_unknown = tree
                .flatten()
                .is_none_or(|tree| matches!(tree.meaning_of(&keys), Meaning::LookAlike | Meaning::Unknown));
            if is_unknown {
                tally(self.fields.entry(type_name.to_owned()).or_default(), name, entry, &mut self.unnamed);
            }
        }
    }
}

fn tally(names: &mut BTreeMap<String, Tally>, name: &str, entry: &Value, left_out: &mut u64) {
    match names.contains_key(name) || names.len() < NAMES_MAX {
        true => names.entry(name.to_owned()).or_default().add(entry),
        false => *left_out += 1,
    }
}

/// Adds names to a bounded set.
fn collect(names: &mut BTreeSet<String>, entry: &Value, member: &str) {
    for name in texts(entry, member).into_iter().filter(|name| is_clean(name)) {
        if names.len() < NAMES_MAX {
            names.insert(name.to_owned());
        }
    }
}

/// Whether a text can stand in a comment: files can be changed by others than the ledger's writer.
fn is_clean(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Reasons of requests that no route described when they were seen.
const UNDESCRIBED: [Reason; 2] = [Reason::RouteUnmapped, Reason::RouteUndescribed];
/// Routes that are told apart.
const ROUTES_MAX: usize = 2_000;
/// Names of one kind of one route or type.
const NAMES_MAX: usize = 1_000;
/// Bytes of one name.
const TEXT_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests;
