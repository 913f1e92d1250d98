//! Hydration by asking the CRM (PIP): before images, and attributes that an answer does not carry.
//!
//! Promises: only routes that the profile names are asked; each fetch has a time-out and there are at most so many per
//! request; what is fetched serves for deciding and never leaves.

pub mod judged;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use super::decide::gate::RecordGate;
use super::enforce::answer::{Answer, open};
use super::forward::{Passage, Probe, UpstreamResponse};
use super::hydrate::convert::Lookups;
use super::hydrate::image::Image;
use super::hydrate::records::{Asked, FoundRecord};
use super::map::projection::{MappedProjection, default_projection};
use super::map::{Mapped, can_be_fetched, with_id};
use super::pool::{Entry, Work};
use super::serving::Serving;
use super::sidecar::{RouteLimits, Sidecar};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::Profile;
use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::version::VersionSource;
use crate::bundle::profile::route::{MissingRecord, Route, Writes};
use crate::bundle::profile::shape::Shape;
use crate::bundle::profile::types::{KeyPath, KeyPattern, RecordType};
use crate::json::parse::JsonLimits;
use crate::json::token::quoted;
use crate::json::value::Document;
use crate::model::access::Action;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, RecordFacts};
use crate::model::seeded::{Fault, is_seeded};
use judged::RecordKey;

/// Fetches for one request.
pub struct Fetcher<'a> {
    /// The service.
    pub sidecar: &'a Sidecar,
    /// What serves.
    pub serving: &'a Serving,
    /// What the CRM is shown.
    pub credential: &'a (HeaderName, HeaderValue),
    /// The gate of the principal.
    pub gate: &'a RecordGate,
    /// What every request to the CRM carries.
    pub passage: &'a Passage,
    /// Limits of the route.
    pub limits: &'a RouteLimits,
}

impl Fetcher<'_> {
    fn lookups(&self) -> Lookups<'_> {
        let snapshot = &self.serving.snapshot;
        Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory }
    }

    fn profile(&self) -> &Profile {
        &self.serving.snapshot.bundle.profile
    }

    /// The before image of each record that a request names; where such records are left out, of those that are there.
    pub async fn before_images(&self, mapped: &Mapped<'_>) -> Result<Vec<Image>, Problem> {
        let route = mapped.image_route(self.profile());
        let route = route.ok_or_else(|| Problem::new(Reason::Internal).internal("no image route"))?;
        let record_type = mapped.record_type.ok_or(Reason::TypeUnknown)?;
        let names = self.names_for_change(mapped, record_type);
        let mut images = Vec::new();
        for id in &mapped.ids {
            let image =
                self.image(route, record_type, id, &mapped.parameters, mapped.alternate_key, &names).await;
            match image {
                // It is left out, like one that may not be seen.
                Err(problem) if problem.reason == Reason::NotFound && may_be_missing(mapped.route) => {}
                image => images.push(image?),
            }
        }
        Ok(images)
    }

    /// What the route of its type answers about a record, if the profile says how.
    async fn fetch_record(&self, (type_name, id): &RecordKey) -> Option<RecordFacts> {
        let (_, record_type) = self.profile().type_named(type_name)?;
        let label = record_type.fetch.as_ref()?;
        let (_, route) = self.profile().route_labelled(&label.value)?;
        let names = select_names(self.profile(), type_name, self.gate.needed(type_name));
        let image = self.image(route, record_type, id, &Vec::new(), None, &names).await;
        image.ok().map(|image| image.facts)
    }

    /// One record, by the route that yields it.
    pub async fn image(
        &self,
        route: &Route,
        record_type: &RecordType,
        id: &str,
        parameters: &[(String, String)],
        alternate_key: Option<&KeyPath>,
        names: &[String],
    ) -> Result<Image, Problem> {
        if !can_be_fetched(id, route) {
            return Err(Reason::IdMalformed.into());
        }
        let parameters = with_id(parameters, id);
        let pairs = probe_projection(route).map(|projection| projection.pairs(names)).transpose()?;
        let probe = Probe {
            upstream: &self.sidecar.upstream,
            profile: self.profile(),
            credential: self.credential,
            passage: self.passage,
        };
        let response = probe.fetch(route, &parameters, &pairs.unwrap_or_default()).await?;
        let work = Work::on(&response.headers, &response.body, Entry::Begun);
        let read = || {
            let document = self.record_in(&response, route)?;
            let image = Image::read(document, route, Some(record_type), id, alternate_key, self.lookups());
            image.map(|image| image.with_headers(response.headers.clone())).map_err(|reason| match reason {
                Reason::NotFound => other_record(),
                reason => {
                    Problem::new(reason).internal("the before image is not as the profile describes it")
                }
            })
        };
        self.sidecar.pool.run(work, read).await?
    }

    /// The answer about one record, as far as it has one.
    fn record_in(&self, response: &UpstreamResponse, route: &Route) -> Result<Document, Problem> {
        match open(response, route, &self.limits.answer)? {
            Answer::Success(document) => Ok(document),
            Answer::NotFound => Err(Reason::NotFound.into()),
            Answer::Empty | Answer::Table(..) => {
                Err(Problem::new(Reason::UpstreamShape).upstream(response.status))
            }
            // No inside of a success: there is no such record, as far as the caller may know.
            Answer::Rejected(200..=299, _) => Err(Reason::NotFound.into()),
            Answer::Rejected(status, _) => Err(Problem::new(Reason::CrmRejected).upstream(status)),
        }
    }

    /// What a before image must carry: attributes for every decision, and the fields that are written.
    fn names_for_change(&self, mapped: &Mapped<'_>, record_type: &RecordType) -> Vec<String> {
        let actions: Vec<&str> = crate::bundle::slices::GATE_ACTIONS
            .iter()
            .copied()
            .chain(["writeField", "moveStage", "edit"])
            .chain(mapped.action.map(Action::name))
            .chain(mapped.also.iter().map(|also| also.action.name()))
            .collect();
        let slices = &self.serving.snapshot.bundle.slices;
        let mut needed = slices.attributes_needed(&actions, &record_type.name);
        let slices = actions.iter().filter_map(|action| slices.of(action, &record_type.name));
        if slices.into_iter().any(|slice| slice.dependencies.reads_context("proposed")) {
            needed.extend(self.serving.snapshot.bundle.schema.proposed.iter().cloned());
        }
        // Where a record stands and whose it is goes into the ledger, whether or not a policy looks at it.
        needed.extend(["stage", "pipeline", "owner", "team"].map(str::to_owned));
        let mut names = select_names(self.profile(), &record_type.name, &needed);
        let body = mapped.document().zip(mapped.route.writes.as_ref());
        let object = body.and_then(|(body, writes)| writes.at.first(body.root()));
        for member in object.into_iter().flat_map(|object| object.members()) {
            let key = member.key().into_owned();
            let is_described = self.profile().tree(&record_type.name).is_some_and(|tree| {
                matches!(
                    tree.meaning(&key),
                    crate::bundle::profile::tree::Meaning::Field(_)
                        | crate::bundle::profile::tree::Meaning::Container(_)
                )
            });
            if is_described {
                names.push(key);
            }
        }
        if let Some(VersionSource::Record(key)) = mapped.route.version.pinning().map(|pinning| &pinning.from)
        {
            names.extend(key.first().cloned());
        }
        names.sort();
        names.dedup();
        names
    }
}

