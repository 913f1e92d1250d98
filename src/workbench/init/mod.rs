//! Drafts a bundle from an OpenAPI document: profile, schema, starter policies and a first file of cases.
//!
//! Promises: nothing in it permits anything; each guess says how sure it is and why; what is not understood is refused, with the reason.
//! The same document gives the same bundle. Never asks another file or the network, and never fails on a document that parses.

pub mod document;
pub mod schema;
pub mod operation;
pub mod records;
pub mod names;
pub mod path;
pub mod parameters;
pub mod types;
pub mod stages;
pub mod reads;
pub mod changes;
pub mod overlaps;
pub mod server;
pub mod write;
pub mod report;

use std::collections::HashMap;

use crate::model::access::Action;
use changes::Changes;
use document::Document;
use names::comment;
use operation::Operation;
use parameters::DraftParameter;
use path::{PartKind, Path};
use reads::{Read, View};
use schema::{Kind, Schemas};
use stages::DraftPipeline;
use types::{DraftType, Types};

/// How sure a guess is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Rather not: it stays refused until somebody confirms it.
    Low,
    /// Probably.
    Medium,
    /// The document says so in a usual way.
    High,
}

impl Confidence {
    /// Every degree, from the surest.
    pub const ALL: [Confidence; 3] = [Confidence::High, Confidence::Medium, Confidence::Low];

    /// The name in comments and reports.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// A guess: how sure, and what makes it less than certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// How sure.
    pub confidence: Confidence,
    /// Why not surer; empty if there is nothing to say.
    pub why: String,
}

impl Guess {
    /// A guess that is sure, as far as a document can be trusted.
    pub fn sure() -> Self {
        Self { confidence: Confidence::High, why: String::new() }
    }

    /// A guess with a reason.
    pub fn new(confidence: Confidence, why: impl Into<String>) -> Self {
        Self { confidence, why: why.into() }
    }

    /// Both together: as sure as the less sure one.
    #[must_use]
    pub fn and(self, other: Guess) -> Self {
        let confidence = self.confidence.min(other.confidence);
        let why =
            [self.why, other.why].into_iter().filter(|why| !why.is_empty()).collect::<Vec<_>>().join("; ");
        Self { confidence, why }
    }

    /// As a comment: `medium: PUT is taken for a replacement`.
    pub fn told(&self) -> String {
        match self.why.as_str() {
            "" => self.confidence.name().to_owned(),
            why => comment(&format!("{}: {why}", self.confidence.name())),
        }
    }
}

/// Everything that a document tells.
#[derive(Debug)]
pub struct Draft<'d> {
    /// The document's version, such as `3.0.3`.
    pub version: &'d str,
    /// The record types.
    pub types: Vec<DraftType<'d>>,
    /// The stage catalogue.
    pub pipelines: Vec<DraftPipeline<'d>>,
    /// The routes, in the order of the document.
    pub routes: Vec<DraftRoute<'d>>,
    /// The content type that the CRM must be asked for, if it is not plain JSON.
    pub accept: Option<&'d str>,
    /// What else somebody should know.
    pub notes: Vec<String>,
}

/// One route.
#[derive(Debug)]
pub struct DraftRoute<'d> {
    /// The label: methods and template; where no template can say it, method and path as the document has them.
    pub label: String,
    /// Labels of routes that it precedes.
    pub over: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Its query parameters.
    pub parameters: Vec<DraftParameter<'d>>,
    /// What to look at.
    pub notes: Vec<String>,
    /// The path, if a template can say it, and how exact it is.
    exactness: Option<Vec<u8>>,
}

/// What became of an operation.
#[derive(Debug)]
pub enum Outcome {
    /// It is described, or would be if somebody confirmed it.
    Described(Box<Described>),
    /// It is known and refused, and why.
    Refused(String),
    /// No route of a profile can say it, and why: it is refused as unknown.
    Unsayable(String),
}

/// What a route means.
#[derive(Debug)]
pub struct Described {
    /// The action.
    pub action: Action,
    /// The type, by its place in the draft.
    pub type_index: usize,
    /// How sure all of it is.
    pub guess: Guess,
    /// Where the request names the record, as TOML, if it is not the path's `id`.
    pub id: Option<String>,
    /// Where the records of the answer are.
    pub records: Option<String>,
    /// The label of the route that yields the record as it stands.
    pub before: Option<String>,
    /// Where the body's fields are.
    pub writes: Option<String>,
    /// Whether what the body leaves out is erased.
    pub replaces: bool,
    /// Where the body names the stage.
    pub to: Option<String>,
    /// What the body is, if it is not JSON.
    pub body: Option<&'static str>,
}

impl Described {
    /// A route of which no more is known than what it does, and to what.
    fn new(action: Action, type_index: usize, guess: Guess) -> Self {
        Self {
            action,
            type_index,
            guess,
            id: None,
            records: None,
            before: None,
            writes: None,
            replaces: false,
            to: None,
            body: None,
        }
    }
}

