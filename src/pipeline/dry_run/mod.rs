//! The request's path without its edges: what would be decided of a request, what would be sent and what would leave.
//!
//! Promises: calls the same stage functions in the same order as `pipeline::path`, so that "what would we decide" has one
//! answer. Identification, time, records and answers are handed in; what is missing is named, never guessed. Never does
//! I/O, and never shows a credential.

pub mod explanation;
mod passing;
mod sample;
mod tell;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, Version};

use crate::bundle::compile::PROFILE_FILE;
use crate::bundle::current::Snapshot;
use crate::bundle::profile::Profile;
use crate::bundle::profile::route::version::VersionSource;
use crate::bundle::profile::route::{Route, Rows};
use crate::bundle::profile::transit::IdentityNeed;
use crate::bundle::profile::types::RecordType;
use crate::json::value::Document;
use crate::model::access::Action;
use crate::model::principal::Asker;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::canonical::{self, CanonicalHead};
use crate::pipeline::decide::gate::{RecordGate, VerdictCache};
use crate::pipeline::decide::links::Linking;
use crate::pipeline::decide::references::{ReferenceVerdict, Referring};
use crate::pipeline::decide::refill::Window;
use crate::pipeline::decide::request::{RequestVerdict, decide_records, decide_request};
use crate::pipeline::enforce::answer;
use crate::pipeline::enforce::request::{Own, clear};
use crate::pipeline::fetch;
use crate::pipeline::forward::UpstreamResponse;
use crate::pipeline::hydrate::convert::Lookups;
use crate::pipeline::hydrate::image::Image;
use crate::pipeline::identify::admit;
use crate::pipeline::map::query::Reference;
use crate::pipeline::map::{self, Mapped};
use crate::pipeline::sidecar::{Limits, RouteLimits};
use explanation::{Asked, Changes, Explanation, Missing, ReferenceUse, RouteMatch, Sent, Wanted};
use tell::CREDENTIAL;

/// Everything that a dry run is told.
pub struct DryRun<'a> {
    /// Bundle and directory.
    pub snapshot: &'a Arc<Snapshot>,
    /// The service's limits.
    pub limits: &'a Limits,
    /// Verdicts on records, shared by dry runs on one snapshot.
    pub cache: &'a Arc<VerdictCache>,
    /// Who asks, what is taken for verified about them, and when.
    pub asker: &'a Asker,
    /// What is asked.
    pub request: DryRequest,
    /// Records as the CRM holds them, in any order, each as its `GET` route answers it.
    pub records: &'a [Document],
    /// What the CRM would answer.
    pub answer: Option<&'a UpstreamResponse>,
}

/// A request as a client would send it.
#[derive(Clone, Debug)]
pub struct DryRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: Uri,
    /// The headers, `Host` included; a credential is not needed.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why the path ended before its end.
enum Stop {
    Problem(Problem),
    /// What is missing is already noted.
    Undetermined,
}

impl<P: Into<Problem>> From<P> for Stop {
    fn from(problem: P) -> Self {
        Stop::Problem(problem.into())
    }
}

/// Takes a request through the stages and tells what they said.
pub fn dry_run(dry: &DryRun<'_>) -> Explanation {
    let at = jiff::Timestamp::from_millisecond(dry.asker.now_ms);
    let mut told = Explanation {
        principal: dry.asker.entity.to_string(),
        auth_level: dry.asker.attested.auth_level,
        on_behalf_of: dry.asker.attested.on_behalf_of.as_ref().map(ToString::to_string),
        at: at.map(|at| at.to_string()).unwrap_or_default(),
        method: dry.request.method.to_string(),
        target: dry.request.target.to_string(),
        bundle: dry.snapshot.bundle.revision.clone(),
        directory: dry.snapshot.directory.revision.clone(),
        ..Explanation::default()
    };
    match dry.path(&mut told) {
        Ok(()) => told.end(None),
        Err(Stop::Problem(problem)) => told.end(Some(&problem)),
        Err(Stop::Undetermined) => {}
    }
    told.describe_policies(&dry.snapshot.bundle.policies);
    told
}

