//! Conditional requests (RFC 9110 §13) by validators of our own.
//!
//! An ETag of the CRM's changes with what is hidden, so it never leaves. Ours is a hash of what leaves: two answers have the
//! same one if they are the same bytes. `If-Match` of a write holds if the record, read anew by its image route as this caller
//! would be shown it, has one of the named tags.
//!
//! Promises: a condition of a write is checked or refused, never dropped; it is looked at after the write was allowed, so that
//! who may not change a record learns nothing by it. Lists have no tag: hashing a long one would cost what filtering it costs.

use bytes::Bytes;
use http::Method;
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE, VARY,
};

use super::canonical::CanonicalHead;
use super::enforce::response::{ReleaseKind, Released};
use super::respond::Reply;
use super::trail::Trail;
use super::{Stage, map};
use crate::bundle::profile::route::Route;
use crate::bundle::revision;
use crate::model::access::Scope;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// The conditions of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub only: Option<Tags>,
    /// `If-None-Match`.
    pub unless: Option<Tags>,
}

/// What a condition names.
#[derive(Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: whatever there is.
    Any,
    /// Tags without their quotes; whether each is weak.
    Listed(Vec<(String, bool)>),
}

impl Conditions {
    /// The conditions of a request. An observed one is the CRM's to judge.
    pub fn of(head: &CanonicalHead, trail: &Trail) -> Result<Self, Problem> {
        match trail.observed.is_some() {
            true => Ok(Self::default()),
            false => Self::read(&head.method, &head.headers),
        }
    }

    /// The conditions that headers state. Dates are not looked at on reads, as we never state one; a write must not lose its
    /// condition, so there they are refused.
    pub fn read(method: &Method, headers: &HeaderMap) -> Result<Self, Problem> {
        if !method.is_safe() && headers.contains_key(IF_UNMODIFIED_SINCE) {
            return Err(refused("If-Unmodified-Since"));
        }
        Ok(Self { only: tags(headers, &IF_MATCH)?, unless: tags(headers, &IF_NONE_MATCH)? })
    }

    fn is_none(&self) -> bool {
        self.only.is_none() && self.unless.is_none()
    }

    /// Whether a write may go on, by the tag of what it changes.
    fn permit_write(&self, tag: &str) -> bool {
        let holds = self.only.as_ref().is_none_or(|tags| tags.name_strongly(tag));
        holds && self.unless.as_ref().is_none_or(|tags| !tags.name(tag))
    }
}

impl Tags {
    /// By strong comparison (RFC 9110 §8.8.3.2): ours are strong, and a weak one never matches.
    fn name_strongly(&self, tag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(|(known, is_weak)| known == tag && !is_weak),
        }
    }

    /// By weak comparison.
    fn name(&self, tag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(|(known, _)| known == tag),
        }
    }
}

fn refused(header: &str) -> Problem {
    Problem::new(Reason::ConditionRefused).detail(format!("header `{header}`"))
}

/// The tags of a header, which must stand once and be a list to its end.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let malformed = || Problem::new(Reason::ConditionMalformed).detail(format!("header `{name}`"));
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?.trim();
    if text == "*" {
        return Ok(Some(Tags::Any));
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) =
            quoted.strip_prefix('"').and_then(|tag| tag.split_once('"')).ok_or_else(malformed)?;
        tags.push((tag.to_owned(), is_weak));
        rest = match (after.trim_start(), tags.len()) {
            ("", _) => return Ok(Some(Tags::Listed(tags))),
            (_, TAGS_MAX..) => return Err(malformed()),
            (after, _) => after.strip_prefix(',').ok_or_else(malformed)?.trim_start(),
        };
    }
}

/// The tag of a reply, if it has one: one record that leaves.
fn tag(reply: &Reply, route: &Route) -> Option<String> {
    let is_one = route.shape.records.first().is_some_and(|location| !location.is_many());
    let is_answer = matches!(reply.body.kind(), ReleaseKind::All | ReleaseKind::Filtered);
    let is_whole = reply.status == 200 && reply.stream.is_none() && is_answer && is_one;
    let hash = || revision::hash(reply.body.bytes());
    is_whole.then(hash).and_then(|hash| hash.get(..TAG_DIGITS).map(str::to_owned))
}