impl DraftRoute<'_> {
    fn new(label: String, outcome: Outcome, exactness: Option<Vec<u8>>) -> Self {
        Self { label, over: Vec::new(), outcome, parameters: Vec::new(), notes: Vec::new(), exactness }
    }

    /// What it means, if that is sure enough to be in force.
    pub fn in_force(&self) -> Option<&Described> {
        match &self.outcome {
            Outcome::Described(described) if described.guess.confidence > Confidence::Low => Some(described),
            Outcome::Described(_) | Outcome::Refused(_) | Outcome::Unsayable(_) => None,
        }
    }

    /// Why it is refused, if it is.
    pub fn refusal(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Described(described) if described.guess.confidence == Confidence::Low => {
                Some(format!("guessed with low confidence: {}", described.guess.why))
            }
            Outcome::Described(_) => None,
            Outcome::Refused(why) | Outcome::Unsayable(why) => Some(why.clone()),
        }
    }
}

/// An operation with its path taken apart.
pub struct Sayable<'d> {
    /// The operation.
    pub operation: Operation<'d>,
    /// The path with what all paths begin with.
    pub whole_path: String,
    /// The same, taken apart, or why it cannot be said.
    pub path: Result<Path, &'static str>,
    kinds: HashMap<&'d str, PartKind>,
}

impl<'d> Sayable<'d> {
    fn new(operation: Operation<'d>, base: &str, schemas: &Schemas<'d>) -> Self {
        let whole_path = format!("{base}/{}", operation.path.trim_start_matches('/'));
        let in_path = operation.parameters.iter().filter(|parameter| parameter.stands == "path");
        let kind = |schema: Option<&'d serde_json::Value>| {
            let shape = schemas.shape(schema?)?;
            match (shape.kind, shape.format) {
                (Kind::Whole, _) => Some(PartKind::Int),
                (Kind::Text, Some("uuid")) => Some(PartKind::Uuid),
                _ => None,
            }
        };
        let kinds = in_path.filter_map(|parameter| Some((parameter.name, kind(parameter.schema)?))).collect();
        Self { path: Path::parse(&whole_path), whole_path, operation, kinds }
    }

    /// What a parameter of the path takes.
    pub fn kind(&self, name: &str) -> PartKind {
        self.kinds.get(name).copied().unwrap_or(PartKind::Text)
    }

    /// The label of its route, in which that parameter is called `id`.
    pub fn label(&self, path: &Path, record: Option<&str>) -> String {
        path.label(self.methods(), record, &|name| self.kind(name))
    }

    fn methods(&self) -> &'static str {
        if self.operation.takes_head { "GET,HEAD" } else { self.operation.method }
    }
}

/// Drafts what a document tells.
pub fn draft(document: &Document) -> Draft<'_> {
    let schemas = Schemas::of(document);
    let server = server::of(document);
    let (operations, others) = operation::all(document);
    let operations: Vec<Sayable<'_>> =
        operations.into_iter().map(|operation| Sayable::new(operation, &server.base, &schemas)).collect();
    let reads: Vec<Result<Read<'_>, String>> =
        operations.iter().map(|operation| reads::read(operation, &schemas)).collect();
    let mut types = Types::of(&reads, &schemas);
    let mut notes = server.notes;
    let pipelines = stages::draft(&mut types, &schemas, &mut notes);
    let mut routes: Vec<DraftRoute<'_>> = Vec::new();
    let mut views: HashMap<&str, View> = HashMap::new();
    for (operation, read) in operations.iter().zip(&reads) {
        let route = reads::route(operation, read, &types);
        if let Some(view) = reads::view(&route) {
            types.fetched_by(view.type_index, &view.label, operation);
            views.insert(operation.whole_path.trim_end_matches('/'), view);
        }
        routes.push(route);
    }
    let changes = Changes { schemas: &schemas, types: &types, views: &views };
    for (operation, route) in operations.iter().zip(&mut routes) {
        changes.describe(operation, route);
        route.parameters = parameters::guess(operation, route, &types, &schemas);
    }
    overlaps::settle(&mut routes);
    changes::keep_whole(&mut routes, &mut types);
    if others > 0 {
        notes.push(format!("operations left out, by OPTIONS, TRACE or HEAD alone, or too many: {others}"));
    }
    notes.extend(document.unfollowed().into_iter().map(|(file, count)| {
        let place = if file.is_empty() { "what the document does not have" } else { file };
        comment(&format!("what refers to `{place}` is not described: references not followed: {count}"))
    }));
    let accept = server::accept(&operations);
    Draft { version: &document.version, types: types.list, pipelines, routes, accept, notes }
}

#[cfg(test)]
mod tests;
