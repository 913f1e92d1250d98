//! Mapping: a canonical request becomes access requests, by the profile alone. What is not described is refused.
//!
//! Promises: every place that names a record, a field or a method is read; two names for one record must agree; the
//! body is parsed once and that parse is what is decided and forwarded.

pub mod lexer;
pub mod query;
pub mod names;
pub mod projection;
pub mod open_filter;
pub mod selection;
pub mod form;
pub mod multipart;
pub mod body;

use bytes::Bytes;

use super::canonical::{CanonicalHead, check_segment};
use super::hydrate::extract::{canonical_id, is_canonical};
use crate::bundle::profile::Profile;
use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::condition::{Condition, Place};
use crate::bundle::profile::route::{Also, Route, When, WriteSemantics};
use crate::bundle::profile::source::{ActionSource, LinkSource, StageSource, TypeSource, ValueSource, Verb};
use crate::bundle::profile::template::Parameters;
use crate::bundle::profile::transit::{FileOwner, Owner};
use crate::bundle::profile::types::{KeyPath, RecordType};
use crate::json::parse::JsonLimits;
use crate::json::path::Segment;
use crate::json::value::{Document, Kind, Value};
use crate::model::access::Action;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use body::ReadBody;
use lexer::FilterLimits;
use query::{MappedQuery, Said};

/// A request as the profile reads it.
pub struct Mapped<'p> {
    /// The route.
    pub route: &'p Route,
    /// The template's parameters.
    pub parameters: Parameters,
    /// What is asked for; `None` on routes that pass.
    pub action: Option<Action>,
    /// Keys of the record that the action covers by itself: other keys of a body are an edit as well.
    pub covers: &'p [KeyPath],
    /// The records beside its own that a change names elsewhere than in its fields.
    pub links: Vec<Named>,
    /// Further decisions that the body calls for; those that depend on the record are still open.
    pub also: Vec<&'p Also>,
    /// The type of the records.
    pub record_type: Option<&'p RecordType>,
    /// The records' ids in canonical form; empty for collections and new records.
    pub ids: Vec<String>,
    /// The record's key that must hold the id, if it is not the type's own.
    pub alternate_key: Option<&'p KeyPath>,
    /// The target of a stage move, by Cedar id.
    pub target_stage: Option<String>,
    /// The query.
    pub query: MappedQuery,
    /// Headers to forward by the route's own rules.
    pub headers: Vec<(String, String)>,
    /// The body, parsed.
    pub body: Option<ReadBody>,
}

/// A record that a change names beside its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its type.
    pub type_name: String,
    /// Its id in canonical form; `None` for what is no id.
    pub id: Option<String>,
}

/// Finds the route of a head.
pub fn route<'p>(profile: &'p Profile, head: &CanonicalHead) -> Result<(&'p Route, Parameters), Problem> {
    choose(profile, head, None)
}

/// Chooses by all that is known; what depends on a body that was not read yet stays open.
fn choose<'p>(
    profile: &'p Profile,
    head: &CanonicalHead,
    body: Option<&Document>,
) -> Result<(&'p Route, Parameters), Problem> {
    let fulfils = |condition: &Condition| match (&condition.at, body) {
        (Place::Query(name), _) => {
            let pairs = head.query.iter().filter(|(known, _)| known == name);
            condition.test.accepts(&pairs.map(|(_, value)| value.clone()).collect::<Vec<_>>())
        }
        (Place::Header(name), _) => {
            let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            condition.test.accepts(&values.map(str::to_owned).collect::<Vec<_>>())
        }
        (Place::Body(_), None) => true,
        (Place::Body(path), Some(body)) => {
            let text =
                |value: Value<'_>| value.text().map_or(value.raw().to_owned(), |text| text.into_owned());
            condition.test.accepts(&path.find(body.root()).into_iter().map(text).collect::<Vec<_>>())
        }
    };
    check_conditions(profile, head)?;
    let found = profile.match_route(&head.method, &head.segments, head.has_trailing_slash, &fulfils);
    let (_, route, parameters) = found.ok_or(Reason::RouteUnmapped)?;
    Ok((route, parameters))
}