impl Stage<'_> {
    /// The reply to a read: with its tag, or without its body if the caller has it already.
    pub(super) fn conditionally(
        &self,
        reply: Reply,
        conditions: &Conditions,
        trail: &Trail,
    ) -> Result<Reply, Problem> {
        let is_read = !trail.is_write && trail.observed.is_none();
        let Some(tag) = tag(&reply, self.mapped.route).filter(|_| is_read) else { return Ok(reply) };
        if conditions.only.as_ref().is_some_and(|tags| !tags.name_strongly(&tag)) {
            return Err(Reason::PreconditionFailed.into());
        }
        let mut reply = reply;
        let quoted = HeaderValue::try_from(format!("\"{tag}\"")).map_err(|_| Reason::Internal)?;
        reply.headers.insert(ETAG, quoted);
        reply.headers.insert(VARY, self.serving.identity.sources.vary());
        if conditions.unless.as_ref().is_some_and(|tags| tags.name(&tag)) {
            reply.status = 304;
            reply.headers.remove(CONTENT_TYPE);
            reply.body = Released::empty();
        }
        Ok(reply)
    }

    /// Refuses a write whose conditions do not hold. What was denied stays denied, whatever they are.
    pub(super) async fn check_conditions(
        &self,
        conditions: &Conditions,
        head: &CanonicalHead,
        trail: &Trail,
    ) -> Result<(), Problem> {
        if head.method.is_safe() || conditions.is_none() || trail.verdict.problem.is_some() {
            return Ok(());
        }
        match self.tag_of_record(head, trail).await? {
            Some(tag) if conditions.permit_write(&tag) => Ok(()),
            Some(_) => Err(Reason::PreconditionFailed.into()),
            None => Err(refused(if conditions.only.is_some() { "If-Match" } else { "If-None-Match" })),
        }
    }

    /// The tag of the one record that a write is about, as its caller would be shown it; `None` if it is about another number of
    /// them.
    async fn tag_of_record(&self, head: &CanonicalHead, trail: &Trail) -> Result<Option<String>, Problem> {
        let mapped = self.mapped;
        let is_write = mapped.action.is_some_and(|action| action.scope() == Scope::RecordWrite);
        let ([id], true, None) = (mapped.ids.as_slice(), is_write, mapped.alternate_key) else {
            return Ok(None);
        };
        let profile = &self.serving.snapshot.bundle.profile;
        let Some(image) = mapped.image_route(profile) else { return Ok(None) };
        let parameters = map::with_id(&mapped.parameters, id);
        let (segments, has_trailing_slash) = image.template.write_path(&parameters);
        let mut headers = head.headers.clone();
        [CONTENT_TYPE, CONTENT_LENGTH].iter().for_each(|name| drop(headers.remove(name)));
        let (method, query, host) = (Method::GET, Vec::new(), head.host.clone());
        let head = CanonicalHead { method, segments, has_trailing_slash, query, host, headers };
        let limits = self.sidecar.limits.for_route(image);
        let read = map::read(profile, image, parameters, &head, Bytes::new(), &limits.map)?;
        let stage = Stage { mapped: &read, limits: &limits, other_pages: None, ..*self };
        // What is shown here is shown to nobody.
        let mut aside = Trail { id: trail.id.clone(), serving: trail.serving.clone(), ..Trail::default() };
        let clearance = stage.clear(&head, Bytes::new(), &mut aside)?;
        let response = Box::pin(stage.forward(clearance, None, &mut aside)).await?;
        let reply = Box::pin(stage.reply(&response, &mut aside)).await?;
        // As it would be answered, so that it has a tag exactly if the answer had one.
        Ok(tag(&reply, image))
    }
}

/// Tags that one header may name.
const TAGS_MAX: usize = 32;
/// Hexadecimal digits of a tag: half of a SHA-256.
const TAG_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Tags>) {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::try_from(text).unwrap());
        let found = Conditions::read(&Method::PATCH, &headers);
        match expected {
            Some(tags) => assert_eq!(found.unwrap(), Conditions { only: Some(tags), unless: None }, "{text}"),
            None => assert_eq!(found.unwrap_err().reason, Reason::ConditionMalformed, "{text}"),
        }
    }

    fn listed(tags: &[(&str, bool)]) -> Option<Tags> {
        Some(Tags::Listed(tags.iter().map(|(tag, is_weak)| ((*tag).to_owned(), *is_weak)).collect()))
    }

    #[test]
    fn tags_are_read_to_the_end_or_refused() {
        check("*", Some(Tags::Any));
        check("\"a\"", listed(&[("a", false)]));
        check("\"a\" , W/\"b,c\",\"\"", listed(&[("a", false), ("b,c", true), ("", false)]));
        for malformed in ["", "a", "\"a", "\"a\" \"b\"", "\"a\",", "*,\"a\"", "w/\"a\"", "\"a\"x", ",\"a\""] {
            check(malformed, None);
        }
        let many = |count: usize| vec!["\"a\""; count].join(",");
        check(&many(TAGS_MAX), listed(&vec![("a", false); TAGS_MAX]));
        check(&many(TAGS_MAX + 1), None);
    }

    #[test]
    fn a_header_that_stands_twice_is_refused_and_so_is_a_date_before_a_write() {
        let mut headers = HeaderMap::new();
        headers.append(IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
        assert!(Conditions::read(&Method::GET, &headers).is_ok());
        headers.append(IF_NONE_MATCH, HeaderValue::from_static("*"));
        let twice = Conditions::read(&Method::GET, &headers).unwrap_err();
        assert_eq!(twice.reason, Reason::ConditionMalformed);
        let mut dated = HeaderMap::new();
        dated.insert(IF_UNMODIFIED_SINCE, HeaderValue::from_static("Mon, 01 Jun 2026 00:00:00 GMT"));
        assert_eq!(Conditions::read(&Method::GET, &dated).unwrap(), Conditions::default());
        let lost = Conditions::read(&Method::PATCH, &dated).unwrap_err();
        assert_eq!(lost.reason, Reason::ConditionRefused);
    }

    #[test]
    fn a_weak_tag_never_permits_a_write() {
        let only = |tags| Conditions { only: Some(tags), unless: None };
        let weak = || Tags::Listed(vec![("a".to_owned(), true)]);
        let strong = || Tags::Listed(vec![("b".to_owned(), false), ("a".to_owned(), false)]);
        assert!(!only(weak()).permit_write("a") && only(strong()).permit_write("a"));
        assert!(!only(strong()).permit_write("c") && only(Tags::Any).permit_write("c"));
        let unless = |tags| Conditions { only: None, unless: Some(tags) };
        assert!(!unless(weak()).permit_write("a") && unless(strong()).permit_write("c"));
        assert!(!unless(Tags::Any).permit_write("c"));
    }
}
