//! A route as it was seen: a path with placeholders, merged over the requests that share its words.
//!
//! Promises: each template parses; where two could match one request, one names the other, so that the routes load.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::{Tally, collect};
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::template::{PathCase, Template};

/// A method and a path with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPath {
    /// `HEAD` counts as `GET`.
    method: String,
    takes_head: bool,
    pieces: Vec<Piece>,
    has_trailing_slash: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    Int,
    Uuid,
    Text,
}

/// A route that no template of the profile matches.
#[derive(Clone, Debug)]
pub struct DraftRoute {
    /// Where it is.
    pub path: SeenPath,
    /// How often it was asked.
    pub tally: Tally,
    /// Names of its parameters.
    pub query: BTreeSet<String>,
    /// Content types of bodies that were sent.
    pub request_types: BTreeSet<String>,
    /// Places of these bodies.
    pub request_keys: BTreeSet<String>,
    /// Content types of answers.
    pub answer_types: BTreeSet<String>,
    /// Places of answers.
    pub answer_keys: BTreeSet<String>,
    /// Statuses of answers.
    pub statuses: BTreeSet<u64>,
}

impl SeenPath {
    /// Reads a method and `/api/deals/{int}`.
    pub fn parse(method: &str, path: &str) -> Option<Self> {
        let inner = path.strip_prefix('/')?;
        let has_trailing_slash = inner.ends_with('/');
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let piece = |text: &str| match text {
            "{int}" => Piece::Int,
            "{uuid}" => Piece::Uuid,
            "{}" => Piece::Text,
            word => Piece::Word(word.to_owned()),
        };
        let pieces = inner.split('/').filter(|text| !text.is_empty()).map(piece).collect();
        let takes_head = method == "HEAD";
        let method = if takes_head { "GET" } else { method }.to_owned();
        let seen = Self { method, takes_head, pieces, has_trailing_slash };
        // `OPTIONS` and the like stand in no template; the path must fit all the same.
        Template::parse(&format!("GET {}", seen.template_path())).is_ok().then_some(seen)
    }

    /// Whether both have the same words at the same places.
    pub fn merges_with(&self, other: &SeenPath) -> bool {
        let same = |(mine, theirs): (&Piece, &Piece)| match (mine, theirs) {
            (Piece::Word(mine), Piece::Word(theirs)) => mine == theirs,
            (Piece::Word(_), _) | (_, Piece::Word(_)) => false,
            _ => true,
        };
        self.method == other.method
            && self.has_trailing_slash == other.has_trailing_slash
            && self.pieces.len() == other.pieces.len()
            && self.pieces.iter().zip(&other.pieces).all(same)
    }

    fn merge(&mut self, other: &SeenPath) {
        self.takes_head |= other.takes_head;
        for (mine, theirs) in self.pieces.iter_mut().zip(&other.pieces) {
            if mine != theirs {
                *mine = Piece::Text;
            }
        }
    }

    /// The profile's route that such a request matches.
    pub fn route_of<'p>(&self, profile: &'p Profile) -> Option<&'p Route> {
        let sample = |piece: &Piece| match piece {
            Piece::Word(word) => word.clone(),
            Piece::Int => "1".to_owned(),
            Piece::Uuid => "00000000-0000-0000-0000-000000000000".to_owned(),
            // No number and no uuid, so only what takes any text is found.
            Piece::Text => "any.text".to_owned(),
        };
        let segments: Vec<String> = self.pieces.iter().map(sample).collect();
        let method = http::Method::from_bytes(self.method.as_bytes()).ok()?;
        let found = profile.match_route(&method, &segments, self.has_trailing_slash, &|_| true);
        found.map(|(_, route, _)| route)
    }

    /// The label of its template.
    pub fn label(&self) -> String {
        let methods = if self.takes_head { "GET,HEAD" } else { &self.method };
        format!("{methods} {}", self.template_path())
    }

    /// Whether a template can hold its method.
    pub fn template(&self) -> Option<Template> {
        Template::parse(&self.label()).ok()
    }

    /// Whether some segment could be a word that is not known.
    pub fn has_open_segment(&self) -> bool {
        self.pieces.contains(&Piece::Text)
    }

    /// What such a request probably does.
    pub fn action_guess(&self) -> &'static str {
        let is_of_one = !matches!(self.pieces.last(), Some(Piece::Word(_)) | None);
        let has_id = self.pieces.iter().any(|piece| !matches!(piece, Piece::Word(_)));
        match (self.method.as_str(), is_of_one, has_id) {
            ("GET", true, _) => "view",
            ("GET", false, _) => "list",
            ("POST", _, false) => "create",
            ("DELETE", ..) => "delete",
            _ => "edit",
        }
    }

    fn template_path(&self) -> String {
        let last = self.pieces.iter().rposition(|piece| !matches!(piece, Piece::Word(_)));
        let mut used = HashSet::new();
        let mut path = String::new();
        let mut before = "part";
        for (at, piece) in self.pieces.iter().enumerate() {
            let name = if Some(at) == last { "id".to_owned() } else { unique(before, at, &mut used) };
            path.push('/');
            match piece {
                Piece::Word(word) => {
                    path.push_str(word);
                    before = word;
                }
                Piece::Int => path.push_str(&format!("{{{name}:int}}")),
                Piece::Uuid => path.push_str(&format!("{{{name}:uuid}}")),
                Piece::Text => path.push_str(&format!("{{{name}}}")),
            }
        }
        if self.has_trailing_slash || self.pieces.is_empty() {
            path.push('/');
        }
        path
    }

    /// How exact it is, place by place: a word before a number before any text.
    fn exactness(&self) -> Vec<u8> {
        let rank = |piece: &Piece| match piece {
            Piece::Word(_) => 2,
            Piece::Int | Piece::Uuid => 1,
            Piece::Text => 0,
        };
        self.pieces.iter().map(rank).collect()
    }
}