impl DryRun<'_> {
    /// The path, in the order of `pipeline::path`.
    fn path(&self, told: &mut Explanation) -> Result<(), Stop> {
        let (snapshot, profile) = (self.snapshot, self.profile());
        let request = &self.request;
        let mut head = canonical::read(
            request.method.clone(),
            &request.target,
            Version::HTTP_11,
            request.headers.clone(),
            self.limits.head,
        )?;
        let found = map::route(profile, &head);
        if let Ok((route, parameters)) = &found
            && route.identity == IdentityNeed::Nobody
        {
            told.route = Some(self.route_match(route));
            return self.open_path(route, parameters.clone(), &head, told);
        }
        let admit = |person| admit(person, &snapshot.directory, self.asker.now_ms);
        admit(&self.asker.entity)?;
        self.asker.attested.on_behalf_of.as_ref().map_or(Ok(()), admit)?;
        let (route, parameters) = found.inspect_err(|_| {
            told.other_methods = other_methods(profile, &head);
        })?;
        told.route = Some(self.route_match(route));
        let limits = self.limits.for_route(route);
        let body = self.body(route, &mut head)?;
        let mut mapped = map::read(profile, route, parameters, &head, body, &limits.map)?;
        self.find_owner(&mut mapped, told)?;
        told.access = asked(&mapped);
        let cache = Arc::clone(self.cache);
        let gate = RecordGate::new(Arc::clone(snapshot), self.asker.clone(), cache);
        let stage = Stage { dry: self, mapped: &mapped, gate: &gate, limits: &limits };
        let mut verdict = decide_request(snapshot, &gate, self.asker, &mapped);
        told.references = stage.references(&verdict);
        if verdict.problem.is_none() {
            let images = stage.images(told)?;
            decide_records(snapshot, &gate, self.asker, &mapped, &images, &mut verdict);
            stage.judge_links(&mut verdict, told)?;
        }
        verdict.all_accesses().for_each(|access| told.decided(access, &snapshot.bundle.slices));
        told.changes = verdict.writes.iter().map(Changes::from).collect();
        let missing = fetch::missing_names(&mapped, profile, &gate);
        // Where pages are filled up, the CRM is asked for its first one, and then for others.
        let window = verdict.window();
        told.refilled = window.map(|Window { skip, take }| Wanted { skip, take });
        let page = window.and(mapped.route.refill.as_ref());
        let page = page.map(|refill| refill.page_at(refill.start()));
        let own = Own { missing: &missing, page: page.as_deref() };
        let clearance = clear(&verdict, &mapped, &head, profile, &credential(), own)?;
        told.added = missing;
        told.upstream = Some(Sent::from(&clearance.into_request()));
        if let Some(transit) = mapped.route.transit.as_ref().filter(|_| !mapped.is_write()) {
            return stage.passing(transit);
        }
        let Some(response) = stage.sample(told)? else { return Ok(()) };
        // What is told of an answer is told of one page of the CRM's.
        let rows = if window.is_some() { Rows::Checked } else { verdict.rows() };
        stage.answer(&response, rows, told).map_err(|stop| match stop {
            Stop::Problem(problem) => {
                let is_write = mapped.is_write();
                Stop::Problem(answer::withheld(problem, is_write, response.status))
            }
            Stop::Undetermined => Stop::Undetermined,
        })
    }

    fn profile(&self) -> &Profile {
        &self.snapshot.bundle.profile
    }

    fn lookups(&self) -> Lookups<'_> {
        Lookups { profile: self.profile(), directory: &self.snapshot.directory }
    }

    fn route_match(&self, route: &Route) -> RouteMatch {
        let file = self.snapshot.bundle.files.get(PROFILE_FILE);
        let before = file.and_then(|file| file.get(..route.span.start)).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = format!("{PROFILE_FILE}:{line}");
        RouteMatch { label: route.label(), place, passes: route.pass.clone() }
    }

    /// The given record of that id, as the route would answer it.
    fn record(
        &self,
        route: &Route,
        record_type: &RecordType,
        mapped: Option<&Mapped<'_>>,
        id: &str,
    ) -> Option<Image> {
        let key = mapped.and_then(|mapped| mapped.alternate_key);
        let read = |document: &Document| {
            Image::read(document.clone(), route, Some(record_type), id, key, self.lookups()).ok()
        };
        let image = self.records.iter().find_map(read)?;
        Some(image.with_headers(mapped.map(version_header).unwrap_or_default()))
    }
}

/// What the stages after mapping work with.
struct Stage<'a> {
    dry: &'a DryRun<'a>,
    mapped: &'a Mapped<'a>,
    gate: &'a RecordGate,
    limits: &'a RouteLimits,
}

