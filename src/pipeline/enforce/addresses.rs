//! Where an answer leads: addresses of other pages and of new records, written anew under the caller's own origin (PEP).
//!
//! Promises: no place of the CRM's leaves, and nothing that the proxy asked for on top. An address holds what the caller asked
//! for; of what the CRM wrote only the numbers of a page, or the path of a record that the profile describes. A cursor is no
//! number: it could hold values of a row.

use http::Method;
use http::header::{HeaderMap, HeaderValue, LINK, LOCATION};

use super::super::canonical::{CanonicalHead, HeadLimits, Place, read_place, write_path, write_query};
use super::super::map::Mapped;
use super::super::map::query::rule_for;
use crate::bundle::profile::Profile;
use crate::bundle::profile::pages::LinkHeader;
use crate::bundle::profile::query::Role;
use crate::bundle::profile::route::Route;
use crate::bundle::profile::source::{ActionSource, IdSource, TypeSource, ValueSource};
use crate::bundle::profile::template::Parameters;
use crate::bundle::profile::types::{KeyPattern, RecordType};
use crate::json::token;
use crate::model::access::Action;
use crate::model::peer::Scheme;

/// How the caller reached us, and where the CRM's API begins.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The host, if the request named one.
    pub host: Option<&'a str>,
    /// The path before every path of the profile, without a trailing slash.
    pub base_path: &'a str,
}

/// Writes the addresses of other pages of one list.
#[derive(Clone, Debug)]
pub struct OtherPages {
    origin: Option<String>,
    base_path: String,
    segments: Vec<String>,
    has_trailing_slash: bool,
    /// What the caller asked for, but for the page.
    asked: Vec<(String, String)>,
    header: LinkHeader,
    /// The parameters that choose a page, of those that the route declares.
    paging: Vec<String>,
}

impl Here<'_> {
    fn origin(&self) -> Option<String> {
        self.host.map(|host| format!("{}://{host}", self.scheme.name()))
    }

    /// Where a new record is, if the CRM says so in the path of a route that yields one of its type. `is_told` says of an id
    /// whether the caller may be told that it is the new record's; beside the id a path holds what the caller asked with.
    pub fn of_new(
        &self,
        headers: &HeaderMap,
        record_type: &RecordType,
        profile: &Profile,
        asked: &Parameters,
        is_told: impl Fn(&str) -> bool,
    ) -> Option<HeaderValue> {
        let address = Address::read(single(headers)?, self.base_path)?;
        let place = address.place.filter(|place| place.query.is_empty())?;
        let found =
            profile.routes.iter().filter(|route| yields(route, &record_type.name)).find_map(|route| {
                let case = profile.path_case;
                let parameters =
                    route.template.match_path(&place.segments, place.has_trailing_slash, case)?;
                let name = match &route.id {
                    None => "id",
                    Some(IdSource { source: ValueSource::Path(name), alternate_key: None }) => name,
                    Some(_) => return None,
                };
                let (ids, others): (Vec<_>, Vec<_>) = parameters.iter().partition(|(known, _)| known == name);
                let is_the_new_one = matches!(ids.as_slice(), [(_, id)] if is_told(id));
                let are_known = others.iter().all(|other| asked.contains(other));
                (is_the_new_one && are_known).then(|| route.template.write_path(&parameters))
            });
        let (segments, has_trailing_slash) = found?;
        let origin = self.origin().filter(|_| address.is_absolute).unwrap_or_default();
        HeaderValue::try_from(origin + &write_path(&segments, has_trailing_slash)).ok()
    }
}

/// Whether a route answers one record of a type.
fn yields(route: &Route, record_type: &str) -> bool {
    let type_source = route.type_source.as_ref();
    let type_source = type_source.or(route.shape.records.first().map(|location| &location.type_source));
    route.refuse.is_none()
        && route.template.methods.contains(&Method::GET)
        && matches!(route.action, Some(ActionSource::Constant(Action::View)))
        && matches!(type_source, Some(TypeSource::Constant(name)) if name.value == record_type)
}

fn single(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(LOCATION).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}