/// A header that decides between the routes of a path has one value: of several the CRM would look at another one.
fn check_conditions(profile: &Profile, head: &CanonicalHead) -> Result<(), Problem> {
    let routes = profile.routes_at(&head.method, &head.segments, head.has_trailing_slash);
    for condition in routes.flat_map(|route| &route.when) {
        if let Place::Header(name) = &condition.at
            && head.headers.get_all(name).iter().nth(1).is_some()
        {
            return Err(Problem::new(Reason::HeaderRefused).detail(format!("header `{name}`")));
        }
    }
    Ok(())
}

impl Mapped<'_> {
    /// Whether it asks for a change.
    pub fn is_write(&self) -> bool {
        self.action.is_some_and(Action::is_change) || self.also.iter().any(|also| also.action.is_change())
    }

    /// Whether it changes whatever records the CRM finds, and names none.
    pub fn is_unbounded(&self) -> bool {
        self.route.unbounded.is_some()
    }

    /// Where the body names each record, in the order of the ids.
    pub fn id_values(&self) -> Vec<Value<'_>> {
        match (self.route.id.as_ref().map(|id| &id.source), self.document()) {
            (Some(ValueSource::Body(path)), Some(body)) => path.find(body.root()),
            _ => Vec::new(),
        }
    }

    /// The route that yields a record as it stands: the one that this route names, or that of its type.
    pub fn image_route<'r>(&self, profile: &'r Profile) -> Option<&'r Route> {
        let of_type = self.record_type.and_then(|record_type| record_type.fetch.as_ref());
        let label = self.route.before.as_ref().or(of_type)?;
        profile.route_labelled(&label.value).map(|(_, route)| route)
    }

    /// What the body says.
    pub fn document(&self) -> Option<&Document> {
        self.body.as_ref().map(|body| &body.document)
    }
}

/// Reads a request by its route.
pub fn read<'p>(
    profile: &'p Profile,
    route: &'p Route,
    parameters: Parameters,
    head: &CanonicalHead,
    body: Bytes,
    limits: &Limits,
) -> Result<Mapped<'p>, Problem> {
    let is_settled = !route.when.iter().any(Condition::is_on_body);
    if route.refuse.is_some() && is_settled {
        return Err(Reason::RouteUndescribed.into());
    }
    let body = body::read(&route.body, &head.headers, body, &limits.json)?;
    let document = body.as_ref().map(|body| &body.document);
    let (route, parameters) = match document {
        Some(document) => of_one_kind(route, choose(profile, head, Some(document))?)?,
        // Without a body no condition on it can be looked at, so what needs one is not this route.
        None if route.when.iter().any(Condition::is_on_body) => return Err(Reason::RouteUnmapped.into()),
        None => (route, parameters),
    };
    if route.refuse.is_some() {
        return Err(Reason::RouteUndescribed.into());
    }
    let request = Request { parameters: &parameters, head, body: document };
    let record_type = record_type(profile, route, &request)?;
    let verb = verb(route, &request)?;
    let action = verb.map(|verb| verb.action).or(match &route.action {
        Some(ActionSource::Constant(action)) => Some(*action),
        _ => None,
    });
    let said = Said { query: &head.query, body: document };
    let mut query = query::read(said, route, record_type, profile, limits)?;
    let headers = read_headers(route, head, &mut query)?;
    let ids = ids(profile, route, &request, limits)?;
    let target_stage = match action {
        Some(Action::MoveStage) => Some(target_stage(profile, route, verb, &request)?),
        _ => None,
    };
    let also = route.also.iter().filter(|also| calls_for(also, route, action, document)).collect();
    let alternate_key = route.id.as_ref().and_then(|id| id.alternate_key.as_ref());
    let links = links(route, &request);
    let covers = verb.map_or(&route.covers, |verb| &verb.covers).as_deref().unwrap_or_default();
    Ok(Mapped {
        route,
        action,
        covers,
        links,
        also,
        record_type,
        ids,
        alternate_key,
        target_stage,
        query,
        headers,
        parameters,
        body,
    })
}

/// What passes was chosen, or not, before anybody was identified and before the body was read: a body that does not fulfil a
/// condition cannot lead there.
fn of_one_kind<'p>(
    by_head: &Route,
    by_body: (&'p Route, Parameters),
) -> Result<(&'p Route, Parameters), Problem> {
    let passes = |route: &Route| route.transit.is_some() || route.pass.is_some();
    match passes(by_head) == passes(by_body.0) {
        true => Ok(by_body),
        false => Err(Reason::RouteUnmapped.into()),
    }
}