/// Whether a change goes on if a record that it names is not there: it is left out, or made.
fn may_be_missing(route: &Route) -> bool {
    route.prune.is_some() || route.missing == MissingRecord::Create
}

/// An answer about one record must be about the one that was asked for.
pub fn check_identity(found: &[FoundRecord], shape: &Shape, mapped: &Mapped<'_>) -> Result<(), Problem> {
    let (Some(first), Some(asked)) = (found.first(), expected_id(shape, mapped)) else { return Ok(()) };
    // What is made beside a record, such as a file, has a type and an id of its own.
    let is_other_type = mapped.record_type.is_some_and(|asked| asked.name != first.facts.type_name);
    match is_other_type || first.facts.id == *asked {
        true => Ok(()),
        false => Err(other_record()),
    }
}

/// The id that the one record of an answer must have.
pub fn expected_id<'m>(shape: &Shape, mapped: &'m Mapped<'_>) -> Option<&'m str> {
    let is_single = shape.records.first().is_some_and(|location| !location.is_many());
    let is_named = mapped.alternate_key.is_none() && mapped.action != Some(Action::Create);
    match mapped.ids.as_slice() {
        [asked] if is_single && is_named => Some(asked),
        _ => None,
    }
}

/// The type of a record whose facts lack an attribute that the gate needs; `None` if they lack nothing.
pub fn lacking<'p>(profile: &'p Profile, gate: &RecordGate, facts: &RecordFacts) -> Option<&'p RecordType> {
    let needed = gate.needed(&facts.type_name);
    let (_, record_type) = profile.type_named(&facts.type_name)?;
    let mut attributes = record_type.attributes.iter().zip(&facts.attributes);
    let lacks = attributes
        .any(|(spec, attribute)| *attribute == Attribute::NotCarried && needed.contains(&spec.name));
    (lacks && !gate.sees_alike(record_type)).then_some(record_type)
}

/// The facts of a record, with what they lack taken from other facts of it.
pub fn complete(facts: &RecordFacts, other: &RecordFacts) -> RecordFacts {
    let mut completed = facts.clone();
    for (mine, theirs) in completed.attributes.iter_mut().zip(&other.attributes) {
        if *mine == Attribute::NotCarried {
            *mine = theirs.clone();
        }
    }
    completed
}