impl OtherPages {
    /// For a request whose route says where its other pages are named.
    pub fn of(mapped: &Mapped<'_>, head: &CanonicalHead, here: Here<'_>) -> Option<Self> {
        let route = mapped.route;
        if route.pages.are_none() {
            return None;
        }
        let (segments, has_trailing_slash) = route.template.write_path(&mapped.parameters);
        let is_paging = |name: &str| rule_for(route, name).is_some_and(|rule| rule.role == Role::Paging);
        let asked = head.query.iter().filter(|(name, _)| !is_paging(name)).cloned().collect();
        let paging = route.query.iter().filter(|rule| rule.role == Role::Paging);
        let paging = paging.filter_map(|rule| match &rule.name {
            KeyPattern::Exact(name) => Some(name.clone()),
            KeyPattern::Prefix(_) | KeyPattern::Suffix(_) => None,
        });
        Some(Self {
            origin: here.origin(),
            base_path: here.base_path.to_owned(),
            segments,
            has_trailing_slash,
            asked,
            header: route.pages.header,
            paging: paging.collect(),
        })
    }

    /// The address of another page of this list; `None` for what is none.
    pub fn page(&self, address: &str) -> Option<String> {
        let address = Address::read(address, &self.base_path)?;
        let query = match address.place {
            Some(place) if place.segments == self.segments => place.query,
            Some(_) => return None,
            None => address.query,
        };
        let mut pairs = self.asked.clone();
        for name in &self.paging {
            let mut values = query.iter().filter(|(known, _)| known == name);
            let Some((_, value)) = values.next() else { continue };
            let is_number =
                (1..=DIGITS_MAX).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
            if !is_number || values.next().is_some() {
                return None;
            }
            pairs.push((name.clone(), value.clone()));
        }
        let mut page = self.origin.clone().filter(|_| address.is_absolute).unwrap_or_default();
        page.push_str(&write_path(&self.segments, self.has_trailing_slash));
        if !pairs.is_empty() {
            page.push('?');
            page.push_str(&write_query(&pairs));
        }
        Some(page)
    }

    /// The same as JSON: `null` says that there is no other page, and anything but an address is dropped.
    pub fn page_json(&self, text: &str) -> Option<String> {
        match text.starts_with('"') {
            true => self.page(&token::decode(text)).map(|page| token::quoted(&page)),
            false => (text == "null").then(|| text.to_owned()),
        }
    }

    /// The `Link` header with the other pages that the CRM's names (RFC 8288).
    pub fn header(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.header == LinkHeader::Dropped {
            return None;
        }
        let texts = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let pages = texts
            .flat_map(links)
            .filter_map(|(address, relation)| Some(format!("<{}>; rel=\"{relation}\"", self.page(address)?)));
        let pages: Vec<String> = pages.take(RELATIONS.len()).collect();
        HeaderValue::try_from(pages.join(", ")).ok().filter(|value| !value.is_empty())
    }
}

/// The links of a header that say which page they are. What is not written as in RFC 8288 ends the list.
fn links(text: &str) -> Vec<(&str, &'static str)> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some((address, after)) = rest.strip_prefix('<').and_then(|inside| inside.split_once('>')) {
        // A comma inside of quotes ends no link.
        let mut is_quoted = false;
        let end = after.find(|letter: char| {
            is_quoted ^= letter == '"';
            letter == ',' && !is_quoted
        });
        let (parameters, next) = after.split_at(end.unwrap_or(after.len()));
        let relation = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
        });
        let known =
            RELATIONS.iter().find(|known| relation.is_some_and(|told| told.eq_ignore_ascii_case(known)));
        found.extend(known.map(|known| (address, *known)));
        rest = next.trim_start_matches(',').trim_start();
    }
    found
}

/// What an address of the CRM says.
struct Address {
    is_absolute: bool,
    /// Its path below the API's beginning; none for another query of the same path.
    place: Option<Place>,
    /// The query, where there is no path.
    query: Vec<(String, String)>,
}

impl Address {
    /// Reads one; its host says nothing, as the CRM may know itself by several.
    fn read(text: &str, base_path: &str) -> Option<Self> {
        let text = text.split('#').next().unwrap_or_default();
        let scheme = ["http://", "https://"]
            .into_iter()
            .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        let is_absolute = scheme.is_some();
        let target = match scheme {
            Some(scheme) => {
                let rest = text.get(scheme.len()..)?;
                rest.get(rest.find('/')?..)?
            }
            None => text,
        };
        let limits = HeadLimits::default();
        if target.starts_with('?') {
            let query = read_place(&format!("/{target}"), limits)?.query;
            return Some(Self { is_absolute, place: None, query });
        }
        let target = target.strip_prefix(base_path).filter(|rest| rest.starts_with('/'))?;
        let place = read_place(target, limits)?;
        Some(Self { is_absolute, place: Some(place), query: Vec::new() })
    }
}

/// Digits of a page's number.
const DIGITS_MAX: usize = 18;
/// The pages that lists name.
const RELATIONS: [&str; 5] = ["first", "prev", "previous", "next", "last"];

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