/// Limits on what a request may name.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Limits on a JSON body.
    pub json: JsonLimits,
    /// Records that one request may name.
    pub ids_max: usize,
    /// Limits on filters that hold other conditions.
    pub filter: FilterLimits,
}

struct Request<'r> {
    parameters: &'r Parameters,
    head: &'r CanonicalHead,
    body: Option<&'r Document>,
}

impl Request<'_> {
    fn values(&self, source: &ValueSource) -> Vec<String> {
        match source {
            ValueSource::Path(name) => {
                self.parameters.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
            }
            ValueSource::Query(name) => {
                self.head.query.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
            }
            ValueSource::Body(path) => {
                let found = self.body.map(|body| path.find(body.root())).unwrap_or_default();
                found.into_iter().map(|value| canonical_id(value).unwrap_or_default()).collect()
            }
        }
    }

    fn one(&self, source: &ValueSource) -> Option<String> {
        match self.values(source).as_slice() {
            [value] => Some(value.clone()),
            _ => None,
        }
    }
}

fn record_type<'p>(
    profile: &'p Profile,
    route: &Route,
    request: &Request<'_>,
) -> Result<Option<&'p RecordType>, Problem> {
    let first = route.shape.records.first().map(|location| &location.type_source);
    match route.type_source.as_ref().or(first) {
        Some(TypeSource::Constant(name)) => {
            Ok(profile.type_named(&name.value).map(|(_, record_type)| record_type))
        }
        Some(TypeSource::Named(source)) => {
            let named = request.one(source).and_then(|name| profile.type_on_wire(&name));
            named.map(Some).ok_or_else(|| Reason::TypeUnknown.into())
        }
        Some(TypeSource::Route | TypeSource::Discriminator(_)) | None => Ok(None),
    }
}

fn verb<'p>(route: &'p Route, request: &Request<'_>) -> Result<Option<&'p Verb>, Problem> {
    let Some(ActionSource::Verbs { from, verbs }) = &route.action else { return Ok(None) };
    let listed = request.one(from).and_then(|name| verbs.get(&name));
    listed.map(Some).ok_or_else(|| Reason::VerbUnlisted.into())
}

fn ids(
    profile: &Profile,
    route: &Route,
    request: &Request<'_>,
    limits: &Limits,
) -> Result<Vec<String>, Problem> {
    let source = match &route.id {
        Some(id) => id.source.clone(),
        None if route.template.parameter_names().any(|name| name == "id") && !names_file_by_id(route) => {
            ValueSource::Path("id".to_owned())
        }
        None => return Ok(Vec::new()),
    };
    let ids = request.values(&source);
    let is_many = route.id.as_ref().is_some_and(|id| id.is_many());
    if ids.is_empty() {
        return Err(Reason::IdMissing.into());
    }
    if ids.len() > 1 && !is_many {
        return Err(Reason::IdConflict.into());
    }
    if ids.len() > limits.ids_max {
        return Err(Reason::IdTooMany.into());
    }
    let image_route = route.before.as_ref().and_then(|label| profile.route_labelled(&label.value));
    let fits = |id: &String| image_route.is_none_or(|(_, image_route)| can_be_fetched(id, image_route));
    if !ids.iter().all(|id| is_canonical(id) && fits(id)) {
        return Err(Reason::IdMalformed.into());
    }
    let mut distinct: Vec<&String> = ids.iter().collect();
    distinct.sort();
    distinct.dedup();
    match distinct.len() == ids.len() {
        true => Ok(ids),
        false => Err(Reason::IdConflict.into()),
    }
}

fn links(route: &Route, request: &Request<'_>) -> Vec<Named> {
    let named = |link: &LinkSource| {
        let type_name = link.type_name.value.clone();
        let ids = request.values(&link.id).into_iter().map(|id| Some(id).filter(|id| is_canonical(id)));
        ids.map(move |id| Named { type_name: type_name.clone(), id }).collect::<Vec<_>>()
    };
    route.links.iter().flat_map(named).collect()
}