impl Stage<'_> {
    fn references(&self, verdict: &RequestVerdict) -> Vec<ReferenceUse> {
        let mapped = self.mapped;
        let referring = Referring::of(self.gate, mapped, verdict);
        let judge = |reference: &Reference| {
            let (is_permitted, why) = match referring.judge(reference) {
                ReferenceVerdict::Harmless => (true, "it only names what to answer"),
                ReferenceVerdict::Usable => (true, "the caller may read it on every record"),
                ReferenceVerdict::NotReadable => (false, "on some record the caller may not read it"),
                ReferenceVerdict::HiddenRows => {
                    (false, "rows that the caller may not view could shape the page")
                }
            };
            let fields = reference.hops.iter().map(|(_, field)| field.clone()).collect();
            ReferenceUse { role: reference.role.name(), fields, is_permitted, why }
        };
        mapped.query.references.iter().map(judge).collect()
    }

    /// The records as they stand, or the new record as it is proposed.
    fn images(&self, told: &mut Explanation) -> Result<Vec<Image>, Stop> {
        let (dry, mapped) = (self.dry, self.mapped);
        let names_records = mapped.is_write() && !mapped.is_unbounded();
        let needs_image = names_records || mapped.action == Some(Action::Download);
        let Some(record_type) = mapped.record_type.filter(|_| needs_image) else {
            return Ok(Vec::new());
        };
        if mapped.action == Some(Action::Create) {
            return Ok(vec![fetch::proposed(mapped, record_type, dry.snapshot, &self.limits.answer.json)?]);
        }
        let route = mapped.image_route(dry.profile());
        let route = route.ok_or_else(|| Problem::new(Reason::Internal).internal("no image route"))?;
        let mut images = Vec::new();
        for id in &mapped.ids {
            match dry.record(route, record_type, Some(mapped), id) {
                Some(image) => images.push(image),
                None => told.missing.push(missing_record(record_type, id, route)),
            }
        }
        if told.missing.is_empty() { Ok(images) } else { Err(Stop::Undetermined) }
    }

    /// Judges the other ends of a write's links, on the records that are given.
    fn judge_links(&self, verdict: &mut RequestVerdict, told: &mut Explanation) -> Result<(), Stop> {
        let (dry, gate) = (self.dry, self.gate);
        let linking = Linking { gate };
        let links = if verdict.problem.is_none() { verdict.links(self.mapped) } else { Vec::new() };
        let Some(open) = linking.open(&links, dry.limits.fetches_max) else {
            verdict.problem = Some(Reason::IdTooMany.into());
            return Ok(());
        };
        for link in open {
            let Some((record_type, route, id)) = link.way(dry.profile()) else {
                verdict.problem = Some(link.refused());
                return Ok(());
            };
            let Some(image) = dry.record(route, record_type, None, id) else {
                told.missing.push(missing_record(record_type, id, route));
                continue;
            };
            verdict.linked.extend(linking.judge(link, &image.facts));
            if verdict.linked.iter().any(|access| !access.decision.is_allow()) {
                verdict.problem = Some(link.refused());
                return Ok(());
            }
        }
        if told.missing.is_empty() { Ok(()) } else { Err(Stop::Undetermined) }
    }
}

fn asked(mapped: &Mapped<'_>) -> Option<Asked> {
    let also = mapped.also.iter().map(|also| also.action.name());
    Some(Asked {
        actions: [mapped.action?.name()].into_iter().chain(also).collect(),
        type_name: mapped.record_type.map(|record_type| record_type.name.clone()),
        ids: mapped.ids.clone(),
        to: mapped.target_stage.clone(),
    })
}

/// Routes that have the path but not the method.
fn other_methods(profile: &Profile, head: &CanonicalHead) -> Vec<String> {
    let fits = |route: &&Route| {
        route.template.match_path(&head.segments, head.has_trailing_slash, profile.path_case).is_some()
    };
    profile.routes.iter().filter(fits).map(Route::label).collect()
}

fn missing_record(record_type: &RecordType, id: &str, route: &Route) -> Missing {
    Missing::Record { type_name: record_type.name.clone(), id: id.to_owned(), route: route.label() }
}

/// What stands in the place of a version that the CRM says in a header.
fn version_header(mapped: &Mapped<'_>) -> HeaderMap {
    match mapped.route.version.pinning().map(|pinning| &pinning.from) {
        Some(VersionSource::Header(name)) => {
            HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("(the version)"))])
        }
        Some(VersionSource::Record(_)) | None => HeaderMap::new(),
    }
}

/// What stands in the credential's place.
fn credential() -> (HeaderName, HeaderValue) {
    (AUTHORIZATION, HeaderValue::from_static(CREDENTIAL))
}