/// What a request asks about.
pub fn asked<'m>(mapped: &'m Mapped<'_>) -> Asked<'m> {
    let id = match mapped.ids.as_slice() {
        [id] if mapped.alternate_key.is_none() => Some(id.as_str()),
        _ => None,
    };
    Asked { record_type: mapped.record_type, id }
}

/// What the records of one answer carry, by record. What stands in another record does not count: that one may be hidden.
pub fn carried(found: &[FoundRecord]) -> HashMap<(String, String), RecordFacts> {
    let mut carried: HashMap<(String, String), RecordFacts> = HashMap::new();
    for record in found.iter().filter(|record| record.within.is_none()) {
        let key = (record.facts.type_name.clone(), record.facts.id.clone());
        let known = carried.entry(key).or_insert_with(|| record.facts.clone());
        *known = complete(known, &record.facts);
    }
    carried
}

/// The facts of a record with what the same answer says of it in other places: one answer, one moment.
pub fn complete_from(facts: &RecordFacts, carried: &HashMap<(String, String), RecordFacts>) -> RecordFacts {
    match carried.get(&(facts.type_name.clone(), facts.id.clone())) {
        Some(other) => complete(facts, other),
        None => facts.clone(),
    }
}

/// Names that the caller's projection lacks and policy needs.
pub fn missing_names(mapped: &Mapped<'_>, profile: &Profile, gate: &RecordGate) -> Vec<String> {
    let projection = mapped.query.projection.as_ref().filter(|_| !is_seeded(Fault::NeedsAreNotAsked));
    let (Some(projection), Some(record_type)) = (projection, mapped.record_type) else {
        return Vec::new();
    };
    let needed = |type_name: &str| select_names(profile, type_name, gate.needed(type_name));
    projection.selection.missing(profile, record_type, &needed)
}

/// The names by which a projection asks for some attributes.
pub fn select_names(profile: &Profile, type_name: &str, attributes: &BTreeSet<String>) -> Vec<String> {
    let record_type = profile.type_named(type_name).map(|(_, record_type)| record_type);
    let specs = record_type.into_iter().flat_map(|record_type| &record_type.attributes);
    let mut names: Vec<String> =
        specs.filter(|spec| attributes.contains(&spec.name)).map(|spec| spec.select.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The projection of an image route: names are asked for only where the CRM would not answer everything by itself.
fn probe_projection(route: &Route) -> Option<MappedProjection> {
    let projection = default_projection(route)?;
    let is_select = route.query.iter().any(|rule| {
        rule.role == Role::Select
            && matches!(&rule.name, KeyPattern::Exact(name) if projection.is_parameter(name))
    });
    is_select.then(|| projection.without_names())
}

/// The record that a request proposes: its body over what the CRM assumes where the body is silent.
pub fn proposed(
    mapped: &Mapped<'_>,
    record_type: &RecordType,
    snapshot: &Snapshot,
    limits: &JsonLimits,
) -> Result<Image, Problem> {
    let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
    let object = match (mapped.document(), &mapped.route.writes) {
        (Some(body), Some(writes)) => with_defaults(body, writes, mapped)?,
        _ => Bytes::from_static(b"{}"),
    };
    let document = Document::parse(object, limits).map_err(|_| Reason::BodyShape)?;
    Ok(Image::proposed(document, record_type, lookups))
}

fn with_defaults(body: &Document, writes: &Writes, mapped: &Mapped<'_>) -> Result<Bytes, Problem> {
    let object = writes.at.first(body.root()).ok_or(Reason::BodyShape)?;
    if object.kind() != crate::json::value::Kind::Object {
        return Err(Reason::BodyShape.into());
    }
    let stated = object.members().map(|member| format!("{}:{}", member.raw_key(), member.value().raw()));
    let assumed = writes.defaults.iter().filter(|(key, _)| object.member(key).is_none());
    let assumed = assumed.map(|(key, value)| format!("{}:{value}", quoted(key)));
    // A key by which a request names a record is one of the record that it makes.
    let asked = mapped.alternate_key.zip(mapped.ids.first()).and_then(|(key, id)| match key.as_slice() {
        [key] if object.member(key).is_none() => Some(format!("{}:{}", quoted(key), quoted(id))),
        _ => None,
    });
    let members: Vec<String> = stated.chain(assumed).chain(asked).collect();
    Ok(Bytes::from(format!("{{{}}}", members.join(","))))
}

/// The CRM took an id for another record's: for the caller there is no record of that id, hidden or not.
pub fn other_record() -> Problem {
    Problem::new(Reason::NotFound)
        .internal("the answer is about another record than the one that was asked for")
}