/// Whether the template's `{id}` is a file's, not the record's.
fn names_file_by_id(route: &Route) -> bool {
    let owner = route.transit.as_ref().map(|transit| &transit.owner);
    matches!(owner, Some(Owner::File(FileOwner { of: ValueSource::Path(name), .. })) if name == "id")
}

/// A template's parameters with this id in the place of another.
pub fn with_id(parameters: &[(String, String)], id: &str) -> Parameters {
    let others = parameters.iter().filter(|(name, _)| name != "id").cloned();
    others.chain([("id".to_owned(), id.to_owned())]).collect()
}

/// Whether an id can stand in the path of an image route as one segment and nothing else.
pub fn can_be_fetched(id: &str, image_route: &Route) -> bool {
    check_segment(id).is_ok() && image_route.template.accepts("id", id)
}

fn target_stage(
    profile: &Profile,
    route: &Route,
    verb: Option<&Verb>,
    request: &Request<'_>,
) -> Result<String, Problem> {
    let from_body =
        |value: Value<'_>| value.text().map(|text| text.into_owned()).or_else(|| canonical_id(value));
    let name = match (verb.and_then(|verb| verb.to.as_ref()), &route.to) {
        (Some(name), _) | (None, Some(StageSource::Constant(name))) => Some(name.value.clone()),
        (None, Some(StageSource::Body(path))) => {
            request.body.and_then(|body| path.first(body.root())).and_then(from_body)
        }
        (None, None) => None,
    };
    let stage = name.and_then(|name| profile.stages.by_wire_name(&name));
    stage.map(|stage| stage.id.clone()).ok_or_else(|| Reason::StageUnknown.into())
}

fn calls_for(also: &Also, route: &Route, action: Option<Action>, body: Option<&Document>) -> bool {
    let Some(value) = body.and_then(|body| also.at.first(body.root())) else {
        // A full replacement changes what it leaves out, and so may a composite that is stated without it.
        let is_replace =
            route.writes.as_ref().is_some_and(|writes| writes.semantics == WriteSemantics::Replace);
        let may_erase = || action != Some(Action::Create) && states_around(also, route, body);
        return also.when == When::Changes && (is_replace || may_erase());
    };
    match &also.when {
        When::Present | When::Changes => true,
        When::Is(texts) => texts.iter().any(|text| value.is(text)) || is_of_other_kind(value, texts),
    }
}

/// Whether a body states the composite in which a key stands.
fn states_around(also: &Also, route: &Route, body: Option<&Document>) -> bool {
    let Some((writes, body)) = route.writes.as_ref().zip(body) else { return false };
    match also.at.segments().strip_prefix(writes.at.segments()) {
        Some([Segment::Key(composite), _, ..]) => {
            writes.at.first(body.root()).is_some_and(|object| object.member(composite).is_some())
        }
        Some(_) | None => false,
    }
}

/// Whether a value is of another kind than every one of some JSON texts: the CRM may convert it into any of them, as forms are.
fn is_of_other_kind(value: Value<'_>, texts: &[String]) -> bool {
    let kind = |text: &String| match text.bytes().next() {
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        _ => Kind::Number,
    };
    !texts.iter().any(|text| kind(text) == value.kind())
}

fn read_headers(
    route: &Route,
    head: &CanonicalHead,
    query: &mut MappedQuery,
) -> Result<Vec<(String, String)>, Problem> {
    let mut forwarded = Vec::new();
    for rule in &route.headers {
        let mut values =
            head.headers.get_all(rule.name.as_str()).iter().filter_map(|value| value.to_str().ok());
        let Some(value) = values.next() else { continue };
        let refused = || Problem::new(Reason::HeaderRefused).detail(format!("header `{}`", rule.name));
        let fits = rule.prefix.as_deref().is_none_or(|prefix| value.starts_with(prefix));
        match rule.role {
            Role::Ignored => continue,
            Role::Paging if fits && values.next().is_none() => query.is_paged = true,
            Role::Harmless if fits && values.next().is_none() => {}
            _ => return Err(refused()),
        }
        forwarded.push((rule.name.clone(), value.to_owned()));
    }
    Ok(forwarded)
}

#[cfg(test)]
mod tests;