/// A parameter's name after the word before it: `deals_id`.
fn unique(before: &str, at: usize, used: &mut HashSet<String>) -> String {
    let plain: String = before.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = format!("{}_id", plain.to_ascii_lowercase());
    if used.insert(name.clone()) { name } else { format!("{name}{at}") }
}

impl DraftRoute {
    /// A route of which nothing is counted yet.
    pub fn new(path: SeenPath) -> Self {
        Self {
            path,
            tally: Tally::default(),
            query: BTreeSet::new(),
            request_types: BTreeSet::new(),
            request_keys: BTreeSet::new(),
            answer_types: BTreeSet::new(),
            answer_keys: BTreeSet::new(),
            statuses: BTreeSet::new(),
        }
    }

    /// Adds a request.
    pub fn add(&mut self, path: &SeenPath, entry: &Value) {
        self.path.merge(path);
        self.tally.add(entry);
        collect(&mut self.query, entry, "query");
        collect(&mut self.request_keys, entry, "request_keys");
        collect(&mut self.answer_keys, entry, "answer_keys");
        for (types, member) in
            [(&mut self.request_types, "request_type"), (&mut self.answer_types, "answer_type")]
        {
            let found = entry.get(member).and_then(Value::as_str).filter(|text| super::is_clean(text));
            types.extend(found.map(str::to_owned));
        }
        self.statuses.extend(entry.get("status").and_then(Value::as_u64));
    }

    /// Where the records of the answer seem to be: the object nearest to the root that has an id, in a list where many are
    /// asked for, and under a key that stands in the path if there is one.
    pub fn records_guess(&self) -> Option<String> {
        let with_id = self.answer_keys.iter().filter_map(|place| place.strip_suffix("/id"));
        let is_list = self.path.action_guess() == "list";
        let is_named = |place: &str| {
            let key = place.trim_end_matches("/[*]").rsplit('/').next().unwrap_or_default();
            self.path.pieces.contains(&Piece::Word(key.to_owned()))
        };
        let nearest = with_id.min_by_key(|place| {
            let depth = place.split('/').filter(|key| !matches!(*key, "" | "[*]")).count();
            (place.contains("[*]") != is_list, depth, !is_named(place), place.len())
        })?;
        Some(format!("${}", nearest.replace("/[*]", "[*]").replace('/', ".")))
    }
}

/// What a drafted route must say of its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Labels of routes that it precedes.
    pub over: Vec<String>,
    /// Labels of the profile's routes that would have to precede it.
    pub under: Vec<String>,
}

/// The order of one drafted route among all others and those of the profile.
pub fn order(route: &DraftRoute, all: &[DraftRoute], profile: Option<&Profile>) -> Order {
    let mut order = Order::default();
    let Some(template) = route.path.template() else { return order };
    let case = profile.map_or(PathCase::Sensitive, |profile| profile.path_case);
    for other in all {
        let overlaps = other.path.template().is_some_and(|other| other.overlaps(&template, case));
        if overlaps && other.path.exactness() < route.path.exactness() {
            order.over.push(other.path.label());
        }
    }
    for other in profile.map(|profile| profile.routes.as_slice()).unwrap_or_default() {
        if other.template.overlaps(&template, case) {
            let theirs = exactness_of(&other.template);
            match theirs < route.path.exactness() {
                true => order.over.push(other.label()),
                false => order.under.push(other.label()),
            }
        }
    }
    order
}

fn exactness_of(template: &Template) -> Vec<u8> {
    let rank = |segment: &str| match segment {
        segment if !segment.contains('{') => 2,
        segment if segment.contains(":int") || segment.contains(":uuid") => 1,
        _ => 0,
    };
    template.path_text().split('/').filter(|segment| !matches!(*segment, "" | "?")).map(rank).collect()
}
